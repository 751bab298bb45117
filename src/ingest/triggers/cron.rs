//! Cron schedules: minute, hour, day of month, month, day of week, in UTC.
//!
//! Accepted are numbers, `*`, lists, ranges, steps, and the English three-letter names of months and weekdays; not accepted
//! is what the parser knows beyond that (seconds, years, `@daily`, `L`, `W`, `#`, `?`, `+`), because another version of it may
//! read it otherwise, and then operators would disagree on what is due. Where both days are restricted, either of them
//! suffices, as in crontab(5). UTC has no daylight saving time: no minute is skipped, and none comes twice.

use chrono::{DateTime, Utc};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use ditto_core::clock::SlotSchedule;

use super::Span;

/// The longest cron schedule, in bytes.
const MAX_SCHEDULE: usize = 128;
const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
/// The fields, and the names that may stand in them.
const FIELDS: [(&str, &[&str]); 5] =
    [("minute", &[]), ("hour", &[]), ("day of month", &[]), ("month", &MONTHS), ("day of week", &WEEKDAYS)];

/// Whether the schedule names an instant of these slots.
pub(super) fn fires(cron: &Cron, span: Span, schedule: &SlotSchedule) -> bool {
    minutes_in(span, schedule).any(|second| {
        let instant = i64::try_from(second).ok().and_then(|second| DateTime::<Utc>::from_timestamp(second, 0));
        instant.is_some_and(|instant| cron.is_time_matching(&instant).unwrap_or(false))
    })
}

/// The full minutes in slots: no other instant can be one of a schedule without seconds. Asking for each of them has a
/// bound; searching for the schedule's next instant has none worth the name, for a 30th of February is looked for day by
/// day for three thousand years.
fn minutes_in(span: Span, schedule: &SlotSchedule) -> impl Iterator<Item = u64> + use<> {
    let start = schedule.start_seconds(span.first);
    let end = schedule.start_seconds(span.last).saturating_add(schedule.slot_seconds);
    start.checked_next_multiple_of(60).into_iter().flat_map(move |first| (first..end).step_by(60))
}

/// Reads a schedule, and says why it is none.
pub(super) fn parse(schedule: &str) -> Result<Cron, String> {
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

/// Whether a schedule that was read names any day at all. Four years hold every date there is.
pub(super) fn names_a_day(schedule: &str) -> bool {
    const DAY: i64 = 86_400;
    const DAYS: i64 = 4 * 366;
    let days: Vec<&str> = schedule.split(' ').filter(|field| !field.is_empty()).skip(2).collect();
    let Ok(cron) = parse(&format!("* * {}", days.join(" "))) else { return false };
    let mut midnights = (0..DAYS).filter_map(|day| DateTime::<Utc>::from_timestamp(day * DAY, 0));
    midnights.any(|midnight| cron.is_time_matching(&midnight).unwrap_or(false))
}

#[cfg(test)]
#[path = "cron_tests.rs"]
mod tests;
