//! A run's report for people.

use alloy::primitives::U256;
use anstream::println;
use chrono::DateTime;
use serde_json::Value;

use super::amount::Amount;
use super::excerpt::excerpt;
use super::known::bytes as hex;
use super::project::Project;
use super::report::{CallReport, ReadReport, RunReport, Trial, Verdict};
use super::units::{bytes, counted, grouped};
use crate::terminal::{BAD, BOLD, DIM, GOOD, WARNING, hanging};

/// Columns before the text of an entry: two spaces, the entry's name, a space.
const INDENT: usize = 10;
/// Reads that are shown; `--json` has all of them.
const READS: usize = 24;

/// Prints a run.
pub fn run(project: &Project, report: &RunReport) {
    headline(report);
    if !report.logs.is_empty() {
        println!();
        for line in &report.logs {
            entry("log", &hanging(line, INDENT));
        }
    }
    if !report.reads.is_empty() {
        println!();
        report.reads.iter().take(READS).for_each(read);
        if report.reads.len() > READS {
            entry("", &format!("and {} more; --json shows all", counted(report.reads.len() - READS, "read")));
        }
    }
    if !report.calls.is_empty() {
        println!();
        report.calls.iter().for_each(call);
    }
    if let Some(problem) = &report.problem {
        println!();
        println!("  {BAD}{:<7}{BAD:#} {}", "error", hanging(&problem.message, INDENT));
        if let Some(line) = problem.line {
            for line in excerpt(&project.code_name(), &project.code, line, problem.columns.clone()).lines() {
                println!("  {line}");
            }
        }
        println!("  {BOLD}{:<7}{BOLD:#} {}", "help", hanging(&problem.advice, INDENT));
    }
    println!();
    if !report.blocks.is_empty() {
        used(report);
    }
    if let Some(verdict) = &report.policy {
        policy(verdict);
    }
    if let Some(trial) = &report.trial {
        chain(trial);
    }
}

fn headline(report: &RunReport) {
    let name = &report.workflow;
    let (style, ended) = match (report.outcome, report.good()) {
        ("calls", true) => (GOOD, format!("{name} makes {}", counted(report.calls.len(), "call"))),
        ("calls", false) => {
            (BAD, format!("{name} returned {}, which operators would refuse", counted(report.calls.len(), "call")))
        }
        ("nothing_to_do", _) => (GOOD, format!("{name} has nothing to do")),
        ("threw", _) => (BAD, format!("{name} threw an error")),
        (outcome, _) => (BAD, format!("{name} failed: {}", outcome.replace('_', " "))),
    };
    println!("{style}{ended}{style:#}");
    for at in &report.blocks {
        let time = i64::try_from(at.block.timestamp).ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
        let time = time.map_or_else(String::new, |time| format!(", {}", time.format("%Y-%m-%d %H:%M:%S UTC")));
        println!("{DIM}at block {} of chain {}{time}{DIM:#}", at.block.number, at.chain);
    }
    if !report.blocks.is_empty() {
        let slot = match report.slot {
            0 => "slot 0, as workflow.toml has no [network]".to_owned(),
            slot => format!("slot {slot}"),
        };
        println!("{DIM}{slot}{DIM:#}");
    }
}

fn entry(name: &str, text: &str) {
    println!("  {DIM}{name:<7}{DIM:#} {text}");
}

fn read(read: &ReadReport) {
    let target = read.params.get(0);
    let asked = match (&read.decoded, read.method.as_str()) {
        (Some(call), _) => format!("{} {call}", text(target.and_then(|call| call.get("to")))),
        (None, "eth_call") => {
            let data = target.and_then(|call| call.get("data")).and_then(Value::as_str).unwrap_or_default();
            let data = alloy::hex::decode(data).unwrap_or_default();
            format!("eth_call {} {}", text(target.and_then(|call| call.get("to"))), hex(&data))
        }
        (None, method) => {
            let params = read.params.as_array().map(Vec::as_slice).unwrap_or_default();
            let params: Vec<String> = params.iter().map(|param| text(Some(param))).collect();
            format!("{method} {}", params.join(" ")).trim_end().to_owned()
        }
    };
    let asked = format!("{asked} {DIM}(chain {}, {:.1} ms){DIM:#}", read.chain, read.milliseconds);
    entry("read", &hanging(&asked, INDENT));
    let answer = match (read.status, &read.answer_decoded) {
        ("ok", Some(words)) => format!("= {words}"),
        ("ok", None) => format!("= {}", quantity(read)),
        ("reverted", words) => format!("{WARNING}reverted{WARNING:#} {}", words.as_deref().unwrap_or_default()),
        ("failed", _) => format!("{BAD}failed{BAD:#}"),
        _ => format!("{DIM}the run ended before there was an answer{DIM:#}"),
    };
    entry("", &hanging(&answer, INDENT));
}

/// A result without a signature: balances in ether, other quantities as numbers, data cut.
fn quantity(read: &ReadReport) -> String {
    let answer = text(Some(&read.answer));
    match (read.method.as_str(), answer.parse::<U256>()) {
        ("eth_getBalance", Ok(wei)) => Amount(wei).to_string(),
        ("eth_blockNumber", Ok(number)) => number.to_string(),
        _ => match alloy::hex::decode(&answer) {
            Ok(data) => hex(&data),
            Err(_) => answer.chars().take(400).collect(),
        },
    }
}

fn text(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => "?".into(),
    }
}

fn call(call: &CallReport) {
    println!("  {BOLD}{:<7}{BOLD:#} {}", "call", hanging(&in_words(call), INDENT));
}

/// A call in one line.
#[must_use]
pub fn in_words(call: &CallReport) -> String {
    let value = Amount(call.value);
    match (&call.decoded, call.data.is_empty()) {
        (Some(words), _) if call.value.is_zero() => format!("{} {words}", call.to),
        (Some(words), _) => format!("{} {words}, with {value}", call.to),
        (None, true) => format!("{} receives {value}", call.to),
        (None, false) => format!(
            "{} is called with {}{}",
            call.to,
            hex(&call.data),
            match call.value.is_zero() {
                true => String::new(),
                false => format!(", with {value}"),
            }
        ),
    }
}

fn used(report: &RunReport) {
    if report.declared {
        entry("used", "no script: operators make the declared calls as they are, whenever the workflow is due");
        return;
    }
    let (used, limits) = (&report.used, &report.limits);
    let line = format!(
        "{} of {} ms, {} of memory (the engine's included), {} of {} reads, {} of {} of calls, {} of {} of code",
        grouped(used.wall_ms.round() as u64),
        grouped(limits.wall_ms),
        bytes(used.peak_memory_bytes),
        used.reads,
        limits.reads,
        bytes(used.output_bytes as u64),
        bytes(limits.output_bytes.into()),
        bytes(used.code_bytes as u64),
        bytes(limits.code_bytes.into()),
    );
    entry("used", &hanging(&line, INDENT));
}

fn policy(verdict: &Verdict) {
    match &verdict.breach {
        None => entry("policy", &format!("{GOOD}allows it{GOOD:#}")),
        Some(breach) => {
            entry("policy", &hanging(&format!("{BAD}refuses it{BAD:#}: {breach}"), INDENT));
            if let Some(fix) = &verdict.fix {
                entry("", "If it is meant to be, write in workflow.toml:");
                for line in fix.lines() {
                    entry("", &format!("  {line}"));
                }
            }
        }
    }
}

fn chain(trial: &Trial) {
    let (style, word) = match trial.works {
        Some(true) => (GOOD, "works"),
        Some(false) => (BAD, "fails"),
        None => (WARNING, "not tried"),
    };
    entry("chain", &hanging(&format!("{style}{word}{style:#}: {}", trial.explanation), INDENT));
}
