//! The targets: for each `examples`, well-formed inputs to start from, and `run`, which must hold whatever it is given.

pub mod config_layers;
pub mod core_batch;
pub mod core_keys;
pub mod core_vote;
pub mod document;
pub mod journal;
pub mod ledger_records;
pub mod p2p_messages;
pub mod sandbox_host;
pub mod sandbox_messages;
pub mod sandbox_reads;
pub mod sandbox_sdk;
pub mod sandbox_source;
pub mod triggers;
