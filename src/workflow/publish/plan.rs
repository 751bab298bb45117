//! What is to be sent, by comparing what is wanted with what the chain has.

use alloy::primitives::{Address, B256, Bytes, U256, Uint, keccak256};
use alloy::sol_types::{SolCall, SolValue};
use anyhow::{Context, bail};
use ditto_core::chain::bindings::registry::WorkflowRegistry;
use ditto_core::chain::bindings::validator_module::DittoValidatorModule;
use ditto_core::chain::{ContractsConfig, Rpc, RpcError};
use ditto_sandbox::Call;
use serde_json::json;

use super::onchain::{OnChain, Wanted};
use super::operation::{self, depositToCall};
use super::sender::{Intent, Sender, TRANSACTION_GAS};
use crate::workflow::amount::Amount;
use crate::workflow::build::build;
use crate::workflow::known::Known;
use crate::workflow::project::Project;
use crate::workflow::publication;
use crate::workflow::units::{bytes, grouped};

/// Gas of storing content: 200 a byte as contract code (EIP-3541's cousins leave that at EIP-170's price), 16 a byte of
/// call data, 32,000 and a slot per 24 KB chunk.
const GAS_PER_BYTE: u64 = 230;
/// Gas of an account's operation whose calls cannot be tried yet, besides what it stores.
const OPERATION_GAS: u64 = 450_000;

/// What is to be on the chain in the end.
#[derive(Debug)]
pub struct Target {
    /// The account.
    pub account: Address,
    /// The code.
    pub code: Bytes,
    /// keccak256 of the code.
    pub code_hash: B256,
    /// abi.encode(Policy).
    pub policy: Bytes,
    /// keccak256 of that.
    pub policy_hash: B256,
    /// Names the session.
    pub session_key: Address,
    /// What is published.
    pub workflow: WorkflowRegistry::Workflow,
    first_block: u64,
}

impl Target {
    /// What to look for on the chain.
    #[must_use]
    pub fn look_for(&self) -> Wanted {
        Wanted {
            code: self.code_hash,
            policy: self.policy_hash,
            account: self.account,
            session_key: self.session_key,
            first_block: self.first_block,
        }
    }
}

/// What the project wants to be on the chain.
///
/// # Errors
/// When it cannot be published as it is.
pub fn wanted(project: &Project) -> anyhow::Result<Target> {
    let manifest = &project.manifest;
    let account =
        manifest.account.context("`account` is not set in workflow.toml: which smart account does it act for?")?;
    let built = build(project)?;
    let policy = Bytes::from(publication::policy(manifest)?.abi_encode());
    let (after, until) = publication::window(manifest)?;
    let session_key = manifest.session_key(account);
    let triggers = publication::triggers(manifest)?.into_iter();
    let triggers =
        triggers.map(|trigger| WorkflowRegistry::Trigger { kind: trigger.kind, data: trigger.data.into() }).collect();
    let workflow = WorkflowRegistry::Workflow {
        account,
        codeHash: built.hash,
        sessionKey: session_key,
        triggers,
        args: publication::args(manifest)?.into_bytes().into(),
        validAfter: Uint::from(after),
        validUntil: Uint::from(until),
    };
    Ok(Target {
        account,
        code_hash: built.hash,
        code: built.code.into(),
        policy_hash: keccak256(&policy),
        policy,
        session_key,
        workflow,
        first_block: manifest.registry_first_block,
    })
}

/// One transaction.
#[derive(Debug)]
pub enum Step {
    /// Of the owner's own account.
    Transaction {
        /// What is sent.
        intent: Intent,
        /// The gas it takes.
        gas: u64,
    },
    /// Of the smart account.
    Operation {
        /// What it is for.
        what: String,
        /// What the account does.
        calls: Vec<Call>,
        /// The gas it takes.
        gas: u64,
    },
}

impl Step {
    /// What it is for.
    #[must_use]
    pub fn what(&self) -> &str {
        match self {
            Self::Transaction { intent, .. } => &intent.what,
            Self::Operation { what, .. } => what,
        }
    }

    /// About how much gas it takes.
    #[must_use]
    pub fn gas(&self) -> u64 {
        match self {
            Self::Transaction { gas, .. } | Self::Operation { gas, .. } => *gas,
        }
    }

    /// What the account does, for owners that have it do so by other means than this tool.
    pub fn account_calls(&self) -> Vec<serde_json::Value> {
        let Self::Operation { calls, .. } = self else { return Vec::new() };
        calls
            .iter()
            .map(|call| {
                let (to, value) = (Address::from(call.to), U256::from_be_bytes(call.value));
                json!({ "to": to, "value": value.to_string(), "data": Bytes::from(call.data.clone()) })
            })
            .collect()
    }
}

/// What is to be done.
#[derive(Debug)]
pub struct Plan {
    /// What is to be on the chain in the end.
    pub wanted: Target,
    /// What is there already, in words.
    pub already: Vec<String>,
    /// What is sent, in order.
    pub steps: Vec<Step>,
    /// The workflow's id, if exactly this is published already.
    pub published: Option<u64>,
    max_fee: u128,
    value: U256,
}

impl Plan {
    /// Compares.
    ///
    /// # Errors
    /// When something cannot be done at all.
    #[allow(clippy::too_many_arguments, reason = "each is another party to the comparison")]
    pub async fn make(
        contracts: &ContractsConfig,
        wanted: Target,
        found: &OnChain,
        deposit: Option<Amount>,
        keep_earlier: bool,
        sender: &Sender,
        rpc: &Rpc,
        known: &Known,
    ) -> anyhow::Result<Self> {
        let mut plan = Self {
            already: Vec::new(),
            steps: Vec::new(),
            published: None,
            max_fee: sender.fees().max,
            value: U256::ZERO,
            wanted,
        };
        plan.content(contracts, found, sender, known).await?;
        plan.operation(contracts, found, keep_earlier, rpc, known).await?;
        plan.pay(contracts, found, deposit, sender)?;
        Ok(plan)
    }

    async fn content(
        &mut self,
        contracts: &ContractsConfig,
        found: &OnChain,
        sender: &Sender,
        known: &Known,
    ) -> anyhow::Result<()> {
        let code = WorkflowRegistry::publishCodeCall { code: self.wanted.code.clone() }.abi_encode();
        let policy = WorkflowRegistry::publishPolicyCall { policy: self.wanted.policy.clone() }.abi_encode();
        let sizes = (bytes(self.wanted.code.len() as u64), bytes(self.wanted.policy.len() as u64));
        for (there, what, data) in [
            (found.code, format!("the code, {}", sizes.0), code),
            (found.policy, format!("the policy, {}", sizes.1), policy),
        ] {
            if there {
                self.already.push(what);
                continue;
            }
            let reckoned = 200_000 + GAS_PER_BYTE * data.len() as u64;
            if reckoned > TRANSACTION_GAS {
                bail!(
                    "{what}: storing it takes about {} gas, and a transaction may have {} (EIP-7825). \
                     `publish = \"compiled\"` leaves types and comments out",
                    grouped(reckoned),
                    grouped(TRANSACTION_GAS)
                );
            }
            let intent = Intent {
                what: format!("publish {what}"),
                to: contracts.registry,
                value: U256::ZERO,
                data: data.into(),
            };
            let gas = sender.estimate(&intent).await.map_err(|error| would_fail(&intent.what, error, known))?;
            self.steps.push(Step::Transaction { intent, gas });
        }
        Ok(())
    }

    async fn operation(
        &mut self,
        contracts: &ContractsConfig,
        found: &OnChain,
        keep_earlier: bool,
        rpc: &Rpc,
        known: &Known,
    ) -> anyhow::Result<()> {
        let wanted = &self.wanted;
        let (mut calls, mut parts) = (Vec::new(), Vec::new());
        match &found.session {
            Some(session) if session.policyHash == wanted.policy_hash => self.already.push("the session".into()),
            session => {
                let opened = DittoValidatorModule::Session {
                    sessionKey: wanted.session_key,
                    validAfter: Uint::ZERO,
                    validUntil: Uint::ZERO,
                    policyHash: wanted.policy_hash,
                };
                let call = DittoValidatorModule::enableSessionCall { session: opened }.abi_encode();
                calls.push(call_to(contracts.validator_module, call));
                parts.push(
                    if session.is_some() { "give the session its new policy" } else { "open the session" }.to_owned(),
                );
            }
        }
        let same = found.earlier.iter().rev().find(|earlier| earlier.workflow == wanted.workflow);
        self.published = same.map(|same| same.id);
        for old in found.earlier.iter().filter(|old| !keep_earlier && Some(old.id) != self.published) {
            calls.push(call_to(contracts.registry, WorkflowRegistry::cancelCall { id: old.id }.abi_encode()));
            parts.push(format!("cancel workflow {}, which this replaces", old.id));
        }
        match self.published {
            Some(id) => self.already.push(format!("the workflow: it is number {id}")),
            None => {
                let publish = WorkflowRegistry::publishCall { workflow: wanted.workflow.clone() };
                calls.push(call_to(contracts.registry, publish.abi_encode()));
                parts.push("publish the workflow".into());
            }
        }
        if calls.is_empty() {
            return Ok(());
        }
        let what = format!("have the account {}", parts.join(", "));
        let data = operation::call_data(&calls);
        // The registry takes a workflow only when it has the code: until then this can only be reckoned.
        let gas = if found.code {
            operation::estimate(rpc, contracts, wanted.account, &data)
                .await
                .map_err(|error| would_fail(&what, error, known))?
        } else {
            OPERATION_GAS + GAS_PER_BYTE * data.len() as u64
        };
        self.steps.push(Step::Operation { what, calls, gas });
        Ok(())
    }

    /// The account has to be able to pay for its operation.
    fn pay(
        &mut self,
        contracts: &ContractsConfig,
        found: &OnChain,
        deposit: Option<Amount>,
        sender: &Sender,
    ) -> anyhow::Result<()> {
        let needed = self.steps.iter().find_map(|step| match step {
            Step::Operation { calls, gas, .. } => {
                Some(operation::prefund(*gas, &operation::call_data(calls), sender.fees()))
            }
            Step::Transaction { .. } => None,
        });
        let given = deposit.map_or(U256::ZERO, |amount| amount.0);
        let has = found.deposit.saturating_add(found.balance);
        if let Some(needed) = needed.filter(|needed| has.saturating_add(given) < *needed) {
            bail!(
                "account {} pays the gas of its operation, at most {}; it has {} and a deposit of {} at the EntryPoint. \
                 `--deposit \"{}\"` deposits from {}",
                self.wanted.account,
                Amount(needed),
                Amount(found.balance),
                Amount(found.deposit),
                Amount(round_up(needed - has)),
                sender.address()
            );
        }
        if !given.is_zero() {
            let data = depositToCall { account: self.wanted.account }.abi_encode();
            let what = format!("deposit {} for the account's gas", Amount(given));
            let intent = Intent { what, to: contracts.entry_point, value: given, data: data.into() };
            self.value = given;
            // A storage slot and an event.
            self.steps.insert(0, Step::Transaction { intent, gas: 60_000 });
        }
        Ok(())
    }

    /// What the sender pays at most, in wei.
    #[must_use]
    pub fn cost(&self) -> U256 {
        let gas: u64 = self.steps.iter().map(Step::gas).fold(0, u64::saturating_add);
        U256::from(gas).saturating_mul(U256::from(self.max_fee)).saturating_add(self.value)
    }

    /// Whether a balance is enough.
    ///
    /// # Errors
    /// When it is not.
    pub fn affordable(&self, balance: U256) -> anyhow::Result<()> {
        let cost = self.cost();
        if cost > balance {
            bail!(
                "the sender has {}, and this costs at most {}: send it the difference",
                Amount(balance),
                Amount(cost)
            );
        }
        Ok(())
    }
}

/// What a node's refusal to estimate means.
pub fn would_fail(what: &str, error: RpcError, known: &Known) -> anyhow::Error {
    match error {
        RpcError::Reverted(data) => anyhow::anyhow!("{what}: it would revert: {}", known.revert(&data)),
        error => anyhow::Error::new(error).context(format!("{what}: the node does not estimate it")),
    }
}

fn call_to(to: Address, data: Vec<u8>) -> Call {
    Call { to: to.into(), value: [0; 32], data }
}

/// To two digits, so that what is asked for can be read and typed.
fn round_up(wei: U256) -> U256 {
    let digits = wei.to_string().len();
    let grain = U256::from(10).pow(U256::from(digits.saturating_sub(2)));
    wei.div_ceil(grain).saturating_mul(grain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_rounded_up_to_two_digits() {
        let rounded = |wei: u64| round_up(U256::from(wei)).to_string();
        assert_eq!([0, 7, 99, 101, 12_345].map(rounded), ["0", "7", "99", "110", "13000"]);
    }
}
