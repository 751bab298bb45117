//! When a workflow is due.
//!
//! Triggers belong to the published workflow and are combined with AND. Both kinds are functions of the slot alone, so
//! every operator comes to the same occurrences.

use std::str::FromStr;

use alloy::sol_types::SolValue;
use chrono::{DateTime, Duration, Utc};
use croner::Cron;
use ditto_core::clock::{Slot, SlotSchedule};

const KIND_INTERVAL: u8 = 0;
const KIND_CRON: u8 = 1;

/// A published trigger.
#[derive(Clone, Debug)]
pub enum Trigger {
    /// Due in every slot whose number leaves `phase` when divided by `every`.
    Interval {
        /// Slots between two occurrences.
        every: u64,
        /// The remainder.
        phase: u64,
    },
    /// Due in the slot that holds an instant of the schedule (five fields, UTC).
    Cron(Box<Cron>),
}

/// Why a published trigger can never fire.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TriggerError {
    /// A kind this version does not know.
    #[error("trigger kind {0} is not known to this version; upgrade the operator")]
    Kind(u8),
    /// Not `abi.encode(uint64 every, uint64 phase)`, or out of range.
    #[error("an interval needs abi.encode(uint64 everySlots, uint64 phase) with everySlots > phase")]
    Interval,
    /// Not a cron schedule.
    #[error("{schedule:?} is not a cron schedule of five fields: {cause}")]
    Cron {
        /// What was published.
        schedule: String,
        /// Why not.
        cause: String,
    },
}

impl Trigger {
    /// Reads a published trigger.
    ///
    /// # Errors
    /// When it can never fire.
    pub fn parse(kind: u8, data: &[u8]) -> Result<Self, TriggerError> {
        match kind {
            KIND_INTERVAL => match <(u64, u64)>::abi_decode(data) {
                Ok((every, phase)) if phase < every => Ok(Self::Interval { every, phase }),
                _ => Err(TriggerError::Interval),
            },
            KIND_CRON => {
                let schedule = String::from_utf8_lossy(data).into_owned();
                match Cron::from_str(&schedule) {
                    Ok(cron) => Ok(Self::Cron(Box::new(cron))),
                    Err(cause) => Err(TriggerError::Cron { schedule, cause: cause.to_string() }),
                }
            }
            kind => Err(TriggerError::Kind(kind)),
        }
    }

    /// Whether it fires in a slot.
    #[must_use]
    pub fn fires(&self, slot: Slot, schedule: &SlotSchedule) -> bool {
        match self {
            Self::Interval { every, phase } => slot % every == *phase,
            Self::Cron(cron) => {
                let seconds = i64::try_from(schedule.start_seconds(slot)).ok();
                let Some(start) = seconds.and_then(|s| DateTime::<Utc>::from_timestamp(s, 0)) else { return false };
                let end = start + Duration::seconds(i64::try_from(schedule.slot_seconds).unwrap_or(i64::MAX / 1000));
                cron.find_next_occurrence(&start, true).is_ok_and(|next| next < end)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const SCHEDULE: SlotSchedule = SlotSchedule { genesis_seconds: 1_700_000_000, slot_seconds: 2 };

    fn interval(every: u64, phase: u64) -> Result<Trigger, TriggerError> {
        Trigger::parse(KIND_INTERVAL, &(every, phase).abi_encode())
    }

    #[test]
    fn an_interval_fires_once_in_every_so_many_slots() {
        let trigger = interval(3, 1).unwrap();
        let due: Vec<_> = (0..9).filter(|slot| trigger.fires(*slot, &SCHEDULE)).collect();
        assert_eq!(due, [1, 4, 7]);
        assert!(interval(0, 0).is_err(), "an interval of zero would divide by zero");
        assert!(interval(3, 3).is_err());
    }

    #[test]
    fn a_minute_fires_in_the_one_slot_that_holds_its_first_second() {
        let trigger = Trigger::parse(KIND_CRON, b"* * * * *").unwrap();
        let due = (0..300).filter(|slot| trigger.fires(*slot, &SCHEDULE)).count();
        assert_eq!(due, 10, "600 seconds hold ten minutes");
    }

    #[test]
    fn errors_say_what_is_wrong() {
        assert_eq!(Trigger::parse(9, &[]).unwrap_err(), TriggerError::Kind(9));
        assert!(Trigger::parse(KIND_CRON, b"61 * * * *").unwrap_err().to_string().contains("61"));
        assert_eq!(Trigger::parse(KIND_INTERVAL, &[1, 2]).unwrap_err(), TriggerError::Interval);
    }

    proptest! {
        #[test]
        fn arbitrary_triggers_never_panic(kind: u8, data: Vec<u8>, slot: u64) {
            if let Ok(trigger) = Trigger::parse(kind, &data) {
                let _fires = trigger.fires(slot, &SCHEDULE);
            }
        }
    }
}
