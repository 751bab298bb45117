//! What the service knows of each connected peer.

use std::sync::Arc;
use std::time::Instant;

use libp2p::{Multiaddr, PeerId};

use crate::p2p::auth::{Claim, Role};
use crate::p2p::config::P2pConfig;
use crate::p2p::handle::PeerInfo;
use crate::p2p::limits::Bucket;

/// Requests other than votes (proofs, peer lists) taken from one peer per second.
const REQUESTS_PER_SECOND: u32 = 5;

/// A connected peer.
#[derive(Debug)]
pub(super) struct Peer {
    /// Since when it is connected.
    pub since: Instant,
    /// When it is disconnected, unless both sides have admitted each other by then.
    pub deadline: Instant,
    /// Where it is.
    pub address: Multiaddr,
    /// Whether we dialled it, that is, whether `address` can be dialled again.
    pub dialled: bool,
    /// Where it says it listens.
    pub listens: Vec<Multiaddr>,

    /// Who it is, once admitted here; and the claim that was judged.
    pub role: Option<Role>,
    pub claim: Option<Claim>,
    /// A claim of it is being judged.
    pub judging: bool,
    /// It has admitted us.
    pub accepted: bool,
    /// When our claim was last sent; whether its answer is awaited.
    pub claimed_at: Instant,
    pub claim_pending: bool,
    /// Both sides have admitted each other, and the application was told.
    pub announced: bool,

    /// When it was last asked whether it is alive; how often it did not answer in a row; how often it was asked.
    pub asked_at: Instant,
    pub unanswered: u32,
    pub questions: u32,

    pub votes: Bucket,
    pub gossip: Bucket,
    /// What it may send beyond those, to no effect, before that is a flood.
    pub excess_votes: Bucket,
    pub excess_gossip: Bucket,
    pub requests: Bucket,
    /// Our votes under way to it.
    pub votes_out: usize,
}

impl Peer {
    pub fn new(config: &P2pConfig, address: Multiaddr, dialled: bool, now: Instant) -> Self {
        Self {
            since: now,
            deadline: now + config.auth_timeout(),
            address,
            dialled,
            listens: Vec::new(),
            role: None,
            claim: None,
            judging: false,
            accepted: false,
            claimed_at: now,
            claim_pending: false,
            announced: false,
            asked_at: now,
            unanswered: 0,
            questions: 0,
            votes: Bucket::new(config.vote_rate_per_second, now),
            gossip: Bucket::new(config.gossip_rate_per_second, now),
            excess_votes: Bucket::new(config.vote_rate_per_second, now),
            excess_gossip: Bucket::new(config.gossip_rate_per_second, now),
            requests: Bucket::new(REQUESTS_PER_SECOND, now),
            votes_out: 0,
        }
    }

    /// The role, when both sides have admitted each other.
    pub fn partner(&self) -> Option<Role> {
        self.role.filter(|_| self.announced)
    }

    /// The peer and its role, when it is admitted here.
    pub fn speaking(&mut self) -> Option<(Role, &mut Self)> {
        self.role.map(|role| (role, self))
    }

    /// Where it can be dialled: where we reached it, then where it says it listens.
    pub fn dialable(&self) -> Vec<Multiaddr> {
        let reached = self.dialled.then(|| self.address.clone());
        reached.into_iter().chain(self.listens.iter().cloned()).collect()
    }
}

/// The snapshot others read.
pub(super) fn snapshot<'a>(peers: impl Iterator<Item = (&'a PeerId, &'a Peer)>) -> Arc<[PeerInfo]> {
    let infos = peers.filter_map(|(peer_id, peer)| {
        Some(PeerInfo { peer_id: *peer_id, role: peer.partner()?, address: peer.address.clone() })
    });
    let mut infos: Vec<_> = infos.collect();
    infos.sort_by_key(|info| info.peer_id);
    infos.into()
}
