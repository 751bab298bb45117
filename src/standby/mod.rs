//! Standing by for the aggregator: from the contract's deadline on every member of the operator set may submit, and an
//! operator does so by itself.
//!
//! It runs the aggregator's own pipeline ([`ditto_aggregator::service`]) beside its own, on its own p2p node, paid for by its
//! delegated signer, which sends nothing else. While the aggregator works nothing comes in: votes go to that one. When it is
//! gone or silent they are gossiped, and [`intake`] hands them on together with the batches that this operator judged.
//! Operators submit one after the other, in an order that changes with the slot, so that one transaction is sent and not
//! as many as there are operators. `docs/decisions/0012-operators-stand-by.md` says why it is so.

mod intake;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use alloy::signers::local::PrivateKeySigner;
use ditto_aggregator::config::{
    CollectionConfig, EvidenceConfig, LedgerConfig, StagesConfig, SubmissionConfig, Tuning,
};
use ditto_aggregator::governance::Governance;
use ditto_aggregator::service::{Checks, Service, ServiceError};
use ditto_aggregator::submit::RightOfWay;
use ditto_core::admission::AcceptedSets;
use ditto_core::chain::{ContractsConfig, Heads, Rpc};
use ditto_core::clock::SlotClock;
use ditto_core::consent::SigningDomain;
use ditto_core::network::NetworkConfig;
use ditto_core::p2p::{
    Acceptance, MessageToken, Network, PeerId, PublishError, SendError, Topic, Transport, VoteReceipt,
};
use ditto_core::telemetry::Readiness;
use ditto_core::wire::Split;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use intake::{Feed, Heard};

/// How many operators, the first of a slot's standbys, are sent votes directly, and may ask for votes in parts.
pub const FIRST: usize = 3;
/// Questions of our own that may wait to be judged.
const QUESTIONS: usize = 64;
/// How long a shutdown waits for the stages here, in milliseconds: the operator's own come before.
const DRAIN_MS: u64 = 3_000;
/// Votes and batches that may wait for the first stage.
const EVENTS: usize = 1_024;

/// The `[standby]` table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StandbyConfig {
    /// Whether this operator submits what the aggregator has not, from the contract's deadline on. Its delegated signer pays,
    /// and is compensated by the operations; without funds nothing is sent.
    pub enabled: bool,
    /// How much later than the one before it each operator submits, in seconds of the chain's time: as long as a transaction
    /// takes to be mined, or two will send the same.
    pub step_seconds: u64,
    /// How certificates are sent.
    pub submission: SubmissionConfig,
    /// The ledger of what was submitted.
    pub ledger: LedgerConfig,
    /// Proven faults of operators.
    pub evidence: EvidenceConfig,
}

impl Default for StandbyConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            step_seconds: 4,
            submission: SubmissionConfig::default(),
            ledger: LedgerConfig::default(),
            evidence: EvidenceConfig::default(),
        }
    }
}

/// What standing by needs of the operator.
pub struct Means<'a> {
    /// The table.
    pub config: StandbyConfig,
    /// The operator's directory.
    pub state_dir: &'a Path,
    /// The network's rules.
    pub network: &'a NetworkConfig,
    /// The target chain's contracts.
    pub contracts: ContractsConfig,
    /// What is signed.
    pub domain: SigningDomain,
    /// The slots' clock.
    pub clock: SlotClock,
    /// The target chain.
    pub rpc: Arc<Rpc>,
    /// Its heads.
    pub heads: Heads,
    /// The delegated signer.
    pub signer: PrivateKeySigner,
    /// The p2p node.
    pub peers: Network,
}

/// An operator that stands by.
pub struct Standby {
    service: Service,
    intake: JoinHandle<()>,
    stop: CancellationToken,
}

/// The operator's ends: where it tells what it hears and votes, and where it is asked to vote in parts.
pub struct Ends {
    /// What is told.
    pub feed: Feed,
    /// What is asked.
    pub questions: mpsc::Receiver<Split>,
}

impl Ends {
    /// Of an operator that does not stand by.
    #[must_use]
    pub fn none() -> Self {
        Self { feed: Feed::none(), questions: mpsc::channel(1).1 }
    }
}

impl Standby {
    /// Starts it.
    ///
    /// # Errors
    /// When the disk or the operating system refuses.
    pub fn start(means: Means<'_>) -> Result<(Self, Ends), ServiceError> {
        let Means { config, state_dir, network, contracts, domain, clock, rpc, heads, signer, peers } = means;
        // One signer's transactions are none of another's.
        let directory = state_dir.join("standby").join(signer.address().to_string());
        // Not the process's: an operator that cannot stand by can still vote.
        let readiness = Readiness::new();
        let checks = Checks {
            ledger: readiness.check("standby_ledger"),
            chain: readiness.check("standby_chain"),
            set: readiness.check("standby_set"),
        };
        let validity = network.slot_seconds.saturating_mul(network.validity_slots).saturating_mul(1_000);
        // Votes come before the batch is judged here, which may take as long as the slot.
        let collection = CollectionConfig { park_ms: validity, ..CollectionConfig::default() };
        let StandbyConfig { step_seconds, submission, ledger, evidence, .. } = config;
        let stages = StagesConfig { drain_ms: DRAIN_MS, ..StagesConfig::default() };
        let tuning = Tuning { stages, collection, submission, ledger, evidence, ..Tuning::default() };
        let governance = Governance::new(AcceptedSets::new());
        let right_of_way =
            RightOfWay::Member { governance: governance.clone(), step_seconds, peers: peers.watch_peers() };
        let (ask, questions) = mpsc::channel(QUESTIONS);
        let (to_events, events) = mpsc::channel(EVENTS);
        let stop = CancellationToken::new();
        let service = Service::start(ditto_aggregator::service::Means {
            network: network.clone(),
            contracts,
            domain,
            clock,
            tuning,
            directory: &directory,
            rpc,
            heads,
            governance,
            signer,
            right_of_way,
            transport: Arc::new(Asking { peers: peers.clone(), own: ask }),
            peers: peers.clone(),
            events,
            checks,
            stop: stop.clone(),
        })?;
        let (feed, heard) = Feed::new();
        let intake = tokio::spawn(intake::run(heard, to_events, peers.local_peer_id(), stop.clone()));
        tracing::info!(signer = %service.account, "standing by: what the aggregator has not submitted by the deadline, this operator submits");
        Ok((Self { service, intake, stop }, Ends { feed, questions }))
    }

    /// Waits until a part of it ends by itself, which is a fault; names it.
    pub async fn fault(&self) -> &'static str {
        self.service.pipeline.first_to_end().await
    }

    /// Drains it.
    pub async fn shutdown(self) {
        let drained = self.service.pipeline.shutdown().await;
        for left in &drained.left_behind {
            tracing::warn!(stage = left.stage, items = left.items, "a stage did not finish in time");
        }
        self.stop.cancel();
        for task in [self.intake, self.service.following] {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task ended badly");
            }
        }
    }
}

/// The operator's p2p node, for the works beside it: what they ask everybody, they ask this operator, too, for gossip does
/// not come back.
struct Asking {
    peers: Network,
    own: mpsc::Sender<Split>,
}

impl Transport for Asking {
    fn publish(&self, topic: Topic, bytes: Vec<u8>) -> BoxFuture<'_, Result<(), PublishError>> {
        Box::pin(async move {
            let question = (topic == Topic::Splits).then(|| Split::decode(&bytes).ok()).flatten();
            self.peers.publish(topic, bytes).await?;
            if let Some(question) = question
                && self.own.try_send(question).is_err()
            {
                metrics::counter!("ditto_operator_standby_dropped_total", "what" => "question").increment(1);
            }
            Ok(())
        })
    }

    fn send_vote(&self, bytes: Vec<u8>) -> BoxFuture<'_, Result<VoteReceipt, SendError>> {
        Box::pin(self.peers.send_vote(bytes))
    }

    fn send_vote_to(&self, to: [u8; 20], bytes: Vec<u8>) -> BoxFuture<'_, Result<VoteReceipt, SendError>> {
        Box::pin(self.peers.send_vote_to(to, bytes))
    }

    fn report(&self, token: MessageToken, verdict: Acceptance) {
        self.peers.report(token, verdict);
    }

    fn ban(&self, peer: PeerId, length: Duration, reason: &'static str) {
        self.peers.ban(peer, length, reason);
    }
}
