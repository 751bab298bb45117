//! When a workflow is due.
//!
//! Triggers belong to the published workflow and are combined with AND. Two kinds are functions of the slot alone: an
//! [interval](Trigger::Interval) and a [cron schedule](Trigger::Cron). Two ask a chain, at the slot's pins: an
//! [event](EventFilter) and a [condition](Condition). The fifth, the [limit](Limit), fires never by itself: it says how often
//! the others may. Anybody may publish them: reading one and asking whether it fires must cost the same whatever it says.

mod condition;
mod cron;
mod event;

use alloy::sol_types::SolValue;
use croner::Cron;
use ditto_core::chain::bindings::registry::WorkflowRegistry;
use ditto_core::clock::{Slot, SlotSchedule};

pub use condition::{Comparison, Condition, Reading};
pub use event::EventFilter;

/// The registry's numbers of the kinds.
pub const KIND_INTERVAL: u8 = 0;
/// See [`KIND_INTERVAL`].
pub const KIND_CRON: u8 = 1;
/// See [`KIND_INTERVAL`].
pub const KIND_EVENT: u8 = 2;
/// See [`KIND_INTERVAL`].
pub const KIND_CONDITION: u8 = 3;
/// See [`KIND_INTERVAL`].
pub const KIND_LIMIT: u8 = 4;

/// The most triggers of a workflow, as the registry's contract has it.
pub const MAX_TRIGGERS: usize = 8;
/// The most bytes of an event or condition, as the registry's contract has it.
pub const MAX_TRIGGER_BYTES: usize = 1_536;

/// A trigger as it is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedTrigger {
    /// The registry's number of the kind.
    pub kind: u8,
    /// The kind's data.
    pub data: Vec<u8>,
}

/// A published trigger, understood.
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
    /// Due in the slot in whose window a log was emitted.
    Event(Box<EventFilter>),
    /// Due in the slot at whose pin a call's result compares as wanted.
    Condition(Box<Condition>),
    /// How often the workflow executes at most.
    Limit(Limit),
}

/// How often a workflow executes at most. Zero: no such limit; at least one is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    /// Executions, ever.
    pub count: u64,
    /// Seconds between the slots of two executions.
    pub interval_seconds: u64,
}

/// Slots that are looked at together: one, or for a workflow with a [`Limit`] a period of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// The first slot.
    pub first: Slot,
    /// The last slot.
    pub last: Slot,
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
    /// Not an event.
    #[error("not an event trigger: {0}")]
    Event(String),
    /// Not a condition.
    #[error("not a condition trigger: {0}")]
    Condition(String),
    /// Not a limit.
    #[error("a limit needs abi.encode(uint64 count, uint64 intervalSeconds), not both zero")]
    Limit,
    /// Several limits, or nothing but one.
    #[error("a workflow has one limit at most, and a trigger besides it")]
    Limits,
}

impl Span {
    /// One slot.
    #[must_use]
    pub fn of(slot: Slot) -> Self {
        Self { first: slot, last: slot }
    }

    /// Whether a slot of it leaves `phase` when divided by `every`, which is above `phase`.
    fn has_phase(self, every: u64, phase: u64) -> bool {
        let place = self.last % every;
        // How far back from the last slot the nearest one with the phase is.
        let behind = if place >= phase { place - phase } else { place + (every - phase) };
        behind <= self.last - self.first
    }
}

impl Trigger {
    /// Reads a published trigger.
    ///
    /// # Errors
    /// When it can never fire.
    pub fn parse(kind: u8, data: &[u8]) -> Result<Self, TriggerError> {
        match kind {
            KIND_INTERVAL => match <(u64, u64)>::abi_decode_validate(data) {
                Ok((every, phase)) if phase < every => Ok(Self::Interval { every, phase }),
                _ => Err(TriggerError::Interval),
            },
            KIND_CRON => {
                let schedule = String::from_utf8_lossy(data).into_owned();
                match cron::parse(&schedule) {
                    Ok(cron) => Ok(Self::Cron(Box::new(cron))),
                    Err(cause) => Err(TriggerError::Cron { schedule, cause }),
                }
            }
            KIND_EVENT => {
                EventFilter::parse(data).map(|event| Self::Event(Box::new(event))).map_err(TriggerError::Event)
            }
            KIND_CONDITION => Condition::parse(data)
                .map(|condition| Self::Condition(Box::new(condition)))
                .map_err(TriggerError::Condition),
            KIND_LIMIT => match WorkflowRegistry::LimitTrigger::abi_decode_validate(data) {
                Ok(limit) if limit.count | limit.interval != 0 => {
                    Ok(Self::Limit(Limit { count: limit.count, interval_seconds: limit.interval }))
                }
                _ => Err(TriggerError::Limit),
            },
            kind => Err(TriggerError::Kind(kind)),
        }
    }

    /// Reads a workflow's triggers.
    ///
    /// # Errors
    /// When one of them can never fire, or nothing is left that could.
    pub fn parse_all<'a>(triggers: impl IntoIterator<Item = (u8, &'a [u8])>) -> Result<Vec<Self>, TriggerError> {
        let parsed = triggers.into_iter().map(|(kind, data)| Self::parse(kind, data)).collect::<Result<Vec<_>, _>>()?;
        match parsed.iter().filter(|trigger| matches!(trigger, Self::Limit(_))).count() {
            0 => Ok(parsed),
            1 if parsed.len() > 1 => Ok(parsed),
            _ => Err(TriggerError::Limits),
        }
    }

    /// [`Self::may_fire`] of one slot.
    #[must_use]
    pub fn fires(&self, slot: Slot, schedule: &SlotSchedule) -> bool {
        self.may_fire(Span::of(slot), schedule)
    }

    /// Whether it fires in one of the slots, as far as the slots alone tell: what asks a chain does not say no.
    #[must_use]
    pub fn may_fire(&self, span: Span, schedule: &SlotSchedule) -> bool {
        match self {
            Self::Interval { every, phase } => span.has_phase(*every, *phase),
            Self::Cron(cron) => cron::fires(cron, span, schedule),
            Self::Event(_) | Self::Condition(_) | Self::Limit(_) => true,
        }
    }
}

/// Whether a schedule names any day at all: a 30th of February it does not.
#[must_use]
pub fn cron_names_a_day(schedule: &str) -> bool {
    cron::names_a_day(schedule)
}

#[cfg(test)]
#[path = "triggers_tests.rs"]
mod tests;
