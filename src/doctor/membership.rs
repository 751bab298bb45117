//! Who this operator is to the network: registered, in the set, with which power; and whether it can pay for a transaction.

use std::sync::Arc;

use alloy::primitives::utils::format_ether;
use alloy::primitives::{Address, B256, Bytes, U256};
use ditto_core::chain::bindings::obls::OBLS;
use ditto_core::chain::{Request, Rpc, SetError, SetReader, at};
use serde_json::json;

use super::chain::Heads;
use super::finding::Findings;
use crate::config::OperatorConfig;
use crate::node::Keys;

const SECTION: &str = "operator";
/// What a signer should have at least: a few transactions' worth, 0.01 ether.
const GOOD_BALANCE: u128 = 10_000_000_000_000_000;

pub async fn examine(findings: &mut Findings, config: &OperatorConfig, keys: Option<&Keys>, heads: &Heads) {
    let target = config.network.target_chain;
    let (Some(keys), Some(head), Some(contracts)) = (keys, heads.get(&target), config.contracts()) else {
        findings.skip(SECTION, "registration", "needs the keys and a node of the target chain");
        return;
    };
    let Ok(rpc) = Rpc::new(target, &config.chains[&target]) else { return };
    let rpc = Arc::new(rpc);
    balance(findings, &rpc, keys, head.hash).await;
    let code = rpc.ask_for::<Bytes>(Request::new("eth_getCode", &json!([contracts.obls, at(head.hash)]))).await;
    if code.is_ok_and(|code| code.is_empty()) {
        findings.skip(SECTION, "registration", "needs the right `obls` in the chain's contracts");
        return;
    }

    let sets = SetReader::new(rpc.clone(), contracts.obls, config.network.set_settles_blocks);
    let own = keys.consensus.public();
    let signer = keys.signer.address();
    match sets.current(head).await {
        Err(SetError::None { .. }) => {
            let fix = "The network has not begun. If it has, correct `obls` in the chain's contracts.";
            findings.fail(SECTION, "operator set", "OBLS has none yet", fix);
        }
        Err(error) => {
            let fix = "When it says that a set has not settled, wait; otherwise look at the node and at `obls`.";
            findings.fail(SECTION, "operator set", error.to_string(), fix);
        }
        Ok(set) => match set.by_key(&own) {
            Some((index, member)) => {
                let power = member.power as f64 / set.total_power.max(1) as f64 * 100.0;
                let detail = format!(
                    "number {index} of {} in set {}, with {} of {} voting power ({power:.1} %)",
                    set.members.len(),
                    set.id,
                    member.power,
                    set.total_power
                );
                if member.power == 0 {
                    let fix = "It is jailed, or nobody stakes with it: its votes count nothing. Ask the network's governance.";
                    findings.fail(SECTION, "registration", detail, fix);
                } else {
                    findings.ok(SECTION, "registration", detail);
                }
                if member.signer != signer {
                    let detail = format!("registered is {}, configured is {signer}", member.signer);
                    let fix = "Configure the registered key, or set the new one with `ditto-operator set-signer`; it counts \
                               from the next operator set on.";
                    findings.fail(SECTION, "delegated signer", detail, fix);
                }
            }
            None => absent(findings, &rpc, &contracts.obls, &sets, head, keys, set.id).await,
        },
    }
}

/// Not in the set that is in office: is it in a newer one?
async fn absent(
    findings: &mut Findings,
    rpc: &Rpc,
    obls: &Address,
    sets: &SetReader,
    head: &ditto_core::chain::Head,
    keys: &Keys,
    current: u32,
) {
    let newest = rpc.call(*obls, &OBLS::currentSetIdCall {}, head.hash).await.unwrap_or(current);
    if newest > current
        && let Ok(set) = sets.set(newest, head.hash).await
        && set.by_key(&keys.consensus.public()).is_some()
    {
        let detail = format!("in set {newest}, which takes over from set {current} when it has settled");
        findings.ok(SECTION, "registration", detail);
        return;
    }
    let detail = format!("this consensus key is not in operator set {current}: the operator would only watch");
    let fix = "Register it with the controller's key (`ditto-operator register`), and wait for the next operator set. If it is registered, is `keys.consensus` the right key?";
    findings.fail(SECTION, "registration", detail, fix);
}

async fn balance(findings: &mut Findings, rpc: &Rpc, keys: &Keys, block: B256) {
    let signer = keys.signer.address();
    let asked = Request::new("eth_getBalance", &json!([signer, at(block)]));
    match rpc.ask_for::<U256>(asked).await {
        Err(error) => findings.warn(SECTION, "balance", error.to_string(), "Look at the node."),
        Ok(wei) => {
            let detail = format!("the signer {signer} has {} ether", trimmed(&format_ether(wei)));
            if wei < U256::from(GOOD_BALANCE) {
                let fix = "Send it some: a hundredth of an ether pays for submitting when the aggregator is silent.";
                findings.warn(SECTION, "balance", detail, fix);
            } else {
                findings.ok(SECTION, "balance", detail);
            }
        }
    }
}

fn trimmed(text: &str) -> &str {
    text.trim_end_matches('0').trim_end_matches('.')
}
