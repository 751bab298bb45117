//! `ditto-operator trace`, as a command: the history's lines, and what the chain shows of the operation.

use std::collections::BTreeSet;

use alloy::primitives::{B256, U64, keccak256};
use alloy::sol_types::SolValue;
use anyhow::Context;
use clap::Args;
use ditto_core::chain::{Request, Rpc};
use ditto_core::clock::Slot;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Event, Line, trace};
use crate::config::OperatorConfig;

/// Blocks after the pin that are looked through for the operation: minutes on any chain, far beyond its validity.
const BLOCKS: u64 = 256;
/// ERC-4337 v0.7.
const USER_OPERATION_EVENT: &str = "UserOperationEvent(bytes32,address,address,uint256,bool,uint256,uint256)";

/// What is asked about.
#[derive(Args)]
pub struct TraceOptions {
    /// The workflow's id, or WORKFLOW@SLOT for one occurrence; without a slot, the latest that is known.
    #[arg(value_name = "WORKFLOW[@SLOT]", value_parser = task)]
    task: (u64, Option<Slot>),
    /// One JSON object per line.
    #[arg(long)]
    json: bool,
    /// Does not ask the target chain's node what became of the operation.
    #[arg(long)]
    offline: bool,
}

fn task(text: &str) -> Result<(u64, Option<Slot>), String> {
    let number = |text: &str| text.parse().map_err(|_| format!("{text:?} is no number; write 12 or 12@345678"));
    match text.split_once('@') {
        Some((workflow, slot)) => Ok((number(workflow)?, Some(number(slot)?))),
        None => Ok((number(text)?, None)),
    }
}

/// What the chain shows.
#[derive(Serialize)]
struct Executed {
    operation: B256,
    transaction: B256,
    block: u64,
    success: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Log {
    transaction_hash: B256,
    block_number: U64,
    data: alloy::primitives::Bytes,
}

/// Prints what happened to an occurrence. `false`: nothing is known of it.
///
/// # Errors
/// When the history cannot be read.
pub fn act(options: &TraceOptions, config: &OperatorConfig) -> anyhow::Result<bool> {
    let (workflow, slot) = options.task;
    let lines = trace(&config.state_dir, workflow, slot)
        .with_context(|| format!("no history in `state_dir` ({})", config.state_dir.display()))?;
    let Some(first) = lines.first() else {
        let which = slot.map_or_else(String::new, |slot| format!(" in slot {slot}"));
        eprintln!(
            "nothing is known of workflow {workflow}{which}: it was not due, this operator did not run, or it is too long ago"
        );
        return Ok(false);
    };
    let start = config.network.schedule().start_seconds(first.slot).saturating_mul(1_000);
    if !options.json {
        println!("workflow {workflow}, slot {} (its start is 0 ms)", first.slot);
    }
    for line in &lines {
        if options.json {
            println!("{}", serde_json::to_string(line)?);
        } else {
            let later = i128::from(line.at_ms) - i128::from(start);
            let attempt = if line.attempt == line.slot { String::new() } else { format!("  [slot {}]", line.attempt) };
            println!("{later:>8} ms  {}{attempt}", line.event);
        }
    }
    if options.offline {
        return Ok(true);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match runtime.block_on(executed(config, &lines)) {
        Ok(found) if options.json => {
            for executed in found {
                println!("{}", json!({ "what": "executed", "executed": executed }));
            }
        }
        Ok(found) if found.is_empty() => println!("{:>11}  the chain does not show it executed", ""),
        Ok(found) => {
            for Executed { transaction, block, success, .. } in found {
                let how = if success { "executed    " } else { "reverted    " };
                println!("{:>11}  {how}in block {block}, transaction {transaction}", "");
            }
        }
        Err(error) => eprintln!("the chain could not be asked: {error:#}"),
    }
    Ok(true)
}

/// The operations among these lines that the EntryPoint ran.
async fn executed(config: &OperatorConfig, lines: &[Line]) -> anyhow::Result<Vec<Executed>> {
    let contracts = config.contracts().context("the target chain names no contracts")?;
    let rpc = Rpc::new(config.network.target_chain, &config.chains[&config.network.target_chain])?;
    let pins = lines.iter().filter_map(|line| if let Event::Due { pin, .. } = line.event { Some(pin) } else { None });
    let (Some(first), Some(last)) = (pins.clone().min(), pins.max()) else { return Ok(Vec::new()) };
    let operations: BTreeSet<B256> = lines
        .iter()
        .filter_map(|line| match &line.event {
            Event::Judged { operation, .. } | Event::Proposed { operation, .. } => Some(*operation),
            Event::Found { detail, .. } => detail.parse().ok(),
            _ => None,
        })
        .collect();
    let mut found = Vec::new();
    for operation in operations {
        let filter = json!([{
            "address": contracts.entry_point,
            "fromBlock": U64::from(first),
            "toBlock": U64::from(last.saturating_add(BLOCKS)),
            "topics": [keccak256(USER_OPERATION_EVENT), operation],
        }]);
        for log in rpc.ask_for::<Vec<Log>>(Request::new("eth_getLogs", &filter)).await? {
            // (uint256 nonce, bool success, uint256 actualGasCost, uint256 actualGasUsed)
            let (_, success, _, _) =
                <(alloy::primitives::U256, bool, alloy::primitives::U256, alloy::primitives::U256)>::abi_decode(
                    &log.data,
                )?;
            let (transaction, block) = (log.transaction_hash, log.block_number.to());
            found.push(Executed { operation, transaction, block, success });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::task;

    #[test]
    fn a_task_is_a_workflow_with_or_without_a_slot() {
        assert_eq!(task("12"), Ok((12, None)));
        assert_eq!(task("12@34"), Ok((12, Some(34))));
        for bad in ["", "@", "12@", "x@1", "-1", "1@2@3"] {
            assert!(task(bad).unwrap_err().contains("12@345678"), "{bad}");
        }
    }
}
