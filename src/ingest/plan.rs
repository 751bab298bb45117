//! The plan of a slot: pins, operator set, performers, and what is due.

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy::primitives::{Address, U256};
use ditto_core::admission::AcceptedSets;
use ditto_core::bls::PublicKey;
use ditto_core::chain::bindings::validator_module::DittoValidatorModule;
use ditto_core::chain::{ChainConfig, ContractsConfig, Head, Heads, RpcError, SetError, SetReader};
use ditto_core::clock::{Slot, SlotClock};
use ditto_core::election::performers;
use ditto_core::network::NetworkConfig;
use ditto_core::operators::OperatorSet;
use ditto_core::proposal::{Pin, hash_pins};
use ditto_core::stage::{Deadline, Handler, Outbox, Outcome};
use ditto_core::task::Occurrence;
use tokio::sync::{Mutex, Notify};

use super::registry::{CodeError, Registry, Workflow};
use crate::board::Board;
use crate::simulate::SlotReads;
use crate::slot::{Chains, Due, Note, SlotContext};

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
            Ok(()) => "planned",
            Err(error) => {
                tracing::warn!(slot, %error, "the slot has no plan");
                match error {
                    NoPlan::NoPin(_) => "no_pin",
                    NoPlan::Set(_) => "no_set",
                    NoPlan::Rpc(_) => "rpc",
                }
            }
        }
    }
}

impl Plan {
    async fn plan(&self, slot: Slot, deadline: Deadline) -> Result<(), NoPlan> {
        let (head, pins) = self.pins(slot, deadline).await?;
        let set = self.sets.current(head.hash).await?;
        if self.admitted.replace(vec![set.clone()]) {
            tracing::info!(set = set.id, members = set.members.len(), "another operator set is current");
            self.set_changed.notify_one();
        }
        let context = Arc::new(self.context(slot, head, pins, set, deadline));

        let mut registry = self.registry.lock().await;
        let target = &self.chains[&self.network.target_chain];
        let pin = Pin { chain_id: self.network.target_chain, number: head.number, hash: head.hash };
        registry.sync(target, pin).await?;
        let candidates = self.due(&registry, &context).await?;
        let mut due = Vec::with_capacity(candidates.len());
        for (occurrence, workflow) in candidates {
            match registry.code(target, workflow.code_hash, head.hash).await {
                Ok(code) => due.push(Due { context: context.clone(), occurrence, workflow, code }),
                Err(CodeError::Rpc(error)) => return Err(error.into()),
                Err(error) => tracing::error!(workflow = workflow.id, %error, "a workflow's code cannot be had"),
            }
        }
        registry.forget_unused_code();
        drop(registry);

        metrics::counter!("ditto_operator_due_total").increment(due.len() as u64);
        self.board.note(slot, |counts| {
            counts.due = due.len() as u64;
            counts.rank = context.own_rank;
        });
        let occurrences: Arc<[Occurrence]> = due.iter().map(|due| due.occurrence).collect();
        let note = Note::Planned { context: context.clone(), due: occurrences };
        // A refusal is counted by the stage that refuses; the slot is then attempted by others, or again.
        let _refused = self.propose.send(note.clone().into(), context.end).await.is_err();
        let _refused = self.judge.send(note.into(), context.votes_until).await.is_err();
        for due in due {
            let _refused = self.simulate.send(due, context.end).await.is_err();
        }
        Ok(())
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

    fn context(&self, slot: Slot, head: Head, pins: Vec<Pin>, set: Arc<OperatorSet>, end: Deadline) -> SlotContext {
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
            reads: Arc::new(SlotReads::new(self.chains.clone(), &pins)),
            own_rank: own_index.and_then(|own| ranks.iter().position(|ranked| *ranked == own)),
            own_index,
            ranks,
            pins,
            set,
            end,
            votes_until: Deadline::after(self.clock.until(slot, validity)),
        }
    }

    /// The slot's own occurrences, and the carried-over ones that the chain does not show as executed.
    async fn due(
        &self,
        registry: &Registry,
        context: &SlotContext,
    ) -> Result<Vec<(Occurrence, Arc<Workflow>)>, NoPlan> {
        let schedule = self.network.schedule();
        let lag = self.configs[&self.network.target_chain].pin_lag_seconds;
        let due_in = |slot: Slot| {
            registry
                .workflows()
                .filter(move |workflow| workflow.is_due(slot, &schedule, lag))
                .map(move |workflow| (Occurrence { workflow: workflow.id, slot }, workflow.clone()))
        };
        let mut due: Vec<_> = due_in(context.slot).collect();
        let carried: Vec<_> = self.network.carried_from(context.slot).flat_map(due_in).collect();
        if !carried.is_empty() {
            let accounts: Vec<Address> = carried.iter().map(|(_, workflow)| workflow.account).collect();
            let numbers: Vec<U256> = carried.iter().map(|(occurrence, _)| occurrence.number()).collect();
            let call = DittoValidatorModule::spentCall { accounts, sessionNonces: numbers };
            let target = &self.chains[&self.network.target_chain];
            let spent = target.call(self.contracts.validator_module, &call, context.head.hash, None).await?;
            let open = carried.into_iter().zip(spent).filter(|(_, spent)| !spent).map(|(candidate, _)| candidate);
            let before = due.len();
            due.extend(open);
            metrics::counter!("ditto_operator_carried_over_total").increment((due.len() - before) as u64);
        }
        Ok(due)
    }
}
