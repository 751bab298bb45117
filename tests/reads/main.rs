//! What runs read, from the sandbox through cache and batcher to a real chain.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../../core/tests/chain/proxy.rs"]
mod proxy;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes};
use ditto_core::chain::{Batcher, ChainConfig, Heads, Rpc, RpcLimits};
use ditto_core::clock::{Clock, SlotClock, SlotSchedule};
use ditto_core::proposal::Pin;
use ditto_operator::simulate::{ReadCache, Reader, ReadsConfig, prefetch};
use ditto_sandbox::{BLOCK_FIELDS, Input, Job, Limits, Outcome, Read, ReadAnswer, Report, Sandbox, SandboxConfig};
use futures::future::join_all;
use proxy::{Anvil, CHAIN, GENESIS, Mischief, Proxy};
use tokio_util::sync::CancellationToken;

/// No wait in a test is longer.
const LONG: Duration = Duration::from_secs(60);
const ORACLE: Address = Address::repeat_byte(0xcc);

struct Stack {
    anvil: Anvil,
    proxy: Proxy,
    rpc: Arc<Rpc>,
    cache: Arc<ReadCache>,
    pin: Pin,
}

fn cache(rpc: &Arc<Rpc>) -> Arc<ReadCache> {
    let chains = BTreeMap::from([(CHAIN, Batcher::start(rpc.clone(), 100))]);
    ReadCache::new(Arc::new(chains), &ReadsConfig::default())
}

async fn stack() -> Stack {
    let anvil = Anvil::start(0).await;
    anvil.set_block_number(ORACLE).await;
    let block = anvil.mine(10).await;
    let proxy = Proxy::start(&anvil).await;
    let mut config = ChainConfig::new(vec![proxy.url.as_str().into()]);
    config.timeout_ms = 30_000;
    config.limits = RpcLimits { backoff_ms: 1, backoff_max_ms: 20, batch_wait_us: 20_000, ..config.limits };
    let rpc = Arc::new(Rpc::new(CHAIN, &config).unwrap());
    let pin = Pin { chain_id: CHAIN, number: block.number, hash: block.hash };
    Stack { anvil, proxy, cache: cache(&rpc), rpc, pin }
}

fn call(data: u8) -> Read {
    Read::Call { to: ORACLE, data: Bytes::from(vec![data]) }
}

fn word(number: u64) -> ReadAnswer {
    ReadAnswer::Ok(format!("\"{}\"", B256::from(alloy::primitives::U256::from(number))))
}

#[tokio::test]
async fn identical_reads_of_all_runs_go_to_the_node_once() {
    let stack = stack().await;
    // Two slots that share a pin, as on a chain with long block times.
    let slots = [1, 2].map(|slot| Arc::new(stack.cache.slot(slot, &[stack.pin])));
    stack.proxy.be(Mischief::Held);
    let runs = (0..500usize).map(|run| {
        let reads = slots[run % 2].clone();
        tokio::spawn(async move { reads.read(CHAIN, call((run % 10) as u8)).await })
    });
    let runs: Vec<_> = runs.collect();
    while stack.proxy.requests() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    stack.proxy.release();
    for answer in join_all(runs).await {
        assert_eq!(answer.unwrap(), word(1));
    }
    assert_eq!(stack.proxy.asked("eth_call"), 10);
    assert!(stack.proxy.batches().len() <= 3, "{:?}", stack.proxy.batches());
}

#[tokio::test]
async fn a_failure_is_shared_and_forgotten_and_a_revert_is_an_answer() {
    let stack = stack().await;
    let reads = stack.cache.slot(1, &[stack.pin]);
    stack.proxy.be(Mischief::Refuses("eth_call", -32000, "header not found"));
    for answer in join_all((0..100).map(|_| reads.read(CHAIN, call(1)))).await {
        assert_eq!(answer, ReadAnswer::Failed);
    }
    assert_eq!(stack.proxy.asked("eth_call"), 1, "nobody who waited asks again");
    stack.proxy.be(Mischief::None);
    assert_eq!(reads.read(CHAIN, call(1)).await, word(1));
    assert_eq!(stack.proxy.asked("eth_call"), 2);

    // PUSH1 0xab, PUSH1 0, MSTORE8, PUSH1 1, PUSH1 0, REVERT; and INVALID.
    for (at, code, reverted) in [(0x51, "0x60ab60005360016000fd", vec![0xab]), (0x52, "0xfe", vec![])] {
        let to = Address::repeat_byte(at);
        stack.anvil.ask("anvil_setCode", serde_json::json!([to, code])).await;
        stack.proxy.forget();
        for _ in 0..3 {
            let answer = reads.read(CHAIN, Read::Call { to, data: Bytes::new() }).await;
            assert_eq!(answer, ReadAnswer::Reverted(reverted.clone()));
        }
        assert_eq!(stack.proxy.asked("eth_call"), 1);
    }
}

#[tokio::test]
async fn blocks_and_logs_at_the_pin_and_null_beyond_it() {
    let stack = stack().await;
    let topic = B256::repeat_byte(0xaa);
    stack.anvil.emit(topic).await;
    let block = stack.anvil.block("latest").await;
    stack.anvil.emit(topic).await;
    let pin = Pin { chain_id: CHAIN, number: block.number, hash: block.hash };
    let reads = stack.cache.slot(1, &[pin]);
    let read = async |read: Read| match reads.read(CHAIN, read).await {
        ReadAnswer::Ok(json) => serde_json::from_str::<serde_json::Value>(&json).unwrap(),
        other => panic!("{other:?}"),
    };
    let quantity = |number: u64| serde_json::json!(format!("{number:#x}"));
    assert_eq!(read(Read::BlockNumber).await, quantity(pin.number));
    for number in [None, Some(pin.number), Some(pin.number - 1), Some(0)] {
        let block = read(Read::Block { number }).await;
        assert_eq!(block["number"], quantity(number.unwrap_or(pin.number)));
        assert_eq!(block.as_object().unwrap().len(), BLOCK_FIELDS.len());
    }
    assert!(read(Read::Block { number: Some(pin.number + 1) }).await.is_null());
    let emitter = stack.anvil.ask("eth_getLogs", serde_json::json!([{ "fromBlock": "0x0" }])).await;
    let address: Vec<Address> =
        (0..2).map(|log| serde_json::from_value(emitter[log]["address"].clone()).unwrap()).collect();
    let logs =
        |from_block, to_block| Read::Logs { address: address.clone(), topics: vec![vec![topic]], from_block, to_block };
    assert_eq!(read(logs(Some(0), None)).await.as_array().unwrap().len(), 1, "the second is beyond the pin");
    assert!(read(logs(Some(0), Some(pin.number + 1))).await.is_null());
    assert_eq!(read(logs(Some(0), Some(0))).await, serde_json::json!([]));
}

/// A clock that tests set.
#[derive(Default)]
struct Hand(AtomicU64);

impl Clock for Hand {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn the_next_slots_block_is_read_when_it_arrives() {
    let stack = stack().await;
    let schedule = SlotSchedule { genesis_seconds: GENESIS, slot_seconds: 1_000 };
    let hand = Arc::new(Hand::default());
    hand.0.store((GENESIS + 5) * 1_000, Ordering::SeqCst);
    let clock = SlotClock::new(schedule, hand.clone());
    let stop = CancellationToken::new();
    let heads = Heads::follow(stack.rpc.clone(), Duration::from_millis(10), stop.clone());
    let reads = stack.cache.slot(0, &[stack.pin]);
    assert_eq!(reads.read(CHAIN, call(1)).await, word(1));
    tokio::spawn(prefetch::follow(stack.cache.clone(), clock, CHAIN, 1, heads.clone(), stop.clone()));

    // Slot 1 begins a thousand seconds after genesis. Its pin is the block before, and known with the one after.
    let block = stack.anvil.mine(900).await;
    stack.anvil.mine(1_000).await;
    let count = || stack.proxy.asked("eth_call");
    tokio::time::timeout(LONG, async {
        while count() < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .expect("nothing is read ahead");
    let pin = Pin { chain_id: CHAIN, number: block.number, hash: block.hash };
    assert_eq!(stack.cache.slot(1, &[pin]).read(CHAIN, call(1)).await, word(block.number));
    assert_eq!(count(), 2, "the run found it");
    stop.cancel();
}

const READS_ONE: &str = r#"
import { defineWorkflow } from "@ditto/workflow";
export default defineWorkflow({
  async run(ctx) {
    const { data } = await ctx.chain(31337).call({ to: "0xcccccccccccccccccccccccccccccccccccccccc", data: "0x01" });
    return [{ to: ctx.account, value: 0n, data }];
  },
});
"#;
const COMPUTES: &str = r#"
import { defineWorkflow } from "@ditto/workflow";
export default defineWorkflow({ async run(ctx) { let sum = 0; for (let i = 0; i < 1000; i++) sum += i; } });
"#;

fn job(code: &str) -> Job {
    let input = Input {
        workflow: "1".into(),
        occurrence: "1".into(),
        account: Address::ZERO.to_string(),
        slot: 1,
        timestamp_ms: 0,
        seed: [0; 32],
        args_json: "{}".into(),
        chains: vec![CHAIN],
    };
    Job { code: code.as_bytes().into(), input, limits: Limits { wall_ms: 60_000, ..Limits::default() } }
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_that_wait_for_a_read_hold_no_core_and_share_it() {
    let stack = stack().await;
    let config = SandboxConfig {
        workers: 1,
        running_per_worker: 1,
        program: Some(env!("CARGO_BIN_EXE_ditto-operator").into()),
        ..SandboxConfig::default()
    };
    let sandbox = Sandbox::start(config).unwrap();
    let reads = Arc::new(stack.cache.slot(1, &[stack.pin]));
    let submit = |code: &str| {
        let (sender, report) = tokio::sync::oneshot::channel::<Report>();
        let reader = Arc::new(Reader { reads: reads.clone(), runtime: tokio::runtime::Handle::current() });
        sandbox.submit(job(code), reader, Box::new(move |report| drop(sender.send(report)))).unwrap();
        report
    };
    stack.proxy.be(Mischief::Held);
    let waiting: Vec<_> = (0..20).map(|_| submit(READS_ONE)).collect();
    tokio::time::timeout(LONG, async {
        while stack.proxy.requests() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .expect("no run asks");
    // The worker runs one at a time, and all before this one wait: it would never have its turn.
    let computed = tokio::time::timeout(LONG, submit(COMPUTES)).await.expect("the core is held").unwrap();
    assert_eq!(computed.outcome, Outcome::NothingToDo, "{computed:?}");
    stack.proxy.release();
    let mut digests = Vec::new();
    for report in waiting {
        let report = tokio::time::timeout(LONG, report).await.unwrap().unwrap();
        let Outcome::Calls(calls) = &report.outcome else { panic!("{report:?}") };
        assert_eq!(calls[0].data, B256::with_last_byte(1).to_vec());
        digests.push(report.reads);
    }
    assert!(digests.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(stack.proxy.asked("eth_call"), 1);
    sandbox.shutdown();
}
