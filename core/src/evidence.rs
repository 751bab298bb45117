//! Trigger evidence: what on the chains made an occurrence due.
//!
//! Interval and cron follow from the slot alone and leave no evidence. An event leaves the logs that were found in the
//! slot's window, a condition the answer it was compared with. Every operator makes these observations by itself, from the
//! same pins; the performer's travel with its tasks and are part of the proof of task, so an attester that saw something else
//! can say so, and point at it.

use alloy::primitives::{B256, U256, keccak256};
use serde::{Deserialize, Serialize};

/// The most observations of one trigger that travel: the first ones, by block and index. They name what happened; that more
/// happened changes nothing about the occurrence.
pub const PER_TRIGGER: usize = 4;
/// The most observations of one task: a workflow has at most eight triggers.
pub const MAX_OBSERVATIONS: usize = 32;

/// What was observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Observed {
    /// A log, by its index in the block; the digest is that of [`log_digest`].
    Log(u64),
    /// What a condition's call returned; the digest is its keccak256.
    Answer,
}

/// One observation on a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Observation {
    /// Which of the workflow's triggers, from 0.
    pub trigger: u8,
    /// EIP-155 id of the chain.
    pub chain_id: u64,
    /// The log's block, or the one that the condition was read at.
    pub block_number: u64,
    /// That block's hash.
    pub block_hash: B256,
    /// What was observed.
    pub observed: Observed,
    /// keccak256 of its content.
    pub digest: B256,
}

/// keccak256 over every observation's seven 32-byte words: trigger, kind (0 log, 1 answer), chain id, block number, block
/// hash, log index (0 for an answer), digest.
#[must_use]
pub fn hash_evidence(evidence: &[Observation]) -> B256 {
    let mut bytes = Vec::with_capacity(evidence.len() * 7 * 32);
    for seen in evidence {
        let (kind, index) = seen.observed.parts();
        for number in [u64::from(seen.trigger), u64::from(kind), seen.chain_id, seen.block_number] {
            bytes.extend_from_slice(&U256::from(number).to_be_bytes::<32>());
        }
        bytes.extend_from_slice(seen.block_hash.as_slice());
        bytes.extend_from_slice(&U256::from(index).to_be_bytes::<32>());
        bytes.extend_from_slice(seen.digest.as_slice());
    }
    keccak256(bytes)
}

/// keccak256 over a log's topics (their number as one byte before them) and data.
#[must_use]
pub fn log_digest(topics: &[B256], data: &[u8]) -> B256 {
    // A log has at most four topics.
    let count = u8::try_from(topics.len()).unwrap_or(u8::MAX);
    keccak256([&[count][..], topics.concat().as_slice(), data].concat())
}

impl Observed {
    /// The kind's number and the log's index, as they are hashed and travel.
    #[must_use]
    pub fn parts(self) -> (u8, u64) {
        match self {
            Self::Log(index) => (0, index),
            Self::Answer => (1, 0),
        }
    }

    /// The way back; `None` for a kind that does not exist, or an answer with an index.
    #[must_use]
    pub fn from_parts(kind: u8, index: u64) -> Option<Self> {
        match (kind, index) {
            (0, index) => Some(Self::Log(index)),
            (1, 0) => Some(Self::Answer),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    prop_compose! {
        fn observation()(trigger: u8, chain_id: u64, block_number: u64, log: Option<u64>, hash: u64, digest: u64) -> Observation {
            Observation {
                trigger,
                chain_id,
                block_number,
                block_hash: keccak256(hash.to_be_bytes()),
                observed: log.map_or(Observed::Answer, Observed::Log),
                digest: keccak256(digest.to_be_bytes()),
            }
        }
    }

    proptest! {
        #[test]
        fn different_evidence_has_different_hashes(
            a in proptest::collection::vec(observation(), 0..4),
            b in proptest::collection::vec(observation(), 0..4),
        ) {
            prop_assert_eq!(a == b, hash_evidence(&a) == hash_evidence(&b));
        }

        #[test]
        fn kinds_come_back(kind: u8, index: u64) {
            if let Some(observed) = Observed::from_parts(kind, index) {
                prop_assert_eq!(observed.parts(), (kind, index));
            } else {
                prop_assert!(kind > 0);
            }
        }
    }

    #[test]
    fn topics_do_not_pass_for_data() {
        let word = B256::repeat_byte(1);
        assert_ne!(log_digest(&[word], &[]), log_digest(&[], word.as_slice()));
    }
}
