//! A flood by one admitted peer: how long honest votes and honest gossip take with it and without it.
//!
//! The victims (an aggregator and three honest operators) share one core; the flooder is a process of its own on another
//! one, so that what is measured is what the flood costs its victims and not what it costs its sender. Real libp2p over
//! TCP on loopback, the limits as they are by default. Writes `target/bench/flood.json`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashMap;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ditto_core::p2p::{
    Acceptance, Admission, Claim, ClaimKind, Event, Identity, Keypair, Multiaddr, Network, P2pConfig, Refusal, Role,
    Topic, VoteRefusal, spawn,
};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const AGGREGATOR: u8 = 0;
const HONEST: [u8; 3] = [1, 2, 3];
const FLOODER: u8 = 9;
const PER_SECOND: u64 = 10_000;
const PHASE: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(30);
const ENV: &str = "DITTO_BENCH_FLOOD";
/// What an honest message begins with.
const SOUND: &[u8] = b"sound";

struct Key(u8);

impl Identity for Key {
    fn kind(&self) -> ClaimKind {
        if self.0 == AGGREGATOR { ClaimKind::Submitter } else { ClaimKind::Consensus }
    }
    fn consensus_key(&self) -> Vec<u8> {
        vec![self.0; 96]
    }
    fn sign_binding(&self, digest: [u8; 32]) -> Vec<u8> {
        digest.to_vec()
    }
}

struct Everybody;

impl Admission for Everybody {
    fn admit(&self, claim: &Claim) -> Result<Role, Refusal> {
        let key = claim.key[0];
        Ok(if key == AGGREGATOR { Role::Aggregator([key; 20]) } else { Role::Operator([key; 20]) })
    }
}

fn node(key: u8, bootstrap: &[Multiaddr]) -> (Network, mpsc::Receiver<Event>) {
    let config = P2pConfig {
        listen: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
        bootstrap: bootstrap.to_vec(),
        redial_min_ms: 50,
        redial_max_ms: 500,
        allow_loopback_colocation: true,
        ..P2pConfig::default()
    };
    let (sender, events) = mpsc::channel(4_096);
    let (keypair, stop) = (Keypair::generate_ed25519(), CancellationToken::new());
    let (network, _) =
        spawn(config, "bench", 1, keypair, Arc::new(Key(key)), Arc::new(Everybody), sender, stop).unwrap();
    (network, events)
}

async fn address(network: &Network) -> Multiaddr {
    let mut listening = network.watch_listen_addresses();
    let listening = tokio::time::timeout(PATIENCE, listening.wait_for(|addresses| !addresses.is_empty())).await;
    listening.expect("it listens").unwrap()[0].clone()
}

async fn peers(network: &Network, count: usize) {
    let mut peers = network.watch_peers();
    let there = tokio::time::timeout(PATIENCE, peers.wait_for(|peers| peers.len() >= count)).await;
    there.expect("the peers come").unwrap();
}

/// Votes and gossip from this process, as fast as told; half and half.
async fn flood(to: Multiaddr) {
    let (network, mut events) = node(FLOODER, &[to]);
    tokio::spawn(async move { while events.recv().await.is_some() {} });
    peers(&network, 1).await;
    println!("ready");
    let sent = Arc::new(AtomicU64::new(0));
    let (shown, mut left) = (sent.clone(), network.watch_peers());
    let began = Instant::now();
    tokio::spawn(async move {
        // Put out by the aggregator; the operators it knows do so in their turn.
        left.wait_for(|peers| peers.iter().all(|peer| !peer.role.is_aggregator())).await.ok();
        println!("{} {}", shown.load(Ordering::Relaxed), began.elapsed().as_millis());
    });
    for number in 0u64.. {
        let due = Duration::from_nanos(1_000_000_000 / PER_SECOND * number);
        if let Some(early) = due.checked_sub(began.elapsed())
            && early > Duration::from_millis(1)
        {
            tokio::time::sleep(early).await;
        }
        let mut junk = number.to_be_bytes().to_vec();
        junk.resize(256, 0xee);
        let (network, sent) = (network.clone(), sent.clone());
        if number % 2 == 0 {
            tokio::spawn(async move {
                use ditto_core::p2p::SendError::{Busy, Closed, NotConnected};
                // Refused, mostly; that it was sent is what counts.
                if !matches!(network.send_vote(junk).await, Err(Busy | NotConnected | Closed)) {
                    sent.fetch_add(1, Ordering::Relaxed);
                }
            });
        } else if network.publish(Topic::Votes, junk).await.is_ok() {
            sent.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// One phase: votes round trip, gossip one way, in microseconds.
async fn measure(operators: &[Network], arrivals: &Arrivals) -> (Vec<u64>, Vec<u64>) {
    let until = Instant::now() + PHASE;
    let mut voting = Vec::new();
    for (index, network) in operators.iter().cloned().enumerate() {
        voting.push(tokio::spawn(async move {
            let mut took = Vec::new();
            for round in 0u64.. {
                if Instant::now() >= until {
                    break;
                }
                let vote = [SOUND, &[index as u8], &round.to_be_bytes(), &[0; 200]].concat();
                let began = Instant::now();
                if network.send_vote(vote).await.is_ok() {
                    took.push(began.elapsed().as_micros() as u64);
                } else {
                    // Not taken is as slow as a vote can be.
                    took.push(2_000_000);
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            took
        }));
    }
    let mut gossiped = 0;
    while Instant::now() < until {
        let message = [SOUND, &rand::random::<[u8; 16]>(), &[0; 2_000]].concat();
        arrivals.lock().unwrap().insert(message.clone(), (Instant::now(), None));
        operators[gossiped % operators.len()].publish(Topic::Proposals, message).await.ok();
        gossiped += 1;
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let mut votes = Vec::new();
    for task in voting {
        votes.extend(task.await.unwrap());
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let arrived = std::mem::take(&mut *arrivals.lock().unwrap());
    let lost = arrived.values().filter(|(_, at)| at.is_none()).count();
    println!("{} votes, {} proposals, {lost} of them lost", votes.len(), arrived.len());
    let mut gossip: Vec<u64> = arrived
        .into_values()
        .map(|(sent, at)| at.map_or(2_000_000, |at: Instant| at.duration_since(sent).as_micros() as u64))
        .collect();
    votes.sort_unstable();
    gossip.sort_unstable();
    (votes, gossip)
}

type Arrivals = Arc<Mutex<HashMap<Vec<u8>, (Instant, Option<Instant>)>>>;

fn percentile(sorted: &[u64], percent: usize) -> f64 {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)] as f64 / 1_000.0
}

async fn run() -> Vec<serde_json::Value> {
    let arrivals = Arrivals::default();
    let (aggregator, mut events) = node(AGGREGATOR, &[]);
    let heard = arrivals.clone();
    // What an aggregator does, without the curve: sound votes are taken, junk is refused and held against its sender.
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            match event {
                Event::Vote { bytes, reply, .. } if bytes.starts_with(SOUND) => reply.accept(),
                Event::Vote { reply, .. } => reply.refuse(VoteRefusal::Malformed),
                Event::Gossip { bytes, token, .. } if bytes.starts_with(SOUND) => {
                    if let Some((_, at)) = heard.lock().unwrap().get_mut(&bytes) {
                        *at = Some(Instant::now());
                    }
                    token.answer(Acceptance::Accept);
                }
                Event::Gossip { token, .. } => token.answer(Acceptance::Reject),
                _ => {}
            }
        }
    });
    let at = address(&aggregator).await;
    let mut operators = Vec::new();
    for key in HONEST {
        let (network, mut events) = node(key, std::slice::from_ref(&at));
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                match event {
                    Event::Gossip { bytes, token, .. } if bytes.starts_with(SOUND) => token.answer(Acceptance::Accept),
                    Event::Gossip { token, .. } => token.answer(Acceptance::Reject),
                    _ => {}
                }
            }
        });
        operators.push(network);
    }
    for network in &operators {
        peers(network, HONEST.len()).await;
    }
    // The meshes form within a few heartbeats.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (quiet_votes, quiet_gossip) = measure(&operators, &arrivals).await;

    let mut flooder =
        Command::new(std::env::current_exe().unwrap()).env(ENV, at.to_string()).stdout(Stdio::piped()).spawn().unwrap();
    let output = std::io::BufReader::new(flooder.stdout.take().unwrap());
    let (ready, put_out) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(None)));
    let (is_ready, told) = (ready.clone(), put_out.clone());
    std::thread::spawn(move || {
        use std::io::BufRead;
        for line in output.lines().map_while(Result::ok) {
            is_ready.store(1, Ordering::Relaxed);
            if let Some((sent, ms)) = line.split_once(' ') {
                *told.lock().unwrap() = Some((sent.parse::<u64>().unwrap(), ms.parse::<u64>().unwrap()));
            }
        }
    });
    let deadline = Instant::now() + PATIENCE;
    while ready.load(Ordering::Relaxed) == 0 {
        assert!(Instant::now() < deadline, "the flooder does not come");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (flooded_votes, flooded_gossip) = measure(&operators, &arrivals).await;
    flooder.kill().unwrap();
    flooder.wait().unwrap();
    let put_out = *put_out.lock().unwrap();
    let note = match put_out {
        Some((sent, ms)) => {
            let rate = sent * 1_000 / ms.max(1);
            format!(
                "of {PER_SECOND} junk messages a second {rate} left the flooder, until it was put out after {ms} ms; measured from its first message on"
            )
        }
        None => format!("{PER_SECOND} junk messages a second were offered all the time; the flooder was not put out"),
    };
    let mut rows = Vec::new();
    for (name, with, without) in
        [("vote_round_trip", &flooded_votes, &quiet_votes), ("proposal_gossip", &flooded_gossip, &quiet_gossip)]
    {
        for percent in [50, 99] {
            let (value, peer_value) = (percentile(with, percent), percentile(without, percent));
            rows.push(json!({
                "name": format!("flood_{name}_p{percent}"), "value": value, "unit": "ms",
                "peer": "the same without the flood", "peer_value": peer_value, "ratio": value / peer_value,
                "note": note,
            }));
        }
    }
    rows
}

fn on_core(core: usize) {
    let mut set = rustix::thread::CpuSet::new();
    set.set(core);
    // A machine with one core measures all on that one.
    if std::thread::available_parallelism().is_ok_and(|cores| cores.get() > core) {
        rustix::thread::sched_setaffinity(None, &set).unwrap();
    }
}

fn main() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if let Ok(to) = std::env::var(ENV) {
        on_core(1);
        return runtime().block_on(flood(to.parse().unwrap()));
    }
    on_core(0);
    let rows = runtime().block_on(run());
    for row in &rows {
        println!("{row}");
    }
    let target = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
    std::fs::create_dir_all(&target).unwrap();
    let mut file = std::fs::File::create(target.join("flood.json")).unwrap();
    file.write_all(serde_json::to_string_pretty(&rows).unwrap().as_bytes()).unwrap();
}
