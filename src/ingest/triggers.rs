//! When a workflow is due.
//!
//! Triggers belong to the published workflow and are combined with AND. Both kinds are functions of the slot alone, so
//! every operator comes to the same occurrences. Anybody may publish one: reading it and asking whether it fires must
//! cost the same whatever it says.
//!
//! A cron schedule is minute, hour, day of month, month, day of week, in UTC. Accepted are numbers, `*`, lists, ranges,
//! steps, and the English three-letter names of months and weekdays; not accepted is what the parser knows beyond that
//! (seconds, years, `@daily`, `L`, `W`, `#`, `?`, `+`), because another version of it may read it otherwise, and then
//! operators would disagree on what is due. Where both days are restricted, either of them suffices, as in crontab(5).

use alloy::sol_types::SolValue;
use chrono::{DateTime, Utc};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use ditto_core::clock::{Slot, SlotSchedule};

const KIND_INTERVAL: u8 = 0;
const KIND_CRON: u8 = 1;

/// The longest cron schedule, in bytes.
const MAX_SCHEDULE: usize = 128;
const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
/// The fields, and the names that may stand in them.
const FIELDS: [(&str, &[&str]); 5] =
    [("minute", &[]), ("hour", &[]), ("day of month", &[]), ("month", &MONTHS), ("day of week", &WEEKDAYS)];

/// A published trigger.
#[derive(Clone, Debug)]
pub enum Trigger {
    /// Due in every slot whose number leaves `phase` when divided by `every`.
    Interval {
        /// Slots between two occurrences.
        every: u64,
        /// The remainder.
        phase: u64,
    },
    /// Due in the slot that holds an instant of the schedule (five fields, UTC).
    Cron(Box<Cron>),
}

/// Why a published trigger can never fire.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TriggerError {
    /// A kind this version does not know.
    #[error("trigger kind {0} is not known to this version; upgrade the operator")]
    Kind(u8),
    /// Not `abi.encode(uint64 every, uint64 phase)`, or out of range.
    #[error("an interval needs abi.encode(uint64 everySlots, uint64 phase) with everySlots > phase")]
    Interval,
    /// Not a cron schedule.
    #[error("{schedule:?} is not a cron schedule of five fields: {cause}")]
    Cron {
        /// What was published.
        schedule: String,
        /// Why not.
        cause: String,
    },
}

impl Trigger {
    /// Reads a published trigger.
    ///
    /// # Errors
    /// When it can never fire.
    pub fn parse(kind: u8, data: &[u8]) -> Result<Self, TriggerError> {
        match kind {
            KIND_INTERVAL => match <(u64, u64)>::abi_decode(data) {
                Ok((every, phase)) if phase < every => Ok(Self::Interval { every, phase }),
                _ => Err(TriggerError::Interval),
            },
            KIND_CRON => {
                let schedule = String::from_utf8_lossy(data).into_owned();
                match parse_cron(&schedule) {
                    Ok(cron) => Ok(Self::Cron(Box::new(cron))),
                    Err(cause) => Err(TriggerError::Cron { schedule, cause }),
                }
            }
            kind => Err(TriggerError::Kind(kind)),
        }
    }

    /// Whether it fires in a slot.
    #[must_use]
    pub fn fires(&self, slot: Slot, schedule: &SlotSchedule) -> bool {
        match self {
            Self::Interval { every, phase } => slot % every == *phase,
            Self::Cron(cron) => minutes_in(slot, schedule).any(|second| {
                let instant = i64::try_from(second).ok().and_then(|second| DateTime::<Utc>::from_timestamp(second, 0));
                instant.is_some_and(|instant| cron.is_time_matching(&instant).unwrap_or(false))
            }),
        }
    }
}

/// The full minutes in a slot: no other instant can be one of a schedule without seconds. Asking for each of them has a
/// bound; searching for the schedule's next instant has none worth the name, for a 30th of February is looked for day by
/// day for three thousand years.
fn minutes_in(slot: Slot, schedule: &SlotSchedule) -> impl Iterator<Item = u64> + use<> {
    let start = schedule.start_seconds(slot);
    let end = start.saturating_add(schedule.slot_seconds);
    start.checked_next_multiple_of(60).into_iter().flat_map(move |first| (first..end).step_by(60))
}

/// Reads a schedule, and says why it is none.
fn parse_cron(schedule: &str) -> Result<Cron, String> {
    if schedule.len() > MAX_SCHEDULE {
        return Err(format!("it has {} bytes, {MAX_SCHEDULE} are allowed", schedule.len()));
    }
    // Parted by spaces, as the registry's contract counts them.
    let fields: Vec<&str> = schedule.split(' ').filter(|field| !field.is_empty()).collect();
    if fields.len() != FIELDS.len() {
        return Err(format!("it has {} (seconds, years and @names are not known)", fields.len()));
    }
    for (field, (meaning, names)) in fields.iter().zip(FIELDS) {
        let known = |word: &str| {
            word.bytes().all(|byte| byte.is_ascii_digit()) || names.iter().any(|name| name.eq_ignore_ascii_case(word))
        };
        if let Some(word) = field.split(['*', ',', '-', '/']).find(|word| !known(word)) {
            return Err(format!("{word:?} is not known as a {meaning}"));
        }
    }
    // Everything is said, so that a default that changes changes nothing here.
    let parser = CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed)
        .dom_and_dow(false)
        .alternative_weekdays(false)
        .sloppy_ranges(false)
        .build();
    parser.parse(&fields.join(" ")).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const SCHEDULE: SlotSchedule = SlotSchedule { genesis_seconds: 1_700_000_000, slot_seconds: 2 };

    fn interval(every: u64, phase: u64) -> Result<Trigger, TriggerError> {
        Trigger::parse(KIND_INTERVAL, &(every, phase).abi_encode())
    }

    #[test]
    fn an_interval_fires_once_in_every_so_many_slots() {
        let trigger = interval(3, 1).unwrap();
        let due: Vec<_> = (0..9).filter(|slot| trigger.fires(*slot, &SCHEDULE)).collect();
        assert_eq!(due, [1, 4, 7]);
        assert!(interval(0, 0).is_err(), "an interval of zero would divide by zero");
        assert!(interval(3, 3).is_err());
    }

    #[test]
    fn a_minute_fires_in_the_one_slot_that_holds_its_first_second() {
        let trigger = Trigger::parse(KIND_CRON, b"* * * * *").unwrap();
        let due = (0..300).filter(|slot| trigger.fires(*slot, &SCHEDULE)).count();
        assert_eq!(due, 10, "600 seconds hold ten minutes");
    }

    fn cron(schedule: &str) -> Trigger {
        Trigger::parse(KIND_CRON, schedule.as_bytes()).unwrap()
    }

    /// Whether a schedule fires in the slot that begins at this instant.
    fn fires_at(schedule: &str, instant: &str) -> bool {
        let seconds = DateTime::parse_from_rfc3339(instant).unwrap().timestamp();
        let slots = SlotSchedule { genesis_seconds: seconds.try_into().unwrap(), slot_seconds: 2 };
        cron(schedule).fires(0, &slots)
    }

    #[test]
    fn a_slot_holds_no_minute_or_one_or_several() {
        let slots = |seconds| SlotSchedule { genesis_seconds: 1_700_000_030, slot_seconds: seconds };
        let minutes = |slot, seconds| minutes_in(slot, &slots(seconds)).collect::<Vec<_>>();
        assert_eq!(minutes(0, 2), Vec::<u64>::new());
        assert_eq!(minutes(5, 2), [1_700_000_040], "the slot's first second belongs to it");
        assert_eq!(minutes(4, 2), Vec::<u64>::new(), "and the next slot's first second does not");
        assert_eq!(minutes(0, 150), [1_700_000_040, 1_700_000_100, 1_700_000_160]);
        assert_eq!(minutes(u64::MAX, 2), Vec::<u64>::new());
        assert!(cron("0 12 * * *").fires(0, &SlotSchedule { genesis_seconds: 0, slot_seconds: 86_400 }));
    }

    #[test]
    fn a_date_that_never_comes_costs_no_more_than_any_other() {
        let never = cron("0 0 30 2 *");
        let day = 0..43_200;
        assert!(!day.clone().any(|slot| never.fires(slot, &SCHEDULE)));
        let steps: usize = day.map(|slot| minutes_in(slot, &SCHEDULE).count()).sum();
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
    fn errors_say_what_is_wrong() {
        assert_eq!(Trigger::parse(9, &[]).unwrap_err(), TriggerError::Kind(9));
        assert!(Trigger::parse(KIND_CRON, b"61 * * * *").unwrap_err().to_string().contains("61"));
        assert_eq!(Trigger::parse(KIND_INTERVAL, &[1, 2]).unwrap_err(), TriggerError::Interval);
    }

    proptest! {
        #[test]
        fn arbitrary_triggers_never_panic(kind: u8, data: Vec<u8>, slot: u64) {
            if let Ok(trigger) = Trigger::parse(kind, &data) {
                let _fires = trigger.fires(slot, &SCHEDULE);
            }
        }

        #[test]
        fn schedule_like_text_never_panics(text in "[0-9*,/#?+@LWa-zA-Z -]{0,70}", slot: u64) {
            if let Ok(trigger) = Trigger::parse(KIND_CRON, text.as_bytes()) {
                let _fires = trigger.fires(slot, &SCHEDULE);
            }
        }

        #[test]
        fn a_time_of_day_fires_in_the_slot_that_holds_it(minute in 0u64..60, hour in 0u64..24, seconds in 1u64..200) {
            let slots = SlotSchedule { genesis_seconds: 1_700_006_400, slot_seconds: seconds };
            let trigger = cron(&format!("{minute} {hour} * * *"));
            let due = (hour * 3_600 + minute * 60) / seconds;
            for slot in due.saturating_sub(2)..due + 3 {
                prop_assert_eq!(trigger.fires(slot, &slots), slot == due);
            }
        }
    }
}
