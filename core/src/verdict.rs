//! What an attester says of a batch: one verdict per task, as a vector.
//!
//! On the wire and on the chain a verdict is one byte: 0 approves, 255 abstains, everything else is the reason of a
//! rejection. Votes are grouped by the whole vector, because one signature covers it.

use serde::{Deserialize, Serialize};

/// Why a task was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u8)]
pub enum Reason {
    /// The workflow was not due: no such trigger, not published, cancelled, or outside its window.
    NotDue = 1,
    /// The attester's own run came to no calls.
    NothingToDo = 2,
    /// The attester's own run came to another operation.
    OtherOperation = 3,
    /// The operation breaks the session's policy.
    Policy = 4,
    /// The session is unknown, revoked or expired.
    Session = 5,
    /// The occurrence was executed before.
    Spent = 6,
    /// The operation fails when it is run at the pin.
    Reverts = 7,
    /// The workflow's code ended in an error.
    Threw = 8,
    /// The proof of task is not the attester's.
    OtherProof = 9,
    /// What made the occurrence due, as the performer tells it, is not what the attester saw.
    OtherEvidence = 10,
}

impl Reason {
    const ALL: [Self; 10] = [
        Self::NotDue,
        Self::NothingToDo,
        Self::OtherOperation,
        Self::Policy,
        Self::Session,
        Self::Spent,
        Self::Reverts,
        Self::Threw,
        Self::OtherProof,
        Self::OtherEvidence,
    ];

    /// The reason as a metric label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::NotDue => "not_due",
            Self::NothingToDo => "nothing_to_do",
            Self::OtherOperation => "other_operation",
            Self::Policy => "policy",
            Self::Session => "session",
            Self::Spent => "spent",
            Self::Reverts => "reverts",
            Self::Threw => "threw",
            Self::OtherProof => "other_proof",
            Self::OtherEvidence => "other_evidence",
        }
    }
}

/// What an attester says of one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Verdict {
    /// The attester came to the same operation.
    Approve,
    /// The task is wrong.
    Reject(Reason),
    /// The attester cannot say: its own machine, node or time failed it.
    Abstain,
}

impl Verdict {
    /// The verdict's byte.
    #[must_use]
    pub fn byte(self) -> u8 {
        match self {
            Self::Approve => 0,
            Self::Reject(reason) => reason as u8,
            Self::Abstain => 255,
        }
    }

    /// The verdict of a byte; `None` for a reason that does not exist.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Approve),
            255 => Some(Self::Abstain),
            _ => Reason::ALL.into_iter().find(|reason| *reason as u8 == byte).map(Self::Reject),
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Approve => f.write_str("approve"),
            Self::Reject(reason) => write!(f, "reject ({})", reason.label()),
            Self::Abstain => f.write_str("abstain"),
        }
    }
}

/// One verdict per task of a batch, in the batch's order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VerdictVector(pub Vec<Verdict>);

/// As its bytes, in pieces: votes are grouped by vector, and hashing verdict by verdict costs more than adding the vote.
impl std::hash::Hash for VerdictVector {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write_usize(self.0.len());
        for piece in self.0.chunks(64) {
            let mut bytes = [0; 64];
            bytes.iter_mut().zip(piece).for_each(|(byte, verdict)| *byte = verdict.byte());
            state.write(&bytes[..piece.len()]);
        }
    }
}

impl VerdictVector {
    /// The vector of these bytes; `None` when one of them is no verdict.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.iter().map(|byte| Verdict::from_byte(*byte)).collect::<Option<_>>().map(Self)
    }

    /// One byte per task.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.0.iter().map(|verdict| verdict.byte()).collect()
    }

    /// Whether a task is approved.
    #[must_use]
    pub fn approves_any(&self) -> bool {
        self.0.contains(&Verdict::Approve)
    }

    /// Whether nothing is approved or rejected: such a vector is never signed.
    #[must_use]
    pub fn abstains_wholly(&self) -> bool {
        self.0.iter().all(|verdict| *verdict == Verdict::Abstain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_reads_back_or_is_refused() {
        for byte in 0..=255 {
            if let Some(verdict) = Verdict::from_byte(byte) {
                assert_eq!(verdict.byte(), byte);
            } else {
                assert!((10..255).contains(&byte));
            }
        }
    }
}
