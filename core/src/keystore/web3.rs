//! Web3 Secret Storage, version 3. The check is keccak256 over the second half of the derived key and the ciphertext.

use alloy::primitives::{Address, B256, keccak256};
use alloy::signers::local::PrivateKeySigner;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::kdf::{self, Cost};
use super::{Described, KeyKind, KeystoreError, Password, exactly, hex, parse, random};
use crate::secret::Secret;

#[derive(Deserialize)]
struct Stored {
    // Some clients write `Crypto`.
    #[serde(alias = "Crypto")]
    crypto: Crypto,
    address: Option<String>,
}

#[derive(Deserialize)]
struct Crypto {
    cipher: String,
    cipherparams: CipherParams,
    ciphertext: String,
    kdf: String,
    kdfparams: Map<String, Value>,
    mac: String,
}

#[derive(Deserialize)]
struct CipherParams {
    iv: String,
}

pub(super) fn describe(json: &str) -> Result<Described, KeystoreError> {
    let stored: Stored = parse(json)?;
    let public = stored.address.as_deref().and_then(parsed).map(|address| address.to_string());
    Ok(Described { kind: KeyKind::Ecdsa, public })
}

pub(super) fn open(json: &str, password: &Password) -> Result<Secret, KeystoreError> {
    let Stored { crypto, address: said } = parse(json)?;
    if crypto.cipher != "aes-128-ctr" {
        return Err(KeystoreError::Unsupported(format!("cipher is {:?}; aes-128-ctr is known", crypto.cipher)));
    }
    let ciphertext = hex(&crypto.ciphertext, "ciphertext")?;
    let derived = kdf::derive(&crypto.kdf, &crypto.kdfparams, password.bytes())?;
    if !kdf::same(check(&derived, &ciphertext).as_slice(), &hex(&crypto.mac, "mac")?) {
        return Err(KeystoreError::WrongPassword);
    }
    let plain = kdf::cipher(&derived, &hex(&crypto.cipherparams.iv, "iv")?, &ciphertext)?;
    let secret = Secret::new(exactly(&plain, "secret")?);
    let found = address(&secret)?;
    match said.as_deref().filter(|said| !said.is_empty()) {
        Some(said) if parsed(said) != Some(found) => {
            Err(KeystoreError::OtherKey { found: found.to_string(), said: said.chars().take(64).collect() })
        }
        _ => Ok(secret),
    }
}

pub(super) fn seal(secret: &Secret, password: &Password, cost: Cost) -> Result<String, KeystoreError> {
    let address = address(secret)?;
    let (salt, iv): ([u8; 32], [u8; 16]) = (random(), random());
    let derived = cost.derive(password.bytes(), &salt)?;
    let ciphertext = kdf::cipher(&derived, &iv, secret.expose())?;
    let stored = json!({
        "version": 3,
        "id": uuid(random()),
        // Without 0x and in lower case, as geth writes it.
        "address": alloy::hex::encode(address),
        "crypto": {
            "cipher": "aes-128-ctr",
            "cipherparams": { "iv": alloy::hex::encode(iv) },
            "ciphertext": alloy::hex::encode(&*ciphertext),
            "kdf": "scrypt",
            "kdfparams": cost.written(&salt),
            "mac": alloy::hex::encode(check(&derived, &ciphertext)),
        },
    });
    Ok(format!("{stored:#}\n"))
}

pub(super) fn address(secret: &Secret) -> Result<Address, KeystoreError> {
    PrivateKeySigner::from_bytes(&B256::from(*secret.expose()))
        .map(|signer| signer.address())
        .map_err(|_| KeystoreError::NotAKey(KeyKind::Ecdsa))
}

fn check(derived: &[u8; kdf::DERIVED], ciphertext: &[u8]) -> B256 {
    keccak256([&derived[16..], ciphertext].concat())
}

fn parsed(text: &str) -> Option<Address> {
    text.parse().ok()
}

/// A random UUID (RFC 9562, version 4).
pub(super) fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = alloy::hex::encode(bytes);
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}
