//! Stages: the one abstraction that carries every step of both binaries.
//!
//! A stage is a bounded queue and something that takes items from it. Items enter through an [`Outbox`] (held by the
//! stage before, or by a source), wait in the queue, and are handled by one of three kinds of stage:
//!
//! - a [`Handler`] does I/O: up to `workers` items at once, each a tokio task;
//! - a [`Work`] does computation: up to `workers` items at once, on the stage's own rayon pool, fed by a crossbeam
//!   channel. The pool is the stage's own, so a stage that waits for room downstream holds no thread but its own;
//! - an [`Actor`] owns state: one item after the other, and a timer.
//!
//! A [`Pipeline`] is where the stages of a binary are declared, one after the other, and where they are drained.
//!
//! What every stage promises:
//!
//! - **Bounded.** No more than `queue` items wait. When it is full, the declared [`Overflow`] says whether the sender
//!   waits (back-pressure) or the item is dropped and counted.
//! - **In time.** Every item carries its [`Deadline`]; one that is past it is not handled, and counted.
//! - **Counted.** Items offered = handled + dropped + waiting + in service, always; see [`meter`] for the metrics, which
//!   are the same for every stage and present from the start.
//! - **Stands up again.** A panic while handling one item is logged and counted; the stage takes the next item.
//! - **Drains.** A stage ends when its last outbox is gone and its queue is empty. A handler holds the outboxes to the
//!   stages after it as fields, so that an ended stage closes the next one: draining flows down the pipeline. Where the
//!   pipeline has a way back (a retry), the stage holds a [`Outbox::feedback`], which keeps nothing open.
//!
//! Install the metrics recorder ([`crate::telemetry`]) before the pipeline is declared.

mod config;
mod deadline;
mod entry;
pub mod meter;
mod pipeline;
mod queue;
mod run;

use std::future::Future;
use std::time::Instant;

pub use config::{Overflow, StageConfig};
pub use deadline::Deadline;
pub use meter::describe;
pub use pipeline::{Depths, Drained, LeftBehind, Pipeline, PoolError};
pub use queue::{Inbox, Outbox, Refused};

/// What became of a handled item: a static label of the outcome counter.
pub type Outcome = &'static str;

/// The outcome of a stage that knows only success.
pub const DONE: Outcome = "done";

/// The outcome the stage itself records when handling an item panicked.
pub const PANICKED: Outcome = "panicked";

/// A stage that does I/O: up to `workers` items are handled at once, in no particular order.
pub trait Handler: Send + Sync + 'static {
    /// What it takes.
    type Item: Send + 'static;

    /// Every label `handle` returns, so that each is exported as zero before it first happens.
    const OUTCOMES: &'static [Outcome] = &[DONE];

    /// Handles one item. It is not cut off at the deadline: bound what you await by [`Deadline::remaining`].
    fn handle(&self, item: Self::Item, deadline: Deadline) -> impl Future<Output = Outcome> + Send;
}

/// A stage that computes: up to `workers` items are worked on at once, on rayon, in no particular order.
///
/// Within `work`, rayon's parallel iterators use the stage's pool; send on with [`Outbox::send_blocking`].
pub trait Work: Send + Sync + 'static {
    /// What it takes.
    type Item: Send + 'static;

    /// Every label `work` returns, so that each is exported as zero before it first happens.
    const OUTCOMES: &'static [Outcome] = &[DONE];

    /// Works on one item.
    fn work(&self, item: Self::Item, deadline: Deadline) -> Outcome;
}

/// A stage that owns state and a timer: one worker, items in the order in which they came.
pub trait Actor: Send + 'static {
    /// What it takes.
    type Item: Send + 'static;

    /// Every label `handle` returns, so that each is exported as zero before it first happens.
    const OUTCOMES: &'static [Outcome] = &[DONE];

    /// Handles one item. Nothing else of this stage runs meanwhile.
    fn handle(&mut self, item: Self::Item, deadline: Deadline) -> impl Future<Output = Outcome> + Send;

    /// When [`Actor::tick`] is due next; asked again after every item and every tick. `None`: not at all.
    ///
    /// A tick that is due goes before the next item, so a timer does not starve under load. Ticks are at least a
    /// millisecond apart, so that one that forgot to move its instant does not starve the queue either.
    fn next_tick(&self) -> Option<Instant> {
        None
    }

    /// What the timer is for.
    fn tick(&mut self) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// The queue is closed and empty: send on what is still held. Outboxes close when this returns.
    fn drained(&mut self) -> impl Future<Output = ()> + Send {
        async {}
    }
}
