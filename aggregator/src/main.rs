//! `ditto-aggregator`: runs the aggregator, checks its configuration, lists its ledger and the faults it has proof of.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use ditto_aggregator::config::AggregatorConfig;
use ditto_aggregator::evidence::{self, Listed};
use ditto_aggregator::ledger::{self, TaskRecord, TaskState};
use ditto_aggregator::node;
use ditto_core::config::{Loaded, show};
use ditto_core::hardening::forbid_dumps;
use ditto_core::telemetry::catalog::{catalog, table};
use ditto_core::telemetry::reload::InForce;
use ditto_core::telemetry::{Metrics, log};
use ditto_core::top::{self, TopOptions};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The stand-alone aggregator of a Ditto network.
#[derive(Parser)]
#[command(name = "ditto-aggregator", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run until SIGTERM or SIGINT.
    Run(Source),
    /// Check or show the configuration.
    Config {
        #[command(subcommand)]
        what: ConfigCommand,
    },
    /// Show a running aggregator's pipeline, live: queues, rates, drops, the last slots.
    Top {
        /// Where it answers: its `telemetry.listen`.
        #[arg(long, default_value = "http://127.0.0.1:9400")]
        url: String,
        /// Print one frame and end: for pipes.
        #[arg(long)]
        once: bool,
        /// Milliseconds between two looks.
        #[arg(long, value_name = "MS", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(100..))]
        every: u64,
    },
    /// Print what the aggregator measures, as a Markdown table.
    Metrics,
    /// Print completions for a shell.
    Completions {
        /// Which shell.
        shell: Shell,
    },
    /// Write the man pages, for packages.
    #[command(hide = true)]
    Man {
        /// Where to; must exist.
        directory: PathBuf,
    },
    /// List what became of every proposed task (the aggregator must not be running on the same ledger).
    Ledger {
        #[command(flatten)]
        source: Source,
        /// One JSON object per line.
        #[arg(long)]
        json: bool,
    },
    /// List the proven faults of operators, and check each proof (the aggregator may be running).
    Evidence {
        #[command(flatten)]
        source: Source,
        /// One JSON object per line: the whole record and whether it is proven.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Check it, the submitter key included.
    Check(Source),
    /// Show every value in force, and where it came from: file and line, variable, flag, preset or default. Secrets are not
    /// part of a configuration, and of URLs no credential is shown.
    Show {
        #[command(flatten)]
        source: Source,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args)]
struct Source {
    /// The configuration file.
    #[arg(long, env = ditto_aggregator::config::ENV_FILE)]
    config: Option<PathBuf>,
    /// Sets one value over file and environment; may be repeated.
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    set: Vec<(String, String)>,
    /// What is public of a network: ethereum, base, arbitrum, polygon, holesky. Whatever is set anywhere goes before it.
    #[arg(long, value_name = "NETWORK")]
    preset: Option<String>,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write key=value, such as submission.poll_ms=100")?;
    Ok((key.to_owned(), value.to_owned()))
}

impl Source {
    fn load(&self) -> anyhow::Result<AggregatorConfig> {
        Ok(self.loaded()?.value)
    }

    fn loaded(&self) -> anyhow::Result<Loaded<AggregatorConfig>> {
        let preset = self.preset.iter().map(|name| ("preset".to_owned(), name.clone()));
        let overrides: Vec<_> = self.set.iter().cloned().chain(preset).collect();
        Ok(AggregatorConfig::loaded(self.config.as_deref(), &overrides)?)
    }
}

fn main() -> ExitCode {
    if let Err(error) = forbid_dumps() {
        eprintln!("ditto-aggregator: core dumps cannot be forbidden: {error}");
    }
    let done = match Cli::parse().command {
        Command::Run(source) => run(&source),
        Command::Config { what: ConfigCommand::Check(source) } => check(&source),
        Command::Config { what: ConfigCommand::Show { source, json } } => show(&source, json),
        Command::Top { url, once, every } => watch(url, once, every),
        Command::Metrics => {
            print!("{}", table(&catalog(ditto_aggregator::report::describe_all)));
            Ok(ExitCode::SUCCESS)
        }
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "ditto-aggregator", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
        Command::Man { directory } => {
            clap_mangen::generate_to(Cli::command(), directory).map(|()| ExitCode::SUCCESS).map_err(anyhow::Error::from)
        }
        Command::Ledger { source, json } => list(&source, json),
        Command::Evidence { source, json } => faults(&source, json),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            // Our errors tell their causes themselves; the chain would tell them twice.
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(source: &Source) -> anyhow::Result<ExitCode> {
    let config = source.load()?;
    let signer = config.submitter()?;
    let mut in_force = InForce::new(&config, log::install(&config.telemetry.log)?);
    let metrics = Metrics::install("ditto-aggregator", env!("CARGO_PKG_VERSION"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let clean = runtime.block_on(async {
        let stop = CancellationToken::new();
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let mut hangup = signal(SignalKind::hangup())?;
        let running = node::run(config, signer, metrics, stop.clone());
        tokio::pin!(running);
        loop {
            tokio::select! {
                clean = &mut running => return anyhow::Ok(clean?),
                _ = term.recv() => stop.cancel(),
                _ = int.recv() => stop.cancel(),
                _ = hangup.recv() => in_force.reload(|| source.load(), |config| &config.telemetry.log),
            }
        }
    })?;
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

fn check(source: &Source) -> anyhow::Result<ExitCode> {
    let config = source.load()?;
    let signer = config.submitter()?;
    println!("the configuration is good");
    if let Some(chain) = config.chains.get(&config.network.target_chain) {
        println!("network    {} ({})", config.network.name, config.network.id(chain));
    }
    println!("chain      {}", config.network.target_chain);
    println!("submitter  {}", signer.address());
    Ok(ExitCode::SUCCESS)
}

fn show(source: &Source, json: bool) -> anyhow::Result<ExitCode> {
    let shown = source.loaded()?.shown()?;
    if json {
        println!("{}", serde_json::to_string_pretty(&show::as_json(&shown))?);
    } else {
        print!("{}", show::as_toml(&shown));
    }
    Ok(ExitCode::SUCCESS)
}

fn watch(url: String, once: bool, every: u64) -> anyhow::Result<ExitCode> {
    let options = TopOptions { url: url.into(), once, every: Duration::from_millis(every) };
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(top::run(&options))?;
    Ok(ExitCode::SUCCESS)
}

fn faults(source: &Source, json: bool) -> anyhow::Result<ExitCode> {
    let listed = evidence::list(&source.load()?.state_dir)?;
    if !json {
        println!("{:>8}  {:<9}  {:<42}  {:>6}  {:<9}  file", "slot", "fault", "operator", "set", "proof");
    }
    for Listed { file, evidence, proven } in &listed {
        let proof = match (evidence, proven) {
            (Err(error), _) => error.clone(),
            (_, Err(error)) => error.to_string(),
            (Ok(_), Ok(())) => "good".to_owned(),
        };
        match evidence {
            _ if json => {
                println!("{}", serde_json::json!({ "file": file, "evidence": evidence.as_ref().ok(), "proof": proof }))
            }
            Ok(known) => println!(
                "{:>8}  {:<9}  {:<42}  {:>6}  {proof:<9}  {file}",
                known.slot,
                known.label(),
                known.operator,
                known.set_id
            ),
            Err(_) => println!("{:>8}  {:<9}  {:<42}  {:>6}  {proof:<9}  {file}", "", "", "", ""),
        }
    }
    if !json {
        println!("{} faults, in {}", listed.len(), source.load()?.state_dir.join("evidence").display());
    }
    let all_proven = listed.iter().all(|listed| listed.proven.is_ok());
    Ok(if all_proven { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn list(source: &Source, json: bool) -> anyhow::Result<ExitCode> {
    let config = source.load()?;
    let domain = config.domain().ok_or(node::StartError::NoTarget)?;
    // A standby's ledger is its own; the aggregator's is named without its key, which whoever looks may not read.
    let submitter = if config.standby.rank == 0 { config.network.aggregator } else { config.submitter()?.address() };
    let identity = ledger::identity(&config.network.name, &domain, submitter);
    let tasks = ledger::list(&config.state_dir, &identity)?;
    if json {
        for task in &tasks {
            println!("{}", serde_json::to_string(task)?);
        }
        return Ok(ExitCode::SUCCESS);
    }
    println!("{:>8}  {:>14}  {:<16}  {:<18}  {:<11}  detail", "slot", "occurrence", "batch", "operation", "state");
    for task in &tasks {
        println!(
            "{:>8}  {:>14}  {:<16}  {:<18}  {:<11}  {}",
            task.slot,
            task.occurrence.to_string(),
            task.batch.to_string(),
            &task.user_op_hash.to_string()[..18],
            task.state.label(),
            detail(task)
        );
    }
    println!("{} tasks", tasks.len());
    Ok(ExitCode::SUCCESS)
}

fn detail(task: &TaskRecord) -> String {
    match &task.state {
        TaskState::Proposed | TaskState::Certified | TaskState::Submitted => String::new(),
        TaskState::Executed { tx } | TaskState::Superseded { tx } => tx.to_string(),
        TaskState::Rejected { reason } | TaskState::FailedOnChain { reason } | TaskState::Expired { reason } => {
            reason.clone()
        }
    }
}
