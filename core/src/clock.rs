//! Slots and the clock they are read from.
//!
//! Time is cut into slots of equal length from a genesis instant. Everything that must happen in a slot is measured
//! against [`SlotClock`]; the source of *now* is passed in ([`Clock`]), so that tests can drive time.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A slot's number; slot 0 begins at genesis.
pub type Slot = u64;

/// Where *now* comes from.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since the Unix epoch.
    fn now_ms(&self) -> u64;
}

/// The machine's wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> u64 {
        // A clock set before 1970 reads as the epoch: every slot is then far in the future and nothing is signed.
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
    }
}

/// The network's division of time, equal on every node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlotSchedule {
    /// Unix time of slot 0's beginning, in seconds.
    pub genesis_seconds: u64,
    /// Length of a slot, in seconds.
    pub slot_seconds: u64,
}

impl SlotSchedule {
    /// Unix time of the slot's first second.
    #[must_use]
    pub fn start_seconds(&self, slot: Slot) -> u64 {
        self.genesis_seconds.saturating_add(slot.saturating_mul(self.slot_seconds))
    }

    /// The slot that holds this instant; `None` before genesis.
    #[must_use]
    pub fn slot_at_ms(&self, ms: u64) -> Option<Slot> {
        ms.checked_sub(self.genesis_seconds.saturating_mul(1000)).map(|since| since / (self.slot_seconds.max(1) * 1000))
    }
}

/// A schedule read against a clock.
#[derive(Clone)]
pub struct SlotClock {
    schedule: SlotSchedule,
    clock: Arc<dyn Clock>,
}

impl SlotClock {
    /// Reads `schedule` against `clock`.
    pub fn new(schedule: SlotSchedule, clock: Arc<dyn Clock>) -> Self {
        Self { schedule, clock }
    }

    /// The schedule.
    #[must_use]
    pub fn schedule(&self) -> SlotSchedule {
        self.schedule
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    /// The slot of this instant; `None` before genesis.
    #[must_use]
    pub fn current(&self) -> Option<Slot> {
        self.schedule.slot_at_ms(self.now_ms())
    }

    /// How long until `ms` after the slot's start; zero when that has passed.
    #[must_use]
    pub fn until(&self, slot: Slot, ms: u64) -> Duration {
        let at = self.schedule.start_seconds(slot).saturating_mul(1000).saturating_add(ms);
        Duration::from_millis(at.saturating_sub(self.now_ms()))
    }

    /// Milliseconds since the slot's start; zero before it.
    #[must_use]
    pub fn since_ms(&self, slot: Slot) -> u64 {
        self.now_ms().saturating_sub(self.schedule.start_seconds(slot).saturating_mul(1000))
    }

    /// The monotonic instant at which the slot ends.
    #[must_use]
    pub fn end_of(&self, slot: Slot) -> Instant {
        Instant::now() + self.until(slot.saturating_add(1), 0)
    }
}

impl std::fmt::Debug for SlotClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SlotClock").field("schedule", &self.schedule).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEDULE: SlotSchedule = SlotSchedule { genesis_seconds: 1_000, slot_seconds: 2 };

    #[test]
    fn a_slot_holds_its_first_millisecond_and_not_the_next_slots() {
        assert_eq!(SCHEDULE.slot_at_ms(999_999), None);
        assert_eq!(SCHEDULE.slot_at_ms(1_000_000), Some(0));
        assert_eq!(SCHEDULE.slot_at_ms(1_001_999), Some(0));
        assert_eq!(SCHEDULE.slot_at_ms(1_002_000), Some(1));
        assert_eq!(SCHEDULE.start_seconds(3), 1_006);
    }
}
