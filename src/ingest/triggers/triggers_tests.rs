#![allow(clippy::unwrap_used)]
use alloy::primitives::U256;
use proptest::prelude::*;

use super::*;

const SCHEDULE: SlotSchedule = SlotSchedule { genesis_seconds: 1_700_000_000, slot_seconds: 2 };

fn interval(every: u64, phase: u64) -> Result<Trigger, TriggerError> {
    Trigger::parse(KIND_INTERVAL, &(every, phase).abi_encode())
}

#[test]
fn an_interval_fires_once_in_every_so_many_slots() {
    let trigger = interval(3, 1).unwrap();
    let due: Vec<_> = (0..9).filter(|slot| trigger.may_fire(Span::of(*slot), &SCHEDULE)).collect();
    assert_eq!(due, [1, 4, 7]);
    assert!(interval(0, 0).is_err(), "an interval of zero would divide by zero");
    assert!(interval(3, 3).is_err());
}

#[test]
fn errors_say_what_is_wrong() {
    assert_eq!(Trigger::parse(9, &[]).unwrap_err(), TriggerError::Kind(9));
    assert!(Trigger::parse(KIND_CRON, b"61 * * * *").unwrap_err().to_string().contains("61"));
    assert_eq!(Trigger::parse(KIND_INTERVAL, &[1, 2]).unwrap_err(), TriggerError::Interval);
    assert_eq!(Trigger::parse(KIND_LIMIT, &(0u64, 0u64).abi_encode()).unwrap_err(), TriggerError::Limit);
    assert_eq!(Trigger::parse(KIND_LIMIT, &(U256::MAX, 0u64).abi_encode()).unwrap_err(), TriggerError::Limit);
}

#[test]
fn a_limit_stands_beside_something_that_fires() {
    let limit = (3u64, 0u64).abi_encode();
    let every = (1u64, 0u64).abi_encode();
    let parse = |triggers: &[(u8, &[u8])]| Trigger::parse_all(triggers.iter().copied());
    let [limit, every] = [(KIND_LIMIT, limit.as_slice()), (KIND_INTERVAL, every.as_slice())];
    assert_eq!(parse(&[every, limit]).unwrap().len(), 2);
    assert_eq!(parse(&[limit]).unwrap_err(), TriggerError::Limits);
    assert_eq!(parse(&[limit, every, limit]).unwrap_err(), TriggerError::Limits);
}

proptest! {
    #[test]
    fn arbitrary_triggers_never_panic(kind: u8, data: Vec<u8>, first: u64, length in 0u64..100) {
        if let Ok(trigger) = Trigger::parse(kind, &data) {
            let _fires = trigger.may_fire(Span { first, last: first.saturating_add(length) }, &SCHEDULE);
        }
    }

    #[test]
    fn a_period_fires_when_one_of_its_slots_does(every in 1u64..40, phase in 0u64..40, first in 0u64..1_000, length in 0u64..50) {
        let trigger = interval(every, phase % every).unwrap();
        let span = Span { first, last: first + length };
        let one = (span.first..=span.last).any(|slot| trigger.may_fire(Span::of(slot), &SCHEDULE));
        prop_assert_eq!(trigger.may_fire(span, &SCHEDULE), one);
    }

    #[test]
    fn the_largest_slots_do_not_overflow(every: u64, phase: u64, back in 0u64..10) {
        if let Ok(trigger) = interval(every, phase) {
            let span = Span { first: u64::MAX - back, last: u64::MAX };
            let one = (span.first..=span.last).any(|slot| slot % every == phase);
            prop_assert_eq!(trigger.may_fire(span, &SCHEDULE), one);
        }
    }
}
