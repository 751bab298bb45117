//! What happened in the last slots, for `/status` and the log.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use ditto_core::clock::{Slot, SlotClock};
use ditto_core::proposal::BatchId;
use ditto_core::task::Occurrence;
use ditto_core::telemetry::status::Done;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::history::{Event, History};

/// Slots remembered: two minutes of two-second slots, enough to read after something went wrong.
const KEPT: usize = 64;

/// Counts of one slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SlotCounts {
    /// The slot.
    pub slot: Slot,
    /// This operator's rank among the slot's performers.
    pub rank: Option<usize>,
    /// Whether this operator's votes count in the slot.
    pub attests: bool,
    /// Occurrences due, the carried-over ones counted.
    pub due: u64,
    /// Runs ended.
    pub simulated: u64,
    /// Operations that came out and passed policy and dry-run.
    pub operations: u64,
    /// Tasks proposed by this operator.
    pub proposed: u64,
    /// Tasks approved.
    pub approved: u64,
    /// Tasks rejected.
    pub rejected: u64,
    /// Tasks abstained from.
    pub abstained: u64,
}

/// The recent slots, and the way to the history of their occurrences.
#[derive(Debug, Default)]
pub struct Board {
    slots: Mutex<BTreeMap<Slot, SlotCounts>>,
    vote: Mutex<Option<(Done, Instant)>>,
    history: History,
}

impl Board {
    /// No slots yet.
    #[must_use]
    pub fn new(history: History) -> Self {
        Self { slots: Mutex::default(), vote: Mutex::default(), history }
    }

    /// Tells the history what happened to an occurrence in a slot.
    pub fn tell(&self, occurrence: Occurrence, attempt: Slot, event: impl FnOnce() -> Event) {
        self.history.tell(occurrence, attempt, event);
    }

    /// Changes a slot's counts.
    pub fn note(&self, slot: Slot, change: impl FnOnce(&mut SlotCounts)) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        change(slots.entry(slot).or_insert(SlotCounts { slot, ..SlotCounts::default() }));
        while slots.len() > KEPT {
            slots.pop_first();
        }
    }

    /// A vote was cast, or was not.
    pub fn voted(&self, slot: Slot, batch: BatchId, outcome: &str) {
        let done = Done { slot: Some(slot), what: batch.to_string(), outcome: outcome.to_owned(), age_seconds: 0 };
        *self.vote.lock().unwrap_or_else(PoisonError::into_inner) = Some((done, Instant::now()));
    }

    /// The last vote.
    #[must_use]
    pub fn last_vote(&self) -> Option<Done> {
        let last = self.vote.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().map(|(done, at)| Done { age_seconds: at.elapsed().as_secs(), ..done.clone() })
    }

    /// A slot's counts.
    #[must_use]
    pub fn of(&self, slot: Slot) -> SlotCounts {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.get(&slot).copied().unwrap_or(SlotCounts { slot, ..SlotCounts::default() })
    }

    /// The recent slots, oldest first.
    #[must_use]
    pub fn recent(&self) -> Vec<SlotCounts> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).values().copied().collect()
    }
}

/// One line in the log for every slot, when it is over: what an operator follows, and what a support request quotes.
pub async fn log_slots(board: Arc<Board>, clock: SlotClock, stopping: CancellationToken) {
    let mut slot = clock.current().map_or(0, |slot| slot + 1);
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            () = tokio::time::sleep(clock.until(slot + 1, 0)) => {}
        }
        let Some(current) = clock.current().filter(|current| *current > slot) else { continue };
        let SlotCounts { rank, due, simulated, operations, proposed, approved, rejected, abstained, .. } =
            board.of(slot);
        let role = rank.map_or_else(|| "attester".to_owned(), |rank| format!("performer of rank {rank}"));
        tracing::info!(slot, role, due, simulated, operations, proposed, approved, rejected, abstained, "slot ended");
        // A machine that slept does not report the slots it missed; the source of slots says that it did.
        slot = current;
    }
}
