//! `ditto-operator`: the command line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use ditto_core::chain::Rpc;
use ditto_core::config::{Loaded, show};
use ditto_core::hardening::forbid_dumps;
use ditto_core::telemetry::catalog::{catalog, table};
use ditto_operator::attest::journal_command::{self, JournalCommand};
use ditto_operator::config::OperatorConfig;
use ditto_operator::history::command::{self as trace, TraceOptions};
use ditto_operator::node::Keys;
use ditto_operator::workflow::{self, WorkflowCommand};
use ditto_operator::{doctor, keys, metrics, run, top};

/// Runs an operator of the Ditto network.
#[derive(Parser)]
#[command(version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the operator until it is told to stop (SIGTERM, Ctrl-C), then drains.
    Run(Source),
    /// Looks at the configuration without running anything.
    Config {
        #[command(subcommand)]
        what: ConfigCommand,
    },
    /// Looks at machine, nodes, keys and registration, and says what to do where something is not right. Changes nothing.
    Doctor {
        #[command(flatten)]
        source: Source,
        #[command(flatten)]
        options: doctor::DoctorOptions,
    },
    /// An author's tools: make, check, run, build and publish a workflow.
    Workflow {
        #[command(subcommand)]
        what: WorkflowCommand,
    },
    /// The sign-once journal: make it, check it, move it. The operator must not be running.
    Journal {
        #[command(flatten)]
        source: Source,
        #[command(subcommand)]
        what: JournalCommand,
    },
    /// Tells what happened to a workflow's occurrence: due, simulated, proposed, judged, executed.
    Trace {
        #[command(flatten)]
        source: Source,
        #[command(flatten)]
        options: TraceOptions,
    },
    /// Shows a running operator's pipeline, live: queues, rates, drops, the last slots.
    Top(top::TopFlags),
    /// Registers this operator at OBLS with the controller's key: shows the transaction, and sends it with `--send`.
    Register {
        #[command(flatten)]
        source: Source,
        #[command(flatten)]
        options: keys::ControllerOptions,
    },
    /// Changes the delegated signer at OBLS with the controller's key: shows the transaction, and sends it with `--send`.
    SetSigner {
        #[command(flatten)]
        source: Source,
        #[command(flatten)]
        options: keys::SetSignerOptions,
    },
    /// Prints what the operator measures, as a Markdown table.
    Metrics,
    /// Prints completions for a shell.
    Completions {
        /// Which shell.
        shell: Shell,
    },
    /// Writes the man pages, for packages.
    #[command(hide = true)]
    Man {
        /// Where to; must exist.
        directory: PathBuf,
    },
    /// Makes an operator's three keys, and says what to do next.
    Generate(keys::GenerateOptions),
    /// Prints the public keys that belong to the configured secrets; or imports, exports and describes keystores.
    Keys {
        #[command(flatten)]
        source: Source,
        #[command(subcommand)]
        what: Option<keys::KeysCommand>,
    },
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Says whether it can be run with.
    Check(Source),
    /// Prints every value in force, and where it came from: file and line, variable, flag, preset or default. Secrets are not
    /// part of a configuration, and of URLs no credential is shown.
    Show {
        #[command(flatten)]
        source: Source,
        /// Prints as JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Where the configuration comes from: a file, `DITTO_…` variables over it, `--set` over that.
#[derive(Args)]
struct Source {
    /// The TOML file.
    #[arg(long, short, env = "DITTO_CONFIG", default_value = "/etc/ditto/operator.toml")]
    config: PathBuf,
    /// Sets one key, such as `telemetry.listen=127.0.0.1:9401`. May be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = pair)]
    overrides: Vec<(String, String)>,
    /// What is public of a network: ethereum, base, arbitrum, polygon, holesky. Whatever is set anywhere goes before it. May
    /// be given several times: the first is the target chain, the others are read.
    #[arg(long, value_name = "NETWORK")]
    preset: Vec<String>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

impl Source {
    fn load(&self) -> anyhow::Result<OperatorConfig> {
        Ok(self.loaded()?.value)
    }

    fn loaded(&self) -> anyhow::Result<Loaded<OperatorConfig>> {
        let mut overrides = self.overrides.clone();
        if !self.preset.is_empty() {
            overrides.push(("preset".to_owned(), serde_json::to_string(&self.preset)?));
        }
        Ok(OperatorConfig::load(Some(&self.config), &overrides)?)
    }
}

fn main() -> ExitCode {
    // Before any thread: when this process was re-executed as a zygote, this never returns.
    ditto_sandbox::enter_if_zygote();
    if let Err(error) = forbid_dumps() {
        eprintln!("ditto-operator: core dumps cannot be forbidden: {error}");
    }
    match act(Cli::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        // What is wrong was printed where it was found.
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("ditto-operator: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// `false`: something is wrong, and has been printed.
fn act(command: Command) -> anyhow::Result<bool> {
    match command {
        Command::Doctor { source, options } => return doctor::run(&options, source.load()),
        Command::Workflow { what } => return workflow::act(what),
        Command::Run(source) => run::run(|| source.load())?,
        Command::Journal { source, what } => journal_command::act(&source.load()?, &what)?,
        Command::Trace { source, options } => return trace::act(&options, &source.load()?),
        Command::Metrics => print!("{}", table(&catalog(metrics::describe_all))),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "ditto-operator", &mut std::io::stdout());
        }
        Command::Man { directory } => clap_mangen::generate_to(Cli::command(), directory)?,
        Command::Config { what: ConfigCommand::Check(source) } => {
            let config = source.load()?;
            Keys::load(&config)?;
            for (id, chain) in &config.chains {
                Rpc::new(*id, chain)?;
            }
            println!("the configuration is good");
        }
        Command::Config { what: ConfigCommand::Show { source, json } } => {
            let shown = source.loaded()?.shown()?;
            if json {
                println!("{}", serde_json::to_string_pretty(&show::as_json(&shown))?);
            } else {
                print!("{}", show::as_toml(&shown));
            }
        }
        Command::Top(flags) => top::run(&flags)?,
        Command::Register { source, options } => keys::register(&options, &source.load()?)?,
        Command::SetSigner { source, options } => keys::set_signer(&options, &source.load()?)?,
        Command::Generate(options) => keys::generate(&options)?,
        Command::Keys { source, what } => keys::act(what, || source.load())?,
    }
    Ok(true)
}
