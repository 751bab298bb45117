//! What the account does itself: an ERC-4337 operation that its owner signs and that the publisher hands to the EntryPoint.
//!
//! The owner signs the plain userOpHash with ECDSA, in the nonce lane of no validator module: that is what DittoAccount and
//! OpenZeppelin's accounts with an ECDSA signer take.

use alloy::primitives::{Address, B256, Bytes, U64, U256};
use alloy::rpc::types::TransactionReceipt;
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol;
use alloy::sol_types::{SolCall, SolError, SolEvent};
use anyhow::{Context, bail};
use ditto_core::chain::bindings::EntryPoint as EntryPointReads;
use ditto_core::chain::{ContractsConfig, Request, Rpc, RpcError};
use ditto_core::network::NetworkConfig;
use ditto_core::userop::UserOperation;
use ditto_sandbox::Call;
use serde_json::json;

use super::sender::{Fees, Intent};
use crate::build::account;
use crate::workflow::known::Known;

/// Gas for checking the owner's signature: an ECDSA signer takes about 40,000.
const VERIFICATION_GAS: u64 = 150_000;
/// Gas of the bundle that the EntryPoint cannot measure, call data apart.
const PRE_VERIFICATION_GAS: u64 = 60_000;
/// What the EntryPoint itself takes around an operation.
const HANDLING_GAS: u64 = 100_000;

sol! {
    #[derive(Debug)]
    struct PackedOperation {
        address sender;
        uint256 nonce;
        bytes initCode;
        bytes callData;
        bytes32 accountGasLimits;
        uint256 preVerificationGas;
        bytes32 gasFees;
        bytes paymasterAndData;
        bytes signature;
    }

    function handleOps(PackedOperation[] ops, address beneficiary) external;
    function depositTo(address account) external payable;
    error FailedOpWithRevert(uint256 opIndex, string reason, bytes inner);
}

/// An operation, signed.
pub struct Signed {
    /// Hands it over.
    pub intent: Intent,
    /// The gas that handing it over needs.
    pub gas: u64,
    hash: B256,
    entry_point: Address,
}

/// What the account needs for an operation of this much gas, in wei.
#[must_use]
pub fn prefund(call_gas: u64, call_data: &[u8], fees: Fees) -> U256 {
    let gas = call_gas + VERIFICATION_GAS + PRE_VERIFICATION_GAS + NetworkConfig::calldata_gas(call_data);
    U256::from(gas) * U256::from(fees.max)
}

/// What the account itself is called with.
#[must_use]
pub fn call_data(calls: &[Call]) -> Bytes {
    account::execute(calls)
}

/// The gas that the account's calls take, with a quarter on top.
///
/// # Errors
/// When they would fail.
pub async fn estimate(rpc: &Rpc, contracts: &ContractsConfig, account: Address, data: &Bytes) -> Result<u64, RpcError> {
    let asked = json!([{ "from": contracts.entry_point, "to": account, "data": data }]);
    let gas = rpc.ask_for::<U64>(Request::new("eth_estimateGas", &asked)).await?.to::<u64>();
    Ok(gas.saturating_add(gas / 4))
}

/// Signs an operation of these calls.
///
/// # Errors
/// When the node does not answer.
#[allow(clippy::too_many_arguments, reason = "each is another part of an operation")]
pub async fn sign(
    rpc: &Rpc,
    contracts: &ContractsConfig,
    account: Address,
    owner: &PrivateKeySigner,
    what: String,
    data: Bytes,
    call_gas: u64,
    fees: Fees,
) -> anyhow::Result<Signed> {
    let entry_point = contracts.entry_point;
    // Lane 0 of no module: the owner's.
    let lane = EntryPointReads::getNonceCall { sender: account, key: alloy::primitives::Uint::ZERO };
    let asked = json!([{ "to": entry_point, "data": Bytes::from(lane.abi_encode()) }, "latest"]);
    let nonce: U256 = rpc.ask_for(Request::new("eth_call", &asked)).await.context("the EntryPoint gives no nonce")?;
    let pre_verification_gas = PRE_VERIFICATION_GAS + NetworkConfig::calldata_gas(&data);
    let operation = UserOperation {
        sender: account,
        nonce,
        call_data: data.clone(),
        verification_gas: VERIFICATION_GAS,
        call_gas,
        pre_verification_gas,
        max_fee: fees.max,
        max_priority_fee: fees.priority,
    };
    let hash = operation.hash(entry_point, rpc.chain());
    let signature = owner.sign_hash_sync(&hash).context("the owner's key does not sign")?;
    let pair = |high: u128, low: u128| B256::from((U256::from(high) << 128) | U256::from(low));
    let packed = PackedOperation {
        sender: account,
        nonce,
        initCode: Bytes::new(),
        callData: data.clone(),
        accountGasLimits: pair(VERIFICATION_GAS.into(), call_gas.into()),
        preVerificationGas: U256::from(pre_verification_gas),
        gasFees: pair(fees.priority, fees.max),
        paymasterAndData: Bytes::new(),
        signature: signature.as_bytes().to_vec().into(),
    };
    let call = handleOpsCall { ops: vec![packed], beneficiary: owner.address() };
    let intent = Intent { what, to: entry_point, value: U256::ZERO, data: call.abi_encode().into() };
    // A call passes on 63 of 64 parts of its gas (EIP-150), so the whole needs a little more than the sum.
    let inner = call_gas + VERIFICATION_GAS + HANDLING_GAS;
    let gas = inner + inner / 32 + 21_000 + NetworkConfig::calldata_gas(&intent.data);
    Ok(Signed { intent, gas, hash, entry_point })
}

impl Signed {
    /// Hands it over in a trial that changes nothing.
    ///
    /// # Errors
    /// Why the EntryPoint would refuse it, and what to do.
    pub async fn rehearse(&self, rpc: &Rpc, from: Address) -> anyhow::Result<()> {
        let asked = json!([{ "from": from, "to": self.intent.to, "data": self.intent.data }, "latest"]);
        match rpc.ask(Request::new("eth_call", &asked)).await {
            Ok(_) => Ok(()),
            Err(RpcError::Reverted(data)) => bail!("{}: {}", self.intent.what, refusal(&data)),
            Err(error) => Err(error).with_context(|| self.intent.what.clone()),
        }
    }

    /// Makes sure that the account did what it was told: the EntryPoint swallows an operation's revert.
    ///
    /// # Errors
    /// What the account's calls reverted with.
    pub fn succeeded(&self, receipt: &TransactionReceipt, known: &Known) -> anyhow::Result<()> {
        let logs = || receipt.logs().iter().filter(|log| log.address() == self.entry_point);
        let event = logs()
            .filter_map(|log| EntryPointReads::UserOperationEvent::decode_log(&log.inner).ok())
            .find(|event| event.userOpHash == self.hash)
            .context("the EntryPoint does not tell what became of the operation")?;
        if event.success {
            return Ok(());
        }
        let reason = logs()
            .filter_map(|log| EntryPointReads::UserOperationRevertReason::decode_log(&log.inner).ok())
            .find(|event| event.userOpHash == self.hash);
        let why = reason.map_or_else(|| "it ran out of gas".to_owned(), |event| known.revert(&event.revertReason));
        bail!("{}: the account's calls reverted: {why}", self.intent.what)
    }
}

/// Why the EntryPoint refuses an operation: its codes in words.
fn refusal(data: &[u8]) -> String {
    let (reason, inner) = match (EntryPointReads::FailedOp::abi_decode(data), FailedOpWithRevert::abi_decode(data)) {
        (Ok(failed), _) => (failed.reason, Bytes::new()),
        (_, Ok(failed)) => (failed.reason, failed.inner),
        _ => return format!("the EntryPoint refuses the operation: {}", Known::default().revert(data)),
    };
    let meaning = match reason.get(..4) {
        Some("AA20") => "there is no account at that address; is it deployed on this chain?",
        Some("AA21") => "the account cannot pay for its gas; give it a deposit with `--deposit AMOUNT`",
        Some("AA23") => {
            "the account does not take a signature of this kind; is it a DittoAccount, or one whose ECDSA owner signs?"
        }
        Some("AA24") => "this is not the key of the account's owner",
        Some("AA25") => "another operation of the account came in between; try again",
        _ => "see EIP-4337 for what the code means",
    };
    let inner = if inner.is_empty() { String::new() } else { format!(" ({})", Known::default().revert(&inner)) };
    format!("the EntryPoint says {reason:?}{inner}: {meaning}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_point_s_codes_are_told_in_words() {
        let failed =
            |reason: &str| EntryPointReads::FailedOp { opIndex: U256::ZERO, reason: reason.into() }.abi_encode();
        assert!(refusal(&failed("AA24 signature error")).contains("owner"));
        assert!(refusal(&failed("AA21 didn't pay prefund")).contains("--deposit"));
        let inner =
            FailedOpWithRevert { opIndex: U256::ZERO, reason: "AA23 reverted".into(), inner: vec![1, 2].into() };
        assert!(refusal(&inner.abi_encode()).contains("0x0102"));
        assert!(refusal(&[]).contains("refuses"));
        assert!(refusal(&failed("ä")).contains("EIP-4337"), "no code at all");
    }
}
