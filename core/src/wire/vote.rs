//! A vote on the wire.

use alloy::primitives::B256;
use ssz::Decode;
use ssz_derive::{Decode, Encode};
use ssz_types::VariableList;
use ssz_types::typenum::U256 as N256;

use super::{WireError, unversioned, versioned};
use crate::proposal::BatchId;
use crate::verdict::VerdictVector;

/// An attester's verdicts on a batch, signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vote {
    /// The batch.
    pub batch: BatchId,
    /// The operator set under which the attester votes.
    pub set_id: u32,
    /// The attester's index in that set.
    pub attester: u32,
    /// One verdict per task.
    pub verdicts: VerdictVector,
    /// BLS signature over the verdict digest, uncompressed; not yet parsed as a point.
    pub signature: [u8; 96],
}

#[derive(Encode, Decode)]
struct VoteMessage {
    proposal: B256,
    index: u16,
    set_id: u32,
    attester: u32,
    verdicts: VariableList<u8, N256>,
    signature: [u8; 96],
}

impl Vote {
    /// The vote's bytes.
    ///
    /// # Errors
    /// When there are more verdicts than a batch has tasks.
    pub fn encode(&self) -> Result<Vec<u8>, WireError> {
        Ok(versioned(&VoteMessage {
            proposal: self.batch.proposal,
            index: self.batch.index,
            set_id: self.set_id,
            attester: self.attester,
            verdicts: VariableList::new(self.verdicts.bytes()).map_err(|_| WireError::Range { field: "verdicts" })?,
            signature: self.signature,
        }))
    }

    /// The vote of these bytes.
    ///
    /// # Errors
    /// When they are no vote of our version, or a verdict does not exist.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let message = VoteMessage::from_ssz_bytes(unversioned(bytes)?)?;
        Ok(Self {
            batch: BatchId { proposal: message.proposal, index: message.index },
            set_id: message.set_id,
            attester: message.attester,
            verdicts: VerdictVector::from_bytes(&message.verdicts).ok_or(WireError::Range { field: "verdicts" })?,
            signature: message.signature,
        })
    }
}
