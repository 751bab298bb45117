//! What is fixed for one slot: the pins it is read at, the operator set, who performs.

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy::primitives::{B256, keccak256};
use ditto_core::chain::{Batcher, Head};
use ditto_core::clock::Slot;
use ditto_core::committee::Standing;
use ditto_core::evidence::Observation;
use ditto_core::operators::OperatorSet;
use ditto_core::proposal::Pin;
use ditto_core::stage::Deadline;
use ditto_core::task::{Occurrence, WorkflowId};

use crate::build::Finding;
use crate::ingest::Workflow;
use crate::simulate::SlotReads;

/// A slot, as this operator sees it. Shared by everything that happens in the slot.
#[derive(Debug)]
pub struct SlotContext {
    /// The slot.
    pub slot: Slot,
    /// Its first second, Unix time.
    pub start_seconds: u64,
    /// The target chain's pin.
    pub head: Head,
    /// The pins of all chains.
    pub pins: Vec<Pin>,
    /// Hash of the pins.
    pub pins_hash: B256,
    /// The operator set that is current at the pin.
    pub set: Arc<OperatorSet>,
    /// Performers by rank: indices into the set.
    pub ranks: Vec<usize>,
    /// This operator's rank, if it may perform.
    pub own_rank: Option<usize>,
    /// This operator's index in the set, if it is a member.
    pub own_index: Option<usize>,
    /// Whether its votes count in this slot, and why not.
    pub own_standing: Standing,
    /// What the slot's runs read.
    pub reads: Arc<SlotReads>,
    /// The end of the slot: nothing is simulated after it.
    pub end: Deadline,
    /// The end of the operations' validity: a vote is worth casting until then.
    pub votes_until: Deadline,
}

impl SlotContext {
    /// The seed of a workflow's `Math.random`: different for every slot and workflow, equal on every operator.
    #[must_use]
    pub fn seed(&self, workflow: WorkflowId) -> B256 {
        seed(self.slot, workflow, self.pins_hash)
    }
}

/// The seed of a workflow's `Math.random` in a slot with these pins.
#[must_use]
pub fn seed(slot: Slot, workflow: WorkflowId, pins_hash: B256) -> B256 {
    let mut bytes = [0; 48];
    bytes[..8].copy_from_slice(&slot.to_be_bytes());
    bytes[8..16].copy_from_slice(&workflow.to_be_bytes());
    bytes[16..].copy_from_slice(pins_hash.as_slice());
    keccak256(bytes)
}

/// The chains' batchers, by chain id.
pub type Chains = BTreeMap<u64, Batcher>;

/// A due workflow in its slot, on its way to the sandbox.
#[derive(Clone, Debug)]
pub struct Due {
    /// The slot it is attempted in.
    pub context: Arc<SlotContext>,
    /// The occurrence; of an earlier slot when it was carried over.
    pub occurrence: Occurrence,
    /// The workflow.
    pub workflow: Arc<Workflow>,
    /// Its code.
    pub code: Arc<[u8]>,
    /// What on the chains made it due.
    pub evidence: Arc<[Observation]>,
}

/// What proposing and judging learn of a slot.
#[derive(Clone, Debug)]
pub enum Note {
    /// The slot was planned: these occurrences are due.
    Planned {
        /// The slot.
        context: Arc<SlotContext>,
        /// Everything that is due in it.
        due: Arc<[Occurrence]>,
    },
    /// An occurrence was simulated and built, or could not be.
    Found {
        /// The slot.
        slot: Slot,
        /// The occurrence.
        occurrence: Occurrence,
        /// What it came to.
        finding: Arc<Finding>,
    },
}
