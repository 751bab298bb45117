//! `workflow.toml`: what a workflow is published with, and how its author reaches the chains.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use alloy::primitives::{Address, keccak256};
use chrono::DateTime;
use ditto_core::chain::{ChainConfig, ContractsConfig};
use ditto_core::clock::SlotSchedule;
use ditto_core::config::{ConfigError, Layers, Loaded};
use serde::{Deserialize, Serialize};

use super::amount::Amount;

/// Variables with this prefix go over the file: an RPC's URL that holds a password belongs there.
const PREFIX: &str = "WORKFLOW_";

/// The whole file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The workflow's name: the author's, and part of the default session key.
    pub name: String,
    /// The TypeScript, relative to the file. Default: `workflow.ts`.
    #[serde(default)]
    pub code: Option<PathBuf>,
    /// Instead of TypeScript: the calls that it makes whenever it is due, each `{ target, abi, args, value }` as in Ditto's
    /// workflow documents.
    #[serde(default)]
    pub steps: Vec<serde_json::Value>,
    /// Whether the TypeScript is published as it is written, or what it compiles to.
    #[serde(default)]
    pub publish: Form,
    /// The smart account it acts for. Needed to publish.
    #[serde(default)]
    pub account: Option<Address>,
    /// Names the account's session; by default it follows from account and name.
    #[serde(default)]
    pub session_key: Option<Address>,
    /// Where its calls are made.
    pub target_chain: u64,
    /// From when on it is due: Unix seconds or `2026-01-31T12:00:00Z`. Default: at once.
    #[serde(default)]
    pub valid_after: Option<Instant>,
    /// Until when. Default: for ever.
    #[serde(default)]
    pub valid_until: Option<Instant>,
    /// When it is due; all of them must be.
    #[serde(default)]
    pub triggers: Vec<TriggerTable>,
    /// How often it executes at most. Default: no such limit.
    #[serde(default)]
    pub count: Option<u64>,
    /// Seconds that lie between two executions at least.
    #[serde(default)]
    pub interval: Option<u64>,
    /// What `ctx.args` is.
    #[serde(default)]
    pub args: serde_json::Map<String, serde_json::Value>,
    /// What it may do.
    pub policy: PolicyTable,
    /// The network's slots: they make `ctx.slot` and `--slot` mean what they will mean.
    #[serde(default)]
    pub network: Option<SlotSchedule>,
    /// The first block that can hold a publication, on the target chain.
    #[serde(default)]
    pub registry_first_block: u64,
    /// The chains.
    #[serde(default)]
    pub chains: BTreeMap<u64, ChainConfig>,
}

/// The form in which code is published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// The TypeScript: everybody can read what runs, and an error's line is the author's.
    #[default]
    Source,
    /// The JavaScript it compiles to, without types and comments: smaller, and so cheaper to publish.
    Compiled,
}

/// A `[[triggers]]` table: one of the kinds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TriggerTable {
    /// Five fields, UTC.
    pub cron: Option<String>,
    /// Slots between two runs.
    pub every: Option<u64>,
    /// With `every`: in the slots whose number leaves this remainder.
    pub phase: Option<u64>,
    /// A log of a contract: `signature`, `contractAddress`, `chainId`, `filter`, as in Ditto's workflow documents.
    pub event: Option<serde_json::Value>,
    /// What a view function returns: `target`, `abi`, `args`, `chainId`, `onchainCondition`, as in Ditto's documents.
    pub onchain: Option<serde_json::Value>,
}

/// The `[policy]` table.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyTable {
    /// What one operation may send in all.
    #[serde(default)]
    pub max_value: Amount,
    /// What one operation's calls may burn.
    #[serde(default = "PolicyTable::default_call_gas")]
    pub max_call_gas: u64,
    /// The most that a unit of gas may cost.
    pub max_fee_per_gas: Amount,
    /// The calls that are allowed.
    #[serde(default)]
    pub allow: Vec<AllowTable>,
}

/// A `[[policy.allow]]` table.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllowTable {
    /// What may be called.
    pub target: Address,
    /// The function: `transfer(address to, uint256 amount)`, or a selector in hexadecimal; a plain transfer without.
    #[serde(default)]
    pub call: Option<String>,
    /// What one call may send.
    #[serde(default)]
    pub max_value: Amount,
}

/// A point in time, in Unix seconds; written as such or as RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Instant(pub u64);

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "Unix seconds, or a time such as 2026-01-31T12:00:00Z")]
        enum Written {
            Seconds(u64),
            Text(String),
        }
        let text = match Written::deserialize(deserializer)? {
            Written::Seconds(seconds) => return Ok(Self(seconds)),
            Written::Text(text) => text,
        };
        let wrong = || D::Error::custom(format!("{text:?} is not a time such as 2026-01-31T12:00:00Z"));
        let parsed = DateTime::parse_from_rfc3339(&text).map_err(|_| wrong())?;
        u64::try_from(parsed.timestamp()).map(Self).map_err(|_| wrong())
    }
}

impl PolicyTable {
    fn default_call_gas() -> u64 {
        500_000
    }
}

impl Manifest {
    /// The TypeScript, relative to the file.
    #[must_use]
    pub fn code(&self) -> &Path {
        self.code.as_deref().unwrap_or(Path::new("workflow.ts"))
    }

    /// Reads the file at `path`; variables `WORKFLOW_…` go over it, `overrides` (dotted key and value) over those.
    ///
    /// # Errors
    /// Names the key, who set it and the fix.
    pub fn load(path: &Path, overrides: &[(String, String)]) -> Result<Loaded<Self>, ConfigError> {
        let mut layers = Layers::new();
        layers.file(path)?;
        layers.overrides(overrides)?;
        layers.environment(PREFIX, std::env::vars_os())?;
        layers.load()
    }

    /// Ditto's contracts on the target chain, when they are named.
    #[must_use]
    pub fn contracts(&self) -> Option<ContractsConfig> {
        self.chains.get(&self.target_chain).and_then(|chain| chain.contracts)
    }

    /// The chains that a run may read. The target chain is one of them even when there is no table for it.
    #[must_use]
    pub fn chain_ids(&self) -> BTreeSet<u64> {
        self.chains.keys().copied().chain([self.target_chain]).collect()
    }

    /// The session's identifier: the one that is set, or one that follows from the account and the workflow's name, so
    /// that publishing again finds the session again. Nobody has a key to it, and nothing is signed with it.
    #[must_use]
    pub fn session_key(&self, account: Address) -> Address {
        self.session_key.unwrap_or_else(|| {
            let named = [b"ditto workflow session".as_slice(), account.as_slice(), self.name.as_bytes()].concat();
            Address::from_slice(&keccak256(named)[12..])
        })
    }

    /// What is published as arguments.
    #[must_use]
    pub fn args_json(&self) -> String {
        serde_json::Value::Object(self.args.clone()).to_string()
    }
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    pub(in super::super) const GOOD: &str = r#"
        name = "top-up"
        target_chain = 31337
        account = "0x00000000000000000000000000000000000000aa"
        valid_until = 2030-01-31T12:00:00Z
        [[triggers]]
        cron = "0 * * * *"
        [args]
        amount = "5"
        [policy]
        max_value = "0.1 ether"
        max_fee_per_gas = "100 gwei"
        [[policy.allow]]
        target = "0x0000000000000000000000000000000000000001"
        max_value = "0.1 ether"
        [[policy.allow]]
        target = "0x0000000000000000000000000000000000000002"
        call = "transfer(address to, uint256 amount)"
        [network]
        genesis_seconds = 1700000000
        slot_seconds = 2
        [chains.31337]
        rpc = ["http://127.0.0.1:1"]
    "#;

    pub(in super::super) fn load(text: &str) -> Result<Manifest, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Manifest::load(file.path(), &[]).map(|loaded| loaded.value).map_err(|error| error.to_string())
    }

    #[test]
    fn a_manifest_is_read() {
        let manifest = load(GOOD).unwrap();
        assert_eq!(manifest.code(), Path::new("workflow.ts"));
        assert_eq!(manifest.valid_until, Some(Instant(1_896_091_200)));
        assert_eq!(manifest.args_json(), r#"{"amount":"5"}"#);
        let account = manifest.account.unwrap();
        let mut renamed = manifest.clone();
        renamed.name = "other".into();
        assert_eq!(manifest.session_key(account), manifest.session_key(account));
        assert_ne!(manifest.session_key(account), renamed.session_key(account), "each workflow has its own");
        assert_ne!(manifest.session_key(account), manifest.session_key(Address::ZERO));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_key() {
        for (from, to, named) in [
            ("name =", "nmae =", "did you mean `name`"),
            ("cron =", "corn =", "cron"),
            ("\"0.1 ether\"\n        max_fee", "\"a lot\"\n        max_fee", "policy.max_value"),
            ("2030-01-31T12:00:00Z", "\"tomorrow\"", "valid_until"),
            ("target_chain = 31337", "", "target_chain"),
            ("0x0000000000000000000000000000000000000002", "0x02", "target"),
            ("max_fee_per_gas", "max_fee_per_gsa", "max_fee_per_gas"),
        ] {
            let changed = GOOD.replace(from, to);
            assert_ne!(changed, GOOD, "{from}");
            let error = load(&changed).unwrap_err();
            assert!(error.contains(named), "{to}: {error}");
        }
    }
}
