//! What an operator or aggregator must be told of a chain.

use alloy::primitives::{Address, address};
use serde::{Deserialize, Serialize};

use super::RpcUrl;

/// A chain's table in the configuration, `[chains.<EIP-155 id>]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainConfig {
    /// JSON-RPC endpoints (http or https), the preferred one first; the next one is used when one fails. With several, a
    /// pin is the block that most of them have, and where as many have another, the one of the first in this list.
    #[serde(deserialize_with = "super::url::list")]
    pub rpc: Vec<RpcUrl>,
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
    /// What the endpoints are spared, and what is accepted of them.
    #[serde(default)]
    pub limits: RpcLimits,
    /// Ditto's contracts, on a chain where workflows execute. A chain without them is only read.
    #[serde(default)]
    pub contracts: Option<ContractsConfig>,
}

impl ChainConfig {
    /// A chain that is only read, with defaults.
    #[must_use]
    pub fn new(rpc: Vec<RpcUrl>) -> Self {
        Self {
            rpc,
            pin_lag_seconds: Self::default_pin_lag(),
            poll_ms: Self::default_poll(),
            timeout_ms: Self::default_timeout(),
            batch: Self::default_batch(),
            limits: RpcLimits::default(),
            contracts: None,
        }
    }

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

/// A chain's `limits` table: every limit holds for each endpoint by itself. None of them shows in what a workflow reads:
/// an operator that meets one abstains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RpcLimits {
    /// Bytes of parameters in one batch; a single request may be larger.
    pub batch_bytes: usize,
    /// Microseconds that the first request of a batch waits for others. Far below a node's own latency.
    pub batch_wait_us: u64,
    /// Requests that may wait for a batch; whoever asks beyond that waits for room.
    pub queue: usize,
    /// Milliseconds after which a request that still waits for its batch is given up.
    pub patience_ms: u64,
    /// Batches under way at once. Nodes answer a batch serially, so a few keep one busy.
    pub concurrency: usize,
    /// Requests a second, those in a batch counted one by one. 0: as many as there are.
    pub requests_per_second: u32,
    /// Bytes of one HTTP answer. A batch whose answer is longer is asked again in halves.
    pub response_bytes: usize,
    /// Blocks in one `eth_getLogs`; longer ranges are asked for in parts.
    pub log_blocks: u64,
    /// How often a request that was refused for the endpoints' rate limits is sent again.
    pub retries: usize,
    /// First pause of an endpoint that failed or refused for its rate limit, in milliseconds; doubles with every failure
    /// in a row, up to `backoff_max_ms`, each time by chance up to twice as long.
    pub backoff_ms: u64,
    /// Longest such pause, in milliseconds.
    pub backoff_max_ms: u64,
    /// Milliseconds that the other endpoints have to say which block they have at a pin.
    pub agree_ms: u64,
}

impl Default for RpcLimits {
    fn default() -> Self {
        Self {
            batch_bytes: 1 << 20,
            batch_wait_us: 1_000,
            queue: 4_096,
            patience_ms: 10_000,
            concurrency: 8,
            requests_per_second: 0,
            response_bytes: 32 << 20,
            log_blocks: 2_000,
            retries: 3,
            backoff_ms: 100,
            backoff_max_ms: 10_000,
            agree_ms: 500,
        }
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
