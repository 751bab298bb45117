//! What the rest of the program holds: a handle to ask with, and the events that come back.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use libp2p::{Multiaddr, PeerId};
use tokio::sync::{mpsc, oneshot, watch};

use super::auth::Role;
use super::gossip::{Acceptance, MessageToken, Topic};
use super::vote::{VoteReceipt, VoteRefusal, VoteReply};

/// What the service heard. Events wait in a bounded channel; when it is full they are dropped and counted (gossip is then
/// ignored, a vote answered busy). [`Network::peers`] is always current, also when a peer event was dropped.
#[derive(Debug)]
pub enum Event {
    /// A gossiped message, seen for the first time.
    Gossip {
        /// Its topic.
        topic: Topic,
        /// Its bytes.
        bytes: Vec<u8>,
        /// Who handed it to us: not necessarily its author.
        from: PeerId,
        /// Who that is.
        role: Role,
        /// What to answer with [`Network::report`]; until then nobody else gets it from us.
        token: MessageToken,
    },
    /// A vote sent to us directly.
    Vote {
        /// Its bytes.
        bytes: Vec<u8>,
        /// Its sender.
        from: PeerId,
        /// Who that is.
        role: Role,
        /// How to answer; answer before verifying.
        reply: VoteReply,
    },
    /// A peer and this node have admitted each other.
    PeerAdmitted {
        /// The peer.
        peer: PeerId,
        /// Who it is.
        role: Role,
    },
    /// An admitted peer is gone: disconnected, banned, or no longer admitted.
    PeerLost {
        /// The peer.
        peer: PeerId,
        /// Who it was.
        role: Role,
    },
}

/// A peer that is connected, and admitted on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerInfo {
    /// The peer.
    pub peer_id: PeerId,
    /// Who it is.
    pub role: Role,
    /// Where it is connected from, or was dialled.
    pub address: Multiaddr,
}

/// Why a message was not published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Nobody to send it to; publish it again later.
    #[error("no admitted peer listens to this topic")]
    NoPeers,
    /// These bytes were published or received already: everybody has them or will.
    #[error("these bytes were gossiped already")]
    Duplicate,
    /// Larger than the network allows.
    #[error("{size} bytes, more than the {max} allowed (p2p.max_message_bytes)")]
    TooLarge {
        /// The message.
        size: usize,
        /// The limit.
        max: usize,
    },
    /// Every peer's queue is full.
    #[error("the queues to all peers are full")]
    Busy,
    /// The service has ended.
    #[error("the p2p service has ended")]
    Closed,
}

/// Why a vote was not delivered; the caller may gossip it instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// No admitted aggregator is connected (or not the one asked for).
    #[error("not connected to the aggregator")]
    NotConnected,
    /// Larger than the network allows.
    #[error("{size} bytes, more than the {max} allowed (p2p.max_message_bytes)")]
    TooLarge {
        /// The vote.
        size: usize,
        /// The limit.
        max: usize,
    },
    /// Too many votes under way.
    #[error("too many votes are under way (p2p.max_votes_in_flight)")]
    Busy,
    /// The receiver does not take it.
    #[error("refused: {0}")]
    Refused(#[from] VoteRefusal),
    /// It did not answer in time; it may have the vote.
    #[error("the aggregator is silent")]
    Silent,
    /// The connection broke; it may have the vote.
    #[error("the connection to the aggregator broke: {0}")]
    Connection(String),
    /// The service has ended.
    #[error("the p2p service has ended")]
    Closed,
}

/// What is asked of the service task.
pub(super) enum Command {
    Publish { topic: Topic, bytes: Vec<u8>, reply: oneshot::Sender<Result<(), PublishError>> },
    Vote { to: Option<[u8; 20]>, bytes: Vec<u8>, reply: oneshot::Sender<Result<VoteReceipt, SendError>> },
}

/// What is asked and not waited for. A channel of its own: a ban must not queue behind a thousand votes.
#[derive(Debug)]
pub(super) enum Control {
    Ban { peer: PeerId, length: Duration, reason: &'static str },
    Recheck,
}

/// The handle; clones are cheap and equal.
#[derive(Clone)]
pub struct Network {
    pub(super) local: PeerId,
    pub(super) max_message_bytes: usize,
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) controls: mpsc::Sender<Control>,
    pub(super) peers: watch::Receiver<Arc<[PeerInfo]>>,
    pub(super) listening: watch::Receiver<Arc<[Multiaddr]>>,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").field("local", &self.local).finish_non_exhaustive()
    }
}

impl Network {
    /// Gossips bytes to everybody else (never back to this node). Waits while the service is busy.
    pub async fn publish(&self, topic: Topic, bytes: Vec<u8>) -> Result<(), PublishError> {
        if bytes.len() > self.max_message_bytes {
            return Err(PublishError::TooLarge { size: bytes.len(), max: self.max_message_bytes });
        }
        let (reply, answer) = oneshot::channel();
        let command = Command::Publish { topic, bytes, reply };
        self.commands.send(command).await.map_err(|_| PublishError::Closed)?;
        answer.await.map_err(|_| PublishError::Closed)?
    }

    /// Sends a vote to the aggregator and to everybody who stands by for it; returns as soon as the aggregator has it, with
    /// an error when it does not (a standby may have it then).
    pub async fn send_vote(&self, bytes: Vec<u8>) -> Result<VoteReceipt, SendError> {
        self.vote(None, bytes).await
    }

    /// Sends a vote to the node (aggregator, or an operator that collects) with this address.
    pub async fn send_vote_to(&self, aggregator: [u8; 20], bytes: Vec<u8>) -> Result<VoteReceipt, SendError> {
        self.vote(Some(aggregator), bytes).await
    }

    async fn vote(&self, to: Option<[u8; 20]>, bytes: Vec<u8>) -> Result<VoteReceipt, SendError> {
        if bytes.len() > self.max_message_bytes {
            return Err(SendError::TooLarge { size: bytes.len(), max: self.max_message_bytes });
        }
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Vote { to, bytes, reply }).await.map_err(|_| SendError::Closed)?;
        answer.await.map_err(|_| SendError::Closed)?
    }

    /// Answers for a gossiped message. Never blocks and is never lost.
    pub fn report(&self, token: MessageToken, verdict: Acceptance) {
        token.answer(verdict);
    }

    /// Disconnects a peer and keeps it out (at most a day), and with it the operator it spoke for, under any peer id.
    /// `reason` becomes a metric label: use constants.
    pub fn ban(&self, peer: PeerId, length: Duration, reason: &'static str) {
        self.control(Control::Ban { peer, length, reason });
    }

    /// Runs admission again for every connected peer: call it when the operator set or the whitelist changed.
    pub fn recheck(&self) {
        self.control(Control::Recheck);
    }

    fn control(&self, control: Control) {
        if let Err(error) = self.controls.try_send(control) {
            let reason = match error {
                mpsc::error::TrySendError::Full(_) => "queue_full",
                mpsc::error::TrySendError::Closed(_) => "closed",
            };
            metrics::counter!("ditto_p2p_dropped_total", "what" => "control", "reason" => reason).increment(1);
        }
    }

    /// The peers connected and admitted on both sides.
    #[must_use]
    pub fn peers(&self) -> Arc<[PeerInfo]> {
        Arc::clone(&self.peers.borrow())
    }

    /// The same, to wait for changes.
    #[must_use]
    pub fn watch_peers(&self) -> watch::Receiver<Arc<[PeerInfo]>> {
        self.peers.clone()
    }

    /// The addresses this node listens on, with the ports it really got.
    #[must_use]
    pub fn listen_addresses(&self) -> Arc<[Multiaddr]> {
        Arc::clone(&self.listening.borrow())
    }

    /// The same, to wait for changes.
    #[must_use]
    pub fn watch_listen_addresses(&self) -> watch::Receiver<Arc<[Multiaddr]>> {
        self.listening.clone()
    }

    /// This node's peer id.
    #[must_use]
    pub fn local_peer_id(&self) -> PeerId {
        self.local
    }
}

/// The part of [`Network`] that pipelines use, as a trait: a test wraps it to make an operator lie, stall or shout.
pub trait Transport: Send + Sync {
    /// See [`Network::publish`].
    fn publish(&self, topic: Topic, bytes: Vec<u8>) -> BoxFuture<'_, Result<(), PublishError>>;
    /// See [`Network::send_vote`].
    fn send_vote(&self, bytes: Vec<u8>) -> BoxFuture<'_, Result<VoteReceipt, SendError>>;
    /// See [`Network::send_vote_to`].
    fn send_vote_to(&self, aggregator: [u8; 20], bytes: Vec<u8>) -> BoxFuture<'_, Result<VoteReceipt, SendError>>;
    /// See [`Network::report`].
    fn report(&self, token: MessageToken, verdict: Acceptance);
    /// See [`Network::ban`].
    fn ban(&self, peer: PeerId, length: Duration, reason: &'static str);
}

impl Transport for Network {
    fn publish(&self, topic: Topic, bytes: Vec<u8>) -> BoxFuture<'_, Result<(), PublishError>> {
        Box::pin(Network::publish(self, topic, bytes))
    }

    fn send_vote(&self, bytes: Vec<u8>) -> BoxFuture<'_, Result<VoteReceipt, SendError>> {
        Box::pin(Network::send_vote(self, bytes))
    }

    fn send_vote_to(&self, aggregator: [u8; 20], bytes: Vec<u8>) -> BoxFuture<'_, Result<VoteReceipt, SendError>> {
        Box::pin(Network::send_vote_to(self, aggregator, bytes))
    }

    fn report(&self, token: MessageToken, verdict: Acceptance) {
        Network::report(self, token, verdict);
    }

    fn ban(&self, peer: PeerId, length: Duration, reason: &'static str) {
        Network::ban(self, peer, length, reason);
    }
}
