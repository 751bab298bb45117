//! Build: calls become the operation that everybody comes to.
//!
//! Every field follows a rule from the pin: the nonce's lane from the occurrence, the gas from a metered trial at the pin
//! with a margin, the fee from the pin's base fee, all capped by the session's policy. So performer and attesters compute
//! the same operation, and nobody can inflate it. The finished operation is tried once more, whole.

pub mod account;
pub mod dry_run;
pub mod policy;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes, keccak256};
use ditto_core::chain::bindings::EntryPoint;
use ditto_core::chain::bindings::registry::WorkflowRegistry;
use ditto_core::chain::bindings::validator_module::DittoValidatorModule;
use ditto_core::chain::{Batcher, ContractsConfig, Gathering, RpcError};
use ditto_core::consent::SigningDomain;
use ditto_core::network::NetworkConfig;
use ditto_core::proposal::MAX_CALL_DATA;
use ditto_core::stage::{Deadline, Handler, Outbox, Outcome};
use ditto_core::task::{ConsentTerms, ProofOfTask, Task};
use ditto_core::userop::{UserOperation, nonce_key};
use ditto_core::verdict::Reason;
use ditto_sandbox::Call;
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};

use crate::board::Board;
use crate::history::Event;
use crate::simulate::Simulated;
use crate::slot::{Due, Note, SlotContext};
use dry_run::Trial;
use policy::Policy;

/// Margin on metered gas: a quarter, for state that changes between pin and execution, and a floor for small calls.
const GAS_MARGIN: (u64, u64) = (5, 4);
const GAS_FLOOR: u64 = 10_000;
/// Gas limits are rounded up to this, so that nodes whose meters differ by a little agree.
const GAS_GRAIN: u64 = 5_000;
/// Base fees may rise an eighth per block; twice the pin's covers six full blocks.
const BASE_FEE_FACTOR: u128 = 2;
/// Policies kept in memory.
const POLICIES: usize = 4_096;
/// How the slot's dry-runs wait for each other. Runs of one slot end some milliseconds apart, and what depends on the answers
/// of one batch is asked at once when it is there; so a pause ends a batch soon, and a steady stream fills it.
const GATHERING: Gathering = Gathering { quiet: Duration::from_millis(3), longest: Duration::from_millis(20) };

/// What an occurrence came to.
#[derive(Clone, Debug)]
pub enum Finding {
    /// An operation that works and that the session allows.
    Operation {
        /// The task.
        task: Box<Task>,
        /// Its userOpHash.
        hash: B256,
    },
    /// There is nothing to do.
    Nothing,
    /// It may not or cannot run.
    Refused(Reason),
    /// This machine or its node failed: no verdict.
    Trouble(&'static str),
}

/// A policy that is being read once for all who wait for it, and the block it is read at.
pub type Reading = (B256, Shared<BoxFuture<'static, Result<Arc<Policy>, NoPolicy>>>);

/// Why there is no policy.
#[derive(Clone, Debug)]
pub enum NoPolicy {
    /// What is published is none.
    Breach(policy::Breach),
    /// The node failed.
    Rpc(RpcError),
}

/// The stage.
pub struct Build {
    /// The network's rules.
    pub network: Arc<NetworkConfig>,
    /// Ditto's contracts.
    pub contracts: ContractsConfig,
    /// Where consents are meant to be used.
    pub domain: SigningDomain,
    /// This operator's engine.
    pub engine_id: B256,
    /// The target chain's nodes, by [`in_bursts`].
    pub node: Batcher,
    /// Policies by hash, read or being read.
    pub policies: Mutex<HashMap<B256, Reading>>,
    /// Recent slots.
    pub board: Arc<Board>,
    /// Findings go to whoever proposes
    pub propose: Outbox<crate::propose::Item>,
    /// and to whoever judges.
    pub judge: Outbox<crate::attest::Item>,
}

/// The node's way for a slot's dry-runs: as many in one JSON-RPC batch as the node takes. Needs a tokio runtime around it.
#[must_use]
pub fn in_bursts(node: &Batcher) -> Batcher {
    Batcher::gathering(node.rpc().clone(), node.rpc().batch(), GATHERING)
}

impl Handler for Build {
    type Item = Simulated;
    const OUTCOMES: &'static [Outcome] = &["operation", "nothing", "refused", "trouble"];

    async fn handle(&self, simulated: Simulated, _deadline: Deadline) -> Outcome {
        let Simulated { due, outcome, reads } = simulated;
        let finding = match outcome {
            ditto_sandbox::Outcome::Calls(calls) => match self.build(&due, &calls, reads).await {
                Ok(finding) => finding,
                Err(error) => {
                    tracing::warn!(slot = due.context.slot, occurrence = %due.occurrence, %error, "no operation: the node failed");
                    Finding::Trouble("rpc")
                }
            },
            ditto_sandbox::Outcome::NothingToDo => Finding::Nothing,
            outcome if outcome.trouble() => Finding::Trouble(outcome.kind()),
            _ => Finding::Refused(Reason::Threw),
        };
        let label = match &finding {
            Finding::Operation { .. } => "operation",
            Finding::Nothing => "nothing",
            Finding::Refused(_) => "refused",
            Finding::Trouble(_) => "trouble",
        };
        if label == "operation" {
            self.board.note(due.context.slot, |counts| counts.operations += 1);
        }
        self.board.tell(due.occurrence, due.context.slot, || Event::Found {
            finding: label.to_owned(),
            detail: match &finding {
                Finding::Operation { hash, .. } => hash.to_string(),
                Finding::Nothing => String::new(),
                Finding::Refused(reason) => reason.label().to_owned(),
                Finding::Trouble(trouble) => (*trouble).to_owned(),
            },
        });
        let note = Note::Found { slot: due.context.slot, occurrence: due.occurrence, finding: Arc::new(finding) };
        // The judge first: what it approves is covered before the proposer looks.
        self.judge.offer(note.clone().into(), due.context.votes_until).await;
        self.propose.offer(note.into(), due.context.end).await;
        label
    }
}

impl Build {
    async fn build(&self, due: &Due, calls: &[Call], reads: B256) -> Result<Finding, RpcError> {
        let (context, workflow) = (&due.context, &due.workflow);
        let block = context.head.hash;
        let session_call =
            DittoValidatorModule::sessionOfCall { account: workflow.account, sessionKey: workflow.session_key };
        let key = nonce_key(self.contracts.validator_module, due.occurrence);
        let nonce_call = EntryPoint::getNonceCall { sender: workflow.account, key: key.to() };
        let (session, nonce) = tokio::join!(
            self.node.call(self.contracts.validator_module, &session_call, block, None),
            self.node.call(self.contracts.entry_point, &nonce_call, block, None),
        );
        let session = match session {
            Err(RpcError::Reverted(_)) => {
                return Ok(self.refuse(due, Reason::Session, &"the account has no such session"));
            }
            session => session?,
        };
        let nonce = nonce?;
        let terms = ConsentTerms {
            session_key: workflow.session_key,
            valid_after: context.head.timestamp,
            valid_until: self.network.valid_until(context.slot),
        };
        let open = session.sessionKey == workflow.session_key
            && session.validAfter.to::<u64>() <= terms.valid_after
            && (session.validUntil.is_zero() || terms.valid_until <= session.validUntil.to::<u64>());
        if !open {
            return Ok(self.refuse(
                due,
                Reason::Session,
                &"the session is not open for as long as the operation would be valid",
            ));
        }
        let policy = match self.policy(session.policyHash, block).await? {
            Ok(policy) => policy,
            Err(breach) => return Ok(self.refuse(due, Reason::Policy, &breach)),
        };
        let privileged =
            [workflow.account, self.contracts.entry_point, self.contracts.validator_module, self.contracts.hook];
        if let Err(breach) = policy.check(calls, &privileged) {
            return Ok(self.refuse(due, Reason::Policy, &breach));
        }
        if policy.maxFeePerGas < self.least_fee(context) {
            return Ok(self.refuse(due, Reason::Policy, &"the policy's fee cap is below what the chain asks now"));
        }
        let call_data = account::execute(calls);
        if call_data.len() > MAX_CALL_DATA {
            return Ok(self.refuse(due, Reason::Policy, &"the calls are larger than an operation may be"));
        }
        let cap = u64::try_from(policy.maxCallGas).unwrap_or(u64::MAX).min(self.network.batch_gas);
        // The calls must work with all the gas that the policy gives, and then with the limit that follows from it.
        let metered = dry_run::meter(&self.node, &self.contracts, workflow.account, &call_data, cap, block).await?;
        let call_gas = match metered {
            Trial::Works { gas } => with_margin(gas),
            Trial::Fails(data) => return Ok(self.refuse(due, Reason::Reverts, &dry_run::in_words(&data))),
        };
        if call_gas > cap {
            let breach = policy::Breach::Gas { gas: call_gas, cap: cap.into() };
            return Ok(self.refuse(due, Reason::Policy, &breach));
        }
        let op = self.operation(context, &policy, workflow.account, nonce, call_data, call_gas);
        let evidence = due.evidence.to_vec();
        let mut task = Task { occurrence: due.occurrence, op, terms, evidence, run: B256::ZERO };
        if !self.network.fits(std::slice::from_ref(&task)) {
            return Ok(self.refuse(due, Reason::Policy, &"the operation does not fit into one transaction"));
        }
        let (limited, whole) = tokio::try_join!(
            dry_run::meter(&self.node, &self.contracts, workflow.account, &task.op.call_data, call_gas, block),
            dry_run::dry_run(&self.node, &self.contracts, &self.domain, &task, self.network.aggregator, block),
        )?;
        for trial in [limited, whole] {
            if let Trial::Fails(data) = trial {
                return Ok(self.refuse(due, Reason::Reverts, &dry_run::in_words(&data)));
            }
        }
        let hash = self.domain.user_op_hash(&task);
        task.run = ProofOfTask {
            occurrence: due.occurrence,
            code_hash: workflow.code_hash,
            engine_id: self.engine_id,
            trigger: workflow.trigger_hash,
            pins: context.pins_hash,
            reads,
            call_data: keccak256(&task.op.call_data),
            user_op_hash: hash,
        }
        .hash();
        Ok(Finding::Operation { task: Box::new(task), hash })
    }

    /// The fields that follow from the rule.
    fn operation(
        &self,
        context: &SlotContext,
        policy: &Policy,
        sender: Address,
        nonce: alloy::primitives::U256,
        call_data: Bytes,
        call_gas: u64,
    ) -> UserOperation {
        let priority = u128::from(self.network.priority_fee_wei);
        let max_fee = context.head.base_fee.saturating_mul(BASE_FEE_FACTOR).saturating_add(priority);
        let calldata = NetworkConfig::calldata_gas(&call_data);
        UserOperation {
            sender,
            nonce,
            call_data,
            verification_gas: self.network.verification_gas,
            call_gas,
            pre_verification_gas: self.network.pre_verification_gas.saturating_add(calldata),
            max_fee: max_fee.min(policy.maxFeePerGas),
            max_priority_fee: priority,
        }
    }

    /// What an operation must offer to be worth submitting.
    fn least_fee(&self, context: &SlotContext) -> u128 {
        context.head.base_fee.saturating_add(u128::from(self.network.priority_fee_wei))
    }

    fn refuse(&self, due: &Due, reason: Reason, why: &dyn std::fmt::Display) -> Finding {
        tracing::info!(slot = due.context.slot, occurrence = %due.occurrence, reason = reason.label(), %why, "not executable");
        Finding::Refused(reason)
    }

    async fn policy(&self, hash: B256, block: B256) -> Result<Result<Arc<Policy>, policy::Breach>, RpcError> {
        let fresh = || read_policy(self.node.clone(), self.contracts.registry, hash, block);
        let (at, reading) = {
            let mut policies = self.policies.lock().unwrap_or_else(PoisonError::into_inner);
            if policies.len() >= POLICIES && !policies.contains_key(&hash) {
                policies.clear();
            }
            policies.entry(hash).or_insert_with(|| (block, fresh().boxed().shared())).clone()
        };
        let mut read = reading.clone().await;
        if read.is_err() {
            // Whoever comes next reads anew.
            self.forget(hash, &reading);
            // What another block does not have, this one may.
            if at != block {
                read = fresh().await;
            }
        }
        match read {
            Ok(policy) => Ok(Ok(policy)),
            Err(NoPolicy::Breach(breach)) => Ok(Err(breach)),
            Err(NoPolicy::Rpc(error)) => Err(error),
        }
    }

    fn forget(&self, hash: B256, reading: &Shared<BoxFuture<'static, Result<Arc<Policy>, NoPolicy>>>) {
        let mut policies = self.policies.lock().unwrap_or_else(PoisonError::into_inner);
        if policies.get(&hash).is_some_and(|(_, kept)| kept.ptr_eq(reading)) {
            policies.remove(&hash);
        }
    }
}

async fn read_policy(node: Batcher, registry: Address, hash: B256, block: B256) -> Result<Arc<Policy>, NoPolicy> {
    let call = WorkflowRegistry::policyOfCall { policyHash: hash };
    let bytes = match node.call(registry, &call, block, None).await {
        Ok(bytes) if keccak256(&bytes) == hash => bytes,
        Ok(_) | Err(RpcError::Reverted(_)) => return Err(NoPolicy::Breach(policy::Breach::Unreadable)),
        Err(error) => return Err(NoPolicy::Rpc(error)),
    };
    policy::read(&bytes).map(Arc::new).map_err(NoPolicy::Breach)
}

fn with_margin(gas: u64) -> u64 {
    let (numerator, denominator) = GAS_MARGIN;
    let wide = gas.saturating_mul(numerator) / denominator;
    wide.saturating_add(GAS_FLOOR).div_ceil(GAS_GRAIN).saturating_mul(GAS_GRAIN)
}

#[cfg(test)]
mod tests {
    use super::with_margin;

    #[test]
    fn the_margin_is_a_quarter_and_a_floor_rounded_up() {
        assert_eq!(with_margin(0), 10_000);
        assert_eq!(with_margin(40_000), 60_000);
        assert_eq!(with_margin(40_001), 65_000);
        assert_eq!(with_margin(u64::MAX) % 5_000, 0);
    }
}
