//! Keys at rest: JSON files that a password opens.
//!
//! ECDSA keys are kept in the Web3 Secret Storage format, version 3, as geth and foundry keep theirs
//! (<https://ethereum.org/en/developers/docs/data-structures-and-encoding/web3-secret-storage/>); BLS keys in EIP-2335's,
//! version 4. Both stretch the password with scrypt or PBKDF2, check it with a hash over the key that this gives and the
//! ciphertext, and decrypt with AES-128 in counter mode. What is read may have been made by others, so everything in a
//! file is bounded before anything is computed or allocated.
//!
//! Why not a library: `eth-keystore` fixes scrypt's cost at an eighth of geth's, writes files that others may read, and
//! knows only one of the formats. The primitives are RustCrypto's; tests hold both formats to their published vectors.

mod eip2335;
mod file;
mod kdf;
mod password;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
mod web3;

use std::fmt;

use serde::Deserialize;
use zeroize::Zeroizing;

pub use file::{FileError, replace, write_new};
pub use kdf::Cost;
pub use password::{Password, PasswordError, PasswordSource};

use crate::secret::Secret;

/// A keystore is a few hundred bytes of JSON; anything much longer is something else.
pub const MAX_BYTES: usize = 16 * 1024;

/// Which curve a key is for, and so in which format it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// secp256k1, in Web3 Secret Storage.
    Ecdsa,
    /// BLS12-381, in EIP-2335.
    Bls,
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ecdsa => "ECDSA",
            Self::Bls => "BLS",
        })
    }
}

/// Why a keystore cannot be opened or made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeystoreError {
    /// Not a keystore.
    #[error("it is no keystore: {0}")]
    Malformed(String),
    /// A keystore of a version this does not know.
    #[error("it is a keystore of version {0}; versions 3 (Web3 Secret Storage) and 4 (EIP-2335) are known")]
    Version(u64),
    /// A function that this does not know, or parameters that would take too much.
    #[error("its {0}")]
    Unsupported(String),
    /// The password does not open it.
    #[error("the password does not open it")]
    WrongPassword,
    /// It holds another key than it says.
    #[error("it holds the key of {found}, and says that it is {said}")]
    OtherKey {
        /// What the key belongs to.
        found: String,
        /// What the file says.
        said: String,
    },
    /// The secret is no key of this kind.
    #[error("the secret is not {kind} key: it is zero, or not below the curve's order", kind = match .0 {
        KeyKind::Ecdsa => "an ECDSA (secp256k1)",
        KeyKind::Bls => "a BLS12-381",
    })]
    NotAKey(KeyKind),
}

/// What a keystore says of itself without its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Which kind of key it holds.
    pub kind: KeyKind,
    /// The address (ECDSA) or public key (BLS) it is for, 0x-hexadecimal; files made elsewhere may leave it out.
    pub public: Option<String>,
}

/// Whether a text looks like a keystore, rather than like a bare key.
#[must_use]
pub fn is_keystore(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

/// What a keystore says of itself.
///
/// # Errors
/// When it is none.
pub fn describe(json: &str) -> Result<Described, KeystoreError> {
    let (kind, _) = version(json)?;
    match kind {
        KeyKind::Ecdsa => web3::describe(json),
        KeyKind::Bls => eip2335::describe(json),
    }
}

/// Opens a keystore.
///
/// # Errors
/// When it is none, the password is another one, or the key is not the one that it says.
pub fn open(json: &str, password: &Password) -> Result<(KeyKind, Secret), KeystoreError> {
    let (kind, _) = version(json)?;
    let secret = match kind {
        KeyKind::Ecdsa => web3::open(json, password)?,
        KeyKind::Bls => eip2335::open(json, password)?,
    };
    Ok((kind, secret))
}

/// Makes a keystore.
///
/// # Errors
/// When the secret is no key of this kind.
pub fn seal(kind: KeyKind, secret: &Secret, password: &Password, cost: Cost) -> Result<String, KeystoreError> {
    match kind {
        KeyKind::Ecdsa => web3::seal(secret, password, cost),
        KeyKind::Bls => eip2335::seal(secret, password, cost),
    }
}

/// The address or public key that belongs to a secret.
///
/// # Errors
/// When it is no key of this kind.
pub fn public_of(kind: KeyKind, secret: &Secret) -> Result<String, KeystoreError> {
    match kind {
        KeyKind::Ecdsa => web3::address(secret).map(|address| address.to_string()),
        KeyKind::Bls => eip2335::public(secret).map(|key| format!("0x{key}")),
    }
}

/// A new key from the operating system's randomness.
///
/// # Errors
/// When the system has none to give.
pub fn generate(kind: KeyKind) -> Result<Secret, rand::rand_core::OsError> {
    loop {
        let mut bytes = Zeroizing::new([0; 32]);
        rand::TryRngCore::try_fill_bytes(&mut rand::rngs::OsRng, bytes.as_mut_slice())?;
        // Drawn again until it is below the curve's order: uniform, and a few draws at most (BLS: 0.45 of them fit).
        let secret = Secret::new(*bytes);
        if public_of(kind, &secret).is_ok() {
            return Ok(secret);
        }
    }
}

/// Reads the version, of whatever else the file may be.
fn version(json: &str) -> Result<(KeyKind, u64), KeystoreError> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u64,
    }
    if json.len() > MAX_BYTES {
        return Err(KeystoreError::Malformed(format!("it is longer than {MAX_BYTES} bytes")));
    }
    let Versioned { version } = parse(json)?;
    match version {
        3 => Ok((KeyKind::Ecdsa, version)),
        4 => Ok((KeyKind::Bls, version)),
        other => Err(KeystoreError::Version(other)),
    }
}

/// JSON's own errors name line and column, and quote only what is no secret in such a file.
fn parse<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, KeystoreError> {
    serde_json::from_str(json).map_err(|error| KeystoreError::Malformed(error.to_string()))
}

fn hex(text: &str, what: &str) -> Result<Zeroizing<Vec<u8>>, KeystoreError> {
    alloy::hex::decode(text)
        .map(Zeroizing::new)
        .map_err(|_| KeystoreError::Malformed(format!("its {what} is not hexadecimal")))
}

fn exactly<const N: usize>(bytes: &[u8], what: &str) -> Result<[u8; N], KeystoreError> {
    bytes.try_into().map_err(|_| KeystoreError::Malformed(format!("its {what} has {} bytes, not {N}", bytes.len())))
}

fn random<const N: usize>() -> [u8; N] {
    rand::random()
}
