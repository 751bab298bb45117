//! The aggregator's configuration: one TOML file, the environment (`DITTO_`) over it, flags over that.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use alloy::primitives::B256;
use alloy::signers::local::PrivateKeySigner;
use ditto_core::chain::{ChainConfig, ContractsConfig};
use ditto_core::config::{ConfigError, Layers, Loaded};
use ditto_core::consent::SigningDomain;
use ditto_core::network::NetworkConfig;
use ditto_core::p2p::P2pConfig;
use ditto_core::secret::{SecretError, SecretSource};
use ditto_core::stage::StageConfig;
use ditto_core::store::WriterConfig;
use ditto_core::telemetry::TelemetryConfig;
use serde::{Deserialize, Serialize};

/// What environment variables of the aggregator begin with.
pub const ENV_PREFIX: &str = "DITTO_";
/// The variable that names the file; it is not configuration itself.
pub const ENV_FILE: &str = "DITTO_CONFIG";

/// Everything an aggregator is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AggregatorConfig {
    /// The network's rules, equal on every node.
    pub network: NetworkConfig,
    /// Chains by EIP-155 id. The network's target chain must be here, with its contracts.
    pub chains: BTreeMap<u64, ChainConfig>,
    /// Peer-to-peer networking. The aggregator is the network's bootstrap node.
    #[serde(default)]
    pub p2p: P2pConfig,
    /// Metrics, health, status and log.
    #[serde(default)]
    pub telemetry: TelemetryConfig,
    /// Directory of the ledger and the p2p key.
    #[serde(default = "AggregatorConfig::default_state_dir")]
    pub state_dir: PathBuf,
    /// Keys: where they are, never what they are.
    #[serde(default)]
    pub keys: KeysConfig,
    /// Sizes of the stages.
    #[serde(default)]
    pub stages: StagesConfig,
    /// What is taken from peers, and how much of it.
    #[serde(default)]
    pub collection: CollectionConfig,
    /// When votes are checked.
    #[serde(default)]
    pub verification: VerificationConfig,
    /// How certificates are sent.
    #[serde(default)]
    pub submission: SubmissionConfig,
    /// Whether this is the network's aggregator, or stands by for it.
    #[serde(default)]
    pub standby: StandbyConfig,
    /// The ledger.
    #[serde(default)]
    pub ledger: LedgerConfig,
    /// Proven faults of operators.
    #[serde(default)]
    pub evidence: EvidenceConfig,
}

/// The `[standby]` table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StandbyConfig {
    /// 0: this is the network's aggregator, with its key. From 1 on: it collects the same votes with the key of an
    /// operator's delegated signer, and submits what the ones before it have not, from the contract's deadline on.
    pub rank: u64,
    /// How much later than the one before it each standby submits, in seconds of the chain's time.
    pub step_seconds: u64,
}

impl Default for StandbyConfig {
    fn default() -> Self {
        Self { rank: 0, step_seconds: 2 }
    }
}

/// The `[keys]` table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeysConfig {
    /// The ECDSA key that pays for submissions and names the aggregator to its peers; its address is
    /// `network.aggregator`.
    pub submitter: SecretSource,
}

/// The `[stages]` table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StagesConfig {
    /// Messages from peers.
    pub collect: StageConfig,
    /// Votes to check; `workers` are threads.
    pub verify: StageConfig,
    /// Questions to attesters; `workers` are gossiped at once.
    pub ask: StageConfig,
    /// Checked groups.
    pub aggregate: StageConfig,
    /// Certificates; `workers` are prepared at once.
    pub submit: StageConfig,
    /// Transactions.
    pub confirm: StageConfig,
    /// How long a shutdown waits for the stages to drain, in milliseconds.
    pub drain_ms: u64,
}

impl Default for StagesConfig {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        Self {
            // Eight votes of a thousand attesters; a vote is under 1 KB.
            collect: StageConfig::waiting(8_192, 1),
            verify: StageConfig::waiting(8_192, cores),
            ask: StageConfig::waiting(256, 4),
            aggregate: StageConfig::waiting(256, 1),
            submit: StageConfig::waiting(256, 8),
            confirm: StageConfig::waiting(256, 1),
            drain_ms: 10_000,
        }
    }
}

/// The `[collection]` table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CollectionConfig {
    /// Batches known at once; beyond this new ones are refused and counted.
    pub max_batches: usize,
    /// Different proposals taken from one performer for one slot. More than one is a fault, yet the honest half of the
    /// network may have seen the second first.
    pub max_proposals_per_performer: usize,
    /// Votes kept for batches that are not known yet.
    pub parked_votes: usize,
    /// Of these, votes from one peer.
    pub parked_votes_per_peer: usize,
    /// How long such a vote is kept, in milliseconds.
    pub park_ms: u64,
    /// Gossiped votes taken in one attester's name and for one batch: they name their author, and do not prove it.
    pub gossiped_votes_per_attester: u8,
    /// How many slots ahead of this node's clock a proposal may be.
    pub slots_ahead: u64,
}

impl Default for CollectionConfig {
    fn default() -> Self {
        Self {
            max_batches: 1_024,
            max_proposals_per_performer: 2,
            parked_votes: 4_096,
            parked_votes_per_peer: 256,
            park_ms: 2_000,
            gossiped_votes_per_attester: 3,
            slots_ahead: 1,
        }
    }
}

/// The `[verification]` table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VerificationConfig {
    /// How long a group that could reach quorum waits for further votes, in milliseconds. The more sign, the fewer are
    /// subtracted on the chain. A group in which everybody voted waits for nobody.
    pub group_timer_ms: u64,
    /// Votes submitted beyond those that suffice, for operators that are jailed before the transaction is mined.
    pub margin_votes: usize,
    /// How long tasks may have a quorum of their own that no verdict vector of their batch has, before attesters are asked
    /// to vote in parts, in milliseconds. When everybody was heard, `group_timer_ms` goes instead.
    pub split_after_ms: u64,
    /// How long an operator whose vote was found bad is kept out the first time, in milliseconds; twice as long each further
    /// time.
    pub ban_ms: u64,
    /// The longest that it is kept out, in milliseconds.
    pub ban_max_ms: u64,
    /// How long after a ban the next one counts as the first again, in milliseconds.
    pub ban_forget_ms: u64,
}

impl Default for VerificationConfig {
    fn default() -> Self {
        Self {
            group_timer_ms: 60,
            margin_votes: 1,
            split_after_ms: 400,
            ban_ms: 600_000,
            ban_max_ms: 86_400_000,
            ban_forget_ms: 604_800_000,
        }
    }
}

/// The `[submission]` table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SubmissionConfig {
    /// Most wei per gas that are ever offered.
    pub max_fee_wei: u64,
    /// Least wei per gas that are offered to the block's proposer.
    pub min_priority_fee_wei: u64,
    /// By how much a replacement's fees exceed those of what it replaces, in percent. Nodes want at least 10.
    pub fee_bump_percent: u64,
    /// How long a transaction may wait to be mined before it is replaced, in milliseconds.
    pub stuck_ms: u64,
    /// How often an unmined transaction is sent again as it is, in milliseconds.
    pub rebroadcast_ms: u64,
    /// Blocks that must follow the one with the transaction before its outcome counts: the deepest reorganisation of the
    /// chain that is survived. 0: the receipt counts.
    pub confirmations: u64,
    /// Time between two looks for receipts, in milliseconds.
    pub poll_ms: u64,
    /// Gas on top of what the contract demands, in percent; what is not used is not paid.
    pub gas_margin_percent: u64,
    /// How often one certificate may be submitted in all.
    pub max_attempts: u32,
    /// Time after which a certificate that could not be sent (it would revert, funds are missing, fees are too high) is
    /// tried again, in milliseconds.
    pub retry_ms: u64,
    /// A node whose latest block is older than this many seconds is behind: nothing is simulated there, and the next
    /// endpoint is asked. More than the chain's longest pause between two blocks.
    pub max_head_age_seconds: u64,
    /// Seconds of the chain's time after an operation's validity before what did not happen is written off.
    pub reorg_margin_seconds: u64,
}

impl Default for SubmissionConfig {
    fn default() -> Self {
        Self {
            max_fee_wei: 200_000_000_000,
            min_priority_fee_wei: 1_000_000,
            fee_bump_percent: 15,
            stuck_ms: 6_000,
            rebroadcast_ms: 2_000,
            confirmations: 0,
            poll_ms: 250,
            gas_margin_percent: 15,
            max_attempts: 3,
            retry_ms: 1_000,
            max_head_age_seconds: 60,
            reorg_margin_seconds: 2,
        }
    }
}

/// The `[ledger]` table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LedgerConfig {
    /// How many slots an ended task is kept; older ones are removed at the start.
    pub keep_slots: u64,
    /// How many changes one sync may carry, and how many may wait.
    pub writer: WriterConfig,
}

impl Default for LedgerConfig {
    fn default() -> Self {
        // Two weeks of two-second slots.
        Self { keep_slots: 604_800, writer: WriterConfig::default() }
    }
}

/// The `[evidence]` table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EvidenceConfig {
    /// Proven faults kept of one operator, in files; what comes beyond is only counted.
    pub per_operator: usize,
    /// All of them together, in bytes.
    pub max_bytes: u64,
}

impl Default for EvidenceConfig {
    fn default() -> Self {
        // A vote on 256 tasks takes about 100 kB.
        Self { per_operator: 16, max_bytes: 64 * 1024 * 1024 }
    }
}

/// Why the submitter key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// It is no key.
    #[error("`keys.submitter`: not a secp256k1 key (zero, or not below the group's order)")]
    Invalid,
    /// It is another node's key.
    #[error(
        "`keys.submitter` is the key of {found}, but `network.aggregator` is {expected}: give this node the \
         aggregator's key, or correct `network.aggregator` on every node of the network"
    )]
    NotTheAggregator {
        /// The key's address.
        found: alloy::primitives::Address,
        /// The network's aggregator.
        expected: alloy::primitives::Address,
    },
    /// A standby with the aggregator's key would use the same nonces for other transactions.
    #[error(
        "`keys.submitter` is the aggregator's key ({found}), and `standby.rank` is not 0: give a standby the delegated \
         signer's key of an operator, or set the rank to 0 where no other process uses this key"
    )]
    TheAggregator {
        /// The key's address.
        found: alloy::primitives::Address,
    },
}

impl AggregatorConfig {
    fn default_state_dir() -> PathBuf {
        "/var/lib/ditto-aggregator".into()
    }

    /// Reads and checks the configuration.
    ///
    /// # Errors
    /// Names the key, its source and the fix.
    pub fn load(file: Option<&Path>, set: &[(String, String)]) -> Result<Self, ConfigError> {
        Self::loaded(file, set).map(|loaded| loaded.value)
    }

    /// The same, with where each value came from.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn loaded(file: Option<&Path>, set: &[(String, String)]) -> Result<Loaded<Self>, ConfigError> {
        let mut layers = Layers::new();
        layers.ignore(&[ENV_FILE]);
        if let Some(file) = file {
            layers.file(file)?;
        }
        layers.overrides(set)?;
        layers.environment(ENV_PREFIX, std::env::vars_os())?.presets()?;
        let loaded = layers.load::<Self>()?;
        check(&loaded)?;
        Ok(loaded)
    }

    /// The target chain's table and contracts. `None` only before the configuration was checked.
    #[must_use]
    pub fn target(&self) -> Option<(&ChainConfig, &ContractsConfig)> {
        let chain = self.chains.get(&self.network.target_chain)?;
        Some((chain, chain.contracts.as_ref()?))
    }

    /// Where signatures are meant to be used. `None` only before the configuration was checked.
    #[must_use]
    pub fn domain(&self) -> Option<SigningDomain> {
        let (_, contracts) = self.target()?;
        Some(SigningDomain {
            chain_id: self.network.target_chain,
            attestation_center: contracts.attestation_center,
            entry_point: contracts.entry_point,
        })
    }

    /// Reads the submitter key, and refuses one that is not the network's aggregator; a standby's must be another one.
    ///
    /// # Errors
    /// Names the field and the fix.
    pub fn submitter(&self) -> Result<PrivateKeySigner, KeyError> {
        let secret = self.keys.submitter.load("keys.submitter")?;
        let signer = PrivateKeySigner::from_bytes(&B256::from(*secret.expose())).map_err(|_cause| KeyError::Invalid)?;
        let (found, aggregator) = (signer.address(), self.network.aggregator);
        if self.standby.rank == 0 && found != aggregator {
            return Err(KeyError::NotTheAggregator { found, expected: aggregator });
        }
        if self.standby.rank != 0 && found == aggregator {
            return Err(KeyError::TheAggregator { found });
        }
        Ok(signer.with_chain_id_of(self.network.target_chain))
    }
}

trait WithChain {
    fn with_chain_id_of(self, chain: u64) -> Self;
}

impl WithChain for PrivateKeySigner {
    fn with_chain_id_of(self, chain: u64) -> Self {
        use alloy::signers::Signer;
        self.with_chain_id(Some(chain))
    }
}

/// Refuses what reads well and cannot be meant.
fn check(loaded: &Loaded<AggregatorConfig>) -> Result<(), ConfigError> {
    let config = &loaded.value;
    let target = config.network.target_chain;
    let Some(chain) = config.chains.get(&target) else {
        let cause = format!("the target chain has no table; add `[chains.{target}]` with `rpc` and `contracts`");
        return Err(loaded.refuse("network.target_chain", cause));
    };
    if chain.contracts.is_none() {
        let key = format!("chains.{target}.contracts");
        return Err(loaded.refuse(&key, "missing; the target chain needs the addresses of Ditto's contracts"));
    }
    for (id, chain) in &config.chains {
        if chain.rpc.is_empty() {
            return Err(loaded.refuse(&format!("chains.{id}.rpc"), "empty; give at least one http(s) URL"));
        }
    }
    if config.network.slot_seconds == 0 {
        return Err(loaded.refuse("network.slot_seconds", "a slot lasts at least one second"));
    }
    if config.network.aggregator.is_zero() {
        return Err(loaded.refuse("network.aggregator", "zero; give the address of the aggregator's submitter key"));
    }
    config.p2p.validate().map_err(|error| loaded.refuse(&format!("p2p.{}", error.field), error))?;
    let at_least_one = [
        ("collection.max_batches", config.collection.max_batches as u64),
        ("collection.max_proposals_per_performer", config.collection.max_proposals_per_performer as u64),
        ("submission.max_fee_wei", config.submission.max_fee_wei),
        ("submission.poll_ms", config.submission.poll_ms),
        ("submission.max_attempts", u64::from(config.submission.max_attempts)),
        ("submission.retry_ms", config.submission.retry_ms),
        ("submission.stuck_ms", config.submission.stuck_ms),
        ("submission.rebroadcast_ms", config.submission.rebroadcast_ms),
        ("submission.max_head_age_seconds", config.submission.max_head_age_seconds),
        ("stages.drain_ms", config.stages.drain_ms),
    ];
    for (key, value) in at_least_one {
        if value == 0 {
            return Err(loaded.refuse(key, "zero; give at least 1"));
        }
    }
    if config.submission.fee_bump_percent < 10 {
        return Err(loaded
            .refuse("submission.fee_bump_percent", "nodes refuse a replacement that pays less than 10 percent more"));
    }
    if config.submission.min_priority_fee_wei > config.submission.max_fee_wei {
        return Err(loaded.refuse("submission.min_priority_fee_wei", "more than submission.max_fee_wei; lower it"));
    }
    Ok(())
}

impl SubmissionConfig {
    pub(crate) fn poll(&self) -> Duration {
        Duration::from_millis(self.poll_ms)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    pub(crate) const EXAMPLE: &str = include_str!("../aggregator.example.toml");

    fn load(text: &str, set: &[(&str, &str)]) -> Result<AggregatorConfig, ConfigError> {
        let mut layers = Layers::new();
        layers.text(Path::new("test.toml"), text)?;
        let set: Vec<_> = set.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        layers.overrides(&set)?;
        let loaded = layers.load::<AggregatorConfig>()?;
        check(&loaded)?;
        Ok(loaded.value)
    }

    #[test]
    fn the_example_is_valid_and_shows_the_defaults() {
        let config = load(EXAMPLE, &[]).unwrap();
        assert_eq!(config.submission, SubmissionConfig::default());
        assert_eq!(config.verification, VerificationConfig::default());
        assert_eq!(config.domain().unwrap().chain_id, 31337);
    }

    #[test]
    fn every_error_names_the_field() {
        let wrong = [
            (("network.target_chain", "5"), "network.target_chain"),
            (("network.slot_seconds", "0"), "network.slot_seconds"),
            (("network.aggregator", "0x0000000000000000000000000000000000000000"), "network.aggregator"),
            (("network.aggregator", "0x12"), "network.aggregator"),
            (("chains.31337.rpc", "[]"), "chains.31337.rpc"),
            (("chains.7.rpc", "[\"http://x\"]"), ""),
            (("p2p.max_peers", "0"), "p2p.max_peers"),
            (("submission.fee_bump_percent", "3"), "submission.fee_bump_percent"),
            (("submission.max_fee_wei", "0"), "submission.max_fee_wei"),
            (("submission.pol_ms", "9"), "submission.pol_ms"),
            (("stages.verify.overflow", "explode"), "stages.verify.overflow"),
        ];
        for ((key, value), named) in wrong {
            match load(EXAMPLE, &[(key, value)]) {
                Err(error) => assert!(error.to_string().contains(named), "{key}: {error}"),
                Ok(_) => assert!(named.is_empty(), "{key} = {value} was taken"),
            }
        }
        let without: String = EXAMPLE
            .lines()
            .take_while(|line| !line.starts_with("[chains.31337.contracts]"))
            .collect::<Vec<_>>()
            .join("\n");
        let error = load(&without, &[]).unwrap_err().to_string();
        assert!(error.contains("chains.31337.contracts"), "{error}");
    }

    #[test]
    fn a_key_of_somebody_else_is_refused_with_both_addresses() {
        let mut config = load(EXAMPLE, &[]).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, format!("0x{}01", "00".repeat(31))).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        config.keys.submitter = SecretSource::file(&path);
        let error = config.submitter().unwrap_err().to_string();
        assert!(error.contains("`keys.submitter`") && error.contains("`network.aggregator`"), "{error}");
        config.network.aggregator = alloy::primitives::address!("7E5F4552091A69125d5DfCb7b8C2659029395Bdf");
        config.submitter().unwrap();
        config.standby.rank = 1;
        let error = config.submitter().unwrap_err().to_string();
        assert!(error.contains("standby.rank"), "{error}");
        config.standby.rank = 0;
        config.keys.submitter = SecretSource::default();
        assert!(config.submitter().unwrap_err().to_string().contains("keys.submitter"));
    }
}
