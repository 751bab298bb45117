//! How the votes on a task that no quorum decided were divided: the reason of its end.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;

use ditto_core::committee::Electorate;
use ditto_core::proposal::BatchId;
use ditto_core::verdict::{Verdict, VerdictVector};

/// Batches whose tallies are kept after they are over, until their tasks are written off.
const KEPT: usize = 1_024;

/// A task's votes, in voting power, or in seats where a committee votes. As they were heard: a vote that no certificate was made of was not checked, and who
/// was heard on both sides counts on both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// For it.
    pub approve: u128,
    /// Against it, for whatever reason.
    pub reject: u128,
    /// Heard on its batch, and on neither side.
    pub abstain: u128,
    /// Not heard.
    pub silent: u128,
    /// All there is.
    pub total: u128,
    /// Whether seats are counted.
    pub seats: bool,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { approve, reject, abstain, silent, total, seats } = self;
        match seats {
            true => write!(f, "of {total} seats: ")?,
            false => write!(f, "of a power of {total}: ")?,
        }
        write!(f, "{approve} approve, {reject} reject, {abstain} abstain, {silent} silent")
    }
}

/// Counts the votes on every task of a batch of so many; `votes` are the vectors and who was heard for each.
pub fn count<'a>(
    electorate: &Electorate,
    tasks: usize,
    heard: &BTreeSet<usize>,
    votes: impl Iterator<Item = (&'a VerdictVector, Vec<usize>)>,
) -> Vec<Tally> {
    let mut sides = vec![(BTreeSet::new(), BTreeSet::new()); tasks];
    for (verdicts, members) in votes {
        for ((approve, reject), verdict) in sides.iter_mut().zip(&verdicts.0) {
            match verdict {
                Verdict::Approve => approve.extend(members.iter().copied()),
                Verdict::Reject(_) => reject.extend(members.iter().copied()),
                Verdict::Abstain => {}
            }
        }
    }
    let weight_of = |members: &mut dyn Iterator<Item = usize>| {
        members.fold(0u128, |sum, member| sum.saturating_add(electorate.weight(member)))
    };
    let tally = |(approve, reject): (BTreeSet<usize>, BTreeSet<usize>)| Tally {
        approve: weight_of(&mut approve.iter().copied()),
        reject: weight_of(&mut reject.iter().copied()),
        abstain: weight_of(&mut heard.iter().copied().filter(|who| !approve.contains(who) && !reject.contains(who))),
        silent: weight_of(&mut (0..electorate.members()).filter(|who| !heard.contains(who))),
        total: electorate.total(),
        seats: electorate.seats().is_some(),
    };
    sides.into_iter().map(tally).collect()
}

/// The tallies of batches that are over.
#[derive(Debug, Default)]
pub struct Tallies(VecDeque<(BatchId, Vec<Tally>)>);

impl Tallies {
    /// Keeps a batch's; the oldest makes room.
    pub fn keep(&mut self, id: BatchId, tallies: Vec<Tally>) {
        if self.0.len() >= KEPT {
            self.0.pop_front();
        }
        self.0.push_back((id, tallies));
    }

    /// A task's, if any vote on its batch was heard in this run.
    #[must_use]
    pub fn of(&self, id: BatchId, place: u16) -> Option<Tally> {
        let (_, tallies) = self.0.iter().rev().find(|(batch, _)| *batch == id)?;
        tallies.get(usize::from(place)).copied()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing::{batch, electorate, operator_set};
    use proptest::prelude::*;

    #[test]
    fn a_tally_says_who_was_on_which_side_and_who_was_not_there() {
        let set = operator_set(&[10, 20, 30, 40, 0]);
        let electorate = electorate(&set);
        let vector = |bytes: &[u8]| VerdictVector::from_bytes(bytes).unwrap();
        let (whole, part) = (vector(&[0, 3, 255]), vector(&[255, 0, 255]));
        let votes = [(&whole, vec![0, 1]), (&part, vec![2])];
        let heard = [0, 1, 2].into();
        let tallies = count(&electorate, 3, &heard, votes.into_iter());
        let tally = |approve, reject, abstain| Tally { approve, reject, abstain, silent: 40, total: 100, seats: false };
        assert_eq!(tallies, [tally(30, 0, 30), tally(30, 30, 0), tally(0, 0, 60)]);
        assert_eq!(tallies[1].to_string(), "of a power of 100: 30 approve, 30 reject, 0 abstain, 40 silent");
    }

    #[test]
    fn the_last_batches_are_remembered() {
        let mut tallies = Tallies::default();
        let id = batch(0, 1).id;
        tallies.keep(id, vec![Tally { total: 7, ..Tally::default() }]);
        assert_eq!(tallies.of(id, 0).unwrap().total, 7);
        assert_eq!(tallies.of(id, 1), None);
        for number in 0..KEPT as u64 {
            let proposal = alloy::primitives::B256::from(alloy::primitives::U256::from(number));
            tallies.keep(BatchId { proposal, index: 0 }, vec![]);
        }
        assert_eq!((tallies.of(id, 0), tallies.0.len()), (None, KEPT));
    }

    proptest! {
        #[test]
        fn nobody_is_left_out_of_a_tally(
            said in proptest::collection::vec((any::<bool>(), proptest::collection::vec(prop_oneof![Just(0u8), Just(3u8), Just(255u8)], 4)), 1..8),
        ) {
            let set = operator_set(&(1..=said.len() as u128).collect::<Vec<_>>());
            let vectors: Vec<_> = said.iter().map(|(_, bytes)| VerdictVector::from_bytes(bytes).unwrap()).collect();
            let heard: BTreeSet<usize> = (0..said.len()).filter(|who| said[*who].0).collect();
            let votes = heard.iter().map(|who| (&vectors[*who], vec![*who]));
            let electorate = electorate(&set);
            for tally in count(&electorate, 4, &heard, votes) {
                prop_assert_eq!(tally.approve + tally.reject + tally.abstain + tally.silent, set.total_power);
            }
        }
    }
}
