#![allow(clippy::unwrap_used)]
use alloy::primitives::{Bytes, FixedBytes, address, hex};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::ingest::triggers::{Comparison, Limit};

const TOKEN: &str = "0x00000000000000000000000000000000000000aa";
const BOB: &str = "0x00000000000000000000000000000000000000bb";

/// As the documents' own tools write one.
fn document() -> Value {
    json!({
        "workflow": {
            "owner": "0x00000000000000000000000000000000000000cc",
            "triggers": [
                { "type": "cron", "params": { "schedule": "*/5 * * * *" } },
                { "type": "event", "params": {
                    "signature": "Transfer(address indexed from, address indexed to, uint256 value)",
                    "contractAddress": TOKEN, "chainId": 8453, "filter": { "to": BOB },
                } },
                { "type": "onchain", "params": {
                    "target": TOKEN, "abi": "balanceOf(address) view returns (uint256)", "args": [BOB], "chainId": 8453,
                    "value": "0", "onchainCondition": { "condition": "GREATER_THAN_OR_EQUAL", "value": "1000" },
                } },
            ],
            "jobs": [{
                "id": "pay",
                "chainId": 8453,
                "steps": [
                    { "target": TOKEN, "abi": "transfer(address,uint256)", "args": [BOB, "100"], "value": "0", "type": "contract" },
                    { "target": BOB, "abi": "", "args": [], "value": "7" },
                ],
                "session": "eyJ…",
            }],
            "count": 3, "validAfter": 1_700_000_000, "validUntil": 1_800_000_000, "interval": 3_600,
        },
        "metadata": { "createdAt": 1_700_000_000_000_u64, "version": "1.0.0" },
    })
}

fn options() -> Options {
    Options { target_chain: 8453, readable: Some(vec![1, 8453]), split: false }
}

fn read(document: &Value) -> Result<Import, ImportError> {
    import(document.to_string().as_bytes(), &options())
}

#[test]
fn a_document_becomes_the_same_calls_without_javascript() {
    let import = read(&document()).unwrap();
    assert_eq!(import.owner, address!("00000000000000000000000000000000000000cc"));
    let [job] = import.jobs.as_slice() else { panic!("one job") };
    assert_eq!((job.id.as_str(), job.calls.len()), ("pay", 2));
    // transfer(0xbb, 100), as every ERC-20 takes it.
    let data = hex!(
        "a9059cbb00000000000000000000000000000000000000000000000000000000000000bb"
        "0000000000000000000000000000000000000000000000000000000000000064"
    );
    assert_eq!(
        job.calls[0],
        Call { to: hex!("00000000000000000000000000000000000000aa"), value: [0; 32], data: data.to_vec() }
    );
    assert_eq!((job.calls[1].data.len(), U256::from_be_bytes(job.calls[1].value)), (0, U256::from(7)));
    assert_eq!(declared_calls(&job.code).unwrap().unwrap(), job.calls);
    assert_eq!(job.code_hash, keccak256(&job.code));
    assert_eq!((job.valid_after, job.valid_until, job.value), (1_700_000_000, 1_800_000_000, U256::from(7)));
    let selectors: Vec<_> = job.rules.iter().map(|rule| (rule.selector, rule.maxValue)).collect();
    assert_eq!(selectors, [(FixedBytes(hex!("a9059cbb")), U256::ZERO), (FixedBytes::ZERO, U256::from(7))]);
}

#[test]
fn triggers_and_limits_are_those_that_operators_read() {
    let import = read(&document()).unwrap();
    let published = import.jobs[0].triggers.iter().map(|trigger| (trigger.kind, trigger.data.as_slice()));
    let triggers = Trigger::parse_all(published).unwrap();
    let [Trigger::Cron(_), Trigger::Event(event), Trigger::Condition(condition), Trigger::Limit(limit)] =
        triggers.as_slice()
    else {
        panic!("{triggers:?}")
    };
    assert_eq!(event.signature, keccak256("Transfer(address,address,uint256)"));
    let bob = BOB.parse::<Address>().unwrap();
    assert_eq!(event.topics, [vec![], vec![bob.into_word()]]);
    assert_eq!(condition.data, Bytes::from([hex!("70a08231").as_slice(), bob.into_word().as_slice()].concat()));
    assert_eq!(condition.comparison, Comparison::GreaterThanOrEqual);
    assert!(
        condition.holds(&U256::from(1_000).to_be_bytes::<32>())
            && !condition.holds(&U256::from(999).to_be_bytes::<32>())
    );
    assert_eq!(*limit, Limit { count: 3, interval_seconds: 3_600 });
}

#[test]
fn what_documents_may_leave_out() {
    let mut little = document();
    little["workflow"] = json!({
        "owner": BOB, "triggers": [], "count": 1,
        "jobs": [{ "id": "a", "chainId": 8453, "steps": [{ "target": BOB, "abi": "" }] }],
    });
    little.as_object_mut().unwrap().remove("metadata");
    let job = &read(&little).unwrap().jobs[0];
    let kinds: Vec<u8> = job.triggers.iter().map(|trigger| trigger.kind).collect();
    assert_eq!((kinds, job.valid_until), (vec![KIND_INTERVAL, KIND_LIMIT], 0));

    // No returns: a boolean; no condition: true.
    let mut condition = document();
    condition["workflow"]["triggers"][2]["params"] =
        json!({ "target": TOKEN, "abi": "paused()", "args": [], "chainId": 1 });
    let triggers = &read(&condition).unwrap().jobs[0].triggers;
    let Ok(Trigger::Condition(condition)) = Trigger::parse(triggers[2].kind, &triggers[2].data) else { panic!("none") };
    assert!(condition.holds(&U256::ONE.to_be_bytes::<32>()) && !condition.holds(&[0; 32]));
}

#[test]
fn conditions_by_every_name_and_type() {
    let condition = |abi: &str, name: Value, value: Value| -> Result<crate::ingest::triggers::Condition, ImportError> {
        let mut changed = document();
        changed["workflow"]["triggers"][2]["params"] = json!({
            "target": TOKEN, "abi": abi, "args": [], "chainId": 1, "onchainCondition": { "condition": name, "value": value },
        });
        let triggers = read(&changed)?.jobs[0].triggers.clone();
        match Trigger::parse(triggers[2].kind, &triggers[2].data) {
            Ok(Trigger::Condition(condition)) => Ok(*condition),
            other => panic!("{other:?}"),
        }
    };
    let word = |number: u64| U256::from(number).to_be_bytes::<32>();
    let names = ["EQUAL", "GREATER_THAN", "LESS_THAN", "GREATER_THAN_OR_EQUAL", "LESS_THAN_OR_EQUAL", "NOT_EQUAL"];
    for (number, name) in names.into_iter().enumerate() {
        let by_name = condition("f() returns (uint8)", json!(name), json!("5")).unwrap();
        assert_eq!(
            by_name,
            condition("function f() view returns (uint8 x)", json!(number), json!(5)).unwrap(),
            "{name}"
        );
        assert_eq!(by_name.holds(&word(5)), name.contains("EQUAL") && !name.contains("NOT"), "{name}");
    }
    let one_of = condition("f() returns (address)", json!("one_of"), json!([TOKEN, BOB])).unwrap();
    assert!(one_of.holds(&word(0xaa)) && one_of.holds(&word(0xbb)) && !one_of.holds(&word(0xcc)));
    let text = condition("f() returns (string)", json!("EQUAL"), json!("open")).unwrap();
    assert!(text.holds(&("open".to_owned(),).abi_encode_params()));
    let negative = condition("f() returns (int24)", json!("LESS_THAN"), json!("-5")).unwrap();
    assert!(negative.holds(&[0xff; 32].map(|byte| byte - 1)) && !negative.holds(&word(0)));
}

#[test]
fn what_is_wrong_is_named_by_path_with_the_fix() {
    for (pointer, value, path, fix) in [
        ("/workflow", json!([]), "workflow", "an object"),
        ("/extra", json!(1), "extra", "workflow, metadata"),
        ("/workflow/owner", json!("0xcc"), "workflow.owner", "40 hexadecimal"),
        ("/workflow/owner", Value::Null, "workflow.owner", "missing"),
        ("/workflow/triggers", json!({}), "workflow.triggers", "a list"),
        (
            "/workflow/triggers",
            Value::Array(vec![document()["workflow"]["triggers"][0].clone(); 8]),
            "workflow.triggers",
            "9",
        ),
        ("/workflow/triggers/0/type", json!("time"), "workflow.triggers[0].type", "validAfter"),
        ("/workflow/triggers/0/type", json!("webhook"), "workflow.triggers[0].type", "cron, event and onchain"),
        (
            "/workflow/triggers/0/params/schedule",
            json!("0 */5 * * * *"),
            "workflow.triggers[0].params.schedule",
            "seconds",
        ),
        ("/workflow/triggers/0/params/schedule", json!("61 * * * *"), "workflow.triggers[0].params.schedule", "61"),
        (
            "/workflow/triggers/0/params/schedule",
            json!("0 0 30 2 *"),
            "workflow.triggers[0].params.schedule",
            "no year",
        ),
        ("/workflow/triggers/0/params/schedule", json!(5), "workflow.triggers[0].params.schedule", "a text"),
        ("/workflow/triggers/0/params/schedul", json!("* * * * *"), "workflow.triggers[0].params.schedul", "schedule"),
        (
            "/workflow/triggers/1/params/signature",
            json!("Transfer"),
            "workflow.triggers[1].params.signature",
            "indexed from",
        ),
        (
            "/workflow/triggers/1/params/signature",
            json!("T(adress)"),
            "workflow.triggers[1].params.signature",
            "adress",
        ),
        (
            "/workflow/triggers/1/params/signature",
            json!("Transfer(address,address to,uint256)"),
            "workflow.triggers[1].params.filter.to",
            "indexed to",
        ),
        (
            "/workflow/triggers/1/params/filter",
            json!({ "who": BOB }),
            "workflow.triggers[1].params.filter.who",
            "indexed who",
        ),
        (
            "/workflow/triggers/1/params/filter",
            json!({ "to": "bob" }),
            "workflow.triggers[1].params.filter.to",
            "an address",
        ),
        (
            "/workflow/triggers/1/params/filter",
            json!({ "to": [BOB, 5] }),
            "workflow.triggers[1].params.filter.to[1]",
            "an address",
        ),
        (
            "/workflow/triggers/1/params/filter",
            json!({ "to": [] }),
            "workflow.triggers[1].params.filter.to",
            "no value",
        ),
        (
            "/workflow/triggers/1/params/filter",
            json!({ "to": vec![BOB; 17] }),
            "workflow.triggers[1].params.filter",
            "16",
        ),
        ("/workflow/triggers/1/params/chainId", json!(5), "workflow.triggers[1].params.chainId", "they read 1, 8453"),
        (
            "/workflow/triggers/1/params/chainId",
            json!("mainnet"),
            "workflow.triggers[1].params.chainId",
            "whole number",
        ),
        (
            "/workflow/triggers/2/params/abi",
            json!("balanceOf(address) returns (uint256[])"),
            "workflow.triggers[2].params.onchainCondition.condition",
            "no order",
        ),
        (
            "/workflow/triggers/2/params/abi",
            json!("balanceOf(address)"),
            "workflow.triggers[2].params.onchainCondition.condition",
            "returns (uint256)",
        ),
        (
            "/workflow/triggers/2/params/abi",
            json!("f(address) returns (uint256,uint256)"),
            "workflow.triggers[2].params.abi",
            "2 values",
        ),
        ("/workflow/triggers/2/params/args", json!([]), "workflow.triggers[2].params.args", "takes 1"),
        ("/workflow/triggers/2/params/value", json!("1"), "workflow.triggers[2].params.value", "remove it"),
        (
            "/workflow/triggers/2/params/onchainCondition",
            Value::Null,
            "workflow.triggers[2].params.onchainCondition",
            "missing",
        ),
        (
            "/workflow/triggers/2/params/onchainCondition/condition",
            json!("ABOVE"),
            "workflow.triggers[2].params.onchainCondition.condition",
            "ONE_OF",
        ),
        (
            "/workflow/triggers/2/params/onchainCondition/value",
            json!("much"),
            "workflow.triggers[2].params.onchainCondition.value",
            "digits",
        ),
        ("/workflow/jobs/0/chainId", json!(1), "workflow.jobs[0].chainId", "each chain's network"),
        ("/workflow/jobs", json!([]), "workflow.jobs", "no job"),
        ("/workflow/jobs/0/id", json!(""), "workflow.jobs[0].id", "1 to 256"),
        ("/workflow/jobs/0/steps", json!([]), "workflow.jobs[0].steps", "1 to 256"),
        ("/workflow/jobs/0/steps/0/type", json!("wasm"), "workflow.jobs[0].steps[0].type", "TypeScript"),
        ("/workflow/jobs/0/steps/0/target", json!("token"), "workflow.jobs[0].steps[0].target", "an address"),
        (
            "/workflow/jobs/0/steps/0/abi",
            json!("transfer(address,uint256"),
            "workflow.jobs[0].steps[0].abi",
            "signature",
        ),
        ("/workflow/jobs/0/steps/0/abi", json!("x".repeat(3_000)), "workflow.jobs[0].steps[0].abi", "2048"),
        (
            "/workflow/jobs/0/steps/0/abi",
            json!(format!("f({})", "(".repeat(100))),
            "workflow.jobs[0].steps[0].abi",
            "64 brackets",
        ),
        ("/workflow/jobs/0/steps/0/args/1", json!("$wasm:amount"), "workflow.jobs[0].steps[0].args[1]", "TypeScript"),
        ("/workflow/jobs/0/steps/0/value", json!("-1"), "workflow.jobs[0].steps[0].value", "digits"),
        ("/workflow/jobs/0/steps/1/args", json!([1]), "workflow.jobs[0].steps[1].args", "plain transfer"),
        ("/workflow/count", json!(0), "workflow.count", "above zero"),
        ("/workflow/count", json!(1.5), "workflow.count", "above zero"),
        ("/workflow/interval", json!(-1), "workflow.interval", "above zero"),
        ("/workflow/validAfter", json!(1_700_000_000_000_u64), "workflow.validAfter", "milliseconds"),
        ("/workflow/validUntil", json!(1_600_000_000), "workflow.validUntil", "never run"),
    ] {
        let mut changed = document();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let place = changed.pointer_mut(parent).unwrap();
        match key.parse::<usize>() {
            Ok(index) if place.is_array() => place[index] = value.clone(),
            _ => place[key] = value.clone(),
        }
        let error = read(&changed).expect_err(pointer);
        assert_eq!(error.path, path, "{pointer} = {value}: {error}");
        assert!(error.problem.contains(fix), "{pointer} = {value}: {error}");
    }
    let mut endless = document();
    endless["workflow"]["triggers"] = json!([]);
    endless["workflow"]["count"] = Value::Null;
    assert!(read(&endless).unwrap_err().problem.contains("for ever"));
    let mut twice = document();
    let job = twice["workflow"]["jobs"][0].clone();
    twice["workflow"]["jobs"].as_array_mut().unwrap().push(job);
    assert_eq!(read(&twice).unwrap_err().path, "workflow.jobs[1].id");
}

#[test]
fn jobs_of_other_chains_are_listed_when_asked_for() {
    let mut two = document();
    let mut job = two["workflow"]["jobs"][0].clone();
    (job["id"], job["chainId"]) = (json!("bridge"), json!(1));
    two["workflow"]["jobs"].as_array_mut().unwrap().push(job);
    assert_eq!(read(&two).unwrap_err().path, "workflow.jobs[1].chainId");
    let import = import(two.to_string().as_bytes(), &Options { split: true, ..options() }).unwrap();
    assert_eq!(import.jobs.len(), 1);
    assert_eq!(import.elsewhere, [Elsewhere { id: "bridge".into(), chain_id: 1 }]);
}

#[test]
fn the_same_document_is_the_same_code_whoever_imports_it() {
    // Pinned: operators execute these bytes, so another encoding is another workflow.
    let job = &read(&document()).unwrap().jobs[0];
    assert_eq!(alloy::hex::encode(job.code_hash), include_str!("golden_job.txt").trim());
    let mut shuffled = document();
    let args = json!([BOB.to_uppercase().replace("0X", "0x"), 100]);
    shuffled["workflow"]["jobs"][0]["steps"][0]["args"] = args;
    shuffled["workflow"]["jobs"][0]["steps"][0]["abi"] =
        json!("function transfer(address to, uint256 amount) returns (bool)");
    assert_eq!(read(&shuffled).unwrap().jobs[0].code_hash, job.code_hash, "written otherwise, meant the same");
}

#[test]
fn hostile_documents_are_refused_quickly() {
    let import = |document: &[u8]| super::import(document, &options());
    for document in [
        "[".repeat(100_000),
        "{\"workflow\":".repeat(50_000),
        "\"".repeat(1_000),
        format!("{{\"workflow\":{}1{}}}", "[".repeat(126), "]".repeat(126)),
        "1".repeat(200_000),
        format!("1e{}", "9".repeat(1_000)),
        String::new(),
        "null".into(),
    ] {
        assert!(import(document.as_bytes()).is_err());
    }
    let large = vec![b' '; MAX_DOCUMENT + 1];
    assert!(import(&large).unwrap_err().problem.contains("262144"));
    assert!(import(&[0xff, 0xfe, 0x00]).is_err());
}

proptest! {
    #[test]
    fn garbage_is_refused_not_survived(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(import(&bytes, &options()).is_err());
    }

    /// A good document with one place made something else: it is imported or refused, with a path that leads there or below.
    #[test]
    fn any_place_may_hold_anything(place in 0usize..60, junk in prop_oneof![
        Just(Value::Null), Just(json!([])), Just(json!({})), Just(json!(-1)), Just(json!(1e300)), Just(json!(u64::MAX)),
        ".{0,12}".prop_map(Value::from),
        "[a-z]{1,8}\\((address|uint256|int8|bytes|,|\\(|\\)|\\[\\]| |indexed|[0-9]){0,9}\\)".prop_map(Value::from),
    ]) {
        let mut document = document();
        let mut left = place;
        replace(&mut document, &mut left, &junk);
        match read(&document) {
            Ok(import) => {
                let published = import.jobs[0].triggers.iter().map(|trigger| (trigger.kind, trigger.data.as_slice()));
                prop_assert!(Trigger::parse_all(published).is_ok(), "what is imported can be due");
                prop_assert!(declared_calls(&import.jobs[0].code).unwrap().is_ok());
            }
            Err(error) => prop_assert!(!error.problem.is_empty() && error.to_string().len() < 1_000, "{}", error),
        }
    }

    #[test]
    fn junk_signatures_never_panic(text in "[a-zA-Z0-9_(),\\[\\] ]{0,80}") {
        let value = Value::from(text);
        let _function = abi::function(&Field::root(&value));
        let _event = abi::event(&Field::root(&value));
    }
}

/// Puts junk at the place of this number, counted depth first.
fn replace(value: &mut Value, left: &mut usize, junk: &Value) {
    if *left == 0 {
        *value = junk.clone();
        *left = usize::MAX;
        return;
    }
    *left -= 1;
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, left, junk)),
        Value::Object(entries) => entries.values_mut().for_each(|item| replace(item, left, junk)),
        _ => {}
    }
}
