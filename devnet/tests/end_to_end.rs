//! Whole networks, made of the built binaries: `make e2e` builds them and runs these, one after the other.

#![allow(clippy::unwrap_used)]

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Runs a devnet of short slots; gives whether it was content, its report and what it printed.
fn run(name: &str, arguments: &[&str]) -> (bool, Value, String) {
    let (ok, report, printed, _directory) = run_and_keep(name, arguments);
    (ok, report, printed)
}

/// The same, with the directory of its nodes' configurations and states.
fn run_and_keep(name: &str, arguments: &[&str]) -> (bool, Value, String, tempfile::TempDir) {
    let mut dir = tempfile::Builder::new().prefix(&format!("ditto-{name}-")).tempdir().unwrap();
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
        println!("logs: {}", dir.path().display());
        dir.disable_cleanup(true);
    }
    (output.status.success(), report, printed, dir)
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

/// The aggregator has evidence of a fault, against one operator only, and its own command finds every proof good.
fn assert_the_liar_is_proven(directory: &Path) {
    let aggregator = PathBuf::from(env!("CARGO_BIN_EXE_ditto-devnet")).with_file_name("ditto-aggregator");
    let listed = Command::new(aggregator)
        .args(["evidence", "--json", "--config"])
        .arg(directory.join("network/aggregator.toml"))
        .output()
        .unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let lines: Vec<Value> =
        String::from_utf8_lossy(&listed.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!lines.is_empty(), "it voted both ways in every slot");
    assert!(lines.iter().all(|line| line["proof"] == "good"), "{lines:#?}");
    let accused: HashSet<&str> = lines.iter().filter_map(|line| line["evidence"]["operator"].as_str()).collect();
    assert_eq!(accused.len(), 1, "the liar, and nobody else: {accused:?}");
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
fn a_slot_whose_elected_operator_is_killed_is_served_although_the_aggregator_submits_nothing() {
    // And the aggregator takes votes and submits nothing: what it has is shown to everybody when it is late.
    let arguments = ["--slots", "5", "--workflows", "8", "--kill-elected-at", "1", "--mute-aggregator"];
    let (ok, report, printed) = run("killed", &arguments);
    assert!(printed.contains("is killed: it is elected for slot"));
    assert_served(ok, &report);
    let killed = &report["killed"];
    assert_ne!(killed["performed_by"], killed["operator"]);
    assert!(killed["rank"].as_u64().unwrap() >= 1, "a fallback performed: {killed}");
    let audit = &report["aggregator"];
    assert!(number(audit, "taken_over") > 0, "nobody else could submit: {audit:#}");
    assert!(audit["tasks"]["certified"].is_u64() || audit["tasks"]["executed"].is_u64(), "it had the votes: {audit:#}");
}

#[test]
#[ignore = "a whole network: run it by `make e2e`, which builds the binaries first"]
fn an_aggregator_that_is_killed_again_and_again_and_then_for_good_loses_nothing_in_a_network_that_disagrees() {
    // No process stands by: when the aggregator is gone, the operators submit. Two of four disagree, each about another
    // third of the workflows, so that every batch has to be decided in parts, whoever collects the votes.
    let arguments = [
        "--slots",
        "8",
        "--workflows",
        "6",
        "--dissenting",
        "2",
        "--kill-aggregator",
        "5",
        "--lose-aggregator-at",
        "6",
    ];
    let (ok, report, printed) = run("aggregator", &arguments);
    assert!(printed.contains("the aggregator is killed, and started again"));
    assert_served(ok, &report);
    let audit = &report["aggregator"];
    assert_eq!(number(audit, "kills"), 6, "{audit:#}");
    assert_eq!(number(audit, "decided_twice"), 0);
    assert!(number(audit, "taken_over") > 0, "operators submitted: {audit:#}");
    assert!(number(&report, "splits") > 0);
    let by = audit["taken_over_by"].as_object().unwrap();
    assert!(by.keys().all(|name| name.starts_with("operator-")), "{audit:#}");
}

#[test]
#[ignore = "a whole network: run it by `make e2e`, which builds the binaries first"]
fn a_lying_operator_and_a_hostile_workflow_harm_nobody() {
    let arguments = ["--slots", "6", "--workflows", "8", "--byzantine", "1", "--hostile-workflow"];
    let (ok, report, _, directory) = run_and_keep("byzantine", &arguments);
    assert_served(ok, &report);
    assert_the_liar_is_proven(directory.path());
    assert_eq!(number(&report["hostile"], "due"), 6);
    // It ran, it failed, and every time in one of the two ways it was written for.
    let outcomes = report["hostile"]["outcomes"].as_object().unwrap();
    let failed: u64 = outcomes.iter().filter(|(outcome, _)| *outcome != "calls").filter_map(|(_, n)| n.as_u64()).sum();
    assert!(failed >= 6, "{outcomes:?}");
}
