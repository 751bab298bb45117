//! Lines of the aggregator's ledger, as a disk may give them back.
use ditto_aggregator::ledger::{BatchRecord, TaskRecord};
use ditto_core::wire::decode_batch;

pub fn examples() -> Vec<Vec<u8>> {
    let word = |byte: &str| format!("0x{}", byte.repeat(32));
    let task = serde_json::json!({
        "batch": { "proposal": word("11"), "index": 2 }, "place": 1, "part": 0, "slot": 9,
        "occurrence": { "workflow": 3, "slot": 9 }, "user_op_hash": word("22"), "proposed_ms": 1, "ended_ms": 0,
        "state": "executed", "tx": word("33"),
    });
    let batch = serde_json::json!({
        "wire": "0x0200", "valid_until": 5, "since_block": 4, "seen_ms": 3,
        "certificate": { "verdicts": "0x00ff", "signers": [0, 1], "members": 4, "signature": word("44") },
        "submission": null, "notes": { "1": "why" },
    });
    [task, batch].map(|record| record.to_string().into_bytes()).to_vec()
}

pub fn run(data: &[u8]) {
    if let Ok(record) = serde_json::from_slice::<TaskRecord>(data) {
        let again = serde_json::to_vec(&record).expect("plain data");
        assert_eq!(serde_json::from_slice::<TaskRecord>(&again).ok().as_ref(), Some(&record));
    }
    if let Ok(record) = serde_json::from_slice::<BatchRecord>(data) {
        let again = serde_json::to_vec(&record).expect("plain data");
        assert_eq!(serde_json::from_slice::<BatchRecord>(&again).ok().as_ref(), Some(&record));
        let _ = decode_batch(&record.wire);
    }
}
