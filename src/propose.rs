//! Propose: the slot's performer, or whoever steps in for it, signs and gossips a proposal.
//!
//! The elected performer proposes as soon as every due occurrence has been simulated, or when the cut-off comes. Rank r
//! waits r delays more and proposes what it came to itself and nobody has proposed. One proposal per slot, ever: two would be
//! a fault. What is not in it is carried over.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy::primitives::{B256, U256};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use ditto_core::clock::{Slot, SlotClock};
use ditto_core::consent::{Proposal, SigningDomain};
use ditto_core::network::NetworkConfig;
use ditto_core::p2p::{PublishError, Topic, Transport};
use ditto_core::proposal::{MAX_BATCHES, MAX_TASKS, ProposedBatch, hash_batch, hash_batches};
use ditto_core::stage::{Actor, Deadline, Outbox, Outcome};
use ditto_core::task::{Occurrence, Task};
use ditto_core::wire;

use crate::attest::Journal;
use crate::board::Board;
use crate::build::Finding;
use crate::history::Event;
use crate::slot::{Note, SlotContext};

/// A performer does not wait longer for its own simulations than this part of the slot.
const CUT_OFF_PERCENT: u64 = 70;
/// Every rank's cut-off is this much later than that of the rank before.
const STEP_PERCENT: u64 = 8;
/// How often open slots are looked at.
const TICK: Duration = Duration::from_millis(10);
/// Slots kept open.
const SLOTS: usize = 4;
/// Bytes of a message that are not call data, per task and in all: their encodings, rounded up.
const TASK_BYTES: usize = 320;
const OBSERVATION_BYTES: usize = 96;
const HEADER_BYTES: usize = 8 * 1024;

/// What the proposer is told.
#[derive(Debug)]
pub enum Item {
    /// Something about a slot.
    Note(Note),
    /// Somebody who may has proposed these tasks. Where they are what this operator came to itself, it need not.
    Seen {
        /// The slot.
        slot: Slot,
        /// The tasks, by [`SigningDomain::task_id`].
        covered: Vec<B256>,
    },
}

impl From<Note> for Item {
    fn from(note: Note) -> Self {
        Self::Note(note)
    }
}

/// The stage.
pub struct Propose {
    /// The network's rules.
    pub network: Arc<NetworkConfig>,
    /// The slots' clock.
    pub clock: SlotClock,
    /// Where consents are meant to be used.
    pub domain: SigningDomain,
    /// This operator's engine.
    pub engine_id: B256,
    /// The delegated signer.
    pub signer: PrivateKeySigner,
    /// The largest message the network takes, in bytes.
    pub max_message_bytes: usize,
    /// The way to the others.
    pub transport: Arc<dyn Transport>,
    /// Recent slots.
    pub board: Arc<Board>,
    /// One proposal per slot, across restarts.
    pub journal: Journal,
    /// Own proposals are judged like everybody's: gossip does not come back. A way back, so it keeps nothing open.
    pub judge: Outbox<crate::attest::Item>,
    /// Open slots.
    pub open: BTreeMap<Slot, OpenSlot>,
}

/// What the proposer knows of a slot.
pub struct OpenSlot {
    context: Arc<SlotContext>,
    due: usize,
    findings: HashMap<Occurrence, Arc<Finding>>,
    covered: HashSet<B256>,
    rank: u64,
    completed: Option<Instant>,
    done: bool,
}

impl Actor for Propose {
    type Item = Item;
    const OUTCOMES: &'static [Outcome] = &["noted", "not_performer", "closed"];

    async fn handle(&mut self, item: Item, _deadline: Deadline) -> Outcome {
        match item {
            Item::Note(Note::Planned { context, due }) => {
                let Some(rank) = context.own_rank else { return "not_performer" };
                let slot = context.slot;
                while self.open.len() >= SLOTS {
                    self.open.pop_first();
                }
                self.open.insert(
                    slot,
                    OpenSlot {
                        context,
                        due: due.len(),
                        findings: HashMap::with_capacity(due.len()),
                        covered: HashSet::new(),
                        rank: rank as u64,
                        completed: None,
                        done: due.is_empty(),
                    },
                );
            }
            Item::Note(Note::Found { slot, occurrence, finding }) => {
                let Some(open) = self.open.get_mut(&slot) else { return "closed" };
                open.findings.insert(occurrence, finding);
                if open.findings.len() >= open.due {
                    open.completed.get_or_insert_with(Instant::now);
                }
            }
            Item::Seen { slot, covered } => {
                let Some(open) = self.open.get_mut(&slot) else { return "closed" };
                open.covered.extend(covered);
            }
        }
        self.perform().await;
        "noted"
    }

    fn next_tick(&self) -> Option<Instant> {
        self.open.values().any(|open| !open.done).then(|| Instant::now() + TICK)
    }

    async fn tick(&mut self) {
        self.perform().await;
    }
}

impl Propose {
    /// Proposes in every slot whose moment has come.
    async fn perform(&mut self) {
        let (clock, network) = (&self.clock, &self.network);
        let ready: Vec<Slot> = self
            .open
            .iter()
            .filter(|(slot, open)| {
                // The delay counts from when this operator knows all: on a busy machine everybody is late, and whoever is
                // elected has to have had its time.
                let delay = open.rank.saturating_mul(network.fallback_delay_ms);
                let turn = open.completed.is_some_and(|at| at.elapsed() >= Duration::from_millis(delay));
                let last_call = CUT_OFF_PERCENT.saturating_add(open.rank.saturating_mul(STEP_PERCENT));
                let since = clock.since_ms(**slot);
                let late = since >= network.slot_seconds.saturating_mul(10).saturating_mul(last_call);
                !open.done && (turn || late) && since >= delay
            })
            .map(|(slot, _)| *slot)
            .collect();
        for slot in ready {
            let Some(open) = self.open.get_mut(&slot) else { continue };
            open.done = true;
            if open.context.end.expired() {
                continue;
            }
            let mut tasks: Vec<Task> = open
                .findings
                .values()
                .filter_map(|finding| match finding.as_ref() {
                    Finding::Operation { task, .. } if !open.covered.contains(&self.domain.task_id(task)) => {
                        Some(task.as_ref().clone())
                    }
                    _ => None,
                })
                .collect();
            if tasks.is_empty() {
                continue;
            }
            tasks.sort_unstable_by_key(|task| task.occurrence);
            let (context, rank) = (open.context.clone(), open.rank);
            self.propose(&context, rank, tasks).await;
        }
    }

    async fn propose(&self, context: &Arc<SlotContext>, rank: u64, tasks: Vec<Task>) {
        let batches = self.cut(tasks);
        let batch_hashes: Vec<B256> = batches.iter().map(|tasks| hash_batch(&self.domain, tasks)).collect();
        let proposal = Proposal {
            slot: context.slot,
            setId: context.set.id,
            taskDefinitionId: self.network.task_definition,
            performer: self.signer.address(),
            aggregator: self.network.aggregator,
            pins: context.pins_hash,
            tasks: hash_batches(&batch_hashes),
            targetChainId: U256::from(self.domain.chain_id),
        };
        let digest = self.domain.proposal_digest(&proposal);
        match self.journal.propose(context.slot, digest).await {
            Ok(true) => {}
            Ok(false) => {
                tracing::warn!(slot = context.slot, "another proposal was signed for this slot before a restart");
                return;
            }
            Err(error) => {
                tracing::error!(%error, "the journal cannot be written: not proposing");
                metrics::counter!("ditto_operator_journal_failures_total").increment(1);
                return;
            }
        }
        let signature = match self.signer.sign_hash_sync(&digest) {
            Ok(signature) => signature.as_bytes(),
            Err(error) => {
                tracing::error!(slot = context.slot, %error, "the proposal could not be signed");
                return;
            }
        };
        for (index, tasks) in (0u16..).zip(batches) {
            let batch = ProposedBatch {
                proposal: proposal.clone(),
                signature,
                engine_id: self.engine_id,
                pins: context.pins.clone(),
                batch_hashes: batch_hashes.clone(),
                index,
                tasks,
            };
            self.gossip(context, rank, batch).await;
        }
    }

    async fn gossip(&self, context: &SlotContext, rank: u64, batch: ProposedBatch) {
        let slot = context.slot;
        let bytes = match wire::encode_batch(&batch) {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::error!(slot, %error, "a batch could not be encoded");
                return;
            }
        };
        loop {
            match self.transport.publish(Topic::Proposals, bytes.clone()).await {
                Ok(()) | Err(PublishError::Duplicate) => break,
                Err(error @ (PublishError::NoPeers | PublishError::Busy)) if !context.end.expired() => {
                    tracing::debug!(slot, %error, "a proposal waits for peers");
                    tokio::time::sleep(TICK).await;
                }
                Err(error) => {
                    tracing::warn!(slot, %error, "a proposal reached nobody");
                    return;
                }
            }
        }
        let tasks = batch.tasks.len() as u64;
        tracing::debug!(slot, rank, tasks, batch = batch.index, "proposed");
        metrics::counter!("ditto_operator_proposed_total").increment(tasks);
        metrics::histogram!("ditto_operator_proposal_delay_seconds").record(self.clock.since_ms(slot) as f64 / 1000.0);
        self.board.note(slot, |counts| counts.proposed += tasks);
        for task in &batch.tasks {
            let event = || Event::Proposed { rank, operation: self.domain.user_op_hash(task) };
            self.board.tell(task.occurrence, slot, event);
        }
        let own = crate::attest::Item::Proposed { batch: Box::new(batch), from: None };
        self.judge.offer_now(own, context.votes_until);
    }

    /// Cuts tasks into batches that one transaction can execute and one message can carry. Tasks beyond the last batch a
    /// proposal may have are left to be carried over.
    fn cut(&self, tasks: Vec<Task>) -> Vec<Vec<Task>> {
        let most = self.network.batch_tasks.clamp(1, MAX_TASKS);
        let room = self.max_message_bytes.saturating_sub(HEADER_BYTES);
        let mut batches: Vec<Vec<Task>> = Vec::new();
        let (mut gas, mut bytes) = (0u64, 0usize);
        for task in tasks {
            let (task_gas, task_bytes) = (NetworkConfig::task_gas(&task), task_bytes(&task));
            let full = batches.last().is_none_or(|batch| {
                batch.len() >= most || gas + task_gas > self.network.batch_gas || bytes + task_bytes > room
            });
            if full {
                if batches.len() == MAX_BATCHES {
                    break;
                }
                batches.push(Vec::new());
                (gas, bytes) = (NetworkConfig::transaction_gas(&[]), 0);
            }
            gas += task_gas;
            bytes += task_bytes;
            if let Some(batch) = batches.last_mut() {
                batch.push(task);
            }
        }
        batches
    }
}

fn task_bytes(task: &Task) -> usize {
    TASK_BYTES + task.op.call_data.len() + OBSERVATION_BYTES * task.evidence.len()
}
