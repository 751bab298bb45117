//! Endpoints that are down, lag, are on another fork or another chain.

use alloy::primitives::{Address, B256};
use ditto_core::chain::{Batcher, Heads, Rpc, RpcConfigError, RpcError};
use ditto_core::telemetry::measured;
use tokio_util::sync::CancellationToken;

use crate::proxy::{Anvil, GENESIS, Mischief, Proxy};
use crate::{LONG, config, number, number_at, rpc};

const CONTRACT: Address = Address::repeat_byte(0xcc);

/// Two chains with the same numbers and times, other hashes, and a contract that tells them apart.
async fn forks() -> [Anvil; 2] {
    let forks = [Anvil::start(0).await, Anvil::start(1).await];
    for (anvil, number) in forks.iter().zip([10, 20]) {
        anvil.set_number(CONTRACT, number).await;
        anvil.mine(10).await;
        anvil.mine(20).await;
    }
    forks
}

fn stop() -> (CancellationToken, tokio_util::sync::DropGuard) {
    let stop = CancellationToken::new();
    (stop.clone(), stop.drop_guard())
}

#[tokio::test]
async fn the_block_of_most_is_the_pin_and_nobody_elses_is_read() {
    let outvoted = || measured("ditto_rpc_pins_outvoted_total", &[("chain", "31337")]);
    let aside = || measured("ditto_rpc_set_aside_total", &[("reason", "contradicts")]);
    let before = (outvoted(), aside());
    let [ours, theirs] = forks().await;
    let pin = ours.block("0x1").await;
    for wrong in 0..3 {
        let mut proxies = Vec::new();
        for at in 0..3 {
            proxies.push(Proxy::start(if at == wrong { &theirs } else { &ours }).await);
        }
        let all: Vec<_> = proxies.iter().collect();
        let rpc = rpc(&config(&all));
        let (stopping, _guard) = stop();
        let heads = Heads::follow(rpc.clone(), std::time::Duration::from_millis(20), stopping);
        let head = tokio::time::timeout(LONG, heads.pin(GENESIS + 15)).await.unwrap().unwrap();
        assert_eq!((head.number, head.hash), (pin.number, pin.hash), "with {wrong} on another fork");
        proxies[wrong].forget();
        let node = Batcher::start(rpc, 10);
        for _ in 0..20 {
            assert_eq!(number(&node.ask(number_at(CONTRACT, head.hash)).await), 10);
        }
        assert_eq!(proxies[wrong].asked("eth_call"), 0);
    }
    assert!(outvoted() > before.0 && aside() >= before.1 + 3.0);
}

#[tokio::test]
async fn where_two_disagree_the_first_is_right() {
    let [ours, theirs] = forks().await;
    let (first, second) = (Proxy::start(&ours).await, Proxy::start(&theirs).await);
    let rpc = rpc(&config(&[&first, &second]));
    assert!(rpc.agree(ours.block("0x1").await).await);
    assert!(!rpc.agree(theirs.block("0x2").await).await);
    // The second is aside for the first's block, even while the first does not answer.
    first.be(Mischief::Status(500));
    second.forget();
    let answer = rpc.ask(number_at(CONTRACT, ours.block("0x1").await.hash)).await;
    assert!(answer.is_err(), "{answer:?}");
    assert_eq!(second.asked("eth_call"), 0);
}

#[tokio::test]
async fn one_that_is_down_has_no_vote_and_one_that_lags_does_not_decide() {
    let [ours, theirs] = forks().await;
    let lagging = Anvil::start(0).await;
    let (first, second, third) = (Proxy::start(&ours).await, Proxy::start(&theirs).await, Proxy::start(&lagging).await);
    second.be(Mischief::Status(500));
    let rpc = rpc(&config(&[&third, &second, &first]));
    let pin = ours.block("0x2").await;
    assert!(rpc.agree(pin).await);
    third.forget();
    assert_eq!(number(&rpc.ask(number_at(CONTRACT, pin.hash)).await), 10);
    assert_eq!(third.asked("eth_call"), 0, "it does not have the block");
}

#[tokio::test]
async fn one_that_does_not_answer_in_time_holds_nobody_up() {
    let [ours, theirs] = forks().await;
    let (first, second) = (Proxy::start(&ours).await, Proxy::start(&theirs).await);
    second.be(Mischief::Held);
    let mut config = config(&[&first, &second]);
    config.limits.agree_ms = 1;
    let agreed = tokio::time::timeout(LONG, rpc(&config).agree(ours.block("0x1").await)).await;
    assert_eq!(agreed, Ok(true));
    second.release();
}

#[tokio::test]
async fn without_a_vote_another_fork_still_gives_no_answers() {
    // Nobody asked the endpoints to agree: reads by hash, and by number, guard themselves.
    let [ours, theirs] = forks().await;
    let (first, second) = (Proxy::start(&theirs).await, Proxy::start(&ours).await);
    let pin = ours.block("0x1").await;
    let both = rpc(&config(&[&first, &second]));
    assert_eq!(number(&both.ask(number_at(CONTRACT, pin.hash)).await), 10);
    let by_number = ditto_core::chain::Request::block(0).anchored(ditto_core::chain::Anchor::Chain(pin));
    let answer = both.ask(by_number.clone()).await.unwrap();
    assert!(answer.get().contains(&ours.block("0x0").await.hash.to_string()));
    let alone = rpc(&config(&[&first]));
    assert_eq!(alone.ask(by_number).await.unwrap_err(), RpcError::NoBlock { chain: 31_337, block: pin.hash });
    assert!(matches!(alone.ask(number_at(CONTRACT, pin.hash)).await, Err(RpcError::Node { .. })));
}

#[tokio::test]
async fn an_endpoint_may_come_up_later() {
    let anvil = Anvil::start(0).await;
    let port = ditto_core::ports::free_port().unwrap();
    let endpoint = format!("127.0.0.1:{port}");
    let up = || measured("ditto_rpc_endpoint_up", &[("endpoint", &endpoint)]);
    let failures = || measured("ditto_rpc_failures_total", &[("endpoint", &endpoint), ("kind", "unreachable")]);
    assert!(failures() < 0.5);
    let mut config = config(&[]);
    config.rpc = vec![format!("http://{endpoint}").as_str().into()];
    let rpc = rpc(&config);
    rpc.check_chain_ids().await.unwrap();
    assert!(matches!(rpc.ask(number_at(CONTRACT, B256::ZERO)).await, Err(RpcError::Transport { .. })));
    assert!(up() < 0.5 && failures() > 0.5, "{} up, {} failures", up(), failures());
    let (stopping, _guard) = stop();
    let mut heads = Heads::follow(rpc, std::time::Duration::from_millis(10), stopping);
    let _proxy = Proxy::start_at(&anvil, port).await;
    assert!(tokio::time::timeout(LONG, heads.changed()).await.unwrap());
    assert_eq!(heads.latest().unwrap().number, 0);
    assert!(up() > 0.5);
}

#[tokio::test]
async fn an_endpoint_of_another_chain_is_an_error_at_the_start_and_never_used_later() {
    let anvil = Anvil::start(0).await;
    let (first, second) = (Proxy::start(&anvil).await, Proxy::start(&anvil).await);
    first.be(Mischief::ChainId(5));
    let both = rpc(&config(&[&first, &second]));
    let RpcConfigError::WrongChain { found: 5, expected: 31_337, endpoint } = both.check_chain_ids().await.unwrap_err()
    else {
        panic!("another error");
    };
    assert_eq!(format!("http://{endpoint}"), first.url);
    assert!(both.ask(ditto_core::chain::Request::new("eth_blockNumber", &serde_json::json!([]))).await.is_ok());
    assert_eq!(second.asked("eth_blockNumber"), 1);
    let alone: std::sync::Arc<Rpc> = rpc(&config(&[&first]));
    let error = alone.ask(number_at(CONTRACT, B256::ZERO)).await.unwrap_err();
    assert!(error.to_string().contains("it is on chain 5"), "{error}");
}
