//! BLS signatures over BLS12-381: signatures in G1, keys in G2 (the cheaper way round, on chain and off).
//!
//! What votes sign is a 32-byte digest; every purpose has its own domain separation ([`Purpose`]). The contract hashes to the
//! curve with the same tags (RFC 9380, `BLS12381G1_XMD:SHA-256_SSWU_RO_`) and verifies over the EIP-2537 precompiles,
//! so [`PublicKey`] and [`Signature`] also speak those encodings. The point at infinity is refused everywhere.
//!
//! [`Scheme`] is what the pipelines are written against, so that another curve can stand beside this one.

mod eip2537;
mod key_sum;
mod keys;
mod message;
mod scheme;
mod signature;

pub use key_sum::KeySum;
pub use keys::{KeyError, PublicKey, SecretKey};
pub use message::Message;
pub use scheme::{Bls12381, Scheme};
pub use signature::{Signature, SignatureSum};

/// What a signature is for; each purpose has its own domain separation tag, so none can stand for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A vote on a batch.
    Vote,
    /// Proof of possession of a key, at registration.
    Possession,
    /// The binding of a consensus key to a libp2p peer id.
    Peer,
    /// Attested internal tasks (voting power synced from L1).
    Internal,
}

impl Purpose {
    /// The domain separation tag (RFC 9380, section 3.1).
    #[must_use]
    pub fn tag(self) -> &'static [u8] {
        match self {
            Self::Vote => b"DITTO-V01-VOTE-BLS12381G1_XMD:SHA-256_SSWU_RO_POP_",
            Self::Possession => b"DITTO-V01-POSSESSION-BLS12381G1_XMD:SHA-256_SSWU_RO_POP_",
            Self::Peer => b"DITTO-V01-PEER-BLS12381G1_XMD:SHA-256_SSWU_RO_POP_",
            Self::Internal => b"DITTO-V01-INTERNAL-BLS12381G1_XMD:SHA-256_SSWU_RO_POP_",
        }
    }
}

/// What a proof of possession signs: it binds the key to controller, chain and contract, so that it cannot be replayed
/// for another registration.
#[must_use]
pub fn possession_digest(
    controller: alloy::primitives::Address,
    chain_id: u64,
    obls: alloy::primitives::Address,
    key: &PublicKey,
) -> alloy::primitives::B256 {
    use alloy::sol_types::SolValue;
    let bytes = alloy::primitives::Bytes::from(key.to_eip2537().to_vec());
    alloy::primitives::keccak256((controller, alloy::primitives::U256::from(chain_id), obls, bytes).abi_encode_params())
}

#[cfg(test)]
mod tests;
