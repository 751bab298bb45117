//! The chains: contract bindings, JSON-RPC, heads and pins, operator sets.
//!
//! Everything that operators must agree on is read at a *pin*: the last block at or before a slot's start minus a lag,
//! which every node computes for itself ([`Heads::pin`]). Reads go to the node in JSON-RPC batches ([`Rpc`]); a read
//! that fails by reverting yields its revert data, never a client's error text.

mod batcher;
pub mod bindings;
mod config;
mod heads;
mod rpc;
mod sets;

pub use batcher::{Batcher, CALL_GAS};
pub use config::{ChainConfig, ContractsConfig};
pub use heads::{Head, Heads};
pub use rpc::{Request, Rpc, RpcConfigError, RpcError, at};
pub use sets::{SetError, SetReader};
