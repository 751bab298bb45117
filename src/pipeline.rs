//! The operator's pipeline.
//!
//! ```text
//!            slot starts                                     gossiped proposals
//!                 │                                                  │
//!               plan ──► simulate ──► build ──┬──► propose ◄──seen── judge ──► sign ──► cast ──► aggregator
//!                 │                           │       │                ▲
//!                 └────── what is due ────────┴───────┼── findings ────┤
//!                                                     └─ own proposal ─┘
//! ```
//!
//! - **plan** waits for the slot's pins and finds what is due;
//! - **simulate** runs each due workflow's TypeScript in the sandbox;
//! - **build** makes the calls into the one operation everybody comes to, and tries it;
//! - **propose** signs and gossips the slot's proposal, when it is this operator's turn;
//! - **judge** compares proposals with our own findings;
//! - **sign** journals the verdicts, then signs them;
//! - **cast** brings the vote to the aggregator.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex as StdMutex};
use std::time::Duration;

use alloy::primitives::B256;
use alloy::signers::local::PrivateKeySigner;
use ditto_core::admission::AcceptedSets;
use ditto_core::bls::SecretKey;
use ditto_core::chain::{ContractsConfig, Heads, SetReader};
use ditto_core::clock::SlotClock;
use ditto_core::consent::SigningDomain;
use ditto_core::p2p::{Event, Transport};
use ditto_core::stage::{Pipeline, PoolError};
use ditto_sandbox::Sandbox;
use tokio::sync::{Mutex, Notify, mpsc};

use crate::attest::sent::{self, Sent};
use crate::attest::{Cast, Journal, Judge, Sign};
use crate::board::{self, Board};
use crate::build::{Build, in_bursts};
use crate::config::OperatorConfig;
use crate::gossip;
use crate::ingest::due::Occurrences;
use crate::ingest::{self, Checks, Plan, Registry};
use crate::propose::Propose;
use crate::simulate::{ReadCache, Simulate, prefetch};
use crate::slot::Chains;

/// How long a shutdown may drain: what was judged is signed and cast, nothing new is begun.
const DRAIN: Duration = Duration::from_secs(5);

/// What the pipeline works with; made by [`crate::node`], and by tests.
pub struct Parts {
    /// The configuration.
    pub config: Arc<OperatorConfig>,
    /// Ditto's contracts.
    pub contracts: ContractsConfig,
    /// Where consents are meant to be used.
    pub domain: SigningDomain,
    /// The slots' clock.
    pub clock: SlotClock,
    /// The chains' nodes.
    pub chains: Arc<Chains>,
    /// The chains' heads.
    pub heads: Arc<BTreeMap<u64, Heads>>,
    /// Operator sets.
    pub sets: SetReader,
    /// Who may speak on the p2p network.
    pub admitted: AcceptedSets,
    /// Told when another operator set is current.
    pub set_changed: Arc<Notify>,
    /// The sandbox.
    pub sandbox: Sandbox,
    /// The consensus key.
    pub consensus: SecretKey,
    /// The delegated signer.
    pub signer: PrivateKeySigner,
    /// Sign once.
    pub journal: Journal,
    /// The way to the others.
    pub transport: Arc<dyn Transport>,
    /// What the others say.
    pub events: mpsc::Receiver<Event>,
    /// Recent slots.
    pub board: Arc<Board>,
    /// Whether chains and operator set are there.
    pub checks: Checks,
}

/// Declares the pipeline and sets it going.
///
/// # Errors
/// When the operating system refuses a stage its threads.
pub fn start(parts: Parts) -> Result<Pipeline, PoolError> {
    let Parts { config, contracts, domain, clock, chains, heads, sets, admitted, sandbox, .. } = parts;
    let Parts { set_changed, consensus, signer, journal, transport, events, board, checks, .. } = parts;
    let network = Arc::new(config.network.clone());
    let target = chains[&network.target_chain].clone();
    let engine_id = B256::from(ditto_sandbox::engine_id_with(&config.sandbox.limits));
    let sizes = &config.stages;
    let mut pipeline = Pipeline::new("operator", DRAIN);

    let (plan, to_plan) = pipeline.queue("plan", &sizes.plan);
    let (simulate, to_simulate) = pipeline.queue("simulate", &sizes.simulate);
    let (build, to_build) = pipeline.queue("build", &sizes.build);
    let (propose, to_propose) = pipeline.queue("propose", &sizes.propose);
    let (judge, to_judge) = pipeline.queue("judge", &sizes.judge);
    let (sign, to_sign) = pipeline.queue("sign", &sizes.sign);
    let (cast, to_cast) = pipeline.queue("cast", &sizes.cast);

    let ticking = clock.clone();
    pipeline.source("slots", |stopping| ingest::slots(ticking, plan, stopping));
    let (counts, counting) = (board.clone(), clock.clone());
    pipeline.source("slot_log", |stopping| board::log_slots(counts, counting, stopping));
    let (arrived, arrivals) = sent::arrivals();
    let (hearing, sets_heard, heard) = (transport.clone(), admitted.clone(), judge.clone());
    pipeline.source("gossip", |stopping| gossip::listen(events, hearing, sets_heard, heard, arrived, stopping));
    let (sent, resending) = (Sent::default(), transport.clone());
    let open_votes = sent.clone();
    pipeline.source("resend", |stopping| sent::resend(open_votes, resending, arrivals, stopping));

    let reads = ReadCache::new(chains.clone(), &config.reads);
    for (chain_id, heads) in heads.iter() {
        let (cache, clock, heads) = (reads.clone(), clock.clone(), heads.clone());
        let (chain_id, lag) = (*chain_id, config.chains.get(chain_id).map_or(0, |chain| chain.pin_lag_seconds));
        pipeline.source("prefetch", move |stopping| prefetch::follow(cache, clock, chain_id, lag, heads, stopping));
    }

    let occurrences =
        Occurrences::new(network.clone(), Arc::new(config.chains.clone()), reads.clone(), target.clone(), contracts);
    pipeline.io(
        to_plan,
        Plan {
            network: network.clone(),
            configs: Arc::new(config.chains.clone()),
            contracts,
            clock: clock.clone(),
            chains,
            occurrences,
            reads,
            heads,
            sets,
            admitted,
            set_changed,
            registry: Mutex::new(Registry::new(contracts.registry, config.registry_first_block)),
            own_key: consensus.public(),
            checks,
            board: board.clone(),
            simulate,
            propose: propose.clone(),
            judge: judge.clone(),
        },
    );
    pipeline.io(to_simulate, Simulate { sandbox, board: board.clone(), build });
    pipeline.io(
        to_build,
        Build {
            network: network.clone(),
            contracts,
            domain,
            engine_id,
            node: in_bursts(&target),
            policies: StdMutex::new(HashMap::new()),
            board: board.clone(),
            propose: propose.clone(),
            judge: judge.clone(),
        },
    );
    pipeline.actor(
        to_propose,
        Propose {
            network: network.clone(),
            clock: clock.clone(),
            domain,
            engine_id,
            signer,
            max_message_bytes: config.p2p.max_message_bytes,
            transport: transport.clone(),
            board: board.clone(),
            journal: journal.clone(),
            judge: judge.feedback(),
            open: BTreeMap::new(),
        },
    );
    drop(judge);
    pipeline.actor(
        to_judge,
        Judge {
            network,
            clock,
            domain,
            engine_id,
            transport: transport.clone(),
            sign,
            propose,
            open: BTreeMap::new(),
            last_set: None,
        },
    );
    pipeline.cpu(to_sign, Sign { key: consensus, journal, domain, board: board.clone(), cast })?;
    pipeline.io(to_cast, Cast { transport, sent, board });
    Ok(pipeline)
}
