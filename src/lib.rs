//! The Ditto operator.
//!
//! In every slot an operator finds the workflows that are due, runs their TypeScript in a sandbox at pinned blocks, makes
//! what they return into ERC-4337 operations, proposes these when it is its turn, and compares, signs and votes when it is
//! another's. [`pipeline`] is where to begin reading; [`node`] is how an operator is put together.

pub mod attest;
pub mod board;
pub mod build;
pub mod config;
pub mod doctor;
pub mod document;
pub mod gossip;
pub mod history;
pub mod ingest;
pub mod keys;
pub mod metrics;
pub mod node;
pub mod pipeline;
pub mod propose;
pub mod run;
pub mod simulate;
pub mod slot;
pub mod status;
pub mod terminal;
pub mod top;
pub mod workflow;
