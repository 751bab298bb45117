//! What the ledger says of a task and of a batch.

use std::collections::BTreeMap;

use alloy::primitives::{B256, Bytes};
use ditto_core::clock::Slot;
use ditto_core::proposal::BatchId;
use ditto_core::task::Occurrence;
use serde::{Deserialize, Serialize};

use crate::submit::Submission;

/// What became of a proposed task. The last five are ends: a task reaches exactly one of them, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum TaskState {
    /// Proposed; votes are collected.
    Proposed,
    /// A quorum approved or rejected it.
    Certified,
    /// Its certificate was sent to the chain.
    Submitted,
    /// The operation was executed, successfully.
    Executed {
        /// In this transaction, whoever sent it.
        tx: B256,
    },
    /// A quorum rejected it, and the chain knows.
    Rejected {
        /// The verdict's label.
        reason: String,
    },
    /// It was approved and did not execute successfully.
    FailedOnChain {
        /// Why, as the chain says.
        reason: String,
    },
    /// The same operation was executed as part of another batch.
    Superseded {
        /// In this transaction.
        tx: B256,
    },
    /// Its validity ended first.
    Expired {
        /// `no_quorum` or `abstained`, with how the votes were divided where any were heard; or `not_submitted`.
        reason: String,
    },
}

impl TaskState {
    /// The metric's label.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Certified => "certified",
            Self::Submitted => "submitted",
            Self::Executed { .. } => "executed",
            Self::Rejected { .. } => "rejected",
            Self::FailedOnChain { .. } => "failed",
            Self::Superseded { .. } => "superseded",
            Self::Expired { .. } => "expired",
        }
    }

    /// Is this an end?
    #[must_use]
    pub fn is_end(&self) -> bool {
        !matches!(self, Self::Proposed | Self::Certified | Self::Submitted)
    }

    /// Whether a task may go from here to there: forward, and never on from an end.
    #[must_use]
    pub fn may_become(&self, next: &Self) -> bool {
        match (self, next) {
            (Self::Proposed, next) => *next != Self::Proposed,
            (Self::Certified, next) => !matches!(next, Self::Proposed | Self::Certified),
            (Self::Submitted, next) => next.is_end(),
            _ => false,
        }
    }
}

/// A task's line in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRecord {
    /// The batch it was proposed in.
    pub batch: BatchId,
    /// Its place there.
    pub place: u16,
    /// Which part of the batch it belongs to; 0 until another part took it.
    #[serde(default)]
    pub part: u16,
    /// The slot it was proposed in.
    pub slot: Slot,
    /// What is executed.
    pub occurrence: Occurrence,
    /// Its operation.
    pub user_op_hash: B256,
    /// When it was first seen, in milliseconds since the Unix epoch.
    pub proposed_ms: u64,
    /// When it ended; zero before.
    pub ended_ms: u64,
    /// What became of it.
    #[serde(flatten)]
    pub state: TaskState,
}

/// A quorum's word on a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateRecord {
    /// One byte per task.
    pub verdicts: Bytes,
    /// Indices in the operator set.
    pub signers: Vec<u32>,
    /// How many members that set has.
    pub members: u32,
    /// The sum of their signatures, uncompressed.
    pub signature: Bytes,
}

/// A batch, or a part of it, that is not wholly ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchRecord {
    /// Its bytes, as gossiped.
    pub wire: Bytes,
    /// The last second of its validity.
    pub valid_until: u64,
    /// The chain's head when it was proposed: nothing of it is older.
    pub since_block: u64,
    /// When it was first seen, in milliseconds since the Unix epoch.
    pub seen_ms: u64,
    /// The quorum's word, once there is one.
    pub certificate: Option<CertificateRecord>,
    /// The transaction that carries it, once there is one.
    pub submission: Option<Submission>,
    /// Why tasks (by place) did not go through so far; their end, if nothing better comes.
    pub notes: BTreeMap<u16, String>,
}
