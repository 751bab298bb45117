//! The host's side of a run.
#[path = "../../sandbox/src/host/greeting.rs"]
pub mod greeting;
#[path = "../../sandbox/src/host/run.rs"]
pub mod run;
#[path = "../../sandbox/src/host/wake.rs"]
pub mod wake;
