//! The plan of a slot: pins, operator set, performers, and what is due.
//!
//! A slot has one plan, at the pins of every configured chain: the slowest of them gates the slot. Its pin is known when a
//! later block has been seen, so a chain with long block times, a stalled one or a slow node delays workflows that never
//! read it, and one without a pin until the slot's end leaves the slot without a plan. That is the price of a proof of task
//! over all pins, which has to be the same whatever a workflow turns out to read. Configure chains that are fast enough
//! for the slot's length, or give a slow one a longer pin lag.
//!
//! What is due follows from the chain alone. Trouble of our own, such as code the node does not give, takes nothing off
//! the plan: it is a finding on that occurrence, and so an abstention. Left off the plan, it would be a rejection.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use alloy::primitives::{Address, B256, U256};
use ditto_core::admission::AcceptedSets;
use ditto_core::bls::PublicKey;
use ditto_core::chain::bindings::attestation_center::AttestationCenter;
use ditto_core::chain::bindings::validator_module::DittoValidatorModule;
use ditto_core::chain::{ChainConfig, ContractsConfig, Head, Heads, RpcError, SetError, SetReader, task_rule};
use ditto_core::clock::{Slot, SlotClock};
use ditto_core::committee::{Electorate, Standing};
use ditto_core::election::performers;
use ditto_core::network::NetworkConfig;
use ditto_core::operators::OperatorSet;
use ditto_core::proposal::{Pin, hash_pins};
use ditto_core::quorum::TaskRule;
use ditto_core::stage::{Deadline, Handler, Outbox, Outcome};
use ditto_core::task::Occurrence;
use ditto_core::telemetry::Check;
use tokio::sync::{Mutex, Notify};

use super::due::{Candidate, Occurrences};
use super::registry::Registry;
use crate::board::Board;
use crate::build::Finding;
use crate::history::Event;
use crate::simulate::ReadCache;
use crate::slot::{Chains, Due, Note, SlotContext};

/// Occurrences per call of `spent`: what an `eth_call` of any provider has the gas for.
const SPENT: usize = 256;

/// Why a slot has no plan. Its occurrences come back with the next attempt.
#[derive(Debug, thiserror::Error)]
enum NoPlan {
    #[error("chain {0} has no block later than the pin yet")]
    NoPin(u64),
    #[error(transparent)]
    Set(#[from] SetError),
    #[error(transparent)]
    Rpc(#[from] RpcError),
}

/// Whether chains and operator set are there.
pub struct Checks {
    /// The chains answer, and their blocks come.
    pub chain: Check,
    /// The operator set is known.
    pub set: Check,
}

/// The stage that plans slots.
pub struct Plan {
    /// The network's rules.
    pub network: Arc<NetworkConfig>,
    /// The chains' configuration.
    pub configs: Arc<BTreeMap<u64, ChainConfig>>,
    /// Ditto's contracts on the target chain.
    pub contracts: ContractsConfig,
    /// The slots' clock.
    pub clock: SlotClock,
    /// The chains' nodes.
    pub chains: Arc<Chains>,
    /// What is read of the chains.
    pub reads: Arc<ReadCache>,
    /// Finds what is due.
    pub occurrences: Occurrences,
    /// The chains' heads.
    pub heads: Arc<BTreeMap<u64, Heads>>,
    /// Operator sets.
    pub sets: SetReader,
    /// Who may speak on the p2p network follows the set.
    pub admitted: AcceptedSets,
    /// Told when another set is current, so that peers are admitted anew.
    pub set_changed: Arc<Notify>,
    /// Published workflows. Slots are planned one after the other; the lock says so.
    pub registry: Mutex<Registry>,
    /// This operator's consensus key.
    pub own_key: PublicKey,
    /// What a plan needs from outside, for `/health/ready`.
    pub checks: Checks,
    /// Recent slots.
    pub board: Arc<Board>,
    /// Where due occurrences go.
    pub simulate: Outbox<Due>,
    /// Where plans go to be proposed from.
    pub propose: Outbox<crate::propose::Item>,
    /// Where plans go to be judged by.
    pub judge: Outbox<crate::attest::Item>,
}

impl Handler for Plan {
    type Item = Slot;
    const OUTCOMES: &'static [Outcome] = &["planned", "no_pin", "no_set", "rpc"];

    async fn handle(&self, slot: Slot, deadline: Deadline) -> Outcome {
        match self.plan(slot, deadline).await {
            Ok(()) => {
                self.checks.chain.ready();
                self.checks.set.ready();
                "planned"
            }
            Err(error) => {
                tracing::warn!(slot, %error, "the slot has no plan");
                let check = if matches!(error, NoPlan::Set(_)) { &self.checks.set } else { &self.checks.chain };
                check.not_ready(error.to_string());
                match error {
                    NoPlan::NoPin(_) => "no_pin",
                    NoPlan::Set(_) => "no_set",
                    NoPlan::Rpc(_) => "rpc",
                }
            }
        }
    }
}

/// Says how much this operator's vote weighs. A power is at most 96 bits: for a graph, a double is enough of it.
#[allow(clippy::cast_precision_loss)]
fn measure_power(set: &OperatorSet, own_index: Option<usize>) {
    let own = own_index.and_then(|index| set.members.get(index)).map_or(0, |member| member.power);
    metrics::gauge!("ditto_operator_set_id").set(f64::from(set.id));
    metrics::gauge!("ditto_operator_own_power").set(own as f64);
    metrics::gauge!("ditto_operator_total_power").set(set.total_power as f64);
}

impl Plan {
    async fn plan(&self, slot: Slot, deadline: Deadline) -> Result<(), NoPlan> {
        let (head, pins) = self.pins(slot, deadline).await?;
        let (set, rule) = futures::try_join!(async { self.sets.current(&head).await.map_err(NoPlan::from) }, async {
            self.rule(&head).await.map_err(NoPlan::from)
        },)?;
        if self.admitted.replace(vec![set.clone()]) {
            tracing::info!(set = set.id, members = set.members.len(), "another operator set is current");
            self.set_changed.notify_one();
        }
        let context = Arc::new(self.context(slot, head, pins, set, &rule, deadline));
        measure_power(&context.set, context.own_index);

        let mut registry = self.registry.lock().await;
        let target = &self.chains[&self.network.target_chain];
        let pin = Pin { chain_id: self.network.target_chain, number: head.number, hash: head.hash };
        registry.sync(target, pin).await?;
        let due = self.due(&registry, &context).await?;

        metrics::counter!("ditto_operator_due_total").increment(due.len() as u64);
        self.board.note(slot, |counts| {
            counts.due = due.len() as u64;
            counts.rank = context.own_rank;
            counts.attests = context.own_standing == Standing::Attests;
        });
        let occurrences: Arc<[Occurrence]> = due.iter().map(|candidate| candidate.occurrence).collect();
        self.announce(&context, Note::Planned { context: context.clone(), due: occurrences }).await;

        if sits_out(&context) {
            return Ok(());
        }
        let hashes: HashSet<_> = due.iter().map(|candidate| candidate.workflow.code_hash).collect();
        let codes = registry.codes(target, hashes, head.hash, context.end).await;
        registry.forget_unused_code();
        drop(registry);
        for (hash, error) in codes.iter().filter_map(|(hash, code)| Some((hash, code.as_ref().err()?))) {
            tracing::error!(slot, code = %hash, %error, "code cannot be had; its workflows are abstained from");
        }
        for Candidate { occurrence, workflow, evidence } in due {
            let finding = match (evidence, codes.get(&workflow.code_hash)) {
                (Ok(evidence), Some(Ok(code))) => {
                    self.board
                        .tell(occurrence, slot, || Event::Due { pin: context.head.number, code: workflow.code_hash });
                    let due = Due { context: context.clone(), occurrence, workflow, code: code.clone(), evidence };
                    self.simulate.offer(due, context.end).await;
                    continue;
                }
                (Err(_), _) => Finding::Trouble("trigger"),
                (Ok(_), _) => Finding::Trouble("code"),
            };
            self.announce(&context, Note::Found { slot, occurrence, finding: Arc::new(finding) }).await;
        }
        Ok(())
    }

    /// Tells those who propose and judge. A refusal is counted by the stage that refuses; the slot is then attempted by
    /// others, or again.
    async fn announce(&self, context: &SlotContext, note: Note) {
        self.propose.offer(note.clone().into(), context.end).await;
        self.judge.offer(note.into(), context.votes_until).await;
    }

    /// The pins of every chain, and the target's with its header. They are known as soon as a later block is.
    async fn pins(&self, slot: Slot, deadline: Deadline) -> Result<(Head, Vec<Pin>), NoPlan> {
        let start = self.network.schedule().start_seconds(slot);
        let waits = self.heads.iter().map(|(chain_id, heads)| async move {
            let at = start.saturating_sub(self.configs[chain_id].pin_lag_seconds);
            let pin = match deadline.instant() {
                Some(instant) => tokio::time::timeout_at(instant.into(), heads.pin(at)).await.ok().flatten(),
                None => heads.pin(at).await,
            };
            pin.map(|head| (*chain_id, head)).ok_or(NoPlan::NoPin(*chain_id))
        });
        let heads = futures::future::try_join_all(waits).await?;
        let target = heads.iter().find(|(chain_id, _)| *chain_id == self.network.target_chain);
        let head = target.ok_or(NoPlan::NoPin(self.network.target_chain))?.1;
        let pin = |(chain_id, head): &(u64, Head)| Pin { chain_id: *chain_id, number: head.number, hash: head.hash };
        Ok((head, heads.iter().map(pin).collect()))
    }

    /// Who attests, and when it is enough, by what governance had set at the pin.
    async fn rule(&self, head: &Head) -> Result<TaskRule, RpcError> {
        let id = self.network.task_definition;
        let target = &self.chains[&self.network.target_chain];
        let call = AttestationCenter::taskDefinitionCall { id };
        let definition = target.call(self.contracts.attestation_center, &call, head.hash, None).await?;
        Ok(task_rule(id, &definition))
    }

    fn context(
        &self,
        slot: Slot,
        head: Head,
        pins: Vec<Pin>,
        set: Arc<OperatorSet>,
        rule: &TaskRule,
        end: Deadline,
    ) -> SlotContext {
        let ranks = performers(&set, slot, self.network.ranks);
        let own_index = set.by_key(&self.own_key).map(|(index, _)| index);
        if own_index.is_none() {
            tracing::warn!(slot, set = set.id, "this operator is not in the current set: it only watches");
        }
        let validity = self.network.slot_seconds * 1_000 * self.network.validity_slots;
        SlotContext {
            slot,
            start_seconds: self.network.schedule().start_seconds(slot),
            head,
            pins_hash: hash_pins(&pins),
            reads: Arc::new(self.reads.slot(slot, &pins)),
            own_rank: own_index.and_then(|own| ranks.iter().position(|ranked| *ranked == own)),
            own_index,
            own_standing: own_index.map_or(Standing::Powerless, |own| Electorate::new(&set, rule, slot).standing(own)),
            ranks,
            pins,
            set,
            end,
            votes_until: Deadline::after(self.clock.until(slot, validity)),
        }
    }

    /// The slot's own occurrences, and the carried-over ones that the chain does not show as executed.
    async fn due(&self, registry: &Registry, context: &SlotContext) -> Result<Vec<Candidate>, NoPlan> {
        let found = self.occurrences.of(registry.workflows(), context).await;
        let (mut due, carried): (Vec<Candidate>, Vec<Candidate>) =
            found.into_iter().partition(|candidate| candidate.occurrence.slot == context.slot);
        let chunks = carried.chunks(SPENT).map(|chunk| self.unspent(chunk, context.head.hash));
        let before = due.len();
        for open in futures::future::join_all(chunks).await {
            due.extend(open?);
        }
        metrics::counter!("ditto_operator_carried_over_total").increment((due.len() - before) as u64);
        Ok(due)
    }

    /// Those of a chunk that the chain does not show as executed.
    async fn unspent(&self, chunk: &[Candidate], block: B256) -> Result<Vec<Candidate>, RpcError> {
        let accounts: Vec<Address> = chunk.iter().map(|candidate| candidate.workflow.account).collect();
        let numbers: Vec<U256> = chunk.iter().map(|candidate| candidate.occurrence.number()).collect();
        let call = DittoValidatorModule::spentCall { accounts, sessionNonces: numbers };
        let target = &self.chains[&self.network.target_chain];
        let spent = target.call(self.contracts.validator_module, &call, block, None).await?;
        if spent.len() != chunk.len() {
            let cause = format!("spent() of {} occurrences gave {} answers", chunk.len(), spent.len());
            return Err(RpcError::Shape { chain: self.network.target_chain, cause });
        }
        Ok(chunk.iter().zip(spent).filter(|(_, spent)| !spent).map(|(candidate, _)| candidate.clone()).collect())
    }
}

/// Whether this operator runs nothing in a slot: its votes would not count, and nobody waits for its proposal. It forwards what
/// others say all the same.
fn sits_out(context: &SlotContext) -> bool {
    if context.own_rank.is_some() || context.own_standing == Standing::Attests {
        return false;
    }
    tracing::debug!(slot = context.slot, standing = ?context.own_standing, "nothing to do in this slot");
    metrics::counter!("ditto_operator_idle_slots_total").increment(1);
    true
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use ditto_core::bls::SecretKey;
    use ditto_core::operators::Member;
    use ditto_core::telemetry::measured;

    #[test]
    fn what_the_own_vote_weighs_is_shown_and_nothing_outside_the_set() {
        let member = |n: u8, power| Member {
            controller: Address::repeat_byte(n),
            signer: Address::repeat_byte(n),
            power,
            key: SecretKey::derive(&[n; 32]).unwrap().public(),
        };
        let shown = || {
            let names = ["ditto_operator_set_id", "ditto_operator_own_power", "ditto_operator_total_power"];
            names.map(|name| measured(name, &[]) as u64)
        };
        assert_eq!(shown(), [0, 0, 0]);
        let set = OperatorSet::new(7, vec![member(1, 300), member(2, 700)], B256::ZERO);
        measure_power(&set, Some(1));
        assert_eq!(shown(), [7, 700, 1_000]);
        let mut next = set;
        next.id = 8;
        measure_power(&next, None);
        assert_eq!(shown(), [8, 0, 1_000]);
    }

    #[test]
    fn who_has_neither_a_rank_nor_a_vote_that_counts_sits_out() {
        let context = |own_rank, own_standing| SlotContext {
            slot: 9,
            start_seconds: 0,
            head: Head { number: 1, hash: B256::ZERO, parent: B256::ZERO, timestamp: 0, base_fee: 0 },
            pins: Vec::new(),
            pins_hash: B256::ZERO,
            set: Arc::new(OperatorSet::new(1, Vec::new(), B256::ZERO)),
            ranks: Vec::new(),
            own_rank,
            own_index: Some(0),
            own_standing,
            reads: Arc::new(crate::simulate::SlotReads::new(Arc::default(), &[])),
            end: Deadline::none(),
            votes_until: Deadline::none(),
        };
        let idle = || measured("ditto_operator_idle_slots_total", &[]) as u64;
        assert!(!sits_out(&context(None, Standing::Attests)) && !sits_out(&context(Some(2), Standing::Unseated)));
        assert_eq!(idle(), 0);
        for standing in [Standing::Unseated, Standing::BelowMinimum, Standing::Powerless] {
            assert!(sits_out(&context(None, standing)));
        }
        assert_eq!(idle(), 3);
    }
}
