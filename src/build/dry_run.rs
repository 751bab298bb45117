//! Trying an operation on the chain as it was at the pin, without sending it.
//!
//! Two `eth_call`s with state overrides. The first puts a meter in the EntryPoint's place and measures what executing the
//! calls costs. The second puts a stand-in in the hook's place, which approves the consent as a certificate would and
//! hands the finished operation to the real EntryPoint.

use alloy::primitives::{Address, B256, Bytes, U256, hex};
use alloy::sol_types::SolStruct;
use ditto_core::chain::bindings::call_meter::CallMeter;
use ditto_core::chain::bindings::dry_run::DryRun;
use ditto_core::chain::{Batcher, ContractsConfig, RpcError};
use ditto_core::consent::SigningDomain;
use ditto_core::task::Task;

/// How the dry-run of an operation went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trial {
    /// It works, and costs this much gas.
    Works {
        /// Gas of the part that was tried.
        gas: u64,
    },
    /// It fails, with this revert data.
    Fails(Bytes),
}

/// Measures executing `call_data` on the account, with at most `cap` gas.
///
/// # Errors
/// When the node does not answer.
pub async fn meter(
    node: &Batcher,
    contracts: &ContractsConfig,
    account: Address,
    call_data: &Bytes,
    cap: u64,
    block: B256,
) -> Result<Trial, RpcError> {
    let call = CallMeter::meterCall { account, callData: call_data.clone(), gasCap: U256::from(cap) };
    let metered = node.call(contracts.entry_point, &call, block, Some(&CallMeter::DEPLOYED_BYTECODE)).await?;
    Ok(if metered.ok { Trial::Works { gas: metered.gasUsed.saturating_to() } } else { Trial::Fails(metered.returned) })
}

/// Hands the operation to the EntryPoint as if it had its certificate. `beneficiary` is paid for it, as the submitter would be.
///
/// # Errors
/// When the node does not answer.
pub async fn dry_run(
    node: &Batcher,
    contracts: &ContractsConfig,
    domain: &SigningDomain,
    task: &Task,
    beneficiary: Address,
    block: B256,
) -> Result<Trial, RpcError> {
    let packed = task.packed();
    let call = DryRun::dryRunCall {
        entryPoint: contracts.entry_point,
        module: contracts.validator_module,
        op: DryRun::PackedUserOperation {
            sender: packed.sender,
            nonce: packed.nonce,
            initCode: packed.initCode,
            callData: packed.callData,
            accountGasLimits: packed.accountGasLimits,
            preVerificationGas: packed.preVerificationGas,
            gasFees: packed.gasFees,
            paymasterAndData: packed.paymasterAndData,
            signature: packed.signature,
        },
        consent: domain.consent(task).eip712_hash_struct(),
        beneficiary,
    };
    let tried = node.call(contracts.hook, &call, block, Some(&DryRun::DEPLOYED_BYTECODE)).await?;
    Ok(if tried.ok { Trial::Works { gas: tried.gasUsed.saturating_to() } } else { Trial::Fails(tried.reason) })
}

/// Revert data in words: `Error(string)` and `FailedOp(uint256,string)` by their text, everything else in hex.
#[must_use]
pub fn in_words(data: &Bytes) -> String {
    use alloy::sol_types::{Revert, SolError};
    use ditto_core::chain::bindings::EntryPoint::FailedOp;
    if let Ok(revert) = Revert::abi_decode(data) {
        return revert.reason;
    }
    if let Ok(failed) = FailedOp::abi_decode(data) {
        return failed.reason;
    }
    hex::encode_prefixed(&data[..data.len().min(68)])
}
