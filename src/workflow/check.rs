//! `workflow check`: everything about a workflow that can be known without a chain.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use anstream::println;
use clap::Args;
use ditto_core::clock::{Clock, SystemClock};
use ditto_sandbox::{Input, Job, Limits, Outcome, ReadAnswer, ReadReply, ReadRequest, Reads, Sandbox, SandboxConfig};
use serde::Serialize;

use super::build::build;
use super::excerpt::excerpt;
use super::explain::{Facts, explain};
use super::known::Known;
use super::project::{Declared, Project};
use super::typecheck::{self, Types};
use super::units::{bytes, counted};
use super::{describe, due, publication, report, show, verdict};
use crate::terminal::{BAD, DIM, GOOD, WARNING, hanging};

/// What to check.
#[derive(Args)]
pub struct CheckOptions {
    /// The workflow's directory, or its manifest.
    #[arg(default_value = ".")]
    pub path: PathBuf,
    /// Prints the findings as JSON.
    #[arg(long)]
    pub json: bool,
    /// Sets one key of the manifest. May be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = super::pair)]
    pub overrides: Vec<(String, String)>,
}

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// As it should be.
    Ok,
    /// Worth a look; it can be published all the same.
    Warning,
    /// It has to be mended.
    Failed,
    /// Not looked at.
    Skipped,
}

/// One finding.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub what: &'static str,
    /// How it is.
    pub status: Status,
    /// What was found, and what to do about it.
    pub detail: String,
    /// Where in the code, from 1.
    pub line: Option<u32>,
    /// Which part of the line, in characters from 0: the first one, and the one after the last.
    pub columns: Option<Range<usize>>,
}

impl Finding {
    fn new(what: &'static str, status: Status, detail: impl Into<String>) -> Self {
        Self { what, status, detail: detail.into(), line: None, columns: None }
    }
}

/// Checks, prints, and says whether nothing failed.
///
/// # Errors
/// When there is no workflow to check, or its manifest cannot be read.
pub fn run(options: &CheckOptions) -> anyhow::Result<bool> {
    let project = Project::open(&options.path, &options.overrides)?;
    let findings = check(&project);
    let good = findings.iter().all(|finding| finding.status != Status::Failed);
    if options.json {
        let told = serde_json::json!({ "workflow": project.manifest.name, "ok": good, "checks": findings });
        println!("{}", serde_json::to_string_pretty(&told)?);
        return Ok(good);
    }
    for finding in &findings {
        let (style, word) = match finding.status {
            Status::Ok => (GOOD, "ok"),
            Status::Warning => (WARNING, "warn"),
            Status::Failed => (BAD, "fail"),
            Status::Skipped => (DIM, "skip"),
        };
        println!("  {style}{word:<4}{style:#}  {DIM}{:<9}{DIM:#} {}", finding.what, hanging(&finding.detail, 18));
        if let Some(line) = finding.line {
            print_place(&project, line, finding.columns.clone());
        }
    }
    match good {
        true if project.manifest.account.is_none() => {
            println!("\n{GOOD}{} is good{GOOD:#}; set `account` to publish it", project.manifest.name);
        }
        true => println!("\n{GOOD}{} can be published{GOOD:#}", project.manifest.name),
        false => println!("\n{BAD}{} has to be mended{BAD:#}", project.manifest.name),
    }
    Ok(good)
}

fn print_place(project: &Project, line: u32, columns: Option<Range<usize>>) {
    for line in excerpt(&project.code_name(), &project.code, line, columns).lines() {
        println!("        {line}");
    }
}

fn check(project: &Project) -> Vec<Finding> {
    let mut findings = vec![manifest(project), triggers(project), policy(project)];
    if let Some(declared) = &project.declared {
        findings.push(steps(project, declared));
        return findings;
    }
    let compiles = code(project);
    let runs = compiles.status != Status::Failed;
    findings.push(compiles);
    findings.push(types(project));
    if runs {
        findings.push(start(project));
    }
    findings
}

fn manifest(project: &Project) -> Finding {
    let manifest = &project.manifest;
    let checked = publication::args(manifest).and_then(|args| publication::window(manifest).map(|_| args));
    match checked {
        Err(error) => Finding::new("manifest", Status::Failed, error.to_string()),
        Ok(_) if manifest.account.is_none() => {
            let detail =
                "`account` is not set; it is needed to publish, and until then runs are made for the zero address";
            Finding::new("manifest", Status::Warning, detail)
        }
        Ok(args) => Finding::new("manifest", Status::Ok, format!("arguments of {}", bytes(args.len() as u64))),
    }
}

fn triggers(project: &Project) -> Finding {
    let manifest = &project.manifest;
    let triggers = match publication::triggers(manifest) {
        Ok(triggers) => triggers,
        Err(error) => return Finding::new("triggers", Status::Failed, error.to_string()),
    };
    let now = SystemClock.now_ms() / 1_000;
    match due::next(manifest, &triggers, now, 3) {
        None => {
            let told = describe::triggers(manifest).join("\nand ");
            let by_chain = manifest.triggers.iter().any(|table| table.event.is_some() || table.onchain.is_some());
            let why = match (by_chain, manifest.network) {
                (false, None) => "\n(`[network]` would tell the times: an interval counts the network's slots)",
                _ => "",
            };
            Finding::new("triggers", Status::Ok, format!("due {told}{why}"))
        }
        Some(due) if due.is_empty() => {
            let detail =
                "it is not due once within a year; is the schedule, or the window of validity, as it is meant?";
            Finding::new("triggers", Status::Warning, detail)
        }
        Some(due) => {
            let times: Vec<String> = due
                .iter()
                .map(|(slot, time)| {
                    let time = time.format("%Y-%m-%d %H:%M:%S");
                    if manifest.network.is_some() { format!("{time} (slot {slot})") } else { time.to_string() }
                })
                .collect();
            Finding::new("triggers", Status::Ok, format!("next due at {} UTC", times.join(", ")))
        }
    }
}

fn policy(project: &Project) -> Finding {
    let table = &project.manifest.policy;
    match publication::policy(&project.manifest) {
        Err(error) => Finding::new("policy", Status::Failed, error.to_string()),
        Ok(policy) => {
            let detail = format!(
                "{} allowed, with {} and {} gas in all, at {} per gas at most",
                counted(policy.rules.len(), "call"),
                table.max_value,
                super::units::grouped(table.max_call_gas),
                table.max_fee_per_gas,
            );
            Finding::new("policy", Status::Ok, detail)
        }
    }
}

/// The declared calls, in words, and whether the policy lets them pass: for a script only a run tells.
fn steps(project: &Project, declared: &Declared) -> Finding {
    let known = Known::gather(&project.manifest, "");
    let calls: Vec<String> = report::of_calls(&declared.calls, &known).iter().map(show::in_words).collect();
    let verdict = publication::policy(&project.manifest)
        .ok()
        .map(|policy| verdict::policy(&project.manifest, &policy, &declared.calls, &known))
        .filter(|verdict| !verdict.allowed);
    match verdict {
        Some(verdict) => {
            let fix = verdict.fix.map(|fix| format!("\nIf it is meant to be, write in workflow.toml:\n{fix}"));
            let breach = verdict.breach.unwrap_or_default();
            let detail = format!("the policy refuses them: {breach}{}", fix.unwrap_or_default());
            Finding::new("steps", Status::Failed, detail)
        }
        None => {
            let published = format!(
                "{}, no script; {} are published, with hash {}",
                counted(calls.len(), "call"),
                bytes(declared.code.len() as u64),
                project.code_hash()
            );
            Finding::new("steps", Status::Ok, format!("{published}\n{}", calls.join("\n")))
        }
    }
}

fn code(project: &Project) -> Finding {
    let limits = Limits::default();
    if let Err(outcome) = ditto_sandbox::compile_module(&project.code, limits.code_nesting) {
        return ending("code", project, &outcome, &limits, std::time::Duration::ZERO);
    }
    match build(project) {
        Ok(built) => {
            let detail =
                format!("compiles; {} are published, with hash {}", bytes(built.code.len() as u64), built.hash);
            Finding::new("code", Status::Ok, detail)
        }
        Err(error) => Finding::new("code", Status::Failed, format!("{error:#}")),
    }
}

fn types(project: &Project) -> Finding {
    match typecheck::check(&project.dir) {
        Types::Fit => Finding::new("types", Status::Ok, "tsc has nothing to say"),
        Types::Wrong(lines) => Finding::new("types", Status::Failed, lines.join("\n")),
        Types::Skipped(why) => Finding::new("types", Status::Skipped, why),
    }
}

/// Answers every read with a failure: how far a run comes by itself is what is asked.
struct NoChain;

impl Reads for NoChain {
    fn read(&self, _request: ReadRequest, reply: ReadReply) {
        reply.answer(ReadAnswer::Failed);
    }
}

/// Runs the code up to its first read, in the real sandbox.
fn start(project: &Project) -> Finding {
    let manifest = &project.manifest;
    let config = SandboxConfig { workers: 1, ..SandboxConfig::default() };
    let limits = config.limits.clone();
    let sandbox = match Sandbox::start(config) {
        Ok(sandbox) => sandbox,
        Err(error) => {
            let detail = format!("the sandbox does not start here ({error}); see `ditto-operator doctor`");
            return Finding::new("start", Status::Skipped, detail);
        }
    };
    let job = Job {
        code: project.code.as_bytes().into(),
        input: Input {
            workflow: "1".into(),
            occurrence: "18446744073709551616".into(),
            account: manifest.account.unwrap_or_default().to_string(),
            slot: 0,
            timestamp_ms: SystemClock.now_ms(),
            seed: [0; 32],
            args_json: manifest.args_json(),
            chains: manifest.chain_ids().into_iter().collect(),
        },
        limits: limits.clone(),
    };
    let report = sandbox.run_blocking(job, Arc::new(NoChain));
    sandbox.shutdown();
    match &report.outcome {
        Outcome::ReadFailed => Finding::new("start", Status::Ok, "it runs in the sandbox up to its first read"),
        Outcome::Calls(_) | Outcome::NothingToDo => {
            Finding::new("start", Status::Ok, "it runs in the sandbox to its end, without reading a chain")
        }
        outcome => ending("start", project, outcome, &limits, report.wall),
    }
}

fn ending(
    what: &'static str,
    project: &Project,
    outcome: &Outcome,
    limits: &Limits,
    wall: std::time::Duration,
) -> Finding {
    let facts = Facts { code: &project.code, limits, wall, reads: &[], notes: &[] };
    match explain(outcome, &facts) {
        Some(told) => Finding {
            what,
            status: Status::Failed,
            detail: format!("{}\n{}", told.headline, told.advice),
            line: told.line,
            columns: told.columns,
        },
        None => Finding::new(what, Status::Ok, "fine"),
    }
}
