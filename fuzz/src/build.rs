//! The operator's: session policies.
#[path = "../../src/build/policy.rs"]
pub mod policy;
