//! An item on its way through a queue and its handling, which is counted exactly once whatever happens to it.

use std::sync::Arc;
use std::time::Instant;

use tracing::Span;

use super::meter::{DropReason, Meter};
use super::{Deadline, Outcome, PANICKED};

/// An item that waits.
pub(super) struct Entry<T> {
    item: T,
    deadline: Deadline,
    span: Span,
    place: Place,
}

/// An item that is being handled, apart from the item itself.
pub(super) struct Service {
    meter: Arc<Meter>,
    since: Instant,
    pub(super) deadline: Deadline,
    /// The span the item was sent in: its handling is logged as part of it.
    pub(super) span: Span,
    ended: bool,
}

/// A place in the queue. Whoever drops it without taking the item abandoned it.
struct Place {
    meter: Arc<Meter>,
    since: Instant,
    left: bool,
}

impl<T> Entry<T> {
    pub(super) fn new(meter: Arc<Meter>, item: T, deadline: Deadline) -> Self {
        meter.entered();
        let place = Place { meter, since: Instant::now(), left: false };
        Self { item, deadline, span: Span::current(), place }
    }

    /// The queue would not have it after all.
    pub(super) fn turned_away(mut self) -> T {
        self.place.leave();
        self.item
    }

    /// Takes the item out to be handled; `None` when it is past its deadline, which is counted.
    pub(super) fn take(mut self) -> Option<(T, Service)> {
        self.place.leave();
        let meter = self.place.meter.clone();
        if self.deadline.expired() {
            meter.dropped(DropReason::Deadline);
            return None;
        }
        let since = Instant::now();
        meter.taken(since.duration_since(self.place.since));
        Some((self.item, Service { meter, since, deadline: self.deadline, span: self.span, ended: false }))
    }
}

impl Place {
    fn leave(&mut self) {
        self.left = true;
        self.meter.left();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.left {
            self.leave();
            self.meter.dropped(DropReason::Abandoned);
        }
    }
}

impl Service {
    /// Records what became of the item; the payload of its panic is an outcome too.
    pub(super) fn end(mut self, outcome: Result<Outcome, Box<dyn std::any::Any + Send>>) {
        self.ended = true;
        let outcome = outcome.unwrap_or_else(|payload| {
            log_panic(&self.meter, "item", payload.as_ref());
            PANICKED
        });
        self.meter.handled(outcome, self.since.elapsed());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.meter.released();
        if !self.ended {
            self.meter.dropped(DropReason::Abandoned);
        }
    }
}

/// Counts and logs a panic of the stage's code.
pub(super) fn log_panic(meter: &Meter, during: &'static str, payload: &(dyn std::any::Any + Send)) {
    meter.panicked();
    let message = payload
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no message)");
    tracing::error!(stage = meter.stage, during, message, "the stage panicked and goes on; this is a bug");
}
