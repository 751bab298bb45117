//! A whole operator: keys, chains, sandbox, network, pipeline, telemetry, in the order in which they are needed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::B256;
use alloy::signers::local::PrivateKeySigner;
use ditto_core::admission::{AcceptedSets, ConsensusIdentity, SetAdmission};
use ditto_core::bls::SecretKey;
use ditto_core::chain::{Batcher, Head, Heads, Rpc, SetReader};
use ditto_core::clock::{Clock, SlotClock};
use ditto_core::consent::SigningDomain;
use ditto_core::keystore::KeyKind;
use ditto_core::operators::OperatorSet;
use ditto_core::p2p::{self, Event, Network, Transport};
use ditto_core::stage::Pipeline;
use ditto_core::telemetry::{Metrics, Readiness, Serving, serve, supervisor};
use ditto_sandbox::Sandbox;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use crate::attest::Journal;
use crate::board::Board;
use crate::config::OperatorConfig;
use crate::history::History;
use crate::ingest::Checks;
use crate::pipeline::{self, Parts};
use crate::status::Vitals;

/// Events from the network that may wait to be read.
const EVENTS: usize = 4_096;
/// Pause between two looks at something that is not there yet.
const PAUSE: Duration = Duration::from_millis(500);

/// The pipeline's two ends on the network.
pub struct Ends {
    /// What goes out.
    pub transport: Arc<dyn Transport>,
    /// What comes in.
    pub events: mpsc::Receiver<Event>,
}

/// Puts something between the pipeline and the network; tests of misbehaviour do.
pub type Interpose = Box<dyn FnOnce(Ends, &Keys, SigningDomain) -> Ends + Send>;

/// The keys that an operator signs with.
pub struct Keys {
    /// The consensus key.
    pub consensus: SecretKey,
    /// The delegated signer.
    pub signer: PrivateKeySigner,
}

impl Keys {
    /// Reads the keys from where the configuration says they are.
    ///
    /// # Errors
    /// Names the field and the fix; never the content.
    pub fn load(config: &OperatorConfig) -> anyhow::Result<Self> {
        let consensus = config.keys.consensus.load_key("keys.consensus", KeyKind::Bls)?;
        let consensus = SecretKey::from_bytes(consensus.expose())
            .map_err(|error| anyhow::anyhow!("`keys.consensus`: {error}; is it a BLS12-381 key?"))?;
        let signer = config.keys.signer.load_key("keys.signer", KeyKind::Ecdsa)?;
        let signer = PrivateKeySigner::from_bytes(&B256::from(*signer.expose()))
            .map_err(|_| anyhow::anyhow!("`keys.signer`: not a secp256k1 key: zero, or not below the curve's order"))?;
        Ok(Self { consensus, signer })
    }
}

/// A running operator.
pub struct Node {
    pipeline: Pipeline,
    network: Network,
    serving: Serving,
    sandbox: Sandbox,
    stop: CancellationToken,
}

impl Node {
    /// Starts an operator. Waits, saying so, for nodes that are down and sets that are not there yet; fails on what only
    /// the operator can mend.
    ///
    /// # Errors
    /// What has to be mended.
    pub async fn start(
        config: OperatorConfig,
        clock: Arc<dyn Clock>,
        interpose: Option<Interpose>,
    ) -> anyhow::Result<Self> {
        let metrics = Metrics::install("ditto-operator", env!("CARGO_PKG_VERSION"))?;
        crate::metrics::describe();
        let config = Arc::new(config);
        let keys = Keys::load(&config)?;
        let contracts = config.contracts().ok_or_else(|| anyhow::anyhow!("the target chain names no contracts"))?;
        std::fs::create_dir_all(&config.state_dir)
            .map_err(|error| anyhow::anyhow!("`state_dir`: cannot make {}: {error}", config.state_dir.display()))?;
        let stop = CancellationToken::new();
        let readiness = Readiness::new();
        let (chain_ready, set_ready) = (readiness.check("chain"), readiness.check("operator_set"));
        let peers_ready = readiness.check("peers");
        let history = History::start(&config.state_dir, config.history)
            .map_err(|error| anyhow::anyhow!("`state_dir`: cannot keep a history there: {error}"))?;
        let board = Arc::new(Board::new(history));
        let clock = SlotClock::new(config.network.schedule(), clock);
        let vitals = Vitals::new(&config, &clock, &board, &readiness, &keys);
        let serving = serve(&config.telemetry, metrics, readiness.clone(), vitals.answers()).await?;

        let mut chains = BTreeMap::new();
        let mut heads = BTreeMap::new();
        for (id, chain) in &config.chains {
            let rpc = Arc::new(Rpc::new(*id, chain)?);
            heads.insert(*id, Heads::follow(rpc.clone(), Duration::from_millis(chain.poll_ms), stop.clone()));
            chains.insert(*id, Batcher::start(rpc, chain.batch));
        }
        let heads = Arc::new(heads);
        vitals.chains(heads.clone());
        let target = chains[&config.network.target_chain].rpc().clone();
        vitals.follow_balance(target.clone(), stop.clone());
        // The sandbox's zygotes are made while the chain is waited for.
        let sandbox = Sandbox::start(config.sandbox.clone())?;
        let journal = journal(&config, &keys)?;
        // What the operator has to mend was mended; what is waited for now comes by itself.
        supervisor::up(readiness, stop.clone());

        let sets = SetReader::new(target, contracts.obls, config.network.set_settles_blocks);
        let admitted = AcceptedSets::new();
        let checks = Checks { chain: chain_ready, set: set_ready };
        // With a node of another chain, everything read would be wrong.
        for node in chains.values() {
            node.rpc().check_chain_ids().await?;
        }
        first_head(&heads[&config.network.target_chain], &checks).await;
        let set = first_set(&sets, &heads[&config.network.target_chain], &checks).await;
        if set.by_key(&keys.consensus.public()).is_none() {
            tracing::warn!(
                set = set.id,
                "this operator's consensus key is not in the current operator set; it will watch"
            );
        }
        admitted.replace(vec![set]);

        let (heard, events) = mpsc::channel(EVENTS);
        let keypair = p2p::load_or_create(&config.state_dir)?;
        let (network, _service) = p2p::spawn(
            config.p2p.clone(),
            &config.network.realm(&config.chains[&config.network.target_chain]),
            config.network.target_chain,
            keypair,
            Arc::new(ConsensusIdentity::new(keys.consensus.clone())),
            Arc::new(
                SetAdmission::new(admitted.clone(), config.network.aggregator).among(config.p2p.whitelist.clone()),
            ),
            heard,
            stop.clone(),
        )?;
        vitals.peers(admitted.clone(), network.clone());
        let set_changed = Arc::new(Notify::new());
        follow_peers(network.clone(), set_changed.clone(), peers_ready, stop.clone());
        let domain = SigningDomain {
            chain_id: config.network.target_chain,
            attestation_center: contracts.attestation_center,
            entry_point: contracts.entry_point,
        };
        let ends = Ends { transport: Arc::new(network.clone()), events };
        let Ends { transport, events } = match interpose {
            Some(interpose) => interpose(ends, &keys, domain),
            None => ends,
        };
        let pipeline = pipeline::start(Parts {
            config,
            contracts,
            domain,
            clock,
            chains: Arc::new(chains),
            heads,
            sets,
            admitted,
            set_changed,
            sandbox: sandbox.clone(),
            consensus: keys.consensus,
            signer: keys.signer,
            journal,
            transport,
            events,
            board,
            checks,
        })?;
        vitals.stages(pipeline.depths());
        Ok(Self { pipeline, network, serving, sandbox, stop })
    }

    /// Waits until a part of the pipeline ends by itself, which is a fault; names it.
    pub async fn fault(&self) -> &'static str {
        self.pipeline.first_to_end().await
    }

    /// Drains the pipeline and stops everything.
    pub async fn shutdown(self) {
        let drained = self.pipeline.shutdown().await;
        for left in &drained.left_behind {
            tracing::warn!(stage = left.stage, items = left.items, "a stage did not finish in time");
        }
        self.stop.cancel();
        drop(self.network);
        self.serving.shutdown().await;
        // Ends the zygotes; blocking, and short.
        if tokio::task::spawn_blocking(move || self.sandbox.shutdown()).await.is_err() {
            tracing::warn!("the sandbox did not stop cleanly");
        }
        tracing::info!("stopped");
    }
}

fn journal(config: &OperatorConfig, keys: &Keys) -> anyhow::Result<Journal> {
    let identity = Journal::identity(&config.network.name, config.network.target_chain, &keys.consensus.public());
    Ok(Journal::open(&config.state_dir, &identity, &config.journal)?)
}

/// The target chain's head, waited for.
async fn first_head(heads: &Heads, checks: &Checks) -> Head {
    loop {
        if let Some(head) = heads.latest() {
            checks.chain.ready();
            return head;
        }
        checks.chain.not_ready("no node of the target chain answers");
        tokio::time::sleep(PAUSE).await;
    }
}

/// The current operator set, waited for.
async fn first_set(sets: &SetReader, heads: &Heads, checks: &Checks) -> Arc<OperatorSet> {
    let mut said = String::new();
    loop {
        let head = first_head(heads, checks).await;
        match sets.current(&head).await {
            Ok(set) => {
                checks.set.ready();
                return set;
            }
            Err(error) => {
                let now = error.to_string();
                // A reorg between the head and the read passes by itself; anything else is said once.
                if now != said {
                    tracing::warn!(%error, "no operator set yet; trying on");
                    checks.set.not_ready(now.clone());
                    said = now;
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Readiness by peers, and admission anew when the set changes.
fn follow_peers(
    network: Network,
    set_changed: Arc<Notify>,
    ready: ditto_core::telemetry::Check,
    stop: CancellationToken,
) {
    tokio::spawn(async move {
        let mut peers = network.watch_peers();
        loop {
            let aggregator = peers.borrow_and_update().iter().any(|peer| peer.role.is_aggregator());
            ready.set((!aggregator).then(|| "not connected to the aggregator".to_owned()));
            tokio::select! {
                () = stop.cancelled() => return,
                () = set_changed.notified() => network.recheck(),
                changed = peers.changed() => if changed.is_err() { return },
            }
        }
    });
}
