//! `ditto-operator run`: from the first signal handler to the last drained stage.

use std::sync::Arc;

use ditto_core::clock::SystemClock;
use ditto_core::telemetry::reload::InForce;
use ditto_core::telemetry::{log, supervisor};
use tokio::signal::unix::{SignalKind, signal};

use crate::config::OperatorConfig;
use crate::node::Node;

/// Runs until SIGTERM or SIGINT, then drains. SIGHUP reads the configuration again, through `load`.
///
/// # Errors
/// Why it does not start, or which stage ended by itself.
pub fn run(load: impl Fn() -> anyhow::Result<OperatorConfig>) -> anyhow::Result<()> {
    let config = load()?;
    let log = log::install(&config.telemetry.log)?;
    let mut in_force = InForce::new(&config, log);
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        // From now on it does not end the process.
        let mut hangup = signal(SignalKind::hangup())?;
        let stopped = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        tokio::pin!(stopped);
        // A signal also ends an operator that still waits for its chain.
        let node = tokio::select! {
            node = Node::start(config, Arc::new(SystemClock), None) => node?,
            () = &mut stopped => return Ok(()),
        };
        tracing::info!("running");
        let fault = loop {
            tokio::select! {
                () = &mut stopped => break None,
                stage = node.fault() => break Some(stage),
                _ = hangup.recv() => in_force.reload(&load, |config| &config.telemetry.log),
            }
        };
        supervisor::stopping();
        node.shutdown().await;
        match fault {
            Some(stage) => anyhow::bail!("{stage} ended by itself; see the log above"),
            None => Ok(()),
        }
    })
}
