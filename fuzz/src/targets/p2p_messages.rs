//! What a peer sends before and after it is admitted: frames, claims, answers, questions, lists of peers.
use std::sync::LazyLock;

use ditto_core::p2p::{Identity, Keypair, Multiaddr, PeerId, hostile};

const NETWORK: (&str, u64) = ("fuzz", 31337);
/// The largest request and response of any protocol are of this order.
const MAX_FRAME: usize = 64 << 10;

/// A fixed peer: what is found must be found again.
static PEER: LazyLock<PeerId> = LazyLock::new(|| {
    let key = Keypair::ed25519_from_bytes([7; 32]).expect("32 bytes are a key");
    key.public().to_peer_id()
});

struct Key;

impl Identity for Key {
    fn consensus_key(&self) -> Vec<u8> {
        vec![7; 96]
    }
    fn sign_binding(&self, digest: [u8; 32]) -> Vec<u8> {
        [digest, digest, digest].concat()
    }
}

pub fn examples() -> Vec<Vec<u8>> {
    let address: Multiaddr = "/ip4/10.1.2.3/tcp/9000".parse().expect("a multiaddress");
    let quic: Multiaddr = "/dns4/example.org/udp/9000/quic-v1".parse().expect("a multiaddress");
    let list = [(*PEER, vec![address.clone(), quic]), (*PEER, vec![address])];
    vec![
        [&[0][..], &hostile::frame_of(b"some bytes")].concat(),
        [&[1][..], &hostile::claim_of(NETWORK.0, NETWORK.1, &PEER, &Key)].concat(),
        vec![2, 3],
        vec![3, 1],
        vec![4, 1, 1],
        [&[5][..], &hostile::peer_list_of(&list)].concat(),
    ]
}

pub fn run(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    match kind {
        0 => {
            if let Some(frame) = hostile::frame(bytes, MAX_FRAME) {
                assert!(frame.len() <= MAX_FRAME);
                assert!(bytes.starts_with(&hostile::frame_of(&frame)));
            }
        }
        1 => {
            if let Ok(claim) = hostile::claim(NETWORK.0, NETWORK.1, &PEER, bytes) {
                // Only what binds to this network, chain and peer comes so far, and never with a binding of its own.
                let expected = ditto_core::p2p::binding_digest(NETWORK.0, NETWORK.1, &PEER, claim.kind);
                assert_eq!(claim.binding, expected);
                assert!(!claim.key.is_empty() && claim.key.len() <= 256 && claim.signature.len() <= 256);
                let other = hostile::claim(NETWORK.0, NETWORK.1 + 1, &PEER, bytes);
                assert!(other.is_err(), "a claim for two chains");
            }
        }
        2 => {
            let (answer, again) = hostile::admission(bytes);
            assert_eq!(hostile::admission(&again).0, answer);
        }
        3 => {
            let (answer, again) = hostile::receipt(bytes);
            assert_eq!(hostile::receipt(&again).0, answer);
        }
        4 => assert!(hostile::question(bytes).is_none_or(|again| again == bytes)),
        5 => {
            let Some(list) = hostile::peer_list(bytes, false) else { return };
            assert!(list.len() <= 128 && list.iter().all(|(_, addresses)| addresses.len() <= 64));
            let again = hostile::peer_list_of(&list);
            assert_eq!(hostile::peer_list(&again, false), Some(list));
        }
        _ => {}
    }
}
