//! Lines of the aggregator's ledger, as a disk may give them back.
use ditto_aggregator::ledger::{BatchRecord, TaskRecord};
use ditto_core::wire::decode_batch;

/// None: any bytes make one.
pub fn examples() -> Vec<Vec<u8>> {
    Vec::new()
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
