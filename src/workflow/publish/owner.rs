//! The key of the account's owner: from a file or the environment, never from the command line.

use std::path::PathBuf;

use alloy::primitives::B256;
use alloy::signers::local::PrivateKeySigner;
use anyhow::{Context, bail};
use ditto_core::secret::SecretSource;

/// The variable that holds the key when no file is named.
pub const VARIABLE: &str = "OWNER_PRIVATE_KEY";

/// Loads the owner's key.
///
/// # Errors
/// Says where it was looked for, never what was found.
pub fn load(file: Option<&PathBuf>) -> anyhow::Result<PrivateKeySigner> {
    let source = match file {
        Some(file) => SecretSource::file(file),
        None if std::env::var_os(VARIABLE).is_some() => SecretSource::env(VARIABLE),
        None => bail!(
            "the key of the account's owner is needed: name its file with `--key FILE`, or put it into {VARIABLE}. \
             A key never goes on the command line, which everybody on the machine can read"
        ),
    };
    let secret = source.load("--key")?;
    PrivateKeySigner::from_bytes(&B256::from(*secret.expose()))
        .ok()
        .context("the owner's key is not a secp256k1 key: it is zero, or not below the curve's order")
}
