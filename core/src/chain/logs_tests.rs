#![allow(clippy::unwrap_used)]
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const ANCHOR: BlockNumHash = BlockNumHash { number: 100, hash: B256::repeat_byte(100) };

fn log(block: u8, index: u64) -> Value {
    json!({
        "address": Address::ZERO, "topics": [B256::ZERO], "data": "0xAB", "removed": false,
        "blockNumber": format!("0x{block:x}"), "blockHash": B256::repeat_byte(block),
        "transactionHash": B256::ZERO, "transactionIndex": "0x0", "logIndex": format!("0x{index:x}"),
    })
}

fn filter() -> LogFilter {
    LogFilter { address: vec![Address::ZERO], topics: vec![vec![B256::ZERO]], from: 90, to: 100 }
}

fn read(logs: &Value) -> Result<Vec<LogEntry>, RpcError> {
    filter().read(1, ANCHOR, &logs.to_string())
}

#[test]
fn logs_come_in_order_and_in_one_form() {
    let logs = read(&json!([log(95, 3), log(90, 7), log(95, 1)])).unwrap();
    assert_eq!(
        logs.iter().map(|log| (log.block_number, log.log_index)).collect::<Vec<_>>(),
        [(90, 7), (95, 1), (95, 3)]
    );
    let expected = format!(
        r#"{{"address":"0x{:040}","topics":["0x{:064}"],"data":"0xab","blockNumber":"0x5a","blockHash":"{}","transactionHash":"0x{:064}","logIndex":"0x7"}}"#,
        0,
        0,
        B256::repeat_byte(90),
        0
    );
    assert_eq!(serde_json::to_string(&logs[0]).unwrap(), expected);
}

#[test]
fn what_was_not_asked_for_is_not_believed() {
    let changed = |field: &str, value: Value| {
        let mut log = log(95, 0);
        log[field] = value;
        read(&json!([log]))
    };
    for (field, value) in [
        ("address", json!(Address::repeat_byte(1))),
        ("topics", json!([])),
        ("topics", json!([B256::repeat_byte(1)])),
        ("blockNumber", json!("0x59")),
        ("blockNumber", json!("0x65")),
        ("blockNumber", Value::Null),
        ("blockHash", Value::Null),
        ("logIndex", Value::Null),
        ("transactionHash", Value::Null),
        ("removed", json!(true)),
        ("data", json!("hello")),
    ] {
        assert!(changed(field, value.clone()).is_err(), "{field} {value}");
    }
    let mut other = log(100, 0);
    other["blockHash"] = json!(B256::ZERO);
    assert!(read(&json!([other])).is_err(), "another block at the anchor");
    let mut fork = log(95, 1);
    fork["blockHash"] = json!(B256::ZERO);
    assert!(read(&json!([log(95, 0), fork])).is_err(), "two blocks of one number");
    assert!(read(&json!([log(95, 0), log(95, 0)])).is_err(), "the same one twice");
    assert!(read(&Value::Null).is_err() && read(&json!({})).is_err());
}

proptest! {
    #[test]
    fn parts_cover_the_range_once(from in 0u64..5_000, length in 0u64..5_000, blocks in 1u64..3_000) {
        let whole = LogFilter { from, to: from + length, ..filter() };
        let mut next = from;
        for part in whole.parts(blocks) {
            prop_assert_eq!(part.from, next);
            prop_assert!(part.from <= part.to && part.to - part.from < blocks);
            next = part.to + 1;
        }
        prop_assert_eq!(next, whole.to + 1);
    }

    #[test]
    fn halves_cover_the_range_once(from in any::<u64>(), to in any::<u64>()) {
        match (LogFilter { from, to, ..filter() }).halves() {
            Some([first, second]) => prop_assert!(
                first.from == from && second.to == to && first.to + 1 == second.from && first.to >= from && second.from <= to
            ),
            None => prop_assert!(from >= to),
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[\\[{\"a-zA-Z0-9:,}\\]]{0,200}") {
        drop(filter().read(1, ANCHOR, &text));
    }
}
