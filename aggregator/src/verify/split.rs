//! Which tasks of a disputed batch can be decided, and which of them together: pure.
//!
//! One signature covers a whole verdict vector, so attesters who agree on every task but one stand in different groups,
//! and none may reach a quorum. Task by task the quorum may still be there. From the votes that were checked it follows
//! for every task whether one verdict on it has a quorum of its own; tasks whose supporters are still enough together
//! form a class. An attester whose verdicts agree with a class signs that class alone: the same verdicts, regrouped,
//! with abstentions elsewhere, which the contract takes as they are.

use std::collections::{BTreeMap, BTreeSet};

use ditto_core::committee::Electorate;
use ditto_core::verdict::{Verdict, VerdictVector};

use super::places::Places;

/// Who stands behind which verdict on which task.
pub type Support = BTreeMap<(usize, Verdict), BTreeSet<usize>>;

/// Tasks that can be decided together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// The verdicts to be signed: abstentions outside the class.
    pub verdicts: VerdictVector,
    /// Who said so before, of every task of the class.
    pub supporters: BTreeSet<usize>,
}

struct Own {
    place: usize,
    verdict: Verdict,
    supporters: BTreeSet<usize>,
    weight: u128,
}

/// The classes of those tasks of `open` that have a quorum of their own. When not `together`, every task is a class of its
/// own.
pub fn classes(electorate: &Electorate, tasks: usize, open: &Places, support: &Support, together: bool) -> Vec<Class> {
    let weight = |supporters: &BTreeSet<usize>| electorate.weight_of(supporters);
    let decides = |approves: bool, weight: u128| electorate.suffices(approves, weight);
    let mut own: BTreeMap<usize, Own> = BTreeMap::new();
    for ((place, verdict), supporters) in support.iter().filter(|((place, _), _)| open.holds(*place)) {
        let weight = weight(supporters);
        let approves = *verdict == Verdict::Approve;
        if *verdict == Verdict::Abstain || !decides(approves, weight) {
            continue;
        }
        // Two reasons for a rejection may both have their third: the heavier one goes.
        if own.get(place).is_none_or(|known| known.weight < weight) {
            own.insert(*place, Own { place: *place, verdict: *verdict, supporters: supporters.clone(), weight });
        }
    }
    let mut own: Vec<Own> = own.into_values().collect();
    own.sort_by(|a, b| b.weight.cmp(&a.weight).then(a.place.cmp(&b.place)));
    let mut classes: Vec<Class> = Vec::new();
    for task in own {
        let approves = task.verdict == Verdict::Approve;
        let best = classes
            .iter()
            .enumerate()
            .filter(|_| together)
            .filter_map(|(at, class)| {
                let both: BTreeSet<usize> = class.supporters.intersection(&task.supporters).copied().collect();
                let weight = weight(&both);
                decides(approves || class.verdicts.approves_any(), weight).then_some((weight, at, both))
            })
            // The one that loses the least; of equals the first.
            .max_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
        match best {
            Some((_, at, both)) => {
                classes[at].verdicts.0[task.place] = task.verdict;
                classes[at].supporters = both;
            }
            None => {
                let mut verdicts = VerdictVector(vec![Verdict::Abstain; tasks]);
                verdicts.0[task.place] = task.verdict;
                classes.push(Class { verdicts, supporters: task.supporters });
            }
        }
    }
    classes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing::{electorate, operator_set};
    use ditto_core::quorum::QuorumRule;
    use proptest::prelude::*;

    fn support(said: &[Vec<u8>]) -> Support {
        let mut support = Support::new();
        for (attester, bytes) in said.iter().enumerate() {
            for (place, byte) in bytes.iter().enumerate().filter(|(_, byte)| **byte != 255) {
                let verdict = Verdict::from_byte(*byte).unwrap();
                support.entry((place, verdict)).or_default().insert(attester);
            }
        }
        support
    }

    fn split(said: &[Vec<u8>], together: bool) -> Vec<(Vec<u8>, usize)> {
        let set = operator_set(&vec![1; said.len()]);
        let tasks = said[0].len();
        classes(&electorate(&set), tasks, &Places::all(tasks), &support(said), together)
            .into_iter()
            .map(|class| (class.verdicts.bytes(), class.supporters.len()))
            .collect()
    }

    #[test]
    fn neighbours_of_a_poisonous_task_stay_together() {
        let said = [vec![0, 0, 0], vec![0, 3, 0], vec![0, 255, 0], vec![0, 0, 0]];
        assert_eq!(split(&said, true), [(vec![0, 255, 0], 4)], "two of four approve the second, one rejects it");
        assert_eq!(split(&said, false), [(vec![0, 255, 255], 4), (vec![255, 255, 0], 4)]);
    }

    #[test]
    fn tasks_whose_supporters_differ_are_parted() {
        // Each task is approved by three of four, no two by the same three.
        let said = [vec![0, 0, 3], vec![0, 3, 0], vec![3, 0, 0], vec![0, 0, 0]];
        let parts = split(&said, true);
        assert_eq!(parts.len(), 3);
        assert!(parts.iter().all(|(_, supporters)| *supporters == 3));
    }

    #[test]
    fn a_third_rejects_for_one_reason_and_the_heavier_reason_goes() {
        let said = [vec![4], vec![4], vec![4], vec![3], vec![3], vec![255], vec![255], vec![255]];
        assert_eq!(split(&said, true), [(vec![4], 3)], "three of eight, of five that reject");
        assert!(split(&[vec![4], vec![3], vec![255], vec![0]], true).is_empty(), "no reason has its third");
    }

    proptest! {
        #[test]
        fn every_task_with_a_quorum_is_in_one_class_and_every_class_has_its_quorum(
            said in (1usize..8, 1usize..10).prop_flat_map(|(attesters, tasks)| {
                let byte = prop_oneof![6 => Just(0u8), 1 => Just(3u8), 1 => Just(4u8), 1 => Just(255u8)];
                proptest::collection::vec(proptest::collection::vec(byte, tasks), attesters)
            }),
            together: bool,
        ) {
            let (attesters, tasks) = (said.len() as u128, said[0].len());
            let rule = QuorumRule::default();
            let mut found = vec![255u8; tasks];
            for (verdicts, supporters) in split(&said, together) {
                let behind = said.iter().filter(|voice| voice.iter().zip(&verdicts).all(|(v, c)| *c == 255 || v == c));
                prop_assert_eq!(behind.count(), supporters);
                let decided = verdicts.iter().filter(|byte| **byte != 255).count();
                prop_assert!(decided > 0 && (together || decided == 1));
                let power = supporters as u128;
                let enough = if verdicts.contains(&0) { rule.approves(power, attesters) } else { rule.rejects(power, attesters) };
                prop_assert!(enough);
                for (place, byte) in verdicts.iter().enumerate().filter(|(_, byte)| **byte != 255) {
                    prop_assert_eq!(found[place], 255, "a task in two classes");
                    found[place] = *byte;
                }
            }
            for place in 0..tasks {
                let count = |byte: u8| said.iter().filter(|voice| voice[place] == byte).count() as u128;
                let own = rule.approves(count(0), attesters) || [3, 4].iter().any(|r| rule.rejects(count(*r), attesters));
                prop_assert_eq!(own, found[place] != 255, "task {} with a quorum of its own is left out, or the other way", place);
            }
        }
    }
}
