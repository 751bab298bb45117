//! What is due, against a chain that a test makes: a block every two seconds, a slot every four.
#![allow(clippy::unwrap_used)]
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use alloy::primitives::{Address, B256, U256};
use alloy::sol_types::{SolCall, SolValue};
use axum::Json;
use axum::extract::State;
use ditto_core::chain::bindings::validator_module::DittoValidatorModule;
use ditto_core::chain::{Head, Rpc};
use ditto_core::operators::OperatorSet;
use ditto_core::proposal::hash_pins;
use ditto_core::stage::Deadline;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::ingest::triggers::{
    Comparison, EventFilter, KIND_CONDITION, KIND_EVENT, KIND_INTERVAL, KIND_LIMIT, Reading, Trigger,
};
use crate::simulate::{ReadsConfig, SlotReads};

const GENESIS: u64 = 1_000;
const SLOT_SECONDS: u64 = 4;
const BLOCK_SECONDS: u64 = 2;
const CHAIN: u64 = 7;
const EMITTER: Address = Address::repeat_byte(1);
const ORACLE: Address = Address::repeat_byte(2);
const MODULE: Address = Address::repeat_byte(3);
const EVENT: B256 = B256::repeat_byte(4);
const ID: u64 = 9;

#[derive(Default)]
struct Chain {
    /// Blocks from here on are of the fork of this number.
    fork: (u64, u8),
    /// Blocks with a log, and its topic 1.
    logs: Vec<(u64, u8)>,
    /// From which block on the oracle says what.
    oracle: Vec<(u64, u64)>,
    /// Spent slots.
    spent: Vec<u64>,
    /// Methods that the node fails at.
    fails: Vec<&'static str>,
    asked: usize,
}

fn number(value: &Value) -> u64 {
    u64::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

impl Chain {
    fn hash(&self, number: u64) -> B256 {
        let fork = if number >= self.fork.0 { self.fork.1 } else { 0 };
        keccak256([&number.to_be_bytes()[..], &[fork]].concat())
    }

    fn block(&self, number: u64) -> Value {
        json!({
            "number": format!("{number:#x}"), "hash": self.hash(number), "parentHash": B256::ZERO,
            "timestamp": format!("{:#x}", GENESIS + number * BLOCK_SECONDS), "gasLimit": "0x1", "gasUsed": "0x1",
            "baseFeePerGas": "0x1", "miner": Address::ZERO, "mixHash": B256::ZERO,
        })
    }

    fn answer(&mut self, request: &Value) -> Value {
        self.asked += 1;
        let (id, method, params) = (&request["id"], request["method"].as_str().unwrap(), &request["params"]);
        if self.fails.contains(&method) {
            return json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32000, "message": "not now" } });
        }
        let numbered = |hash: &Value| {
            let hash: B256 = serde_json::from_value(hash.clone()).unwrap();
            (0..2_000).find(|number| self.hash(*number) == hash)
        };
        let result = match method {
            "eth_getBlockByNumber" => self.block(number(&params[0])),
            "eth_getBlockByHash" => numbered(&params[0]).map_or(Value::Null, |number| self.block(number)),
            "eth_getLogs" => {
                let (from, to) = (number(&params[0]["fromBlock"]), number(&params[0]["toBlock"]));
                let wanted: Option<Vec<B256>> = serde_json::from_value(params[0]["topics"][1].clone()).unwrap();
                let logs = self.logs.iter().enumerate().filter(|(_, (block, topic))| {
                    (from..=to).contains(block)
                        && wanted.as_ref().is_none_or(|wanted| wanted.contains(&B256::with_last_byte(*topic)))
                });
                let log = |(index, (block, topic)): (usize, &(u64, u8))| {
                    json!({
                        "address": EMITTER, "topics": [EVENT, B256::with_last_byte(*topic)], "data": "0x",
                        "blockNumber": format!("{block:#x}"), "blockHash": self.hash(*block),
                        "transactionHash": B256::ZERO, "transactionIndex": "0x0", "logIndex": format!("{index:#x}"),
                        "removed": false,
                    })
                };
                logs.map(log).collect()
            }
            "eth_call" => match numbered(&params[1]["blockHash"]) {
                Some(block) => self.call(&params[0], block),
                None => {
                    return json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32001, "message": "header not found" } });
                }
            },
            _ => json!("0x7"),
        };
        json!({ "jsonrpc": "2.0", "id": id, "result": result })
    }

    fn call(&self, call: &Value, block: u64) -> Value {
        let to: Address = serde_json::from_value(call["to"].clone()).unwrap();
        let data: Bytes = serde_json::from_value(call["data"].clone()).unwrap();
        if to == ORACLE {
            let says = self.oracle.iter().rev().find(|(from, _)| *from <= block).map_or(0, |(_, says)| *says);
            return json!(Bytes::from(U256::from(says).abi_encode()));
        }
        let asked = DittoValidatorModule::spentWordsCall::abi_decode(&data).unwrap();
        let count: u64 = asked.count.to();
        let words: Vec<U256> = (0..count)
            .map(|word| {
                let mut bits = U256::ZERO;
                for slot in &self.spent {
                    let number = Occurrence { workflow: ID, slot: *slot }.number();
                    if number >> 8 == asked.first + U256::from(word) {
                        bits |= U256::ONE << (slot % 256);
                    }
                }
                bits
            })
            .collect();
        json!(Bytes::from(DittoValidatorModule::spentWordsCall::abi_encode_returns(&words)))
    }
}

struct Bench {
    chain: Arc<Mutex<Chain>>,
    batcher: Batcher,
}

impl Bench {
    async fn new() -> Self {
        let chain = Arc::new(Mutex::new(Chain::default()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answers = |State(chain): State<Arc<Mutex<Chain>>>, Json(body): Json<Value>| async move {
            let mut chain = chain.lock().unwrap();
            Json(match body {
                Value::Array(requests) => requests.iter().map(|request| chain.answer(request)).collect(),
                request => chain.answer(&request),
            })
        };
        let router = axum::Router::new().fallback(answers).with_state(chain.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let mut config = ChainConfig::new(vec![url.into()]);
        config.timeout_ms = 30_000;
        config.limits.batch_wait_us = 100;
        Self { chain, batcher: Batcher::start(Arc::new(Rpc::new(CHAIN, &config).unwrap()), 50) }
    }

    fn chain(&self) -> MutexGuard<'_, Chain> {
        self.chain.lock().unwrap()
    }

    /// An operator that was just started.
    fn operator(&self) -> Operator {
        let chains = Arc::new(BTreeMap::from([(CHAIN, self.batcher.clone())]));
        let reads = ReadCache::new(chains, &ReadsConfig::default());
        let config = ChainConfig::new(vec!["http://127.0.0.1:1".to_owned().into()]);
        let contracts = serde_json::from_value(json!({
            "attestation_center": Address::ZERO, "obls": Address::ZERO, "hook": Address::ZERO,
            "validator_module": MODULE, "registry": Address::ZERO,
        }));
        let configs = Arc::new(BTreeMap::from([(CHAIN, config)]));
        let occurrences =
            Occurrences::new(Arc::new(network()), configs, reads.clone(), self.batcher.clone(), contracts.unwrap());
        Operator { occurrences, reads, chain: self.chain.clone() }
    }
}

struct Operator {
    occurrences: Occurrences,
    reads: Arc<ReadCache>,
    chain: Arc<Mutex<Chain>>,
}

type Slots = Vec<(Slot, Result<Vec<(u8, u64)>, Unknown>)>;

impl Operator {
    /// The slots of the occurrences that are due, with trigger and block of what was seen.
    async fn due(&self, slot: Slot, triggers: Vec<(u8, Vec<u8>)>) -> Slots {
        let pin = {
            // The last block at or before a second before the slot.
            let number = (slot * SLOT_SECONDS - 1) / BLOCK_SECONDS;
            Pin { chain_id: CHAIN, number, hash: self.chain.lock().unwrap().hash(number) }
        };
        let pins = vec![pin];
        let timestamp = GENESIS + pin.number * BLOCK_SECONDS;
        let reads: SlotReads = self.reads.slot(slot, &pins);
        let context = SlotContext {
            slot,
            start_seconds: GENESIS + slot * SLOT_SECONDS,
            head: Head { number: pin.number, hash: pin.hash, parent: B256::ZERO, timestamp, base_fee: 0 },
            pins_hash: hash_pins(&pins),
            reads: Arc::new(reads),
            pins,
            set: Arc::new(OperatorSet::new(1, Vec::new(), B256::ZERO)),
            ranks: Vec::new(),
            own_rank: None,
            own_index: None,
            own_standing: ditto_core::committee::Standing::Powerless,
            end: Deadline::after(Duration::from_secs(60)),
            votes_until: Deadline::after(Duration::from_secs(60)),
        };
        let workflow = Arc::new(workflow(triggers));
        let found = self.occurrences.of([&workflow].into_iter(), &context).await;
        let seen = |evidence: Arc<[Observation]>| evidence.iter().map(|one| (one.trigger, one.block_number)).collect();
        found.into_iter().map(|one| (one.occurrence.slot, one.evidence.map(seen))).collect()
    }
}

fn network() -> NetworkConfig {
    serde_json::from_value(json!({
        "name": "test", "target_chain": CHAIN, "genesis_seconds": GENESIS, "slot_seconds": SLOT_SECONDS,
        "aggregator": Address::ZERO,
    }))
    .unwrap()
}

fn workflow(triggers: Vec<(u8, Vec<u8>)>) -> Workflow {
    Workflow {
        id: ID,
        account: Address::repeat_byte(6),
        code_hash: B256::ZERO,
        session_key: Address::ZERO,
        triggers: Trigger::parse_all(triggers.iter().map(|(kind, data)| (*kind, data.as_slice()))),
        trigger_hash: B256::ZERO,
        args: String::new(),
        valid_after: 0,
        valid_until: 0,
        published_at: GENESIS,
    }
}

fn every(slots: u64) -> (u8, Vec<u8>) {
    (KIND_INTERVAL, (slots, 0u64).abi_encode())
}

fn event(topic: Option<u8>) -> (u8, Vec<u8>) {
    let topics = topic.map(|topic| vec![B256::with_last_byte(topic)]).into_iter().collect();
    let filter = EventFilter { chain_id: CHAIN, emitter: EMITTER, signature: EVENT, topics };
    (KIND_EVENT, filter.published().unwrap())
}

fn above(operand: u64) -> (u8, Vec<u8>) {
    let condition = Condition {
        chain_id: CHAIN,
        target: ORACLE,
        data: vec![1, 2, 3, 4].into(),
        position: 0,
        reading: Reading::Unsigned,
        comparison: Comparison::GreaterThan,
        operands: vec![U256::from(operand).abi_encode().into()],
    };
    (KIND_CONDITION, condition.published().unwrap())
}

fn limit(count: u64, interval_seconds: u64) -> (u8, Vec<u8>) {
    (KIND_LIMIT, (count, interval_seconds).abi_encode())
}

/// The blocks of a slot's window: the slot before is pinned two blocks earlier.
fn window(slot: Slot) -> [u64; 2] {
    [slot * 2 - 2, slot * 2 - 1]
}

#[tokio::test]
async fn an_event_is_due_in_the_slot_in_whose_window_it_was_emitted() {
    let bench = Bench::new().await;
    let operator = bench.operator();
    let [first, last] = window(50);
    bench.chain().logs = vec![(first - 1, 1), (last, 2), (first, 2), (last + 1, 1)];
    assert_eq!(operator.due(49, vec![event(None)]).await, [(49, Ok(vec![(0, first - 1)]))]);
    assert_eq!(operator.due(50, vec![event(None)]).await, [(50, Ok(vec![(0, first), (0, last)]))], "by block");
    assert_eq!(operator.due(50, vec![event(Some(1))]).await, []);
    assert_eq!(operator.due(50, vec![event(Some(2)), every(7)]).await, [], "AND");
    assert_eq!(operator.due(50, vec![every(10), event(Some(2))]).await, [(50, Ok(vec![(1, first), (1, last)]))]);
    bench.chain().logs = vec![(first, 1); 9];
    let operator = bench.operator();
    let due = operator.due(50, vec![event(None)]).await;
    assert_eq!(due, [(50, Ok(vec![(0, first); 4]))], "many events are one occurrence, and four of them its evidence");
}

#[tokio::test]
async fn what_was_missed_is_caught_up_on_within_the_bound_and_alike_by_all() {
    let bench = Bench::new().await;
    let old = bench.operator();
    let [first, _] = window(50);
    bench.chain().logs = vec![(first, 1)];
    let expected: Slots = vec![(50, Ok(vec![(0, first)]))];
    for slot in 50..90 {
        // One operator ran all the time, the other one was just started.
        let due = old.due(slot, vec![event(None)]).await;
        assert_eq!(due, bench.operator().due(slot, vec![event(None)]).await, "slot {slot}");
        let caught_up = (slot - 50) % 5 == 0 && slot <= 80;
        assert_eq!(due, if caught_up { expected.clone() } else { vec![] }, "slot {slot}");
    }
}

#[tokio::test]
async fn an_event_that_a_reorganisation_took_back_is_withdrawn() {
    let bench = Bench::new().await;
    let operator = bench.operator();
    let [first, _] = window(50);
    bench.chain().logs = vec![(first, 1)];
    assert_eq!(operator.due(50, vec![event(None)]).await.len(), 1);
    {
        let mut chain = bench.chain();
        chain.fork = (first, 1);
        chain.logs = vec![(first + 1, 1)];
    }
    let due = operator.due(55, vec![event(None)]).await;
    assert_eq!(due, [(50, Ok(vec![(0, first + 1)]))], "the other fork's event is another one");
    bench.chain().fork = (first, 2);
    bench.chain().logs.clear();
    assert_eq!(operator.due(55, vec![event(None)]).await, []);
    assert_eq!(operator.due(60, vec![event(None)]).await, []);
}

#[tokio::test]
async fn a_condition_holds_at_the_pin_and_in_a_later_attempt_still() {
    let bench = Bench::new().await;
    let operator = bench.operator();
    let pin = |slot: Slot| window(slot)[1];
    bench.chain().oracle = vec![(0, 5), (pin(50), 11), (pin(55) - 1, 3), (pin(60), 12)];
    let due = |slot| operator.due(slot, vec![above(10)]);
    assert_eq!(due(49).await, []);
    assert_eq!(due(50).await, [(50, Ok(vec![(0, pin(50))]))]);
    assert_eq!(due(55).await, [], "it holds no more");
    let both = vec![(60, Ok(vec![(0, pin(60))])), (50, Ok(vec![(0, pin(50))]))];
    assert_eq!(due(60).await, both, "it holds again, as it did then");
    assert_eq!(bench.operator().due(60, vec![above(10)]).await, both, "for whoever was just started");
    assert_eq!(operator.due(60, vec![above(10), above(20)]).await, []);
}

#[tokio::test]
async fn what_a_node_does_not_tell_is_unknown_unless_something_says_no() {
    let counted = || ditto_core::telemetry::measured("ditto_operator_triggers_unknown_total", &[]);
    let before = counted();
    let bench = Bench::new().await;
    bench.chain().oracle = vec![(0, 5)];
    bench.chain().logs = vec![(window(50)[0], 1)];
    bench.chain().fails = vec!["eth_getLogs"];
    let due = |triggers| {
        let operator = bench.operator();
        async move { operator.due(50, triggers).await }
    };
    let unknown = due(vec![event(None)]).await;
    assert_eq!(unknown[0], (50, Err(Unknown)));
    assert!(unknown.iter().all(|(_, evidence)| *evidence == Err(Unknown)), "in every window that is looked at");
    assert_eq!(due(vec![event(None), above(10)]).await, [], "the condition does not hold, whatever was emitted");
    assert_eq!(due(vec![event(None), every(11)]).await, [], "no slot that is looked at is a multiple of eleven");
    bench.chain().fails = vec!["eth_call"];
    let due = due(vec![event(None), above(1)]).await;
    assert_eq!(due, [(50, Err(Unknown))], "and in windows without an event it is a no");
    assert!(counted() > before);
}

#[tokio::test]
async fn a_workflow_with_a_count_executes_so_often_and_no_more() {
    let bench = Bench::new().await;
    let operator = bench.operator();
    // Its turns: every fifth slot, and nine is its number.
    let turns: Vec<Slot> = (300..340).filter(|slot| (slot + ID).is_multiple_of(5)).collect();
    let mut executed = Vec::new();
    for slot in 300..340 {
        let due = operator.due(slot, vec![every(1), limit(3, 0)]).await;
        if turns.contains(&slot) && executed.len() < 3 {
            assert_eq!(due, [(slot, Ok(vec![]))], "slot {slot}");
            // The second turn finds no quorum: nothing is spent.
            if slot != turns[1] {
                bench.chain().spent.push(slot);
                executed.push(slot);
            }
        } else {
            assert_eq!(due, [], "slot {slot}");
        }
    }
    assert_eq!(executed, [turns[0], turns[2], turns[3]]);
    assert_eq!(
        bench.operator().due(turns[6], vec![every(1), limit(3, 0)]).await,
        [],
        "for whoever was just started too"
    );
}

#[tokio::test]
async fn executions_keep_their_distance() {
    let bench = Bench::new().await;
    let operator = bench.operator();
    let mut executed = Vec::new();
    for slot in 300..360 {
        for (found, _) in operator.due(slot, vec![every(1), limit(0, 45)]).await {
            executed.push(found);
            bench.chain().spent.push(found);
        }
    }
    // 45 seconds are more than eleven slots, and turns come every fifth.
    assert_eq!(executed, [301, 316, 331, 346]);
}

#[tokio::test]
async fn what_fires_between_turns_is_served_at_the_next_and_once() {
    let bench = Bench::new().await;
    let operator = bench.operator();
    bench.chain().logs = vec![(window(303)[0], 1)];
    let triggers = || vec![event(None), limit(5, 0)];
    let mut due = Vec::new();
    for slot in 300..345 {
        due.extend(operator.due(slot, triggers()).await);
    }
    let served: Vec<Slot> = due.iter().map(|(slot, _)| *slot).collect();
    assert_eq!(served, [306, 311, 316, 321, 326, 331, 336], "not executed, it is tried within the bound");
    assert!(due.iter().all(|(_, evidence)| *evidence == Ok(vec![(0, window(303)[0])])));
    bench.chain().spent.push(306);
    for slot in 307..340 {
        assert_eq!(bench.operator().due(slot, triggers()).await, [], "slot {slot}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]
    /// An operator that ran all the time, and one started for each slot, against what the blocks say.
    #[test]
    fn events_and_conditions_as_the_blocks_have_them(
        logs in proptest::collection::btree_set(80u64..140, 0..12),
        oracle in proptest::collection::vec((80u64..140, 0u64..3), 0..6),
        forked in 90u64..130,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let bench = Bench::new().await;
            let old = bench.operator();
            let mut oracle = oracle.clone();
            oracle.sort_unstable();
            bench.chain().oracle = oracle.clone();
            bench.chain().logs = logs.iter().map(|block| (*block, 1)).collect();
            let says = |block: u64| oracle.iter().rev().find(|(from, _)| *from <= block).map_or(0, |(_, says)| *says);
            for slot in 45..70 {
                if slot == 60 {
                    bench.chain().fork = (forked, 1);
                }
                let triggers = || vec![event(None), above(0)];
                let due = old.due(slot, triggers()).await;
                prop_assert_eq!(&due, &bench.operator().due(slot, triggers()).await);
                let fires = |at: u64| {
                    let seen: Vec<_> = window(at).into_iter().filter(|block| logs.contains(block)).map(|block| (0, block)).collect();
                    let pin = window(at)[1];
                    let all = seen.iter().copied().chain([(1, pin)]).collect::<Vec<_>>();
                    (!seen.is_empty() && says(pin) > 0 && says(window(slot)[1]) > 0).then_some((at, Ok(all)))
                };
                let expected: Slots = (0..7).map(|attempt| slot - attempt * 5).filter_map(fires).collect();
                prop_assert_eq!(due, expected);
            }
            Ok(())
        })?;
    }
}
