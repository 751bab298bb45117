//! A proposed batch on the wire.
use crate::golden;
use alloy::primitives::Address;
use ditto_core::consent::SigningDomain;
use ditto_core::proposal::{MAX_BATCHES, MAX_CALL_DATA, MAX_PINS, MAX_TASKS};
use ditto_core::wire::{decode_batch, encode_batch};

pub fn examples() -> Vec<Vec<u8>> {
    golden("batch")
}

pub fn run(data: &[u8]) {
    let Ok(batch) = decode_batch(data) else { return };
    assert!(batch.pins.len() <= MAX_PINS && batch.batch_hashes.len() <= MAX_BATCHES && batch.tasks.len() <= MAX_TASKS);
    assert!(batch.tasks.iter().all(|task| task.op.call_data.len() <= MAX_CALL_DATA));
    // One batch has one encoding: gossip and the ledger name messages by their bytes.
    assert_eq!(encode_batch(&batch).as_deref(), Ok(data));
    let domain = SigningDomain { chain_id: 31337, attestation_center: Address::ZERO, entry_point: Address::ZERO };
    // Nobody signed it: it may be anything but sound.
    assert!(batch.check(&domain).is_err());
}
