//! `ditto-operator top`: the command; [`ditto_core::top`] does it.

use std::time::Duration;

use clap::Args;
use ditto_core::top::{self, TopOptions};

/// What to look at.
#[derive(Args)]
pub struct TopFlags {
    /// Where the operator answers: its `telemetry.listen`.
    #[arg(long, default_value = "http://127.0.0.1:9400")]
    pub url: String,
    /// Prints one frame and ends: for pipes.
    #[arg(long)]
    pub once: bool,
    /// Milliseconds between two looks.
    #[arg(long, value_name = "MS", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(100..))]
    pub every: u64,
}

/// Shows it until `q`, or once.
///
/// # Errors
/// Nothing answers there.
pub fn run(flags: &TopFlags) -> anyhow::Result<()> {
    let options =
        TopOptions { url: flags.url.as_str().into(), once: flags.once, every: Duration::from_millis(flags.every) };
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(top::run(&options))?;
    Ok(())
}
