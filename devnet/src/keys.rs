//! Keys, all derived from the run's seed, so that a run can be repeated.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use alloy::primitives::{Address, B256, keccak256};
use alloy::signers::local::PrivateKeySigner;
use anyhow::Context;
use ditto_core::bls::SecretKey;

/// What a key is for; part of what it is derived from.
#[derive(Clone, Copy, Debug)]
pub enum Role {
    /// Deploys, and governs the contracts.
    Governance,
    /// Bundles the owners' operations.
    Bundler,
    /// Submits certificates.
    Submitter,
    /// Registers an operator.
    Controller,
    /// Signs an operator's proposals and transactions.
    Signer,
    /// Signs an operator's votes.
    Consensus,
    /// Owns a smart account.
    Owner,
    /// Names a session; it signs nothing.
    Session,
    /// Where transfers go.
    Recipient,
    /// Gives the signals that events and conditions look for.
    Signaller,
}

/// The seed of a run.
#[derive(Clone, Debug)]
pub struct Seed(B256);

impl Seed {
    /// The seed that this text stands for.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(keccak256(text.as_bytes()))
    }

    fn bytes(&self, role: Role, index: u64) -> B256 {
        keccak256([self.0.as_slice(), format!("{role:?}").as_bytes(), &index.to_be_bytes()].concat())
    }

    /// An ECDSA key.
    ///
    /// # Errors
    /// Practically never: a hash that is no key.
    pub fn ecdsa(&self, role: Role, index: u64) -> anyhow::Result<PrivateKeySigner> {
        PrivateKeySigner::from_bytes(&self.bytes(role, index)).context("the seed gives no ECDSA key; take another")
    }

    /// A BLS key.
    ///
    /// # Errors
    /// Practically never.
    pub fn bls(&self, role: Role, index: u64) -> anyhow::Result<SecretKey> {
        SecretKey::derive(self.bytes(role, index).as_slice()).context("the seed gives no BLS key; take another")
    }

    /// An address that nobody holds the key of.
    #[must_use]
    pub fn address(&self, role: Role, index: u64) -> Address {
        Address::from_word(self.bytes(role, index))
    }
}

/// Writes a key as hexadecimal into a file that only its owner reads.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, key: &[u8; 32]) -> anyhow::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot write the key file {}", path.display()))?;
    writeln!(file, "0x{}", hex::encode(key)).with_context(|| format!("cannot write {}", path.display()))
}
