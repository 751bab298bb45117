//! A whole Ditto network on one machine, real at every joint: the demo, the end-to-end tests and the load runs use it.
//!
//! A run goes like this ([`run::drive`]):
//!
//! - [`anvil`] starts a target chain, and [`setup`] puts a network on it: the contracts, K operators with proven keys
//!   and a committed set, M smart accounts with a session each;
//! - [`nodes`] writes a configuration file per process and starts the aggregator and the operators as they would run on
//!   servers of their own: they share nothing but the chain and the loopback interface;
//! - [`setup::workflows`] publishes one workflow per account, by operations that the accounts' owners sign;
//! - [`watch`] puts together what [`observe`] sees on the chain and hears from the processes, slot by slot, and has
//!   [`faults`] happen when asked to;
//! - [`report`] compares what happened with what had to happen, which [`triggers`] computed from the published triggers
//!   and the clock alone.
//!
//! Nothing here is trusted to be right because a process said so: an occurrence has executed when the chain says so
//! twice, in the EntryPoint's event and in the target's own counter.

pub mod anvil;
pub mod audit;
pub mod bindings;
pub mod faults;
pub mod gas;
pub mod keys;
pub mod nodes;
pub mod observe;
pub mod options;
pub mod process;
pub mod report;
pub mod run;
pub mod setup;
pub mod signals;
pub mod summary;
pub mod targets;
pub mod transactions;
pub mod triggers;
pub mod watch;
