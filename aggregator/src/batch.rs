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

/// A batch with enough power behind one verdict vector.
#[derive(Clone, Debug)]
pub struct Certified {
    /// The batch.
    pub batch: Arc<Batch>,
    /// The verdicts that were signed.
    pub verdicts: VerdictVector,
    /// Who signed: indices in the batch's operator set, ascending. Exactly their sum was checked.
    pub signers: Vec<usize>,
    /// How many members that set has.
    pub members: usize,
    /// The sum of their signatures.
    pub signature: Signature,
}
