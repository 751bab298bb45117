//! The host's side: worker threads, each with a zygote, each polling its children.
//!
//! `worker` is the loop, `run` one child's state and protocol, `link` the zygote's process, `wake` how others interrupt a
//! worker's poll.

mod link;
mod run;
mod wake;
mod worker;

pub(crate) use run::Queued;
pub(crate) use wake::Bell;
pub(crate) use worker::Worker;
