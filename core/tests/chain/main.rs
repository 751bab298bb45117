//! JSON-RPC to endpoints that fail, lag, lie and disagree: a real anvil behind proxies that misbehave.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod agree;
mod answers;
mod limits;
mod logs;
mod proxy;

use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes};
use ditto_core::chain::{ChainConfig, Request, Rpc, RpcLimits};
use proxy::{CHAIN, Proxy};
use serde_json::json;

/// No wait in a test is longer.
pub const LONG: Duration = Duration::from_secs(60);

pub fn config(proxies: &[&Proxy]) -> ChainConfig {
    let mut config = ChainConfig::new(proxies.iter().map(|proxy| proxy.url.as_str().into()).collect());
    config.timeout_ms = 20_000;
    config.poll_ms = 20;
    config.limits = RpcLimits { backoff_ms: 1, backoff_max_ms: 20, agree_ms: 20_000, retries: 20, ..config.limits };
    config
}

pub fn rpc(config: &ChainConfig) -> Arc<Rpc> {
    Arc::new(Rpc::new(CHAIN, config).unwrap())
}

/// What the contract at this address returns at a block: a number, by [`proxy::Anvil::set_number`].
pub fn number_at(at: Address, block: B256) -> Request {
    Request::call(at, &[], block)
}

pub fn number(answer: &ditto_core::chain::Answer) -> u8 {
    let bytes: Bytes = serde_json::from_str(answer.as_ref().unwrap().get()).unwrap();
    bytes[31]
}

pub fn balance(byte: u8) -> Request {
    Request::new("eth_getBalance", &json!([Address::repeat_byte(byte), "latest"]))
}
