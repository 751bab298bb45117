//! What the target chain says about who may vote and when it is enough: the accepted operator sets, the quorum rule.
//!
//! [`Governance`] is the last look; [`follow`] looks again with every head. A chain that cannot be read leaves the last
//! look standing, and the reason in the readiness checks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use ditto_core::admission::AcceptedSets;
use ditto_core::chain::bindings::attestation_center::AttestationCenter;
use ditto_core::chain::bindings::obls::OBLS;
use ditto_core::chain::{ContractsConfig, Head, Heads, Request, Rpc, RpcError, SetError, SetReader, task_rule};
use ditto_core::clock::Slot;
use ditto_core::committee::Electorate;
use ditto_core::operators::OperatorSet;
use ditto_core::p2p::Network;
use ditto_core::quorum::TaskRule;
use ditto_core::telemetry::Check;
use tokio_util::sync::CancellationToken;

/// Pause after a failed look.
const RETRY: Duration = Duration::from_secs(1);
/// Electorates kept: those of the open slots, under both accepted sets, and some more.
const ELECTORATES: usize = 64;

/// The last look at sets and rule. Cheap to clone; clones show the same.
#[derive(Clone, Debug, Default)]
pub struct Governance {
    sets: AcceptedSets,
    rule: Arc<RwLock<Option<TaskRule>>>,
    electorates: Arc<Mutex<Electorates>>,
}

/// By slot and set: the set that it was made of, and who counts. Asked for with every vote, and drawn once.
type Electorates = BTreeMap<(Slot, u32), (Arc<OperatorSet>, Arc<Electorate>)>;

impl Governance {
    /// Nothing known yet: nothing is accepted.
    #[must_use]
    pub fn new(sets: AcceptedSets) -> Self {
        Self { sets, rule: Arc::default(), electorates: Arc::default() }
    }

    /// The accepted sets.
    #[must_use]
    pub fn sets(&self) -> &AcceptedSets {
        &self.sets
    }

    /// The rule; `None` until it was read, or while the task definition is not active.
    #[must_use]
    pub fn rule(&self) -> Option<TaskRule> {
        *self.rule.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who counts for the tasks of a slot under an accepted set; `None` when the set is not accepted, or there is no rule.
    #[must_use]
    pub fn electorate(&self, set_id: u32, slot: Slot) -> Option<(Arc<OperatorSet>, Arc<Electorate>)> {
        let rule = self.rule()?;
        let set = self.sets.get().set(set_id)?.clone();
        // Without a cap all slots have the same.
        let key = (if rule.max_attesters == 0 { 0 } else { slot }, set_id);
        let mut known = self.electorates.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, electorate)) = known.get(&key)
            && Arc::ptr_eq(of, &set)
            && *electorate.rule() == rule
        {
            return Some((set, electorate.clone()));
        }
        let electorate = Arc::new(Electorate::new(&set, &rule, slot));
        if known.len() >= ELECTORATES {
            // Those of a rule that was replaced, then the oldest slot's.
            known.retain(|_, (_, electorate)| *electorate.rule() == rule);
            if known.len() >= ELECTORATES {
                known.pop_first();
            }
        }
        known.insert(key, (set.clone(), electorate.clone()));
        Some((set, electorate))
    }

    /// Replaces the rule.
    pub fn set_rule(&self, rule: Option<TaskRule>) {
        *self.rule.write().unwrap_or_else(PoisonError::into_inner) = rule;
    }
}

/// Why nothing could be read.
#[derive(Debug, thiserror::Error)]
enum Unread {
    #[error("the node says it is on chain {found}; `chains.{expected}.rpc` must point to chain {expected}")]
    WrongChain { found: u64, expected: u64 },
    #[error("task definition {id} is not active in the AttestationCenter; see `network.task_definition`")]
    Inactive { id: u16 },
    #[error(transparent)]
    Sets(#[from] SetError),
    #[error(transparent)]
    Rpc(#[from] RpcError),
}

/// What following needs.
pub struct Following {
    /// The target chain.
    pub rpc: Arc<Rpc>,
    /// Its heads.
    pub heads: Heads,
    /// Its contracts.
    pub contracts: ContractsConfig,
    /// Blocks after which a new operator set takes over.
    pub set_settles_blocks: u64,
    /// The task definition whose rule is read.
    pub task_definition: u16,
    /// Told when the sets change.
    pub network: Network,
    /// Says whether the chain answers.
    pub chain_check: Check,
    /// Says whether the sets are known.
    pub set_check: Check,
}

/// Looks with every head, until `stop`.
pub async fn follow(mut following: Following, governance: Governance, stop: CancellationToken) {
    let sets = SetReader::new(following.rpc.clone(), following.contracts.obls, following.set_settles_blocks);
    let mut chain_known = false;
    let mut last: Option<Head> = None;
    let mut complained = String::new();
    loop {
        let looked = match following.heads.latest() {
            Some(head) if last != Some(head) => {
                last = Some(head);
                Some(following.look(&sets, &governance, head, &mut chain_known).await)
            }
            Some(_) => None,
            None => {
                let reason = format!("no node of chain {} answered yet", following.rpc.chain());
                following.chain_check.not_ready(reason);
                None
            }
        };
        match looked {
            Some(Ok(())) => {
                complained.clear();
                following.chain_check.ready();
                following.set_check.ready();
            }
            Some(Err(error)) => {
                let reason = error.to_string();
                match &error {
                    Unread::Sets(SetError::Rpc(_)) | Unread::Rpc(_) | Unread::WrongChain { .. } => {
                        following.chain_check.not_ready(&*reason);
                    }
                    _ => {
                        following.chain_check.ready();
                        if governance.sets().get().current().is_none() || governance.rule().is_none() {
                            following.set_check.not_ready(&*reason);
                        }
                    }
                }
                // Once per reason: what does not change need not be said every second.
                if complained != reason {
                    tracing::warn!(%error, "cannot read operator sets and rules; trying on");
                    complained = reason;
                }
                last = None;
            }
            None => {}
        }
        let wait = async {
            if last.is_none() {
                tokio::time::sleep(RETRY).await;
            } else if !following.heads.changed().await {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = wait => {}
        }
    }
}

impl Following {
    async fn look(
        &self,
        sets: &SetReader,
        governance: &Governance,
        head: Head,
        chain_known: &mut bool,
    ) -> Result<(), Unread> {
        if !*chain_known {
            let found: alloy::primitives::U64 =
                self.rpc.ask_for(Request::new("eth_chainId", &serde_json::json!([]))).await?;
            let (found, expected) = (found.to::<u64>(), self.rpc.chain());
            if found != expected {
                return Err(Unread::WrongChain { found, expected });
            }
            *chain_known = true;
        }
        let call = AttestationCenter::taskDefinitionCall { id: self.task_definition };
        let definition = self.rpc.call(self.contracts.attestation_center, &call, head.hash).await?;
        let rule = task_rule(self.task_definition, &definition);
        governance.set_rule(definition.active.then_some(rule));
        if !definition.active {
            return Err(Unread::Inactive { id: self.task_definition });
        }
        let current = sets.current(&head).await?;
        let mut accepted = vec![current.clone()];
        if let Some(before) = current.id.checked_sub(1).filter(|id| *id > 0) {
            let call = OBLS::isAcceptedCall { setId: before };
            if self.rpc.call(self.contracts.obls, &call, head.hash).await? {
                accepted.push(sets.set(before, head.hash).await?);
            }
        }
        metrics::gauge!("ditto_aggregator_operator_set_id").set(f64::from(current.id));
        if governance.sets().replace(accepted) {
            let (members, power) = (current.members.len(), current.total_power);
            tracing::info!(set = current.id, members, power, "operator set in force");
            self.network.recheck();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing::{SLOT, operator_set};

    #[test]
    fn an_electorate_is_drawn_once_and_anew_when_set_or_rule_change() {
        let (sets, set) = (AcceptedSets::new(), operator_set(&[1; 9]));
        let governance = Governance::new(sets.clone());
        assert!(governance.electorate(1, SLOT).is_none());
        sets.replace(vec![set.clone()]);
        assert!(governance.electorate(1, SLOT).is_none(), "no rule yet");
        let rule = TaskRule { max_attesters: 4, ..TaskRule::default() };
        governance.set_rule(Some(rule));
        let electorate = |slot| governance.electorate(1, slot).unwrap().1;
        let first = electorate(SLOT);
        assert!(Arc::ptr_eq(&first, &electorate(SLOT)));
        assert!(governance.electorate(2, SLOT).is_none(), "another set");
        let others = (1..200).filter(|slot| electorate(SLOT + slot).seats() != first.seats()).count();
        assert!(others > 150, "every slot has its own committee");
        assert!(governance.electorates.lock().unwrap().len() <= ELECTORATES);

        let jailed = first.seats().unwrap()[0];
        sets.replace(vec![Arc::new(set.without(|index| index == jailed))]);
        assert_eq!(electorate(SLOT).seats(), first.seats());
        assert_eq!((electorate(SLOT).weight(jailed), electorate(SLOT).total()), (0, 4 - first.weight(jailed)));
        governance.set_rule(Some(TaskRule::default()));
        assert_eq!(electorate(SLOT).seats(), None);
        assert!(Arc::ptr_eq(&electorate(SLOT), &electorate(SLOT + 1)), "without a cap all slots have the same");
    }
}
