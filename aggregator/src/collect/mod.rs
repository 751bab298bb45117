//! The first stage: what peers send is checked as far as that is cheap.
//!
//! A proposed batch is checked against network, election and time, recorded in the ledger, and only then are votes for it
//! taken; votes that were faster than their batch wait a moment. Direct votes are answered at once, gossip is told
//! whether to forward. Everything refused is counted with its reason.

mod asked;
mod conflict;
mod proposal;
mod screening;

use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy::primitives::Address;
use ditto_core::chain::Heads;
use ditto_core::clock::SlotClock;
use ditto_core::consent::SigningDomain;
use ditto_core::network::NetworkConfig;
use ditto_core::p2p::{Acceptance, Event, PeerId, Role, Topic, VoteRefusal};
use ditto_core::proposal::ProposedBatch;
use ditto_core::stage::{Actor, Deadline, Outbox, Outcome};
use ditto_core::telemetry::Check;
use ditto_core::wire::{Vote, decode_batch};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub use asked::Asked;
pub use conflict::{Said, Suspicion, contradict};
pub use proposal::Unfit;
pub use screening::{Ballot, Came, NoRoom, Screening, Unwanted};

use crate::batch::Batch;
use crate::config::CollectionConfig;
use crate::evidence::{Evidence, Store};
use crate::governance::Governance;
use crate::ledger::Ledger;
use crate::report::Report;
use crate::verify::Job;
use crate::votes;

/// How often what is over is forgotten.
const SWEEP: Duration = Duration::from_millis(250);

/// How many blocks back from the head anything of a batch is looked for at most.
const SEARCHED: u64 = 256;

/// The stage.
pub struct Collect {
    /// The network's rules.
    pub network: NetworkConfig,
    /// What is signed.
    pub domain: SigningDomain,
    /// Limits.
    pub config: CollectionConfig,
    /// Sets and rule.
    pub governance: Governance,
    /// The chain's heads.
    pub heads: Heads,
    /// The time.
    pub clock: SlotClock,
    /// Known batches and what was heard.
    pub screening: Screening,
    /// Where tasks are recorded.
    pub ledger: Ledger,
    /// Says whether the ledger takes them.
    pub ledger_check: Check,
    /// What is shown.
    pub report: Report,
    /// Where proven faults are kept.
    pub evidence: Store,
    /// Where votes go.
    pub verify: Outbox<Job>,
    /// When to sweep next.
    pub sweep_at: Instant,
}

/// Brings the p2p service's events into the stage, until `stop`.
pub async fn listen(mut events: mpsc::Receiver<Event>, collect: Outbox<Event>, stop: CancellationToken) {
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => return,
            event = events.recv() => event,
        };
        let Some(event) = event else { return };
        if matches!(event, Event::PeerAdmitted { .. } | Event::PeerLost { .. }) {
            continue;
        }
        if collect.send(event, Deadline::NONE).await.is_err() {
            return;
        }
    }
}

impl Actor for Collect {
    type Item = Event;
    const OUTCOMES: &'static [Outcome] = &["batch_taken", "batch_refused", "vote_taken", "vote_refused", "ignored"];

    async fn handle(&mut self, event: Event, _deadline: Deadline) -> Outcome {
        match event {
            Event::Gossip { topic: Topic::Proposals, bytes, token, .. } => {
                let (outcome, verdict) = self.on_proposal(&bytes).await;
                token.answer(verdict);
                outcome
            }
            Event::Gossip { topic: Topic::Votes, bytes, from, token, .. } => {
                let (outcome, verdict) = match self.on_vote(&bytes, Came::ByGossip, from).await {
                    Ok(()) => ("vote_taken", Acceptance::Accept),
                    Err(Some(Unwanted::WrongLength | Unwanted::Abstains | Unwanted::NoPoint) | None) => {
                        ("vote_refused", Acceptance::Reject)
                    }
                    Err(Some(_)) => ("vote_refused", Acceptance::Ignore),
                };
                token.answer(verdict);
                outcome
            }
            Event::Vote { bytes, from, role, reply } => {
                // An aggregator does not vote; as nobody's controller it is an impostor.
                let came = match role {
                    Role::Operator(address) => Came::Directly(Address::from(address)),
                    Role::Aggregator(_) | Role::Standby(_) => Came::Directly(Address::ZERO),
                };
                match self.on_vote(&bytes, came, from).await {
                    Ok(()) => {
                        reply.accept();
                        "vote_taken"
                    }
                    Err(Some(Unwanted::Duplicate)) => {
                        reply.duplicate();
                        "vote_refused"
                    }
                    Err(unwanted) => {
                        match unwanted.map_or(Some(VoteRefusal::Malformed), Unwanted::refusal) {
                            Some(refusal) => reply.refuse(refusal),
                            None => reply.accept(),
                        }
                        "vote_refused"
                    }
                }
            }
            // One aggregator's questions are not the other's business; operators forward them.
            Event::Gossip { topic: Topic::Splits, token, .. } => {
                token.answer(Acceptance::Ignore);
                "ignored"
            }
            Event::PeerAdmitted { .. } | Event::PeerLost { .. } => "ignored",
        }
    }

    fn next_tick(&self) -> Option<Instant> {
        Some(self.sweep_at)
    }

    async fn tick(&mut self) {
        self.sweep_at = Instant::now() + SWEEP;
        let lost = self.screening.forget(self.clock.now_ms());
        votes::count_many("park_expired", usize::try_from(lost).unwrap_or(usize::MAX));
    }
}

impl Collect {
    async fn on_proposal(&mut self, bytes: &[u8]) -> (Outcome, Acceptance) {
        let refused = |fate: &'static str, acceptance| {
            metrics::counter!("ditto_aggregator_batches_total", "fate" => fate).increment(1);
            ("batch_refused", acceptance)
        };
        let proposed = match decode_batch(bytes) {
            Ok(proposed) => proposed,
            Err(error) => {
                tracing::debug!(%error, "a gossiped proposal does not decode");
                return refused("malformed", Acceptance::Reject);
            }
        };
        let (slot, performer) = (proposed.proposal.slot, proposed.proposal.performer);
        let now_ms = self.clock.now_ms();
        let accepted = self.governance.sets().get();
        let ahead = self.config.slots_ahead;
        let id = match proposal::check(&proposed, &self.network, &self.domain, &accepted, now_ms, ahead) {
            Ok(id) => id,
            Err(unfit) => {
                tracing::warn!(slot, %performer, %unfit, "a proposed batch is not taken");
                return refused(unfit.label(), unfit.acceptance());
            }
        };
        match self.screening.room_for(id, performer, slot) {
            Ok(()) => {}
            Err(NoRoom::Known) => return refused("duplicate", Acceptance::Ignore),
            Err(NoRoom::Equivocation) => {
                tracing::warn!(slot, %performer, "the performer proposed too many different things for this slot");
                return refused("equivocation", Acceptance::Ignore);
            }
            Err(NoRoom::Full) => return refused("no_room", Acceptance::Ignore),
        }
        self.take(id, proposed, now_ms).await
    }

    async fn take(
        &mut self,
        id: ditto_core::proposal::BatchId,
        proposed: ProposedBatch,
        now_ms: u64,
    ) -> (Outcome, Acceptance) {
        let batch = Arc::new(Batch::new(&self.domain, id, proposed, now_ms));
        let since_block = self.heads.latest().map_or(0, |head| self.since_block(&batch.proposed, head.number));
        // On the disk before any vote for it counts.
        let fate = match self.ledger.propose(&batch, since_block).await {
            Ok(true) => {
                self.ledger_check.ready();
                self.report.proposed(batch.slot(), batch.hashes.len());
                tracing::info!(batch = %id, slot = batch.slot(), tasks = batch.hashes.len(), performer = %batch.proposed.proposal.performer, "batch proposed");
                "accepted"
            }
            // From before a restart: its votes are still wanted.
            Ok(false) => "known_in_ledger",
            Err(error) => {
                tracing::error!(batch = %id, %error, "a proposed batch is not taken, for it cannot be recorded");
                self.ledger_check.not_ready(error.to_string());
                metrics::counter!("ditto_aggregator_batches_total", "fate" => "not_recorded").increment(1);
                return ("batch_refused", Acceptance::Ignore);
            }
        };
        metrics::counter!("ditto_aggregator_batches_total", "fate" => fate).increment(1);
        if let Some(other) = self.screening.other_proposal(&batch) {
            tracing::warn!(slot = batch.slot(), performer = %batch.proposed.proposal.performer, first = %other.id, second = %batch.id, "a performer signed two proposals for one slot");
            let accepted = self.governance.sets().get();
            if let Some(set) = accepted.set(batch.set_id()) {
                self.evidence.keep(&Evidence::of_proposals(&self.domain, set, &other, &batch, now_ms));
            }
        }
        for waiting in self.screening.open(batch) {
            // Refusals are counted there; whoever sent it was told that it waits.
            self.screen(waiting.vote, waiting.came, waiting.sender).await.ok();
        }
        ("batch_taken", Acceptance::Accept)
    }

    /// The first block that can hold anything of a batch: the one after its pin, however late it is heard of here. Who
    /// proposes names the pin, so it is not believed beyond [`SEARCHED`] blocks.
    fn since_block(&self, proposed: &ProposedBatch, head: u64) -> u64 {
        let pin = proposed.pins.iter().find(|pin| pin.chain_id == self.network.target_chain);
        pin.map_or(head, |pin| pin.number).clamp(head.saturating_sub(SEARCHED), head)
    }

    /// `Err(None)`: the bytes are no vote.
    async fn on_vote(&mut self, bytes: &[u8], came: Came, from: PeerId) -> Result<(), Option<Unwanted>> {
        votes::count("received");
        let vote = Vote::decode(bytes).map_err(|error| {
            tracing::debug!(%error, %from, "a vote does not decode");
            votes::count("malformed");
            None
        })?;
        self.screen(vote, came, from).await.map_err(Some)
    }

    async fn screen(&mut self, vote: Vote, came: Came, from: PeerId) -> Result<(), Unwanted> {
        let (id, attester) = (vote.batch, vote.attester);
        let screened = self.screening.screen(vote, came, from, &self.governance, self.clock.now_ms());
        for suspicion in self.screening.suspicions() {
            drop(self.verify.send(Job::Suspicion(Box::new(suspicion)), Deadline::NONE).await);
        }
        match screened {
            Ok(ballot) => {
                votes::count("accepted");
                // Refused only when the next stage has ended, which it counts itself.
                drop(self.verify.send(Job::Ballot(Box::new(ballot)), Deadline::NONE).await);
                Ok(())
            }
            Err(unwanted) => {
                votes::count(unwanted.label());
                tracing::debug!(batch = %id, attester, why = unwanted.label(), "a vote is not taken");
                Err(unwanted)
            }
        }
    }
}
