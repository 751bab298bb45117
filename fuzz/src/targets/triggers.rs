//! Triggers as anybody may publish them: reading one and asking whether it fires.
use crate::ingest::triggers::{self, Span, Trigger};
use alloy::primitives::{Address, B256, Bytes};
use alloy::sol_types::SolValue;
use ditto_core::chain::bindings::registry::WorkflowRegistry::{ConditionTrigger, EventTrigger, LimitTrigger};
use ditto_core::clock::SlotSchedule;

const SCHEDULE: SlotSchedule = SlotSchedule { genesis_seconds: 1_700_000_000, slot_seconds: 2 };

pub fn examples() -> Vec<Vec<u8>> {
    let seed = |kind: u8, data: Vec<u8>| [vec![kind], data].concat();
    let condition = ConditionTrigger {
        chainId: 1,
        target: Address::repeat_byte(1),
        data: Bytes::from_static(&[1, 2, 3, 4]),
        position: 0,
        result: 0,
        comparison: 1,
        operands: vec![Bytes::from(vec![0; 32])],
    };
    let event = EventTrigger {
        chainId: 1,
        emitter: Address::repeat_byte(1),
        signature: B256::repeat_byte(2),
        topics: vec![vec![B256::repeat_byte(3)], vec![], vec![B256::repeat_byte(4), B256::repeat_byte(5)]],
    };
    vec![
        seed(triggers::KIND_INTERVAL, (3u64, 1u64).abi_encode()),
        seed(triggers::KIND_CRON, b"*/5 0-12 1,15 JAN-MAR MON#2".to_vec()),
        seed(triggers::KIND_EVENT, event.abi_encode()),
        seed(triggers::KIND_CONDITION, condition.abi_encode()),
        seed(triggers::KIND_LIMIT, LimitTrigger { count: 3, interval: 60 }.abi_encode()),
    ]
}

pub fn run(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else { return };
    let Ok(trigger) = Trigger::parse(*kind, data) else { return };
    for first in [0, 1_000_000, u64::MAX - 5] {
        let once = trigger.may_fire(Span::of(first), &SCHEDULE);
        // A period that holds the slot fires when the slot does.
        assert!(!once || trigger.may_fire(Span { first, last: first + 3 }, &SCHEDULE));
    }
}
