//! The chains: contract bindings, JSON-RPC, heads and pins, operator sets.
//!
//! Everything that operators must agree on is read at a *pin*: the last block at or before a slot's start minus a lag,
//! which every node computes for itself ([`Heads::pin`]). Reads go to the nodes in JSON-RPC batches ([`Batcher`], [`Rpc`]);
//! a read that fails by reverting yields its revert data, never a client's error text. With several endpoints a chain,
//! all answers of a slot are of the block that most of them have ([`Rpc::agree`]).

mod agreement;
mod batcher;
mod behind;
pub mod bindings;
mod config;
mod endpoint;
mod exchange;
mod heads;
mod health;
mod logs;
mod metrics;
mod request;
mod rpc;
mod rules;
mod sets;
mod url;

pub use batcher::{Batcher, CALL_GAS, Gathering};
pub use config::{ChainConfig, ContractsConfig, RpcLimits};
pub use heads::{Head, Heads};
pub use logs::{LogEntry, LogFilter};
pub use metrics::describe;
pub use request::{Anchor, Request, RpcError, at};
pub use rpc::{Answer, Rpc, RpcConfigError};
pub use rules::task_rule;
pub use sets::{SetError, SetReader};
pub use url::RpcUrl;
