//! What can happen to an occurrence, as it is written down.

use alloy::primitives::{Address, B256};
use ditto_core::clock::Slot;
use ditto_core::task::Occurrence;
use serde::{Deserialize, Serialize};

/// One line of the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// When, in milliseconds of Unix time.
    pub at_ms: u64,
    /// The workflow.
    pub workflow: u64,
    /// The slot in which its triggers fired.
    pub slot: Slot,
    /// The slot in which it is attempted; a later one when it was carried over.
    pub attempt: Slot,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

impl Line {
    /// Whether this is about an occurrence.
    #[must_use]
    pub fn is_of(&self, occurrence: Occurrence) -> bool {
        self.workflow == occurrence.workflow && self.slot == occurrence.slot
    }
}

/// What happened to an occurrence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Event {
    /// Its triggers fired, or it was taken up again.
    Due {
        /// Number of the target chain's pin.
        pin: u64,
        /// Hash of the code that runs.
        code: B256,
    },
    /// It was simulated.
    Simulated {
        /// The outcome's kind.
        outcome: String,
        /// What the outcome says beyond its kind.
        detail: String,
        /// Wall-clock time, in milliseconds.
        wall_ms: u64,
        /// Reads made.
        reads: usize,
        /// Largest resident set, in bytes.
        memory_bytes: u64,
    },
    /// What its calls came to.
    Found {
        /// `operation`, `nothing`, `refused` or `trouble`.
        finding: String,
        /// The operation's hash, or the reason.
        detail: String,
    },
    /// This operator signed a verdict on it.
    Judged {
        /// Who proposed it.
        performer: Address,
        /// The proposal's digest.
        proposal: B256,
        /// The operation's hash.
        operation: B256,
        /// The verdict.
        verdict: String,
    },
    /// This operator proposed it.
    Proposed {
        /// Its rank in the slot.
        rank: u64,
        /// The operation's hash.
        operation: B256,
    },
}
