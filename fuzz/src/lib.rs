//! What the fuzz targets share: the parts of other crates that they need and that no public interface shows, and seeds.
//!
//! The sandbox's protocol is private to its crate, and the crate links a JavaScript engine that is of no use here. So its
//! files are included by path, under the names that they know each other by. Nothing is copied.
#![allow(dead_code, unused_imports)]

#[path = "../../sandbox/src/frame.rs"]
pub mod frame;
#[path = "../../sandbox/src/job.rs"]
pub mod job;
#[path = "../../sandbox/src/limits.rs"]
pub mod limits;
#[path = "../../sandbox/src/message.rs"]
pub mod message;
#[path = "../../sandbox/src/outcome.rs"]
pub mod outcome;
#[path = "../../sandbox/src/read.rs"]
pub mod read;

pub mod host;

pub mod engine;

// The operator's files know the sandbox by its name.
extern crate self as ditto_sandbox;
pub use outcome::Call;
pub use read::{LOG_ALTERNATIVES, Read};

pub mod ingest;

pub mod build;

#[path = "../../src/document/mod.rs"]
pub mod document;

pub mod attest;

mod seeds;
pub mod targets;

pub use seeds::{golden, seeds};
