//! What happened in the last slots, for `/status` and the log.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use ditto_core::clock::Slot;
use ditto_core::task::Occurrence;
use serde::Serialize;

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
    history: History,
}

impl Board {
    /// No slots yet.
    #[must_use]
    pub fn new(history: History) -> Self {
        Self { slots: Mutex::default(), history }
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
