//! What is due in a slot: triggers against the slots, the chains and what has executed.
//!
//! Everything here is a function of the published triggers and of the chains at the slot's pins, so every operator comes to
//! the same, whenever it was started and whatever it saw or missed. Nothing is remembered that could not be read again.
//!
//! - Events are looked for in the **window** of a slot: the blocks after the one before's pin, up to its own. A window of an
//!   earlier slot is looked at again when its occurrence is carried over; events that a reorganisation took back are gone
//!   from it then, and so is the occurrence.
//! - A condition must hold at the pin of the occurrence's slot; in a later attempt it must hold still.
//! - A workflow with a limit takes its turn once in a **period** of as many slots as lie between two attempts. By then nothing
//!   of it can be in flight any more, so what the module shows as spent is what has executed, and a limit is never exceeded.
//!
//! What a node does not answer is not known to be due, and not known not to be: it is abstained from.

mod blocks;
mod executions;
mod logs;

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy::primitives::{Bytes, keccak256};
use ditto_core::chain::{Batcher, ChainConfig, ContractsConfig};
use ditto_core::clock::{Slot, SlotSchedule};
use ditto_core::evidence::{Observation, Observed};
use ditto_core::network::NetworkConfig;
use ditto_core::proposal::Pin;
use ditto_core::task::Occurrence;
use ditto_sandbox::{Read, ReadAnswer};
use futures::StreamExt;

use super::published::Workflow;
use super::triggers::{Condition, Limit, Span};
use crate::simulate::ReadCache;
use crate::slot::SlotContext;
use blocks::Blocks;
use executions::Executions;

/// Workflows that are looked at concurrently: each may wait for a node.
const CONCURRENT: usize = 256;

/// A node did not answer, or not in time: whether a workflow is due is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a trigger could not be looked at")]
pub struct Unknown;

/// An occurrence that is due, or may be.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The occurrence.
    pub occurrence: Occurrence,
    /// Its workflow.
    pub workflow: Arc<Workflow>,
    /// What made it due.
    pub evidence: Result<Arc<[Observation]>, Unknown>,
}

/// What a trigger, or several, say of a span: no, or yes with evidence.
type Fired = Option<Vec<Observation>>;

/// Finds the occurrences of slots.
pub struct Occurrences {
    network: Arc<NetworkConfig>,
    configs: Arc<BTreeMap<u64, ChainConfig>>,
    reads: Arc<ReadCache>,
    blocks: Blocks,
    executions: Executions,
}

impl Occurrences {
    /// Finds occurrences by way of these reads; `node` is the target chain's.
    #[must_use]
    pub fn new(
        network: Arc<NetworkConfig>,
        configs: Arc<BTreeMap<u64, ChainConfig>>,
        reads: Arc<ReadCache>,
        node: Batcher,
        contracts: ContractsConfig,
    ) -> Self {
        let executions = Executions::new(node, contracts.validator_module);
        Self { network, configs, blocks: Blocks::new(reads.clone()), reads, executions }
    }

    /// The slot's own occurrences, and those of earlier slots that may be attempted in it, executed or not.
    pub async fn of(&self, workflows: impl Iterator<Item = &Arc<Workflow>>, context: &SlotContext) -> Vec<Candidate> {
        let start = context.start_seconds;
        for pin in &context.pins {
            self.blocks.note(pin, start.saturating_sub(self.lag(pin.chain_id)));
        }
        let looks: Vec<Look> = workflows.flat_map(|workflow| self.looks(workflow, context.slot)).collect();
        let found = futures::stream::iter(looks)
            .map(|look| async move {
                let looked = match context.end.remaining() {
                    Some(left) => tokio::time::timeout(left, self.look(&look, context)).await.unwrap_or(Err(Unknown)),
                    None => self.look(&look, context).await,
                };
                let evidence = looked.transpose()?.map(Arc::from);
                if evidence.is_err() {
                    metrics::counter!("ditto_operator_triggers_unknown_total").increment(1);
                }
                Some(Candidate { occurrence: look.occurrence, workflow: look.workflow, evidence })
            })
            .buffered(CONCURRENT);
        found.filter_map(|found| async move { found }).collect().await
    }

    /// What is to be looked at for a workflow in a slot.
    fn looks(&self, workflow: &Arc<Workflow>, slot: Slot) -> Vec<Look> {
        let schedule = self.network.schedule();
        let lag = self.lag(self.network.target_chain);
        let slots = self.slots(workflow, slot);
        let look = |occurrence, spans: Vec<Span>| Look { occurrence, workflow: workflow.clone(), spans };
        let may = |span: &Span| workflow.may_be_due(*span, &schedule, lag);
        if workflow.limit().is_some() {
            if !self.has_turn(workflow, slot) {
                return Vec::new();
            }
            let spans: Vec<Span> = slots.filter_map(|last| self.period(last)).filter(may).collect();
            let due = !spans.is_empty() && workflow.is_open(slot, &schedule, lag);
            let occurrence = Occurrence { workflow: workflow.id, slot };
            return due.then(|| look(occurrence, spans)).into_iter().collect();
        }
        let one = |slot| (Occurrence { workflow: workflow.id, slot }, Span::of(slot));
        slots.map(one).filter(|(_, span)| may(span)).map(|(occurrence, span)| look(occurrence, vec![span])).collect()
    }

    /// The slots whose triggers are looked at in a slot: itself, and those it may catch up on.
    fn slots(&self, workflow: &Workflow, slot: Slot) -> impl Iterator<Item = Slot> + use<> {
        let events = workflow.events().next().is_some();
        let attempts = if events { self.network.event_attempts() } else { self.network.attempts };
        std::iter::once(slot).chain(self.network.earlier_slots(slot, attempts))
    }

    /// Whether a workflow with a limit takes its turn in a slot.
    fn has_turn(&self, workflow: &Workflow, slot: Slot) -> bool {
        slot.wrapping_add(workflow.id).is_multiple_of(self.network.attempt_every())
    }

    /// The period that ends in a slot; `None` when it would begin before the first slot.
    fn period(&self, last: Slot) -> Option<Span> {
        let first = last.checked_sub(self.network.attempt_every() - 1)?;
        Some(Span { first, last })
    }

    async fn look(&self, look: &Look, context: &SlotContext) -> Result<Fired, Unknown> {
        let Some(limit) = look.workflow.limit() else {
            return match look.spans.as_slice() {
                [span] => self.fired(&look.workflow, *span, context).await,
                _ => Ok(None),
            };
        };
        for span in &look.spans {
            // The latest one decides: what has executed since an earlier one, or too shortly before it, has so for this one.
            if let Some(evidence) = self.fired(&look.workflow, *span, context).await? {
                let allowed = self.allowed(&look.workflow, limit, *span, context).await?;
                return Ok(allowed.then_some(evidence));
            }
        }
        Ok(None)
    }

    /// Whether a workflow's limit lets it execute for what fired in a span.
    async fn allowed(
        &self,
        workflow: &Workflow,
        limit: Limit,
        span: Span,
        context: &SlotContext,
    ) -> Result<bool, Unknown> {
        let schedule = self.network.schedule();
        let executed = self.executions.of(workflow, &schedule, context).await?;
        let served = executed.last.is_some_and(|last| last >= span.last);
        let spent = limit.count != 0 && executed.count >= limit.count;
        let after = |last| schedule.start_seconds(last).saturating_add(limit.interval_seconds);
        let soon = executed.last.is_some_and(|last| schedule.start_seconds(span.last) < after(last));
        Ok(!served && !spent && !soon)
    }

    /// What the triggers that ask a chain say of a span, after those that do not have said nothing against it. A no is a no,
    /// whatever else is unknown.
    async fn fired(&self, workflow: &Workflow, span: Span, context: &SlotContext) -> Result<Fired, Unknown> {
        let events = workflow.events().map(|(at, event)| async move {
            let window = self.window(event.chain_id, span, context).await?;
            let seen = logs::seen(&self.reads, event, at, window).await?;
            Ok((!seen.is_empty()).then_some(seen))
        });
        let conditions = workflow
            .conditions()
            .map(|(at, condition)| async move { self.holds(condition, at, span.last, context).await });
        let (events, conditions) =
            tokio::join!(futures::future::join_all(events), futures::future::join_all(conditions));
        all(events.into_iter().chain(conditions))
    }

    /// The blocks after the pin of the slot before a span, up to its last slot's.
    async fn window(&self, chain_id: u64, span: Span, context: &SlotContext) -> Result<logs::Window, Unknown> {
        let Some(pin) = pin_of(context, chain_id) else { return Ok(logs::Window::default()) };
        let schedule = self.network.schedule();
        let (before, to) = tokio::try_join!(
            async {
                match span.first.checked_sub(1) {
                    Some(slot) => self.blocks.at(pin, self.pinned_at(&schedule, chain_id, slot)).await,
                    None => Ok(None),
                }
            },
            self.blocks.at(pin, self.pinned_at(&schedule, chain_id, span.last)),
        )?;
        Ok(logs::Window { after: before.map(|block| block.number), to })
    }

    /// Whether a condition holds for an occurrence of a slot: at that slot's pin, and still at this one's.
    async fn holds(&self, condition: &Condition, at: u8, slot: Slot, context: &SlotContext) -> Result<Fired, Unknown> {
        // A chain that nobody reads says nothing, alike for everybody.
        let Some(pin) = pin_of(context, condition.chain_id) else { return Ok(None) };
        let read = Read::Call { to: condition.target, data: condition.data.clone() };
        let now = returned(context.reads.read(condition.chain_id, read.clone()).await)?;
        if !condition.holds(&now) {
            return Ok(None);
        }
        let (block, bytes) = if slot == context.slot {
            (pin, now)
        } else {
            let time = self.pinned_at(&self.network.schedule(), condition.chain_id, slot);
            let Some(block) = self.blocks.at(pin, time).await? else { return Ok(None) };
            (block, returned(self.reads.at(block, read).await)?)
        };
        let seen = Observation {
            trigger: at,
            chain_id: condition.chain_id,
            block_number: block.number,
            block_hash: block.hash,
            observed: Observed::Answer,
            digest: keccak256(&bytes),
        };
        Ok(condition.holds(&bytes).then(|| vec![seen]))
    }

    /// The time up to which blocks may be a slot's pin.
    fn pinned_at(&self, schedule: &SlotSchedule, chain_id: u64, slot: Slot) -> u64 {
        schedule.start_seconds(slot).saturating_sub(self.lag(chain_id))
    }

    fn lag(&self, chain_id: u64) -> u64 {
        self.configs.get(&chain_id).map_or(0, |config| config.pin_lag_seconds)
    }
}

/// An occurrence, and the spans of which one must fire: the latest first.
struct Look {
    occurrence: Occurrence,
    workflow: Arc<Workflow>,
    spans: Vec<Span>,
}

fn pin_of(context: &SlotContext, chain_id: u64) -> Option<Pin> {
    context.pins.iter().find(|pin| pin.chain_id == chain_id).copied()
}

/// All of them: one no decides, then one unknown.
fn all(fired: impl Iterator<Item = Result<Fired, Unknown>>) -> Result<Fired, Unknown> {
    let (mut evidence, mut unknown) = (Vec::new(), false);
    for one in fired {
        match one {
            Ok(Some(seen)) => evidence.extend(seen),
            Ok(None) => return Ok(None),
            Err(Unknown) => unknown = true,
        }
    }
    if unknown {
        return Err(Unknown);
    }
    // By trigger, whatever their kinds: the evidence is hashed.
    evidence.sort_by_key(|seen| seen.trigger);
    Ok(Some(evidence))
}

/// What a call returned; what reverts returns nothing.
fn returned(answer: ReadAnswer) -> Result<Bytes, Unknown> {
    match answer {
        ReadAnswer::Ok(json) => serde_json::from_str(&json).map_err(|_| Unknown),
        ReadAnswer::Reverted(_) => Ok(Bytes::new()),
        ReadAnswer::Failed => Err(Unknown),
    }
}

#[cfg(test)]
#[path = "due_tests.rs"]
mod tests;
