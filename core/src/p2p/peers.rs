//! The peer list one node gives another: who is admitted here and where it listens. Also asked, empty, to see whether a
//! connection is still alive.

use libp2p::{Multiaddr, PeerId};

use super::book::{MAX_ADDRESSES, dialable};

/// Most peers in one answer.
const MAX_PEERS: usize = 128;
/// Longest address worth passing on, in bytes.
const MAX_ADDRESS_BYTES: usize = 128;
const MAX_PEER_ID_BYTES: usize = 64;
/// Largest answer; what does not fit is left out.
pub(super) const MAX_LIST_BYTES: usize = 64 * 1024;
const VERSION: u8 = 1;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// Are you there?
    Alive,
    /// Whom do you know?
    Who,
}

impl Question {
    pub fn encode(self) -> Vec<u8> {
        match self {
            Self::Alive => vec![VERSION, 0],
            Self::Who => vec![VERSION, 1],
        }
    }

    pub fn decode(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [VERSION, 0] => Some(Self::Alive),
            [VERSION, 1] => Some(Self::Who),
            _ => None,
        }
    }
}

/// Known peers and their addresses.
pub(super) type List = Vec<(PeerId, Vec<Multiaddr>)>;

/// The answer's bytes, at most [`MAX_LIST_BYTES`].
pub(super) fn encode<'a>(peers: impl Iterator<Item = (&'a PeerId, &'a [Multiaddr])>) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    for (peer, addresses) in peers.take(MAX_PEERS) {
        let mut entry = Vec::new();
        let addresses = addresses.iter().map(Multiaddr::to_vec).filter(|address| address.len() <= MAX_ADDRESS_BYTES);
        let addresses: Vec<_> = addresses.take(MAX_ADDRESSES).collect();
        push(&mut entry, &peer.to_bytes());
        entry.push(u8::try_from(addresses.len()).unwrap_or(0));
        for address in &addresses {
            push(&mut entry, address);
        }
        if bytes.len() + entry.len() > MAX_LIST_BYTES {
            break;
        }
        bytes.extend_from_slice(&entry);
    }
    bytes
}

fn push(bytes: &mut Vec<u8>, part: &[u8]) {
    // Peer ids and addresses are at most 128 bytes long here.
    bytes.push(u8::try_from(part.len()).unwrap_or(0));
    bytes.extend_from_slice(part);
}

/// Reads an answer; `None` when it is malformed. Addresses nobody could dial are left out.
pub(super) fn decode(bytes: &[u8], loopback: bool) -> Option<List> {
    let (&VERSION, mut rest) = bytes.split_first()? else { return None };
    let mut list = List::new();
    while !rest.is_empty() {
        if list.len() == MAX_PEERS {
            return None;
        }
        let peer = PeerId::from_bytes(part(&mut rest, MAX_PEER_ID_BYTES)?).ok()?;
        let (&count, after) = rest.split_first()?;
        rest = after;
        if usize::from(count) > MAX_ADDRESSES {
            return None;
        }
        let mut addresses = Vec::with_capacity(count.into());
        for _ in 0..count {
            let address = Multiaddr::try_from(part(&mut rest, MAX_ADDRESS_BYTES)?.to_vec()).ok()?;
            if dialable(&address, loopback) {
                addresses.push(address);
            }
        }
        list.push((peer, addresses));
    }
    Some(list)
}

fn part<'a>(rest: &mut &'a [u8], max: usize) -> Option<&'a [u8]> {
    let (&length, after) = rest.split_first()?;
    if usize::from(length) > max {
        return None;
    }
    let (part, after) = after.split_at_checked(length.into())?;
    *rest = after;
    Some(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_list_survives_the_wire_and_undialable_addresses_do_not() {
        let good: Multiaddr = "/ip4/1.2.3.4/tcp/9100".parse().unwrap();
        let local: Multiaddr = "/ip4/127.0.0.1/udp/9100/quic-v1".parse().unwrap();
        let peers = [(PeerId::random(), vec![good.clone(), local.clone()]), (PeerId::random(), vec![])];
        let bytes = encode(peers.iter().map(|(peer, addresses)| (peer, &addresses[..])));
        assert_eq!(decode(&bytes, true).unwrap(), peers);
        assert_eq!(decode(&bytes, false).unwrap()[0].1, vec![good]);
        assert_eq!(decode(&[], true), None);
        assert_eq!(Question::decode(&Question::Who.encode()), Some(Question::Who));
        assert_eq!(Question::decode(&Question::Alive.encode()), Some(Question::Alive));
    }

    #[test]
    fn a_list_is_bounded() {
        let address: Multiaddr = format!("/dns4/{}/tcp/9100", "a".repeat(100)).parse().unwrap();
        let peers: Vec<_> = (0..1000).map(|_| (PeerId::random(), vec![address.clone(); 20])).collect();
        let bytes = encode(peers.iter().map(|(peer, addresses)| (peer, &addresses[..])));
        assert!(bytes.len() <= MAX_LIST_BYTES);
        let list = decode(&bytes, true).unwrap();
        assert!(!list.is_empty() && list.len() <= MAX_PEERS);
    }

    proptest! {
        #[test]
        fn hostile_lists_are_read_within_bounds(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            if let Some(list) = decode(&[vec![VERSION], bytes].concat(), true) {
                prop_assert!(list.len() <= MAX_PEERS);
                prop_assert!(list.iter().all(|(_, addresses)| addresses.len() <= MAX_ADDRESSES));
            }
        }
    }
}
