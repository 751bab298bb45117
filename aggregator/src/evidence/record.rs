//! A fault and its proof.

use alloy::primitives::aliases::U48;
use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::sol_types::SolStruct;
use ditto_core::bls::{PublicKey, Purpose, Signature};
use ditto_core::clock::Slot;
use ditto_core::consent::{Proposal, SigningDomain, UserOpConsent, UserOpRejection, VerdictBatch};
use ditto_core::operators::{Member, OperatorSet};
use ditto_core::proposal::recover;
use ditto_core::verdict::Verdict;
use serde::{Deserialize, Serialize};

use crate::batch::Batch;
use crate::collect::{Said, Suspicion};

/// A fault, with all that is needed to check it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// EIP-155 id of the target chain.
    pub chain_id: u64,
    /// The AttestationCenter: with the chain id it makes the EIP-712 domain.
    pub attestation_center: Address,
    /// The slot.
    pub slot: Slot,
    /// Under which operator set.
    pub set_id: u32,
    /// Whose fault: the controller. Not signed; the key or the signer that is proven belongs to it by the set.
    pub operator: Address,
    /// When it was seen, in milliseconds since the Unix epoch.
    pub seen_ms: u64,
    /// What was signed.
    #[serde(flatten)]
    pub fault: Fault,
}

/// What an operator did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// It signed two votes that contradict each other.
    Votes {
        /// The consensus key, compressed (96 bytes).
        key: Bytes,
        /// One vote.
        first: SignedVote,
        /// The other.
        second: SignedVote,
    },
    /// It signed two proposals for one slot.
    Proposals {
        /// One proposal.
        first: SignedProposal,
        /// The other.
        second: SignedProposal,
    },
}

/// What a vote signs, and the signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedVote {
    /// The proposal it is about.
    pub proposal: Header,
    /// The consents, in the batch's order.
    pub approved: Vec<Consent>,
    /// The rejections, in the batch's order.
    pub rejected: Vec<Rejection>,
    /// BLS signature over the `VerdictBatch`'s digest, 96 bytes, uncompressed.
    pub signature: Bytes,
}

/// A proposal and its performer's signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedProposal {
    /// What was signed.
    pub proposal: Header,
    /// ECDSA signature, 65 bytes.
    pub signature: Bytes,
}

/// The fields of a `Proposal`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named and meant as in the signed type")]
pub struct Header {
    pub slot: Slot,
    pub set_id: u32,
    pub task_definition_id: u16,
    pub performer: Address,
    pub aggregator: Address,
    pub pins: B256,
    pub tasks: B256,
    pub target_chain_id: U256,
}

/// The fields of a `UserOpConsent`, but for the chain, which is the record's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named and meant as in the signed type")]
pub struct Consent {
    pub user_op_hash: B256,
    pub smart_account: Address,
    pub session_key: Address,
    pub session_nonce: U256,
    pub valid_after: u64,
    pub valid_until: u64,
}

/// The fields of a `UserOpRejection`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named and meant as in the signed type")]
pub struct Rejection {
    pub user_op_hash: B256,
    pub smart_account: Address,
    pub reason: u8,
}

/// Why a record proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// A key or signature that is none.
    #[error("a key or a signature is malformed")]
    Malformed,
    /// A signature of something else, or by somebody else.
    #[error("a signature is not the operator's")]
    Signature,
    /// An honest node may sign both.
    #[error("the two do not contradict each other")]
    NoConflict,
}

impl Evidence {
    /// Two votes of a member.
    #[must_use]
    pub fn of_votes(domain: &SigningDomain, member: &Member, suspicion: &Suspicion, seen_ms: u64) -> Self {
        let header = &suspicion.first.batch.proposed.proposal;
        let key = Bytes::copy_from_slice(&member.key.to_bytes());
        let (first, second) = (signed_vote(domain, &suspicion.first), signed_vote(domain, &suspicion.second));
        let fault = Fault::Votes { key, first, second };
        Self::new(domain, (header.slot, header.setId), member.controller, seen_ms, fault)
    }

    /// Two proposals of one performer.
    #[must_use]
    pub fn of_proposals(
        domain: &SigningDomain,
        set: &OperatorSet,
        first: &Batch,
        second: &Batch,
        seen_ms: u64,
    ) -> Self {
        let header = &first.proposed.proposal;
        let member = set.members.iter().find(|member| member.signer == header.performer);
        let signed = |batch: &Batch| SignedProposal {
            proposal: Header::from(&batch.proposed.proposal),
            signature: Bytes::copy_from_slice(&batch.proposed.signature),
        };
        let fault = Fault::Proposals { first: signed(first), second: signed(second) };
        let operator = member.map_or(header.performer, |member| member.controller);
        Self::new(domain, (header.slot, header.setId), operator, seen_ms, fault)
    }

    fn new(domain: &SigningDomain, at: (Slot, u32), operator: Address, seen_ms: u64, fault: Fault) -> Self {
        let (slot, set_id) = at;
        let (chain_id, attestation_center) = (domain.chain_id, domain.attestation_center);
        Self { chain_id, attestation_center, slot, set_id, operator, seen_ms, fault }
    }

    /// Checks the proof, from the record alone.
    ///
    /// # Errors
    /// Why it proves nothing.
    pub fn verify(&self) -> Result<(), Unproven> {
        let (chain_id, attestation_center) = (self.chain_id, self.attestation_center);
        let domain = SigningDomain { chain_id, attestation_center, entry_point: Address::ZERO };
        match &self.fault {
            Fault::Votes { key, first, second } => {
                let key = PublicKey::from_bytes(key).map_err(|_cause| Unproven::Malformed)?;
                for vote in [first, second] {
                    let signature: &[u8; 96] = vote.signature.as_ref().try_into().map_err(|_| Unproven::Malformed)?;
                    let signature = Signature::from_bytes(signature).ok_or(Unproven::Malformed)?;
                    if !signature.verify(&key, &vote.digest(&domain).0, Purpose::Vote) {
                        return Err(Unproven::Signature);
                    }
                }
                let one_slot = first.proposal.slot == second.proposal.slot && first.proposal.slot == self.slot;
                if one_slot && contradict(first, second) { Ok(()) } else { Err(Unproven::NoConflict) }
            }
            Fault::Proposals { first, second } => {
                for signed in [first, second] {
                    let signature: &[u8; 65] = signed.signature.as_ref().try_into().map_err(|_| Unproven::Malformed)?;
                    let digest = domain.proposal_digest(&signed.proposal.signed());
                    if recover(signature, digest) != Some(signed.proposal.performer) {
                        return Err(Unproven::Signature);
                    }
                }
                let (one, other) = (&first.proposal, &second.proposal);
                let same = one.slot == other.slot && one.slot == self.slot && one.performer == other.performer;
                let target = one.target_chain_id == other.target_chain_id;
                if same && target && one != other { Ok(()) } else { Err(Unproven::NoConflict) }
            }
        }
    }

    /// What happened, as a label.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self.fault {
            Fault::Votes { .. } => "votes",
            Fault::Proposals { .. } => "proposals",
        }
    }
}

fn contradict(one: &SignedVote, other: &SignedVote) -> bool {
    let both_ways = [(one, other), (other, one)];
    let turned = both_ways
        .iter()
        .any(|(a, b)| a.approved.iter().any(|yes| b.rejected.iter().any(|no| no.user_op_hash == yes.user_op_hash)));
    // The session nonce is the occurrence's number.
    turned
        || one.approved.iter().any(|a| {
            other.approved.iter().any(|b| a.session_nonce == b.session_nonce && a.user_op_hash != b.user_op_hash)
        })
}

impl SignedVote {
    fn digest(&self, domain: &SigningDomain) -> B256 {
        let approved = self.approved.iter().map(|consent| UserOpConsent {
            userOpHash: consent.user_op_hash,
            smartAccount: consent.smart_account,
            sessionKey: consent.session_key,
            sessionNonce: consent.session_nonce,
            validAfter: U48::saturating_from(consent.valid_after),
            validUntil: U48::saturating_from(consent.valid_until),
            targetChainId: U256::from(domain.chain_id),
        });
        let rejected = self.rejected.iter().map(|rejection| UserOpRejection {
            userOpHash: rejection.user_op_hash,
            smartAccount: rejection.smart_account,
            reason: rejection.reason,
        });
        let proposal = domain.proposal_digest(&self.proposal.signed());
        let vote = VerdictBatch { proposal, approved: approved.collect(), rejected: rejected.collect() };
        vote.eip712_signing_hash(&domain.eip712())
    }
}

fn signed_vote(domain: &SigningDomain, said: &Said) -> SignedVote {
    let (mut approved, mut rejected) = (Vec::new(), Vec::new());
    for ((task, hash), verdict) in said.batch.proposed.tasks.iter().zip(&said.batch.hashes).zip(&said.verdicts.0) {
        match verdict {
            Verdict::Approve => {
                let consent = domain.consent(task);
                approved.push(Consent {
                    user_op_hash: consent.userOpHash,
                    smart_account: consent.smartAccount,
                    session_key: consent.sessionKey,
                    session_nonce: consent.sessionNonce,
                    valid_after: task.terms.valid_after,
                    valid_until: task.terms.valid_until,
                });
            }
            Verdict::Reject(reason) => {
                rejected.push(Rejection { user_op_hash: *hash, smart_account: task.op.sender, reason: *reason as u8 });
            }
            Verdict::Abstain => {}
        }
    }
    let signature = Bytes::copy_from_slice(&said.signature);
    SignedVote { proposal: Header::from(&said.batch.proposed.proposal), approved, rejected, signature }
}

impl From<&Proposal> for Header {
    fn from(proposal: &Proposal) -> Self {
        Self {
            slot: proposal.slot,
            set_id: proposal.setId,
            task_definition_id: proposal.taskDefinitionId,
            performer: proposal.performer,
            aggregator: proposal.aggregator,
            pins: proposal.pins,
            tasks: proposal.tasks,
            target_chain_id: proposal.targetChainId,
        }
    }
}

impl Header {
    fn signed(&self) -> Proposal {
        Proposal {
            slot: self.slot,
            setId: self.set_id,
            taskDefinitionId: self.task_definition_id,
            performer: self.performer,
            aggregator: self.aggregator,
            pins: self.pins,
            tasks: self.tasks,
            targetChainId: self.target_chain_id,
        }
    }
}
