#![allow(clippy::unwrap_used)]
use ditto_sandbox::{BLOCK_FIELDS, LOG_RANGE_BLOCKS};
use proptest::prelude::*;
use serde_json::Value;

use super::*;

const PIN: Pin = Pin { chain_id: 1, number: 5_000, hash: B256::repeat_byte(5) };

fn anchor() -> BlockNumHash {
    BlockNumHash { number: PIN.number, hash: PIN.hash }
}

fn reads() -> [Read; 6] {
    let address = Address::ZERO;
    [
        Read::Call { to: address, data: Bytes::new() },
        Read::Balance { address },
        Read::Code { address },
        Read::StorageAt { address, slot: U256::from(1) },
        Read::Block { number: None },
        Read::Block { number: Some(7) },
    ]
}

#[test]
fn answers_of_all_clients_come_down_to_one_form() {
    let [call, balance, code, storage, ..] = reads();
    let form = |read: &Read, result: &str| canonical(read, &PIN, result);
    let word = format!("\"0x{}1\"", "0".repeat(63));
    assert_eq!(form(&call, "\"0xAB\"").as_deref(), Some("\"0xab\""));
    assert_eq!(form(&code, "\"0x\"").as_deref(), Some("\"0x\""));
    assert_eq!(form(&balance, "\"0x00ff\"").as_deref(), Some("\"0xff\""));
    assert_eq!(form(&balance, "\"0x0\"").as_deref(), Some("\"0x0\""));
    assert_eq!(form(&storage, "\"0x1\""), Some(word.clone()));
    assert_eq!(form(&storage, &word), Some(word));
    for read in reads() {
        for wrong in ["{}", "null", "\"hello\"", "1", "\"0xzz\"", "\"0x123456789\"\"", "[]", "\"12\"", "\"0o7\"", ""] {
            assert_eq!(form(&read, wrong), None, "{} {wrong}", read.method());
        }
    }
    assert_eq!(form(&balance, &format!("\"0x1{}\"", "0".repeat(64))), None, "more than 256 bits");
}

#[test]
fn a_block_has_the_documented_fields_and_is_the_one_asked_for() {
    let block = |number: u64, hash: B256| {
        json!({
            "number": format!("{number:#x}"), "hash": hash, "parentHash": B256::ZERO, "timestamp": "0x10",
            "gasLimit": "0x1C9C380", "gasUsed": "0x00", "miner": "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2",
            "mixHash": B256::ZERO, "extraData": "0x", "transactions": [], "difficulty": "0x0",
        })
    };
    let [.., pinned, older] = reads();
    let form = |read: &Read, block: &Value| canonical(read, &PIN, &block.to_string());
    let told = form(&pinned, &block(PIN.number, PIN.hash)).unwrap();
    let positions: Vec<_> = BLOCK_FIELDS.iter().map(|field| told.find(&format!("\"{field}\":")).unwrap()).collect();
    assert!(positions.is_sorted(), "{told}");
    assert_eq!(told.matches("\":").count(), BLOCK_FIELDS.len());
    assert!(told.contains(r#""gasLimit":"0x1c9c380","gasUsed":"0x0","baseFeePerGas":null,"miner":"0xc02aaa39b2"#));
    assert!(form(&older, &block(7, B256::ZERO)).is_some());
    assert_eq!(form(&older, &block(8, B256::ZERO)), None);
    assert_eq!(form(&pinned, &block(PIN.number, B256::ZERO)), None);
    let mut legacy = block(7, B256::ZERO);
    legacy["baseFeePerGas"] = Value::Null;
    assert_eq!(form(&older, &legacy), form(&older, &block(7, B256::ZERO)));
}

#[test]
fn what_lies_beyond_the_pin_is_answered_without_a_node() {
    let null = Some(ReadAnswer::Ok("null".into()));
    let logs = |from_block, to_block| {
        known(&Read::Logs { address: vec![Address::ZERO], topics: vec![], from_block, to_block }, &PIN)
    };
    assert_eq!(known(&Read::BlockNumber, &PIN), Some(ReadAnswer::Ok("\"0x1388\"".into())));
    assert_eq!(known(&Read::Block { number: Some(5_001) }, &PIN), null);
    assert_eq!(known(&Read::Block { number: Some(5_000) }, &PIN), None);
    assert_eq!(known(&Read::Block { number: None }, &PIN), None);
    assert_eq!(logs(Some(5_001), None), null);
    assert_eq!(logs(Some(5_000 - LOG_RANGE_BLOCKS), None), null);
    assert_eq!(logs(None, None), None);
}

#[test]
fn a_request_names_the_pin_and_nothing_of_the_workflows_choosing_beside_it() {
    for read in reads() {
        let request = request(&read, anchor());
        let by_number = matches!(read, Read::Block { number: Some(7) });
        assert_eq!(request.anchor, if by_number { Anchor::Chain(anchor()) } else { Anchor::Hash(PIN.hash) });
        assert!(by_number || request.params.contains(&PIN.hash.to_string()), "{request:?}");
    }
    let [call, ..] = reads();
    assert!(request(&call, anchor()).params.contains(CALL_GAS));
}

proptest! {
    #[test]
    fn any_answer_is_read_or_refused(text in "[\"0x1-9a-fA-F{}:,\\[\\]numberhs]{0,100}") {
        for read in reads() {
            if let Some(form) = canonical(&read, &PIN, &text) {
                // What is canonical stays as it is.
                prop_assert_eq!(canonical(&read, &PIN, &form), Some(form.clone()));
            }
        }
    }

    #[test]
    fn numbers_keep_their_value(value in any::<[u8; 32]>(), zeros in 0usize..4) {
        let value = U256::from_be_bytes(value);
        let [_, balance, _, storage, ..] = reads();
        let zeros = if value.leading_zeros() >= 16 { "0".repeat(zeros) } else { String::new() };
        let said = format!("\"0x{zeros}{value:X}\"");
        prop_assert_eq!(canonical(&balance, &PIN, &said), Some(format!("\"{value:#x}\"")));
        prop_assert_eq!(canonical(&storage, &PIN, &said), Some(format!("\"{value:#066x}\"")));
    }
}
