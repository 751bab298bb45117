//! What endpoints are spared: batches, concurrency, rates.

use alloy::primitives::Address;
use ditto_core::chain::{Batcher, Rpc, RpcConfigError, RpcError};
use futures::future::join_all;

use crate::proxy::{Anvil, CHAIN, Mischief, Proxy};
use crate::{LONG, balance, config, number_at, rpc};

#[tokio::test]
async fn batches_are_cut_by_number_by_bytes_and_by_rate() {
    let anvil = Anvil::start(0).await;
    let proxy = Proxy::start(&anvil).await;
    let ask = async |config: ditto_core::chain::ChainConfig| {
        proxy.forget();
        let answers = rpc(&config).ask_all((1..=40).map(balance).collect()).await;
        assert!(answers.iter().all(Result::is_ok));
        assert_eq!(proxy.asked("eth_getBalance"), 40);
        // The check of the chain comes on top until one has passed it.
        proxy.batches().into_iter().max().unwrap()
    };
    let mut config = config(&[&proxy]);
    config.batch = 7;
    assert!(ask(config.clone()).await <= 8);
    config.batch = 100;
    config.limits.batch_bytes = balance(1).params.len() * 5;
    assert!(ask(config.clone()).await <= 6);
    config.limits.batch_bytes = 1;
    assert!(ask(config.clone()).await <= 2, "a request that is too large goes alone");
    config.limits.batch_bytes = 1 << 20;
    config.limits.requests_per_second = 20;
    assert!(ask(config.clone()).await <= 21, "a second's worth at most");
}

#[tokio::test]
async fn no_more_batches_are_under_way_than_allowed() {
    let anvil = Anvil::start(0).await;
    let proxy = Proxy::start(&anvil).await;
    let mut config = config(&[&proxy]);
    config.batch = 1;
    config.limits.concurrency = 3;
    let rpc = rpc(&config);
    let answers = rpc.ask_all((1..=60).map(balance).collect()).await;
    assert!(answers.iter().all(Result::is_ok));
    assert!((1..=3).contains(&proxy.most_under_way()), "{}", proxy.most_under_way());
}

#[tokio::test]
async fn many_askers_share_few_batches() {
    let anvil = Anvil::start(0).await;
    let proxy = Proxy::start(&anvil).await;
    let mut config = config(&[&proxy]);
    config.limits.batch_wait_us = 200_000;
    let node = Batcher::start(rpc(&config), 100);
    let answers = join_all((0..150).map(|byte| node.ask(balance(byte)))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert!(proxy.batches().len() <= 3, "{:?}", proxy.batches());
}

#[tokio::test]
async fn a_rate_limit_is_waited_for() {
    let anvil = Anvil::start(0).await;
    let proxy = Proxy::start(&anvil).await;
    for mischief in [
        Mischief::Status(429),
        Mischief::Refuses("eth_getBalance", -32005, "rate limit exceeded"),
        Mischief::Garbage(r#"{"jsonrpc":"2.0","id":null,"error":{"code":429,"message":"too many requests"}}"#.into()),
    ] {
        proxy.forget();
        proxy.be_for(3, mischief.clone());
        let answer = rpc(&config(&[&proxy])).ask(balance(1)).await;
        assert!(answer.is_ok(), "{mischief:?} {answer:?}");
        assert_eq!(proxy.asked("eth_getBalance"), 4, "{mischief:?}");
        proxy.be(mischief.clone());
        let mut config = config(&[&proxy]);
        config.limits.retries = 2;
        proxy.forget();
        let answer = rpc(&config).ask(balance(1)).await;
        assert!(matches!(answer, Err(RpcError::Transport { .. })), "{mischief:?} {answer:?}");
        assert_eq!(proxy.asked("eth_getBalance"), 3, "{mischief:?}: and no longer than configured");
    }
}

#[tokio::test]
async fn a_rate_limit_of_one_is_the_others_turn() {
    let anvil = Anvil::start(0).await;
    let (first, second) = (Proxy::start(&anvil).await, Proxy::start(&anvil).await);
    first.be(Mischief::Status(429));
    let mut config = config(&[&first, &second]);
    (config.limits.backoff_ms, config.limits.backoff_max_ms) = (60_000, 60_000);
    let rpc = rpc(&config);
    for _ in 0..5 {
        assert!(rpc.ask(balance(1)).await.is_ok());
    }
    assert_eq!((first.asked("eth_getBalance"), second.asked("eth_getBalance")), (1, 5), "it is left alone");
}

#[tokio::test]
async fn what_waited_too_long_or_for_nobody_is_not_asked() {
    let anvil = Anvil::start(0).await;
    let pin = anvil.mine(1).await;
    let proxy = Proxy::start(&anvil).await;
    let mut config = config(&[&proxy]);
    config.limits.concurrency = 1;
    config.limits.patience_ms = 1;
    config.limits.batch_wait_us = 50_000;
    let node = Batcher::start(rpc(&config), 100);
    let late = node.ask(number_at(Address::ZERO, pin.hash)).await;
    assert_eq!(late.unwrap_err(), RpcError::Late { chain: CHAIN });
    drop(tokio::time::timeout(std::time::Duration::from_millis(1), node.ask(balance(1))).await);
    // Whatever was asked before this has been gathered by now.
    drop(tokio::time::timeout(LONG, node.ask(balance(2))).await.unwrap());
    assert_eq!(proxy.requests(), 0);
}

#[test]
fn a_limit_that_leaves_nothing_is_named() {
    let config = || ditto_core::chain::ChainConfig::new(vec!["http://127.0.0.1:1".into()]);
    let refused = |config: &ditto_core::chain::ChainConfig| match Rpc::new(CHAIN, config) {
        Err(RpcConfigError::Limit { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    let mut none = config();
    none.batch = 0;
    assert_eq!(refused(&none), "batch");
    let mut none = config();
    none.limits.concurrency = 0;
    assert_eq!(refused(&none), "limits.concurrency");
    let mut none = config();
    none.limits.backoff_max_ms = 1;
    assert_eq!(refused(&none), "limits.backoff_max_ms");
    let mut none = config();
    none.rpc.clear();
    assert!(matches!(Rpc::new(CHAIN, &none), Err(RpcConfigError::NoEndpoint { .. })));
}
