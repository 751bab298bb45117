//! Logs of a range, from a real chain.

use alloy::primitives::{B256, b256};
use ditto_core::chain::{Batcher, LogFilter, RpcError};

use crate::proxy::{Anvil, Mischief, Proxy};
use crate::{config, rpc};

const TOPIC: B256 = b256!("00000000000000000000000000000000000000000000000000000000000000aa");
const OTHER: B256 = b256!("00000000000000000000000000000000000000000000000000000000000000bb");

fn filter(from: u64, to: u64) -> LogFilter {
    LogFilter { address: vec![], topics: vec![vec![TOPIC]], from, to }
}

/// Logs of [`TOPIC`] in the blocks 1 to 12, but for every third, which has one of [`OTHER`].
async fn chain() -> Anvil {
    let anvil = Anvil::start(0).await;
    for block in 1..=12 {
        anvil.emit(if block % 3 == 0 { OTHER } else { TOPIC }).await;
    }
    anvil
}

#[tokio::test]
async fn a_range_is_read_in_parts_and_in_smaller_ones_where_the_node_refuses() {
    let anvil = chain().await;
    let pin = anvil.block("0xb").await;
    let proxy = Proxy::start(&anvil).await;
    let mut expected: Option<Vec<_>> = None;
    for (blocks, ranges) in [(2_000, 2_000), (5, 2_000), (1, 2_000), (2_000, 3), (5, 1)] {
        proxy.be(Mischief::ShortRanges(ranges));
        proxy.forget();
        let mut config = config(&[&proxy]);
        config.limits.log_blocks = blocks;
        let node = Batcher::start(rpc(&config), 100);
        let logs = node.logs(pin, &filter(1, 11)).await.unwrap();
        let found: Vec<_> = logs.iter().map(|log| log.block_number).collect();
        assert_eq!(found, [1, 2, 4, 5, 7, 8, 10, 11], "parts of {blocks}, at most {ranges}");
        assert!(logs.iter().all(|log| log.topics == [TOPIC]));
        assert_eq!(*expected.get_or_insert_with(|| logs.clone()), logs, "the same however it is cut");
        assert!(proxy.asked("eth_getLogs") <= 32, "{}", proxy.asked("eth_getLogs"));
    }
}

#[tokio::test]
async fn a_node_that_refuses_single_blocks_is_given_up_soon() {
    let anvil = chain().await;
    let pin = anvil.block("0xb").await;
    let proxy = Proxy::start(&anvil).await;
    proxy.be(Mischief::Refuses("eth_getLogs", -32601, "method not found"));
    let node = Batcher::start(rpc(&config(&[&proxy])), 100);
    assert!(matches!(node.logs(pin, &filter(1, 11)).await, Err(RpcError::Node { .. })));
    assert!(proxy.asked("eth_getLogs") <= 5, "{}", proxy.asked("eth_getLogs"));
}

#[tokio::test]
async fn many_small_answers_are_no_more_than_one_large_one_may_be() {
    let anvil = chain().await;
    for _ in 0..20 {
        anvil.emit(TOPIC).await;
    }
    let pin = anvil.block("latest").await;
    let proxy = Proxy::start(&anvil).await;
    let mut config = config(&[&proxy]);
    config.limits.log_blocks = 1;
    // Two blocks that show the pin, and a log or two.
    config.limits.response_bytes = 5_500;
    config.batch = 3;
    let node = Batcher::start(rpc(&config), 100);
    assert_eq!(node.logs(pin, &filter(1, 2)).await.unwrap().len(), 2);
    let all = LogFilter { topics: vec![], ..filter(1, pin.number) };
    let error = node.logs(pin, &all).await.unwrap_err();
    assert_eq!(error, RpcError::TooLarge { chain: 31_337, limit: 5_500 });
}

#[tokio::test]
async fn another_forks_logs_are_not_believed() {
    let (ours, theirs) = (chain().await, Anvil::start(1).await);
    for _ in 1..=12 {
        theirs.emit(TOPIC).await;
    }
    let pin = ours.block("0xb").await;
    let (first, second) = (Proxy::start(&theirs).await, Proxy::start(&ours).await);
    let both = Batcher::start(rpc(&config(&[&first, &second])), 100);
    assert_eq!(both.logs(pin, &filter(1, 11)).await.unwrap().len(), 8);
    let alone = Batcher::start(rpc(&config(&[&first])), 100);
    assert_eq!(
        alone.logs(pin, &filter(1, 11)).await.unwrap_err(),
        RpcError::NoBlock { chain: 31_337, block: pin.hash }
    );
    // One that has not come so far yet gives no error by itself, only fewer logs.
    let lagging = Proxy::start(&Anvil::start(0).await).await;
    let alone = Batcher::start(rpc(&config(&[&lagging])), 100);
    assert!(alone.logs(pin, &filter(1, 11)).await.is_err());
}
