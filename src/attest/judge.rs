//! The judge: proposals against what this operator came to itself.
//!
//! A batch waits until every one of its tasks has a finding of our own, or until the slot's patience is over; then what is
//! missing is abstained from. Batches whose slot is not planned yet wait as well, if a member of the last known set signed
//! them. Everything held is bounded: the open slots, and for each the batches of two proposals per member (a second one is
//! a fault, but its batches may be honest work). What is beyond is dropped and counted, and takes nobody else's place.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy::primitives::{Address, B256};
use ditto_core::clock::{Slot, SlotClock};
use ditto_core::consent::SigningDomain;
use ditto_core::network::NetworkConfig;
use ditto_core::operators::OperatorSet;
use ditto_core::p2p::{Acceptance, MessageToken, PeerId, Transport};
use ditto_core::proposal::{BatchId, ProposedBatch};
use ditto_core::stage::{Actor, Deadline, Outbox, Outcome};
use ditto_core::task::Occurrence;
use ditto_core::verdict::VerdictVector;
use ditto_core::wire::Split;

use super::cast::missed;
use super::parts::Voted;
use super::{Item, compare};
use crate::build::Finding;
use crate::slot::{Note, SlotContext};

/// Slots kept open: the current one, the ones whose votes may still come, and one that others see earlier than we do.
const SLOTS: usize = 8;
/// Proposals heard per performer and slot: its one, and one more in case it equivocates.
const PROPOSALS: usize = 2;
/// Requests for votes in parts that wait for their batch to be judged.
const ASKED: usize = 64;
/// How early a proposal of a rank may come: what clocks may differ by.
const SKEW_MS: u64 = 200;
/// How often waiting batches are looked at.
const TICK: Duration = Duration::from_millis(20);

/// A batch with its verdicts, not yet signed.
#[derive(Debug)]
pub struct Judged {
    /// The slot.
    pub context: Arc<SlotContext>,
    /// The batch.
    pub batch: Arc<ProposedBatch>,
    /// Its name.
    pub id: BatchId,
    /// The userOpHash of every task.
    pub hashes: Arc<[B256]>,
    /// One verdict per task.
    pub verdicts: VerdictVector,
    /// They were given before; this is a part of them that the aggregator asked for.
    pub part: bool,
}

/// The stage.
pub struct Judge {
    /// The network's rules.
    pub network: Arc<NetworkConfig>,
    /// The slots' clock.
    pub clock: SlotClock,
    /// Where consents are meant to be used.
    pub domain: SigningDomain,
    /// This operator's engine.
    pub engine_id: B256,
    /// Answers gossip.
    pub transport: Arc<dyn Transport>,
    /// Where judged batches go.
    pub sign: Outbox<Judged>,
    /// Who must know what is proposed already.
    pub propose: Outbox<crate::propose::Item>,
    /// What is known.
    pub open: BTreeMap<Slot, OpenSlot>,
    /// The operator set of the last planned slot.
    pub last_set: Option<Arc<OperatorSet>>,
}

/// What the judge knows of a slot.
#[derive(Default)]
pub struct OpenSlot {
    context: Option<Arc<SlotContext>>,
    due: HashSet<Occurrence>,
    findings: HashMap<Occurrence, Arc<Finding>>,
    unplanned: Vec<(ProposedBatch, BatchId, Option<MessageToken>)>,
    waiting: Vec<(ProposedBatch, BatchId)>,
    voted: HashMap<BatchId, Voted>,
    /// Requests about batches that are not judged yet.
    asked: Vec<Split>,
    /// By performer: its proposals, and the batches of each that were taken.
    heard: HashMap<Address, HashMap<B256, HashSet<u16>>>,
}

impl OpenSlot {
    /// Notes a batch as heard, if there is room for it.
    fn hear(&mut self, performer: Address, id: BatchId) -> Result<(), Outcome> {
        let proposals = self.heard.entry(performer).or_default();
        if proposals.len() >= PROPOSALS && !proposals.contains_key(&id.proposal) {
            return Err("too_many");
        }
        if proposals.len() == 1 && !proposals.contains_key(&id.proposal) {
            tracing::warn!(%performer, "the performer signed a second proposal for one slot");
            metrics::counter!("ditto_operator_equivocations_total").increment(1);
        }
        // A proposal has at most [`MAX_BATCHES`](ditto_core::proposal::MAX_BATCHES) batches: their indices were checked.
        if proposals.entry(id.proposal).or_default().insert(id.index) { Ok(()) } else { Err("duplicate") }
    }
}

impl OpenSlot {
    /// What of a request this operator signs.
    fn parts(&mut self, split: &Split) -> Vec<Judged> {
        let (Some(context), Some(voted)) = (&self.context, self.voted.get_mut(&split.batch)) else { return Vec::new() };
        let parts = voted.parts(split);
        let judged = |verdicts| Judged {
            context: context.clone(),
            batch: voted.batch.clone(),
            id: split.batch,
            hashes: voted.hashes.clone(),
            verdicts,
            part: true,
        };
        parts.into_iter().map(judged).collect()
    }
}

impl Actor for Judge {
    type Item = Item;
    const OUTCOMES: &'static [Outcome] = &[
        "noted",
        "taken",
        "duplicate",
        "malformed",
        "too_many",
        "too_large",
        "out_of_time",
        "not_elected",
        "too_early",
        "other_engine",
        "wrong_pin",
        "asked",
        "asked_early",
        "asked_in_vain",
        "forged",
    ];

    async fn handle(&mut self, item: Item, _deadline: Deadline) -> Outcome {
        match item {
            Item::Note(note) => {
                self.note(note);
                self.settle().await;
                "noted"
            }
            Item::Proposed { batch, from } => {
                let outcome = self.proposed(*batch, from);
                self.settle().await;
                outcome
            }
            Item::Asked { split, token } => self.asked(*split, token).await,
        }
    }

    fn next_tick(&self) -> Option<Instant> {
        (!self.open.is_empty()).then(|| Instant::now() + TICK)
    }

    async fn tick(&mut self) {
        self.settle().await;
    }
}

impl Judge {
    fn note(&mut self, note: Note) {
        match note {
            Note::Planned { context, due } => {
                let Some(open) = self.slot(context.slot) else { return };
                open.due = due.iter().copied().collect();
                open.context = Some(context.clone());
                let unplanned = std::mem::take(&mut open.unplanned);
                self.last_set = Some(context.set.clone());
                for (batch, id, token) in unplanned {
                    let outcome = self.screen(&context, batch, id, token, true);
                    metrics::counter!("ditto_operator_parked_proposals_total", "outcome" => outcome).increment(1);
                }
            }
            Note::Found { slot, occurrence, finding } => {
                if let Some(open) = self.open.get_mut(&slot) {
                    open.findings.insert(occurrence, finding);
                }
            }
        }
    }

    fn proposed(&mut self, batch: ProposedBatch, from: Option<(PeerId, MessageToken)>) -> Outcome {
        let (peer, token) = from.unzip();
        let id = match batch.check(&self.domain) {
            Ok(id) => id,
            Err(error) => {
                tracing::info!(slot = batch.proposal.slot, %error, ?peer, "a malformed proposal");
                self.answer(token, Acceptance::Reject);
                return "malformed";
            }
        };
        let now = self.clock.current().unwrap_or_default();
        let slot = batch.proposal.slot;
        if slot > now + 1 || slot + self.network.validity_slots < now {
            self.answer(token, Acceptance::Ignore);
            return "out_of_time";
        }
        let Some(open) = self.slot(slot) else {
            self.answer(token, Acceptance::Ignore);
            return "out_of_time";
        };
        if let Some(context) = open.context.clone() {
            return self.screen(&context, batch, id, token, false);
        }
        // Who may propose is only known when the slot is planned; until then, who is no member at all waits nowhere.
        let performer = batch.proposal.performer;
        let member = self.last_set.as_ref().is_some_and(|set| set.members.iter().any(|m| m.signer == performer));
        let heard = if member { self.hear(slot, performer, id) } else { Err("not_elected") };
        match heard {
            Ok(()) => {
                if let Some(open) = self.open.get_mut(&slot) {
                    open.unplanned.push((batch, id, token));
                }
                "taken"
            }
            Err(outcome) => {
                self.answer(token, Acceptance::Ignore);
                outcome
            }
        }
    }

    /// Checks a batch against the slot's plan: who may propose, when, at which pins, with which engine.
    fn screen(
        &mut self,
        context: &SlotContext,
        batch: ProposedBatch,
        id: BatchId,
        token: Option<MessageToken>,
        parked: bool,
    ) -> Outcome {
        let (proposal, slot) = (&batch.proposal, context.slot);
        let rank = context.ranks.iter().position(|index| context.set.members[*index].signer == proposal.performer);
        let right_header = proposal.setId == context.set.id
            && proposal.taskDefinitionId == self.network.task_definition
            && proposal.aggregator == self.network.aggregator;
        let Some(rank) = rank.filter(|_| right_header) else {
            tracing::info!(slot, performer = %proposal.performer, "a proposal of somebody who was not elected");
            self.answer(token, Acceptance::Reject);
            return "not_elected";
        };
        let opens = (rank as u64).saturating_mul(self.network.fallback_delay_ms);
        if self.clock.since_ms(slot) + SKEW_MS < opens {
            self.answer(token, Acceptance::Ignore);
            return "too_early";
        }
        if proposal.pins != context.pins_hash {
            tracing::warn!(slot, performer = %proposal.performer, "the proposal is simulated at other blocks than ours");
            self.answer(token, Acceptance::Ignore);
            return "wrong_pin";
        }
        if batch.engine_id != self.engine_id {
            tracing::warn!(
                slot, theirs = %batch.engine_id, ours = %self.engine_id,
                "the performer runs another engine; one of us must upgrade"
            );
            self.answer(token, Acceptance::Accept);
            return "other_engine";
        }
        let heard = if parked { Ok(()) } else { self.hear(slot, batch.proposal.performer, id) };
        if let Err(outcome) = heard {
            self.answer(token, Acceptance::Ignore);
            return outcome;
        }
        if !self.network.fits(&batch.tasks) {
            tracing::info!(slot, performer = %batch.proposal.performer, "a batch beyond the network's limits");
            self.answer(token, Acceptance::Reject);
            return "too_large";
        }
        self.answer(token, Acceptance::Accept);
        self.cover(context, &batch);
        if let Some(open) = self.open.get_mut(&slot) {
            open.waiting.push((batch, id));
        }
        "taken"
    }

    /// The aggregator asks for votes in parts: what this operator agrees with is signed, now or when it is judged.
    async fn asked(&mut self, split: Split, token: Option<MessageToken>) -> Outcome {
        if !split.is_signed_by(&self.domain, self.network.aggregator) {
            self.answer(token, Acceptance::Reject);
            return "forged";
        }
        self.answer(token, Acceptance::Accept);
        let id = split.batch;
        let Some(open) = self
            .open
            .values_mut()
            .find(|open| open.voted.contains_key(&id) || open.waiting.iter().any(|(_, waiting)| *waiting == id))
        else {
            return "asked_in_vain";
        };
        if !open.voted.contains_key(&id) {
            if open.asked.len() >= ASKED {
                return "asked_in_vain";
            }
            open.asked.push(split);
            return "asked_early";
        }
        let parts = open.parts(&split);
        let signed = !parts.is_empty();
        for judged in parts {
            let until = judged.context.votes_until;
            self.sign.offer(judged, until).await;
        }
        if signed { "asked" } else { "asked_in_vain" }
    }

    fn hear(&mut self, slot: Slot, performer: Address, id: BatchId) -> Result<(), Outcome> {
        self.open.get_mut(&slot).map_or(Err("out_of_time"), |open| open.hear(performer, id))
    }

    /// Judges every batch that is ready, and lets go of slots whose time is over.
    async fn settle(&mut self) {
        let mut judged = Vec::new();
        for open in self.open.values_mut() {
            let Some(context) = open.context.clone() else { continue };
            // At the slot's end nothing more is simulated: what has no finding by then will have none.
            let over = context.end.expired();
            let (ready, waiting) = std::mem::take(&mut open.waiting).into_iter().partition(|(batch, _)| {
                over || batch
                    .tasks
                    .iter()
                    .all(|task| open.findings.contains_key(&task.occurrence) || !open.due.contains(&task.occurrence))
            });
            open.waiting = waiting;
            let ready: Vec<_> = ready;
            for (batch, id) in ready {
                let hashes: Vec<B256> = batch.tasks.iter().map(|task| self.domain.user_op_hash(task)).collect();
                let verdict = |(task, hash): (&ditto_core::task::Task, &B256)| {
                    let finding = open.findings.get(&task.occurrence).map(AsRef::as_ref);
                    compare::verdict(task, *hash, finding, open.due.contains(&task.occurrence))
                };
                let verdicts = VerdictVector(batch.tasks.iter().zip(&hashes).map(verdict).collect());
                let (context, batch, hashes) = (context.clone(), Arc::new(batch), Arc::<[B256]>::from(hashes));
                open.voted.insert(id, Voted::new(batch.clone(), hashes.clone(), verdicts.clone()));
                judged.push(Judged { context, batch, id, hashes, verdicts, part: false });
                let asked = open.asked.extract_if(.., |split| split.batch == id).collect::<Vec<_>>();
                judged.extend(asked.iter().flat_map(|split| open.parts(split)));
            }
        }
        for judged in judged {
            let until = judged.context.votes_until;
            self.sign.offer(judged, until).await;
        }
        let clock = &self.clock;
        let validity = self.network.validity_slots;
        self.open.retain(|slot, open| match &open.context {
            Some(context) => !context.votes_until.expired(),
            None => {
                let stays = clock.current().is_none_or(|now| now <= slot + validity);
                if !stays {
                    // Without a plan nobody knows what is due: what was proposed was not voted on.
                    open.unplanned.iter().for_each(|_| missed("no_plan"));
                }
                stays
            }
        });
    }

    /// Tells the proposer what is proposed already. It may wait for this stage, so this one does not wait for it.
    fn cover(&self, context: &SlotContext, batch: &ProposedBatch) {
        let covered = batch.tasks.iter().map(|task| self.domain.task_id(task)).collect();
        self.propose.offer_now(crate::propose::Item::Seen { slot: context.slot, covered }, context.end);
    }

    /// The slot's state, opened if there is room.
    fn slot(&mut self, slot: Slot) -> Option<&mut OpenSlot> {
        if self.open.len() >= SLOTS && !self.open.contains_key(&slot) {
            let oldest = *self.open.first_key_value()?.0;
            if oldest >= slot {
                return None;
            }
            self.open.remove(&oldest);
        }
        Some(self.open.entry(slot).or_default())
    }

    fn answer(&self, token: Option<MessageToken>, acceptance: Acceptance) {
        if let Some(token) = token {
            self.transport.report(token, acceptance);
        }
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
