//! A slot's load: 1,000 attesters vote on 1,000 operations, in batches of 32, in every slot of two seconds; no chain, no
//! simulation, the votes made up beforehand. They go through the real stages (collect, verify, aggregate with its ledger on
//! disk) on all cores; measured is how long after the vote that made a quorum possible its certificate is ready to be
//! submitted. A group waits up to `verification.group_timer_ms` for further votes, which is part of that.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ditto_aggregator::aggregate::{Aggregate, Claims};
use ditto_aggregator::collect::Collect;
use ditto_aggregator::config::{CollectionConfig, EvidenceConfig, LedgerConfig, StagesConfig, VerificationConfig};
use ditto_aggregator::evidence::Store;
use ditto_aggregator::ledger::{self, Ledger};
use ditto_aggregator::report::Report;
use ditto_aggregator::submit::Order;
use ditto_aggregator::verify;
use ditto_aggregator_benches::{Attesters, Hand, asking, batch, domain, network, result, stage, write};
use ditto_core::chain::{ChainConfig, Heads, Rpc};
use ditto_core::clock::SlotClock;
use ditto_core::p2p::{Event, PeerId, Role, VoteReply};
use ditto_core::proposal::BatchId;
use ditto_core::stage::{Actor, DONE, Deadline, Outcome, Pipeline};
use ditto_core::telemetry::Readiness;
use tokio_util::sync::CancellationToken;

const ATTESTERS: usize = 1_000;
const OPERATIONS: u64 = 1_000;
const TASKS: u64 = 32;
const SLOTS: u64 = 5;
/// Strictly more than two thirds of 1,000.
const QUORUM: usize = 667;
/// Over which part of a slot the attesters' votes come in.
const SPREAD: Duration = Duration::from_millis(1_500);
const SLOT_LENGTH: Duration = Duration::from_secs(2);

/// Notes when a certificate is ready to be submitted.
struct Ready(Arc<Mutex<HashMap<BatchId, Instant>>>);

impl Actor for Ready {
    type Item = Order;

    async fn handle(&mut self, order: Order, _: Deadline) -> Outcome {
        if let Order::Submit { certified, .. } = order {
            self.0.lock().expect("nobody panics").entry(certified.batch.id).or_insert_with(Instant::now);
        }
        DONE
    }
}

fn main() {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime").block_on(run());
}

async fn run() {
    let attesters = Attesters::new(ATTESTERS);
    let hand = Hand::at(1);
    let state = tempfile::tempdir().expect("a temporary directory");
    let clock = SlotClock::new(network().schedule(), hand.clone());
    let identity = ledger::identity("bench", &domain(), network().aggregator);
    let ledger = Ledger::open(state.path(), &identity, domain(), &LedgerConfig::default(), 1).expect("a ledger");
    let evidence = Store::open(state.path(), EvidenceConfig::default()).expect("an empty directory");
    let (report, readiness, stop) = (Report::new(clock.schedule()), Readiness::new(), CancellationToken::new());
    // Nobody answers there; the stages that ask a chain are not part of this.
    let url = "http://127.0.0.1:9".into();
    let rpc = Arc::new(Rpc::new(31337, &ChainConfig::new(vec![url])).expect("an endpoint"));
    let heads = Heads::follow(rpc, Duration::from_secs(60), stop.clone());

    let stages = StagesConfig::default();
    let mut pipeline = Pipeline::new("load", Duration::from_secs(10));
    let (collect, to_collect) = pipeline.queue("collect", &stages.collect);
    let (verify, to_verify) = pipeline.queue("verify", &stages.verify);
    let (ask, to_ask) = pipeline.queue("ask", &stages.ask);
    let (aggregate, to_aggregate) = pipeline.queue("aggregate", &stages.aggregate);
    let (submit, to_submit) = pipeline.queue("submit", &stages.submit);
    let config = VerificationConfig::default();
    let (mut screening, verification) = stage(&attesters, hand.clone(), config, evidence.clone(), aggregate, ask);
    let governance = verification.governance.clone();

    println!("signing {} votes", SLOTS * OPERATIONS.div_ceil(TASKS) * ATTESTERS as u64);
    let mut load = Vec::new();
    for slot in 1..=SLOTS {
        let mut batches = Vec::new();
        let mut left = OPERATIONS;
        for performer in 0..OPERATIONS.div_ceil(TASKS) {
            let tasks = left.min(TASKS);
            left -= tasks;
            let batch = batch(slot, performer, tasks);
            ledger.propose(&batch, 0).await.expect("a ledger that takes it");
            screening.open(batch.clone());
            let votes = attesters.votes(&batch, &[]);
            batches.push((batch.id, votes));
        }
        load.push(batches);
    }

    pipeline.source("group_timer", {
        let (gathering, clock, verify) = (verification.gathering.clone(), clock.clone(), verify.clone());
        let governance = governance.clone();
        move |stop| verify::timer(gathering, config, governance, clock, verify, stop)
    });
    pipeline.actor(
        to_collect,
        Collect {
            network: network(),
            domain: domain(),
            config: CollectionConfig::default(),
            governance: governance.clone(),
            heads,
            clock: clock.clone(),
            screening,
            ledger: ledger.clone(),
            ledger_check: readiness.check("ledger"),
            report: report.clone(),
            evidence,
            verify,
            sweep_at: Instant::now(),
        },
    );
    pipeline.cpu(to_verify, verification).expect("threads");
    pipeline.io(to_ask, asking(hand.clone()));
    pipeline.io(
        to_aggregate,
        Aggregate {
            governance,
            claims: Mutex::new(Claims::default()),
            ledger,
            ledger_check: readiness.check("ledger"),
            report,
            clock,
            submit,
        },
    );
    let ready = Arc::new(Mutex::new(HashMap::new()));
    pipeline.actor(to_submit, Ready(ready.clone()));

    let peers: Vec<PeerId> = (0..ATTESTERS).map(|_| PeerId::random()).collect();
    let (mut latencies, mut whole) = (Vec::new(), Vec::new());
    for (slot, batches) in (1..=SLOTS).zip(load) {
        hand.set(slot);
        let start = Instant::now();
        let mut last_needed: HashMap<BatchId, Instant> = HashMap::new();
        let mut last = HashMap::new();
        for attester in 0..ATTESTERS {
            let due = start + SPREAD * u32::try_from(attester).expect("few") / u32::try_from(ATTESTERS).expect("few");
            tokio::time::sleep_until(due.into()).await;
            for (id, votes) in &batches {
                let (reply, _answer) = VoteReply::detached();
                let role = Role::Operator(attesters.set.members[attester].controller.into_array());
                let event = Event::Vote { bytes: votes[attester].clone(), from: peers[attester], role, reply };
                if attester + 1 == QUORUM {
                    last_needed.insert(*id, Instant::now());
                }
                last.insert(*id, Instant::now());
                collect.send(event, Deadline::NONE).await.expect("a stage that is there");
            }
        }
        let patience = Instant::now() + Duration::from_secs(30);
        while ready.lock().expect("nobody panics").len() < batches.len() {
            assert!(Instant::now() < patience, "a batch got no certificate");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for (id, at) in std::mem::take(&mut *ready.lock().expect("nobody panics")) {
            latencies.push(at.duration_since(last_needed[&id]).as_secs_f64() * 1000.0);
        }
        whole.push(start.elapsed().as_secs_f64());
        println!("slot {slot}: {} certificates, all votes in after {:?}", batches.len(), start.elapsed());
        tokio::time::sleep_until((start + SLOT_LENGTH).into()).await;
    }
    drop(collect);
    stop.cancel();
    pipeline.shutdown().await;

    latencies.sort_by(f64::total_cmp);
    let at = |share: f64| latencies[((latencies.len() as f64 * share).ceil() as usize).clamp(1, latencies.len()) - 1];
    let votes = (ATTESTERS as u64 * OPERATIONS.div_ceil(TASKS)) as f64;
    let note = "1,000 attesters x 1,000 operations in each 2 s slot, in batches of 32 (32,000 votes), spread over 1.5 s; \
                from the vote that makes a quorum, handed to the first stage, to its certificate in the ledger; 60 ms of \
                it is the time a group waits for further votes";
    let slowest = whole.iter().copied().fold(0.0, f64::max);
    write(
        "load",
        vec![
            result("load.vote_to_certificate_ms.p50".into(), at(0.5), "ms", None, Some(note)),
            result("load.vote_to_certificate_ms.p99".into(), at(0.99), "ms", None, Some(note)),
            result("load.vote_to_certificate_ms.max".into(), at(1.0), "ms", None, Some(note)),
            result("load.votes_per_slot".into(), votes, "votes", None, None),
            result("load.slowest_slot_s".into(), slowest, "s", None, Some("until its last certificate; a slot has 2")),
        ],
    );
}
