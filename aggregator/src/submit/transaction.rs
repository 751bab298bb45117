//! A submission as it is written into the ledger, and the fees of its transactions.
//!
//! A submission keeps one nonce and everything ever signed for it: whichever of its transactions is mined, it is found.
//! It is on the disk before anything is sent, raw bytes and all, so after a crash the same bytes are sent again; a second
//! transaction for one certificate exists only under the same nonce, of which the chain takes one.

use alloy::primitives::{B256, Bytes};
use serde::{Deserialize, Serialize};

use super::state::Stage;

/// A signed transaction of a submission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// Its hash.
    pub hash: B256,
    /// Its bytes, ready to be sent.
    pub raw: Bytes,
    /// Wei per gas, at most.
    pub max_fee: u64,
    /// Wei per gas for the block's proposer, at most.
    pub priority_fee: u64,
    /// When it was signed, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// It only uses up the nonce.
    pub cancels: bool,
}

/// One attempt to bring a certificate to the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    /// The submitter's nonce, for all its transactions.
    pub nonce: u64,
    /// Gas limit.
    pub gas: u64,
    /// Which attempt at the certificate this is, from 1.
    pub attempt: u32,
    /// Everything signed so far, the latest last.
    pub signed: Vec<Signed>,
    /// Where it stands.
    pub stage: Stage,
}

impl Submission {
    /// A submission that nothing was signed for yet.
    #[must_use]
    pub fn prepared(nonce: u64, gas: u64, attempt: u32) -> Self {
        Self { nonce, gas, attempt, signed: Vec::new(), stage: Stage::Prepared }
    }

    /// Is the nonce still open as far as this node knows?
    #[must_use]
    pub fn is_in_flight(&self) -> bool {
        self.stage.is_in_flight()
    }
}

/// Fees of a transaction, in wei per gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fees {
    /// At most.
    pub max: u64,
    /// For the block's proposer, at most.
    pub priority: u64,
}

/// What nodes want of a replacement, in percent of what it replaces: geth's and anvil's default.
const LEAST_BUMP: u64 = 110;

impl Fees {
    /// Fees for now: room for six full blocks (twice the base fee), within the ceiling.
    #[must_use]
    pub fn now(base: u128, priority: u64, floor: u64, ceiling: u64) -> Self {
        let base = u64::try_from(base).unwrap_or(u64::MAX);
        let priority = priority.max(floor).min(ceiling);
        Self { max: base.saturating_mul(2).saturating_add(priority).min(ceiling), priority }
    }

    /// Fees that a node takes in place of `before`: `percent` more of both, the last time as much as the ceiling leaves;
    /// `None` when that is less than nodes want.
    #[must_use]
    pub fn replacing(self, before: &Signed, percent: u64, ceiling: u64) -> Option<Self> {
        // Rounded up, and at least one wei: nodes compare exactly.
        let more = |fee: u64| fee.saturating_add((fee.saturating_mul(percent)).div_ceil(100).max(1));
        let max = self.max.max(more(before.max_fee)).min(ceiling);
        let priority = self.priority.max(more(before.priority_fee)).min(max);
        let enough = |now: u64, then: u64| u128::from(now) * 100 >= u128::from(then) * u128::from(LEAST_BUMP);
        (enough(max, before.max_fee) && enough(priority, before.priority_fee)).then_some(Self { max, priority })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fees_follow_the_base_fee_up_to_the_ceiling() {
        assert_eq!(Fees::now(100, 5, 1, 1_000), Fees { max: 205, priority: 5 });
        assert_eq!(Fees::now(900, 5, 10, 1_000), Fees { max: 1_000, priority: 10 });
        assert_eq!(Fees::now(u128::MAX, u64::MAX, 0, 7), Fees { max: 7, priority: 7 });
    }

    #[test]
    fn a_replacement_pays_enough_more_or_is_not_made() {
        let before =
            Signed { hash: B256::ZERO, raw: Bytes::new(), max_fee: 200, priority_fee: 3, at_ms: 0, cancels: false };
        let now = Fees { max: 100, priority: 1 };
        assert_eq!(now.replacing(&before, 15, 1_000), Some(Fees { max: 230, priority: 4 }));
        assert_eq!(Fees { max: 500, priority: 9 }.replacing(&before, 15, 1_000), Some(Fees { max: 500, priority: 9 }));
        assert_eq!(
            now.replacing(&before, 15, 229),
            Some(Fees { max: 229, priority: 4 }),
            "what is left to the ceiling"
        );
        assert_eq!(now.replacing(&before, 15, 219), None, "less than nodes take");
    }
}
