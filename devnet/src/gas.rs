//! Where gas goes, read with the call tracer from the transactions that certified batches.
//!
//! The tracer gives each frame's gas with that of the frames below it; what a frame burnt itself is the difference. The
//! whole transaction's gas is the receipt's (anvil's root frame shows that of the block up to it): the base 21,000, the
//! calldata, and what the AttestationCenter and those below it did.

use std::collections::BTreeMap;

use alloy::consensus::Transaction as _;
use alloy::primitives::{Address, B256};
use alloy::providers::ext::DebugApi;
use alloy::providers::{DynProvider, Provider};
use alloy::rpc::types::trace::geth::{CallConfig, CallFrame, GethDebugTracingOptions, GethTrace};
use alloy::sol_types::SolCall;
use anyhow::{Context, bail};
use ditto_core::chain::ContractsConfig;
use serde::Serialize;

use crate::bindings::account::DittoAccount::validateUserOpCall;
use crate::bindings::entry_point::EntryPoint::handleOpsCall;
use crate::transactions::u64_of;

/// What every transaction costs before it does anything.
const BASE: u64 = 21_000;
/// Calldata, per zero and other byte.
const ZERO_BYTE: u64 = 4;
const OTHER_BYTE: u64 = 16;
/// What the EntryPoint gets back for setting its reentrancy guard as it was. The transaction's gas is net of it, the
/// EntryPoint's frame is not; without it, its saving would be credited to the verification.
const GUARD_REFUND: u64 = 2_800;

/// Gas of all submissions of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Gas {
    /// Transactions that were looked at.
    pub transactions: u64,
    /// Operations that they executed.
    pub operations: u64,
    /// The whole transactions' gas, per operation.
    pub per_operation: f64,
    /// The base 21,000 and the frames of AttestationCenter, OBLS, hook and the module's approvals, without handleOps and
    /// calldata, per operation.
    pub verification_per_operation: f64,
    /// The accounts' validateUserOp, the module's included, per operation.
    pub validation_per_operation: f64,
    /// The same, of the transactions with the largest batch of the run.
    pub largest_batch: Batch,
    /// Where verification goes: gas per transaction.
    pub verification_by_part: BTreeMap<String, f64>,
    /// Where validation goes: gas per operation.
    pub validation_by_part: BTreeMap<String, f64>,
    /// Where all of it goes: gas per operation.
    pub by_part: BTreeMap<String, f64>,
}

/// Gas of the transactions that carried batches of one size.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Batch {
    /// Operations in the batch.
    pub operations: u64,
    /// As in [`Gas`].
    pub per_operation: f64,
    /// As in [`Gas`].
    pub verification_per_operation: f64,
}

/// One transaction's gas.
#[derive(Clone, Debug, Default)]
struct Spent {
    operations: u64,
    total: u64,
    verification: u64,
    validation: u64,
    parts: BTreeMap<String, u64>,
    verification_parts: BTreeMap<String, u64>,
    validation_parts: BTreeMap<String, u64>,
}

/// Traces submissions and sums them up.
///
/// # Errors
/// When the chain gives no trace.
pub async fn measure(
    provider: &DynProvider,
    contracts: &ContractsConfig,
    transactions: &[B256],
) -> anyhow::Result<Gas> {
    let mut spent = Vec::with_capacity(transactions.len());
    for hash in transactions {
        let one = trace(provider, contracts, *hash).await.with_context(|| format!("cannot trace {hash}"))?;
        // One that only rejects executes nothing: its cost is nobody's.
        if one.operations > 0 {
            spent.push(one);
        }
    }
    Ok(sum(&spent))
}

fn sum(spent: &[Spent]) -> Gas {
    let operations: u64 = spent.iter().map(|one| one.operations).sum();
    let per = |total: u64, divisor: u64| if divisor == 0 { 0.0 } else { total as f64 / divisor as f64 };
    let parts = |of: fn(&Spent) -> &BTreeMap<String, u64>, divisor: u64| {
        let mut sums: BTreeMap<String, u64> = BTreeMap::new();
        for (part, gas) in spent.iter().flat_map(of) {
            *sums.entry(part.clone()).or_default() += gas;
        }
        sums.into_iter().map(|(part, gas)| (part, per(gas, divisor).round())).collect()
    };
    let largest = spent.iter().map(|one| one.operations).max().unwrap_or_default();
    let large: Vec<&Spent> = spent.iter().filter(|one| one.operations == largest).collect();
    let of_large = |field: fn(&Spent) -> u64| {
        per(large.iter().map(|one| field(one)).sum(), large.iter().map(|one| one.operations).sum())
    };
    Gas {
        transactions: spent.len() as u64,
        operations,
        per_operation: per(spent.iter().map(|one| one.total).sum(), operations).round(),
        verification_per_operation: per(spent.iter().map(|one| one.verification).sum(), operations).round(),
        validation_per_operation: per(spent.iter().map(|one| one.validation).sum(), operations).round(),
        largest_batch: Batch {
            operations: largest,
            per_operation: of_large(|one| one.total).round(),
            verification_per_operation: of_large(|one| one.verification).round(),
        },
        verification_by_part: parts(|one| &one.verification_parts, spent.len() as u64),
        validation_by_part: parts(|one| &one.validation_parts, operations),
        by_part: parts(|one| &one.parts, operations),
    }
}

async fn trace(provider: &DynProvider, contracts: &ContractsConfig, hash: B256) -> anyhow::Result<Spent> {
    let options = GethDebugTracingOptions::call_tracer(CallConfig::default());
    let GethTrace::CallTracer(root) = provider.debug_trace_transaction(hash, options).await? else {
        bail!("the node gives another kind of trace");
    };
    let transaction = provider.get_transaction_by_hash(hash).await?.context("no such transaction")?;
    let receipt = provider.get_transaction_receipt(hash).await?.context("no such receipt")?;
    Ok(account(&root, receipt.gas_used, contracts, calldata(transaction.input())))
}

fn calldata(input: &[u8]) -> u64 {
    input.iter().map(|byte| if *byte == 0 { ZERO_BYTE } else { OTHER_BYTE }).sum()
}

fn account(root: &CallFrame, total: u64, contracts: &ContractsConfig, calldata: u64) -> Spent {
    let mut spent = Spent { total, ..Spent::default() };
    let mut handovers = 0;
    for frame in &root.calls {
        walk(frame, contracts, &mut spent, &mut handovers);
    }
    // What is not in a frame below is the root's own, once base, calldata and refund are told apart.
    let below: u64 = root.calls.iter().map(|frame| u64_of(frame.gas_used)).sum();
    let refund = GUARD_REFUND * handovers;
    let own = (spent.total + refund).saturating_sub(BASE + calldata + below);
    spent.verify("base of a transaction", BASE);
    spent.verify("AttestationCenter", own);
    spent.part("calldata", calldata);
    spent.part("verification", spent.verification);
    spent.part("validation", spent.validation);
    let known: u64 = spent.parts.values().sum();
    spent.part("EntryPoint and the calls themselves", spent.total.saturating_sub(known));
    spent
}

impl Spent {
    fn part(&mut self, part: &str, gas: u64) {
        *self.parts.entry(part.to_owned()).or_default() += gas;
    }

    fn verify(&mut self, part: &str, gas: u64) {
        self.verification += gas;
        *self.verification_parts.entry(part.to_owned()).or_default() += gas;
    }
}

/// Outside of handleOps: everything is verification.
fn walk(frame: &CallFrame, contracts: &ContractsConfig, spent: &mut Spent, handovers: &mut u64) {
    let to = frame.to.unwrap_or_default();
    if to == contracts.entry_point && frame.input.starts_with(&handleOpsCall::SELECTOR) {
        // What was reverted refunds nothing.
        *handovers += u64::from(frame.error.is_none());
        operations(frame, contracts, spent);
        return;
    }
    let below: u64 = frame.calls.iter().map(|call| u64_of(call.gas_used)).sum();
    spent.verify(&name(to, contracts), u64_of(frame.gas_used).saturating_sub(below));
    for call in &frame.calls {
        walk(call, contracts, spent, handovers);
    }
}

/// Inside of handleOps: the accounts' validations are told apart.
fn operations(frame: &CallFrame, contracts: &ContractsConfig, spent: &mut Spent) {
    for call in &frame.calls {
        if call.input.starts_with(&validateUserOpCall::SELECTOR) {
            if call.error.is_none() && frame.error.is_none() {
                spent.operations += 1;
            }
            spent.validation += u64_of(call.gas_used);
            validation(call, contracts, spent);
        } else {
            operations(call, contracts, spent);
        }
    }
}

fn validation(frame: &CallFrame, contracts: &ContractsConfig, spent: &mut Spent) {
    let below: u64 = frame.calls.iter().map(|call| u64_of(call.gas_used)).sum();
    let to = frame.to.unwrap_or_default();
    let part = if to == contracts.validator_module {
        "DittoValidatorModule"
    } else if to == contracts.entry_point {
        "prefund"
    } else if frame.typ == "DELEGATECALL" {
        "account (ERC-7579)"
    } else {
        "account's proxy"
    };
    *spent.validation_parts.entry(part.to_owned()).or_default() += u64_of(frame.gas_used).saturating_sub(below);
    for call in &frame.calls {
        validation(call, contracts, spent);
    }
}

fn name(to: Address, contracts: &ContractsConfig) -> String {
    let known = [
        (contracts.attestation_center, "AttestationCenter"),
        (contracts.obls, "OBLS"),
        (contracts.hook, "DittoHook"),
        (contracts.validator_module, "DittoValidatorModule (approvals)"),
        (contracts.entry_point, "EntryPoint (hashes)"),
    ];
    if let Some((_, name)) = known.iter().find(|(address, _)| *address == to) {
        return (*name).to_owned();
    }
    let bytes = to.into_array();
    if bytes[..19].iter().any(|byte| *byte != 0) {
        return to.to_string();
    }
    match bytes[19] {
        0x01 => "precompile: ecrecover".into(),
        0x02 => "precompile: SHA-256".into(),
        0x05 => "precompile: modular exponentiation".into(),
        0x0b => "precompile: G1 addition".into(),
        0x0d => "precompile: G2 addition".into(),
        0x0f => "precompile: pairing".into(),
        0x10 => "precompile: map to G1".into(),
        other => format!("precompile {other:#04x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::primitives::{Bytes, U256};

    fn frame(to: Address, gas: u64, input: &[u8], calls: Vec<CallFrame>) -> CallFrame {
        let input = Bytes::from(input.to_vec());
        CallFrame { to: Some(to), gas_used: U256::from(gas), input, calls, typ: "CALL".into(), ..CallFrame::default() }
    }

    #[test]
    fn verification_is_all_but_calldata_and_the_handover() {
        let at = Address::with_last_byte;
        let contracts = ContractsConfig {
            attestation_center: at(0xa1),
            obls: at(0xa2),
            hook: at(0xa3),
            validator_module: at(0xa4),
            registry: at(0xa5),
            entry_point: at(0xa6),
        };
        let module = frame(contracts.validator_module, 200, &[], Vec::new());
        let account_frame = frame(at(0xb0), 300, &validateUserOpCall::SELECTOR, vec![module]);
        let execution = frame(at(0xb0), 4_000, &[1, 2, 3, 4], Vec::new());
        let handover =
            frame(contracts.entry_point, 8_000, &handleOpsCall::SELECTOR, vec![account_frame.clone(), execution]);
        let mut reverted = frame(contracts.entry_point, 350, &handleOpsCall::SELECTOR, vec![account_frame]);
        reverted.error = Some("execution reverted".into());
        let approval = frame(contracts.validator_module, 50, &[], Vec::new());
        let hook = frame(contracts.hook, 8_550, &[], vec![approval, reverted, handover]);
        let obls = frame(contracts.obls, 100, &[], Vec::new());
        // What anvil says of the root's gas must not matter.
        let root = frame(contracts.attestation_center, 999_999, &[], vec![obls, hook]);

        let spent = account(&root, 40_000, &contracts, 500);
        let own = 40_000 + GUARD_REFUND - BASE - 500 - 8_650;
        assert_eq!(spent.operations, 1, "what a reverted bundle validated did not execute");
        assert_eq!(spent.verification, BASE + own + 100 + 50 + (8_550 - 50 - 350 - 8_000));
        assert_eq!(spent.validation, 600);
        assert_eq!(spent.verification_parts["DittoHook"], 150);
        assert_eq!(spent.validation_parts["DittoValidatorModule"], 400);
        assert_eq!(spent.parts.values().sum::<u64>(), spent.total);
        assert_eq!(calldata(&[0, 0, 7]), 24);
    }
}
