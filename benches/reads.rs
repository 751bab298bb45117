//! How few requests a slot's reads cost the node: 500 workflows that share oracles, through cache and batcher to a real
//! anvil, beside one request per read. And what a slot's dry-runs cost it: 64 operations by the stage that builds them.
//! Writes `target/bench/reads.json`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../tests/build/fixture.rs"]
mod fixture;
#[path = "../core/tests/chain/proxy.rs"]
mod proxy;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy::primitives::{Address, B256, Bytes};
use ditto_core::chain::{Batcher, ChainConfig, Request, Rpc};
use ditto_core::proposal::Pin;
use ditto_operator::build::in_bursts;
use ditto_operator::simulate::{ReadCache, ReadsConfig};
use ditto_sandbox::{Read, ReadAnswer};
use fixture::Fixture;
use futures::future::join_all;
use proxy::{Anvil, CHAIN, Proxy};
use serde_json::{Value, json};

const WORKFLOWS: usize = 500;
/// Price feeds that the workflows share.
const ORACLES: usize = 20;
/// Feeds that each workflow reads, one after the other.
const READS: usize = 4;
const SLOTS: u64 = 8;

/// Operations of a slot, and how far apart their runs end: the pace of two cores.
const OPERATIONS: u64 = 64;
const APART: Duration = Duration::from_millis(2);

fn oracle(number: usize) -> Address {
    Address::from_word(B256::from(alloy::primitives::U256::from(0xacc0_0000_usize + number)))
}

/// What a workflow reads: a few of the feeds, and if it has money of its own, that.
fn reads(workflow: usize, private: bool) -> Vec<Read> {
    let feed = |read: usize| Read::Call {
        to: oracle((workflow * 7 + read * 3) % ORACLES),
        data: Bytes::from_static(&[0xfe, 0xaf, 0x96, 0x8c]),
    };
    let mut reads: Vec<_> = (0..READS).map(feed).collect();
    if private {
        reads.push(Read::Balance { address: oracle(1_000 + workflow) });
    }
    reads
}

#[derive(Default)]
struct Measured {
    requests: Vec<f64>,
    batches: Vec<f64>,
    /// Milliseconds from the pin to the last answer of a slot.
    slots: Vec<f64>,
    /// Microseconds of each read.
    latencies: Vec<f64>,
}

fn at(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

struct Stack {
    anvil: Anvil,
    proxy: Proxy,
    rpc: Arc<Rpc>,
    seconds: u64,
}

impl Stack {
    async fn start() -> Self {
        let anvil = Anvil::start(0).await;
        for number in 0..ORACLES {
            anvil.set_block_number(oracle(number)).await;
        }
        let proxy = Proxy::start(&anvil).await;
        let rpc = Arc::new(Rpc::new(CHAIN, &ChainConfig::new(vec![proxy.url.as_str().into()])).unwrap());
        // The check of the chain is no part of any slot.
        rpc.ask(Request::block(0)).await.unwrap();
        Self { anvil, proxy, rpc, seconds: 0 }
    }

    async fn pin(&mut self) -> Pin {
        self.seconds += 12;
        let block = self.anvil.mine(self.seconds).await;
        self.proxy.forget();
        Pin { chain_id: CHAIN, number: block.number, hash: block.hash }
    }

    fn note(&self, measured: &mut Measured, slot: Duration, latencies: Vec<Vec<f64>>) {
        measured.requests.push(self.proxy.requests() as f64);
        measured.batches.push(self.proxy.batches().len() as f64);
        measured.slots.push(slot.as_secs_f64() * 1e3);
        measured.latencies.extend(latencies.into_iter().flatten());
    }

    /// As an operator reads: one cache, runs that wait for each other's answers, last slot's reads ahead.
    async fn cached(&mut self, private: bool) -> Measured {
        let chains = BTreeMap::from([(CHAIN, Batcher::start(self.rpc.clone(), 100))]);
        let cache = ReadCache::new(Arc::new(chains), &ReadsConfig::default());
        let mut measured = Measured::default();
        for slot in 0..SLOTS {
            let pin = self.pin().await;
            let began = Instant::now();
            let ahead = tokio::spawn({
                let cache = cache.clone();
                async move { cache.prefetch(slot, pin).await }
            });
            let slot_reads = Arc::new(cache.slot(slot, &[pin]));
            let runs = (0..WORKFLOWS).map(|workflow| {
                let slot_reads = slot_reads.clone();
                tokio::spawn(async move {
                    let mut latencies = Vec::with_capacity(READS + 1);
                    for read in reads(workflow, private) {
                        let asked = Instant::now();
                        let answer = slot_reads.read(CHAIN, read).await;
                        assert!(matches!(answer, ReadAnswer::Ok(_)), "{answer:?}");
                        latencies.push(asked.elapsed().as_secs_f64() * 1e6);
                    }
                    latencies
                })
            });
            let latencies = join_all(runs.collect::<Vec<_>>()).await.into_iter().map(Result::unwrap).collect();
            let slot_time = began.elapsed();
            ahead.await.unwrap();
            self.note(&mut measured, slot_time, latencies);
        }
        measured
    }

    /// One HTTP request for every read, as many at once as the endpoint's limits allow.
    async fn one_by_one(&mut self, private: bool) -> Measured {
        let mut measured = Measured::default();
        for _ in 0..SLOTS {
            let pin = self.pin().await;
            let began = Instant::now();
            let runs = (0..WORKFLOWS).map(|workflow| {
                let rpc = self.rpc.clone();
                tokio::spawn(async move {
                    let mut latencies = Vec::with_capacity(READS + 1);
                    for read in reads(workflow, private) {
                        let request = match read {
                            Read::Call { to, data } => Request::call(to, &data, pin.hash),
                            Read::Balance { address } => {
                                Request::new("eth_getBalance", &json!([address, ditto_core::chain::at(pin.hash)]))
                            }
                            _ => unreachable!("workflows of this bench make no other reads"),
                        };
                        let asked = Instant::now();
                        rpc.ask(request).await.unwrap();
                        latencies.push(asked.elapsed().as_secs_f64() * 1e6);
                    }
                    latencies
                })
            });
            let latencies = join_all(runs.collect::<Vec<_>>()).await.into_iter().map(Result::unwrap).collect();
            let slot_time = began.elapsed();
            self.note(&mut measured, slot_time, latencies);
        }
        measured
    }
}

/// A slot's operations through the stage, asking the node by this batcher.
async fn operations(fixture: &Fixture, node: Batcher) -> Measured {
    let stage = Arc::new(fixture.stage(node));
    let mut measured = Measured::default();
    for slot in 0..=SLOTS {
        let mut runs = Vec::new();
        for id in 0..OPERATIONS {
            runs.push(fixture.run(id).await);
        }
        fixture.proxy.forget();
        let began = Instant::now();
        let ended = tokio::time::Instant::now();
        let built = (0..).zip(runs).map(|(number, run)| {
            let stage = stage.clone();
            tokio::spawn(async move {
                tokio::time::sleep_until(ended + APART * number).await;
                stage.build(run).await
            })
        });
        for label in join_all(built.collect::<Vec<_>>()).await {
            assert_eq!(label.unwrap(), "operation");
        }
        // The first slot reads the policy, and opens connections.
        if slot > 0 {
            measured.requests.push(fixture.proxy.asked("eth_call") as f64);
            measured.batches.push(fixture.proxy.batches().len() as f64);
            measured.slots.push(began.elapsed().as_secs_f64() * 1e3);
        }
    }
    measured
}

fn row(name: &str, unit: &str, value: f64, peer: f64, note: &str) -> Value {
    json!({
        "name": name, "value": value, "unit": unit, "peer": "one request per read", "peer_value": peer,
        "ratio": peer / value, "note": note,
    })
}

fn main() {
    // cargo passes flags that ask a test harness for things.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let rows = runtime.block_on(async {
        let mut stack = Stack::start().await;
        let mut rows = Vec::new();
        for (suffix, private) in [("", false), (".with_a_private_read", true)] {
            let ours = stack.cached(private).await;
            let peer = stack.one_by_one(private).await;
            let reads = WORKFLOWS * (READS + usize::from(private));
            let what = format!(
                "{WORKFLOWS} workflows, {reads} reads a slot of {ORACLES} shared feeds{}; ratio: peer / ours",
                if private { " and of 500 balances that nobody shares" } else { "" }
            );
            let name = |stem: &str| format!("reads.{stem}{suffix}");
            rows.push(row(
                &name("node_requests_per_slot"),
                "JSON-RPC requests",
                at(&ours.requests, 0.5),
                at(&peer.requests, 0.5),
                &what,
            ));
            rows.push(row(
                &name("http_requests_per_slot"),
                "HTTP requests",
                at(&ours.batches, 0.5),
                at(&peer.batches, 0.5),
                &what,
            ));
            rows.push(row(
                &name("slot_ms"),
                "ms from the pin to the last answer, median of slots",
                at(&ours.slots, 0.5),
                at(&peer.slots, 0.5),
                &what,
            ));
            for (stem, share) in [("latency_p50_us", 0.5), ("latency_p99_us", 0.99)] {
                let (ours, peer) = (at(&ours.latencies, share), at(&peer.latencies, share));
                rows.push(row(&name(stem), "us a read, waiting for a place included", ours, peer, &what));
            }
        }
        let fixture = Fixture::start().await;
        let shared = Batcher::start(fixture.rpc.clone(), 100);
        let (ours, peer) = (operations(&fixture, in_bursts(&shared)).await, operations(&fixture, shared.clone()).await);
        let what = format!(
            "{OPERATIONS} operations a slot whose runs end {} ms apart; peer: the batcher of reads (1 ms), as it was; \
             ratio: peer / ours",
            APART.as_millis()
        );
        for (name, unit, ours, peer) in [
            ("build.http_requests_per_slot", "HTTP requests", &ours.batches, &peer.batches),
            ("build.eth_calls_per_slot", "eth_calls", &ours.requests, &peer.requests),
            ("build.slot_ms", "ms from the first run's end to the last operation", &ours.slots, &peer.slots),
        ] {
            let (ours, peer) = (at(ours, 0.5), at(peer, 0.5));
            rows.push(json!({
                "name": name, "value": ours, "unit": unit, "peer": "the batcher of reads", "peer_value": peer,
                "ratio": peer / ours, "note": what,
            }));
        }
        rows
    });
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("reads.json"), serde_json::to_string_pretty(&rows).unwrap()).unwrap();
    for row in &rows {
        println!("{} {:.1} ({:.1}): {:.1} times", row["name"], row["value"], row["peer_value"], row["ratio"]);
    }
    let ratio = rows[0]["ratio"].as_f64().unwrap();
    assert!(ratio >= 20.0, "only {ratio:.1} times fewer requests than one per read");
}
