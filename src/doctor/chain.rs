//! The chains' nodes, each by itself: whether it is on the right chain, keeps up, and can do what an operator asks of it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use alloy::primitives::{Address, B256, Bytes, U64, address, bytes};
use ditto_core::chain::{ChainConfig, ContractsConfig, Head, Request, Rpc, RpcError, at};
use futures::future::join_all;
use serde_json::json;

use super::finding::Findings;
use crate::config::OperatorConfig;
use crate::workflow::nodes::Block;

const SECTION: &str = "chains";
/// The newest block of each chain, of the node that is furthest.
pub type Heads = BTreeMap<u64, Head>;
/// A node this many blocks behind another of the same chain is behind.
const BEHIND: u64 = 3;
/// A read has to be answered within a run's second, more than once.
const GOOD_LATENCY: Duration = Duration::from_millis(250);
/// Blocks per question for events, as the operator asks.
const LOG_RANGE: u64 = 2_000;
/// Where code is put for a trial: nobody has anything there.
const NOWHERE: Address = address!("d177000000000000000000000000000000000001");
/// Returns the number 42: PUSH1 42, PUSH1 0, MSTORE, PUSH1 32, PUSH1 0, RETURN.
const ANSWERS_42: Bytes = bytes!("602a60005260206000f3");

/// Arbitrum's chains (One, Nova, Sepolia). There a contract's `block.number` is Ethereum's, and OBLS notes with it when a set
/// froze; operators compare that with the chain's own numbers (docs.arbitrum.io, "Block gas limit, numbers and time").
const ARBITRUM: [u64; 3] = [42_161, 42_170, 421_614];

/// What was learnt of one node.
struct Node {
    host: String,
    findings: Findings,
    head: Option<Head>,
}

pub async fn examine(findings: &mut Findings, config: &OperatorConfig) -> Heads {
    let target = config.network.target_chain;
    let mut heads = Heads::new();
    if ARBITRUM.contains(&target) {
        let detail =
            "contracts see Ethereum's block numbers there, and OBLS' sets would take over at once, with a known seed";
        let fix = "Choose another target chain: today's contracts do not work on this one. Reading it works.";
        findings.fail(SECTION, format!("target chain {target}"), detail, fix);
    }
    for (id, chain) in &config.chains {
        let contracts = chain.contracts.filter(|_| *id == target);
        let nodes = (0..chain.rpc.len()).map(|index| node(*id, chain, index, contracts));
        let nodes = join_all(nodes).await;
        let newest = nodes.iter().filter_map(|node| node.head).max_by_key(|head| head.number);
        for node in nodes {
            for finding in node.findings.list() {
                findings.take(finding);
            }
            if let (Some(head), Some(newest)) = (node.head, newest)
                && head.number + BEHIND < newest.number
            {
                let detail = format!("it is {} blocks behind the other nodes", newest.number - head.number);
                findings.warn(SECTION, node.host, detail, "Let it catch up, or take it out of `rpc`.");
            }
        }
        if chain.rpc.len() == 1 {
            let fix = format!("A second endpoint in `chains.{id}.rpc` keeps the operator going when this one fails.");
            findings.warn(SECTION, format!("chain {id}"), "it has one node only", fix);
        }
        if let Some(newest) = newest {
            heads.insert(*id, newest);
        }
    }
    heads
}

async fn node(id: u64, chain: &ChainConfig, index: usize, contracts: Option<ContractsConfig>) -> Node {
    let mut alone = chain.clone();
    alone.rpc = vec![chain.rpc[index].clone()];
    let mut findings = Findings::default();
    let what = format!("chain {id}, node {index}");
    let rpc = match Rpc::new(id, &alone) {
        Ok(rpc) => rpc,
        Err(error) => {
            findings.fail(SECTION, what.clone(), error.to_string(), format!("Correct `chains.{id}.rpc`."));
            return Node { host: what, findings, head: None };
        }
    };
    let began = Instant::now();
    let asked = rpc.ask_for::<U64>(Request::new("eth_chainId", &json!([]))).await;
    let latency = began.elapsed();
    match asked {
        Ok(found) if found.to::<u64>() == id => {}
        Ok(found) => {
            let fix = format!("Give a node of chain {id} in `chains.{id}.rpc`.");
            findings.fail(SECTION, what.clone(), format!("it is on chain {found}"), fix);
            return Node { host: what, findings, head: None };
        }
        Err(error) => {
            let fix = "Is it running, and is the URL right? Until it answers nothing else can be told of it.";
            findings.fail(SECTION, what.clone(), error.to_string(), fix);
            return Node { host: what, findings, head: None };
        }
    }
    let head = match newest(&rpc).await {
        Ok(head) => head,
        Err(error) => {
            findings.fail(SECTION, what.clone(), format!("no newest block: {error}"), "Is it still synchronising?");
            return Node { host: what, findings, head: None };
        }
    };
    let took = latency.as_millis();
    let detail = format!("answers in {took} ms, at block {}", head.number);
    if latency > GOOD_LATENCY {
        let fix = "Reads have a second in all: use a node nearby, best your own.";
        findings.warn(SECTION, what.clone(), detail, fix);
    } else {
        findings.ok(SECTION, what.clone(), detail);
    }
    methods(&mut findings, &rpc, &what, &head, contracts).await;
    Node { host: what, findings, head: Some(head) }
}

async fn newest(rpc: &Rpc) -> Result<Head, RpcError> {
    let block: Block = rpc.ask_for(Request::new("eth_getBlockByNumber", &json!(["latest", false]))).await?;
    let base_fee = block.base_fee_per_gas.unwrap_or_default();
    Ok(Head { number: block.number, hash: block.hash, parent: B256::ZERO, timestamp: block.timestamp, base_fee })
}

/// What operators ask of nodes, asked.
async fn methods(findings: &mut Findings, rpc: &Rpc, what: &str, head: &Head, contracts: Option<ContractsConfig>) {
    let block = at(head.hash);
    let mut works = Vec::new();
    let pair = vec![Request::new("eth_chainId", &json!([])), Request::new("eth_getBalance", &json!([NOWHERE, block]))];
    let answers = rpc.ask_all(pair).await;
    match answers.into_iter().find_map(Result::err) {
        None => works.push("batches"),
        Some(error) => {
            let fix = "Operators read in JSON-RPC batches, at blocks by hash (EIP-1898): use a node that takes both.";
            findings.fail(SECTION, what, format!("a batch with a read by block hash: {error}"), fix);
        }
    }
    let call = json!([{ "to": NOWHERE, "data": "0x" }, block]);
    match rpc.ask_for::<Bytes>(Request::new("eth_call", &call)).await {
        Ok(_) => works.push("eth_call by block hash"),
        Err(error) => {
            let fix = "Use a node that takes EIP-1898 block ids in eth_call.";
            findings.fail(SECTION, what, format!("eth_call by block hash: {error}"), fix);
        }
    }
    // Only where workflows execute is more asked than reads.
    let Some(contracts) = contracts else {
        findings.ok(SECTION, what, format!("can do {}", works.join(", ")));
        return;
    };
    let with_code = json!([{ "to": NOWHERE, "data": "0x" }, block, { NOWHERE.to_string(): { "code": ANSWERS_42 } }]);
    match rpc.ask_for::<Bytes>(Request::new("eth_call", &with_code)).await {
        Ok(answer) if answer.last() == Some(&42) && answer.len() == 32 => works.push("state overrides"),
        Ok(answer) => {
            let fix = "Operations are tried with overridden code: use a node that takes state overrides in eth_call.";
            findings.fail(SECTION, what, format!("it ignores state overrides (it answered {answer})"), fix);
        }
        Err(error) => {
            let fix = "Operations are tried with overridden code: use a node that takes state overrides in eth_call.";
            findings.fail(SECTION, what, format!("state overrides in eth_call: {error}"), fix);
        }
    }
    let from = head.number.saturating_sub(LOG_RANGE - 1);
    let (from, to) = (format!("0x{from:x}"), format!("0x{:x}", head.number));
    let logs = json!([{ "address": contracts.registry, "fromBlock": from, "toBlock": to }]);
    match rpc.ask(Request::new("eth_getLogs", &logs)).await {
        Ok(_) => works.push("eth_getLogs over 2,000 blocks"),
        Err(error) => {
            let fix = "The registry is followed by eth_getLogs over 2,000 blocks: use a node that allows that.";
            findings.fail(SECTION, what, format!("eth_getLogs over {LOG_RANGE} blocks: {error}"), fix);
        }
    }
    findings.ok(SECTION, what, format!("can do {}", works.join(", ")));
    for (name, address) in [
        ("attestation_center", contracts.attestation_center),
        ("obls", contracts.obls),
        ("hook", contracts.hook),
        ("validator_module", contracts.validator_module),
        ("registry", contracts.registry),
        ("entry_point", contracts.entry_point),
    ] {
        let code = rpc.ask_for::<Bytes>(Request::new("eth_getCode", &json!([address, block]))).await;
        if code.is_ok_and(|code| code.is_empty()) {
            let fix = format!("Correct `chains.{}.contracts.{name}`; your network's announcement has it.", rpc.chain());
            findings.fail(SECTION, what, format!("there is no contract at {address} ({name})"), fix);
        }
    }
}
