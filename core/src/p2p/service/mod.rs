//! The task that owns the swarm.
//!
//! One loop: swarm events, commands of the handles, verdicts and answers of the application, finished admissions, and a
//! slow tick for everything that waits. Nothing in it blocks or waits for somebody else; admission (it verifies
//! signatures) runs on blocking threads. `admit` is who may speak, `links` who is connected, `traffic` what is said.

mod admit;
mod links;
mod table;
mod traffic;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use libp2p::gossipsub::TopicHash;
use libp2p::identity::Keypair;
use libp2p::request_response;
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, PeerId, Swarm};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use self::admit::Judgement;
use self::table::Peer;
use self::traffic::VotesOut;
use super::auth::{Admission, Identity, MAX_NETWORK_NAME, Realm};
use super::behaviour::{self, Behaviour, BehaviourEvent};
use super::book::{Book, split_peer};
use super::config::{ConfigError, P2pConfig};
use super::gossip::{Judged, Topic};
use super::handle::{Command, Control, Event, Network, PeerInfo};
use super::limits::Bans;
use super::vote::Answered;

const TICK: Duration = Duration::from_millis(200);
/// Commands waiting for the service; a caller beyond them waits.
const COMMANDS: usize = 1_024;
const CONTROLS: usize = 1_024;

/// Why the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum P2pError {
    /// A setting cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The network's name cannot be part of a topic and a claim.
    #[error(
        "the network's realm is {0:?}, {len} bytes long, and may have {MAX_NETWORK_NAME}: its last 9 name the rules, so choose a \
         `network.name` of 1 to 55 bytes, equal on all nodes", len = .0.len()
    )]
    NetworkName(String),
    /// The node's identity gave a key or signature of impossible size.
    #[error("the node's consensus key or its signature has an impossible size")]
    Identity,
    /// The transports do not start.
    #[error("libp2p does not start: {0}")]
    Start(String),
    /// An address cannot be listened on.
    #[error("p2p.listen: cannot listen on {address}: {reason}; is the port taken, or the address not this machine's?")]
    Listen {
        /// The address.
        address: Multiaddr,
        /// The system's word.
        reason: String,
    },
}

pub(super) struct Service {
    config: P2pConfig,
    realm: Realm,
    local: PeerId,
    claim: Vec<u8>,
    admission: Arc<dyn Admission>,
    topics: HashMap<TopicHash, Topic>,

    swarm: Swarm<Behaviour>,
    peers: HashMap<PeerId, Peer>,
    book: Book,
    bans: Bans,
    judgements: JoinSet<Judgement>,
    recheck: VecDeque<PeerId>,
    votes_out: VotesOut,

    events: mpsc::Sender<Event>,
    commands: mpsc::Receiver<Command>,
    controls: mpsc::Receiver<Control>,
    verdicts: (mpsc::Sender<Judged>, mpsc::Receiver<Judged>),
    answers: (mpsc::Sender<Answered>, mpsc::Receiver<Answered>),
    snapshot: watch::Sender<Arc<[PeerInfo]>>,
    listening: watch::Sender<Arc<[Multiaddr]>>,
    shutdown: CancellationToken,
}

/// Starts the service on the current tokio runtime. A bootstrap node that is down does not fail it; an address that
/// cannot be listened on does.
#[allow(clippy::too_many_arguments, reason = "each is a different thing the embedding node owns")]
pub fn spawn(
    config: P2pConfig,
    network_name: &str,
    chain_id: u64,
    keypair: Keypair,
    identity: Arc<dyn Identity>,
    admission: Arc<dyn Admission>,
    events: mpsc::Sender<Event>,
    shutdown: CancellationToken,
) -> Result<(Network, JoinHandle<()>), P2pError> {
    config.validate()?;
    super::describe();
    let realm = Realm { network: network_name.to_owned(), chain_id };
    if !realm.is_valid() {
        return Err(P2pError::NetworkName(realm.network));
    }
    let local = keypair.public().to_peer_id();
    let claim = realm.own_claim(&local, identity.as_ref()).ok_or(P2pError::Identity)?;
    let mut swarm = behaviour::build(&config, &realm, keypair).map_err(|error| P2pError::Start(error.to_string()))?;
    for address in &config.listen {
        let listen = |error: &dyn std::error::Error| P2pError::Listen { address: address.clone(), reason: told(error) };
        swarm.listen_on(address.clone()).map_err(|error| listen(&error))?;
    }
    for address in &config.external {
        swarm.add_external_address(split_peer(address.clone()).0);
    }

    let (command_sender, commands) = mpsc::channel(COMMANDS);
    let (control_sender, controls) = mpsc::channel(CONTROLS);
    let (snapshot, peers) = watch::channel(Arc::from([]));
    let (listening, listening_receiver) = watch::channel(Arc::from([]));
    let network = Network {
        local,
        max_message_bytes: config.max_message_bytes,
        commands: command_sender,
        controls: control_sender,
        peers,
        listening: listening_receiver,
    };
    let service = Service {
        topics: Topic::ALL.into_iter().map(|topic| (topic.name(&realm).hash(), topic)).collect(),
        book: Book::new(&config, local, Instant::now()),
        bans: Bans::default(),
        judgements: JoinSet::new(),
        recheck: VecDeque::new(),
        votes_out: VotesOut::default(),
        verdicts: mpsc::channel(config.max_pending_validations),
        answers: mpsc::channel(config.max_pending_votes),
        peers: HashMap::new(),
        config,
        realm,
        local,
        claim,
        admission,
        swarm,
        events,
        commands,
        controls,
        snapshot,
        listening,
        shutdown,
    };
    Ok((network, tokio::spawn(service.run())))
}

/// An error and what is behind it; libp2p's outermost errors say nothing by themselves.
fn told(error: &dyn std::error::Error) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    let mut said: Vec<String> = Vec::new();
    for text in chain.map(ToString::to_string).map(|text| text.trim().trim_end_matches(':').to_owned()) {
        // Many repeat what is behind them.
        if !text.is_empty() && !said.iter().any(|before| before.contains(&text)) {
            said.push(text);
        }
    }
    if said.is_empty() { "for a reason that the system does not name".to_owned() } else { said.join(": ") }
}

impl Service {
    async fn run(mut self) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        tracing::info!(peer = %self.local, network = %self.realm.network, chain = self.realm.chain_id, "p2p started");
        loop {
            tokio::select! {
                () = self.shutdown.cancelled() => break,
                event = self.swarm.select_next_some() => self.on_swarm(event),
                Some(command) = self.commands.recv() => self.on_command(command),
                Some(control) = self.controls.recv() => self.on_control(control),
                Some(judged) = self.verdicts.1.recv() => self.on_verdict(judged),
                Some(answered) = self.answers.1.recv() => self.on_answered(answered),
                Some(judgement) = self.judgements.join_next() => self.on_judgement(judgement.ok()),
                _ = tick.tick() => self.on_tick(),
            }
        }
        self.snapshot.send_replace(Arc::from([]));
        tracing::info!(peer = %self.local, "p2p ended");
    }

    fn on_swarm(&mut self, event: SwarmEvent<BehaviourEvent>) {
        use request_response::{Event as Exchange, Message};
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Gossip(event)) => self.on_gossip(event),
            SwarmEvent::Behaviour(BehaviourEvent::Identify(event)) => self.on_identify(event),
            SwarmEvent::Behaviour(BehaviourEvent::Auth(event)) => match event {
                Exchange::Message { peer, message: Message::Request { request, channel, .. }, .. } => {
                    self.on_claim(peer, &request, channel);
                }
                Exchange::Message { peer, message: Message::Response { response, .. }, .. } => {
                    self.on_claim_answer(peer, &response);
                }
                Exchange::OutboundFailure { peer, error, .. } => self.on_claim_failure(peer, &error),
                Exchange::InboundFailure { .. } | Exchange::ResponseSent { .. } => {}
            },
            SwarmEvent::Behaviour(BehaviourEvent::Votes(event)) => match event {
                Exchange::Message { peer, message: Message::Request { request, channel, .. }, .. } => {
                    self.on_vote(peer, request, channel);
                }
                Exchange::Message { message: Message::Response { request_id, response }, .. } => {
                    self.on_vote_answer(request_id, &response);
                }
                Exchange::OutboundFailure { request_id, error, .. } => self.on_vote_failure(request_id, &error),
                Exchange::InboundFailure { .. } | Exchange::ResponseSent { .. } => {}
            },
            SwarmEvent::Behaviour(BehaviourEvent::Peers(event)) => match event {
                Exchange::Message { peer, message: Message::Request { request, channel, .. }, .. } => {
                    self.on_question(peer, &request, channel);
                }
                Exchange::Message { peer, message: Message::Response { response, .. }, .. } => {
                    self.on_list(peer, &response);
                }
                Exchange::OutboundFailure { peer, error, .. } => self.on_silence(peer, &error),
                Exchange::InboundFailure { .. } | Exchange::ResponseSent { .. } => {}
            },
            other => self.on_link(other),
        }
    }

    fn on_control(&mut self, control: Control) {
        match control {
            Control::Ban { peer, length, reason } => self.ban(peer, length, reason),
            Control::Recheck => self.start_recheck(),
        }
    }

    /// Tells the application, unless it does not keep up.
    fn emit(&self, event: Event) {
        if let Err(error) = self.events.try_send(event) {
            let reason = match error {
                mpsc::error::TrySendError::Full(_) => "queue_full",
                mpsc::error::TrySendError::Closed(_) => "closed",
            };
            metrics::counter!("ditto_p2p_dropped_total", "what" => "event", "reason" => reason).increment(1);
        }
    }
}
