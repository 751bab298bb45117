//! The aggregator's request to vote on a disputed batch in parts.

use alloy::primitives::{Address, B256, keccak256};
use alloy::sol;
use alloy::sol_types::SolStruct;
use ssz::Decode;
use ssz_derive::{Decode, Encode};
use ssz_types::VariableList;
use ssz_types::typenum::U256 as N256;

use super::{WireError, unversioned, versioned};
use crate::consent::SigningDomain;
use crate::proposal::{BatchId, MAX_TASKS, recover};
use crate::verdict::{Verdict, VerdictVector};

sol! {
    /// What the aggregator signs (ECDSA) when it asks for votes in parts. No contract reads it.
    #[derive(Debug, PartialEq, Eq)]
    struct SplitRequest {
        bytes32 proposal;
        uint16 index;
        uint8 round;
        bytes32 vectors;
    }
}

/// Asks attesters to sign parts of their verdicts on a batch: each vector is for those who said the same of every task
/// that it decides. Nobody is asked for another verdict than the one already given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// The batch.
    pub batch: BatchId,
    /// How many requests about it came before.
    pub round: u8,
    /// One verdict per task of the batch, abstentions outside the part. No two vectors decide the same task.
    pub vectors: Vec<VerdictVector>,
    /// The aggregator's signature, over [`Split::digest`].
    pub signature: [u8; 65],
}

#[derive(Encode, Decode)]
struct SplitMessage {
    proposal: B256,
    index: u16,
    round: u8,
    vectors: VariableList<VariableList<u8, N256>, N256>,
    signature: [u8; 65],
}

impl Split {
    /// EIP-712 digest of the request; `vectors` is keccak256 of the vectors' own keccak256 hashes.
    #[must_use]
    pub fn digest(domain: &SigningDomain, batch: BatchId, round: u8, vectors: &[VerdictVector]) -> B256 {
        let hashes: Vec<u8> = vectors.iter().flat_map(|vector| keccak256(vector.bytes()).0).collect();
        let request = SplitRequest { proposal: batch.proposal, index: batch.index, round, vectors: keccak256(hashes) };
        request.eip712_signing_hash(&domain.eip712())
    }

    /// Who asks; nothing when the signature is none.
    #[must_use]
    pub fn signer(&self, domain: &SigningDomain) -> Option<Address> {
        recover(&self.signature, Self::digest(domain, self.batch, self.round, &self.vectors))
    }

    /// Whether this aggregator asks.
    #[must_use]
    pub fn is_signed_by(&self, domain: &SigningDomain, aggregator: Address) -> bool {
        self.signer(domain) == Some(aggregator)
    }

    /// The request's bytes.
    ///
    /// # Errors
    /// When there are more vectors, or verdicts in one, than a batch has tasks.
    pub fn encode(&self) -> Result<Vec<u8>, WireError> {
        let range = |_| WireError::Range { field: "vectors" };
        let vectors = self.vectors.iter().map(|vector| VariableList::new(vector.bytes()).map_err(range));
        Ok(versioned(&SplitMessage {
            proposal: self.batch.proposal,
            index: self.batch.index,
            round: self.round,
            vectors: VariableList::new(vectors.collect::<Result<Vec<_>, _>>()?).map_err(range)?,
            signature: self.signature,
        }))
    }

    /// The request of these bytes: vectors of one length, each deciding something, no two the same task.
    ///
    /// # Errors
    /// When they are no request of our version.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let message = SplitMessage::from_ssz_bytes(unversioned(bytes)?)?;
        let range = WireError::Range { field: "vectors" };
        let vectors = message
            .vectors
            .iter()
            .map(|vector| VerdictVector::from_bytes(vector))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| range.clone())?;
        let tasks = vectors.first().map_or(0, |vector| vector.0.len());
        let mut decided = [false; MAX_TASKS];
        for vector in &vectors {
            if vector.0.len() != tasks || vector.abstains_wholly() {
                return Err(range);
            }
            for (at, _) in vector.0.iter().enumerate().filter(|(_, verdict)| **verdict != Verdict::Abstain) {
                if std::mem::replace(&mut decided[at], true) {
                    return Err(range);
                }
            }
        }
        if tasks == 0 {
            return Err(range);
        }
        Ok(Self {
            batch: BatchId { proposal: message.proposal, index: message.index },
            round: message.round,
            vectors,
            signature: message.signature,
        })
    }
}
