//! Operator sets: who may vote, with how much power, under which set id.
//!
//! A set is a snapshot that the OBLS contract keeps; its order is the order of the bits in a certificate. Powers are
//! at most 96 bits, so that sums and quorum products fit 128.

use std::sync::{Arc, OnceLock};

use alloy::primitives::{Address, B256};

use crate::bls::{KeySum, PublicKey};
use crate::clock::Slot;

/// An operator in a set.
#[derive(Clone, Debug)]
pub struct Member {
    /// Who registered: the ECDSA key or Safe that is exposed financially.
    pub controller: Address,
    /// The delegated signer: signs proposals and sends routine transactions.
    pub signer: Address,
    /// Voting power.
    pub power: u128,
    /// The consensus key.
    pub key: PublicKey,
}

/// A snapshot of the active operators.
#[derive(Clone, Debug)]
pub struct OperatorSet {
    /// The set's id, from 1.
    pub id: u32,
    /// Its members, in the order of a certificate's bits.
    pub members: Vec<Member>,
    /// Their power in all.
    pub total_power: u128,
    /// What elections under this set are seeded with: the hash of a block after the set froze, which is final when the set takes over.
    pub seed: B256,
    /// The sum of everybody's keys, once somebody asked for it. A set's members never change.
    keys: OnceLock<KeySum>,
    /// What committees under this set are drawn by: the beacon chain's randomness of the block in which the set froze.
    pub randomness: B256,
    /// Everybody's power when the set froze, the jailed ones' too.
    frozen: Arc<[u128]>,
}

impl OperatorSet {
    /// A set of these members, none of them jailed.
    #[must_use]
    pub fn new(id: u32, members: Vec<Member>, seed: B256) -> Self {
        let total_power = members.iter().map(|member| member.power).fold(0, u128::saturating_add);
        let frozen = members.iter().map(|member| member.power).collect();
        Self { id, members, total_power, seed, randomness: B256::ZERO, frozen, keys: OnceLock::new() }
    }

    /// The sum of these members' keys (ascending indices), with the fewest additions: by those that are in it, or by those
    /// that are not.
    #[must_use]
    pub fn key_sum(&self, signers: &[usize]) -> KeySum {
        if signers.len() * 2 <= self.members.len() {
            return KeySum::of(signers.iter().filter_map(|signer| self.members.get(*signer)).map(|member| &member.key));
        }
        let everybody = self.keys.get_or_init(|| KeySum::of(self.members.iter().map(|member| &member.key)));
        let mut signers = signers.iter().peekable();
        let missing = self.members.iter().enumerate().filter(|(index, _)| signers.next_if_eq(&index).is_none());
        everybody.without(&KeySum::of(missing.map(|(_, member)| &member.key)))
    }

    /// The same with this randomness, without which no committee is drawn.
    #[must_use]
    pub fn with_randomness(mut self, randomness: B256) -> Self {
        self.randomness = randomness;
        self
    }

    /// The same with these members jailed: they keep their place, and their power is zero.
    #[must_use]
    pub fn without(&self, jailed: impl Fn(usize) -> bool) -> Self {
        let mut set = self.clone();
        for (_, member) in set.members.iter_mut().enumerate().filter(|(index, _)| jailed(*index)) {
            member.power = 0;
        }
        set.total_power = set.members.iter().map(|member| member.power).fold(0, u128::saturating_add);
        set
    }

    /// Everybody's power when the set froze. Committees are drawn by it, so that jailing somebody moves no seat.
    #[must_use]
    pub fn frozen_powers(&self) -> &[u128] {
        &self.frozen
    }

    /// The member with this consensus key, and its index.
    #[must_use]
    pub fn by_key(&self, key: &PublicKey) -> Option<(usize, &Member)> {
        self.members.iter().enumerate().find(|(_, member)| member.key == *key)
    }

    /// The members that have power, in the order in which they submit what the aggregator of a batch of this slot has not.
    /// The set's own order, and everybody comes first in turn: nobody has to be asked, and no two are first.
    pub fn standbys(&self, slot: Slot) -> impl Iterator<Item = &Member> {
        let active: Vec<&Member> = self.members.iter().filter(|member| member.power > 0).collect();
        let first = usize::try_from(slot % (active.len() as u64).max(1)).unwrap_or_default();
        (0..active.len()).map(move |place| active[(first + place) % active.len()])
    }

    /// How many of [`Self::standbys`] come before the one with this delegated signer; nothing for a stranger.
    #[must_use]
    pub fn standby_rank(&self, slot: Slot, signer: Address) -> Option<usize> {
        self.standbys(slot).position(|member| member.signer == signer)
    }
}

/// Which members signed, as the contract reads it: bit `i` is bit `i % 8` (from the lowest) of byte `i / 8`.
#[must_use]
pub fn signer_bitmap(size: usize, signers: impl IntoIterator<Item = usize>) -> Vec<u8> {
    let mut bitmap = vec![0; size.div_ceil(8)];
    for signer in signers {
        if let Some(byte) = bitmap.get_mut(signer / 8) {
            *byte |= 1 << (signer % 8);
        }
    }
    bitmap
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::bls::SecretKey;

    #[test]
    fn a_key_sum_is_the_same_whichever_way_it_is_reckoned() {
        let keys: Vec<_> = (1..=7).map(|seed| SecretKey::derive(&[seed; 32]).unwrap().public()).collect();
        let member = |key: &PublicKey| Member { controller: Address::ZERO, signer: Address::ZERO, power: 1, key: *key };
        let set = OperatorSet::new(1, keys.iter().map(member).collect(), B256::ZERO);
        for bits in 0..1u32 << keys.len() {
            let signers: Vec<usize> = (0..keys.len()).filter(|index| bits >> index & 1 == 1).collect();
            assert_eq!(set.key_sum(&signers), KeySum::of(signers.iter().map(|index| &keys[*index])), "{signers:?}");
        }
    }

    #[test]
    fn everybody_with_power_is_first_in_turn_and_nobody_shares_a_rank() {
        let member = |seed: u8, power| Member {
            controller: Address::with_last_byte(seed),
            signer: Address::with_last_byte(seed + 100),
            power,
            key: SecretKey::derive(&[seed; 32]).unwrap().public(),
        };
        let set = OperatorSet::new(1, vec![member(1, 5), member(2, 0), member(3, 5), member(4, 1)], B256::ZERO);
        let ranks = |slot| [101, 103, 104].map(|byte| set.standby_rank(slot, Address::with_last_byte(byte)).unwrap());
        assert_eq!([ranks(0), ranks(1), ranks(2), ranks(3)], [[0, 1, 2], [2, 0, 1], [1, 2, 0], [0, 1, 2]]);
        assert_eq!(set.standby_rank(0, Address::with_last_byte(102)), None, "without power");
        assert_eq!(set.standby_rank(0, Address::with_last_byte(1)), None, "a controller does not submit");
        let nobody = OperatorSet::new(1, vec![member(2, 0)], B256::ZERO);
        assert_eq!(nobody.standbys(u64::MAX).count(), 0);
    }
}
