//! EIP-2335, version 4. The check is SHA-256 over the second half of the derived key and the ciphertext. `pubkey` is the
//! compressed consensus key: 96 bytes, since Ditto's keys are points of G2 (in EIP-2335's own use they are of G1, 48 bytes).

use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::kdf::{self, Cost};
use super::web3::uuid;
use super::{Described, KeyKind, KeystoreError, Password, exactly, hex, parse, random};
use crate::bls::SecretKey;
use crate::secret::Secret;

#[derive(Deserialize)]
struct Stored {
    crypto: Crypto,
    pubkey: Option<String>,
}

#[derive(Deserialize)]
struct Crypto {
    kdf: Module,
    checksum: Module,
    cipher: Module,
}

#[derive(Deserialize)]
struct Module {
    function: String,
    params: Map<String, Value>,
    message: String,
}

pub(super) fn describe(json: &str) -> Result<Described, KeystoreError> {
    let stored: Stored = parse(json)?;
    let said = stored.pubkey.filter(|key| !key.is_empty());
    let public = said.map(|key| format!("0x{}", key.trim_start_matches("0x")));
    Ok(Described { kind: KeyKind::Bls, public })
}

pub(super) fn open(json: &str, password: &Password) -> Result<Secret, KeystoreError> {
    let Stored { crypto: Crypto { kdf, checksum, cipher }, pubkey } = parse(json)?;
    for (found, known, what) in
        [(&checksum.function, "sha256", "checksum"), (&cipher.function, "aes-128-ctr", "cipher")]
    {
        if found != known {
            return Err(KeystoreError::Unsupported(format!("{what} is {found:?}; {known} is known")));
        }
    }
    let ciphertext = hex(&cipher.message, "ciphertext")?;
    let derived = kdf::derive(&kdf.function, &kdf.params, &password.normalised())?;
    if !kdf::same(&check(&derived, &ciphertext), &hex(&checksum.message, "checksum")?) {
        return Err(KeystoreError::WrongPassword);
    }
    let iv = cipher.params.get("iv").and_then(Value::as_str).unwrap_or_default();
    let plain = kdf::cipher(&derived, &hex(iv, "iv")?, &ciphertext)?;
    let secret = Secret::new(exactly(&plain, "secret")?);
    // A key of the other group, as validators of Ethereum have, is a key here too; its public key is another.
    let found = public(&secret)?;
    match pubkey.as_deref().map(|key| key.trim_start_matches("0x")).filter(|key| !key.is_empty()) {
        Some(said) if said.len() == found.len() && !said.eq_ignore_ascii_case(&found) => {
            let said = said.chars().take(64).collect();
            Err(KeystoreError::OtherKey { found: found.chars().take(64).collect(), said })
        }
        _ => Ok(secret),
    }
}

pub(super) fn seal(secret: &Secret, password: &Password, cost: Cost) -> Result<String, KeystoreError> {
    let public = public(secret)?;
    let (salt, iv): ([u8; 32], [u8; 16]) = (random(), random());
    let derived = cost.derive(&password.normalised(), &salt)?;
    let ciphertext = kdf::cipher(&derived, &iv, secret.expose())?;
    let stored = json!({
        "version": 4,
        "uuid": uuid(random()),
        "description": "Ditto consensus key",
        "path": "",
        "pubkey": public,
        "crypto": {
            "kdf": { "function": "scrypt", "params": cost.written(&salt), "message": "" },
            "checksum": { "function": "sha256", "params": {}, "message": alloy::hex::encode(check(&derived, &ciphertext)) },
            "cipher": {
                "function": "aes-128-ctr",
                "params": { "iv": alloy::hex::encode(iv) },
                "message": alloy::hex::encode(&*ciphertext),
            },
        },
    });
    Ok(format!("{stored:#}\n"))
}

/// The compressed public key, in hexadecimal without 0x.
pub(super) fn public(secret: &Secret) -> Result<String, KeystoreError> {
    SecretKey::from_bytes(secret.expose())
        .map(|key| alloy::hex::encode(key.public().to_bytes()))
        .map_err(|_| KeystoreError::NotAKey(KeyKind::Bls))
}

fn check(derived: &[u8; kdf::DERIVED], ciphertext: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(&derived[16..]).chain_update(ciphertext).finalize().into()
}
