//! The command line.

use std::path::PathBuf;

use clap::Parser;

/// Runs a whole Ditto network on this machine and checks that every due occurrence is executed exactly once.
#[derive(Clone, Debug, Parser)]
#[command(name = "ditto-devnet", version)]
pub struct Options {
    /// How many slots are counted.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    pub slots: u64,
    /// How many operators run, each as a process of its own.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=64))]
    pub operators: u64,
    /// How many smart accounts publish a workflow each.
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..=5_000))]
    pub workflows: u64,
    /// Length of a slot, in seconds.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub slot_seconds: u64,
    /// What all keys are derived from: the same seed gives the same network.
    #[arg(long, default_value = "ditto")]
    pub seed: String,
    /// Writes the report, as JSON, to this file.
    #[arg(long)]
    pub report: Option<PathBuf>,
    /// Stays up after the counted slots, until Ctrl-C.
    #[arg(long)]
    pub keep: bool,
    /// Where configurations, keys, state and logs go. By default a directory that is removed when all went well.
    #[arg(long)]
    pub dir: Option<PathBuf>,
    /// Where `ditto-operator` and `ditto-aggregator` are. By default next to this executable.
    #[arg(long)]
    pub bin_dir: Option<PathBuf>,
    /// The anvil to run. By default npm's (`node_modules/@foundry-rs`), then the one in PATH.
    #[arg(long)]
    pub anvil: Option<PathBuf>,
    /// Prints nothing but errors.
    #[arg(long)]
    pub quiet: bool,
    /// Seconds that operators and aggregator may take to be ready.
    #[arg(long, default_value_t = 60)]
    pub ready_seconds: u64,
    /// Kills (SIGKILL) the operator elected for this counted slot, from 0, just before the slot begins.
    #[arg(long, value_name = "SLOT")]
    pub kill_elected_at: Option<u64>,
    /// Kills the aggregator (SIGKILL) this often during the counted slots, and starts it again a moment later.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub kill_aggregator: u64,
    /// Starts a second aggregator that stands by, with the delegated signer's key of the first operator. Without it only the
    /// operators step in for the aggregator.
    #[arg(long)]
    pub standby: bool,
    /// Kills the aggregator when this counted slot begins, from 0, and does not start it again: from then on a standby, or the
    /// operators, submit.
    #[arg(long, value_name = "SLOT")]
    pub lose_aggregator_at: Option<u64>,
    /// Starts this many of the operators from `ditto-byzantine`, which lies, withholds and equivocates.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub byzantine: u64,
    /// Starts this many more from `ditto-byzantine` that reject every third workflow's operations, each another third, and
    /// are honest otherwise: the votes on a batch disagree, and it has to be decided in parts.
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(u64).range(0..=3))]
    pub dissenting: u64,
    /// Has the aggregator take votes and submit nothing, for it may pay no fees: the operators have to.
    #[arg(long)]
    pub mute_aggregator: bool,
    /// Caps the attesters: for every slot so many seats are drawn among the operators, by stake, and only they vote. 0: no cap.
    #[arg(long, default_value_t = 0, value_name = "SEATS", value_parser = clap::value_parser!(u16).range(..=256))]
    pub max_attesters: u16,
    /// Publishes one more workflow, which loops for ever and throws by turns. It is not counted among the due.
    #[arg(long)]
    pub hostile_workflow: bool,
    /// Writes which nodes there are to this file, for Prometheus (`file_sd_configs`), while they run. The file's
    /// directory must be there.
    #[arg(long, value_name = "FILE")]
    pub targets: Option<PathBuf>,
    /// Prepares chain, contracts, operators, accounts and workflows, prints what stands where, and starts no node.
    #[arg(long)]
    pub setup_only: bool,
}
