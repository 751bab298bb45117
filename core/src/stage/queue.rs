//! A stage's bounded queue and its two ends.
//!
//! Items lie in a bounded crossbeam channel, from which threads and tasks alike can take them. Room is handed out by a
//! semaphore with as many permits as the channel has places, so that async and blocking senders wait in one fair line
//! and a sender with a permit always finds a place.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use crossbeam_channel::{Receiver, Sender};
use tokio::sync::{Notify, Semaphore, TryAcquireError};

use super::entry::Entry;
use super::meter::{DropReason, Meter};
use super::{Deadline, Overflow, StageConfig};
use crate::telemetry::status::StageStatus;

/// The sending end of a stage's queue. While one exists, the stage stays open.
pub struct Outbox<T> {
    queue: Arc<Queue<T>>,
    /// Does this end keep the stage open?
    holds: bool,
}

/// The receiving end of a stage's queue: hand it to [`Pipeline`](super::Pipeline) together with what handles the items.
pub struct Inbox<T> {
    pub(super) queue: Arc<Queue<T>>,
    receiver: Receiver<Entry<T>>,
    pub(super) workers: usize,
}

/// The stage did not take the item. It has counted that already; the item is handed back.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused<T> {
    /// No room, and the stage drops what it has no room for (or the sender would not wait).
    #[error("the stage's queue is full")]
    Full(T),
    /// The item's deadline passed before there was room.
    #[error("the item's deadline passed before the stage had room")]
    Expired(T),
    /// The stage has ended.
    #[error("the stage has ended")]
    Closed(T),
}

pub(super) struct Queue<T> {
    sender: Sender<Entry<T>>,
    room: Semaphore,
    capacity: usize,
    arrived: Notify,
    /// Outboxes that hold the stage open.
    holders: AtomicUsize,
    stopped: AtomicBool,
    overflow: Overflow,
    pub(super) meter: Arc<Meter>,
}

pub(super) fn queue<T>(stage: &'static str, config: &StageConfig) -> (Outbox<T>, Inbox<T>) {
    let capacity = config.queue.get().min(Semaphore::MAX_PERMITS);
    let (sender, receiver) = crossbeam_channel::bounded(capacity);
    let queue = Arc::new(Queue {
        sender,
        room: Semaphore::new(capacity),
        capacity,
        arrived: Notify::new(),
        holders: AtomicUsize::new(1),
        stopped: AtomicBool::new(false),
        overflow: config.overflow,
        meter: Arc::new(Meter::new(stage, capacity)),
    });
    (Outbox { queue: queue.clone(), holds: true }, Inbox { queue, receiver, workers: config.workers.get() })
}

impl<T> Outbox<T> {
    /// Sends an item. Where the stage's overflow policy is to wait, waits for room until the item's deadline.
    ///
    /// # Errors
    /// The item, and why it was refused.
    pub async fn send(&self, item: T, deadline: Deadline) -> Result<(), Refused<T>> {
        self.queue.meter.offered();
        match self.now(item, deadline) {
            Err(Refused::Full(item)) if self.queue.overflow == Overflow::Wait => {
                let acquired = match deadline.instant() {
                    None => self.queue.room.acquire().await,
                    Some(at) => match tokio::time::timeout_at(at.into(), self.queue.room.acquire()).await {
                        Ok(acquired) => acquired,
                        Err(_elapsed) => return self.refuse(Refused::Expired(item)),
                    },
                };
                let Ok(permit) = acquired else { return self.refuse(Refused::Closed(item)) };
                permit.forget();
                self.put(item, deadline).or_else(|refused| self.refuse(refused))
            }
            done => done.or_else(|refused| self.refuse(refused)),
        }
    }

    /// Sends an item from a thread that may block, such as a rayon worker's: as [`Outbox::send`], without a runtime.
    ///
    /// # Errors
    /// The item, and why it was refused.
    pub fn send_blocking(&self, item: T, deadline: Deadline) -> Result<(), Refused<T>> {
        self.queue.meter.offered();
        match self.now(item, deadline) {
            Err(Refused::Full(item)) if self.queue.overflow == Overflow::Wait => {
                match block_until(deadline, self.queue.room.acquire()) {
                    None => self.refuse(Refused::Expired(item)),
                    Some(Err(_closed)) => self.refuse(Refused::Closed(item)),
                    Some(Ok(permit)) => {
                        permit.forget();
                        self.put(item, deadline).or_else(|refused| self.refuse(refused))
                    }
                }
            }
            done => done.or_else(|refused| self.refuse(refused)),
        }
    }

    /// Sends an item without waiting, whatever the stage's overflow policy: for event loops that must not stop.
    ///
    /// # Errors
    /// The item, and why it was refused.
    pub fn try_send(&self, item: T, deadline: Deadline) -> Result<(), Refused<T>> {
        self.queue.meter.offered();
        self.now(item, deadline).or_else(|refused| self.refuse(refused))
    }

    /// Sends an item for a sender that can do nothing about a refusal: the stage has counted it, with its reason.
    pub async fn offer(&self, item: T, deadline: Deadline) {
        drop(self.send(item, deadline).await);
    }

    /// [`Outbox::offer`] from a thread that may block.
    pub fn offer_blocking(&self, item: T, deadline: Deadline) {
        drop(self.send_blocking(item, deadline));
    }

    /// [`Outbox::offer`] without waiting.
    pub fn offer_now(&self, item: T, deadline: Deadline) {
        drop(self.try_send(item, deadline));
    }

    /// A way back into an earlier stage (or into the stage's own queue): sends like this one, but does not keep the
    /// stage open, since two stages that keep each other open never drain.
    #[must_use]
    pub fn feedback(&self) -> Self {
        Self { queue: self.queue.clone(), holds: false }
    }

    /// Items that wait.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.queue.sender.len()
    }

    /// Items that may wait.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.queue.capacity
    }

    /// The stage this leads to.
    #[must_use]
    pub fn stage(&self) -> &'static str {
        self.queue.meter.stage
    }

    fn now(&self, item: T, deadline: Deadline) -> Result<(), Refused<T>> {
        if deadline.expired() {
            return Err(Refused::Expired(item));
        }
        match self.queue.room.try_acquire() {
            Ok(permit) => {
                permit.forget();
                self.put(item, deadline)
            }
            Err(TryAcquireError::NoPermits) => Err(Refused::Full(item)),
            Err(TryAcquireError::Closed) => Err(Refused::Closed(item)),
        }
    }

    /// Puts an item into the place that a permit, already forgotten, stands for.
    fn put(&self, item: T, deadline: Deadline) -> Result<(), Refused<T>> {
        let entry = Entry::new(self.queue.meter.clone(), item, deadline);
        // With a permit there is a place, so this fails only when the receiving end is gone.
        self.queue.sender.try_send(entry).map_err(|refused| Refused::Closed(refused.into_inner().turned_away()))?;
        self.queue.arrived.notify_one();
        Ok(())
    }

    fn refuse(&self, refused: Refused<T>) -> Result<(), Refused<T>> {
        self.queue.meter.dropped(match &refused {
            Refused::Full(_) => DropReason::Full,
            Refused::Expired(_) => DropReason::Deadline,
            Refused::Closed(_) => DropReason::Closed,
        });
        Err(refused)
    }
}

impl<T> Clone for Outbox<T> {
    fn clone(&self) -> Self {
        if self.holds {
            self.queue.holders.fetch_add(1, Ordering::Relaxed);
        }
        Self { queue: self.queue.clone(), holds: self.holds }
    }
}

impl<T> Drop for Outbox<T> {
    fn drop(&mut self) {
        // Release: whoever sees zero also sees the items that were put before.
        if self.holds && self.queue.holders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.queue.arrived.notify_one();
        }
    }
}

impl<T> Inbox<T> {
    /// The next item; `None` once the queue is empty and no outbox holds it open. One task at a time may wait here.
    pub(super) async fn next(&self) -> Option<Entry<T>> {
        loop {
            if let Some(entry) = self.waiting() {
                return Some(entry);
            }
            if self.queue.stopped.load(Ordering::Acquire) || self.queue.holders.load(Ordering::Acquire) == 0 {
                return self.waiting();
            }
            self.queue.arrived.notified().await;
        }
    }

    /// The next item if there is one and the stage was not stopped.
    pub(super) fn waiting(&self) -> Option<Entry<T>> {
        if self.queue.stopped.load(Ordering::Acquire) {
            return None;
        }
        let entry = self.receiver.try_recv().ok()?;
        self.queue.room.add_permits(1);
        Some(entry)
    }
}

impl<T> Drop for Inbox<T> {
    fn drop(&mut self) {
        // Senders that wait for room wake up and find the stage closed; what waits is dropped and counted as abandoned.
        self.queue.room.close();
        while self.receiver.try_recv().is_ok() {}
    }
}

/// What a pipeline asks of a queue whose item type it has forgotten.
pub(super) trait Probe: Send + Sync {
    fn stage(&self) -> &'static str;
    fn left(&self) -> usize;
    fn status(&self) -> StageStatus;
    fn stop(&self);
}

impl<T: Send> Probe for Queue<T> {
    fn stage(&self) -> &'static str {
        self.meter.stage
    }

    fn left(&self) -> usize {
        self.sender.len() + self.meter.in_service()
    }

    fn status(&self) -> StageStatus {
        self.meter.status(self.sender.len(), self.capacity)
    }

    fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.room.close();
        self.arrived.notify_one();
    }
}

impl<T> Refused<T> {
    /// The item.
    pub fn into_item(self) -> T {
        match self {
            Self::Full(item) | Self::Expired(item) | Self::Closed(item) => item,
        }
    }
}

// By hand: items need not be printable.
impl<T> fmt::Debug for Refused<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full",
            Self::Expired(_) => "Expired",
            Self::Closed(_) => "Closed",
        })
    }
}

impl<T> fmt::Debug for Outbox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").field("stage", &self.stage()).field("depth", &self.depth()).finish_non_exhaustive()
    }
}

/// Runs a future on this thread until the deadline.
fn block_until<F: Future>(deadline: Deadline, future: F) -> Option<F::Output> {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        match deadline.remaining() {
            None => thread::park(),
            Some(left) if left.is_zero() => return None,
            Some(left) => thread::park_timeout(left),
        }
    }
}
