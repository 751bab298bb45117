//! When workflows are due, computed by the devnet itself: it must not ask those whom it checks.

use std::str::FromStr;

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::sol_types::{SolCall, SolEvent, SolValue};
use anyhow::Context;
use chrono::{DateTime, Utc};
use croner::Cron;
use ditto_core::chain::bindings::registry::WorkflowRegistry;
use ditto_core::clock::{Slot, SlotSchedule};

use crate::anvil::CHAIN_ID;
use crate::bindings::oracle::DemoOracle;

/// Seconds before a slot's start at which it is pinned: the operators' default.
const PIN_LAG_SECONDS: u64 = 1;

/// A trigger, or several of which all must fire.
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
    /// Due in the slot before whose pin, and after the last slot's, a signal was given.
    Signal,
    /// Due when the signals are this many at least at the slot's pin: a condition.
    Signals(u64),
    /// Both.
    SignalOf(u64),
}

/// A signal, as the chain has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal {
    /// The time of its block.
    pub seconds: u64,
    /// How many there are with it.
    pub count: u64,
}

impl Trigger {
    /// The trigger of the devnet's workflow with this index. Most are due in every slot, so that batches are large; of
    /// every 24 one waits for an event, one for a condition, one for both or (in every second 24) a third or fourth slot,
    /// one is due in every second slot in a phase of its own, and one of all is due every full minute.
    #[must_use]
    pub fn of(index: u64) -> Self {
        let turn = index / 24;
        let every = match index % 24 {
            10 => 2,
            20 => return Self::Signal,
            21 => return Self::Signals(2 + turn % 3),
            22 if turn.is_multiple_of(2) => return Self::SignalOf(3),
            22 => 3 + (turn / 2) % 2,
            23 if turn == 0 => return Self::Cron("* * * * *".into()),
            _ => 1,
        };
        Self::Interval { every, phase: turn % every }
    }

    /// Whether what is due depends on the chain.
    #[must_use]
    pub fn asks_chain(&self) -> bool {
        matches!(self, Self::Signal | Self::Signals(_) | Self::SignalOf(_))
    }

    /// What it is called in the report.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Interval { .. } => "interval",
            Self::Cron(_) => "cron",
            Self::Signal => "event",
            Self::Signals(_) => "condition",
            Self::SignalOf(_) => "event and condition",
        }
    }

    /// Whether a workflow with this trigger is due in a slot, given all signals up to the slot's pin, in order.
    ///
    /// # Errors
    /// When the schedule is none.
    pub fn due(&self, schedule: SlotSchedule, slot: Slot, signals: &[Signal]) -> anyhow::Result<bool> {
        let since = pinned_at(schedule, slot.saturating_sub(1));
        let until = pinned_at(schedule, slot);
        let given = || signals.iter().any(|signal| since < signal.seconds && signal.seconds <= until);
        let count = || signals.iter().rev().find(|signal| signal.seconds <= until).map_or(0, |signal| signal.count);
        match self {
            Self::Signal => Ok(given()),
            Self::Signals(least) => Ok(count() >= *least),
            Self::SignalOf(least) => Ok(given() && count() >= *least),
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

    /// The triggers as the registry takes them; `signal` is the contract that gives signals.
    #[must_use]
    pub fn published(&self, signal: Address) -> Vec<WorkflowRegistry::Trigger> {
        match self {
            Self::Interval { every, phase } => {
                let data = (U256::from(*every), U256::from(*phase)).abi_encode();
                vec![WorkflowRegistry::Trigger { kind: 0, data: data.into() }]
            }
            Self::Cron(text) => {
                vec![WorkflowRegistry::Trigger { kind: 1, data: Bytes::from(text.clone().into_bytes()) }]
            }
            Self::Signal => vec![event(signal)],
            Self::Signals(least) => vec![condition(signal, *least)],
            Self::SignalOf(least) => vec![event(signal), condition(signal, *least)],
        }
    }
}

/// The time up to which a block may be a slot's pin.
#[must_use]
pub fn pinned_at(schedule: SlotSchedule, slot: Slot) -> u64 {
    schedule.start_seconds(slot).saturating_sub(PIN_LAG_SECONDS)
}

fn event(signal: Address) -> WorkflowRegistry::Trigger {
    let event = WorkflowRegistry::EventTrigger {
        chainId: CHAIN_ID,
        emitter: signal,
        signature: DemoOracle::AnswerUpdated::SIGNATURE_HASH,
        topics: Vec::new(),
    };
    WorkflowRegistry::Trigger { kind: 2, data: event.abi_encode().into() }
}

/// `latestAnswer() >= least`, read as a signed number.
fn condition(signal: Address, least: u64) -> WorkflowRegistry::Trigger {
    let condition = WorkflowRegistry::ConditionTrigger {
        chainId: CHAIN_ID,
        target: signal,
        data: DemoOracle::latestAnswerCall {}.abi_encode().into(),
        position: 0,
        result: 1,
        comparison: 3,
        operands: vec![B256::from(U256::from(least)).into()],
    };
    WorkflowRegistry::Trigger { kind: 3, data: condition.abi_encode().into() }
}

fn instant(seconds: u64) -> anyhow::Result<DateTime<Utc>> {
    DateTime::from_timestamp(seconds.cast_signed(), 0).context("the slot is not of this calendar")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(trigger: &Trigger, genesis_seconds: u64, slot_seconds: u64, until: Slot) -> Vec<Slot> {
        let schedule = SlotSchedule { genesis_seconds, slot_seconds };
        (0..until).filter(|slot| trigger.due(schedule, *slot, &[]).unwrap()).collect()
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

    #[test]
    fn a_signal_is_due_in_the_slot_before_whose_pin_it_was_given() {
        let schedule = SlotSchedule { genesis_seconds: 100, slot_seconds: 2 };
        // Slot 5 begins at 110 and is pinned at 109; the slot before is at 107.
        let signals = [107, 108, 109, 110].into_iter().zip(1..).map(|(seconds, count)| Signal { seconds, count });
        let signals: Vec<Signal> = signals.collect();
        let due = |trigger: Trigger, upto: usize| {
            (4..8).filter(|slot| trigger.due(schedule, *slot, &signals[..upto]).unwrap()).collect::<Vec<Slot>>()
        };
        assert_eq!(due(Trigger::Signal, 1), [4]);
        assert_eq!(due(Trigger::Signal, 3), [4, 5]);
        assert_eq!(due(Trigger::Signal, 4), [4, 5, 6]);
        assert_eq!(due(Trigger::Signals(3), 4), [5, 6, 7]);
        assert_eq!(due(Trigger::Signals(4), 4), [6, 7]);
        assert_eq!(due(Trigger::SignalOf(4), 4), [6]);
    }

    #[test]
    fn every_kind_is_in_a_few_dozen_workflows() {
        let names: std::collections::BTreeSet<_> = (0..24).map(|index| Trigger::of(index).name()).collect();
        assert_eq!(names.len(), 5);
    }
}
