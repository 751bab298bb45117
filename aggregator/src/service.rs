//! An aggregator's works on a network that is there: the ledger, the evidence, what the chain says of operators, the
//! account, and the pipeline.
//!
//! Two programs run them. `ditto-aggregator` ([`crate::node`]) has a p2p node and telemetry of its own around them; an
//! operator that stands by has them beside its own pipeline, on its own p2p node.

use std::path::Path;
use std::sync::Arc;

use alloy::primitives::Address;
use alloy::signers::local::PrivateKeySigner;
use ditto_core::chain::{ContractsConfig, Heads, Rpc};
use ditto_core::clock::SlotClock;
use ditto_core::consent::SigningDomain;
use ditto_core::network::NetworkConfig;
use ditto_core::p2p::{Event, Network, Transport};
use ditto_core::stage::{Pipeline, PoolError};
use ditto_core::telemetry::Check;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::Tuning;
use crate::evidence;
use crate::governance::{self, Following, Governance};
use crate::ledger::{self, Ledger, LedgerError};
use crate::pipeline::{self, Surroundings};
use crate::report::Report;
use crate::submit::{Account, RightOfWay};

/// Why the works do not start.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The ledger.
    #[error("the ledger (in `state_dir`): {0}")]
    Ledger(#[from] LedgerError),
    /// The evidence directory.
    #[error(transparent)]
    Evidence(#[from] evidence::StoreError),
    /// Threads.
    #[error(transparent)]
    Pool(#[from] PoolError),
}

/// What is told whether the works can work.
#[derive(Clone)]
pub struct Checks {
    /// Whether the ledger takes what it is given.
    pub ledger: Check,
    /// Whether the chain answers.
    pub chain: Check,
    /// Whether the sets and the rule are known.
    pub set: Check,
}

/// What the works need.
pub struct Means<'a> {
    /// The network's rules.
    pub network: NetworkConfig,
    /// The target chain's contracts.
    pub contracts: ContractsConfig,
    /// What is signed.
    pub domain: SigningDomain,
    /// The time.
    pub clock: SlotClock,
    /// The pipeline's tables.
    pub tuning: Tuning,
    /// Directory of the ledger and the evidence.
    pub directory: &'a Path,
    /// The target chain.
    pub rpc: Arc<Rpc>,
    /// Its heads.
    pub heads: Heads,
    /// Sets and rule; followed from now on.
    pub governance: Governance,
    /// Who pays.
    pub signer: PrivateKeySigner,
    /// When it may submit.
    pub right_of_way: RightOfWay,
    /// The p2p node: told when the sets change.
    pub peers: Network,
    /// The way to the peers.
    pub transport: Arc<dyn Transport>,
    /// What they send.
    pub events: mpsc::Receiver<Event>,
    /// Whether it can work.
    pub checks: Checks,
    /// Ends what surrounds the pipeline; cancelled when that has drained.
    pub stop: CancellationToken,
}

/// The running works.
pub struct Service {
    /// The stages.
    pub pipeline: Pipeline,
    /// What follows the chain's sets and rule, until the token it was given.
    pub following: JoinHandle<()>,
    /// What became of every task.
    pub ledger: Ledger,
    /// What is shown.
    pub report: Report,
    /// Who pays.
    pub account: Address,
}

impl Service {
    /// Starts them; what an earlier run left unfinished goes on.
    ///
    /// # Errors
    /// When the disk or the operating system refuses.
    pub fn start(means: Means<'_>) -> Result<Self, ServiceError> {
        let Means { network, contracts, domain, clock, tuning, directory, rpc, heads, governance, .. } = means;
        let Means { signer, right_of_way, peers, transport, events, checks, stop, .. } = means;
        let report = Report::new(clock.schedule());
        let identity = ledger::identity(&network.name, &domain, signer.address());
        let now = clock.current().unwrap_or_default();
        let ledger = Ledger::open(directory, &identity, domain, &tuning.ledger, now)?;
        let unfinished = ledger.unfinished()?;
        checks.ledger.ready();
        let evidence = evidence::Store::open(directory, tuning.evidence)?;
        // Nonces of transactions that may still be mined are not used again.
        let open = unfinished.iter().filter_map(|left| left.submission.as_ref());
        let open = open.filter(|submission| submission.is_in_flight()).map(|submission| submission.nonce);
        let account = Arc::new(Account::new(signer.clone(), network.target_chain, open));
        let following = tokio::spawn(governance::follow(
            Following {
                rpc: rpc.clone(),
                heads: heads.clone(),
                contracts,
                set_settles_blocks: network.set_settles_blocks,
                task_definition: network.task_definition,
                network: peers,
                chain_check: checks.chain,
                set_check: checks.set,
            },
            governance.clone(),
            stop,
        ));
        let pipeline = pipeline::start(Surroundings {
            network,
            tuning,
            contracts,
            domain,
            clock,
            governance,
            rpc,
            heads,
            transport,
            events,
            account: account.clone(),
            signer,
            right_of_way,
            evidence,
            ledger: ledger.clone(),
            unfinished,
            ledger_check: checks.ledger,
            report: report.clone(),
        })?;
        Ok(Self { pipeline, following, ledger, report, account: account.address() })
    }
}
