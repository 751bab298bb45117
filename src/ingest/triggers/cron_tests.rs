#![allow(clippy::unwrap_used)]
use chrono::DateTime;
use proptest::prelude::*;

use super::super::{KIND_CRON, Trigger};
use super::*;

const SCHEDULE: SlotSchedule = SlotSchedule { genesis_seconds: 1_700_000_000, slot_seconds: 2 };

fn cron(schedule: &str) -> Trigger {
    Trigger::parse(KIND_CRON, schedule.as_bytes()).unwrap()
}

fn fires(trigger: &Trigger, slot: u64, schedule: &SlotSchedule) -> bool {
    trigger.may_fire(Span::of(slot), schedule)
}

#[test]
fn a_minute_fires_in_the_one_slot_that_holds_its_first_second() {
    let trigger = Trigger::parse(KIND_CRON, b"* * * * *").unwrap();
    let due = (0..300).filter(|slot| fires(&trigger, *slot, &SCHEDULE)).count();
    assert_eq!(due, 10, "600 seconds hold ten minutes");
}

/// Whether a schedule fires in the slot that begins at this instant.
fn fires_at(schedule: &str, instant: &str) -> bool {
    let seconds = DateTime::parse_from_rfc3339(instant).unwrap().timestamp();
    let slots = SlotSchedule { genesis_seconds: seconds.try_into().unwrap(), slot_seconds: 2 };
    fires(&cron(schedule), 0, &slots)
}

#[test]
fn a_slot_holds_no_minute_or_one_or_several() {
    let slots = |seconds| SlotSchedule { genesis_seconds: 1_700_000_030, slot_seconds: seconds };
    let minutes = |slot, seconds| minutes_in(Span::of(slot), &slots(seconds)).collect::<Vec<_>>();
    assert_eq!(minutes(0, 2), Vec::<u64>::new());
    assert_eq!(minutes(5, 2), [1_700_000_040], "the slot's first second belongs to it");
    assert_eq!(minutes(4, 2), Vec::<u64>::new(), "and the next slot's first second does not");
    assert_eq!(minutes(0, 150), [1_700_000_040, 1_700_000_100, 1_700_000_160]);
    assert_eq!(minutes(u64::MAX, 2), Vec::<u64>::new());
    assert!(fires(&cron("0 12 * * *"), 0, &SlotSchedule { genesis_seconds: 0, slot_seconds: 86_400 }));
}

#[test]
fn a_date_that_never_comes_costs_no_more_than_any_other() {
    let never = cron("0 0 30 2 *");
    let day = 0..43_200;
    assert!(!day.clone().any(|slot| fires(&never, slot, &SCHEDULE)));
    let steps: usize = day.map(|slot| minutes_in(Span::of(slot), &SCHEDULE).count()).sum();
    assert_eq!(steps, 1_440, "one question per minute, none beyond the slot");
}

#[test]
fn days_of_month_and_week_are_read_as_in_crontab() {
    // Friday the 13th, Thursday the 12th, Friday the 20th of September 2024.
    let (both, neither, weekday) = ("2024-09-13T00:00:00Z", "2024-09-12T00:00:00Z", "2024-09-20T00:00:00Z");
    let day = "2024-11-13T00:00:00Z";
    for (schedule, expected) in [
        ("0 0 13 * *", [true, false, false, true]),
        ("0 0 * * 5", [true, false, true, false]),
        ("0 0 13 * 5", [true, false, true, true]),
        ("0 0 13 * fri", [true, false, true, true]),
        ("0 0 13 SEP 5", [true, false, true, false]),
        ("0 0 * * *", [true; 4]),
    ] {
        let found = [both, neither, weekday, day].map(|instant| fires_at(schedule, instant));
        assert_eq!(found, expected, "{schedule}");
    }
    assert!(fires_at("0 0 * * 0", "2024-09-15T00:00:00Z") && fires_at("0 0 * * 7", "2024-09-15T00:00:00Z"));
    assert!(fires_at("30 4 1-31/2 * *", "2024-09-15T04:30:00Z"), "UTC, the minute first");
}

#[test]
fn only_five_classic_fields_are_a_schedule() {
    let cause = |schedule: &str| Trigger::parse(KIND_CRON, schedule.as_bytes()).unwrap_err().to_string();
    for schedule in ["", "* * * *", "0 * * * * *", "0 0 0 1 1 * 2030", "@daily", "@yearly"] {
        assert!(cause(schedule).contains("seconds, years and @names"), "{schedule}");
    }
    for schedule in [
        "@ * * * *",
        "0\t0 * * * *",
        "0 0 L * *",
        "0 0 15W * *",
        "0 0 ? * *",
        "0 0 * * 5#2",
        "0 0 * * 5L",
        "0 0 13 * +5",
        "MON * * * *",
        "0 0 * MON *",
        "0 0 1 1JAN *",
        "0 0 * * \u{17f}UN",
    ] {
        assert!(cause(schedule).contains("is not known as a"), "{schedule}");
    }
    assert!(Trigger::parse(KIND_CRON, b"0/10 * * * *").is_err());
    let long = format!("{} * * * *", "1,".repeat(60) + "11");
    assert_eq!(long.len(), 130);
    assert!(cause(&long).contains("130 bytes"));
    let longest = format!("{} * * * *", "1,".repeat(59) + "11");
    assert!(Trigger::parse(KIND_CRON, longest.as_bytes()).is_ok());
    assert!(Trigger::parse(KIND_CRON, b"  */15 0-6,8 1 jan-MAR mon-sun ").is_ok());
}

#[test]
fn no_minute_is_skipped_or_doubled_where_clocks_are_changed() {
    // The nights in which European and American clocks were changed in 2024: in UTC nothing happens.
    for night in ["2024-03-31T00:00:00Z", "2024-10-27T00:00:00Z", "2024-03-10T00:00:00Z", "2024-11-03T00:00:00Z"] {
        let start = DateTime::parse_from_rfc3339(night).unwrap().timestamp();
        let hours = SlotSchedule { genesis_seconds: start.try_into().unwrap(), slot_seconds: 60 };
        let due: Vec<u64> = (0..1_440).filter(|slot| fires(&cron("30 * * * *"), *slot, &hours)).collect();
        assert_eq!(due, (0..24).map(|hour| hour * 60 + 30).collect::<Vec<u64>>(), "{night}");
    }
}

#[test]
fn a_period_of_slots_fires_when_one_of_them_does() {
    let slots = SlotSchedule { genesis_seconds: 1_700_000_040, slot_seconds: 2 };
    let minutely = cron("* * * * *");
    let fires = |first, last| minutely.may_fire(Span { first, last }, &slots);
    assert!(fires(0, 4) && fires(26, 30) && !fires(1, 5) && !fires(25, 29) && fires(1, 30));
}

#[test]
fn a_schedule_without_a_day_is_told_from_a_rare_one() {
    for (schedule, names) in [
        ("0 0 30 2 *", false),
        ("0 0 31 4,6,9,11 *", false),
        ("0 0 29 2 *", true),
        ("0 0 30 2 1", true),
        ("0 0 31 4,5 *", true),
        ("59 23 31 12 *", true),
        ("not a schedule at all", false),
    ] {
        assert_eq!(names_a_day(schedule), names, "{schedule}");
    }
}

proptest! {
    #[test]
    fn arbitrary_triggers_never_panic(kind: u8, data: Vec<u8>, slot: u64) {
        if let Ok(trigger) = Trigger::parse(kind, &data) {
            let _fires = fires(&trigger, slot, &SCHEDULE);
        }
    }

    #[test]
    fn schedule_like_text_never_panics(text in "[0-9*,/#?+@LWa-zA-Z -]{0,70}", slot: u64) {
        if let Ok(trigger) = Trigger::parse(KIND_CRON, text.as_bytes()) {
            let _fires = fires(&trigger, slot, &SCHEDULE);
        }
    }

    #[test]
    fn a_time_of_day_fires_in_the_slot_that_holds_it(minute in 0u64..60, hour in 0u64..24, seconds in 1u64..200) {
        let slots = SlotSchedule { genesis_seconds: 1_700_006_400, slot_seconds: seconds };
        let trigger = cron(&format!("{minute} {hour} * * *"));
        let due = (hour * 3_600 + minute * 60) / seconds;
        for slot in due.saturating_sub(2)..due + 3 {
            prop_assert_eq!(fires(&trigger, slot, &slots), slot == due);
        }
    }
}
