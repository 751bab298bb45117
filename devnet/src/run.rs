//! A run from beginning to end.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use ditto_core::clock::{Slot, SlotClock, SystemClock};
use tokio::signal::unix::{SignalKind, signal};

use crate::options::Options;
use crate::process::Children;
use crate::report::Report;
use crate::setup::Network;
use crate::setup::workflows::{self, Window};
use crate::targets::Targets;
use crate::watch::Watch;
use crate::{anvil, nodes, setup, summary};

/// Seconds between the first counted slot's start and the decision when that is: time to publish the workflows, and
/// for the operators to see them.
const LEAD_SECONDS: u64 = 5;
/// A block, and so a second, takes the publications of about this many, and some are waited for before others.
const PUBLISHED_PER_SECOND: u64 = 25;

/// Runs the devnet; `true` when every due occurrence was executed exactly once.
///
/// # Errors
/// When the network could not be brought up or watched, with what to look at.
pub async fn run(options: Options) -> anyhow::Result<bool> {
    let (dir, keep_dir) = directory(&options)?;
    let mut children = Children::default();
    // What the run came to, for when it is interrupted afterwards.
    let verdict = Cell::new(None);
    let outcome = tokio::select! {
        outcome = drive(&options, &dir, &mut children, &verdict) => outcome,
        () = interrupted() => verdict.get().context("interrupted"),
    };
    children.end().await;
    match outcome {
        Ok(true) if keep_dir => {}
        Ok(true) => std::fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?,
        _ => eprintln!("Configurations and logs of this run are in {}", dir.display()),
    }
    outcome
}

/// The steps of a run, in order.
async fn drive(
    options: &Options,
    dir: &Path,
    children: &mut Children,
    verdict: &Cell<Option<bool>>,
) -> anyhow::Result<bool> {
    let say = Narrator { quiet: options.quiet, began: Instant::now() };
    let chain = anvil::start(children, options.anvil.as_deref(), dir).await?;
    say.step(&format!("chain {} answers at {}", anvil::CHAIN_ID, chain.url));

    let mut network = setup::prepare(chain, options).await?;
    let (operators, accounts) = (network.operators.len(), network.accounts.len());
    say.step(&format!("contracts deployed; {operators} operators registered with proven keys, and a set of them"));
    say.step(&format!("{accounts} smart accounts created, each with a deposit and one session"));
    if options.setup_only {
        let window = window(options, &network);
        let published = workflows::publish(&mut network, window).await?;
        say.step(&format!("{} workflows published; no node is started (--setup-only)", published.len()));
        verdict.set(Some(true));
        return Ok(true);
    }

    let nodes = nodes::start(children, options, dir, &network)?;
    let _scraped = options.targets.as_deref().map(|path| Targets::write(path, &nodes)).transpose()?;
    nodes::ready(children, &nodes, Duration::from_secs(options.ready_seconds)).await?;
    say.step(&format!("1 aggregator and {operators} operators are ready, each a process of its own"));

    // Only now: from their publication on workflows are due, and every slot counts.
    let window = window(options, &network);
    let published = workflows::publish(&mut network, window).await?;
    say.step(&format!("{} workflows published, in operations that the accounts' owners signed", published.len()));

    let mut watch = Watch::new(options, &network, &nodes, window, &published)?;
    watch.run(children).await?;
    let mut report = watch.report().await?;
    report.aggregator = watch.audit(children, &nodes::bin_dir(options)?, dir)?;
    report.ok &= report.aggregator.as_ref().is_none_or(|audit| audit.decided_twice == 0);
    write(options, &report)?;
    say.line(&summary::table(&report));
    verdict.set(Some(report.ok));
    if options.keep {
        stay(&network, &nodes, dir, children).await?;
    }
    Ok(report.ok)
}

fn write(options: &Options, report: &Report) -> anyhow::Result<()> {
    let Some(path) = &options.report else { return Ok(()) };
    let text = serde_json::to_string_pretty(report).context("the report does not write as JSON")?;
    std::fs::write(path, text + "\n").with_context(|| format!("cannot write the report {}", path.display()))
}

/// Shows where everything is, and stays until Ctrl-C or until a process ends by itself.
async fn stay(network: &Network, nodes: &nodes::Nodes, dir: &Path, children: &mut Children) -> anyhow::Result<()> {
    println!("The network stays up; Ctrl-C ends it.\n");
    println!("  {:<14} {}", "RPC", network.chain.url);
    for node in nodes.all() {
        println!("  {:<14} {http}/metrics  {http}/health/ready  {http}/status", node.name, http = node.http);
    }
    println!("  {:<14} {}", "files and logs", dir.display());
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        children.all_run([anvil::NAME])?;
    }
}

fn window(options: &Options, network: &Network) -> Window {
    let clock = SlotClock::new(network.config.schedule(), Arc::new(SystemClock));
    let lead = LEAD_SECONDS + options.workflows / PUBLISHED_PER_SECOND;
    let earliest = clock.now_ms() + lead * 1_000;
    let first: Slot = clock.schedule().slot_at_ms(earliest).unwrap_or_default() + 1;
    Window { first, slots: options.slots, open_ended: options.keep }
}

/// Where the run keeps its files, and whether they stay.
fn directory(options: &Options) -> anyhow::Result<(PathBuf, bool)> {
    let (dir, keep) = match &options.dir {
        Some(dir) => (dir.clone(), true),
        None => (std::env::temp_dir().join(format!("ditto-devnet-{}", std::process::id())), options.keep),
    };
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    // Processes get their files by absolute paths.
    Ok((dir.canonicalize().with_context(|| format!("cannot resolve {}", dir.display()))?, keep))
}

async fn interrupted() {
    let terminate = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminate => {}
    }
}

/// Says what happens, with the seconds since the start.
struct Narrator {
    quiet: bool,
    began: Instant,
}

impl Narrator {
    fn step(&self, text: &str) {
        if !self.quiet {
            println!("{:6.1} s  {text}", self.began.elapsed().as_secs_f64());
        }
    }

    fn line(&self, text: &str) {
        if !self.quiet {
            println!("{text}");
        }
    }
}
