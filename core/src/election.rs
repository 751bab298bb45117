//! Who performs a slot, and who steps in.
//!
//! Members are drawn without replacement, each with a probability proportional to its power. The randomness is
//! keccak256(seed ‖ slot ‖ rank), the seed being a block that came after the set froze and is final when it takes
//! over, so nobody who joined could know it. Rank 0 performs; rank r may propose after r delays.

use alloy::primitives::{U256, keccak256};

use crate::clock::Slot;
use crate::operators::OperatorSet;

/// The indices of the first `ranks` performers of a slot, in the order of their ranks.
#[must_use]
pub fn performers(set: &OperatorSet, slot: Slot, ranks: usize) -> Vec<usize> {
    let mut left: Vec<(usize, u128)> =
        set.members.iter().enumerate().map(|(i, m)| (i, m.power)).filter(|(_, power)| *power > 0).collect();
    let mut drawn = Vec::with_capacity(ranks.min(left.len()));
    for rank in 0..ranks.min(left.len()) {
        let total: u128 = left.iter().map(|(_, power)| power).sum();
        let ticket = ticket(set, slot, rank as u64, total);
        let mut below = 0;
        let at = left
            .iter()
            .position(|(_, power)| {
                below += power;
                ticket < below
            })
            // The ticket is below the total, so a holder exists whenever anybody is left.
            .unwrap_or(0);
        drawn.push(left.remove(at).0);
    }
    drawn
}

/// A uniform number below `total` (whose bias is under 2^-128: 256 bits are reduced by at most 128).
fn ticket(set: &OperatorSet, slot: Slot, rank: u64, total: u128) -> u128 {
    let mut bytes = [0; 48];
    bytes[..32].copy_from_slice(set.seed.as_slice());
    bytes[32..40].copy_from_slice(&slot.to_be_bytes());
    bytes[40..].copy_from_slice(&rank.to_be_bytes());
    let number = U256::from_be_bytes(keccak256(bytes).0) % U256::from(total.max(1));
    let [low, high, ..] = *number.as_limbs();
    u128::from(low) | (u128::from(high) << 64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::bls::SecretKey;
    use crate::operators::Member;
    use alloy::primitives::{Address, B256};

    fn set(powers: &[u128]) -> OperatorSet {
        let members = powers
            .iter()
            .enumerate()
            .map(|(i, power)| Member {
                controller: Address::with_last_byte(i as u8),
                signer: Address::with_last_byte(i as u8),
                power: *power,
                key: SecretKey::derive(&[i as u8; 32]).unwrap().public(),
            })
            .collect();
        OperatorSet::new(1, members, B256::repeat_byte(3))
    }

    #[test]
    fn everybody_is_drawn_once_and_power_zero_never() {
        let set = set(&[5, 0, 1, 9]);
        for slot in 0..200 {
            let mut drawn = performers(&set, slot, 10);
            drawn.sort_unstable();
            assert_eq!(drawn, [0, 2, 3]);
        }
    }

    #[test]
    fn rank_zero_goes_by_power() {
        let set = set(&[3, 1]);
        let first = (0..4_000).filter(|slot| performers(&set, *slot, 1) == [0]).count();
        assert!((2_800..3_200).contains(&first), "3 of 4 slots are expected, {first} of 4000 were drawn");
    }
}
