//! The stand-alone aggregator: collects votes, turns them into certificates, and brings these to the chain.
//!
//! Begin with [`pipeline`]: it reads like the diagram, and each stage is the module of its name: [`collect`], [`verify`],
//! [`aggregate`], [`submit`], [`confirm`]. Between them travel a [`batch::Batch`] and what was found out about it. Around
//! them are what the chain says of operators and quorum ([`governance`]), the durable [`ledger`] of what became of every
//! proposed task, and what is shown of it ([`report`]). [`node`] puts it all together.
//!
//! What it promises: only votes that were checked count; what is submitted is exactly what was checked; nothing is sent
//! that is not on the disk; and every task that was recorded as proposed ends once, known after any crash.

pub mod aggregate;
pub mod ask;
pub mod bans;
pub mod batch;
pub mod choice;
pub mod collect;
pub mod config;
pub mod confirm;
pub mod evidence;
pub mod governance;
pub mod ledger;
pub mod node;
pub mod pipeline;
pub mod report;
pub mod status;
pub mod submit;
pub mod verify;
pub mod votes;

#[cfg(test)]
mod testing;
