//! Which of the available votes are submitted.
//!
//! On the chain a certificate costs one point addition per signer, or one subtraction per member that did not sign,
//! whichever is fewer. So the cheapest set is either as many as possible or as few as suffice; a configured margin on
//! top of the latter survives a member that is jailed before the transaction is mined.

use std::collections::BTreeSet;

use ditto_core::operators::OperatorSet;

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
    let cost = |signers: usize| signers.min(set.members.len().saturating_sub(signers));
    let chosen = if cost(heaviest.len()) <= cost(few) { heaviest.len() } else { few };
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
        assert_eq!(chosen, Some(vec![1, 2, 3]), "as cheap as the heaviest alone, and surer");
    }
}
