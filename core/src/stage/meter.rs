//! The metrics that every stage has, whatever its kind, without its author writing a line.
//!
//! Handles are made once, when the queue is declared, so that recording is an atomic add and every series is exported
//! as zero before anything happens.

use std::sync::Once;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram};
use metrics::{Unit, gauge, histogram};

use super::{Outcome, PANICKED};
use crate::telemetry::status::StageStatus;

/// Items waiting in the queue.
pub const QUEUE_DEPTH: &str = "ditto_stage_queue_depth";
/// Room in the queue.
pub const QUEUE_CAPACITY: &str = "ditto_stage_queue_capacity";
/// Items offered to the stage.
pub const ITEMS_IN: &str = "ditto_stage_items_in_total";
/// Items handled, by outcome.
pub const ITEMS: &str = "ditto_stage_items_total";
/// Time from entering the queue to being taken.
pub const WAIT: &str = "ditto_stage_wait_seconds";
/// Time from being taken to being handled.
pub const SERVICE: &str = "ditto_stage_service_seconds";
/// Items in service.
pub const BUSY: &str = "ditto_stage_busy_workers";
/// Items in service at most.
pub const WORKERS: &str = "ditto_stage_workers";
/// Items dropped, by reason.
pub const DROPS: &str = "ditto_stage_drops_total";
/// Panics, of items and of timers.
pub const PANICS: &str = "ditto_stage_panics_total";

/// Why an item was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// The queue was full, and the stage drops what it has no room for (or the sender would not wait).
    Full,
    /// It was past its deadline, waiting for room or in the queue.
    Deadline,
    /// The stage had ended.
    Closed,
    /// The stage was stopped (drain timeout) before it got to the item, or while it handled it.
    Abandoned,
}

impl DropReason {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Full, Self::Deadline, Self::Closed, Self::Abandoned];

    /// The metric's label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Deadline => "deadline",
            Self::Closed => "closed",
            Self::Abandoned => "abandoned",
        }
    }
}

/// One stage's handles.
pub(super) struct Meter {
    pub(super) stage: &'static str,
    depth: Gauge,
    items_in: Counter,
    wait: Histogram,
    service: Histogram,
    busy: Gauge,
    panics: Counter,
    drops: [Counter; DropReason::ALL.len()],
    in_service: AtomicUsize,
    // What `/status` shows; a counter of the recorder cannot be read back.
    workers: AtomicUsize,
    handled: AtomicU64,
    dropped: AtomicU64,
}

impl Meter {
    pub(super) fn new(stage: &'static str, capacity: usize) -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(describe);
        #[allow(clippy::cast_precision_loss)] // a queue of 2^53 items does not fit in memory
        gauge!(QUEUE_CAPACITY, "stage" => stage).set(capacity as f64);
        let depth = gauge!(QUEUE_DEPTH, "stage" => stage);
        depth.set(0.0);
        let busy = gauge!(BUSY, "stage" => stage);
        busy.set(0.0);
        Self {
            stage,
            depth,
            items_in: zero(counter!(ITEMS_IN, "stage" => stage)),
            wait: histogram!(WAIT, "stage" => stage),
            service: histogram!(SERVICE, "stage" => stage),
            busy,
            panics: zero(counter!(PANICS, "stage" => stage)),
            drops: DropReason::ALL.map(|reason| zero(counter!(DROPS, "stage" => stage, "reason" => reason.label()))),
            in_service: AtomicUsize::new(0),
            workers: AtomicUsize::new(0),
            handled: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        }
    }

    /// Declares the labels that will be counted, and how many items may be in service.
    pub(super) fn declare(&self, outcomes: &[Outcome], workers: usize) {
        for outcome in outcomes.iter().chain([&PANICKED]) {
            counter!(ITEMS, "stage" => self.stage, "outcome" => *outcome).increment(0);
        }
        #[allow(clippy::cast_precision_loss)] // as above
        gauge!(WORKERS, "stage" => self.stage).set(workers as f64);
        self.workers.store(workers, Ordering::Relaxed);
    }

    pub(super) fn offered(&self) {
        self.items_in.increment(1);
    }

    pub(super) fn entered(&self) {
        self.depth.increment(1.0);
    }

    pub(super) fn left(&self) {
        self.depth.decrement(1.0);
    }

    pub(super) fn dropped(&self, reason: DropReason) {
        self.drops[reason as usize].increment(1);
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn taken(&self, waited: Duration) {
        self.wait.record(waited.as_secs_f64());
        self.busy.increment(1.0);
        self.in_service.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn released(&self) {
        self.busy.decrement(1.0);
        self.in_service.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn handled(&self, outcome: Outcome, served: Duration) {
        self.service.record(served.as_secs_f64());
        counter!(ITEMS, "stage" => self.stage, "outcome" => outcome).increment(1);
        self.handled.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn panicked(&self) {
        self.panics.increment(1);
    }

    /// The stage, with this many items waiting.
    pub(super) fn status(&self, queue: usize, capacity: usize) -> StageStatus {
        StageStatus {
            stage: self.stage.to_owned(),
            queue,
            capacity,
            busy: self.in_service(),
            workers: self.workers.load(Ordering::Relaxed),
            handled_total: self.handled.load(Ordering::Relaxed),
            dropped_total: self.dropped.load(Ordering::Relaxed),
        }
    }

    pub(super) fn in_service(&self) -> usize {
        self.in_service.load(Ordering::Relaxed)
    }
}

/// A counter is exported once it was touched.
fn zero(counter: Counter) -> Counter {
    counter.increment(0);
    counter
}

/// Help texts and units of the metrics that every stage has.
pub fn describe() {
    describe_gauge!(QUEUE_DEPTH, Unit::Count, "Items waiting in the stage's queue.");
    describe_gauge!(QUEUE_CAPACITY, Unit::Count, "Items that may wait in the stage's queue.");
    describe_counter!(
        ITEMS_IN,
        Unit::Count,
        "Items offered to the stage: the sum of handled, dropped, waiting and in service."
    );
    describe_counter!(ITEMS, Unit::Count, "Items handled by the stage, by outcome.");
    describe_histogram!(WAIT, Unit::Seconds, "Time an item waited in the stage's queue.");
    describe_histogram!(SERVICE, Unit::Seconds, "Time the stage took to handle an item.");
    describe_gauge!(BUSY, Unit::Count, "Items in service at the stage.");
    describe_gauge!(WORKERS, Unit::Count, "Items that may be in service at the stage at once.");
    describe_counter!(DROPS, Unit::Count, "Items the stage dropped without handling them, by reason.");
    describe_counter!(PANICS, Unit::Count, "Panics in the stage's code, in items and timers; each one is a bug.");
}
