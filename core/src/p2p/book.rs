//! Whom to dial, where, and when next.
//!
//! Two kinds of entries: *bootstrap* addresses come from the configuration and are dialled forever; *known* peers were
//! named by others (or seen before) and are given up after a number of failures in a row. Both pause longer after each
//! failure. Pure bookkeeping: the service asks what is due and reports how it went.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use libp2p::multiaddr::Protocol;
use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId};

use super::auth::Role;
use super::config::P2pConfig;

/// Addresses kept of one peer.
pub(super) const MAX_ADDRESSES: usize = 8;
/// Dials started at once.
const MAX_DIALS_A_TURN: usize = 8;
/// Failures in a row after which a known peer is forgotten; it comes back when somebody names it again.
const MAX_FAILURES: u32 = 12;

/// Whether an address is one we dial and pass on: an IP or DNS name, then TCP or QUIC, and nothing else.
pub(super) fn dialable(address: &Multiaddr, loopback: bool) -> bool {
    let mut parts = address.iter();
    let host = match parts.next() {
        Some(Protocol::Ip4(ip)) => {
            !ip.is_unspecified() && !ip.is_multicast() && !ip.is_broadcast() && (loopback || !ip.is_loopback())
        }
        Some(Protocol::Ip6(ip)) => !ip.is_unspecified() && !ip.is_multicast() && (loopback || !ip.is_loopback()),
        Some(Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_)) => true,
        _ => false,
    };
    let transport = match parts.next() {
        Some(Protocol::Tcp(_)) => true,
        Some(Protocol::Udp(_)) => matches!(parts.next(), Some(Protocol::QuicV1)),
        _ => false,
    };
    let end = match parts.next() {
        None => true,
        Some(Protocol::P2p(_)) => parts.next().is_none(),
        Some(_) => false,
    };
    host && transport && end
}

/// Splits a trailing `/p2p/<peer id>` off.
pub(super) fn split_peer(mut address: Multiaddr) -> (Multiaddr, Option<PeerId>) {
    match address.pop() {
        Some(Protocol::P2p(peer)) => (address, Some(peer)),
        Some(other) => (address.with(other), None),
        None => (address, None),
    }
}

/// A dial that is due.
#[derive(Debug)]
pub(super) struct Due {
    pub entry: Entry,
    pub peer: Option<PeerId>,
    pub addresses: Vec<Multiaddr>,
}

/// Which entry a dial belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Bootstrap(usize),
    Known(PeerId),
}

/// What a failed dial means, for the log.
#[derive(Debug)]
pub(super) struct Failed {
    /// The bootstrap address, when it was one.
    pub bootstrap: Option<Multiaddr>,
    pub retry_in: Duration,
}

#[derive(Debug)]
struct Pause {
    failures: u32,
    next: Instant,
    dialing: bool,
}

impl Pause {
    fn new(now: Instant) -> Self {
        Self { failures: 0, next: now, dialing: false }
    }

    fn is_due(&self, now: Instant) -> bool {
        !self.dialing && self.next <= now
    }

    /// Doubles with every failure; random within its upper half, so that a restarted network does not dial in step.
    fn fail(&mut self, min: Duration, max: Duration, now: Instant) -> Duration {
        let pause = min.saturating_mul(1 << self.failures.min(16)).min(max);
        let pause = pause.mul_f64(rand::random_range(0.5..=1.0));
        self.failures = self.failures.saturating_add(1);
        self.next = now + pause;
        self.dialing = false;
        pause
    }
}

#[derive(Debug)]
struct Bootstrap {
    address: Multiaddr,
    /// The peer id the configuration demands.
    pinned: Option<PeerId>,
    /// Who answered last.
    peer: Option<PeerId>,
    /// The address turned out to be our own.
    is_self: bool,
    pause: Pause,
}

#[derive(Debug)]
struct Known {
    addresses: Vec<Multiaddr>,
    role: Option<Role>,
    pause: Pause,
}

/// The address book.
#[derive(Debug)]
pub(super) struct Book {
    local: PeerId,
    bootstrap: Vec<Bootstrap>,
    known: HashMap<PeerId, Known>,
    dials: HashMap<ConnectionId, Entry>,
    min: Duration,
    max: Duration,
    capacity: usize,
}

impl Book {
    pub fn new(config: &P2pConfig, local: PeerId, now: Instant) -> Self {
        let bootstrap = config.bootstrap.iter().cloned().map(|address| {
            let (address, pinned) = split_peer(address);
            Bootstrap { address, pinned, peer: pinned, is_self: pinned == Some(local), pause: Pause::new(now) }
        });
        Self {
            local,
            bootstrap: bootstrap.collect(),
            known: HashMap::new(),
            dials: HashMap::new(),
            min: Duration::from_millis(config.redial_min_ms),
            max: Duration::from_millis(config.redial_max_ms),
            capacity: config.max_peers.saturating_mul(4),
        }
    }

    /// Takes note of a peer's addresses; a peer first heard of is dialled after `delay`. The newest word goes first, unless
    /// it is `hearsay` about a peer we have met: nobody can crowd out the addresses of a peer by talking about it.
    pub fn learn(&mut self, peer: PeerId, addresses: Vec<Multiaddr>, hearsay: bool, delay: Duration, now: Instant) {
        if peer == self.local || addresses.is_empty() {
            return;
        }
        if !self.known.contains_key(&peer) && self.known.len() >= self.capacity {
            // The one that answered least makes room; a flood of invented peers pushes out invented peers.
            let worst = self
                .known
                .iter()
                .filter(|(_, known)| known.role.is_none())
                .max_by_key(|(_, known)| known.pause.failures);
            let Some(worst) = worst.map(|(peer, _)| *peer) else { return };
            self.known.remove(&worst);
        }
        let known = self.known.entry(peer).or_insert_with(|| {
            let mut pause = Pause::new(now);
            pause.next = now + delay;
            Known { addresses: Vec::new(), role: None, pause }
        });
        let old = std::mem::take(&mut known.addresses);
        let mut merged =
            if hearsay && known.role.is_some() { [old, addresses].concat() } else { [addresses, old].concat() };
        let mut seen = HashSet::new();
        merged.retain(|address| seen.insert(address.clone()));
        merged.truncate(MAX_ADDRESSES);
        known.addresses = merged;
    }

    /// The role a peer had when it was last admitted.
    pub fn role(&self, peer: &PeerId) -> Option<Role> {
        self.known.get(peer).and_then(|known| known.role)
    }

    /// A connection stands; when we dialled it, its entry learns who answered.
    pub fn connected(&mut self, connection: ConnectionId, peer: PeerId) {
        match self.dials.remove(&connection) {
            Some(Entry::Bootstrap(index)) => {
                if let Some(target) = self.bootstrap.get_mut(index) {
                    target.peer = Some(peer);
                    target.pause.dialing = false;
                }
            }
            Some(Entry::Known(dialled)) => {
                if let Some(known) = self.known.get_mut(&dialled) {
                    known.pause.dialing = false;
                }
            }
            None => {}
        }
    }

    /// The peer is admitted: whatever pause its failures had earned is forgiven.
    pub fn admitted(&mut self, peer: &PeerId, role: Role, addresses: Vec<Multiaddr>, now: Instant) {
        self.learn(*peer, addresses, false, Duration::ZERO, now);
        if let Some(known) = self.known.get_mut(peer) {
            known.role = Some(role);
            known.pause.failures = 0;
        }
        for target in self.bootstrap.iter_mut().filter(|target| target.peer == Some(*peer)) {
            target.pause.failures = 0;
        }
    }

    /// The last connection to the peer is gone.
    pub fn disconnected(&mut self, peer: &PeerId, now: Instant) {
        let (min, max) = (self.min, self.max);
        let targets =
            self.bootstrap.iter_mut().filter(|target| target.peer == Some(*peer)).map(|target| &mut target.pause);
        for pause in targets.chain(self.known.get_mut(peer).map(|known| &mut known.pause)) {
            pause.fail(min, max, now);
        }
    }

    /// A dial of ours did not succeed.
    pub fn failed(&mut self, connection: ConnectionId, own_address: bool, now: Instant) -> Option<Failed> {
        match self.dials.remove(&connection)? {
            Entry::Bootstrap(index) => {
                let target = self.bootstrap.get_mut(index)?;
                target.is_self |= own_address;
                let retry_in = target.pause.fail(self.min, self.max, now);
                (!target.is_self).then(|| Failed { bootstrap: Some(target.address.clone()), retry_in })
            }
            Entry::Known(peer) => {
                let known = self.known.get_mut(&peer)?;
                let retry_in = known.pause.fail(self.min, self.max, now);
                if known.pause.failures >= MAX_FAILURES {
                    self.known.remove(&peer);
                }
                Some(Failed { bootstrap: None, retry_in })
            }
        }
    }

    /// What to dial now. Known peers only while `room` allows: a place is kept for those who call us.
    pub fn due(&self, now: Instant, connected: impl Fn(&PeerId) -> bool, room: usize) -> Vec<Due> {
        let bootstrap = self.bootstrap.iter().enumerate().filter(|(_, target)| {
            !target.is_self && target.pause.is_due(now) && !target.peer.as_ref().is_some_and(&connected)
        });
        let bootstrap = bootstrap.map(|(index, target)| Due {
            entry: Entry::Bootstrap(index),
            peer: target.pinned,
            addresses: vec![target.address.clone()],
        });
        let known = self.known.iter().filter(|(peer, known)| known.pause.is_due(now) && !connected(peer));
        let known = known.take(room).map(|(peer, known)| Due {
            entry: Entry::Known(*peer),
            peer: Some(*peer),
            addresses: known.addresses.clone(),
        });
        bootstrap.chain(known).take(MAX_DIALS_A_TURN).collect()
    }

    /// The dial was started.
    pub fn dialing(&mut self, entry: Entry, connection: ConnectionId) {
        let pause = match entry {
            Entry::Bootstrap(index) => self.bootstrap.get_mut(index).map(|target| &mut target.pause),
            Entry::Known(peer) => self.known.get_mut(&peer).map(|known| &mut known.pause),
        };
        if let Some(pause) = pause {
            pause.dialing = true;
            self.dials.insert(connection, entry);
        }
    }

    /// Whether the peer answers at a configured address.
    pub fn is_bootstrap(&self, peer: &PeerId) -> bool {
        self.bootstrap.iter().any(|target| target.peer == Some(*peer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Multiaddr {
        text.parse().unwrap()
    }

    fn book(bootstrap: &[&str]) -> Book {
        let config = P2pConfig {
            bootstrap: bootstrap.iter().map(|text| address(text)).collect(),
            max_peers: 2,
            ..P2pConfig::default()
        };
        Book::new(&config, PeerId::random(), Instant::now())
    }

    #[test]
    fn only_plain_addresses_are_dialled() {
        let good = ["/ip4/1.2.3.4/tcp/1", "/ip6/2001:db8::1/udp/1/quic-v1", "/dns4/a.example/tcp/1"];
        assert!(good.iter().all(|text| dialable(&address(text), false)));
        let peer = PeerId::random();
        assert!(dialable(&address(&format!("/ip4/1.2.3.4/tcp/1/p2p/{peer}")), false));
        let circuit = format!("/ip4/1.2.3.4/tcp/1/p2p/{peer}/p2p-circuit");
        let bad =
            ["/ip4/0.0.0.0/tcp/1", "/ip4/224.0.0.1/tcp/1", "/ip4/1.2.3.4/udp/1", "/memory/1", "/ip4/1.2.3.4", &circuit];
        assert!(!bad.iter().any(|text| dialable(&address(text), true)));
        assert!(dialable(&address("/ip4/127.0.0.1/tcp/1"), true) && !dialable(&address("/ip4/127.0.0.1/tcp/1"), false));
        assert_eq!(split_peer(address(&format!("/ip4/1.2.3.4/tcp/1/p2p/{peer}"))), (address(good[0]), Some(peer)));
        assert_eq!(split_peer(address(good[0])), (address(good[0]), None));
    }

    #[test]
    fn a_bootstrap_node_is_dialled_forever_with_growing_pauses() {
        let mut book = book(&["/ip4/1.2.3.4/tcp/1"]);
        let mut now = Instant::now();
        for round in 0..50 {
            let due = book.due(now, |_| false, 0);
            assert_eq!(due.len(), 1, "round {round}");
            let connection = ConnectionId::new_unchecked(round);
            book.dialing(due[0].entry, connection);
            assert!(book.due(now, |_| false, 0).is_empty());
            let failed = book.failed(connection, false, now).unwrap();
            assert_eq!(failed.bootstrap, Some(address("/ip4/1.2.3.4/tcp/1")));
            assert!(failed.retry_in <= book.max && (round < 10 || failed.retry_in >= book.max / 2));
            assert!(book.due(now, |_| false, 0).is_empty());
            now += failed.retry_in;
        }
    }

    #[test]
    fn known_peers_are_bounded_and_given_up() {
        let (mut book, now) = (book(&[]), Instant::now());
        let friend = PeerId::random();
        book.admitted(&friend, Role::Operator([1; 20]), vec![address("/ip4/1.2.3.4/tcp/1")], now);
        for _ in 0..100 {
            book.learn(PeerId::random(), vec![address("/ip4/1.2.3.4/tcp/1"); 99], true, Duration::ZERO, now);
        }
        assert_eq!(book.known.len(), book.capacity);
        assert_eq!(book.role(&friend), Some(Role::Operator([1; 20])));
        assert_eq!(book.due(now, |peer| *peer == friend, 3).len(), 3);
        let stranger = *book.known.keys().find(|peer| **peer != friend).unwrap();
        assert_eq!(book.known[&stranger].addresses.len(), 1);
        for round in 0..MAX_FAILURES as usize {
            book.dialing(Entry::Known(stranger), ConnectionId::new_unchecked(round));
            book.failed(ConnectionId::new_unchecked(round), false, now);
        }
        assert!(!book.known.contains_key(&stranger) && book.dials.is_empty());
    }

    #[test]
    fn our_own_address_is_dialled_once() {
        let (mut book, now) = (book(&["/ip4/1.2.3.4/tcp/1"]), Instant::now());
        book.dialing(Entry::Bootstrap(0), ConnectionId::new_unchecked(0));
        assert!(book.failed(ConnectionId::new_unchecked(0), true, now).is_none());
        assert!(book.due(now + Duration::from_secs(3600), |_| false, 0).is_empty());
    }
}
