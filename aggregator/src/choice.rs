//! Which of the available votes are submitted.
//!
//! On the chain a certificate costs one point addition per signer; or, where more than half of the members sign, a fixed
//! price and one addition per member that did not, of whose keys the sum is subtracted from everybody's. So the cheapest
//! set is either as few as suffice or as many as there are; a configured margin on top of the former survives a member
//! that is jailed before the transaction is mined.

use std::collections::BTreeSet;

use ditto_core::committee::Electorate;

/// Gas of OBLS.verify by who signs, measured over 96 members (`contracts/test/Gas.t.sol`, which holds these to be true).
const PER_SIGNER: u64 = 1_450;
/// A second chunk of keys, a negation and the longer search.
const SUBTRACTING: u64 = 20_000;
const PER_MISSING: u64 = 1_250;

/// What it costs to submit so many signers of so many members, above what every certificate costs.
fn gas(signers: usize, members: usize) -> u64 {
    let missing = members.saturating_sub(signers) as u64;
    match signers.saturating_mul(2) > members {
        true if missing == 0 => 0,
        true => SUBTRACTING + PER_MISSING * missing,
        false => PER_SIGNER * signers as u64,
    }
}

/// The members to submit, ascending; `None` when all that are available do not suffice. Who has no seat, or no power, is
/// never among them: the contract refuses its signature.
#[must_use]
pub fn cheapest(
    electorate: &Electorate,
    available: &BTreeSet<usize>,
    suffices: impl Fn(u128) -> bool,
    margin: usize,
) -> Option<Vec<usize>> {
    let mut heaviest: Vec<(usize, u128)> =
        available.iter().map(|&index| (index, electorate.weight(index))).filter(|(_, weight)| *weight > 0).collect();
    heaviest.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    let mut signed = 0u128;
    let enough = heaviest.iter().position(|(_, more)| {
        signed = signed.saturating_add(*more);
        suffices(signed)
    })? + 1;
    let few = enough.saturating_add(margin).min(heaviest.len());
    let members = electorate.members();
    let chosen = if gas(heaviest.len(), members) <= gas(few, members) { heaviest.len() } else { few };
    let mut signers: Vec<usize> = heaviest.iter().take(chosen).map(|(index, _)| *index).collect();
    signers.sort_unstable();
    Some(signers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{electorate, operator_set};
    use ditto_core::quorum::TaskRule;

    #[test]
    fn all_when_that_is_cheap_and_few_with_margin_when_not() {
        let everybody = electorate(&operator_set(&[1; 12]));
        let approves = |signed| everybody.suffices(true, signed);
        let all: BTreeSet<usize> = (0..12).collect();
        assert_eq!(cheapest(&everybody, &all, approves, 1).map(|s| s.len()), Some(12), "nothing to subtract");
        let eight: BTreeSet<usize> = (0..8).collect();
        assert_eq!(cheapest(&everybody, &eight, approves, 1), None, "exactly two thirds");
        // One third rejects: four signers and the margin are cheaper than six.
        let rejects = |signed| everybody.suffices(false, signed);
        let six: BTreeSet<usize> = (3..9).collect();
        assert_eq!(cheapest(&everybody, &six, rejects, 1), Some(vec![3, 4, 5, 6, 7]));
    }

    #[test]
    fn power_decides_and_who_has_none_never_signs() {
        let available: BTreeSet<usize> = (0..4).collect();
        let heavy = electorate(&operator_set(&[0, 10, 1, 1]));
        let chosen = cheapest(&heavy, &available, |signed| heavy.suffices(true, signed), 0);
        assert_eq!(chosen, Some(vec![1]), "one of four signs for less than a missing one costs");
        let most: BTreeSet<usize> = (1..4).collect();
        let even = electorate(&operator_set(&[3, 4, 4, 4]));
        let chosen = cheapest(&even, &most, |signed| even.suffices(true, signed), 0);
        assert_eq!(chosen, Some(vec![1, 2, 3]), "all that are there");
    }

    #[test]
    fn by_seats_the_heaviest_go_first_and_nobody_without_one() {
        // Five seats among eight: the first member has at least three of them.
        let set = operator_set(&[100, 10, 10, 10, 10, 10, 10, 10]);
        let rule = TaskRule { max_attesters: 5, ..TaskRule::default() };
        for slot in 0..50 {
            let seated = Electorate::new(&set, &rule, slot);
            let all: BTreeSet<usize> = (0..8).collect();
            let approves = |signed| seated.suffices(true, signed);
            let chosen = cheapest(&seated, &all, approves, 0).unwrap_or_default();
            assert_eq!(chosen[0], 0);
            assert!(chosen.iter().all(|member| seated.weight(*member) > 0));
            assert!(3 * seated.weight_of(&chosen) > 10, "more than two thirds of five seats");
            let without_last: Vec<usize> = chosen[..chosen.len() - 1].to_vec();
            assert!(!approves(seated.weight_of(&without_last)), "and not one more than it takes");
            let unseated: BTreeSet<usize> = all.into_iter().filter(|member| seated.weight(*member) == 0).collect();
            assert_eq!(cheapest(&seated, &unseated, approves, 0), None);
        }
    }
}
