//! Who may speak: claims sent, judged and answered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use libp2p::PeerId;
use libp2p::request_response::{OutboundFailure, ResponseChannel};

use super::Service;
use super::table::snapshot;
use crate::p2p::auth::{self, Claim, Refusal, Role};
use crate::p2p::gossip;
use crate::p2p::handle::Event;

/// Claims judged at once; each costs a signature check.
const MAX_JUDGEMENTS: usize = 16;
/// A refused peer has this long to read why.
const GRACE: Duration = Duration::from_millis(500);
/// Pause between two tries to be admitted on a connection that stands.
const CLAIM_AGAIN: Duration = Duration::from_secs(1);

/// The admission of one claim, decided.
#[derive(Debug)]
pub(super) struct Judgement {
    peer: PeerId,
    claim: Claim,
    verdict: Result<Role, Refusal>,
    /// Where the answer goes; none when the peer did not ask (recheck).
    channel: Option<ResponseChannel<Vec<u8>>>,
}

impl Service {
    pub(super) fn send_claim(&mut self, peer: PeerId) {
        if let Some(entry) = self.peers.get_mut(&peer) {
            entry.claimed_at = Instant::now();
            entry.claim_pending = true;
            self.swarm.behaviour_mut().auth.send_request(&peer, self.claim.clone());
        }
    }

    /// Claims that were not answered, or with "busy", are sent again.
    pub(super) fn send_claims_again(&mut self, now: Instant) {
        let waiting = self.peers.iter().filter(|(_, peer)| {
            !peer.accepted && !peer.claim_pending && now.saturating_duration_since(peer.claimed_at) >= CLAIM_AGAIN
        });
        let waiting: Vec<_> = waiting.map(|(peer, _)| *peer).collect();
        for peer in waiting {
            self.send_claim(peer);
        }
    }

    /// A peer claims to be somebody.
    pub(super) fn on_claim(&mut self, peer: PeerId, bytes: &[u8], channel: ResponseChannel<Vec<u8>>) {
        let Some(entry) = self.peers.get_mut(&peer) else { return };
        if !entry.requests.take(Instant::now()) {
            return self.answer_claim(peer, Some(channel), Err(Refusal::Busy));
        }
        let claim = match self.realm.read_claim(&peer, bytes) {
            Ok(claim) => claim,
            Err(refusal) => return self.answer_claim(peer, Some(channel), Err(refusal)),
        };
        if entry.role.is_some() && entry.claim.as_ref() == Some(&claim) {
            return self.answer_claim(peer, Some(channel), Ok(()));
        }
        if entry.judging || self.judgements.len() >= MAX_JUDGEMENTS {
            return self.answer_claim(peer, Some(channel), Err(Refusal::Busy));
        }
        entry.judging = true;
        self.judge(peer, claim, Some(channel));
    }

    fn judge(&mut self, peer: PeerId, claim: Claim, channel: Option<ResponseChannel<Vec<u8>>>) {
        let admission = Arc::clone(&self.admission);
        self.judgements.spawn(async move {
            let judged = claim.clone();
            let verdict = tokio::task::spawn_blocking(move || admission.admit(&judged)).await;
            let verdict = verdict.unwrap_or_else(|error| {
                tracing::error!(%peer, %error, "admission did not finish");
                Err(Refusal::Busy)
            });
            Judgement { peer, claim, verdict, channel }
        });
    }

    pub(super) fn on_judgement(&mut self, judgement: Option<Judgement>) {
        let Some(Judgement { peer, claim, verdict, channel }) = judgement else { return };
        self.continue_recheck();
        let Some(entry) = self.peers.get_mut(&peer) else { return };
        entry.judging = false;
        let recheck = channel.is_none();
        if recheck && (entry.claim.as_ref() != Some(&claim) || verdict == Err(Refusal::Busy)) {
            // Admitted anew in the meantime, or nothing was decided.
            return;
        }
        match verdict.and_then(|role| self.admit(peer, role, claim)) {
            Ok(()) => self.answer_claim(peer, channel, Ok(())),
            Err(refusal) => {
                self.demote(peer);
                self.answer_claim(peer, channel, Err(refusal));
            }
        }
    }

    /// Takes a peer in, unless it is banned or there is no place.
    fn admit(&mut self, peer: PeerId, role: Role, claim: Claim) -> Result<(), Refusal> {
        let now = Instant::now();
        if self.bans.peer_is_banned(&peer, now) || self.bans.operator_is_banned(&role.address(), now) {
            return Err(Refusal::Banned);
        }
        let mut others: Vec<_> = self
            .peers
            .iter()
            .filter(|(id, other)| **id != peer && other.role.is_some())
            .map(|(id, other)| (other.since, *id, other.role))
            .collect();
        // A bootstrap node of ours always has a place: without it there is no network.
        if others.len() >= self.config.max_peers && !self.book.is_bootstrap(&peer) {
            return Err(Refusal::Busy);
        }
        others.retain(|(_, _, other)| other.is_some_and(|other| other.address() == role.address()));
        if others.len() >= self.config.max_peers_per_operator
            && let Some((_, oldest, _)) = others.iter().min_by_key(|(since, ..)| *since)
        {
            tracing::warn!(%peer, %role, replaced = %oldest, "one operator connects under several peer ids; the oldest goes");
            let oldest = *oldest;
            self.demote(oldest);
            self.disconnect(oldest, "replaced");
        }
        let Some(entry) = self.peers.get_mut(&peer) else { return Ok(()) };
        if entry.role != Some(role) && entry.announced {
            // Same key, another role: what the application was told is withdrawn first.
            self.demote(peer);
        }
        if let Some(entry) = self.peers.get_mut(&peer) {
            entry.role = Some(role);
            entry.claim = Some(claim);
            gossip::unmute(&mut self.swarm.behaviour_mut().gossip, &peer);
            self.announce(peer);
        }
        Ok(())
    }

    fn answer_claim(&mut self, peer: PeerId, channel: Option<ResponseChannel<Vec<u8>>>, answer: Result<(), Refusal>) {
        let outcome = answer.map_or_else(Refusal::label, |()| "admitted");
        metrics::counter!("ditto_p2p_claims_total", "outcome" => outcome).increment(1);
        if let (Err(refusal), Some(entry)) = (answer, self.peers.get_mut(&peer))
            && refusal != Refusal::Busy
        {
            tracing::info!(%peer, address = %entry.address, "peer not admitted: {refusal}");
            entry.deadline = entry.deadline.min(Instant::now() + GRACE);
        }
        if let Some(channel) = channel {
            // Fails when the peer is gone: then nobody waits for the answer.
            self.swarm.behaviour_mut().auth.send_response(channel, auth::encode_answer(answer)).ok();
        }
    }

    /// What a peer says to our claim.
    pub(super) fn on_claim_answer(&mut self, peer: PeerId, bytes: &[u8]) {
        let Some(entry) = self.peers.get_mut(&peer) else { return };
        entry.claim_pending = false;
        match auth::decode_answer(bytes) {
            Ok(()) => {
                entry.accepted = true;
                self.announce(peer);
            }
            Err(Refusal::Busy) => {}
            Err(refusal) => {
                tracing::warn!(%peer, address = %entry.address, "this node is not admitted by a peer: {refusal}");
                entry.deadline = entry.deadline.min(Instant::now() + GRACE);
            }
        }
    }

    pub(super) fn on_claim_failure(&mut self, peer: PeerId, error: &OutboundFailure) {
        if let Some(entry) = self.peers.get_mut(&peer) {
            entry.claim_pending = false;
            tracing::debug!(%peer, %error, "claim not answered");
        }
    }

    /// Tells the application once both sides have admitted each other.
    fn announce(&mut self, peer: PeerId) {
        let Some(entry) = self.peers.get_mut(&peer) else { return };
        let Some(role) = entry.role.filter(|_| entry.accepted && !entry.announced) else { return };
        entry.announced = true;
        tracing::info!(%peer, %role, address = %entry.address, "peer admitted");
        self.book.admitted(&peer, role, entry.dialable(), Instant::now());
        self.publish_snapshot();
        self.emit(Event::PeerAdmitted { peer, role });
        self.ask(peer);
    }

    /// Takes a peer's right to speak away, at once; its connection is the caller's concern.
    pub(super) fn demote(&mut self, peer: PeerId) {
        let Some(entry) = self.peers.get_mut(&peer) else { return };
        let told = entry.partner();
        (entry.role, entry.claim, entry.announced) = (None, None, false);
        gossip::mute(&mut self.swarm.behaviour_mut().gossip, &peer);
        if let Some(role) = told {
            // Whoever was a partner is not given the time a newcomer gets.
            entry.deadline = Instant::now() + GRACE;
            tracing::info!(%peer, %role, "peer no longer admitted");
            self.publish_snapshot();
            self.emit(Event::PeerLost { peer, role });
        }
    }

    /// Queues all admitted peers for another judgement.
    pub(super) fn start_recheck(&mut self) {
        self.recheck = self.peers.iter().filter(|(_, peer)| peer.claim.is_some()).map(|(peer, _)| *peer).collect();
        self.continue_recheck();
    }

    /// Half the places, so that newcomers are still judged.
    fn continue_recheck(&mut self) {
        while self.judgements.len() < MAX_JUDGEMENTS / 2 {
            let Some(peer) = self.recheck.pop_front() else { return };
            if let Some(claim) = self.peers.get(&peer).and_then(|peer| peer.claim.clone()) {
                self.judge(peer, claim, None);
            }
        }
    }

    pub(super) fn publish_snapshot(&self) {
        let peers = snapshot(self.peers.iter());
        let of = |wanted: fn(&Role) -> bool| peers.iter().filter(|peer| wanted(&peer.role)).count() as f64;
        metrics::gauge!("ditto_p2p_peers", "role" => "aggregator").set(of(Role::is_aggregator));
        metrics::gauge!("ditto_p2p_peers", "role" => "standby").set(of(|role| matches!(role, Role::Standby(_))));
        metrics::gauge!("ditto_p2p_peers", "role" => "operator").set(of(|role| matches!(role, Role::Operator(_))));
        self.snapshot.send_replace(peers);
    }
}
