//! Whole networks, made of the built binaries: `make e2e` builds them and runs these, one after the other.

#![allow(clippy::unwrap_used)]

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

/// Runs a devnet of short slots; gives whether it was content, its report and what it printed.
fn run(name: &str, arguments: &[&str]) -> (bool, Value, String) {
    let dir = tempfile::Builder::new().prefix(&format!("ditto-{name}-")).tempdir().unwrap();
    let report = dir.path().join("report.json");
    let devnet = PathBuf::from(env!("CARGO_BIN_EXE_ditto-devnet"));
    for sibling in ["ditto-operator", "ditto-aggregator", "ditto-byzantine"] {
        let sibling = devnet.with_file_name(sibling);
        assert!(sibling.is_file(), "{} is not built; run `make e2e`", sibling.display());
    }
    let output = Command::new(devnet)
        .args(["--operators", "4", "--slot-seconds", "2", "--seed", name])
        .arg("--report")
        .arg(&report)
        .arg("--dir")
        .arg(dir.path().join("network"))
        .args(watched(name))
        .args(arguments)
        .output()
        .unwrap();
    let printed = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{printed}");
    let report = std::fs::read_to_string(&report).ok().and_then(|text| serde_json::from_str(&text).ok());
    let Some(report) = report else {
        let kept = dir.keep();
        panic!("no report; see {}", kept.display());
    };
    if !output.status.success() {
        println!("logs: {}", dir.keep().display());
    }
    (output.status.success(), report, printed)
}

/// scripts/monitoring.sh runs these tests under Prometheus, and says where to name the nodes. (What begins with `DITTO_` is
/// configuration to the nodes.)
fn watched(name: &str) -> Vec<OsString> {
    let dir = std::env::var_os("SCRAPE_TARGETS").map(PathBuf::from);
    dir.map_or_else(Vec::new, |dir| vec!["--targets".into(), dir.join(name).with_extension("json").into()])
}

fn number(report: &Value, field: &str) -> u64 {
    report[field].as_u64().unwrap_or_else(|| panic!("no {field} in {report:#}"))
}

/// Every honest occurrence executed exactly once.
fn assert_served(ok: bool, report: &Value) {
    assert!(number(report, "due_expected") > 0);
    assert_eq!(number(report, "executed"), number(report, "due_expected"));
    assert_eq!(number(report, "executed_twice"), 0);
    assert_eq!(number(report, "lost"), 0);
    assert_eq!(number(report, "unexpected"), 0);
    assert!(ok, "all is well in the report, yet the devnet says no");
}

#[test]
#[ignore = "a whole network: run it by `make e2e`, which builds the binaries first"]
fn every_due_occurrence_executes_exactly_once() {
    let (ok, report, printed) = run("normal", &["--slots", "6", "--workflows", "24"]);
    assert_served(ok, &report);
    assert_eq!(number(&report, "due"), number(&report, "due_expected"), "operators and devnet agree on what is due");
    assert_eq!(number(&report, "simulated"), number(&report, "due_expected"));
    assert_eq!(number(&report, "rejected"), 0);
    assert!(report["latency_ms"]["due_to_executed"]["p50"].is_u64());
    assert!(report["latency_ms"]["proposed_to_quorum"]["p50"].is_u64());
    // Batches are smaller than in a long run of many accounts, so these are upper bounds of it.
    let gas = &report["gas"];
    assert!(gas["verification_per_operation"].as_f64().unwrap() <= 15_000.0, "{gas:#}");
    assert!(gas["validation_per_operation"].as_f64().unwrap() <= 40_000.0, "{gas:#}");
    assert!(printed.contains("Every due occurrence was executed on the chain exactly once."));
}

#[test]
#[ignore = "a whole network: run it by `make e2e`, which builds the binaries first"]
fn a_slot_whose_elected_operator_is_killed_is_served() {
    let (ok, report, printed) = run("killed", &["--slots", "5", "--workflows", "8", "--kill-elected-at", "1"]);
    assert!(printed.contains("is killed: it is elected for slot"));
    assert_served(ok, &report);
    let killed = &report["killed"];
    assert_ne!(killed["performed_by"], killed["operator"]);
    assert!(killed["rank"].as_u64().unwrap() >= 1, "a fallback performed: {killed}");
}

#[test]
#[ignore = "a whole network: run it by `make e2e`, which builds the binaries first"]
fn an_aggregator_that_is_killed_again_and_again_and_then_for_good_loses_nothing() {
    let arguments =
        ["--slots", "8", "--workflows", "6", "--standby", "--kill-aggregator", "5", "--lose-aggregator-at", "6"];
    let (ok, report, printed) = run("aggregator", &arguments);
    assert!(printed.contains("the aggregator is killed, and started again"));
    assert_served(ok, &report);
    let audit = &report["aggregator"];
    assert_eq!(number(audit, "kills"), 6, "{audit:#}");
    assert_eq!(number(audit, "decided_twice"), 0);
    assert!(number(audit, "taken_over") > 0, "the standby submitted: {audit:#}");
}

#[test]
#[ignore = "a whole network: run it by `make e2e`, which builds the binaries first"]
fn a_lying_operator_and_a_hostile_workflow_harm_nobody() {
    let arguments = ["--slots", "6", "--workflows", "8", "--byzantine", "1", "--hostile-workflow"];
    let (ok, report, _) = run("byzantine", &arguments);
    assert_served(ok, &report);
    assert_eq!(number(&report["hostile"], "due"), 6);
    // It ran, it failed, and every time in one of the two ways it was written for.
    let outcomes = report["hostile"]["outcomes"].as_object().unwrap();
    let failed: u64 = outcomes.iter().filter(|(outcome, _)| *outcome != "calls").filter_map(|(_, n)| n.as_u64()).sum();
    assert!(failed >= 6, "{outcomes:?}");
}
