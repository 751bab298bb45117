//! The operator's: the sign-once journal.
#[path = "../../src/attest/interchange.rs"]
pub mod interchange;
#[path = "../../src/attest/journal.rs"]
pub mod journal;
