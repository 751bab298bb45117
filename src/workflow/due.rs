//! When a workflow will be due next, as far as the clock alone decides it.

use chrono::{DateTime, Utc};
use ditto_core::clock::{Slot, SlotSchedule};

use super::manifest::Manifest;
use crate::ingest::triggers::{PublishedTrigger, Trigger};

/// How far is looked ahead, in minutes: a year and a day.
const MINUTES: u64 = 366 * 24 * 60;
/// How far is looked ahead where there is no schedule by minutes, in slots.
const SLOTS: u64 = 1_000_000;

/// A slot, when it begins.
pub type DueSlot = (Slot, DateTime<Utc>);

/// The next slots that the workflow is due in, at most `count` of them. `None` when time alone does not tell: the slots'
/// times are not known and a trigger counts them, or a chain decides.
#[must_use]
pub fn next(manifest: &Manifest, triggers: &[PublishedTrigger], now: u64, count: usize) -> Option<Vec<DueSlot>> {
    let triggers: Vec<Trigger> =
        triggers.iter().map(|trigger| Trigger::parse(trigger.kind, &trigger.data)).collect::<Result<_, _>>().ok()?;
    if triggers.iter().any(|trigger| matches!(trigger, Trigger::Event(_) | Trigger::Condition(_))) {
        return None;
    }
    let by_minutes = triggers.iter().any(|trigger| matches!(trigger, Trigger::Cron(_)));
    let counts_slots = triggers.iter().any(|trigger| matches!(trigger, Trigger::Interval { .. }));
    // Without the network's slots, minutes stand in: a schedule's times do not depend on how long a slot is.
    let schedule = match manifest.network {
        Some(schedule) => schedule,
        None if !counts_slots => SlotSchedule { genesis_seconds: 0, slot_seconds: 60 },
        None => return None,
    };
    let now = now.max(manifest.valid_after.map_or(0, |instant| instant.0)).max(schedule.genesis_seconds);
    let until = manifest.valid_until.map_or(u64::MAX, |instant| instant.0);
    let slot_at = |second: u64| schedule.slot_at_ms(second.saturating_mul(1_000));
    let candidates: Box<dyn Iterator<Item = Slot>> = if by_minutes {
        let first = now.checked_next_multiple_of(60)?;
        Box::new((0..MINUTES).filter_map(move |minute| slot_at(first.saturating_add(minute * 60))))
    } else {
        let first = slot_at(now)?;
        Box::new(first..first.saturating_add(SLOTS))
    };
    let mut found: Vec<DueSlot> = Vec::with_capacity(count);
    for slot in candidates {
        let start = schedule.start_seconds(slot);
        if start > until || found.len() == count {
            break;
        }
        let again = found.last().is_some_and(|(last, _)| *last == slot);
        if !again
            && start >= now.saturating_sub(schedule.slot_seconds)
            && triggers.iter().all(|t| t.fires(slot, &schedule))
        {
            found.push((slot, DateTime::from_timestamp(i64::try_from(start).ok()?, 0)?));
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::manifest::tests::{GOOD, load};
    use super::super::publication;
    use super::*;

    fn due(text: &str, now: u64) -> Option<Vec<String>> {
        let manifest = load(text).unwrap();
        let triggers = publication::triggers(&manifest).unwrap();
        let found = next(&manifest, &triggers, now, 3)?;
        Some(found.into_iter().map(|(_, time)| time.format("%Y-%m-%d %H:%M:%S").to_string()).collect())
    }

    #[test]
    fn a_schedule_s_next_times() {
        // 2023-11-14 22:13:20
        let hourly = due(GOOD, 1_700_000_000).unwrap();
        assert_eq!(hourly, ["2023-11-14 23:00:00", "2023-11-15 00:00:00", "2023-11-15 01:00:00"]);
        // From November 2026 on, the next one is in 2028.
        let leap_day = GOOD.replace("0 * * * *", "0 0 29 2 *");
        assert!(due(&leap_day, 1_795_000_000).unwrap().is_empty());
        assert!(due(GOOD, 1_900_000_000).unwrap().is_empty(), "after its end");
    }

    #[test]
    fn an_interval_needs_the_network_s_slots() {
        let every = GOOD.replace("cron = \"0 * * * *\"", "every = 30\nphase = 3");
        let times = due(&every, 1_700_000_000).unwrap();
        assert_eq!(times, ["2023-11-14 22:13:26", "2023-11-14 22:14:26", "2023-11-14 22:15:26"]);
        let nowhere = every.replace("[network]", "[args.x]");
        assert_eq!(due(&nowhere, 1_700_000_000), None);
    }
}
