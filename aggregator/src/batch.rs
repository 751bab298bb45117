//! A batch as the pipeline carries it: what was proposed, its name, and its operations' hashes.

use std::sync::Arc;

use alloy::primitives::B256;
use ditto_core::bls::Signature;
use ditto_core::clock::Slot;
use ditto_core::consent::SigningDomain;
use ditto_core::proposal::{BatchId, ProposedBatch};
use ditto_core::verdict::VerdictVector;

/// A proposed batch that was checked.
#[derive(Debug)]
pub struct Batch {
    /// Its name.
    pub id: BatchId,
    /// What was proposed.
    pub proposed: ProposedBatch,
    /// userOpHash of every task, in order.
    pub hashes: Vec<B256>,
    /// When this node first saw it, in milliseconds since the Unix epoch.
    pub seen_ms: u64,
}

impl Batch {
    /// A batch with this name; the hashes are computed.
    #[must_use]
    pub fn new(domain: &SigningDomain, id: BatchId, proposed: ProposedBatch, seen_ms: u64) -> Self {
        let hashes = proposed.tasks.iter().map(|task| domain.user_op_hash(task)).collect();
        Self { id, proposed, hashes, seen_ms }
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

    /// What a vote for these verdicts signs.
    #[must_use]
    pub fn digest(&self, domain: &SigningDomain, verdicts: &VerdictVector) -> B256 {
        domain.verdict_digest(self.id.proposal, &self.proposed.tasks, verdicts)
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
