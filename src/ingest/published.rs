//! What the registry's events come to: the workflows published up to a block, and the way back.
//!
//! Pure state. It remembers in which block each workflow was published and cancelled, and a few blocks it has been brought
//! up to, by number and hash. When the chain gives up a recent block, the state goes back to the oldest of these, at least
//! [`DEPTH`] blocks earlier, and is brought up from there; only a deeper reorganisation starts from nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy::primitives::{Address, B256, keccak256};
use alloy::rpc::types::Log;
use alloy::sol_types::{SolEvent, SolValue};
use ditto_core::chain::bindings::registry::WorkflowRegistry;
use ditto_core::clock::{Slot, SlotSchedule};
use ditto_core::task::WorkflowId;

use super::triggers::{Condition, EventFilter, Limit, Span, Trigger, TriggerError};

/// How many blocks a reorganisation may give up without everything being read anew.
const DEPTH: u64 = 64;

/// A published workflow.
#[derive(Debug)]
pub struct Workflow {
    /// Its number.
    pub id: WorkflowId,
    /// The smart account it acts for.
    pub account: Address,
    /// keccak256 of its code.
    pub code_hash: B256,
    /// The session it acts under.
    pub session_key: Address,
    /// When it is due, or why it never is.
    pub triggers: Result<Vec<Trigger>, TriggerError>,
    /// keccak256 of the published triggers.
    pub trigger_hash: B256,
    /// Its arguments: UTF-8 JSON.
    pub args: String,
    /// First second of its validity.
    pub valid_after: u64,
    /// Last second of its validity; zero: none.
    pub valid_until: u64,
    /// Unix time of the block that published it.
    pub published_at: u64,
}

impl Workflow {
    /// Whether it may be due after these slots, as far as slots and publication tell, given the lag of the target chain's
    /// pins: published by the last one's pin, valid in it, and no trigger says no. Events of before its publication are none
    /// of its own, so with them it must have been published before the first one's window.
    #[must_use]
    pub fn may_be_due(&self, span: Span, schedule: &SlotSchedule, lag: u64) -> bool {
        let Ok(triggers) = &self.triggers else { return false };
        let before = schedule.start_seconds(span.first.saturating_sub(1)).saturating_sub(lag);
        let in_time = self.events().next().is_none() || self.published_at <= before;
        let fire = triggers.iter().all(|trigger| trigger.may_fire(span, schedule));
        in_time && fire && !triggers.is_empty() && self.is_open(span.last, schedule, lag)
    }

    /// Whether it is published by a slot's pin, and valid in the slot.
    #[must_use]
    pub fn is_open(&self, slot: Slot, schedule: &SlotSchedule, lag: u64) -> bool {
        let start = schedule.start_seconds(slot);
        let published = self.published_at <= start.saturating_sub(lag);
        published && self.valid_after <= start && (self.valid_until == 0 || start <= self.valid_until)
    }

    /// How often it executes at most.
    #[must_use]
    pub fn limit(&self) -> Option<Limit> {
        self.triggers().iter().find_map(|trigger| match trigger {
            Trigger::Limit(limit) => Some(*limit),
            _ => None,
        })
    }

    /// Its event triggers, with their places among the triggers.
    pub fn events(&self) -> impl Iterator<Item = (u8, &EventFilter)> {
        self.numbered().filter_map(|(at, trigger)| match trigger {
            Trigger::Event(event) => Some((at, &**event)),
            _ => None,
        })
    }

    /// Its condition triggers, with their places among the triggers.
    pub fn conditions(&self) -> impl Iterator<Item = (u8, &Condition)> {
        self.numbered().filter_map(|(at, trigger)| match trigger {
            Trigger::Condition(condition) => Some((at, &**condition)),
            _ => None,
        })
    }

    fn triggers(&self) -> &[Trigger] {
        self.triggers.as_deref().unwrap_or_default()
    }

    fn numbered(&self) -> impl Iterator<Item = (u8, &Trigger)> {
        // The registry takes eight triggers at most.
        (0u8..).zip(self.triggers())
    }

    fn new(event: WorkflowRegistry::WorkflowPublished, published_at: u64) -> Self {
        let published = event.workflow;
        let trigger_hash = keccak256(published.triggers.abi_encode());
        let triggers =
            Trigger::parse_all(published.triggers.iter().map(|trigger| (trigger.kind, trigger.data.as_ref())));
        Self {
            id: event.id,
            account: published.account,
            code_hash: published.codeHash,
            session_key: published.sessionKey,
            triggers,
            trigger_hash,
            args: String::from_utf8_lossy(&published.args).into_owned(),
            valid_after: published.validAfter.to(),
            valid_until: published.validUntil.to(),
            published_at,
        }
    }
}

/// What one event of the registry says.
#[derive(Clone, Debug)]
pub enum Change {
    /// A workflow is there.
    Published(Arc<Workflow>),
    /// It is no more.
    Cancelled(WorkflowId),
}

impl Change {
    /// The event of a log in a block of this time; `None` when it is none that matters.
    #[must_use]
    pub fn read(log: &Log, block_time: u64) -> Option<Self> {
        if let Ok(cancelled) = WorkflowRegistry::WorkflowCancelled::decode_log(&log.inner) {
            return Some(Self::Cancelled(cancelled.id));
        }
        let event = WorkflowRegistry::WorkflowPublished::decode_log(&log.inner).ok()?;
        Some(Self::Published(Arc::new(Workflow::new(event.data, block_time))))
    }
}

#[derive(Debug)]
struct Entry {
    workflow: Arc<Workflow>,
    published_in: u64,
    cancelled_in: Option<u64>,
}

/// The workflows published up to a block.
#[derive(Debug, Default)]
pub struct Published {
    /// Cancelled ones stay until no way back can reach a time before their cancellation.
    entries: BTreeMap<WorkflowId, Entry>,
    /// Blocks the state was brought up to: the last one at least [`DEPTH`] below the newest, and those above it.
    checkpoints: BTreeMap<u64, B256>,
}

impl Published {
    /// The block the state is brought up to, by number and hash.
    #[must_use]
    pub fn synced(&self) -> Option<(u64, B256)> {
        self.checkpoints.last_key_value().map(|(number, hash)| (*number, *hash))
    }

    /// The workflows that are published and not cancelled.
    pub fn workflows(&self) -> impl Iterator<Item = &Arc<Workflow>> {
        self.entries.values().filter(|entry| entry.cancelled_in.is_none()).map(|entry| &entry.workflow)
    }

    /// Takes in an event of a block. The same event again changes nothing.
    pub fn apply(&mut self, block: u64, change: Change) {
        match change {
            Change::Published(workflow) => {
                let cancelled_in = self.entries.get(&workflow.id).and_then(|entry| entry.cancelled_in);
                self.entries.insert(workflow.id, Entry { workflow, published_in: block, cancelled_in });
            }
            Change::Cancelled(id) => {
                if let Some(entry) = self.entries.get_mut(&id) {
                    entry.cancelled_in.get_or_insert(block);
                }
            }
        }
    }

    /// Every event up to this block has been taken in.
    pub fn reached(&mut self, number: u64, hash: B256) {
        self.checkpoints.insert(number, hash);
        let deep = self.checkpoints.range(..=number.saturating_sub(DEPTH)).next_back().map(|(number, _)| *number);
        if let Some(oldest) = deep {
            self.checkpoints = self.checkpoints.split_off(&oldest);
            self.entries.retain(|_, entry| entry.cancelled_in.is_none_or(|block| block > oldest));
        }
    }

    /// Goes back to the oldest block there is a way back to, and says which; `None` when there is none below the newest
    /// or it is above `highest`: then everything is forgotten.
    pub fn rewind(&mut self, highest: u64) -> Option<u64> {
        let synced = self.synced()?.0;
        let oldest = self.checkpoints.keys().next().copied().filter(|oldest| *oldest < synced && *oldest <= highest);
        let Some(oldest) = oldest else {
            *self = Self::default();
            return None;
        };
        self.checkpoints.retain(|number, _| *number <= oldest);
        self.entries.retain(|_, entry| entry.published_in <= oldest);
        for entry in self.entries.values_mut() {
            entry.cancelled_in = entry.cancelled_in.filter(|block| *block <= oldest);
        }
        Some(oldest)
    }
}

#[cfg(test)]
#[path = "published_tests.rs"]
mod tests;
