//! Consensus keys.

use blst::BLST_ERROR;
use blst::min_sig as blst_sig;

use super::{Purpose, Signature, eip2537};

/// Why bytes are not a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a number between 1 and the group's order.
    #[error("the secret key is not a number between 1 and the order of BLS12-381")]
    Secret,
    /// Not a point of G2, or the point at infinity.
    #[error("the public key is not a point of the right group, or it is infinity")]
    Public,
    /// Too little entropy to derive a key from.
    #[error("at least 32 bytes of entropy are needed")]
    Entropy,
}

/// A secret consensus key. It can move no funds. blst wipes it when it is dropped; it never prints.
#[derive(Clone)]
pub struct SecretKey(blst_sig::SecretKey);

impl SecretKey {
    /// A key from its 32 bytes, big-endian.
    ///
    /// # Errors
    /// When the number is zero or not below the group's order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        blst_sig::SecretKey::from_bytes(bytes).map(Self).map_err(|_| KeyError::Secret)
    }

    /// A key derived from entropy (EIP-2333's `KeyGen`).
    ///
    /// # Errors
    /// When there are fewer than 32 bytes.
    pub fn derive(entropy: &[u8]) -> Result<Self, KeyError> {
        blst_sig::SecretKey::key_gen(entropy, &[]).map(Self).map_err(|_| KeyError::Entropy)
    }

    /// The key's 32 bytes, for writing a key file.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.sk_to_pk())
    }

    /// Signs a digest for a purpose.
    #[must_use]
    pub fn sign(&self, digest: &[u8; 32], purpose: Purpose) -> Signature {
        Signature::from_point(self.0.sign(digest, purpose.tag(), &[]))
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretKey(redacted)")
    }
}

/// A public consensus key: validated once, where it enters, and kept affine, so that a vote's key costs one addition.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(pub(super) blst_sig::PublicKey);

impl PublicKey {
    /// A key from its compressed (96) or uncompressed (192) bytes; the point is validated.
    ///
    /// # Errors
    /// When it is no point of G2, or infinity.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let key = match bytes.len() {
            96 => blst_sig::PublicKey::uncompress(bytes),
            192 => blst_sig::PublicKey::deserialize(bytes),
            _ => Err(BLST_ERROR::BLST_BAD_ENCODING),
        }
        .map_err(|_| KeyError::Public)?;
        key.validate().map_err(|_| KeyError::Public)?;
        Ok(Self(key))
    }

    /// A key from the contract's 256 bytes.
    ///
    /// # Errors
    /// As [`Self::from_bytes`].
    pub fn from_eip2537(bytes: &[u8]) -> Result<Self, KeyError> {
        let padded = bytes.try_into().map_err(|_| KeyError::Public)?;
        Self::from_bytes(&eip2537::g2_plain(padded).ok_or(KeyError::Public)?)
    }

    /// The contract's 256 bytes.
    #[must_use]
    pub fn to_eip2537(&self) -> [u8; 256] {
        eip2537::g2(&self.0.serialize())
    }

    /// The compressed 96 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 96] {
        self.0.compress()
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = self.to_bytes();
        write!(f, "PublicKey({:02x}{:02x}{:02x}{:02x}..)", bytes[0], bytes[1], bytes[2], bytes[3])
    }
}
