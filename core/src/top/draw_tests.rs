#![allow(clippy::unwrap_used)]
use std::time::Duration;

use anstream::adapter::strip_str;
use serde_json::json;

use super::*;

fn status(handled: u64) -> Status {
    serde_json::from_value(json!({
        "binary": "ditto-operator", "version": "1.2.3", "network": "devnet", "target_chain": 31337, "uptime_seconds": 100,
        "ready": false, "checks": { "peers": { "ready": false, "reason": "not connected to the aggregator", "since_seconds": 7 },
                                    "chain": { "ready": true, "since_seconds": 90 } },
        "slot": 77, "slot_elapsed_ms": 1234, "slot_seconds": 2,
        "role": { "name": "performer", "rank": 1 }, "next_turn": { "slot": 80, "in_seconds": 5 },
        "operator_set": { "id": 3, "members": 4, "power": "400", "own_index": 1, "own_power": "100" },
        "chains": [{ "id": 31337, "head": 5000, "head_age_seconds": 1 }, { "id": 1 }],
        "peers": ["operator 0x01", "aggregator 0x02"],
        "balance": { "address": "0x03", "wei": "1500000000000000000", "age_seconds": 3 },
        "last_vote": { "slot": 76, "what": "b", "outcome": "direct", "age_seconds": 2 },
        "stages": [
            { "stage": "plan", "queue": 1, "capacity": 2, "busy": 0, "workers": 1, "handled_total": 70, "dropped_total": 0 },
            { "stage": "simulate", "queue": 4096, "capacity": 4096, "busy": 128, "workers": 128, "handled_total": handled,
              "dropped_total": 9 },
        ],
        "slots": [{ "slot": 75, "rank": null, "due": 4, "approved": 4 }, { "slot": 76, "rank": 0, "due": 5, "approved": 3 }],
        "signer": "0x03",
    }))
    .unwrap()
}

fn text(lines: &[String]) -> String {
    strip_str(&lines.join("\n")).to_string()
}

#[test]
fn a_frame_tells_what_an_operator_asks() {
    let shown = text(&frame(&Sample::now(status(1_000)), None, "", WIDTH));
    for part in [
        "ditto-operator 1.2.3  network devnet  chain 31337  up 100 s  not ready",
        "slot 77, 1.2 of 2 s   performer of rank 1   next turn: slot 80, in 5 s",
        "operator set 3: 4 members, power 400, of which ours 100 (25.0 %)",
        "last vote: slot 76, direct, 2 s ago",
        "chain 31337: block 5000, 1 s old   chain 1: no node answers   peers: 2 (the aggregator, too)",
        "balance: 1.500000 ether at 0x03",
        "not ready  peers: not connected to the aggregator (for 7 s)",
        "plan        ► simulate",
        "█████░░░░░    ██████████",
        "1/2           4096/4096",
        "busy 0/1      busy 128/128",
        "0.7/s         10.0/s",
        "drops 0       drops 9",
        "76               0     5         3",
    ] {
        assert!(shown.contains(part), "no {part:?} in\n{shown}");
    }
    assert!(!shown.contains("chain:"), "what is ready is not told:\n{shown}");
}

#[test]
fn rates_are_of_the_time_between_two_looks() {
    let before = Sample::now(status(1_000));
    let now = Sample { status: status(1_500), at: before.at + Duration::from_secs(2) };
    assert!(text(&frame(&now, Some(&before), "", WIDTH)).contains("0.0/s         250.0/s"));
    // It was started again meanwhile: nothing was handled a negative number of times.
    let fresh = Sample { status: status(0), at: now.at + Duration::from_secs(1) };
    assert!(text(&frame(&fresh, Some(&now), "", WIDTH)).contains("0.0/s"));
}

#[test]
fn every_line_fits_and_stages_wrap() {
    let sample = Sample::now(status(1));
    for width in [1, 20, 40, 100] {
        for line in frame(&sample, None, "it does not answer", width) {
            assert!(columns(&cut(&line, width)) <= width);
        }
    }
    let narrow = text(&frame(&sample, None, "", 20));
    assert!(narrow.contains("\nsimulate\n"), "{narrow}");
}

#[test]
fn a_hostile_status_does_not_steer_the_terminal_nor_panic() {
    let mut hostile = status(u64::MAX);
    hostile.network = "\x1b]0;owned\x07\x1b[2J".into();
    hostile.stages[0] =
        StageStatus { stage: "\x1b[31m".repeat(9), queue: usize::MAX, capacity: 0, ..StageStatus::default() };
    hostile.slots = json!({ "1": { "\u{1b}[2J": "\u{1b}[2J", "due": [1, 5, 2] }, "x": 1, "2": [] });
    hostile.balance.as_mut().unwrap().wei = "9".repeat(200);
    hostile.checks.get_mut("peers").unwrap().since_seconds = u64::MAX;
    let lines = frame(&Sample::now(hostile), None, "\x1b[2J", WIDTH);
    let stripped = text(&lines);
    assert!(!stripped.contains('\x1b') && !lines.join("").contains("[2J\x07"), "{stripped}");
    assert!(!lines.iter().any(|line| line.contains("\x1b]") || line.contains("\x1b[2J")));
    assert!(stripped.contains(" 5"), "of several numbers the largest is shown: {stripped}");
    // Any object is a status of something.
    let empty: Status = serde_json::from_value(json!({})).unwrap();
    assert!(!frame(&Sample::now(empty), None, "", 0).is_empty());
}
