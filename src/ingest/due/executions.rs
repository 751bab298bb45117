//! How often a workflow has executed, and when last: counted in the module's bitmap of spent occurrences.
//!
//! An occurrence's bit is set when its operation is validated, so what executed and reverted counts as well. Slots of long ago
//! change no more: their words are added up once.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use alloy::primitives::{Address, U256};
use ditto_core::chain::Batcher;
use ditto_core::chain::bindings::validator_module::DittoValidatorModule;
use ditto_core::clock::{Slot, SlotSchedule};
use ditto_core::task::{Occurrence, WorkflowId};

use super::Unknown;
use crate::ingest::published::Workflow;
use crate::slot::SlotContext;

/// Slots that share a word.
const SLOTS: u64 = 256;
/// Words per call: at 2,100 gas for each (EIP-2929) a sixth of what a call may burn.
const WORDS: u64 = 2_048;
/// Seconds after which no reorganisation changes what a slot's word holds.
const SETTLED_SECONDS: u64 = 3_600;
/// Workflows whose settled sums are remembered; beyond that they are read anew.
const REMEMBERED: usize = 16_384;

/// Executions up to a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Executed {
    /// How many.
    pub(super) count: u64,
    /// The slot of the last one's occurrence.
    pub(super) last: Option<Slot>,
}

/// What is known of a workflow's settled words.
#[derive(Clone, Copy, Default)]
struct Settled {
    /// The first word that is not added up.
    next: u64,
    executed: Executed,
}

pub(super) struct Executions {
    node: Batcher,
    module: Address,
    settled: Mutex<BTreeMap<WorkflowId, Settled>>,
}

impl Executions {
    pub(super) fn new(node: Batcher, module: Address) -> Self {
        Self { node, module, settled: Mutex::default() }
    }

    /// A workflow's executions, at the slot's pin.
    pub(super) async fn of(
        &self,
        workflow: &Workflow,
        schedule: &SlotSchedule,
        context: &SlotContext,
    ) -> Result<Executed, Unknown> {
        let first = schedule.slot_at_ms(workflow.published_at.saturating_mul(1_000)).unwrap_or_default() / SLOTS;
        let known = self.settled.lock().unwrap_or_else(PoisonError::into_inner).get(&workflow.id).copied();
        let mut settled =
            known.filter(|known| known.next >= first).unwrap_or(Settled { next: first, ..Default::default() });
        let mut executed = settled.executed;
        let last = context.slot / SLOTS;
        let mut word = settled.next;
        while word <= last {
            let words = self.words(workflow, word, WORDS.min(last - word + 1), context).await?;
            for bits in words {
                executed.add(word * SLOTS, bits);
                let over = schedule.start_seconds((word + 1).saturating_mul(SLOTS));
                if over.saturating_add(SETTLED_SECONDS) < context.start_seconds {
                    settled = Settled { next: word + 1, executed };
                }
                word += 1;
            }
        }
        let mut all = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= REMEMBERED && !all.contains_key(&workflow.id) {
            all.clear();
        }
        all.insert(workflow.id, settled);
        Ok(executed)
    }

    async fn words(
        &self,
        workflow: &Workflow,
        first: u64,
        count: u64,
        context: &SlotContext,
    ) -> Result<Vec<U256>, Unknown> {
        let number = Occurrence { workflow: workflow.id, slot: first * SLOTS }.number() >> 8;
        let call =
            DittoValidatorModule::spentWordsCall { account: workflow.account, first: number, count: U256::from(count) };
        let words = self.node.call(self.module, &call, context.head.hash, None).await.map_err(|error| {
            tracing::warn!(workflow = workflow.id, %error, "executions could not be counted");
            Unknown
        })?;
        (words.len() as u64 == count).then_some(words).ok_or(Unknown)
    }
}

impl Executed {
    /// Adds a word; its first bit is this slot's.
    fn add(&mut self, first: Slot, bits: U256) {
        self.count += bits.count_ones() as u64;
        if !bits.is_zero() {
            self.last = Some(first + bits.bit_len() as u64 - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn executions_are_the_words_bits(slots in proptest::collection::btree_set(0u64..1_024, 0..20)) {
            let mut words = [U256::ZERO; 4];
            for slot in &slots {
                words[usize::try_from(slot / SLOTS).unwrap_or_default()] |= U256::ONE << (slot % SLOTS);
            }
            let mut executed = Executed::default();
            for (word, bits) in (0u64..).zip(words) {
                executed.add(word * SLOTS, bits);
            }
            prop_assert_eq!(executed, Executed { count: slots.len() as u64, last: slots.last().copied() });
        }
    }
}
