//! The workflows: two examples that people really automate, and a hostile one. Each is published by its account, in an
//! operation that the account's owner signs and a bundler brings to the EntryPoint.

use std::collections::HashMap;

use alloy::network::TransactionBuilder;
use alloy::primitives::{Address, B256, Bytes, U256, Uint, keccak256};
use alloy::providers::Provider;
use alloy::rpc::types::TransactionRequest;
use alloy::signers::SignerSync;
use alloy::sol_types::{SolCall, SolEvent};
use anyhow::{Context, ensure};
use ditto_core::chain::bindings::registry::WorkflowRegistry;
use ditto_core::clock::Slot;
use ditto_core::task::WorkflowId;
use ditto_core::userop::UserOperation;

use super::contracts::ORACLE_FLOOR;
use super::{Account, Network};
use crate::anvil::CHAIN_ID;
use crate::bindings::account::DittoAccount;
use crate::bindings::entry_point::EntryPoint;
use crate::transactions::Row;
use crate::triggers::Trigger;

/// Operations per bundle: at 1.8 million gas each, below 15 million.
const BUNDLE: usize = 8;
/// Gas for storing a workflow (its arguments are kept as contract code), for the owner's signature, for calldata.
const CALL_GAS: u64 = 1_600_000;
const VERIFICATION_GAS: u64 = 150_000;
const PRE_VERIFICATION_GAS: u64 = 60_000;
const MAX_FEE: u128 = 20_000_000_000;
const PRIORITY_FEE: u128 = 1_000_000_000;

/// What a workflow does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Example {
    /// Pays somebody.
    RecurringTransfer,
    /// Rebalances a vault when an oracle reads below a floor; the devnet's always does.
    ThresholdRebalance,
    /// Loops for ever in even slots and throws in odd ones.
    Hostile,
}

impl Example {
    /// The example of the workflow with this index: half of them each, with every kind of trigger.
    #[must_use]
    pub fn of(index: u64) -> Self {
        if (index + index / 8).is_multiple_of(2) { Self::RecurringTransfer } else { Self::ThresholdRebalance }
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RecurringTransfer => "recurring-transfer",
            Self::ThresholdRebalance => "threshold-rebalance",
            Self::Hostile => "hostile",
        }
    }

    /// Its TypeScript.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::RecurringTransfer => include_str!("../../../workflows/examples/recurring-transfer.ts"),
            Self::ThresholdRebalance => include_str!("../../../workflows/examples/threshold-rebalance.ts"),
            Self::Hostile => include_str!("hostile.ts"),
        }
    }
}

/// A published workflow.
#[derive(Clone, Debug)]
pub struct Published {
    /// Its id in the registry.
    pub id: WorkflowId,
    /// Its account.
    pub account: Address,
    /// When it is due.
    pub trigger: Trigger,
    /// What it does.
    pub example: Example,
}

/// The slots in which published workflows are due.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// The first slot.
    pub first: Slot,
    /// How many slots.
    pub slots: u64,
    /// Whether workflows stay due after them.
    pub open_ended: bool,
}

impl Window {
    /// The last slot.
    #[must_use]
    pub fn last(&self) -> Slot {
        self.first + self.slots - 1
    }
}

/// Publishes every account's workflow; gives them in the order of the accounts, the hostile one last.
///
/// # Errors
/// Names what failed.
pub async fn publish(network: &mut Network, window: Window) -> anyhow::Result<Vec<Published>> {
    let accounts: Vec<Account> = network.accounts.iter().chain(&network.hostile).cloned().collect();
    let operations =
        accounts.iter().map(|account| operation(network, account, window)).collect::<Result<Vec<_>, _>>()?;
    let (registry, entry_point) = (network.contracts.registry, network.contracts.entry_point);
    let beneficiary = network.bundler.address();
    let mut row = Row::new(&network.chain);
    for (number, bundle) in operations.chunks(BUNDLE).enumerate() {
        let gas = 500_000 + bundle.len() as u64 * (CALL_GAS + VERIFICATION_GAS + PRE_VERIFICATION_GAS);
        let call = EntryPoint::handleOpsCall { ops: bundle.to_vec(), beneficiary };
        let what = format!("publish workflows, bundle {number}");
        row.add(network.bundler.call(what, entry_point, U256::ZERO, call.abi_encode(), gas).await?).await?;
    }
    let mut ids = HashMap::new();
    for receipt in row.finish().await? {
        for log in receipt.logs() {
            if log.address() == registry
                && let Ok(event) = WorkflowRegistry::WorkflowPublished::decode_log(&log.inner)
            {
                ids.insert(event.account, event.id);
            }
        }
    }
    let mut published = Vec::with_capacity(accounts.len());
    for account in accounts {
        // The EntryPoint swallows an operation's revert: only the registry's event proves the publication.
        let Some(id) = ids.get(&account.address).copied() else {
            let why = refusal(network, &account, window).await;
            anyhow::bail!("account {} ({}) published no workflow: {why}", account.index, account.address);
        };
        published.push(Published {
            id,
            account: account.address,
            trigger: trigger(&account),
            example: account.example,
        });
    }
    ensure!(!published.is_empty(), "no workflow was published");
    Ok(published)
}

fn trigger(account: &Account) -> Trigger {
    match account.example {
        Example::Hostile => Trigger::Interval { every: 1, phase: 0 },
        _ => Trigger::of(account.index),
    }
}

fn workflow(network: &Network, account: &Account, window: Window) -> WorkflowRegistry::Workflow {
    let (demo, schedule) = (&network.demo, network.config.schedule());
    let args = match account.example {
        Example::RecurringTransfer => serde_json::json!({
            "chainId": CHAIN_ID, "token": demo.token, "to": account.recipient,
            "amount": "1000000000000000", "counter": demo.counter,
        }),
        Example::ThresholdRebalance => serde_json::json!({
            "chainId": CHAIN_ID, "oracle": demo.oracle, "floor": ORACLE_FLOOR.to_string(), "vault": demo.vault,
            "targetBps": 2_000 + account.index % 64 * 100, "counter": demo.counter,
        }),
        Example::Hostile => serde_json::json!({}),
    };
    // The pin of the first slot, a second before its start, is inside the window already; no earlier slot's start is.
    let early = u64::from(schedule.slot_seconds > 1);
    let until = if window.open_ended { 0 } else { schedule.start_seconds(window.last() + 1) - 1 };
    WorkflowRegistry::Workflow {
        account: account.address,
        codeHash: keccak256(account.example.code()),
        sessionKey: account.session_key,
        triggers: trigger(account).published(demo.signal),
        args: args.to_string().into_bytes().into(),
        validAfter: Uint::from(schedule.start_seconds(window.first) - early),
        validUntil: Uint::from(until),
    }
}

/// What the account is made to call: ERC-7579's `execute` of one call.
fn call_data(network: &Network, account: &Account, window: Window) -> Vec<u8> {
    let publish = WorkflowRegistry::publishCall { workflow: workflow(network, account, window) }.abi_encode();
    let execution = [network.contracts.registry.as_slice(), &[0; 32], &publish].concat();
    DittoAccount::executeCall { mode: B256::ZERO, executionCalldata: execution.into() }.abi_encode()
}

fn operation(network: &Network, account: &Account, window: Window) -> anyhow::Result<EntryPoint::PackedUserOperation> {
    let operation = UserOperation {
        sender: account.address,
        // No validator module in the nonce: the owner's signature is asked for. The account is fresh.
        nonce: U256::ZERO,
        call_data: call_data(network, account, window).into(),
        verification_gas: VERIFICATION_GAS,
        call_gas: CALL_GAS,
        pre_verification_gas: PRE_VERIFICATION_GAS,
        max_fee: MAX_FEE,
        max_priority_fee: PRIORITY_FEE,
    };
    let hash = operation.hash(network.contracts.entry_point, CHAIN_ID);
    let signature = account.owner.sign_hash_sync(&hash).context("the owner does not sign")?;
    let pair = |high: u128, low: u128| B256::from((U256::from(high) << 128) | U256::from(low));
    Ok(EntryPoint::PackedUserOperation {
        sender: operation.sender,
        nonce: operation.nonce,
        initCode: Bytes::new(),
        callData: operation.call_data,
        accountGasLimits: pair(VERIFICATION_GAS.into(), CALL_GAS.into()),
        preVerificationGas: U256::from(PRE_VERIFICATION_GAS),
        gasFees: pair(PRIORITY_FEE, MAX_FEE),
        paymasterAndData: Bytes::new(),
        signature: signature.as_bytes().to_vec().into(),
    })
}

/// What the registry says when the account publishes.
async fn refusal(network: &Network, account: &Account, window: Window) -> String {
    let publish = WorkflowRegistry::publishCall { workflow: workflow(network, account, window) }.abi_encode();
    let request = TransactionRequest::default()
        .with_from(account.address)
        .with_to(network.contracts.registry)
        .with_input(publish);
    match network.chain.provider.call(request).await {
        Ok(_) => "the registry would take it now; was the operation's gas too low?".into(),
        Err(error) => error.to_string(),
    }
}
