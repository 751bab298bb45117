//! A batch as the pipeline carries it: what was proposed, its name, and its operations' hashes.

use std::sync::Arc;

use alloy::primitives::{B256, keccak256};
use alloy::sol_types::SolStruct;
use ditto_core::bls::Signature;
use ditto_core::clock::Slot;
use ditto_core::consent::{SigningDomain, UserOpRejection, VerdictBatch};
use ditto_core::proposal::{BatchId, ProposedBatch};
use ditto_core::verdict::{Verdict, VerdictVector};

/// A proposed batch that was checked.
#[derive(Debug)]
pub struct Batch {
    /// Its name.
    pub id: BatchId,
    /// What was proposed.
    pub proposed: ProposedBatch,
    /// userOpHash of every task, in order.
    pub hashes: Vec<B256>,
    /// hashStruct of the consent to every task, in order: what a vote for it signs, with others.
    consents: Vec<B256>,
    /// When this node first saw it, in milliseconds since the Unix epoch.
    pub seen_ms: u64,
}

impl Batch {
    /// A batch with this name; the hashes are computed.
    #[must_use]
    pub fn new(domain: &SigningDomain, id: BatchId, proposed: ProposedBatch, seen_ms: u64) -> Self {
        let hashes = proposed.tasks.iter().map(|task| domain.user_op_hash(task)).collect();
        let consents = proposed.tasks.iter().map(|task| domain.consent(task).eip712_hash_struct()).collect();
        Self { id, proposed, hashes, consents, seen_ms }
    }

    /// The slot it was proposed in.
    #[must_use]
    pub fn slot(&self) -> Slot {
        self.proposed.proposal.slot
    }

    /// The set it must be attested by.
    #[must_use]
    pub fn set_id(&self) -> u32 {
        self.proposed.proposal.setId
    }

    /// The last second at which any of its operations is valid.
    #[must_use]
    pub fn valid_until(&self) -> u64 {
        self.proposed.tasks.iter().map(|task| task.terms.valid_until).max().unwrap_or_default()
    }

    /// What a vote for these verdicts signs: [`SigningDomain::verdict_digest`], from hashes that are known.
    #[must_use]
    pub fn digest(&self, domain: &SigningDomain, verdicts: &VerdictVector) -> B256 {
        let (mut approved, mut rejected) = (Vec::new(), Vec::new());
        for (place, verdict) in verdicts.0.iter().enumerate().take(self.hashes.len()) {
            match verdict {
                Verdict::Approve => approved.extend_from_slice(self.consents[place].as_slice()),
                Verdict::Reject(reason) => {
                    let rejection = UserOpRejection {
                        userOpHash: self.hashes[place],
                        smartAccount: self.proposed.tasks[place].op.sender,
                        reason: *reason as u8,
                    };
                    rejected.extend_from_slice(rejection.eip712_hash_struct().as_slice());
                }
                Verdict::Abstain => {}
            }
        }
        let vote = VerdictBatch { proposal: self.id.proposal, approved: Vec::new(), rejected: Vec::new() };
        let fields = [vote.eip712_type_hash(), self.id.proposal, keccak256(approved), keccak256(rejected)];
        let signed = keccak256(fields.concat());
        keccak256([[0x19u8, 0x01].as_slice(), domain.eip712().separator().as_slice(), signed.as_slice()].concat())
    }
}

/// Names what one certificate decides of a batch.
///
/// Part 0 is the batch itself: whatever no other part took. A batch whose vote was split has further parts, each with
/// its own certificate and its own transaction; they share no task. On the chain they are the same batch: the contract
/// keeps one bit per task, and takes a certificate for those that are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartId {
    /// The batch.
    pub batch: BatchId,
    /// The part: 0, or one more than the place of the first task that it decides.
    pub part: u16,
}

impl From<BatchId> for PartId {
    fn from(batch: BatchId) -> Self {
        Self { batch, part: 0 }
    }
}

impl std::fmt::Display for PartId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.part {
            0 => write!(f, "{}", self.batch),
            part => write!(f, "{}.{part}", self.batch),
        }
    }
}

/// A batch, or a part of it, with enough power behind one verdict vector.
#[derive(Clone, Debug)]
pub struct Certified {
    /// The batch.
    pub batch: Arc<Batch>,
    /// Which part of it this decides; see [`PartId`].
    pub part: u16,
    /// The verdicts that were signed.
    pub verdicts: VerdictVector,
    /// Who signed: indices in the batch's operator set, ascending. Exactly their sum was checked.
    pub signers: Vec<usize>,
    /// How many members that set has.
    pub members: usize,
    /// The sum of their signatures.
    pub signature: Signature,
}

impl Certified {
    /// Its name.
    #[must_use]
    pub fn id(&self) -> PartId {
        PartId { batch: self.batch.id, part: self.part }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing::{batch, domain};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn a_digest_from_known_hashes_is_the_digest(
            bytes in proptest::collection::vec(prop_oneof![Just(0u8), Just(3u8), Just(9u8), Just(255u8)], 5),
        ) {
            let (batch, verdicts) = (batch(0, 5), VerdictVector::from_bytes(&bytes).unwrap());
            let plain = domain().verdict_digest(batch.id.proposal, &batch.proposed.tasks, &verdicts);
            prop_assert_eq!(batch.digest(&domain(), &verdicts), plain);
        }
    }
}
