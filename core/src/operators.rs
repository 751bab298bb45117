//! Operator sets: who may vote, with how much power, under which set id.
//!
//! A set is a snapshot that the OBLS contract keeps; its order is the order of the bits in a certificate. Powers are
//! at most 96 bits, so that sums and quorum products fit 128.

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
}

impl OperatorSet {
    /// A set of these members.
    #[must_use]
    pub fn new(id: u32, members: Vec<Member>, seed: B256) -> Self {
        let total_power = members.iter().map(|member| member.power).fold(0, u128::saturating_add);
        Self { id, members, total_power, seed }
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
