//! The operator's: what is published.
#[path = "../../src/ingest/triggers/mod.rs"]
pub mod triggers;
