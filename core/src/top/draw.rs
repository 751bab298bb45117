//! One frame: what `/status` says, as lines of text with colours.

use std::collections::BTreeMap;
use std::time::Instant;

use anstyle::{AnsiColor, Style};
use serde_json::{Map, Value};

use crate::telemetry::status::{ChainStatus, Done, StageStatus, Status};

/// Columns of a frame that nobody looks at in a terminal.
pub const WIDTH: usize = 100;
/// Columns of a stage, with the arrow to the next.
const STAGE: usize = 14;
/// Columns of a queue's bar.
const BAR: usize = 10;
/// Slots shown.
const SLOTS: usize = 8;
/// A head this old is worth a look.
const OLD_SECONDS: u64 = 60;
/// What is shown of slots first, in this order; the rest follows by name.
const FIRST: [&str; 12] = [
    "rank",
    "due",
    "simulated",
    "operations",
    "proposed",
    "approved",
    "rejected",
    "abstained",
    "executed",
    "failed",
    "superseded",
    "expired",
];

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// A status and when it was had.
#[derive(Clone, Debug)]
pub struct Sample {
    /// What was said.
    pub status: Status,
    /// When.
    pub at: Instant,
}

impl Sample {
    /// Had just now.
    #[must_use]
    pub fn now(status: Status) -> Self {
        Self { status, at: Instant::now() }
    }
}

/// The frame. With the sample before, rates are of the time between; without, of the time since the start. `trouble` is why
/// there is no newer one.
#[must_use]
pub fn frame(now: &Sample, before: Option<&Sample>, trouble: &str, width: usize) -> Vec<String> {
    let status = &now.status;
    let mut lines = vec![title(status)];
    if !trouble.is_empty() {
        lines.push(format!("{BAD}{}{BAD:#}", safe(trouble)));
    }
    lines.extend(standing(status));
    for (name, check) in status.checks.iter().filter(|(_, check)| !check.ready) {
        let reason = check.reason.as_deref().unwrap_or("no reason given");
        let since = span(check.since_seconds);
        lines.push(format!("{WARNING}not ready{WARNING:#}  {}: {} (for {since})", safe(name), safe(reason)));
    }
    lines.push(String::new());
    lines.extend(pipeline(now, before, width));
    lines.extend(slots(&status.slots, width));
    lines
}

fn title(status: &Status) -> String {
    let ready = if status.ready { format!("{GOOD}ready{GOOD:#}") } else { format!("{BAD}not ready{BAD:#}") };
    format!(
        "{BOLD}{} {}{BOLD:#}  network {}  chain {}  up {}  {ready}",
        safe(&status.binary),
        safe(&status.version),
        safe(&status.network),
        status.target_chain,
        span(status.uptime_seconds)
    )
}

/// Where this node stands: slot and role, set and power, votes and money, chains and peers.
fn standing(status: &Status) -> Vec<String> {
    let mut slot = match status.slot {
        Some(slot) => format!("slot {slot}, {:.1} of {} s", status.slot_elapsed_ms as f64 / 1e3, status.slot_seconds),
        None => "before slot 0".to_owned(),
    };
    if let Some(role) = &status.role {
        let rank = role.rank.map(|rank| format!(" of rank {rank}")).unwrap_or_default();
        slot += &format!("   {BOLD}{}{rank}{BOLD:#}", safe(&role.name));
    }
    if let Some(turn) = &status.next_turn {
        slot += &format!("   next turn: slot {}, in {}", turn.slot, span(turn.in_seconds));
    }
    let mut lines = vec![slot];
    if let Some(set) = &status.operator_set {
        let mut line = format!("operator set {}: {} members, power {}", set.id, set.members, safe(&set.power));
        if let Some(own) = &set.own_power {
            let share = own.parse::<f64>().unwrap_or(0.0) / set.power.parse::<f64>().unwrap_or(0.0).max(1.0) * 100.0;
            let style = if own == "0" { BAD } else { Style::new() };
            line += &format!(", of which ours {style}{} ({share:.1} %){style:#}", safe(own));
        }
        lines.push(line);
    }
    let done = [
        ("vote", &status.last_vote),
        ("certificate", &status.last_certificate),
        ("submission", &status.last_submission),
    ];
    let done: Vec<_> =
        done.iter().filter_map(|(name, done)| Some(format!("last {name}: {}", one(done.as_ref()?)))).collect();
    if !done.is_empty() {
        lines.push(done.join("   "));
    }
    let mut around: Vec<String> = status.chains.iter().map(chain).collect();
    let aggregator =
        if status.peers.iter().any(|peer| peer.starts_with("aggregator")) { " (the aggregator, too)" } else { "" };
    around.push(format!("peers: {}{aggregator}", status.peers.len()));
    lines.push(around.join("   "));
    if let Some(balance) = &status.balance {
        lines.push(format!(
            "balance: {} ether at {}, {} ago",
            ether(&balance.wei),
            safe(&balance.address),
            span(balance.age_seconds)
        ));
    }
    lines
}

fn one(done: &Done) -> String {
    let slot = done.slot.map(|slot| format!("slot {slot}, ")).unwrap_or_default();
    format!("{slot}{}, {} ago", safe(&done.outcome), span(done.age_seconds))
}

fn chain(chain: &ChainStatus) -> String {
    match (chain.head, chain.head_age_seconds) {
        (Some(head), Some(age)) => {
            let style = if age > OLD_SECONDS { BAD } else { Style::new() };
            format!("chain {}: block {head}, {style}{} old{style:#}", chain.id, span(age))
        }
        _ => format!("chain {}: {BAD}no node answers{BAD:#}", chain.id),
    }
}

/// The stages from left to right, as many in a row as there is room for.
fn pipeline(now: &Sample, before: Option<&Sample>, width: usize) -> Vec<String> {
    let stages = &now.status.stages;
    let mut lines = Vec::new();
    for row in stages.chunks((width / STAGE).max(1)) {
        let mut columns: [String; 6] = Default::default();
        for stage in row {
            let last = stages.last().is_some_and(|last| last.stage == stage.stage);
            for (line, cell) in columns.iter_mut().zip(cells(stage, now, before, last)) {
                line.push_str(&cell);
            }
        }
        lines.extend(columns.into_iter().map(|line| line.trim_end().to_owned()));
        lines.push(String::new());
    }
    lines
}

/// A stage's column: name, the queue as a bar and in numbers, busy workers, items a second, drops.
fn cells(stage: &StageStatus, now: &Sample, before: Option<&Sample>, last: bool) -> [String; 6] {
    let earlier = before.and_then(|before| {
        let same = before.status.uptime_seconds <= now.status.uptime_seconds;
        before.status.stages.iter().find(|other| same && other.stage == stage.stage).map(|stage| (before.at, stage))
    });
    let rate = match earlier {
        Some((at, earlier)) => {
            let seconds = now.at.duration_since(at).as_secs_f64().max(0.001);
            stage.handled_total.saturating_sub(earlier.handled_total) as f64 / seconds
        }
        None => stage.handled_total as f64 / (now.status.uptime_seconds.max(1)) as f64,
    };
    let fresh = earlier.map_or(0, |(_, earlier)| stage.dropped_total.saturating_sub(earlier.dropped_total));
    let full = stage.queue as f64 / stage.capacity.max(1) as f64;
    let colour = if full > 0.8 {
        BAD
    } else if full > 0.5 {
        WARNING
    } else {
        GOOD
    };
    // One item shows, however long the queue may get.
    let filled = ((full * BAR as f64).ceil() as usize).min(BAR);
    let bar = format!("{colour}{}{colour:#}{DIM}{}{DIM:#}", "█".repeat(filled), "░".repeat(BAR - filled));
    let all_busy = stage.busy >= stage.workers && stage.workers > 1;
    let busy_style = if all_busy { WARNING } else { Style::new() };
    let drop_style = match (fresh, stage.dropped_total) {
        (1.., _) => BAD,
        (_, 0) => DIM,
        _ => WARNING,
    };
    let name: String = safe(&stage.stage).chars().take(STAGE - 3).collect();
    let arrow = if last { "" } else { "►" };
    [
        pad(&format!("{BOLD}{name}{BOLD:#}"), STAGE - 2) + &pad(arrow, 2),
        pad(&bar, STAGE),
        pad(&format!("{}/{}", stage.queue, stage.capacity), STAGE),
        pad(&format!("{busy_style}busy {}/{}{busy_style:#}", stage.busy, stage.workers), STAGE),
        pad(&format!("{rate:.1}/s"), STAGE),
        pad(&format!("{drop_style}drops {}{drop_style:#}", stage.dropped_total), STAGE),
    ]
}

/// The last slots as a table: a list of objects with a `slot`, or an object by slot.
fn slots(slots: &Value, width: usize) -> Vec<String> {
    let number = |value: &Value| value.as_u64();
    let rows: BTreeMap<u64, &Map<String, Value>> = match slots {
        Value::Array(list) => list
            .iter()
            .filter_map(Value::as_object)
            .filter_map(|row| Some((row.get("slot").and_then(number)?, row)))
            .collect(),
        Value::Object(by_slot) => {
            by_slot.iter().filter_map(|(slot, row)| Some((slot.parse().ok()?, row.as_object()?))).collect()
        }
        _ => BTreeMap::new(),
    };
    let Some((_, example)) = rows.last_key_value() else { return Vec::new() };
    let rest = example.keys().map(String::as_str).filter(|name| *name != "slot" && !FIRST.contains(name));
    let mut names: Vec<&str> = FIRST.into_iter().filter(|name| example.contains_key(*name)).chain(rest).collect();
    let columns = |name: &str| name.chars().count().max(4) + 2;
    let mut left = width.saturating_sub(12);
    names.retain(|name| {
        let room = left.checked_sub(columns(name));
        left = room.unwrap_or(left);
        room.is_some()
    });
    let header: String = names.iter().map(|name| format!("{:>1$}", safe(name), columns(name))).collect();
    let mut lines = vec![format!("{DIM}{:<12}{header}{DIM:#}", "slot")];
    for (slot, row) in rows.iter().rev().take(SLOTS) {
        let cells: String = names
            .iter()
            .map(|name| format!("{:>1$}", cell(row.get(*name).unwrap_or(&Value::Null)), columns(name)))
            .collect();
        lines.push(format!("{slot:<12}{cells}").trim_end().to_owned());
    }
    lines
}

/// A number; of several the largest; of none a dash.
fn cell(value: &Value) -> String {
    match value {
        Value::Number(number) => number.to_string(),
        Value::Array(list) => {
            list.iter().filter_map(Value::as_u64).max().map_or("-".to_owned(), |most| most.to_string())
        }
        Value::String(text) => safe(text).chars().take(12).collect(),
        _ => "-".to_owned(),
    }
}

/// Wei as ether, to six digits.
fn ether(wei: &str) -> String {
    wei.parse::<u128>().map_or_else(|_| "?".to_owned(), |wei| format!("{:.6}", wei as f64 / 1e18))
}

/// A time in the two largest units that it has.
fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// What somebody else wrote, without what would steer the terminal.
fn safe(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Columns that a text takes; escape sequences take none.
fn columns(text: &str) -> usize {
    let mut escaped = false;
    text.chars().filter(|c| visible(*c, &mut escaped)).count()
}

fn visible(c: char, escaped: &mut bool) -> bool {
    let within = *escaped || c == '\u{1b}';
    *escaped = within && c != 'm';
    !within
}

fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(columns(text))))
}

/// The part of a line that fits into so many columns, with all of its styles.
pub(super) fn cut(line: &str, width: usize) -> String {
    let (mut escaped, mut left) = (false, width);
    line.chars()
        .filter(|c| {
            if !visible(*c, &mut escaped) {
                return true;
            }
            let fits = left > 0;
            left = left.saturating_sub(1);
            fits
        })
        .collect()
}

#[cfg(test)]
#[path = "draw_tests.rs"]
mod tests;
