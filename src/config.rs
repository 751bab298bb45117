//! The operator's configuration: one TOML file, environment (`DITTO_…`) over it, flags over that.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ditto_core::chain::{ChainConfig, ContractsConfig};
use ditto_core::config::{ConfigError, Layers, Loaded};
use ditto_core::network::NetworkConfig;
use ditto_core::p2p::P2pConfig;
use ditto_core::secret::SecretSource;
use ditto_core::stage::StageConfig;
use ditto_core::store::WriterConfig;
use ditto_core::telemetry::TelemetryConfig;
use ditto_sandbox::SandboxConfig;
use serde::{Deserialize, Serialize};

use crate::history::HistoryConfig;

use crate::simulate::ReadsConfig;

/// The longest time for which events are caught up on, in slots: a day of twelve-second ones.
const MAX_CATCH_UP: u64 = 7_200;

/// Everything an operator sets.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorConfig {
    /// Where the journal and the p2p key live.
    #[serde(default = "OperatorConfig::default_state_dir")]
    pub state_dir: PathBuf,
    /// The network's rules: the same on every node.
    pub network: NetworkConfig,
    /// The chains, by EIP-155 id. The target chain's table names Ditto's contracts.
    pub chains: BTreeMap<u64, ChainConfig>,
    /// The first block that can hold a published workflow, on the target chain.
    #[serde(default)]
    pub registry_first_block: u64,
    /// Where the keys are.
    #[serde(default)]
    pub keys: KeysConfig,
    /// Networking.
    #[serde(default)]
    pub p2p: P2pConfig,
    /// Metrics, health, status, log.
    #[serde(default)]
    pub telemetry: TelemetryConfig,
    /// The sandbox.
    #[serde(default)]
    pub sandbox: SandboxConfig,
    /// What is kept of the chain reads of runs.
    #[serde(default)]
    pub reads: ReadsConfig,
    /// The journal's writer.
    #[serde(default)]
    pub journal: WriterConfig,
    /// What is remembered of occurrences, for `ditto-operator trace`.
    #[serde(default)]
    pub history: HistoryConfig,
    /// The stages' sizes.
    #[serde(default)]
    pub stages: StagesConfig,
}

/// The operator's keys. None of them is the controller's: that one stays away from the server.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeysConfig {
    /// The consensus key (BLS12-381): signs votes.
    pub consensus: SecretSource,
    /// The delegated signer's key (secp256k1): signs proposals.
    pub signer: SecretSource,
}

impl Default for KeysConfig {
    /// The variables of the documentation's containers. They work, with a warning; keystores are better.
    fn default() -> Self {
        Self {
            consensus: SecretSource::env("CONSENSUS_PRIVATE_KEY"),
            signer: SecretSource::env("EXECUTOR_PRIVATE_KEY"),
        }
    }
}

/// The size of every stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StagesConfig {
    /// Slots to be planned: one at a time, and the next.
    pub plan: StageConfig,
    /// Due occurrences; `workers` bounds how many are in the sandbox at once.
    pub simulate: StageConfig,
    /// Ended runs; `workers` bounds how many dry-runs wait for the node at once.
    pub build: StageConfig,
    /// Findings for the proposer.
    pub propose: StageConfig,
    /// Findings and gossiped proposals for the judge.
    pub judge: StageConfig,
    /// Judged batches; `workers` share one fsync.
    pub sign: StageConfig,
    /// Votes on their way.
    pub cast: StageConfig,
}

impl Default for StagesConfig {
    fn default() -> Self {
        Self {
            plan: StageConfig::waiting(2, 1),
            simulate: StageConfig::waiting(4_096, 128),
            build: StageConfig::waiting(1_024, 128),
            propose: StageConfig::waiting(4_096, 1),
            judge: StageConfig::waiting(4_096, 1),
            sign: StageConfig::waiting(256, 2),
            cast: StageConfig::waiting(256, 32),
        }
    }
}

impl OperatorConfig {
    fn default_state_dir() -> PathBuf {
        "/var/lib/ditto-operator".into()
    }

    /// Loads and checks the configuration.
    ///
    /// # Errors
    /// Names the key, who set it and the fix.
    pub fn load(file: Option<&Path>, overrides: &[(String, String)]) -> Result<Loaded<Self>, ConfigError> {
        let mut layers = Layers::new();
        if let Some(file) = file {
            layers.file(file)?;
        }
        layers.overrides(overrides)?;
        layers.ignore(&["DITTO_CONFIG"]).environment("DITTO_", std::env::vars_os())?.presets()?;
        let loaded = layers.load::<Self>()?;
        loaded.value.check().map_err(|(key, cause)| loaded.refuse(key, cause))?;
        Ok(loaded)
    }

    /// What no single field can tell.
    fn check(&self) -> Result<(), (&'static str, String)> {
        if self.network.slot_seconds == 0 {
            return Err(("network.slot_seconds", "a slot has at least one second".into()));
        }
        let Some(target) = self.chains.get(&self.network.target_chain) else {
            let id = self.network.target_chain;
            return Err(("network.target_chain", format!("there is no table [chains.{id}]; add it, with its rpc")));
        };
        if target.contracts.is_none() {
            let id = self.network.target_chain;
            return Err(("chains", format!("[chains.{id}.contracts] is missing: the target chain's table names them")));
        }
        if self.network.event_catch_up_slots > MAX_CATCH_UP {
            let cause = format!("every attempt in that time is looked at in every slot: at most {MAX_CATCH_UP} slots");
            return Err(("network.event_catch_up_slots", cause));
        }
        if self.network.batch_tasks == 0 {
            return Err(("network.batch_tasks", "a batch holds at least one task".into()));
        }
        Ok(())
    }

    /// Ditto's contracts on the target chain.
    #[must_use]
    pub fn contracts(&self) -> Option<ContractsConfig> {
        self.chains.get(&self.network.target_chain).and_then(|chain| chain.contracts)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const GOOD: &str = r#"
        [network]
        name = "test"
        target_chain = 31337
        genesis_seconds = 1
        slot_seconds = 2
        aggregator = "0x0000000000000000000000000000000000000001"
        [keys]
        consensus = { env = "CONSENSUS" }
        signer = { file = "/run/signer" }
        [chains.31337]
        rpc = ["http://127.0.0.1:8545"]
        [chains.31337.contracts]
        attestation_center = "0x0000000000000000000000000000000000000002"
        obls = "0x0000000000000000000000000000000000000003"
        hook = "0x0000000000000000000000000000000000000004"
        validator_module = "0x0000000000000000000000000000000000000005"
        registry = "0x0000000000000000000000000000000000000006"
    "#;

    fn load(text: &str) -> Result<OperatorConfig, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        OperatorConfig::load(Some(file.path()), &[]).map(|loaded| loaded.value).map_err(|error| error.to_string())
    }

    #[test]
    fn little_needs_to_be_set() {
        let config = load(GOOD).unwrap();
        assert_eq!(config.network.ranks, 3);
        assert!(config.contracts().is_some());
    }

    #[test]
    fn an_rpc_url_is_shown_without_what_may_be_a_credential() {
        let url = "https://user:SECRET@node.example:8443/v2/SECRET?key=SECRET";
        let config = load(&GOOD.replace("http://127.0.0.1:8545", url)).unwrap();
        let shown = format!("{} {config:?}", serde_json::to_string_pretty(&config).unwrap());
        assert!(shown.contains("node.example:8443") && !shown.contains("SECRET"), "{shown}");
        assert_eq!(config.chains[&31337].rpc[0].expose(), url);
        let error = load(&GOOD.replace("[\"http://127.0.0.1:8545\"]", &format!("\"{url}\""))).unwrap_err();
        assert!(error.contains("chains.31337.rpc") && !error.contains("SECRET"), "{error}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (from, to, named) in [
            ("slot_seconds = 2", "slot_seconds = 0", "network.slot_seconds"),
            ("slot_seconds = 2", "slot_second = 2", "slot_seconds"),
            ("slot_seconds = 2", "slot_seconds = 2\nevent_catch_up_slots = 7201", "network.event_catch_up_slots"),
            ("target_chain = 31337", "target_chain = 1", "network.target_chain"),
            ("target_chain = 31337", "target_chain = \"x\"", "network.target_chain"),
            ("0000000002\"", "02\"", "attestation_center"),
            ("rpc = [", "rcp = [", "rpc"),
        ] {
            let error = load(&GOOD.replace(from, to)).unwrap_err();
            assert!(error.contains(named), "{to}: {error}");
        }
    }
}
