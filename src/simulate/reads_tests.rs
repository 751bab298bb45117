//! The cache against a node that answers by a rule and fails as told. Whole stacks before a real chain: `tests/reads`.
#![allow(clippy::unwrap_used)]
use std::collections::{HashMap, HashSet};

use alloy::primitives::{Address, Bytes, U256, keccak256};
use axum::Json;
use axum::extract::State;
use ditto_core::chain::{Batcher, ChainConfig, Rpc};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// Answers balances by a rule, so that anybody can tell what is right; fails the first time for some accounts.
#[derive(Default)]
struct Node {
    asked: HashMap<String, usize>,
    fails_first: HashSet<u8>,
}

fn rule(block: B256, account: Address) -> U256 {
    U256::from_be_bytes(keccak256([block.as_slice(), account.as_slice()].concat()).0)
}

impl Node {
    fn answer(&mut self, request: &Value) -> Value {
        let id = &request["id"];
        if request["method"] != "eth_getBalance" {
            return json!({ "jsonrpc": "2.0", "id": id, "result": "0x1" });
        }
        let params = &request["params"];
        let times = self.asked.entry(params.to_string()).or_default();
        *times += 1;
        let account: Address = serde_json::from_value(params[0].clone()).unwrap();
        if *times == 1 && self.fails_first.contains(&account[0]) {
            return json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32000, "message": "not now" } });
        }
        let block: B256 = serde_json::from_value(params[1]["blockHash"].clone()).unwrap();
        json!({ "jsonrpc": "2.0", "id": id, "result": format!("{:#x}", rule(block, account)) })
    }
}

struct Stack {
    node: Arc<Mutex<Node>>,
    cache: Arc<ReadCache>,
}

async fn stack(fails_first: HashSet<u8>, config: &ReadsConfig) -> Stack {
    let node = Arc::new(Mutex::new(Node { fails_first, ..Node::default() }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answers = |State(node): State<Arc<Mutex<Node>>>, Json(body): Json<Vec<Value>>| async move {
        let mut node = node.lock().unwrap();
        Json(body.iter().map(|request| node.answer(request)).collect::<Vec<_>>())
    };
    let router = axum::Router::new().fallback(answers).with_state(node.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let mut chain = ChainConfig::new(vec![url.into()]);
    chain.timeout_ms = 30_000;
    chain.limits.batch_wait_us = 100;
    let batcher = Batcher::start(Arc::new(Rpc::new(1, &chain).unwrap()), 50);
    Stack { node, cache: ReadCache::new(Arc::new(BTreeMap::from([(1, batcher)])), config) }
}

fn pin(block: u8) -> Pin {
    Pin { chain_id: 1, number: block.into(), hash: B256::repeat_byte(block) }
}

fn balance(account: u8) -> Read {
    Read::Balance { address: Address::repeat_byte(account) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    /// Waves of reads of several slots at once, some of which share a block.
    #[test]
    fn every_answer_is_right_and_asked_for_once(
        waves in prop::collection::vec(prop::collection::vec((0u64..4, 0u8..6), 1..60), 1..5),
        fails_first in prop::collection::hash_set(0u8..6, 0..3),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let stack = stack(fails_first.clone(), &ReadsConfig::default()).await;
            let block = |slot: u64| pin(u8::try_from(slot / 2).unwrap());
            let slots: Vec<_> = (0..4).map(|slot| Arc::new(stack.cache.slot(slot, &[block(slot)]))).collect();
            let mut failed: HashMap<(Pin, u8), usize> = HashMap::new();
            for wave in &waves {
                let runs = wave.iter().map(|(slot, account)| {
                    let (slot, account) = (*slot, *account);
                    let reads = slots[slot as usize].clone();
                    tokio::spawn(async move { (slot, account, reads.read(1, balance(account)).await) })
                });
                for run in futures::future::join_all(runs).await {
                    let (slot, account, answer) = run.unwrap();
                    let pin = block(slot);
                    match answer {
                        ReadAnswer::Ok(json) => {
                            let right = rule(pin.hash, Address::repeat_byte(account));
                            prop_assert_eq!(json, format!("\"{right:#x}\""));
                        }
                        ReadAnswer::Failed => *failed.entry((pin, account)).or_default() += 1,
                        ReadAnswer::Reverted(_) => prop_assert!(false, "a balance does not revert"),
                    }
                }
            }
            for (_, account) in failed.keys() {
                prop_assert!(fails_first.contains(account), "{} failed without need", account);
            }
            for (params, times) in &stack.node.lock().unwrap().asked {
                let account: Address = serde_json::from_value(serde_json::from_str::<Value>(params).unwrap()[0].clone()).unwrap();
                // Once, and once more after the failure, whoever asked.
                prop_assert!(*times <= 1 + usize::from(fails_first.contains(&account[0])), "{params}: {times}");
            }
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn the_cache_is_bounded_in_bytes_and_in_entries() {
    for (config, most) in [
        (ReadsConfig { cache_bytes: 10 * ENTRY_BYTES, ..ReadsConfig::default() }, 10),
        (ReadsConfig { cache_bytes: 1 << 30, cache_entries: 7, prefetch: 0 }, 7),
        (ReadsConfig { cache_bytes: 0, cache_entries: 0, prefetch: 0 }, 0),
    ] {
        let stack = stack(HashSet::new(), &config).await;
        let reads = stack.cache.slot(1, &[pin(1)]);
        for account in 0..200 {
            let right = format!("\"{:#x}\"", rule(pin(1).hash, Address::repeat_byte(account)));
            assert_eq!(reads.read(1, balance(account)).await, ReadAnswer::Ok(right));
        }
        stack.cache.answers.run_pending_tasks().await;
        assert!(stack.cache.answers.entry_count() <= most, "{}", stack.cache.answers.entry_count());
        assert!(stack.cache.answers.weighted_size() <= config.cache_bytes);
    }
}

#[tokio::test]
async fn a_large_answer_weighs_what_it_is() {
    let key = Key {
        chain_id: 1,
        block: B256::ZERO,
        read: Read::Call { to: Address::ZERO, data: Bytes::from(vec![0; 70_000]) },
    };
    assert!(size(&key) >= 70_000 && weight(&ReadAnswer::Ok("x".repeat(100))) == 100);
    assert_eq!(weight(&ReadAnswer::Reverted(vec![0; 9])), 9);
    let logs = Read::Logs {
        address: vec![Address::ZERO; 3],
        topics: vec![vec![B256::ZERO; 2]],
        from_block: None,
        to_block: None,
    };
    assert!(size(&Key { read: logs, ..key }) >= 3 * 20 + 2 * 32);
}

#[tokio::test]
async fn what_the_last_slot_read_is_read_ahead_and_no_more() {
    let stack = stack(HashSet::new(), &ReadsConfig { prefetch: 3, ..ReadsConfig::default() }).await;
    let asked = || stack.node.lock().unwrap().asked.values().sum::<usize>();
    let first = stack.cache.slot(1, &[pin(1)]);
    for account in [7, 8] {
        first.read(1, balance(account)).await;
    }
    first.read(1, Read::BlockNumber).await;
    first.read(1, Read::Call { to: Address::ZERO, data: Bytes::from(vec![0; LONGEST_AHEAD + 1]) }).await;
    assert_eq!(stack.cache.prefetch(2, pin(2)).await, 2);
    assert_eq!(asked(), 4);
    let second = stack.cache.slot(2, &[pin(2)]);
    let right = format!("\"{:#x}\"", rule(pin(2).hash, Address::repeat_byte(7)));
    assert_eq!(second.read(1, balance(7)).await, ReadAnswer::Ok(right));
    assert_eq!(asked(), 4, "it was there");
    assert_eq!(stack.cache.prefetch(3, pin(3)).await, 1, "what was only read ahead is not read ahead again");
    assert_eq!(stack.cache.prefetch(5, pin(5)).await, 0, "nobody read in the slot before");
    let wide = stack.cache.slot(5, &[pin(5)]);
    for account in 0..10 {
        wide.read(1, balance(account)).await;
    }
    assert_eq!(stack.cache.prefetch(6, pin(6)).await, 3, "no more than configured");
    assert_eq!(stack.cache.prefetch(6, Pin { chain_id: 2, ..pin(6) }).await, 0);
    for slot in 10..100 {
        drop(stack.cache.slot(slot, &[pin(1)]));
    }
    assert!(stack.cache.used.lock().unwrap().len() <= SLOTS);
}

#[tokio::test]
async fn what_is_none_of_a_runs_business_fails() {
    let refused = || ditto_core::telemetry::measured("ditto_reads_failed_total", &[("reason", "refused")]);
    let before = refused();
    let stack = stack(HashSet::new(), &ReadsConfig::default()).await;
    let reads = stack.cache.slot(1, &[pin(1)]);
    assert_eq!(reads.read(2, balance(1)).await, ReadAnswer::Failed, "a chain without a pin");
    for (method, params) in [("eth_sendRawTransaction", "[\"0x\"]"), ("eth_call", "[]"), ("eth_getBalance", "{")] {
        let request = ReadRequest { chain_id: 1, method: method.into(), params: params.into() };
        assert_eq!(reads.answer(request).await, ReadAnswer::Failed, "{method}");
    }
    let unknown = stack.cache.slot(1, &[Pin { chain_id: 9, ..pin(1) }]);
    assert_eq!(unknown.read(9, balance(1)).await, ReadAnswer::Failed, "a chain that is not configured");
    assert!(stack.node.lock().unwrap().asked.is_empty());
    assert!(refused() >= before + 3.0);
}
