//! Operator sets: who may vote, with how much power, under which set id.
//!
//! A set is a snapshot that the OBLS contract keeps; its order is the order of the bits in a certificate. Powers are
//! at most 96 bits, so that sums and quorum products fit 128.

use std::sync::Arc;

use alloy::primitives::{Address, B256};

use crate::bls::PublicKey;

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
        Self { id, members, total_power, seed, randomness: B256::ZERO, frozen }
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
