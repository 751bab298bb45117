//! The whole aggregator against a real chain: proposals and votes come over libp2p, operations execute on anvil.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ditto_aggregator::config::AggregatorConfig;
use ditto_aggregator::{ledger, node};
use ditto_core::admission::{AcceptedSets, ConsensusIdentity, SetAdmission};
use ditto_core::bls::Purpose;
use ditto_core::chain::bindings::obls::OBLS;
use ditto_core::chain::{ChainConfig, Head, SetReader};
use ditto_core::committee::Electorate;
use ditto_core::election::performers;
use ditto_core::operators::OperatorSet;
use ditto_core::p2p::{self, Event, Keypair, Network, P2pConfig, Topic};
use ditto_core::proposal::{BatchId, ProposedBatch};
use ditto_core::quorum::TaskRule;
use ditto_core::telemetry::Metrics;
use ditto_core::telemetry::status::Status;
use ditto_core::verdict::VerdictVector;
use ditto_core::wire::{Vote, encode_batch};
use serde_json::json;
use support::{CHAIN, Chain, Operator, free_port, now_ms};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

struct Aggregator {
    stop: CancellationToken,
    running: JoinHandle<bool>,
    http: u16,
}

fn target(chain: &Chain) -> ChainConfig {
    serde_json::from_value(json!({ "rpc": [chain.anvil.url], "poll_ms": 100, "contracts": chain.contracts })).unwrap()
}

fn config(chain: &Chain, state: &Path, p2p: u16, http: u16) -> AggregatorConfig {
    serde_json::from_value(json!({
        "network": chain.network,
        "chains": { CHAIN.to_string(): target(chain) },
        "p2p": { "listen": [format!("/ip4/127.0.0.1/tcp/{p2p}")], "allow_loopback_colocation": true },
        "telemetry": { "listen": format!("127.0.0.1:{http}") },
        "state_dir": state,
        "submission": { "poll_ms": 100 },
    }))
    .unwrap()
}

impl Aggregator {
    fn start(chain: &Chain, state: &Path, p2p: u16) -> Self {
        let http = free_port();
        let (config, signer) = (config(chain, state, p2p, http), chain.submitter.clone());
        let metrics = Metrics::install("ditto-aggregator", "test").unwrap();
        let stop = CancellationToken::new();
        let running = tokio::spawn(node::run(config, signer, metrics, stop.clone()));
        let running = tokio::spawn(async move { running.await.unwrap().unwrap() });
        Self { stop, running, http }
    }

    /// The answer, or nothing when there is none (yet): whoever asks tries again, and ends some time.
    async fn get(&self, path: &str) -> String {
        let mut answer = String::new();
        let asking = async {
            let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", self.http)).await?;
            stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await?;
            stream.read_to_string(&mut answer).await
        };
        match tokio::time::timeout(Duration::from_secs(5), asking).await {
            Ok(Ok(_)) => answer,
            _ => String::new(),
        }
    }

    async fn until(&self, path: &str, what: &str) {
        for _ in 0..300 {
            if self.get(path).await.contains(what) {
                return;
            }
            assert!(!self.running.is_finished(), "the aggregator ended by itself while {path} was asked for {what}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{path} never showed {what}: {}", self.get(path).await);
    }

    async fn end(self) {
        self.stop.cancel();
        assert!(self.running.await.unwrap(), "drained");
    }
}

/// An operator's network end; it accepts what others gossip.
fn join(chain: &Chain, operator: &Operator, set: &Arc<OperatorSet>, p2p: u16, stop: &CancellationToken) -> Network {
    let sets = AcceptedSets::new();
    sets.replace(vec![set.clone()]);
    let (sender, mut events) = mpsc::channel(64);
    let config = P2pConfig {
        listen: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
        bootstrap: vec![format!("/ip4/127.0.0.1/tcp/{p2p}").parse().unwrap()],
        allow_loopback_colocation: true,
        ..P2pConfig::default()
    };
    let (network, _service) = p2p::spawn(
        config,
        &chain.network.realm(&target(chain)),
        CHAIN,
        Keypair::generate_ed25519(),
        Arc::new(ConsensusIdentity::new(operator.consensus.clone())),
        Arc::new(SetAdmission::new(sets, chain.network.aggregator)),
        sender,
        stop.clone(),
    )
    .unwrap();
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            if let Event::Gossip { token, .. } = event {
                token.answer(p2p::Acceptance::Accept);
            }
        }
    });
    network
}

fn vote(chain: &Chain, set: &OperatorSet, operator: &Operator, batch: &ProposedBatch, verdicts: &[u8]) -> Vec<u8> {
    let id: BatchId = batch.id(&chain.domain());
    let verdicts = VerdictVector::from_bytes(verdicts).unwrap();
    let digest = chain.domain().verdict_digest(id.proposal, &batch.tasks, &verdicts);
    let (attester, _) = set.by_key(&operator.consensus.public()).unwrap();
    let signature = operator.consensus.sign(&digest.0, Purpose::Vote).to_bytes();
    let attester = u32::try_from(attester).unwrap();
    Vote { batch: id, set_id: set.id, attester, verdicts, signature }.encode().unwrap()
}

async fn head(chain: &Chain) -> Head {
    let block = chain.ask("eth_getBlockByNumber", json!(["latest", false])).await;
    let of = |field: &str| serde_json::from_value(block[field].clone()).unwrap();
    let number: alloy::primitives::U64 = serde_json::from_value(block["number"].clone()).unwrap();
    Head { number: number.to(), hash: of("hash"), parent: of("parentHash"), timestamp: 0, base_fee: 0 }
}

async fn operator_set(chain: &Chain) -> Arc<OperatorSet> {
    SetReader::new(chain.rpc.clone(), chain.contracts.obls, chain.network.set_settles_blocks)
        .current(&head(chain).await)
        .await
        .unwrap()
}

/// Waits for the beginning of a slot, so that what is proposed has all of it.
async fn fresh_slot(chain: &Chain) -> u64 {
    let next = chain.slot() + 1;
    let at = chain.network.schedule().start_seconds(next) * 1000 + 50;
    tokio::time::sleep(Duration::from_millis(at.saturating_sub(now_ms()))).await;
    next
}

fn ends(chain: &Chain, state: &Path) -> BTreeMap<(u64, String), usize> {
    let identity = ledger::identity(&chain.network.name, &chain.domain(), chain.submitter.address());
    let mut counts = BTreeMap::new();
    for task in ledger::list(state, &identity).unwrap() {
        *counts.entry((task.slot, task.state.label().to_owned())).or_default() += 1;
    }
    counts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn proposals_become_executed_operations_and_every_task_ends_once() {
    let chain = Chain::start(4, 4).await;
    let state = tempfile::tempdir().unwrap();
    let p2p = free_port();
    let aggregator = Aggregator::start(&chain, state.path(), p2p);
    aggregator.until("/health/ready", "200 OK").await;

    let set = operator_set(&chain).await;
    let stop = CancellationToken::new();
    let networks: Vec<Network> = chain.operators.iter().map(|o| join(&chain, o, &set, p2p, &stop)).collect();
    for network in &networks {
        for _ in 0..200 {
            if network.peers().iter().any(|peer| peer.role.is_aggregator()) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    let by_rank = |slot: u64, rank: usize| {
        let signer = set.members[performers(&set, slot, 4)[rank]].signer;
        chain.operators.iter().find(|operator| operator.signer.address() == signer).unwrap()
    };

    // Governance caps the attesters: three seats among four operators, drawn for the slot. The contract draws the same, refuses
    // nobody who has one, and the aggregator hears nobody else.
    chain.cap_attesters(chain.owner, 3).await;
    aggregator.until("/status", "\"max_attesters\":3").await;
    let capped = fresh_slot(&chain).await;
    let rule = TaskRule { task_definition: chain.network.task_definition, max_attesters: 3, ..TaskRule::default() };
    let electorate = Electorate::new(&set, &rule, capped);
    let asked = OBLS::Electorate {
        slot: capped,
        taskDefinitionId: rule.task_definition,
        seats: 3,
        minimumPower: Default::default(),
    };
    let call = OBLS::committeeOfCall { setId: set.id, electorate: asked };
    let owners = chain.rpc.call(chain.contracts.obls, &call, head(&chain).await.hash).await.unwrap();
    let owners: Vec<usize> = owners.into_iter().map(usize::from).collect();
    assert_eq!(electorate.seats().unwrap(), owners);
    let batch = chain.propose(&by_rank(capped, 0).signer, set.id, capped, vec![chain.record(3, capped)]);
    networks[0].publish(Topic::Proposals, encode_batch(&batch).unwrap()).await.unwrap();
    let mut unseated = 0;
    for (operator, network) in chain.operators.iter().zip(&networks) {
        let (index, _) = set.by_key(&operator.consensus.public()).unwrap();
        let sent = network.send_vote(vote(&chain, &set, operator, &batch, &[0])).await;
        // One without a seat is refused, or is told later when its vote was faster than the proposal.
        assert!(sent.is_ok() || electorate.weight(index) == 0, "{sent:?}");
        unseated += usize::from(electorate.weight(index) == 0);
    }
    assert!(unseated > 0, "three seats have at most three owners");
    let refused = format!("ditto_aggregator_votes_total{{fate=\"not_in_committee\"}} {unseated}");
    aggregator.until("/metrics", &refused).await;
    aggregator.until("/metrics", "ditto_aggregator_tasks_total{state=\"executed\"} 1").await;
    assert_eq!(chain.executions().await, 1);
    chain.cap_attesters(chain.owner, 0).await;
    aggregator.until("/status", "\"max_attesters\":0").await;

    // Two good operations, one that reverts when executed, one that everybody rejects; and one liar.
    let first = fresh_slot(&chain).await;
    let tasks = vec![chain.record(0, first), chain.record(1, first), chain.revert(2, first), chain.record(3, first)];
    let batch = chain.propose(&by_rank(first, 0).signer, set.id, first, tasks);
    networks[0].publish(Topic::Proposals, encode_batch(&batch).unwrap()).await.unwrap();
    for (operator, network) in chain.operators.iter().zip(&networks).take(3) {
        network.send_vote(vote(&chain, &set, operator, &batch, &[0, 0, 0, 3])).await.unwrap();
    }
    let mut forged = Vote::decode(&vote(&chain, &set, &chain.operators[3], &batch, &[0, 0, 0, 3])).unwrap();
    forged.signature = chain.operators[3].consensus.sign(&[7; 32], Purpose::Vote).to_bytes();
    networks[3].send_vote(forged.encode().unwrap()).await.unwrap();
    aggregator.until("/metrics", "ditto_aggregator_tasks_total{state=\"executed\"} 3").await;
    aggregator.until("/metrics", "ditto_aggregator_tasks_total{state=\"rejected\"} 1").await;
    aggregator.until("/metrics", "ditto_aggregator_tasks_total{state=\"failed\"} 1").await;
    aggregator.until("/metrics", "ditto_aggregator_votes_total{fate=\"bad_signature\"} 1").await;
    assert_eq!(chain.executions().await, 3);
    let answer = aggregator.get("/status").await;
    let status: Status = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    println!("{}", status.slots);
    assert!(status.ready && status.binary == "ditto-aggregator" && status.peers.len() >= 3, "{answer}");
    let certificate = status.last_certificate.unwrap();
    assert_eq!((certificate.slot, certificate.outcome.as_str()), (Some(first), "3 signers"));
    let submission = status.last_submission.unwrap();
    assert!(submission.outcome == "mined" && submission.what.starts_with("0x"), "{submission:?}");
    assert!(status.balance.unwrap().wei.parse::<u128>().unwrap() > 0);
    let names: Vec<_> = status.stages.iter().map(|stage| stage.stage.as_str()).collect();
    assert_eq!(names, ["collect", "verify", "ask", "aggregate", "submit", "confirm"]);
    assert!(status.stages.iter().all(|stage| stage.capacity > 0 && stage.workers > 0), "{answer}");
    let collect = &status.stages[0];
    assert!(collect.handled_total >= 5, "a batch and four votes were collected: {answer}");
    assert_eq!(status.operator_set.unwrap().members, 4);
    assert!(status.chains[0].head.is_some() && status.more.contains_key("submitter"), "{answer}");

    // Nobody votes on this one, and a fallback proposes again what was executed.
    let second = fresh_slot(&chain).await;
    let batch = chain.propose(&by_rank(second, 0).signer, set.id, second, vec![chain.record(0, second)]);
    networks[0].publish(Topic::Proposals, encode_batch(&batch).unwrap()).await.unwrap();
    let twin =
        |rank: usize| chain.propose(&by_rank(second, rank).signer, set.id, second, vec![chain.record(1, second)]);
    for twin in [twin(1), twin(2)] {
        networks[0].publish(Topic::Proposals, encode_batch(&twin).unwrap()).await.unwrap();
        for (operator, network) in chain.operators.iter().zip(&networks).take(3) {
            network.send_vote(vote(&chain, &set, operator, &twin, &[0])).await.unwrap();
        }
    }
    let third = batch.proposal.slot;
    aggregator.until("/metrics", "ditto_aggregator_tasks_total{state=\"executed\"} 4").await;
    aggregator.until("/metrics", "ditto_aggregator_tasks_total{state=\"superseded\"} 1").await;

    // Stopped with a certificate in flight and mining paused; the next run goes on with it.
    let held = fresh_slot(&chain).await;
    chain.ask("evm_setIntervalMining", json!([0])).await;
    let batch = chain.propose(&by_rank(held, 0).signer, set.id, held, vec![chain.record(2, held)]);
    networks[0].publish(Topic::Proposals, encode_batch(&batch).unwrap()).await.unwrap();
    for (operator, network) in chain.operators.iter().zip(&networks).take(3) {
        network.send_vote(vote(&chain, &set, operator, &batch, &[0])).await.unwrap();
    }
    aggregator.until("/metrics", "ditto_aggregator_submissions_total{outcome=\"sent\"} 4").await;
    aggregator.end().await;
    assert_eq!(ends(&chain, state.path())[&(held, "submitted".to_owned())], 1);
    chain.ask("anvil_dropAllTransactions", json!([])).await;
    chain.ask("evm_setIntervalMining", json!([1])).await;
    let aggregator = Aggregator::start(&chain, state.path(), free_port());
    aggregator.until("/metrics", "ditto_aggregator_tasks_total{state=\"executed\"} 5").await;
    aggregator.until("/metrics", "ditto_aggregator_tasks_total{state=\"expired\"} 1").await;
    aggregator.end().await;
    stop.cancel();

    assert_eq!(chain.executions().await, 5, "each operation once, the dropped transaction was sent again");
    let expected = [
        ((first, "executed"), 2),
        ((first, "failed"), 1),
        ((first, "rejected"), 1),
        ((third, "executed"), 1),
        ((third, "expired"), 1),
        ((third, "superseded"), 1),
        ((capped, "executed"), 1),
        ((held, "executed"), 1),
    ];
    let expected: BTreeMap<_, _> =
        expected.into_iter().map(|((slot, state), n)| ((slot, state.to_owned()), n)).collect();
    assert_eq!(ends(&chain, state.path()), expected);
}
