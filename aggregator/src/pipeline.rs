//! The aggregator's pipeline.
//!
//! ```text
//!  peers ──> collect ──> verify ──> aggregate ──> submit ──> confirm ──> ledger
//!             │            ^ │                      ^            │
//!             │     timer ─┘ └─> bans               └─ again ────┘
//!             │             └─> ask ──> peers (votes in parts)
//!             └─> ledger (proposed)      ledger (certified, sent)
//! ```
//!
//! - **collect** checks proposals and screens votes, cheaply; tasks are in the ledger before votes for them count;
//! - **verify** sums votes by batch and verdict vector and checks the sum that will be submitted, on rayon;
//! - **ask** has attesters vote on a disputed batch in parts;
//! - **aggregate** applies the thresholds and writes down one certificate per batch;
//! - **submit** turns a certificate into one transaction;
//! - **confirm** reads from the chain what became of every task, and has sent again what is stuck.
//!
//! What an earlier run left unfinished is put where it was: open batches take votes again, certificates are submitted,
//! transactions are looked for.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use alloy::signers::local::PrivateKeySigner;
use ditto_core::chain::{ContractsConfig, Heads, Rpc};
use ditto_core::clock::SlotClock;
use ditto_core::consent::SigningDomain;
use ditto_core::network::NetworkConfig;
use ditto_core::p2p::{Event, Transport};
use ditto_core::stage::{Deadline, Pipeline, PoolError};
use ditto_core::telemetry::Check;
use tokio::sync::mpsc;

use crate::aggregate::{Aggregate, Claims};
use crate::ask::Ask;
use crate::bans::Bans;
use crate::batch::PartId;
use crate::collect::{self, Asked, Collect, Screening};
use crate::config::Tuning;
use crate::confirm::{Confirm, Watched};
use crate::evidence::Store as Evidence;
use crate::governance::Governance;
use crate::ledger::{Ledger, Unfinished};
use crate::report::Report;
use crate::submit::{Account, ContractDeadline, InFlight, Order, RightOfWay, Stage, Submit, Watch};
use crate::verify::{self, Gathering, Verify};

/// What surrounds the pipeline.
pub struct Surroundings {
    /// The network's rules.
    pub network: NetworkConfig,
    /// Sizes, limits, times.
    pub tuning: Tuning,
    /// The target chain's contracts.
    pub contracts: ContractsConfig,
    /// What is signed.
    pub domain: SigningDomain,
    /// The time.
    pub clock: SlotClock,
    /// Sets and rule.
    pub governance: Governance,
    /// The target chain.
    pub rpc: Arc<Rpc>,
    /// Its heads.
    pub heads: Heads,
    /// The way to the peers.
    pub transport: Arc<dyn Transport>,
    /// What they send.
    pub events: mpsc::Receiver<Event>,
    /// Who pays.
    pub account: Arc<Account>,
    /// The submitter's key: what is asked of attesters is signed with it.
    pub signer: PrivateKeySigner,
    /// When it may submit.
    pub right_of_way: RightOfWay,
    /// Proven faults.
    pub evidence: Evidence,
    /// The ledger.
    pub ledger: Ledger,
    /// What an earlier run left in it.
    pub unfinished: Vec<Unfinished>,
    /// Says whether the ledger takes what it is given.
    pub ledger_check: Check,
    /// What is shown.
    pub report: Report,
}

/// Declares and starts the stages.
///
/// # Errors
/// When the operating system refuses threads.
pub fn start(around: Surroundings) -> Result<Pipeline, PoolError> {
    let Surroundings { network, tuning, contracts, domain, clock, governance, rpc, heads, .. } = around;
    let Surroundings { signer, right_of_way, evidence, transport, events, .. } = around;
    let Surroundings { account, ledger, unfinished, ledger_check, report, .. } = around;
    let stages = tuning.stages;
    let mut pipeline = Pipeline::new("aggregator", Duration::from_millis(stages.drain_ms));

    let (collect, to_collect) = pipeline.queue("collect", &stages.collect);
    let (verify, to_verify) = pipeline.queue("verify", &stages.verify);
    let (ask, to_ask) = pipeline.queue("ask", &stages.ask);
    let (aggregate, to_aggregate) = pipeline.queue("aggregate", &stages.aggregate);
    let (submit, to_submit) = pipeline.queue("submit", &stages.submit);
    let (confirm, to_confirm) = pipeline.queue("confirm", &stages.confirm);

    let bans = Bans::new(tuning.verification);
    let (gathering, asked) = (Gathering::default(), Asked::default());
    let mut screening = Screening::new(tuning.collection, bans.clone(), asked.clone());
    let mut claims = Claims::default();
    for left in unfinished.iter().filter(|left| left.certified.is_none()) {
        screening.open(left.batch.clone());
    }
    // What was sent comes first: a certificate that was held back in its favour still is.
    let mut certificates: Vec<_> = unfinished.iter().filter(|left| left.certified.is_some()).collect();
    certificates.sort_by_key(|left| left.submission.is_none());
    let mut held_back = HashSet::new();
    for certified in certificates.into_iter().filter_map(|left| left.certified.as_ref()) {
        gathering.certified(certified);
        if !claims.claim(certified, clock.now_ms()) {
            held_back.insert(certified.id());
        }
    }

    pipeline.source("peers", |stop| collect::listen(events, collect, stop));
    pipeline.source("unfinished", {
        let (submit, confirm, attempts) = (submit.clone(), confirm.clone(), tuning.submission.max_attempts);
        move |stop| async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = go_on(unfinished, &held_back, attempts, submit, confirm) => stop.cancelled().await,
            }
        }
    });
    pipeline.source("group_timer", {
        let (gathering, clock, verify) = (gathering.clone(), clock.clone(), verify.clone());
        let governance = governance.clone();
        move |stop| verify::timer(gathering, tuning.verification, governance, clock, verify, stop)
    });

    pipeline.actor(
        to_collect,
        Collect {
            network,
            domain,
            config: tuning.collection,
            governance: governance.clone(),
            heads: heads.clone(),
            clock: clock.clone(),
            screening,
            ledger: ledger.clone(),
            ledger_check: ledger_check.clone(),
            report: report.clone(),
            evidence: evidence.clone(),
            verify,
            sweep_at: Instant::now(),
        },
    );
    pipeline.cpu(
        to_verify,
        Verify {
            gathering: gathering.clone(),
            governance: governance.clone(),
            domain,
            config: tuning.verification,
            bans,
            transport: transport.clone(),
            clock: clock.clone(),
            asked,
            evidence,
            aggregate,
            ask,
        },
    )?;
    pipeline.io(to_ask, Ask { domain, signer, transport, clock: clock.clone() });
    let again = submit.feedback();
    pipeline.io(
        to_aggregate,
        Aggregate {
            governance: governance.clone(),
            claims: Mutex::new(claims),
            ledger: ledger.clone(),
            ledger_check: ledger_check.clone(),
            report: report.clone(),
            clock: clock.clone(),
            submit,
        },
    );
    pipeline.io(
        to_submit,
        Submit {
            rpc: rpc.clone(),
            heads: heads.clone(),
            attestation_center: contracts.attestation_center,
            account: account.clone(),
            config: tuning.submission,
            right_of_way,
            deadline: ContractDeadline::default(),
            ledger: ledger.clone(),
            clock: clock.clone(),
            confirm,
        },
    );
    pipeline.actor(
        to_confirm,
        Confirm {
            rpc,
            heads,
            contracts,
            domain,
            account,
            config: tuning.submission,
            ledger,
            ledger_check,
            report,
            clock,
            submit: again,
            gathering,
            governance,
            watched: Watched::default(),
        },
    );
    Ok(pipeline)
}

/// Hands what an earlier run left to the stages it was in.
async fn go_on(
    unfinished: Vec<Unfinished>,
    held_back: &HashSet<PartId>,
    attempts: u32,
    submit: ditto_core::stage::Outbox<Order>,
    confirm: ditto_core::stage::Outbox<Watch>,
) {
    for left in unfinished {
        let Some(certified) = left.certified else { continue };
        let id = certified.id();
        tracing::info!(batch = %id, sent = left.submission.is_some(), "going on with an unfinished batch");
        // Refused only when the stage has ended: then the next start goes on.
        match left.submission {
            Some(submission) if submission.is_in_flight() => {
                let flight = InFlight { certified: Some(certified), submission };
                drop(confirm.send(Watch::Flight(flight), Deadline::NONE).await);
            }
            Some(submission) => {
                let failed = matches!(submission.stage, Stage::Failed { .. } | Stage::Lost);
                if failed && submission.attempt < attempts {
                    let order = Order::Submit { certified, attempt: submission.attempt + 1 };
                    drop(submit.send(order, Deadline::NONE).await);
                }
            }
            None if held_back.contains(&id) => {}
            None => drop(submit.send(Order::Submit { certified, attempt: 1 }, Deadline::NONE).await),
        }
    }
}
