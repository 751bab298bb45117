//! What an operator or aggregator must be told of a chain.

use alloy::primitives::{Address, address};
use serde::{Deserialize, Serialize};

/// A chain's table in the configuration, `[chains.<EIP-155 id>]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainConfig {
    /// JSON-RPC endpoints (http or https), the preferred one first; the next one is used when one fails.
    pub rpc: Vec<String>,
    /// Seconds before a slot's start at which the slot's pin is taken: the last block at or before that.
    /// Part of the protocol: every node of a network uses the same.
    #[serde(default = "ChainConfig::default_pin_lag")]
    pub pin_lag_seconds: u64,
    /// Milliseconds between two looks at the chain's head.
    #[serde(default = "ChainConfig::default_poll")]
    pub poll_ms: u64,
    /// Milliseconds after which a request to a node has failed.
    #[serde(default = "ChainConfig::default_timeout")]
    pub timeout_ms: u64,
    /// The most requests in one JSON-RPC batch.
    #[serde(default = "ChainConfig::default_batch")]
    pub batch: usize,
    /// Ditto's contracts, on a chain where workflows execute. A chain without them is only read.
    #[serde(default)]
    pub contracts: Option<ContractsConfig>,
}

impl ChainConfig {
    fn default_pin_lag() -> u64 {
        1
    }

    fn default_poll() -> u64 {
        250
    }

    fn default_timeout() -> u64 {
        3_000
    }

    // Public providers commonly refuse batches above 100.
    fn default_batch() -> usize {
        100
    }
}

/// Where Ditto's contracts are on a target chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContractsConfig {
    /// AttestationCenter: verifies certificates.
    pub attestation_center: Address,
    /// OBLS: operator sets.
    pub obls: Address,
    /// DittoHook: hands approved operations to the EntryPoint.
    pub hook: Address,
    /// DittoValidatorModule: what smart accounts install.
    pub validator_module: Address,
    /// WorkflowRegistry: code, policies and workflows.
    pub registry: Address,
    /// EntryPoint v0.7.
    #[serde(default = "ContractsConfig::canonical_entry_point")]
    pub entry_point: Address,
}

impl ContractsConfig {
    fn canonical_entry_point() -> Address {
        address!("0000000071727De22E5E9d8BAf0edAc6f37da032")
    }
}
