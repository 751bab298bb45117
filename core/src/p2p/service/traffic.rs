//! What is said: gossip and votes, both ways.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use libp2p::PeerId;
use libp2p::gossipsub;
use libp2p::request_response::{OutboundFailure, OutboundRequestId, ResponseChannel};
use tokio::sync::oneshot;

use super::Service;
use super::table::Peer;
use crate::p2p::behaviour::MAX_STREAMS;
use crate::p2p::gossip::{Acceptance, Judged, MessageToken, Pending, Topic};
use crate::p2p::handle::{Command, Event, PublishError, SendError};
use crate::p2p::vote::{self, Answered, VoteReceipt, VoteRefusal, VoteReply};

/// Votes under way to one peer: fewer than its streams, which are shared with its votes to us.
const MAX_VOTES_TO_ONE: usize = MAX_STREAMS / 2;

/// How long somebody is kept out who goes on at more than twice the rate that is heard. Refusing costs less than hearing,
/// and a disconnected peer costs nothing.
const FLOOD_BAN: Duration = Duration::from_secs(60);

/// Our votes under way.
#[derive(Debug, Default)]
pub(super) struct VotesOut {
    next: u64,
    /// What callers wait for.
    calls: HashMap<u64, Call>,
    /// The requests made for them.
    requests: HashMap<OutboundRequestId, Request>,
}

#[derive(Debug)]
struct Call {
    reply: oneshot::Sender<Result<VoteReceipt, SendError>>,
    /// Requests not yet answered.
    open: usize,
    /// It goes to everybody who collects, and only the aggregator's word counts: who has it besides could keep it.
    everybody: bool,
    /// Why it failed so far.
    failed: Option<SendError>,
}

#[derive(Debug)]
struct Request {
    call: u64,
    peer: PeerId,
    /// Its receiver is the network's aggregator.
    named: bool,
    since: Instant,
}

fn dropped(what: &'static str, reason: &'static str) {
    metrics::counter!("ditto_p2p_dropped_total", "what" => what, "reason" => reason).increment(1);
}

impl Service {
    pub(super) fn on_command(&mut self, command: Command) {
        match command {
            Command::Publish { topic, bytes, reply } => {
                let outcome = self.publish(topic, bytes);
                // The caller may have stopped waiting; the message is out all the same.
                reply.send(outcome).ok();
            }
            Command::Vote { to, bytes, reply } => self.send_vote(to, bytes, reply),
        }
    }

    fn publish(&mut self, topic: Topic, bytes: Vec<u8>) -> Result<(), PublishError> {
        let size = bytes.len();
        let published = if self.peers.values().any(|peer| peer.announced) {
            self.swarm.behaviour_mut().gossip.publish(topic.name(&self.realm), bytes)
        } else {
            // Peers we admitted may be connected and not have admitted us: they would not listen.
            Err(gossipsub::PublishError::NoPeersSubscribedToTopic)
        };
        let outcome = match published {
            Ok(_) => Ok(()),
            Err(gossipsub::PublishError::Duplicate) => Err(PublishError::Duplicate),
            Err(gossipsub::PublishError::NoPeersSubscribedToTopic) => Err(PublishError::NoPeers),
            Err(gossipsub::PublishError::MessageTooLarge) => {
                Err(PublishError::TooLarge { size, max: self.config.max_message_bytes })
            }
            Err(_) => Err(PublishError::Busy),
        };
        let label = match outcome {
            Ok(()) => "published",
            Err(PublishError::Duplicate) => "publish_duplicate",
            Err(PublishError::NoPeers) => "publish_no_peers",
            Err(_) => "publish_failed",
        };
        metrics::counter!("ditto_p2p_messages_total", "topic" => topic.label(), "verdict" => label).increment(1);
        outcome
    }

    pub(super) fn on_gossip(&mut self, event: gossipsub::Event) {
        match event {
            gossipsub::Event::Message { propagation_source, message_id, message } => {
                let Some(topic) = self.topics.get(&message.topic).copied() else { return };
                let pending = Pending { topic, id: message_id, source: propagation_source };
                self.on_message(pending, message.data);
            }
            gossipsub::Event::SlowPeer { peer_id, .. } => slow(peer_id),
            _ => {}
        }
    }

    fn on_message(&mut self, message: Pending, bytes: Vec<u8>) {
        let Some((role, peer)) = self.peers.get_mut(&message.source).and_then(Peer::speaking) else {
            // Not reached (gossipsub's black list comes first); if it were, the stranger would still not be heard.
            dropped("gossip", "not_authenticated");
            return self.settle(Judged { message, verdict: Acceptance::Ignore });
        };
        let now = Instant::now();
        if !peer.gossip.take(now) {
            dropped("gossip", "rate_limited");
            if !peer.excess_gossip.take(now) {
                self.ban(message.source, FLOOD_BAN, "flood");
            }
            return self.settle(Judged { message, verdict: Acceptance::Ignore });
        }
        if bytes.len() > self.config.max_message_bytes {
            return self.settle(Judged { message, verdict: Acceptance::Reject });
        }
        let Ok(place) = self.events.clone().try_reserve_owned() else {
            dropped("gossip", "queue_full");
            return self.settle(Judged { message, verdict: Acceptance::Ignore });
        };
        let Ok(permit) = self.verdicts.0.clone().try_reserve_owned() else {
            dropped("gossip", "too_many_pending");
            return self.settle(Judged { message, verdict: Acceptance::Ignore });
        };
        let topic = message.topic;
        metrics::counter!("ditto_p2p_messages_total", "topic" => topic.label(), "verdict" => "delivered").increment(1);
        let from = message.source;
        place.send(Event::Gossip { topic, bytes, from, role, token: MessageToken::new(permit, message) });
    }

    pub(super) fn on_verdict(&mut self, judged: Judged) {
        self.settle(judged);
    }

    /// Tells gossipsub what to do with a message.
    fn settle(&mut self, Judged { message, verdict }: Judged) {
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        let in_time = gossip.report_message_validation_result(&message.id, &message.source, verdict.into());
        let label = if in_time { verdict.label() } else { "late" };
        let topic = message.topic.label();
        metrics::counter!("ditto_p2p_messages_total", "topic" => topic, "verdict" => label).increment(1);
    }

    /// A vote for us.
    pub(super) fn on_vote(&mut self, from: PeerId, bytes: Vec<u8>, channel: ResponseChannel<Vec<u8>>) {
        let Some((role, peer)) = self.peers.get_mut(&from).and_then(Peer::speaking) else {
            return self.on_answered(Answered { channel, answer: Err(VoteRefusal::NotAuthenticated) });
        };
        let now = Instant::now();
        if !peer.votes.take(now) {
            if !peer.excess_votes.take(now) {
                self.ban(from, FLOOD_BAN, "flood");
            }
            return self.on_answered(Answered { channel, answer: Err(VoteRefusal::RateLimited) });
        }
        let Ok(place) = self.events.clone().try_reserve_owned() else {
            dropped("vote", "queue_full");
            return self.on_answered(Answered { channel, answer: Err(VoteRefusal::Busy) });
        };
        let Ok(permit) = self.answers.0.clone().try_reserve_owned() else {
            dropped("vote", "too_many_pending");
            return self.on_answered(Answered { channel, answer: Err(VoteRefusal::Busy) });
        };
        place.send(Event::Vote { bytes, from, role, reply: VoteReply::new(permit, channel) });
    }

    pub(super) fn on_answered(&mut self, Answered { channel, answer }: Answered) {
        let outcome = vote::label(&answer);
        metrics::counter!("ditto_p2p_votes_total", "direction" => "in", "outcome" => outcome).increment(1);
        // Fails when the sender is gone or has stopped waiting; it will send again or gossip.
        self.swarm.behaviour_mut().votes.send_response(channel, vote::encode(answer)).ok();
    }

    fn send_vote(
        &mut self,
        to: Option<[u8; 20]>,
        bytes: Vec<u8>,
        reply: oneshot::Sender<Result<VoteReceipt, SendError>>,
    ) {
        if reply.is_closed() {
            return dropped("vote_out", "abandoned");
        }
        let wanted = |peer: &Peer| match (peer.partner(), to) {
            (Some(role), Some(address)) => role.address() == address,
            (Some(role), None) => role.collects(),
            (None, _) => false,
        };
        let targets: Vec<_> =
            self.peers.iter().filter(|(_, peer)| wanted(peer)).map(|(id, peer)| (*id, peer.votes_out)).collect();
        if targets.is_empty() {
            return finish(reply, Err(SendError::NotConnected));
        }
        let room = self.config.max_votes_in_flight.saturating_sub(self.votes_out.requests.len());
        let targets: Vec<_> =
            targets.into_iter().filter(|(_, out)| *out < MAX_VOTES_TO_ONE).map(|(id, _)| id).take(room).collect();
        if targets.is_empty() {
            return finish(reply, Err(SendError::Busy));
        }
        let call = self.votes_out.next;
        self.votes_out.next = call.wrapping_add(1);
        let open = targets.len();
        self.votes_out.calls.insert(call, Call { reply, open, everybody: to.is_none(), failed: None });
        for peer in targets {
            let id = self.swarm.behaviour_mut().votes.send_request(&peer, bytes.clone());
            let mut named = false;
            if let Some(entry) = self.peers.get_mut(&peer) {
                entry.votes_out += 1;
                named = entry.role.is_some_and(|role| role.is_aggregator());
            }
            self.votes_out.requests.insert(id, Request { call, peer, named, since: Instant::now() });
        }
    }

    pub(super) fn on_vote_answer(&mut self, id: OutboundRequestId, bytes: &[u8]) {
        self.vote_done(id, vote::decode(bytes).map_err(SendError::Refused));
    }

    pub(super) fn on_vote_failure(&mut self, id: OutboundRequestId, error: &OutboundFailure) {
        let error = match error {
            OutboundFailure::Timeout => SendError::Silent,
            // The receiver gave the stream up: its own patience ended first, or it had no stream left.
            OutboundFailure::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => SendError::Silent,
            other => SendError::Connection(other.to_string()),
        };
        self.vote_done(id, Err(error));
    }

    /// One request is answered; the call is when one receiver has the vote, or none is left to hope for.
    fn vote_done(&mut self, id: OutboundRequestId, outcome: Result<VoteReceipt, SendError>) {
        let Some(Request { call: number, peer, named, since }) = self.votes_out.requests.remove(&id) else { return };
        if let Some(entry) = self.peers.get_mut(&peer) {
            entry.votes_out = entry.votes_out.saturating_sub(1);
        }
        metrics::histogram!("ditto_p2p_vote_round_trip_seconds").record(since.elapsed().as_secs_f64());
        let Some(call) = self.votes_out.calls.get_mut(&number) else { return };
        call.open -= 1;
        let counts = named || !call.everybody;
        let outcome = match outcome {
            Ok(receipt) if counts => Ok(receipt),
            // A standby has it; the aggregator may not.
            Ok(_) => Err(call.failed.clone().unwrap_or(SendError::NotConnected)),
            Err(error) => {
                if counts {
                    call.failed = Some(error);
                }
                Err(call.failed.clone().unwrap_or(SendError::NotConnected))
            }
        };
        if (outcome.is_ok() || call.open == 0)
            && let Some(call) = self.votes_out.calls.remove(&number)
        {
            finish(call.reply, outcome);
        }
    }
}

fn finish(reply: oneshot::Sender<Result<VoteReceipt, SendError>>, outcome: Result<VoteReceipt, SendError>) {
    let label = match &outcome {
        Ok(receipt) => vote::label(&Ok(*receipt)),
        Err(SendError::Refused(why)) => vote::label(&Err(*why)),
        Err(SendError::NotConnected) => "not_connected",
        Err(SendError::Busy) => "too_many_under_way",
        Err(SendError::Silent) => "silent",
        Err(_) => "connection",
    };
    metrics::counter!("ditto_p2p_votes_total", "direction" => "out", "outcome" => label).increment(1);
    // The caller may have stopped waiting.
    reply.send(outcome).ok();
}

/// Gossip for a peer that does not read it is thrown away, which gossipsub says once in a heartbeat.
fn slow(peer: PeerId) {
    metrics::counter!("ditto_p2p_slow_peers_total").increment(1);
    tracing::debug!(%peer, "peer does not keep up with gossip");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::measured;

    #[test]
    fn who_does_not_keep_up_with_gossip_is_counted() {
        let counted = || measured("ditto_p2p_slow_peers_total", &[]);
        let before = counted();
        slow(PeerId::random());
        assert!(counted() > before);
    }
}
