//! The host's side: worker threads, each with a zygote, each polling its children.
//!
//! `worker` is the loop, `run` one child's state and protocol, `link` the zygote's process, `template` a process that has
//! compiled one workflow and `templates` all of those, `greeting` how what a template forked makes itself known, `wake` how
//! others interrupt a worker's poll, `meter` what is measured of it.

mod greeting;
mod link;
mod meter;
mod run;
mod template;
mod templates;
mod wake;
mod worker;

pub use meter::describe_metrics;
pub(crate) use run::Queued;
pub(crate) use wake::Bell;
pub(crate) use worker::Worker;
