//! What operators would say to a run's calls: the policy's word, and a trial on the chain.

use std::sync::Arc;

use alloy::primitives::{Address, B256, Bytes, FixedBytes, U256};
use ditto_core::chain::{Batcher, Request, Rpc, RpcError, at};
use ditto_sandbox::Call;
use serde_json::json;

use super::amount::Amount;
use super::known::Known;
use super::manifest::Manifest;
use super::publication;
use super::report::{Trial, Verdict};
use super::units::grouped;
use crate::build::account;
use crate::build::dry_run::{self, Trial as Metered};
use crate::build::policy::{Breach, Policy};

/// Asks the policy.
#[must_use]
pub fn policy(manifest: &Manifest, policy: &Policy, calls: &[Call], known: &Known) -> Verdict {
    match policy.check(calls, &publication::privileged(manifest)) {
        Ok(()) => Verdict { allowed: true, breach: None, fix: None },
        Err(breach) => {
            let fix = fix(&breach, calls, known);
            Verdict { allowed: false, breach: Some(breach.to_string()), fix }
        }
    }
}

/// The lines of workflow.toml that would allow it.
fn fix(breach: &Breach, calls: &[Call], known: &Known) -> Option<String> {
    match breach {
        Breach::NotAllowed { index, target, selector } => {
            let call = calls.get(*index)?;
            let mut lines = format!("[[policy.allow]]\ntarget = \"{target}\"");
            if *selector != FixedBytes::ZERO {
                let named = known.signature(selector.0).unwrap_or_else(|| selector.to_string());
                lines.push_str(&format!("\ncall = \"{named}\""));
            } else if !call.data.is_empty() {
                // Data too short for a selector is never allowed.
                return None;
            }
            let value = U256::from_be_bytes(call.value);
            if !value.is_zero() {
                lines.push_str(&format!("\nmax_value = \"{}\"", Amount(value)));
            }
            Some(lines)
        }
        Breach::Value { value, .. } => Some(format!("max_value = \"{}\"", Amount(*value))),
        Breach::Total { value, .. } => Some(format!("[policy]\nmax_value = \"{}\"", Amount(*value))),
        _ => None,
    }
}

/// Tries the calls on the chain, at the run's block. On the account as a whole where the manifest names account and
/// contracts, and otherwise call by call.
pub async fn trial(
    manifest: &Manifest,
    rpc: &Arc<Rpc>,
    block: B256,
    account: Address,
    calls: &[Call],
    known: &Known,
) -> Trial {
    if manifest.account.is_none() {
        return untried("`account` is not set in workflow.toml");
    }
    let sum = calls.iter().map(|call| U256::from_be_bytes(call.value)).fold(U256::ZERO, U256::saturating_add);
    let has: Result<U256, RpcError> = rpc.ask_for(Request::new("eth_getBalance", &json!([account, at(block)]))).await;
    if let Ok(has) = has
        && has < sum
    {
        let explanation = format!("the account has {}, and the calls send {}", Amount(has), Amount(sum));
        return Trial { works: Some(false), gas: None, explanation };
    }
    let code: Result<Bytes, RpcError> = rpc.ask_for(Request::new("eth_getCode", &json!([account, at(block)]))).await;
    let is_account = code.as_ref().is_ok_and(|code| !code.is_empty());
    match manifest.contracts().filter(|_| is_account) {
        Some(contracts) => {
            let node = Batcher::start(rpc.clone(), 1);
            let cap = manifest.policy.max_call_gas;
            let call_data = account::execute(calls);
            match dry_run::meter(&node, &contracts, account, &call_data, cap, block).await {
                Ok(Metered::Works { gas }) => Trial {
                    works: Some(true),
                    gas: Some(gas),
                    explanation: format!("the account makes the calls, with {} gas", grouped(gas)),
                },
                Ok(Metered::Fails(data)) => Trial {
                    works: Some(false),
                    gas: None,
                    explanation: format!("the account's calls revert: {}", known.revert(&data)),
                },
                Err(error) => untried(&format!("the node does not try calls with state overrides: {error}")),
            }
        }
        None => by_themselves(rpc, block, account, calls, known).await,
    }
}

async fn by_themselves(rpc: &Rpc, block: B256, account: Address, calls: &[Call], known: &Known) -> Trial {
    for (index, call) in calls.iter().enumerate() {
        let value = U256::from_be_bytes(call.value);
        let data = alloy::hex::encode_prefixed(&call.data);
        let to = Address::from(call.to);
        let params = json!([{ "from": account, "to": to, "value": value, "data": data }, at(block)]);
        match rpc.ask_for::<Bytes>(Request::new("eth_call", &params)).await {
            Ok(_) => {}
            Err(RpcError::Reverted(data)) => {
                let explanation = format!("call {index} reverts from {account}: {}", known.revert(&data));
                return Trial { works: Some(false), gas: None, explanation };
            }
            Err(error) => return untried(&format!("call {index} from {account}: {error}")),
        }
    }
    Trial { works: Some(true), gas: None, explanation: "each call works by itself, sent from the account".into() }
}

fn untried(why: &str) -> Trial {
    Trial { works: None, gas: None, explanation: why.to_owned() }
}
