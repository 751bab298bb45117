//! A whole aggregator: what surrounds the pipeline is started, watched, and ended in the reverse order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy::signers::local::PrivateKeySigner;
use ditto_core::admission::{AcceptedSets, SetAdmission, SubmitterIdentity};
use ditto_core::chain::{ContractsConfig, Heads, Rpc, RpcConfigError};
use ditto_core::clock::{SlotClock, SystemClock};
use ditto_core::p2p::{self, KeyFileError, Network, P2pError};
use ditto_core::stage::PoolError;
use ditto_core::telemetry::{self, Check, Metrics, Readiness, Serving, TelemetryError, supervisor};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::config::AggregatorConfig;
use crate::evidence;
use crate::governance::{self, Following, Governance};
use crate::ledger::{self, Ledger, LedgerError};
use crate::pipeline::{self, Surroundings};
use crate::report::Report;
use crate::status::Vitals;
use crate::submit::Account;

/// Events of the p2p service that may wait for the first stage; its own limits bound what each peer adds.
const EVENTS: usize = 16_384;

/// Why an aggregator does not start. A node that is down is none of these: it is waited for.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration was not checked.
    #[error("the target chain's contracts are not configured")]
    NoTarget,
    /// The chain's endpoints.
    #[error(transparent)]
    Rpc(#[from] RpcConfigError),
    /// The ledger.
    #[error("the ledger (in `state_dir`): {0}")]
    Ledger(#[from] LedgerError),
    /// The libp2p key.
    #[error("the p2p key (in `state_dir`): {0}")]
    KeyFile(#[from] KeyFileError),
    /// Networking.
    #[error(transparent)]
    P2p(#[from] P2pError),
    /// Telemetry.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// The evidence directory.
    #[error(transparent)]
    Evidence(#[from] evidence::StoreError),
    /// Threads.
    #[error(transparent)]
    Pool(#[from] PoolError),
}

/// Runs an aggregator until `stop`, and drains it. `true`: nothing was left behind.
///
/// # Errors
/// Why it does not start.
pub async fn run(
    config: AggregatorConfig,
    signer: PrivateKeySigner,
    metrics: Metrics,
    stop: CancellationToken,
) -> Result<bool, StartError> {
    let (Some((chain, contracts)), Some(domain)) = (config.target(), config.domain()) else {
        return Err(StartError::NoTarget);
    };
    let (chain, contracts): (_, ContractsConfig) = (chain.clone(), *contracts);
    let clock = SlotClock::new(config.network.schedule(), Arc::new(SystemClock));
    let report = Report::new(clock.schedule());
    let readiness = Readiness::new();
    let (ledger_check, p2p_check) = (readiness.check("ledger"), readiness.check("p2p"));
    let (chain_check, set_check) = (readiness.check("target_chain"), readiness.check("operator_set"));

    let identity = ledger::identity(&config.network.name, &domain, signer.address());
    let now = clock.current().unwrap_or_default();
    let ledger = Ledger::open(&config.state_dir, &identity, domain, &config.ledger, now)?;
    let unfinished = ledger.unfinished()?;
    ledger_check.ready();
    let evidence = evidence::Store::open(&config.state_dir, config.evidence)?;

    let rpc = Arc::new(Rpc::new(config.network.target_chain, &chain)?);
    // What surrounds the pipeline ends after it: it is told by tokens of its own.
    let (around, peers) = (CancellationToken::new(), CancellationToken::new());
    let heads = Heads::follow(rpc.clone(), Duration::from_millis(chain.poll_ms), around.clone());

    let sets = AcceptedSets::new();
    let governance = Governance::new(sets.clone());
    let admission = Arc::new(SetAdmission::new(sets, config.network.aggregator).among(config.p2p.whitelist.clone()));
    let keypair = p2p::load_or_create(&config.state_dir)?;
    let (to_events, events) = mpsc::channel(EVENTS);
    let (network, service) = p2p::spawn(
        config.p2p.clone(),
        &config.network.realm(&chain),
        config.network.target_chain,
        keypair,
        Arc::new(SubmitterIdentity::new(signer.clone())),
        admission,
        to_events,
        peers.clone(),
    )?;
    let listening = tokio::spawn(watch_listening(network.clone(), p2p_check, around.clone()));

    // Nonces of transactions that may still be mined are not used again.
    let open = unfinished.iter().filter_map(|left| left.submission.as_ref());
    let open = open.filter(|submission| submission.is_in_flight()).map(|submission| submission.nonce);
    let account = Arc::new(Account::new(signer.clone(), config.network.target_chain, open));
    let following = tokio::spawn(governance::follow(
        Following {
            rpc: rpc.clone(),
            heads: heads.clone(),
            contracts,
            set_settles_blocks: config.network.set_settles_blocks,
            task_definition: config.network.task_definition,
            network: network.clone(),
            chain_check,
            set_check,
        },
        governance.clone(),
        around.clone(),
    ));

    let telemetry_config = config.telemetry.clone();
    let shown = Vitals {
        rules: config.network.clone(),
        network_id: config.network.id(&chain),
        submitter: account.address(),
        readiness: readiness.clone(),
        clock: clock.clone(),
        governance: governance.clone(),
        heads: heads.clone(),
        network: network.clone(),
        ledger: ledger.clone(),
        report: report.clone(),
        started: Instant::now(),
    };
    let pipeline = pipeline::start(Surroundings {
        config,
        contracts,
        domain,
        clock: clock.clone(),
        governance: governance.clone(),
        rpc,
        heads: heads.clone(),
        network: network.clone(),
        events,
        account,
        signer,
        evidence,
        ledger: ledger.clone(),
        unfinished,
        ledger_check,
        report: report.clone(),
    })?;
    let status = shown.answers(pipeline.depths());
    let serving = telemetry::serve(&telemetry_config, metrics, readiness.clone(), status).await?;
    supervisor::up(readiness, around.clone());

    tokio::select! {
        () = stop.cancelled() => tracing::info!("stopping: what is under way is finished first"),
        ended = pipeline.first_to_end() => tracing::error!(stage = ended, "a stage ended by itself; stopping"),
    }
    supervisor::stopping();
    let drained = pipeline.shutdown().await;
    peers.cancel();
    around.cancel();
    for task in [service, following, listening] {
        if let Err(error) = task.await {
            tracing::error!(%error, "a task ended badly");
        }
    }
    Serving::shutdown(serving).await;
    Ok(drained.is_clean())
}

async fn watch_listening(network: Network, check: Check, stop: CancellationToken) {
    let mut listening = network.watch_listen_addresses();
    loop {
        let addresses = listening.borrow_and_update().clone();
        if addresses.is_empty() {
            check.not_ready("not listening yet; see `p2p.listen`");
        } else {
            tracing::info!(peer = %network.local_peer_id(), ?addresses, "listening for peers");
            check.ready();
        }
        tokio::select! {
            () = stop.cancelled() => return,
            changed = listening.changed() => if changed.is_err() {
                check.not_ready("the p2p service has ended");
                return;
            },
        }
    }
}
