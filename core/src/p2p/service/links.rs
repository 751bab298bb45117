//! Who is connected: dials, connections, discovery, liveness, bans.

use std::time::{Duration, Instant};

use libp2p::core::ConnectedPoint;
use libp2p::request_response::{OutboundFailure, ResponseChannel};
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, DialError, SwarmEvent};
use libp2p::{Multiaddr, PeerId, identify};

use super::Service;
use super::table::Peer;
use crate::p2p::behaviour::BehaviourEvent;
use crate::p2p::book::{Due, MAX_ADDRESSES, dialable, split_peer};
use crate::p2p::gossip;
use crate::p2p::handle::Event;
use crate::p2p::peers::{self, Question};

/// Questions without an answer after which a connection counts as dead.
const MAX_UNANSWERED: u32 = 2;
/// Every so many questions, a peer is asked whom it knows; the others only ask whether it is alive.
const WHO_EVERY: u32 = 3;
/// The peer with the greater id waits for the other to dial, so that usually one connection comes to stand.
const POLITENESS: Duration = Duration::from_secs(2);

impl Service {
    pub(super) fn on_link(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, num_established, .. } => {
                self.on_connected(peer_id, connection_id, &endpoint, num_established.get());
            }
            SwarmEvent::ConnectionClosed { peer_id, num_established: 0, cause, .. } => {
                tracing::debug!(peer = %peer_id, ?cause, "disconnected");
                self.on_disconnected(peer_id);
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                self.on_dial_error(connection_id, &error);
            }
            SwarmEvent::NewListenAddr { address, .. } => {
                tracing::info!(%address, "listening");
                self.update_listening(|addresses| addresses.push(address));
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                self.update_listening(|addresses| addresses.retain(|other| *other != address));
            }
            SwarmEvent::ListenerClosed { addresses, reason, .. } => {
                tracing::error!(?addresses, ?reason, "no longer listening");
                self.update_listening(|all| all.retain(|other| !addresses.contains(other)));
            }
            SwarmEvent::ListenerError { error, .. } => tracing::warn!(%error, "listener"),
            SwarmEvent::IncomingConnectionError { error, send_back_addr, .. } => {
                metrics::counter!("ditto_p2p_connections_total", "outcome" => "inbound_failed").increment(1);
                tracing::debug!(%error, address = %send_back_addr, "inbound connection failed");
            }
            _ => {}
        }
    }

    fn update_listening(&self, change: impl FnOnce(&mut Vec<Multiaddr>)) {
        let mut addresses = self.listening.borrow().to_vec();
        change(&mut addresses);
        self.listening.send_replace(addresses.into());
    }

    fn on_connected(&mut self, peer: PeerId, connection: ConnectionId, endpoint: &ConnectedPoint, established: u32) {
        let dialled = endpoint.is_dialer();
        let outcome = if dialled { "dialled" } else { "inbound" };
        metrics::counter!("ditto_p2p_connections_total", "outcome" => outcome).increment(1);
        self.book.connected(connection, peer);
        if established > 1 {
            return;
        }
        let address = split_peer(endpoint.get_remote_address().clone()).0;
        self.peers.insert(peer, Peer::new(&self.config, address, dialled, Instant::now()));
        gossip::mute(&mut self.swarm.behaviour_mut().gossip, &peer);
        self.send_claim(peer);

        let strangers = self.peers.iter().filter(|(_, peer)| peer.role.is_none());
        if strangers.clone().count() > self.config.max_unauthenticated
            && let Some((oldest, _)) = strangers.min_by_key(|(_, peer)| peer.since)
        {
            let oldest = *oldest;
            self.disconnect(oldest, "crowded_out");
        }
    }

    fn on_disconnected(&mut self, peer: PeerId) {
        gossip::forget(&mut self.swarm.behaviour_mut().gossip, &peer);
        self.book.disconnected(&peer, Instant::now());
        if let Some(role) = self.peers.remove(&peer).and_then(|peer| peer.partner()) {
            tracing::info!(%peer, %role, "peer lost");
            self.publish_snapshot();
            self.emit(Event::PeerLost { peer, role });
        }
    }

    pub(super) fn disconnect(&mut self, peer: PeerId, reason: &'static str) {
        metrics::counter!("ditto_p2p_disconnects_total", "reason" => reason).increment(1);
        tracing::debug!(%peer, reason, "disconnecting");
        // Fails when it is disconnected already.
        self.swarm.disconnect_peer_id(peer).ok();
    }

    pub(super) fn on_tick(&mut self) {
        let now = Instant::now();
        for peer in self.bans.expire(now) {
            self.swarm.behaviour_mut().banned.unblock_peer(peer);
        }
        let late = self.peers.iter().filter(|(_, peer)| !peer.announced && peer.deadline <= now);
        let late: Vec<_> = late.map(|(peer, _)| *peer).collect();
        for peer in late {
            self.disconnect(peer, "not_admitted");
        }
        self.send_claims_again(now);
        let interval = self.config.liveness_interval();
        let quiet = self.peers.iter().filter(|(_, peer)| peer.announced && peer.asked_at + interval <= now);
        let quiet: Vec<_> = quiet.map(|(peer, _)| *peer).collect();
        for peer in quiet {
            self.ask(peer);
        }
        self.dial_due(now);
        metrics::gauge!("ditto_p2p_connected_peers").set(self.peers.len() as f64);
        metrics::gauge!("ditto_p2p_banned_peers").set(self.bans.len() as f64);
        for (hash, topic) in &self.topics {
            let mesh = self.swarm.behaviour().gossip.mesh_peers(hash).count();
            metrics::gauge!("ditto_p2p_mesh_peers", "topic" => topic.label()).set(mesh as f64);
        }
    }

    fn dial_due(&mut self, now: Instant) {
        let room = self.config.max_peers.saturating_sub(self.peers.len());
        let taken = |peer: &PeerId| self.peers.contains_key(peer) || self.bans.peer_is_banned(peer, now);
        for Due { entry, peer, addresses } in self.book.due(now, taken, room) {
            let options = match (peer, addresses.first()) {
                (Some(peer), _) => DialOpts::peer_id(peer)
                    .condition(PeerCondition::DisconnectedAndNotDialing)
                    .addresses(addresses)
                    .build(),
                (None, Some(address)) => DialOpts::unknown_peer_id().address(address.clone()).build(),
                (None, None) => continue,
            };
            let connection = options.connection_id();
            self.book.dialing(entry, connection);
            if let Err(error) = self.swarm.dial(options) {
                self.on_dial_error(connection, &error);
            }
        }
    }

    fn on_dial_error(&mut self, connection: ConnectionId, error: &DialError) {
        let own = matches!(error, DialError::LocalPeerId { .. });
        let Some(failed) = self.book.failed(connection, own, Instant::now()) else { return };
        if matches!(error, DialError::DialPeerConditionFalse(_)) {
            // It connected to us while we were about to.
            return;
        }
        metrics::counter!("ditto_p2p_connections_total", "outcome" => "dial_failed").increment(1);
        let retry_in_ms = u64::try_from(failed.retry_in.as_millis()).unwrap_or(u64::MAX);
        match failed.bootstrap {
            Some(address) => {
                tracing::warn!(retry_in_ms, "bootstrap node {address} (p2p.bootstrap) does not answer: {error}");
            }
            None => tracing::debug!(retry_in_ms, %error, "peer does not answer"),
        }
    }

    pub(super) fn on_identify(&mut self, event: identify::Event) {
        let identify::Event::Received { peer_id, info, .. } = event else { return };
        let Some(entry) = self.peers.get_mut(&peer_id) else { return };
        let loopback = self.config.allow_loopback_colocation;
        // An address that names another peer than the one that speaks would send our dials astray.
        let addresses = info.listen_addrs.into_iter().take(4 * MAX_ADDRESSES).map(split_peer);
        let addresses = addresses.filter(|(_, named)| named.is_none_or(|named| named == peer_id));
        let addresses = addresses.map(|(address, _)| address).filter(|address| dialable(address, loopback));
        entry.listens = addresses.take(MAX_ADDRESSES).collect();
        if entry.announced {
            self.book.learn(peer_id, entry.dialable(), false, Duration::ZERO, Instant::now());
        }
    }

    /// Asks a peer whether it is there and, now and then, whom it knows.
    pub(super) fn ask(&mut self, peer: PeerId) {
        let Some(entry) = self.peers.get_mut(&peer) else { return };
        let question = if entry.questions.is_multiple_of(WHO_EVERY) { Question::Who } else { Question::Alive };
        entry.questions = entry.questions.wrapping_add(1);
        entry.asked_at = Instant::now();
        self.swarm.behaviour_mut().peers.send_request(&peer, question.encode());
    }

    pub(super) fn on_question(&mut self, peer: PeerId, bytes: &[u8], channel: ResponseChannel<Vec<u8>>) {
        // No answer to strangers: who is here is nobody's business but the members'.
        let Some(entry) = self.peers.get_mut(&peer).filter(|peer| peer.role.is_some()) else { return };
        if !entry.requests.take(Instant::now()) {
            return;
        }
        let Some(question) = Question::decode(bytes) else { return };
        let known: Vec<_> = match question {
            Question::Alive => Vec::new(),
            Question::Who => {
                let others = self.peers.iter().filter(|(id, other)| **id != peer && other.announced);
                others
                    .map(|(id, other)| (id, other.dialable()))
                    .filter(|(_, addresses)| !addresses.is_empty())
                    .collect()
            }
        };
        let bytes = peers::encode(known.iter().map(|(id, addresses)| (*id, &addresses[..])));
        // Fails when the peer is gone.
        self.swarm.behaviour_mut().peers.send_response(channel, bytes).ok();
    }

    pub(super) fn on_list(&mut self, peer: PeerId, bytes: &[u8]) {
        let Some(entry) = self.peers.get_mut(&peer) else { return };
        entry.unanswered = 0;
        if entry.role.is_none() {
            return;
        }
        let Some(list) = peers::decode(bytes, self.config.allow_loopback_colocation) else {
            tracing::debug!(%peer, "malformed peer list");
            return;
        };
        let now = Instant::now();
        for (id, addresses) in list {
            if !self.peers.contains_key(&id) && !self.bans.peer_is_banned(&id, now) {
                let delay = if self.local < id { Duration::ZERO } else { POLITENESS };
                let addresses = addresses.into_iter().map(|address| split_peer(address).0).collect();
                self.book.learn(id, addresses, true, delay, now);
            }
        }
    }

    pub(super) fn on_silence(&mut self, peer: PeerId, error: &OutboundFailure) {
        let Some(entry) = self.peers.get_mut(&peer) else { return };
        entry.unanswered += 1;
        if entry.unanswered >= MAX_UNANSWERED {
            tracing::info!(%peer, %error, "peer is silent, disconnecting");
            self.disconnect(peer, "silent");
        }
    }

    /// Shuts a peer out, and the operator behind it under all its peer ids.
    pub(super) fn ban(&mut self, peer: PeerId, length: Duration, reason: &'static str) {
        let now = Instant::now();
        let role = self.peers.get(&peer).and_then(|peer| peer.role).or_else(|| self.book.role(&peer));
        let mut banned = vec![peer];
        if let Some(role) = role {
            self.bans.ban_operator(role.address(), length, now);
            let same = |other: &Peer| other.role.is_some_and(|other| other.address() == role.address());
            banned.extend(self.peers.iter().filter(|(id, other)| **id != peer && same(other)).map(|(id, _)| *id));
        }
        for peer in banned {
            let seconds = length.as_secs();
            tracing::warn!(%peer, role = role.map(|role| role.to_string()), seconds, reason, "peer banned");
            metrics::counter!("ditto_p2p_bans_total", "reason" => reason).increment(1);
            if let Some(crowded_out) = self.bans.ban_peer(peer, length, now) {
                self.swarm.behaviour_mut().banned.unblock_peer(crowded_out);
            }
            self.demote(peer);
            self.swarm.behaviour_mut().banned.block_peer(peer);
        }
    }
}
