//! How much one peer may say, and who may say nothing for a while.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use libp2p::PeerId;

/// Bans kept at once; beyond this the one that would end first ends now.
const MAX_BANS: usize = 4_096;
/// Longest ban: whatever a caller asks, an operator comes back within a day or is banned again.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// A token bucket: `rate` per second on average, twice as many at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    rate: f64,
    tokens: f64,
    at: Instant,
}

impl Bucket {
    pub fn new(rate_per_second: u32, now: Instant) -> Self {
        let rate = f64::from(rate_per_second);
        Self { rate, tokens: rate * 2.0, at: now }
    }

    /// Takes one token; false when there is none.
    pub fn take(&mut self, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + elapsed * self.rate).min(self.rate * 2.0);
        self.at = now;
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }
}

/// Peers that are shut out, and the operators behind them.
#[derive(Debug, Default)]
pub(super) struct Bans {
    peers: HashMap<PeerId, Instant>,
    operators: HashMap<[u8; 20], Instant>,
}

impl Bans {
    /// Bans a peer; returns the peer whose ban had to end to make room.
    pub fn ban_peer(&mut self, peer: PeerId, length: Duration, now: Instant) -> Option<PeerId> {
        let crowded_out = crowded_out(&mut self.peers, &peer);
        extend(&mut self.peers, peer, now + length.min(LONGEST));
        crowded_out
    }

    /// Bans an operator under every peer id.
    pub fn ban_operator(&mut self, operator: [u8; 20], length: Duration, now: Instant) {
        crowded_out(&mut self.operators, &operator);
        extend(&mut self.operators, operator, now + length.min(LONGEST));
    }

    pub fn peer_is_banned(&self, peer: &PeerId, now: Instant) -> bool {
        self.peers.get(peer).is_some_and(|until| *until > now)
    }

    pub fn operator_is_banned(&self, operator: &[u8; 20], now: Instant) -> bool {
        self.operators.get(operator).is_some_and(|until| *until > now)
    }

    /// Ends what has run out; returns the peers that may come back.
    pub fn expire(&mut self, now: Instant) -> Vec<PeerId> {
        self.operators.retain(|_, until| *until > now);
        self.peers.extract_if(|_, until| *until <= now).map(|(peer, _)| peer).collect()
    }

    pub fn len(&self) -> usize {
        self.peers.len()
    }
}

/// A second ban never shortens the first.
fn extend<K: std::hash::Hash + Eq>(bans: &mut HashMap<K, Instant>, key: K, until: Instant) {
    bans.entry(key).and_modify(|old| *old = (*old).max(until)).or_insert(until);
}

fn crowded_out<K: std::hash::Hash + Eq + Copy>(bans: &mut HashMap<K, Instant>, key: &K) -> Option<K> {
    if bans.len() < MAX_BANS || bans.contains_key(key) {
        return None;
    }
    let first = bans.iter().min_by_key(|(_, until)| **until).map(|(key, _)| *key)?;
    bans.remove(&first);
    Some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_allows_a_burst_and_then_its_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(10, start);
        assert_eq!((0..100).filter(|_| bucket.take(start)).count(), 20);
        assert_eq!((0..100).filter(|_| bucket.take(start + Duration::from_millis(500))).count(), 5);
        assert_eq!((0..100).filter(|_| bucket.take(start + Duration::from_secs(3600))).count(), 20);
    }

    #[test]
    fn bans_end_are_never_shortened_and_stay_bounded() {
        let start = Instant::now();
        let (mut bans, peer) = (Bans::default(), PeerId::random());
        bans.ban_peer(peer, Duration::from_secs(10), start);
        bans.ban_peer(peer, Duration::from_secs(1), start);
        assert!(bans.peer_is_banned(&peer, start + Duration::from_secs(9)));
        assert!(!bans.peer_is_banned(&peer, start + Duration::from_secs(10)));
        assert_eq!(bans.expire(start + Duration::from_secs(10)), vec![peer]);

        bans.ban_peer(peer, Duration::from_secs(1), start);
        for _ in 1..MAX_BANS {
            assert_eq!(bans.ban_peer(PeerId::random(), Duration::MAX, start), None);
        }
        assert_eq!(bans.ban_peer(PeerId::random(), Duration::MAX, start), Some(peer));
        assert_eq!(bans.len(), MAX_BANS);
        bans.ban_operator([1; 20], Duration::from_secs(5), start);
        assert!(bans.operator_is_banned(&[1; 20], start) && !bans.operator_is_banned(&[2; 20], start));
    }
}
