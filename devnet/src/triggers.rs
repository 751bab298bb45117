//! When workflows are due, computed by the devnet itself: it must not ask those whom it checks.

use std::str::FromStr;

use alloy::primitives::{Bytes, U256};
use alloy::sol_types::SolValue;
use anyhow::Context;
use chrono::{DateTime, Utc};
use croner::Cron;
use ditto_core::chain::bindings::registry::WorkflowRegistry;
use ditto_core::clock::{Slot, SlotSchedule};

/// A trigger, as it is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Due in every slot whose number leaves `phase` when divided by `every`.
    Interval {
        /// Slots between two times.
        every: u64,
        /// The remainder.
        phase: u64,
    },
    /// Due in the slot that holds the first second of a minute that the schedule (five fields, UTC) names.
    Cron(String),
}

impl Trigger {
    /// The trigger of the devnet's workflow with this index. Most are due in every slot, so that batches are large; of
    /// every twelve one is due in every second slot and one in every third or fourth, each in another phase, and one of
    /// all is due every full minute.
    #[must_use]
    pub fn of(index: u64) -> Self {
        let turn = index / 12;
        let every = match index % 12 {
            0..=9 => 1,
            10 => 2,
            _ if turn == 0 => return Self::Cron("* * * * *".into()),
            _ => 3 + (turn + 1) % 2,
        };
        Self::Interval { every, phase: turn % every }
    }

    /// Whether a workflow with this trigger is due in a slot.
    ///
    /// # Errors
    /// When the schedule is none.
    pub fn due(&self, schedule: SlotSchedule, slot: Slot) -> anyhow::Result<bool> {
        match self {
            Self::Interval { every, phase } => Ok(slot % every == *phase),
            Self::Cron(text) => {
                let cron = Cron::from_str(text).with_context(|| format!("{text:?} is no schedule"))?;
                let start = instant(schedule.start_seconds(slot))?;
                let end = instant(schedule.start_seconds(slot + 1))?;
                let next = cron.find_next_occurrence(&start, true).context("the schedule names no time to come")?;
                Ok(next < end)
            }
        }
    }

    /// The trigger as the registry takes it.
    #[must_use]
    pub fn published(&self) -> WorkflowRegistry::Trigger {
        match self {
            Self::Interval { every, phase } => {
                let data = (U256::from(*every), U256::from(*phase)).abi_encode();
                WorkflowRegistry::Trigger { kind: 0, data: data.into() }
            }
            Self::Cron(text) => WorkflowRegistry::Trigger { kind: 1, data: Bytes::from(text.clone().into_bytes()) },
        }
    }
}

fn instant(seconds: u64) -> anyhow::Result<DateTime<Utc>> {
    DateTime::from_timestamp(seconds.cast_signed(), 0).context("the slot is not of this calendar")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(trigger: &Trigger, genesis_seconds: u64, slot_seconds: u64, until: Slot) -> Vec<Slot> {
        let schedule = SlotSchedule { genesis_seconds, slot_seconds };
        (0..until).filter(|slot| trigger.due(schedule, *slot).unwrap()).collect()
    }

    #[test]
    fn an_interval_is_due_in_its_phase() {
        assert_eq!(slots(&Trigger::Interval { every: 3, phase: 2 }, 0, 2, 10), [2, 5, 8]);
    }

    #[test]
    fn a_minute_is_due_in_the_slot_that_holds_its_first_second() {
        let cron = Trigger::Cron("* * * * *".into());
        // 1_700_000_040 is a full minute.
        assert_eq!(slots(&cron, 1_700_000_040, 2, 61), [0, 30, 60]);
        assert_eq!(slots(&cron, 1_700_000_039, 2, 61), [0, 30, 60]);
        assert_eq!(slots(&cron, 1_700_000_041, 2, 60), [29, 59]);
        // A slot longer than a minute is due once, however many minutes it holds.
        assert_eq!(slots(&cron, 1_700_000_041, 120, 3), [0, 1, 2]);
    }

    #[test]
    fn phases_are_below_intervals() {
        for index in 0..500 {
            if let Trigger::Interval { every, phase } = Trigger::of(index) {
                assert!(phase < every);
            }
        }
    }
}
