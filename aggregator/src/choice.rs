//! Which of the available votes are submitted.
//!
//! On the chain a certificate costs one point addition per signer; or, where more than half of the members sign, a fixed
//! price and one addition per member that did not, of whose keys the sum is subtracted from everybody's. So the cheapest
//! set is either as few as suffice or as many as there are; a configured margin on top of the former survives a member
//! that is jailed before the transaction is mined.

use std::collections::BTreeSet;

use ditto_core::operators::OperatorSet;

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

/// The members to submit, ascending; `None` when all that are available do not suffice.
#[must_use]
pub fn cheapest(
    set: &OperatorSet,
    available: &BTreeSet<usize>,
    suffices: impl Fn(u128) -> bool,
    margin: usize,
) -> Option<Vec<usize>> {
    let mut heaviest: Vec<(usize, u128)> = available
        .iter()
        .filter_map(|&index| set.members.get(index).map(|member| (index, member.power)))
        .filter(|(_, power)| *power > 0)
        .collect();
    heaviest.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    let mut power = 0u128;
    let enough = heaviest.iter().position(|(_, more)| {
        power = power.saturating_add(*more);
        suffices(power)
    })? + 1;
    let few = enough.saturating_add(margin).min(heaviest.len());
    let members = set.members.len();
    let chosen = if gas(heaviest.len(), members) <= gas(few, members) { heaviest.len() } else { few };
    let mut signers: Vec<usize> = heaviest.iter().take(chosen).map(|(index, _)| *index).collect();
    signers.sort_unstable();
    Some(signers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::operator_set;
    use ditto_core::quorum::QuorumRule;

    #[test]
    fn all_when_that_is_cheap_and_few_with_margin_when_not() {
        let rule = QuorumRule::default();
        let set = operator_set(&[1; 12]);
        let approves = |signed| rule.approves(signed, 12);
        let all: BTreeSet<usize> = (0..12).collect();
        assert_eq!(cheapest(&set, &all, approves, 1).map(|s| s.len()), Some(12), "nothing to subtract");
        let eight: BTreeSet<usize> = (0..8).collect();
        assert_eq!(cheapest(&set, &eight, approves, 1), None, "exactly two thirds");
        // One third rejects: four signers and the margin are cheaper than six.
        let rejects = |signed| rule.rejects(signed, 12);
        let six: BTreeSet<usize> = (3..9).collect();
        assert_eq!(cheapest(&set, &six, rejects, 1), Some(vec![3, 4, 5, 6, 7]));
    }

    #[test]
    fn power_decides_and_who_has_none_never_signs() {
        let set = operator_set(&[0, 10, 1, 1]);
        let available: BTreeSet<usize> = (0..4).collect();
        let approves = |signed| QuorumRule::default().approves(signed, 12);
        let chosen = cheapest(&set, &available, approves, 0);
        assert_eq!(chosen, Some(vec![1]), "one of four signs for less than a missing one costs");
        let most: BTreeSet<usize> = (1..4).collect();
        let set = operator_set(&[3, 4, 4, 4]);
        let approves = |signed| QuorumRule::default().approves(signed, 15);
        assert_eq!(cheapest(&set, &most, approves, 0), Some(vec![1, 2, 3]), "all that are there");
    }
}
