//! The judge: proposals against what this operator came to itself.
//!
//! A batch waits until every one of its tasks has a finding of our own, or until the slot's patience is over; then what is
//! missing is abstained from. Batches whose slot is not planned yet wait as well. Everything held is bounded by the number
//! of open slots and of batches per slot, and dropped, counted, when its time is over.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy::primitives::B256;
use ditto_core::clock::{Slot, SlotClock};
use ditto_core::consent::SigningDomain;
use ditto_core::network::NetworkConfig;
use ditto_core::p2p::{Acceptance, MessageToken, PeerId, Transport};
use ditto_core::proposal::{BatchId, ProposedBatch};
use ditto_core::stage::{Actor, Deadline, Outbox, Outcome};
use ditto_core::task::Occurrence;
use ditto_core::verdict::{Verdict, VerdictVector};

use super::{Item, compare};
use crate::build::Finding;
use crate::slot::{Note, SlotContext};

/// Slots kept open: the current one, the ones whose votes may still come, and one that others see earlier than we do.
const SLOTS: usize = 8;
/// Batches held per slot: a proposal's batches, from each rank that may propose.
const BATCHES: usize = 64;
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
    pub batch: ProposedBatch,
    /// Its name.
    pub id: BatchId,
    /// The userOpHash of every task.
    pub hashes: Vec<B256>,
    /// One verdict per task.
    pub verdicts: VerdictVector,
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
    /// Who must know what is covered by a proposal we approve.
    pub propose: Outbox<crate::propose::Item>,
    /// What is known.
    pub open: BTreeMap<Slot, OpenSlot>,
}

/// What the judge knows of a slot.
#[derive(Default)]
pub struct OpenSlot {
    context: Option<Arc<SlotContext>>,
    due: HashSet<Occurrence>,
    findings: HashMap<Occurrence, Arc<Finding>>,
    unplanned: Vec<(ProposedBatch, BatchId, Option<MessageToken>)>,
    waiting: Vec<(ProposedBatch, BatchId)>,
    seen: HashSet<BatchId>,
}

impl Actor for Judge {
    type Item = Item;
    const OUTCOMES: &'static [Outcome] = &[
        "noted",
        "taken",
        "duplicate",
        "malformed",
        "too_many",
        "out_of_time",
        "not_elected",
        "too_early",
        "other_engine",
        "wrong_pin",
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
                for (batch, id, token) in std::mem::take(&mut open.unplanned) {
                    let outcome = self.screen(&context, batch, id, token);
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
        if open.seen.contains(&id) {
            self.answer(token, Acceptance::Ignore);
            return "duplicate";
        }
        if open.seen.len() >= BATCHES {
            self.answer(token, Acceptance::Ignore);
            return "too_many";
        }
        match open.context.clone() {
            Some(context) => self.screen(&context, batch, id, token),
            None => {
                open.seen.insert(id);
                open.unplanned.push((batch, id, token));
                "taken"
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
        self.answer(token, Acceptance::Accept);
        if let Some(open) = self.open.get_mut(&slot) {
            open.seen.insert(id);
            open.waiting.push((batch, id));
        }
        "taken"
    }

    /// Judges every batch that is ready, and lets go of slots whose time is over.
    async fn settle(&mut self) {
        let mut judged = Vec::new();
        for open in self.open.values_mut() {
            let Some(context) = &open.context else { continue };
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
                judged.push(Judged { context: context.clone(), batch, id, hashes, verdicts });
            }
        }
        for judged in judged {
            self.pass_on(judged).await;
        }
        let clock = &self.clock;
        let validity = self.network.validity_slots;
        self.open.retain(|slot, open| match &open.context {
            Some(context) => !context.votes_until.expired(),
            None => clock.current().is_none_or(|now| now <= slot + validity),
        });
    }

    async fn pass_on(&self, judged: Judged) {
        let approved = judged.batch.tasks.iter().zip(&judged.hashes).zip(&judged.verdicts.0);
        let covered: super::Covered = approved
            .filter(|(_, verdict)| **verdict == Verdict::Approve)
            .map(|((task, hash), _)| (task.occurrence, *hash))
            .collect();
        let seen = crate::propose::Item::Seen { slot: judged.context.slot, covered };
        let _refused = self.propose.send(seen, judged.context.end).await.is_err();
        let until = judged.context.votes_until;
        let _refused = self.sign.send(judged, until).await.is_err();
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
