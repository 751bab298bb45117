//! Occurrences and tasks.
//!
//! A workflow that is due in a slot is an [`Occurrence`]; it is executed at most once, ever. A [`Task`] is the one
//! ERC-4337 operation that an occurrence came to, with the terms of its consent, the evidence that made it due, and the proof
//! of what was computed.

use alloy::primitives::{Address, B256, U256, keccak256};
use serde::{Deserialize, Serialize};

use crate::clock::Slot;
use crate::evidence::{Observation, hash_evidence};
use crate::userop::UserOperation;

/// A workflow's number in the registry, from 1.
pub type WorkflowId = u64;

/// A workflow that is due in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Occurrence {
    /// The workflow.
    pub workflow: WorkflowId,
    /// The slot in which its triggers fired.
    pub slot: Slot,
}

impl Occurrence {
    /// The number that the validator module spends: `workflow << 64 | slot`. Consecutive slots of one workflow share a
    /// word of the module's bitmap, which makes all but one in 256 of them cheap to spend.
    #[must_use]
    pub fn number(&self) -> U256 {
        (U256::from(self.workflow) << 64) | U256::from(self.slot)
    }

    /// The 32-bit lane of the EntryPoint nonce in which this occurrence's operation travels, so that an account runs
    /// several at once. Two occurrences of an account that share a lane share its sequence: the second one's
    /// operation is refused when both are in flight, and comes back.
    #[must_use]
    pub fn lane(&self) -> u32 {
        let digest = keccak256(self.number().to_be_bytes::<32>());
        u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
    }
}

impl std::fmt::Display for Occurrence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.workflow, self.slot)
    }
}

/// Under which session, and when, an operation may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ConsentTerms {
    /// Identifier of the authorised session.
    pub session_key: Address,
    /// First second (Unix time of the target chain) at which the operation is valid.
    pub valid_after: u64,
    /// Last second at which the operation is valid.
    pub valid_until: u64,
}

/// One operation of one occurrence, as it is proposed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// What is executed.
    pub occurrence: Occurrence,
    /// How it is executed.
    pub op: UserOperation,
    /// Under which terms.
    pub terms: ConsentTerms,
    /// What on the chains made it due.
    pub evidence: Vec<Observation>,
    /// Hash over everything else that went in and came out of the simulation; see [`ProofOfTask`].
    pub run: B256,
}

impl Task {
    /// The proof of task: keccak256 over [`Self::run`] and the hash of the evidence. So whoever has the task can check its
    /// evidence against the proof, which the performer signed.
    #[must_use]
    pub fn proof(&self) -> B256 {
        keccak256([self.run, hash_evidence(&self.evidence)].concat())
    }
}

/// Everything a simulation depended on and came to, besides the trigger evidence: hashed into [`Task::run`].
#[derive(Clone, Copy, Debug)]
pub struct ProofOfTask {
    /// The occurrence.
    pub occurrence: Occurrence,
    /// keccak256 of the published code.
    pub code_hash: B256,
    /// The engine that ran it.
    pub engine_id: B256,
    /// keccak256 of the published triggers.
    pub trigger: B256,
    /// Hash of the block pins.
    pub pins: B256,
    /// Hash of the reads and their answers, in the order of asking.
    pub reads: B256,
    /// keccak256 of the operation's call data.
    pub call_data: B256,
    /// The operation.
    pub user_op_hash: B256,
}

impl ProofOfTask {
    /// keccak256 over the fields, each a 32-byte word, in the order of their declaration.
    #[must_use]
    pub fn hash(&self) -> B256 {
        let mut words = Vec::with_capacity(8 * 32);
        words.extend_from_slice(&self.occurrence.number().to_be_bytes::<32>());
        for word in
            [self.code_hash, self.engine_id, self.trigger, self.pins, self.reads, self.call_data, self.user_op_hash]
        {
            words.extend_from_slice(word.as_slice());
        }
        keccak256(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_number_names_one_occurrence(workflow: u64, slot: u64, other: u64) {
            let occurrence = Occurrence { workflow, slot };
            let [low, high, 0, 0] = *occurrence.number().as_limbs() else { panic!("more than 128 bits") };
            prop_assert_eq!((high, low), (workflow, slot));
            prop_assert_eq!(other == slot, occurrence.number() == (Occurrence { workflow, slot: other }).number());
        }
    }
}
