//! Interrupts a worker's poll: a new job, an answer, the end.

use std::{
    collections::VecDeque,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::event::{EventfdFlags, eventfd};

use crate::job::ReadAnswer;

/// An answer on its way to a run.
pub(crate) struct Delivery {
    pub(crate) token: u64,
    pub(crate) index: usize,
    pub(crate) answer: ReadAnswer,
}

/// What others may touch of a worker.
pub(crate) struct Bell {
    event: OwnedFd,
    /// The worker could take a job and is about to sleep.
    hungry: AtomicBool,
    stop: AtomicBool,
    /// Never longer than the reads that runs of this worker may ask, since every read has one reply.
    deliveries: Mutex<VecDeque<Delivery>>,
}

impl Bell {
    pub(crate) fn new() -> Result<Bell, rustix::io::Errno> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Bell {
            event,
            hungry: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            deliveries: Mutex::new(VecDeque::new()),
        })
    }

    fn ring(&self) {
        // Fails only when the counter is full, and then the worker is awake.
        rustix::io::write(&self.event, &1u64.to_ne_bytes()).ok();
    }

    /// Wakes the worker if it waits for jobs; says whether it did.
    pub(crate) fn offer(&self) -> bool {
        let waited = self.hungry.swap(false, Ordering::SeqCst);
        if waited {
            self.ring();
        }
        waited
    }

    /// The worker says whether it would take a job. After `true` it looks at the queue once more before it sleeps, so no
    /// job is left between.
    pub(crate) fn set_hungry(&self, hungry: bool) {
        self.hungry.store(hungry, Ordering::SeqCst);
    }

    pub(crate) fn deliver(&self, delivery: Delivery) {
        let mut deliveries = self.lock();
        let first = deliveries.is_empty();
        deliveries.push_back(delivery);
        drop(deliveries);
        // Whoever takes one takes all, and has heard of the first.
        if first {
            self.ring();
        }
    }

    pub(crate) fn take_delivery(&self) -> Option<Delivery> {
        self.lock().pop_front()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Delivery>> {
        // Nobody can panic while holding it: pushes and pops only.
        self.deliveries.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        self.ring();
    }

    pub(crate) fn stopping(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    pub(crate) fn silence(&self) {
        let mut count = [0u8; 8];
        // Nothing to read is what we want.
        rustix::io::read(&self.event, &mut count).ok();
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}
