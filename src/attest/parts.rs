//! Voting in parts: what the aggregator may ask of a vote that was given.
//!
//! When the votes on a batch disagree, the aggregator asks for votes on parts of it. An operator signs a part when it said
//! the same of every task in it: nothing new is said, so the journal has no conflict to find, and an operator that
//! disagrees signs nothing. How often it signs is bounded by the number of tasks, whatever it is asked. When the aggregator
//! is gone, the operators that submit first in the slot may ask as well; what one of them asks takes nothing from another.

use std::sync::Arc;

use alloy::primitives::B256;
use ditto_core::proposal::ProposedBatch;
use ditto_core::verdict::{Verdict, VerdictVector};
use ditto_core::wire::Split;

use crate::standby::FIRST;

/// How often one task may be voted on again for one who asks: it asks twice, and may have been restarted in between.
const AT_MOST: u8 = 4;
/// Who may ask: the aggregator, and the first standbys of the slot after it.
const ASKERS: usize = 1 + FIRST;

/// The place of the network's aggregator among those who may ask; the standbys follow.
pub const AGGREGATOR: usize = 0;

/// A batch that this operator judged.
#[derive(Debug)]
pub struct Voted {
    /// The batch.
    pub batch: Arc<ProposedBatch>,
    /// The userOpHash of every task.
    pub hashes: Arc<[B256]>,
    /// What was said of it.
    pub verdicts: VerdictVector,
    /// How often each task was voted on again, for each who asks.
    again: [Vec<u8>; ASKERS],
}

impl Voted {
    /// A batch with its verdicts.
    #[must_use]
    pub fn new(batch: Arc<ProposedBatch>, hashes: Arc<[B256]>, verdicts: VerdictVector) -> Self {
        let again = std::array::from_fn(|_| vec![0; verdicts.0.len()]);
        Self { batch, hashes, verdicts, again }
    }

    /// The parts asked for that this operator signs: those it agrees with, as often as it may for whoever asks.
    pub fn parts(&mut self, split: &Split, asker: usize) -> Vec<VerdictVector> {
        let mut parts = Vec::new();
        let Some(again) = self.again.get_mut(asker) else { return parts };
        for vector in &split.vectors {
            let decided = || vector.0.iter().enumerate().filter(|(_, verdict)| **verdict != Verdict::Abstain);
            let agrees = vector.0.len() == self.verdicts.0.len()
                && decided().all(|(at, verdict)| self.verdicts.0[at] == *verdict)
                && decided().all(|(at, _)| again[at] < AT_MOST);
            if agrees {
                decided().for_each(|(at, _)| again[at] += 1);
                parts.push(vector.clone());
            }
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use alloy::primitives::{Address, U256};
    use ditto_core::consent::Proposal;
    use ditto_core::proposal::BatchId;
    use proptest::prelude::*;

    fn vector(bytes: &[u8]) -> VerdictVector {
        VerdictVector::from_bytes(bytes).unwrap()
    }

    fn voted(bytes: &[u8]) -> Voted {
        let proposal = Proposal {
            slot: 0,
            setId: 0,
            taskDefinitionId: 0,
            performer: Address::ZERO,
            aggregator: Address::ZERO,
            pins: B256::ZERO,
            tasks: B256::ZERO,
            targetChainId: U256::ZERO,
        };
        let batch = ProposedBatch {
            proposal,
            signature: [0; 65],
            engine_id: B256::ZERO,
            pins: vec![],
            batch_hashes: vec![],
            index: 0,
            tasks: vec![],
        };
        Voted::new(Arc::new(batch), vec![B256::ZERO; bytes.len()].into(), vector(bytes))
    }

    fn split(vectors: &[&[u8]]) -> Split {
        let vectors = vectors.iter().map(|bytes| vector(bytes)).collect();
        Split { batch: BatchId { proposal: B256::ZERO, index: 0 }, round: 0, vectors, signature: [0; 65] }
    }

    #[test]
    fn only_what_was_said_is_said_again() {
        let mut voted = voted(&[0, 3, 255, 0]);
        let asked =
            split(&[&[0, 255, 255, 255], &[255, 0, 255, 255], &[255, 255, 0, 255], &[255, 255, 255, 3], &[0, 0]]);
        assert_eq!(voted.parts(&asked, AGGREGATOR), [vector(&[0, 255, 255, 255])]);
        assert_eq!(voted.parts(&split(&[&[255, 3, 255, 0]]), AGGREGATOR), [vector(&[255, 3, 255, 0])]);
        assert!(
            voted.parts(&split(&[&[255, 4, 255, 255]]), AGGREGATOR).is_empty(),
            "another reason is another verdict"
        );
    }

    #[test]
    fn whoever_asks_much_takes_nothing_from_another() {
        let (mut voted, question) = (voted(&[0, 0]), split(&[&[0, 255]]));
        let answered = |voted: &mut Voted, asker| (0..9).filter(|_| !voted.parts(&question, asker).is_empty()).count();
        for asker in 0..ASKERS {
            assert_eq!(answered(&mut voted, asker), usize::from(AT_MOST));
        }
        assert_eq!(answered(&mut voted, ASKERS), 0, "a stranger");
    }

    proptest! {
        #[test]
        fn no_series_of_questions_makes_it_sign_much_or_anything_new(
            own in proptest::collection::vec(prop_oneof![Just(0u8), Just(3u8), Just(255u8)], 1..6),
            asked in proptest::collection::vec(
                proptest::collection::vec(proptest::collection::vec(prop_oneof![Just(0u8), Just(3u8), Just(255u8)], 1..6), 0..4),
                0..20,
            ),
        ) {
            let mut voted = voted(&own);
            let mut signed = vec![0u8; own.len()];
            for vectors in asked {
                let vectors: Vec<&[u8]> = vectors.iter().map(Vec::as_slice).collect();
                for part in voted.parts(&split(&vectors), AGGREGATOR) {
                    for (at, byte) in part.bytes().into_iter().enumerate().filter(|(_, byte)| *byte != 255) {
                        prop_assert_eq!(byte, own[at]);
                        signed[at] += 1;
                    }
                }
            }
            prop_assert!(signed.iter().all(|times| *times <= AT_MOST));
        }
    }
}
