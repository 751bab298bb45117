//! `ditto-operator doctor`: whether this machine, its nodes, its keys and its registration are what an operator needs, and
//! what to do where they are not. It changes nothing, and may be run beside a running operator.

mod chain;
mod clock;
mod disk;
mod finding;
mod keys;
mod membership;
mod ports;
mod process;
mod sandbox;

use anstream::println;
use clap::Args;
use serde_json::json;

use crate::config::OperatorConfig;
use crate::terminal::{BAD, BOLD, DIM, GOOD, WARNING, hanging};
use finding::Findings;
pub use finding::{Finding, Status};

/// How to report.
#[derive(Args)]
pub struct DoctorOptions {
    /// Prints the findings as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Looks at everything, prints, and says whether nothing failed. A configuration that cannot be loaded is the first
/// finding; what does not need one is looked at all the same.
///
/// # Errors
/// When the findings cannot be printed.
pub fn run(options: &DoctorOptions, config: anyhow::Result<OperatorConfig>) -> anyhow::Result<bool> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let findings = runtime.block_on(examine(config));
    let failed = findings.iter().filter(|finding| finding.status == Status::Fail).count();
    let warned = findings.iter().filter(|finding| finding.status == Status::Warn).count();
    if options.json {
        let told = json!({ "ok": failed == 0, "failed": failed, "warnings": warned, "findings": findings });
        println!("{}", serde_json::to_string_pretty(&told)?);
    } else {
        show(&findings, failed, warned);
    }
    Ok(failed == 0)
}

/// Everything that was found, in the order of the sections.
async fn examine(config: anyhow::Result<OperatorConfig>) -> Vec<Finding> {
    let mut findings = Findings::default();
    let config = match config {
        Ok(config) => {
            findings.ok("config", "configuration", "it loads");
            Some(config)
        }
        Err(error) => {
            let fix = "Correct it first: nothing below that depends on it was looked at.";
            findings.fail("config", "configuration", format!("{error:#}"), fix);
            None
        }
    };
    sandbox::examine(&mut findings, config.as_ref().map(|config| &config.sandbox)).await;
    process::examine(&mut findings, config.as_ref());
    clock::synchronised(&mut findings);
    let Some(config) = config else { return findings.list() };
    disk::examine(&mut findings, &config.state_dir);
    ports::examine(&mut findings, &config).await;
    let keys = keys::examine(&mut findings, &config);
    let heads = chain::examine(&mut findings, &config).await;
    clock::against_chains(&mut findings, &config, &heads);
    membership::examine(&mut findings, &config, keys.as_ref(), &heads).await;
    findings.list()
}

fn show(findings: &[Finding], failed: usize, warned: usize) {
    let mut section = "";
    for finding in findings {
        if finding.section != section {
            section = finding.section;
            println!("{BOLD}{section}{BOLD:#}");
        }
        let (style, word) = match finding.status {
            Status::Ok => (GOOD, "ok"),
            Status::Warn => (WARNING, "warn"),
            Status::Fail => (BAD, "fail"),
            Status::Skip => (DIM, "skip"),
        };
        println!("  {style}{word:<4}{style:#}  {}", hanging(&format!("{}: {}", finding.what, finding.detail), 8));
        if let Some(fix) = &finding.fix {
            println!("        {BOLD}do:{BOLD:#} {}", hanging(fix, 12));
        }
    }
    println!();
    match (failed, warned) {
        (0, 0) => println!("{GOOD}all is well{GOOD:#}"),
        (0, warned) => println!("{WARNING}it can run; {warned} to look at{WARNING:#}"),
        (failed, _) => println!("{BAD}{failed} to mend before it can run well{BAD:#}"),
    }
}
