//! Answers that are late, wrong, too long, or not there.

use alloy::primitives::{Address, B256, U256};
use ditto_core::chain::{Anchor, Batcher, Request, RpcError, at};
use serde_json::json;

use crate::proxy::{Anvil, Mischief, Proxy};
use crate::{balance, config, number, number_at, rpc};

async fn set(anvil: &Anvil, count: u8) {
    for byte in 1..=count {
        let wei = format!("0x{byte:x}");
        anvil.ask("anvil_setBalance", json!([Address::repeat_byte(byte), wei])).await;
    }
}

fn balances(answers: &[ditto_core::chain::Answer]) -> Vec<Option<u8>> {
    let wei = |answer: &ditto_core::chain::Answer| {
        Some(serde_json::from_str::<U256>(answer.as_ref().ok()?.get()).unwrap().to::<u8>())
    };
    answers.iter().map(wei).collect()
}

#[tokio::test]
async fn answers_out_of_order_find_their_requests() {
    let anvil = Anvil::start(0).await;
    set(&anvil, 20).await;
    let proxy = Proxy::start(&anvil).await;
    proxy.be(Mischief::Reversed);
    let answers = rpc(&config(&[&proxy])).ask_all((1..=20).map(balance).collect()).await;
    assert_eq!(balances(&answers), (1..=20).map(Some).collect::<Vec<_>>());
    assert_eq!(proxy.batches(), [21], "one batch, with the check of the chain");
}

#[tokio::test]
async fn what_is_missing_or_said_twice_is_asked_of_the_next() {
    let anvil = Anvil::start(0).await;
    set(&anvil, 3).await;
    let pin = anvil.mine(1).await;
    let (first, second) = (Proxy::start(&anvil).await, Proxy::start(&anvil).await);
    let pinned = |byte: u8| {
        Request::new("eth_getBalance", &json!([Address::repeat_byte(byte), at(pin.hash)]))
            .anchored(Anchor::Hash(pin.hash))
    };
    for mischief in [
        Mischief::Silent("eth_getBalance"),
        Mischief::Twice,
        Mischief::Null("eth_getBalance"),
        Mischief::Garbage("[{\"jsonrpc\":".into()),
        Mischief::Garbage("<html>".into()),
        Mischief::Garbage("[]".into()),
        Mischief::Garbage("null".into()),
        Mischief::Status(503),
        Mischief::Status(301),
        Mischief::Refuses("eth_getBalance", -32000, "header not found"),
        Mischief::ChainId(5),
    ] {
        first.be(mischief.clone());
        second.forget();
        let both = rpc(&config(&[&first, &second]));
        let answers = both.ask_all((1..=3).map(pinned).collect()).await;
        assert_eq!(balances(&answers), [Some(1), Some(2), Some(3)], "{mischief:?}");
        assert_eq!(second.asked("eth_getBalance"), 3, "{mischief:?}");

        let alone = rpc(&config(&[&first]));
        for answer in alone.ask_all((1..=3).map(pinned).collect()).await {
            assert!(answer.is_err(), "{mischief:?} {answer:?}");
        }
    }
}

#[tokio::test]
async fn what_was_asked_together_is_answered_by_one() {
    let anvil = Anvil::start(0).await;
    let (first, second) = (Proxy::start(&anvil).await, Proxy::start(&anvil).await);
    first.be(Mischief::Silent("eth_getBalance"));
    let requests = vec![Request::new("eth_blockNumber", &json!([])), balance(1)];
    let answers = rpc(&config(&[&first, &second])).ask_all(requests).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!((second.asked("eth_blockNumber"), second.asked("eth_getBalance")), (1, 1));
}

#[tokio::test]
async fn a_nodes_error_is_final_for_what_is_of_no_block() {
    let anvil = Anvil::start(0).await;
    let (first, second) = (Proxy::start(&anvil).await, Proxy::start(&anvil).await);
    first.be(Mischief::Refuses("eth_sendRawTransaction", -32000, "nonce too low"));
    let sent = Request::new("eth_sendRawTransaction", &json!(["0x00"]));
    let answer = rpc(&config(&[&first, &second])).ask(sent).await;
    assert!(matches!(answer, Err(RpcError::Node { code: -32000, .. })), "{answer:?}");
    assert_eq!(second.asked("eth_sendRawTransaction"), 0);
}

#[tokio::test]
async fn an_endpoint_that_dies_in_the_middle_of_a_slot_changes_no_answer() {
    let anvil = Anvil::start(0).await;
    let contract = Address::repeat_byte(0xcc);
    anvil.set_block_number(contract).await;
    anvil.ask("anvil_mine", json!(["0x7"])).await;
    let pin = anvil.block("latest").await;
    anvil.mine(1_000).await;
    let (first, second) = (Proxy::start(&anvil).await, Proxy::start(&anvil).await);
    let node = Batcher::start(rpc(&config(&[&first, &second])), 10);
    for round in 0..30 {
        if round == 10 {
            first.be(Mischief::Status(500));
        }
        assert_eq!(number(&node.ask(number_at(contract, pin.hash)).await), 7, "round {round}");
    }
    let asked = (first.asked("eth_call"), second.asked("eth_call"));
    assert!(asked.0 >= 10 && asked.1 == 20, "{asked:?}");
    first.be(Mischief::None);
    // Its rests end by themselves.
    let before = first.asked("eth_call");
    for _ in 0..2_000 {
        assert_eq!(number(&node.ask(number_at(contract, pin.hash)).await), 7);
        if first.asked("eth_call") > before + 1 {
            return;
        }
    }
    panic!("the preferred endpoint is not used again");
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_asked_for_in_halves() {
    let anvil = Anvil::start(0).await;
    let code = |bytes: usize| json!(format!("0x{}", "00".repeat(bytes)));
    let large = Address::repeat_byte(0x99);
    anvil.ask("anvil_setCode", json!([large, code(20_000)])).await;
    for byte in 1..=16u8 {
        anvil.ask("anvil_setCode", json!([Address::repeat_byte(byte), code(1_000)])).await;
    }
    let pin = anvil.mine(1).await;
    let proxy = Proxy::start(&anvil).await;
    let mut config = config(&[&proxy]);
    config.limits.response_bytes = 8_000;
    let rpc = rpc(&config);
    let request = |at_address: Address| {
        Request::new("eth_getCode", &json!([at_address, at(pin.hash)])).anchored(Anchor::Hash(pin.hash))
    };
    let mut requests: Vec<_> = (1..=16).map(|byte| request(Address::repeat_byte(byte))).collect();
    requests.insert(5, request(large));
    let answers = rpc.ask_all(requests).await;
    for (index, answer) in answers.iter().enumerate() {
        match answer {
            Ok(code) => assert!(index != 5 && code.get().len() == 2_004, "{index}"),
            Err(error) => assert_eq!((index, error), (5, &RpcError::TooLarge { chain: 31_337, limit: 8_000 })),
        }
    }
    assert!(rpc.ask(request(Address::repeat_byte(1))).await.is_ok(), "the endpoint is well");
}

#[tokio::test]
async fn an_endless_answer_ends_at_the_limit() {
    let anvil = Anvil::start(0).await;
    let (first, second) = (Proxy::start(&anvil).await, Proxy::start(&anvil).await);
    first.be(Mischief::Padded(64 << 20));
    let mut config = config(&[&first, &second]);
    config.limits.response_bytes = 1 << 20;
    let answer = rpc(&config).ask(Request::new("eth_blockNumber", &json!([]))).await;
    assert_eq!(answer.unwrap().get(), "\"0x0\"");
}

#[tokio::test]
async fn no_error_shows_a_credential() {
    let anvil = Anvil::start(0).await;
    let proxy = Proxy::start(&anvil).await;
    let mut config = config(&[&proxy]);
    let closed = format!("http://user:SECRET@127.0.0.1:{}/SECRET?key=SECRET", ditto_core::ports::free_port().unwrap());
    config.rpc = vec![closed.as_str().into(), format!("{}/SECRET", proxy.url).as_str().into()];
    for mischief in
        [Mischief::Status(500), Mischief::Garbage("no".into()), Mischief::Padded(1 << 20), Mischief::Status(429)]
    {
        proxy.be(mischief);
        config.limits.response_bytes = 1_024;
        let rpc = rpc(&config);
        let error = rpc.ask(number_at(Address::ZERO, B256::ZERO)).await.unwrap_err();
        for shown in [format!("{error}"), format!("{error:?}"), format!("{rpc:?}"), format!("{config:?}")] {
            assert!(!shown.contains("SECRET"), "{shown}");
        }
        assert!(format!("{error}").contains("127.0.0.1") || matches!(error, RpcError::TooLarge { .. }), "{error}");
    }
    for url in ["ftp://SECRET", "SECRET", "http://"] {
        config.rpc = vec![url.into()];
        let error = ditto_core::chain::Rpc::new(1, &config).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("SECRET"), "{error:?}");
    }
}
