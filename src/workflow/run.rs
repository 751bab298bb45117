//! `workflow run`: one run, in the real sandbox with its real limits, against real chains. Nothing is sent.

use std::path::PathBuf;
use std::sync::Arc;

use alloy::primitives::{Address, B256};
use anyhow::{Context, bail};
use clap::Args;
use ditto_core::chain::Batcher;
use ditto_core::clock::SlotSchedule;
use ditto_core::proposal::{Pin, hash_pins};
use ditto_core::task::{Occurrence, WorkflowId};
use ditto_sandbox::{Input, Job, Outcome, Report, Sandbox, SandboxConfig, compile_module};
use tokio::runtime::Handle;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::explain::{Facts, explain};
use super::known::Known;
use super::manifest::Manifest;
use super::nodes::{self, At, Block, BlockFlag, RpcFlag};
use super::notes::Notes;
use super::project::Project;
use super::recorder::Recorder;
use super::report::{self, ChainBlock, Problem, RunReport, Used};
use super::{publication, show, verdict};
use crate::simulate::{Reader, SlotReads};
use crate::slot;

/// What to run and where.
#[derive(Args)]
pub struct RunOptions {
    /// The workflow's directory, or its manifest.
    #[arg(default_value = ".")]
    pub path: PathBuf,
    /// A node: URL for the target chain, CHAIN=URL for another one. Goes before the manifest's.
    #[arg(long, value_name = "[CHAIN=]URL")]
    pub rpc: Vec<RpcFlag>,
    /// The block to read at: `latest`, a number or a hash; CHAIN=… for another chain than the target.
    #[arg(long, value_name = "[CHAIN=]BLOCK", conflicts_with = "slot")]
    pub block: Vec<BlockFlag>,
    /// Runs as it was, or will have been, in this slot, at the blocks that operators pin for it. Needs `[network]`.
    #[arg(long)]
    pub slot: Option<u64>,
    /// Runs for this account instead of the manifest's.
    #[arg(long)]
    pub account: Option<Address>,
    /// `ctx.args`, as a JSON object, instead of the manifest's.
    #[arg(long, value_name = "JSON")]
    pub args: Option<String>,
    /// The workflow's id in the registry, for `ctx.workflow`, `ctx.occurrence` and the seed of `Math.random`.
    #[arg(long, default_value_t = 1)]
    pub id: WorkflowId,
    /// Prints everything as JSON.
    #[arg(long)]
    pub json: bool,
    /// Sets one key of the manifest, such as `policy.max_call_gas=900000`. May be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = super::pair)]
    pub overrides: Vec<(String, String)>,
}

/// Runs, prints, and says whether operators would go on with it.
///
/// # Errors
/// When there was no run: the manifest is wrong, or no node answers.
pub async fn run(options: RunOptions) -> anyhow::Result<bool> {
    let notes = Notes::default();
    // Tests may run several in one process: the first one's notes are kept then.
    tracing_subscriber::registry().with(notes.clone()).try_init().ok();
    let mut project = Project::open(&options.path, &options.overrides)?;
    nodes::apply(&mut project.manifest, &options.rpc)?;
    if let Some(args) = &options.args {
        if project.declared.is_some() {
            bail!("--args: the calls are declared in workflow.toml, nothing reads arguments");
        }
        project.manifest.args = serde_json::from_str(args).context("--args: not a JSON object")?;
    }
    if let Some(account) = options.account {
        project.manifest.account = Some(account);
    }
    let report = simulate(&project, &options, &notes).await?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        show::run(&project, &report);
    }
    Ok(report.good())
}

async fn simulate(project: &Project, options: &RunOptions, notes: &Notes) -> anyhow::Result<RunReport> {
    let manifest = &project.manifest;
    let known = Known::gather(manifest, &project.code);
    let policy = publication::policy(manifest)?;
    let config = SandboxConfig { workers: 1, ..SandboxConfig::default() };
    let limits = config.limits.clone();

    // Code that does not compile needs no node to say so.
    if project.declared.is_none()
        && project.code.len() <= limits.code_bytes as usize
        && let Err(outcome) = compile_module(&project.code, limits.code_nesting)
    {
        return Ok(described(project, &Made::without_run(outcome), &Pinned::default(), &known, notes, &limits));
    }
    let chains = nodes::connect(manifest).await?;
    let target = target(manifest.network, manifest, options.slot)?;
    let blocks = nodes::blocks(&chains, manifest.target_chain, target, &options.block).await?;
    let pins: Vec<Pin> =
        blocks.iter().map(|(id, block)| Pin { chain_id: *id, number: block.number, hash: block.hash }).collect();
    let pinned = Pinned::new(manifest, &blocks, options.slot);

    let batchers =
        chains.iter().map(|(id, rpc)| (*id, Batcher::start(rpc.clone(), manifest.chains[id].batch))).collect();
    let reads = Arc::new(SlotReads::new(Arc::new(batchers), &pins));
    let account = manifest.account.unwrap_or_default();
    let made = match &project.declared {
        Some(declared) => Made::without_run(Outcome::Calls(declared.calls.clone())),
        None => sandboxed(project, options, &pinned, &pins, reads, config).await?,
    };
    let mut described = described(project, &made, &pinned, &known, notes, &limits);
    if let Outcome::Calls(calls) = &made.report.outcome {
        described.policy = Some(verdict::policy(manifest, &policy, calls, &known));
        let (rpc, block) = (&chains[&manifest.target_chain], blocks[&manifest.target_chain].hash);
        described.trial = Some(verdict::trial(manifest, rpc, block, account, calls, &known).await);
    }
    Ok(described)
}

/// One run of the script.
async fn sandboxed(
    project: &Project,
    options: &RunOptions,
    pinned: &Pinned,
    pins: &[Pin],
    reads: Arc<SlotReads>,
    config: SandboxConfig,
) -> anyhow::Result<Made> {
    let manifest = &project.manifest;
    let job = Job {
        code: project.code.as_bytes().into(),
        input: Input {
            workflow: options.id.to_string(),
            occurrence: Occurrence { workflow: options.id, slot: pinned.slot }.number().to_string(),
            account: manifest.account.unwrap_or_default().to_string(),
            slot: pinned.slot,
            timestamp_ms: pinned.seconds.saturating_mul(1_000),
            seed: slot::seed(pinned.slot, options.id, hash_pins(pins)).0,
            args_json: publication::args(manifest)?,
            chains: reads.chain_ids(),
        },
        limits: config.limits.clone(),
    };
    let recorder = Arc::new(Recorder::new(Arc::new(Reader { reads, runtime: Handle::current() })));
    let answers = recorder.clone();
    let report = tokio::task::spawn_blocking(move || -> anyhow::Result<Report> {
        let sandbox = Sandbox::start(config).context("the sandbox does not start; see `ditto-operator doctor`")?;
        let report = sandbox.run_blocking(job, answers);
        sandbox.shutdown();
        Ok(report)
    })
    .await
    .context("the sandbox was interrupted")??;

    Ok(Made { report, reads: recorder.noted() })
}

/// The target chain's block when no flag names one.
fn target(schedule: Option<SlotSchedule>, manifest: &Manifest, slot: Option<u64>) -> anyhow::Result<At> {
    let Some(slot) = slot else { return Ok(At::Latest) };
    let Some(schedule) = schedule else {
        bail!("--slot: workflow.toml has no [network] with genesis_seconds and slot_seconds, so no slot has a time");
    };
    let lag = manifest.chains.get(&manifest.target_chain).map_or(0, |chain| chain.pin_lag_seconds);
    Ok(At::Time(schedule.start_seconds(slot).saturating_sub(lag)))
}

/// What a run sees of slot and time.
#[derive(Debug, Default)]
struct Pinned {
    slot: u64,
    seconds: u64,
    blocks: Vec<ChainBlock>,
}

impl Pinned {
    fn new(manifest: &Manifest, blocks: &std::collections::BTreeMap<u64, Block>, slot: Option<u64>) -> Self {
        let shown = blocks.iter().map(|(chain, block)| ChainBlock { chain: *chain, block: *block }).collect();
        let target = blocks.get(&manifest.target_chain);
        let at = target.map_or(0, |block| block.timestamp);
        let lag = manifest.chains.get(&manifest.target_chain).map_or(0, |chain| chain.pin_lag_seconds);
        let (slot, seconds) = match manifest.network {
            Some(schedule) => {
                let slot = slot.unwrap_or_else(|| first_slot_at(schedule, at.saturating_add(lag)));
                (slot, schedule.start_seconds(slot))
            }
            None => (0, at.saturating_add(lag)),
        };
        Self { slot, seconds, blocks: shown }
    }
}

/// The first slot that starts at or after this second: a block is the pin of such a one.
fn first_slot_at(schedule: SlotSchedule, seconds: u64) -> u64 {
    seconds.saturating_sub(schedule.genesis_seconds).div_ceil(schedule.slot_seconds.max(1))
}

/// A run and what it read.
struct Made {
    report: Report,
    reads: Vec<super::recorder::Noted>,
}

impl Made {
    fn without_run(outcome: Outcome) -> Self {
        let (wall, cpu) = (std::time::Duration::ZERO, std::time::Duration::ZERO);
        let report = Report { outcome, reads: Vec::new(), logs: Vec::new(), wall, cpu, peak_memory_bytes: 0 };
        Self { report, reads: Vec::new() }
    }
}

fn described(
    project: &Project,
    made: &Made,
    pinned: &Pinned,
    known: &Known,
    notes: &Notes,
    limits: &ditto_sandbox::Limits,
) -> RunReport {
    let Made { report, reads } = made;
    let notes = notes.take();
    let facts = Facts { code: &project.code, limits, wall: report.wall, reads, notes: &notes };
    let calls = report::calls(&report.outcome, known);
    let problem = explain(&report.outcome, &facts).map(|told| Problem {
        message: told.headline,
        line: told.line,
        columns: told.columns,
        advice: told.advice,
    });
    RunReport {
        workflow: project.manifest.name.clone(),
        code_hash: project.code_hash(),
        declared: project.declared.is_some(),
        engine_id: B256::from(ditto_sandbox::engine_id()),
        blocks: pinned.blocks.iter().map(|of| ChainBlock { chain: of.chain, block: of.block }).collect(),
        slot: pinned.slot,
        timestamp_ms: pinned.seconds.saturating_mul(1_000),
        outcome: report.outcome.kind(),
        problem,
        used: Used {
            wall_ms: report.wall.as_secs_f64() * 1_000.0,
            cpu_ms: report.cpu.as_secs_f64() * 1_000.0,
            peak_memory_bytes: report.peak_memory_bytes,
            reads: reads.len(),
            output_bytes: calls.iter().map(|call| 52 + call.data.len()).sum(),
            code_bytes: project.code_bytes().len(),
            log_lines: report.logs.len(),
        },
        reads: reads.iter().map(|noted| report::read(noted, known)).collect(),
        logs: report.logs.clone(),
        calls,
        limits: limits.clone(),
        policy: None,
        trial: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_the_pin_of_the_first_slot_after_it() {
        let schedule = SlotSchedule { genesis_seconds: 100, slot_seconds: 12 };
        assert_eq!(first_slot_at(schedule, 100), 0);
        assert_eq!(first_slot_at(schedule, 101), 1);
        assert_eq!(first_slot_at(schedule, 112), 1);
        assert_eq!(first_slot_at(schedule, 113), 2);
        assert_eq!(first_slot_at(schedule, 5), 0, "before genesis");
    }
}
