//! What a hostile peer can do: here it is a bare swarm that speaks our protocols and keeps none of our manners.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use libp2p::identity::Keypair;
use libp2p::request_response::{Event as Exchange, Message};
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, PeerId, Swarm};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::auth::{self, Realm};
use super::behaviour::{self, Behaviour, BehaviourEvent};
use super::*;
use crate::telemetry::measured;

const PATIENCE: Duration = Duration::from_secs(60);

/// Signs by copying the digest: enough to tell one binding from another.
struct Key(u8);

impl Identity for Key {
    fn consensus_key(&self) -> Vec<u8> {
        vec![self.0; 96]
    }
    fn sign_binding(&self, digest: [u8; 32]) -> Vec<u8> {
        digest.to_vec()
    }
}

/// Admits keys below 100, if they signed the binding.
struct Below100;

impl Admission for Below100 {
    fn admit(&self, claim: &Claim) -> Result<Role, Refusal> {
        match claim.key.first() {
            Some(first) if *first >= 100 => Err(Refusal::UnknownKey),
            Some(first) if claim.signature == claim.binding => Ok(Role::Operator([*first; 20])),
            _ => Err(Refusal::BadSignature),
        }
    }
}

struct Node {
    network: Network,
    events: mpsc::Receiver<Event>,
    address: Multiaddr,
    stop: CancellationToken,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn config() -> P2pConfig {
    P2pConfig {
        listen: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
        auth_timeout_ms: 300_000,
        allow_loopback_colocation: true,
        ..P2pConfig::default()
    }
}

fn realm() -> Realm {
    Realm { network: "test".into(), chain_id: 7 }
}

async fn node(config: P2pConfig, key: u8, bootstrap: Vec<Multiaddr>) -> Node {
    let (sender, events) = mpsc::channel(64);
    let stop = CancellationToken::new();
    let (keypair, config) = (Keypair::generate_ed25519(), P2pConfig { bootstrap, ..config });
    let (network, _) =
        spawn(config, "test", 7, keypair, Arc::new(Key(key)), Arc::new(Below100), sender, stop.clone()).unwrap();
    let mut listening = network.watch_listen_addresses();
    let listens = tokio::time::timeout(PATIENCE, listening.wait_for(|addresses| !addresses.is_empty())).await;
    let address = listens.expect("it listens").unwrap()[0].clone();
    Node { network, events, address, stop }
}

/// A connection to the node that has said nothing yet.
async fn stranger(node: &Node) -> Swarm<Behaviour> {
    let mut swarm = behaviour::build(&config(), &realm(), Keypair::generate_ed25519()).unwrap();
    swarm.dial(node.address.clone()).unwrap();
    until(&mut swarm, |event| matches!(event, SwarmEvent::ConnectionEstablished { .. }).then_some(())).await;
    swarm
}

async fn until<T>(swarm: &mut Swarm<Behaviour>, pick: impl Fn(SwarmEvent<BehaviourEvent>) -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = pick(swarm.select_next_some().await) {
                return found;
            }
        }
    };
    tokio::time::timeout(PATIENCE, found).await.expect("the event comes")
}

async fn claim(swarm: &mut Swarm<Behaviour>, to: PeerId, claim: Vec<u8>) -> Result<(), Refusal> {
    swarm.behaviour_mut().auth.send_request(&to, claim);
    until(swarm, |event| match event {
        SwarmEvent::Behaviour(BehaviourEvent::Auth(Exchange::Message {
            message: Message::Response { response, .. },
            ..
        })) => Some(auth::decode_answer(&response)),
        _ => None,
    })
    .await
}

/// Publishes as soon as the swarm knows the node's subscription.
async fn shout(swarm: &mut Swarm<Behaviour>, bytes: &[u8]) {
    let topic = Topic::Proposals.name(&realm());
    // Below the publish threshold of a muted peer nothing is sent; the stranger mutes nobody.
    while swarm.behaviour_mut().gossip.publish(topic.clone(), bytes.to_vec()).is_err() {
        until(swarm, |event| matches!(event, SwarmEvent::Behaviour(_)).then_some(())).await;
    }
}

async fn vote(swarm: &mut Swarm<Behaviour>, to: PeerId, bytes: &[u8]) -> vote::VoteAnswer {
    swarm.behaviour_mut().votes.send_request(&to, bytes.to_vec());
    until(swarm, |event| match event {
        SwarmEvent::Behaviour(BehaviourEvent::Votes(Exchange::Message {
            message: Message::Response { response, .. },
            ..
        })) => Some(vote::decode(&response)),
        _ => None,
    })
    .await
}

async fn next_gossip(node: &mut Node) -> Vec<u8> {
    let found = async {
        loop {
            if let Event::Gossip { bytes, .. } = node.events.recv().await.unwrap() {
                return bytes;
            }
        }
    };
    tokio::time::timeout(PATIENCE, found).await.expect("gossip comes")
}

#[tokio::test]
async fn a_stranger_is_not_heard_and_cannot_censor_by_being_first() {
    let mut target = node(config(), 1, vec![]).await;
    let id = target.network.local_peer_id();
    let mut swarm = stranger(&target).await;
    shout(&mut swarm, b"proposal").await;
    shout(&mut swarm, b"nonsense").await;
    // Refused, and so is what came before it on the same connection: the vote's answer shows the gossip was read.
    assert_eq!(vote(&mut swarm, id, b"vote").await, Err(VoteRefusal::NotAuthenticated));
    let driven = tokio::spawn(async move {
        loop {
            swarm.select_next_some().await;
        }
    });

    let honest = node(config(), 2, vec![target.address.clone()]).await;
    let mut peers = honest.network.watch_peers();
    tokio::time::timeout(PATIENCE, peers.wait_for(|peers| peers.len() == 1)).await.unwrap().unwrap();
    let published = async {
        while honest.network.publish(Topic::Proposals, b"proposal".to_vec()).await == Err(PublishError::NoPeers) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, published).await.expect("the target listens");
    // The first gossip delivered is the honest peer's, though the stranger had sent the same bytes before.
    assert_eq!(next_gossip(&mut target).await, b"proposal");
    let mut peers = target.network.watch_peers();
    tokio::time::timeout(PATIENCE, peers.wait_for(|peers| peers.len() == 1)).await.unwrap().unwrap();
    driven.abort();
}

#[tokio::test]
async fn a_claim_that_is_not_ones_own_is_refused() {
    let target = node(config(), 1, vec![]).await;
    let id = target.network.local_peer_id();
    let home = realm();

    let mut swarm = stranger(&target).await;
    let local = *swarm.local_peer_id();
    // Somebody else's claim, word for word: the binding names another peer id.
    let stolen = home.own_claim(&PeerId::random(), &Key(2)).unwrap();
    assert_eq!(claim(&mut swarm, id, stolen).await, Err(Refusal::BadSignature));

    let mut swarm = stranger(&target).await;
    assert_eq!(claim(&mut swarm, id, b"hello".to_vec()).await, Err(Refusal::Malformed));
    let mut swarm = stranger(&target).await;
    let elsewhere = Realm { chain_id: 8, ..home.clone() }.own_claim(&local, &Key(2)).unwrap();
    assert_eq!(claim(&mut swarm, id, elsewhere).await, Err(Refusal::WrongNetwork));
    let mut swarm = stranger(&target).await;
    let local = *swarm.local_peer_id();
    assert_eq!(claim(&mut swarm, id, home.own_claim(&local, &Key(200)).unwrap()).await, Err(Refusal::UnknownKey));
    // Having read why, it is disconnected, long before the time a silent peer gets is over.
    until(&mut swarm, |event| matches!(event, SwarmEvent::ConnectionClosed { .. }).then_some(())).await;

    let mut swarm = stranger(&target).await;
    let local = *swarm.local_peer_id();
    assert_eq!(claim(&mut swarm, id, home.own_claim(&local, &Key(3)).unwrap()).await, Ok(()));
    // It is admitted; it admits nobody, so the application is not told, yet its votes count from here.
    let asked = tokio::spawn(async move { vote(&mut swarm, id, b"vote").await });
    let mut target = target;
    match tokio::time::timeout(PATIENCE, target.events.recv()).await.unwrap().unwrap() {
        Event::Vote { bytes, from, role, reply } => {
            assert_eq!((&bytes[..], from, role), (&b"vote"[..], local, Role::Operator([3; 20])));
            reply.accept();
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(asked.await.unwrap(), Ok(VoteReceipt::Accepted));
}

#[tokio::test]
async fn a_peer_that_says_nothing_is_disconnected() {
    let disconnects = || measured("ditto_p2p_disconnects_total", &[("reason", "not_admitted")]);
    let before = disconnects();
    let target = node(P2pConfig { auth_timeout_ms: 300, ..config() }, 1, vec![]).await;
    let mut swarm = stranger(&target).await;
    until(&mut swarm, |event| matches!(event, SwarmEvent::ConnectionClosed { .. }).then_some(())).await;
    assert!(disconnects() > before);
}

#[tokio::test]
async fn strangers_crowd_out_strangers() {
    let target = node(P2pConfig { max_unauthenticated: 2, ..config() }, 1, vec![]).await;
    let mut first = stranger(&target).await;
    let _others = (stranger(&target).await, stranger(&target).await);
    until(&mut first, |event| matches!(event, SwarmEvent::ConnectionClosed { .. }).then_some(())).await;
    let member = node(config(), 2, vec![target.address.clone()]).await;
    let mut peers = member.network.watch_peers();
    tokio::time::timeout(PATIENCE, peers.wait_for(|peers| peers.len() == 1)).await.unwrap().unwrap();
}

#[tokio::test]
async fn votes_beyond_the_rate_are_refused() {
    let mut target = node(P2pConfig { vote_rate_per_second: 1, ..config() }, 1, vec![]).await;
    let id = target.network.local_peer_id();
    let mut swarm = stranger(&target).await;
    let local = *swarm.local_peer_id();
    assert_eq!(claim(&mut swarm, id, realm().own_claim(&local, &Key(3)).unwrap()).await, Ok(()));
    let drain = tokio::spawn(async move {
        while let Some(event) = target.events.recv().await {
            // Dropping a vote's reply answers busy.
            drop(event);
        }
    });
    let mut answers = Vec::new();
    while answers.len() < 100 && !answers.contains(&Err(VoteRefusal::RateLimited)) {
        answers.push(vote(&mut swarm, id, b"vote").await);
    }
    assert_eq!(answers[0], Err(VoteRefusal::Busy));
    assert_eq!(answers.last(), Some(&Err(VoteRefusal::RateLimited)));
    drain.abort();
}

#[tokio::test]
async fn rejected_gossip_silences_its_sender() {
    let mut target = node(config(), 1, vec![]).await;
    let id = target.network.local_peer_id();
    let mut swarm = stranger(&target).await;
    let local = *swarm.local_peer_id();
    assert_eq!(claim(&mut swarm, id, realm().own_claim(&local, &Key(3)).unwrap()).await, Ok(()));
    let mut heard = 0;
    for round in 0..50u8 {
        shout(&mut swarm, &[round]).await;
        // The vote is answered after the gossip before it was read.
        let asked = vote(&mut swarm, id, b"vote");
        tokio::pin!(asked);
        loop {
            tokio::select! {
                event = target.events.recv() => match event.unwrap() {
                    Event::Gossip { token, .. } => { heard += 1; target.network.report(token, Acceptance::Reject); }
                    Event::Vote { reply, .. } => reply.accept(),
                    _ => {}
                },
                _ = &mut asked => break,
            }
        }
    }
    assert!((1..20).contains(&heard), "heard {heard} of 50");
}

/// Two swarms that have admitted each other, connected.
async fn friends() -> (Swarm<Behaviour>, Swarm<Behaviour>) {
    let swarm = || behaviour::build(&config(), &realm(), Keypair::generate_ed25519()).unwrap();
    let (mut one, mut two) = (swarm(), swarm());
    two.listen_on("/ip4/127.0.0.1/tcp/0".parse().unwrap()).unwrap();
    let at = until(&mut two, |event| match event {
        SwarmEvent::NewListenAddr { address, .. } => Some(address),
        _ => None,
    })
    .await;
    one.dial(at).unwrap();
    (one, two)
}

/// Drives both for a while, answering every gossiped message with this verdict; counts what the second one heard.
async fn together(
    one: &mut Swarm<Behaviour>,
    two: &mut Swarm<Behaviour>,
    length: Duration,
    verdict: Acceptance,
) -> usize {
    let mut heard = 0;
    let end = tokio::time::Instant::now() + length;
    loop {
        tokio::select! {
            () = tokio::time::sleep_until(end) => return heard,
            _ = one.select_next_some() => {}
            event = two.select_next_some() => {
                if let SwarmEvent::Behaviour(BehaviourEvent::Gossip(libp2p::gossipsub::Event::Message {
                    propagation_source, message_id, ..
                })) = event {
                    heard += 1;
                    two.behaviour_mut().gossip.report_message_validation_result(
                        &message_id, &propagation_source, verdict.into(),
                    );
                }
            }
        }
    }
}

/// In most slots a peer has nothing to say on a topic, and often what it says is known or late: neither may cost it its
/// place. What is provably bad does.
#[tokio::test]
async fn honest_peers_on_quiet_topics_keep_their_score() {
    let (mut one, mut two) = friends().await;
    // Several heartbeats of silence, long enough for every delivery window to pass.
    together(&mut one, &mut two, Duration::from_secs(4), Acceptance::Accept).await;
    let (first, second) = (*one.local_peer_id(), *two.local_peer_id());
    let score = |swarm: &Swarm<Behaviour>, of: &PeerId| swarm.behaviour().gossip.peer_score(of).expect("it is scored");
    assert!(score(&two, &first) >= 0.0, "silence cost {}", score(&two, &first));
    assert!(score(&one, &second) >= 0.0, "silence cost {}", score(&one, &second));
    let topic = Topic::Votes.name(&realm());
    for round in 0..30u8 {
        one.behaviour_mut().gossip.publish(topic.clone(), vec![round; 40]).unwrap();
    }
    let heard = together(&mut one, &mut two, Duration::from_secs(2), Acceptance::Ignore).await;
    assert_eq!(heard, 30);
    assert!(score(&two, &first) >= 0.0, "what was ignored cost {}", score(&two, &first));
    for round in 0..5u8 {
        one.behaviour_mut().gossip.publish(topic.clone(), vec![round; 41]).unwrap();
    }
    let heard = together(&mut one, &mut two, Duration::from_secs(2), Acceptance::Reject).await;
    assert!(heard > 0);
    assert!(score(&two, &first) < gossip_threshold(), "what was rejected cost only {}", score(&two, &first));
}

fn gossip_threshold() -> f64 {
    super::gossip::THRESHOLDS.gossip_threshold
}

#[tokio::test]
async fn an_address_that_cannot_be_listened_on_is_told_with_its_reason() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let config = P2pConfig { listen: vec![format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap()], ..config() };
    let (sender, _events) = mpsc::channel(1);
    let start = |config: P2pConfig, name: &str| {
        let keys = (Keypair::generate_ed25519(), Arc::new(Key(1)), Arc::new(Below100));
        spawn(config, name, 7, keys.0, keys.1, keys.2, sender.clone(), CancellationToken::new()).map(|_| ())
    };
    let error = start(config.clone(), "test").unwrap_err().to_string();
    assert!(error.to_lowercase().contains("in use"), "{error}");
    let error = start(config, &"x".repeat(65)).unwrap_err().to_string();
    assert!(error.contains("1 to 55 bytes") && error.contains("65 bytes long"), "{error}");
}

#[tokio::test]
async fn who_goes_on_beyond_the_rate_is_put_out() {
    let mut target = node(P2pConfig { vote_rate_per_second: 2, ..config() }, 1, vec![]).await;
    let id = target.network.local_peer_id();
    let mut swarm = stranger(&target).await;
    let local = *swarm.local_peer_id();
    assert_eq!(claim(&mut swarm, id, realm().own_claim(&local, &Key(3)).unwrap()).await, Ok(()));
    let drain = tokio::spawn(async move { while target.events.recv().await.is_some() {} });
    // Four are heard and four are refused, and some more on a slow machine; then the connection is closed.
    for round in 0..200u32 {
        swarm.behaviour_mut().votes.send_request(&id, round.to_be_bytes().to_vec());
    }
    until(&mut swarm, |event| matches!(event, SwarmEvent::ConnectionClosed { .. }).then_some(())).await;
    // The gauge is set at every tick.
    for _ in 0..1_000 {
        if measured("ditto_p2p_banned_peers", &[]) > 0.5 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(measured("ditto_p2p_banned_peers", &[]) > 0.5);
    drain.abort();
}
