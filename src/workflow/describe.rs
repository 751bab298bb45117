//! Triggers and limits in words.

use chrono::DateTime;
use serde_json::Value;

use super::manifest::{Manifest, TriggerTable};
use super::publication;
use super::units::counted;
use crate::ingest::triggers::{Comparison, PublishedTrigger, Trigger};

/// The longest value that is shown, in characters.
const SHOWN: usize = 80;
/// The most values of a list that are shown.
const LISTED: usize = 6;

/// When the workflow is due, one line for each trigger. Nothing for triggers that cannot be published.
#[must_use]
pub fn triggers(manifest: &Manifest) -> Vec<String> {
    let Ok(published) = publication::triggers(manifest) else { return Vec::new() };
    manifest.triggers.iter().zip(&published).map(|(table, published)| trigger(table, published)).collect()
}

/// How often and in which time it is due, in one line; nothing where there is no such limit.
#[must_use]
pub fn limits(manifest: &Manifest) -> Option<String> {
    let time = |seconds: u64| {
        let time = i64::try_from(seconds).ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
        time.map_or_else(|| seconds.to_string(), |time| time.format("%Y-%m-%d %H:%M:%S UTC").to_string())
    };
    let parts = [
        manifest
            .count
            .map(|count| format!("executes {} at most", counted(count.try_into().unwrap_or(usize::MAX), "time"))),
        manifest.interval.map(|seconds| format!("{seconds} s apart at least")),
        manifest.valid_after.map(|instant| format!("from {}", time(instant.0))),
        manifest.valid_until.map(|instant| format!("until {}", time(instant.0))),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn trigger(table: &TriggerTable, published: &PublishedTrigger) -> String {
    match (table, Trigger::parse(published.kind, &published.data)) {
        (TriggerTable { cron: Some(schedule), .. }, _) => format!("by the clock: {schedule} (UTC)"),
        (TriggerTable { every: Some(every), phase, .. }, _) => match phase {
            None | Some(0) if *every == 1 => "in every slot".to_owned(),
            None | Some(0) => format!("every {every} slots"),
            Some(phase) => format!("every {every} slots, phase {phase}"),
        },
        (TriggerTable { event: Some(params), .. }, _) => event(params),
        (TriggerTable { onchain: Some(params), .. }, Ok(Trigger::Condition(condition))) => {
            format!("while {} {}", called(params), wanted(params, condition.comparison))
        }
        _ => String::new(),
    }
}

fn event(params: &Value) -> String {
    let of = format!(
        "on {} of {} on chain {}",
        name(params, "signature"),
        text(params.get("contractAddress")),
        text(params.get("chainId"))
    );
    let filter = params.get("filter").and_then(Value::as_object);
    let filter: Vec<String> = filter
        .into_iter()
        .flatten()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| match value {
            Value::Array(_) => format!("{name} is one of {}", list(Some(value))),
            value => format!("{name} is {}", text(Some(value))),
        })
        .collect();
    if filter.is_empty() { of } else { format!("{of} where {}", filter.join(" and ")) }
}

fn called(params: &Value) -> String {
    let (target, chain) = (text(params.get("target")), text(params.get("chainId")));
    format!("{}({}) of {target} on chain {chain}", name(params, "abi"), list(params.get("args")))
}

fn wanted(params: &Value, comparison: Comparison) -> String {
    let Some(condition) = params.get("onchainCondition").filter(|condition| !condition.is_null()) else {
        return "is true".to_owned();
    };
    let value = condition.get("value");
    let shown = match value {
        Some(Value::Array(_)) => list(value),
        _ => text(value),
    };
    let words = match comparison {
        Comparison::Equal => "is",
        Comparison::NotEqual => "is not",
        Comparison::GreaterThan => "is above",
        Comparison::GreaterThanOrEqual => "is at least",
        Comparison::LessThan => "is below",
        Comparison::LessThanOrEqual => "is at most",
        Comparison::OneOf => "is one of",
    };
    format!("{words} {shown}")
}

/// The name in a signature.
fn name(params: &Value, key: &str) -> String {
    let signature = params.get(key).and_then(Value::as_str).unwrap_or_default().trim();
    let signature = signature.strip_prefix("function ").or(signature.strip_prefix("event ")).unwrap_or(signature);
    signature.split('(').next().unwrap_or_default().trim().to_owned()
}

fn list(value: Option<&Value>) -> String {
    let items = value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut shown: Vec<String> = items.iter().take(LISTED).map(|item| text(Some(item))).collect();
    if items.len() > LISTED {
        shown.push(format!("… {} in all", items.len()));
    }
    shown.join(", ")
}

fn text(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => cut(text),
        Some(value) => cut(&value.to_string()),
        None => "?".to_owned(),
    }
}

/// One line of it, cut when it is long.
fn cut(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN).collect();
    if text.chars().count() > SHOWN { format!("{line}…") } else { line }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::manifest::tests::{GOOD, load};
    use super::*;

    fn told(triggers: &str) -> Vec<String> {
        let manifest = load(&GOOD.replace("cron = \"0 * * * *\"", triggers)).unwrap();
        let told = super::triggers(&manifest);
        assert!(!told.is_empty(), "{:?}", publication::triggers(&manifest));
        told
    }

    #[test]
    fn every_kind_is_told_in_words() {
        assert_eq!(told("cron = \"0 * * * *\""), ["by the clock: 0 * * * * (UTC)"]);
        assert_eq!(told("every = 1"), ["in every slot"]);
        assert_eq!(told("every = 30\nphase = 4"), ["every 30 slots, phase 4"]);
        let token = "0x0000000000000000000000000000000000000002";
        let event = format!(
            "event = {{ signature = \"event Transfer(address indexed from, address indexed to, uint256 value)\", \
             contractAddress = \"{token}\", chainId = 31337, filter = {{ to = [\"{token}\"] }} }}"
        );
        assert_eq!(told(&event), [format!("on Transfer of {token} on chain 31337 where to is one of {token}")]);
        let condition = |more: &str| {
            format!(
                "onchain = {{ target = \"{token}\", abi = \"f(uint8) returns (bool)\", args = [7], chainId = 31337 {more} }}"
            )
        };
        let of = format!("while f(7) of {token} on chain 31337");
        assert_eq!(told(&condition("")), [format!("{of} is true")]);
        // Older documents write numbers for conditions.
        let not = condition(", onchainCondition = { condition = 5, value = \"true\" }");
        assert_eq!(told(&not), [format!("{of} is not true")]);
    }

    #[test]
    fn limits_are_told_in_one_line() {
        assert_eq!(limits(&load(GOOD).unwrap()).unwrap(), "until 2030-01-31 12:00:00 UTC");
        let limited = GOOD.replace("target_chain = 31337", "target_chain = 31337\ncount = 1\ninterval = 60");
        let told = limits(&load(&limited).unwrap()).unwrap();
        assert_eq!(told, "executes 1 time at most, 60 s apart at least, until 2030-01-31 12:00:00 UTC");
    }
}
