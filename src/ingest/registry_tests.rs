#![allow(clippy::unwrap_used)]
use super::*;
use std::sync::{Mutex, MutexGuard};

use alloy::primitives::Bytes;
use alloy::sol_types::SolCall;
use axum::Json;
use axum::extract::State;
use ditto_core::chain::ChainConfig;
use serde_json::{Value, json};

/// A chain as a node tells it.
#[derive(Default)]
struct Chain {
    head: u64,
    /// Blocks from here on are of the fork of this number.
    forks: (u64, u8),
    /// Publications: block and workflow.
    published: Vec<(u64, u64)>,
    cancelled: Vec<(u64, u64)>,
    /// `eth_getLogs` fails from this block on.
    broken_from: Option<u64>,
    /// The node cannot say what logs a block has, and does not say so.
    silent: bool,
    codes: Vec<Vec<u8>>,
    /// Ranges that were asked for.
    asked: Vec<(u64, u64)>,
}

impl Chain {
    fn hash(&self, number: u64) -> B256 {
        let fork = if number >= self.forks.0 { self.forks.1 } else { 0 };
        keccak256([&number.to_be_bytes()[..], &[fork]].concat())
    }

    fn pin(&self, number: u64) -> Pin {
        Pin { chain_id: 1, number, hash: self.hash(number) }
    }

    fn answer(&mut self, request: &Value) -> Value {
        let number = |value: &Value| u64::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap();
        let params = &request["params"];
        let result = match request["method"].as_str().unwrap() {
            "eth_chainId" => json!("0x1"),
            "eth_getBlockByNumber" => match number(&params[0]) {
                asked if asked <= self.head => json!({ "hash": self.hash(asked), "timestamp": format!("0x{asked:x}") }),
                _ => Value::Null,
            },
            "eth_getBlockByHash" => {
                let asked: B256 = params[0].as_str().unwrap().parse().unwrap();
                let found = (0..=self.head).find(|number| self.hash(*number) == asked).unwrap();
                json!({ "hash": asked, "timestamp": format!("0x{found:x}") })
            }
            "eth_getLogs" => {
                let (from, to) = (number(&params[0]["fromBlock"]), number(&params[0]["toBlock"]));
                self.asked.push((from, to));
                if self.broken_from.is_some_and(|broken| to >= broken) {
                    return json!({ "jsonrpc": "2.0", "id": request["id"], "error": { "code": -1, "message": "down" } });
                }
                self.logs(from, to)
            }
            _ => self.code(&params[0]["data"]),
        };
        json!({ "jsonrpc": "2.0", "id": request["id"], "result": result })
    }

    fn logs(&self, from: u64, to: u64) -> Value {
        if self.silent {
            return json!([]);
        }
        let published = self.published.iter().map(|(block, id)| {
            let event = WorkflowRegistry::WorkflowPublished {
                id: *id,
                account: Address::ZERO,
                codeHash: B256::ZERO,
                workflow: WorkflowRegistry::Workflow {
                    account: Address::ZERO,
                    codeHash: B256::ZERO,
                    sessionKey: Address::ZERO,
                    triggers: Vec::new(),
                    args: Bytes::new(),
                    validAfter: Default::default(),
                    validUntil: Default::default(),
                },
            };
            (*block, event.encode_log_data())
        });
        let cancelled = self.cancelled.iter().map(|(block, id)| {
            let event = WorkflowRegistry::WorkflowCancelled { id: *id };
            (*block, event.encode_log_data())
        });
        let mut logs: Vec<_> = published.chain(cancelled).filter(|(block, _)| (from..=to).contains(block)).collect();
        logs.sort_by_key(|(block, _)| *block);
        let log = |(block, data)| Log {
            inner: alloy::primitives::Log { address: Address::ZERO, data },
            block_hash: Some(self.hash(block)),
            block_number: Some(block),
            ..Log::default()
        };
        json!(logs.into_iter().map(log).collect::<Vec<_>>())
    }

    fn code(&self, data: &Value) -> Value {
        let data: Bytes = serde_json::from_value(data.clone()).unwrap();
        let asked = WorkflowRegistry::codeOfCall::abi_decode(&data).unwrap().codeHash;
        let code = self.codes.iter().find(|code| keccak256(code) == asked).cloned().unwrap_or(b"other".to_vec());
        json!(Bytes::from(WorkflowRegistry::codeOfCall::abi_encode_returns(&code.into())))
    }
}

/// A node of a chain, asked over HTTP.
struct Node {
    chain: Arc<Mutex<Chain>>,
    batcher: Batcher,
}

impl Node {
    async fn start(head: u64) -> Self {
        let chain = Arc::new(Mutex::new(Chain { head, ..Chain::default() }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answers = |State(chain): State<Arc<Mutex<Chain>>>, Json(body): Json<Value>| async move {
            let mut chain = chain.lock().unwrap();
            Json(match body {
                Value::Array(requests) => requests.iter().map(|request| chain.answer(request)).collect(),
                request => chain.answer(&request),
            })
        };
        let router = axum::Router::new().route("/", axum::routing::post(answers)).with_state(chain.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let config = ChainConfig::new(vec![url.into()]);
        Self { chain, batcher: Batcher::start(Arc::new(Rpc::new(1, &config).unwrap()), 100) }
    }

    fn chain(&self) -> MutexGuard<'_, Chain> {
        self.chain.lock().unwrap()
    }

    /// Syncs to a block as the chain has it now, and gives the workflows and the ranges that were asked for.
    async fn sync(&self, registry: &mut Registry, to: u64) -> Result<(Vec<u64>, Vec<(u64, u64)>), RpcError> {
        let pin = self.chain().pin(to);
        registry.sync(&self.batcher, pin).await?;
        let asked = std::mem::take(&mut self.chain().asked);
        Ok((registry.workflows().map(|workflow| workflow.id).collect(), asked))
    }
}

#[tokio::test]
async fn ranges_that_were_read_are_kept_when_a_later_one_fails() {
    let node = Node::start(5_000).await;
    let mut registry = Registry::new(Address::ZERO, 10);
    node.chain().published = vec![(20, 1), (2_500, 2), (4_500, 3)];
    node.chain().broken_from = Some(5_000);
    node.sync(&mut registry, 5_000).await.unwrap_err();
    node.chain().broken_from = None;
    node.chain().asked.clear();
    let (workflows, asked) = node.sync(&mut registry, 5_000).await.unwrap();
    assert_eq!((workflows, asked), (vec![1, 2, 3], vec![(4_010, 5_000)]));
    assert_eq!(registry.workflows().map(|workflow| workflow.published_at).max(), Some(4_500), "the block's time");
    let (_, asked) = node.sync(&mut registry, 5_000).await.unwrap();
    assert!(asked.is_empty(), "nothing is left to read");
}

#[tokio::test]
async fn a_node_that_lags_or_is_on_another_fork_is_not_believed() {
    let node = Node::start(100).await;
    let mut registry = Registry::new(Address::ZERO, 0);
    node.sync(&mut registry, 90).await.unwrap();
    node.chain().published = vec![(105, 1)];
    node.chain().silent = true;
    let error = node.sync(&mut registry, 110).await.unwrap_err();
    assert!(error.to_string().contains("does not have block 110"), "{error}");
    let mut other = node.chain().pin(95);
    other.hash = B256::ZERO;
    let error = registry.sync(&node.batcher, other).await.unwrap_err();
    assert!(error.to_string().contains("the pin is 0x0000"), "{error}");
    node.chain().silent = false;
    node.chain().head = 120;
    node.chain().asked.clear();
    let (workflows, asked) = node.sync(&mut registry, 110).await.unwrap();
    assert_eq!((workflows, asked), (vec![1], vec![(91, 110)]), "nothing was taken in meanwhile");
}

#[tokio::test]
async fn a_reorganisation_of_a_few_blocks_reads_a_few_blocks() {
    let node = Node::start(20_000).await;
    let mut registry = Registry::new(Address::ZERO, 0);
    node.chain().published = vec![(50, 1), (60, 2), (10_190, 3)];
    node.chain().cancelled = vec![(10_195, 1)];
    for to in [10_000, 10_100, 10_150, 10_200] {
        node.sync(&mut registry, to).await.unwrap();
    }
    assert_eq!(registry.workflows().map(|workflow| workflow.id).collect::<Vec<_>>(), [2, 3]);
    {
        let mut chain = node.chain();
        chain.forks = (10_180, 1);
        chain.published.pop();
        chain.cancelled = vec![(10_192, 2)];
    }
    let (workflows, asked) = node.sync(&mut registry, 10_202).await.unwrap();
    assert_eq!(workflows, [1], "the other fork neither has the third nor cancelled the first");
    assert_eq!(asked, [(10_201, 10_202), (10_101, 10_202)], "found out by asking on, then from the checkpoint");

    let (workflows, asked) = node.sync(&mut registry, 10_190).await.unwrap();
    assert_eq!((workflows, asked), (vec![1, 2], vec![(10_101, 10_190)]), "an earlier pin");

    node.chain().forks = (40, 2);
    node.chain().published = vec![(70, 9)];
    let (workflows, asked) = node.sync(&mut registry, 10_203).await.unwrap();
    assert_eq!(workflows, [9], "a reorganisation of everything is read from the beginning");
    assert!(asked.contains(&(0, 1_999)));
}

#[tokio::test]
async fn code_that_cannot_be_had_is_an_error_of_that_code_alone() {
    let node = Node::start(10).await;
    let mut registry = Registry::new(Address::ZERO, 0);
    node.chain().codes = vec![b"code".to_vec()];
    let (good, bad, pin) = (keccak256(b"code"), keccak256(b"lost"), node.chain().pin(10).hash);
    let codes = registry.codes(&node.batcher, HashSet::from([good, bad]), pin, Deadline::none()).await;
    assert_eq!(codes[&good].as_ref().unwrap().as_ref(), b"code");
    assert!(matches!(codes[&bad], Err(CodeError::Hash { .. })));
    let late = Deadline::after(Duration::ZERO);
    let codes = registry.codes(&node.batcher, HashSet::from([good, bad]), pin, late).await;
    assert!(codes[&good].is_ok() && matches!(codes[&bad], Err(CodeError::Late)), "what is known is there at once");
}
