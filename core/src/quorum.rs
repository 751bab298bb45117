//! Thresholds by voting power, or by seats of a committee ([`crate::committee`]), in integers.
//!
//! A verdict vector that approves needs strictly more than the approval fraction of the total power (two thirds by
//! default), one that only rejects needs at least the rejection fraction (one third). A rule is valid only when the
//! two cannot both be met.

use serde::{Deserialize, Serialize};

/// The fractions of a task definition. Powers are at most 96 bits and fractions 32, so products fit 128 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuorumRule {
    /// Numerator of the approval fraction.
    pub approve_numerator: u32,
    /// Denominator of the approval fraction.
    pub approve_denominator: u32,
    /// Numerator of the rejection fraction.
    pub reject_numerator: u32,
    /// Denominator of the rejection fraction.
    pub reject_denominator: u32,
}

impl Default for QuorumRule {
    fn default() -> Self {
        Self { approve_numerator: 2, approve_denominator: 3, reject_numerator: 1, reject_denominator: 3 }
    }
}

impl QuorumRule {
    /// Whether `signed` of `total` approves: strictly more than the fraction.
    #[must_use]
    pub fn approves(&self, signed: u128, total: u128) -> bool {
        total > 0 && signed * u128::from(self.approve_denominator) > total * u128::from(self.approve_numerator)
    }

    /// Whether `signed` of `total` rejects: at least the fraction.
    #[must_use]
    pub fn rejects(&self, signed: u128, total: u128) -> bool {
        total > 0 && signed * u128::from(self.reject_denominator) >= total * u128::from(self.reject_numerator)
    }

    /// Whether approval and rejection exclude each other, which a rule must guarantee.
    #[must_use]
    pub fn is_exclusive(&self) -> bool {
        let (an, ad) = (u64::from(self.approve_numerator), u64::from(self.approve_denominator));
        let (rn, rd) = (u64::from(self.reject_numerator), u64::from(self.reject_denominator));
        ad > 0 && rd > 0 && an < ad && rn <= rd && rn > 0 && an * rd + rn * ad >= ad * rd
    }
}

/// What governance sets for a task definition: `TaskDefinition` in the AttestationCenter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskRule {
    /// The task definition's number.
    pub task_definition: u16,
    /// The fractions.
    pub quorum: QuorumRule,
    /// Power that must have signed whatever the fractions say. The contract keeps it at 0 under a cap.
    pub minimum_power: u128,
    /// The cap: when more members are eligible, so many seats are drawn for every slot. 0: no cap.
    pub max_attesters: u16,
    /// Power, when the set froze, below which a member does not count.
    pub minimum_attester_power: u128,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_boundaries_are_exact() {
        let rule = QuorumRule::default();
        assert!(!rule.approves(2, 3), "exactly two thirds is not more than two thirds");
        assert!(rule.approves(3, 4));
        assert!(rule.rejects(1, 3), "exactly one third rejects");
        assert!(!rule.rejects(1, 4));
        assert!(!rule.approves(0, 0) && !rule.rejects(0, 0), "an empty set decides nothing");
    }

    proptest! {
        #[test]
        fn nothing_is_both_approved_and_rejected(total in 1u128..=u128::from(u64::MAX), part: u64, other: u64) {
            let rule = QuorumRule::default();
            prop_assert!(rule.is_exclusive());
            let approving = u128::from(part) % (total + 1);
            let rejecting = u128::from(other) % (total - approving + 1);
            prop_assert!(!(rule.approves(approving, total) && rule.rejects(rejecting, total)));
        }
    }
}
