//! Who a peer is: the binding of a consensus key to a libp2p peer id.
//!
//! noise and QUIC already prove the peer id, so a static signature over it is enough: replaying somebody's claim needs
//! their libp2p key too. The digest names network, chain and kind, so a claim is good in one place only.

use std::fmt;

use libp2p::PeerId;

/// Version of the claim's bytes.
const VERSION: u8 = 1;
/// Largest claim: the parts are bounded one by one, this bounds the frame.
pub(super) const MAX_CLAIM_BYTES: usize = 1024;
pub(super) const MAX_NETWORK_NAME: usize = 64;
const MAX_KEY: usize = 256;
const MAX_SIGNATURE: usize = 256;

/// Which key a peer speaks with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClaimKind {
    /// An operator's consensus key (BLS).
    Consensus,
    /// The ECDSA key of a node that submits and does not vote: the aggregator.
    Submitter,
}

impl ClaimKind {
    fn code(self) -> u8 {
        match self {
            Self::Consensus => 1,
            Self::Submitter => 2,
        }
    }
}

/// What a peer claims, and its proof. The binding is computed here from what we know (our network and chain, the peer id
/// of the connection), never taken from the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Which key.
    pub kind: ClaimKind,
    /// The key: 96 bytes (compressed G2) for a consensus key; what [`Identity::consensus_key`] gave on the other side.
    pub key: Vec<u8>,
    /// The digest the signature must be over ([`binding_digest`]).
    pub binding: [u8; 32],
    /// The signature.
    pub signature: Vec<u8>,
}

/// Who an admitted peer is; the address is the operator's, or the submitter's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// An operator of the set.
    Operator([u8; 20]),
    /// The stand-alone aggregator.
    Aggregator([u8; 20]),
    /// An operator's node that stands by for the aggregator: it collects the same votes.
    Standby([u8; 20]),
}

impl Role {
    /// The address behind the role.
    #[must_use]
    pub fn address(&self) -> [u8; 20] {
        match self {
            Self::Operator(address) | Self::Aggregator(address) | Self::Standby(address) => *address,
        }
    }

    /// True for the aggregator.
    #[must_use]
    pub fn is_aggregator(&self) -> bool {
        matches!(self, Self::Aggregator(_))
    }

    /// Does it collect votes?
    #[must_use]
    pub fn collects(&self) -> bool {
        matches!(self, Self::Aggregator(_) | Self::Standby(_))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, address) = match self {
            Self::Operator(address) => ("operator", address),
            Self::Aggregator(address) => ("aggregator", address),
            Self::Standby(address) => ("standby", address),
        };
        write!(f, "{name} {}", alloy::primitives::Address::from(*address))
    }
}

/// Why a peer is not admitted. Sent to the peer as one byte, so that its log can say what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not registered, or not in a current operator set.
    #[error("the key is not registered in the operator set")]
    UnknownKey,
    /// Registered, but this network admits those on the governance list only.
    #[error("the operator is not on the network's whitelist")]
    NotWhitelisted,
    /// The signature does not bind this key to this peer id, network and chain.
    #[error("the signature does not bind the key to this peer id, network and chain")]
    BadSignature,
    /// The peer belongs to another network or chain.
    #[error("the peer is on another network or chain; compare network name and chain id")]
    WrongNetwork,
    /// The claim's bytes make no sense.
    #[error("the claim is malformed; the peer may run another version")]
    Malformed,
    /// The operator is banned for now.
    #[error("the operator is banned for now")]
    Banned,
    /// No place, or too many claims at once; try again.
    #[error("too busy, or no place left")]
    Busy,
    /// A code from a newer version.
    #[error("refused for a reason this version does not know")]
    Other,
}

const ACCEPTED: u8 = 0;

impl Refusal {
    fn code(self) -> u8 {
        match self {
            Self::UnknownKey => 1,
            Self::NotWhitelisted => 2,
            Self::BadSignature => 3,
            Self::WrongNetwork => 4,
            Self::Malformed => 5,
            Self::Banned => 6,
            Self::Busy => 7,
            Self::Other => 255,
        }
    }

    /// A bounded label.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::UnknownKey => "unknown_key",
            Self::NotWhitelisted => "not_whitelisted",
            Self::BadSignature => "bad_signature",
            Self::WrongNetwork => "wrong_network",
            Self::Malformed => "malformed",
            Self::Banned => "banned",
            Self::Busy => "busy",
            Self::Other => "other",
        }
    }
}

/// The answer to a claim, as one byte.
pub(super) fn encode_answer(answer: Result<(), Refusal>) -> Vec<u8> {
    vec![answer.map_or_else(Refusal::code, |()| ACCEPTED)]
}

pub(super) fn decode_answer(bytes: &[u8]) -> Result<(), Refusal> {
    match bytes {
        [ACCEPTED] => Ok(()),
        [1] => Err(Refusal::UnknownKey),
        [2] => Err(Refusal::NotWhitelisted),
        [3] => Err(Refusal::BadSignature),
        [4] => Err(Refusal::WrongNetwork),
        [5] => Err(Refusal::Malformed),
        [6] => Err(Refusal::Banned),
        [7] => Err(Refusal::Busy),
        _ => Err(Refusal::Other),
    }
}

/// Who may speak: decided by the embedding node, which reads the operator set. Called on a blocking thread for every
/// authentication and for every connected peer at a recheck. Look the key up before verifying: unknown keys are free.
pub trait Admission: Send + Sync + 'static {
    /// The role of whoever holds this key and signed this binding, or why not.
    fn admit(&self, claim: &Claim) -> Result<Role, Refusal>;
}

/// How this node proves who it is. Asked once, when the service starts: the proof is static, the key stays where it is.
pub trait Identity: Send + Sync {
    /// Which key it is; operators keep the default.
    fn kind(&self) -> ClaimKind {
        ClaimKind::Consensus
    }
    /// The public key others know this node by.
    fn consensus_key(&self) -> Vec<u8>;
    /// The key's signature over the digest.
    fn sign_binding(&self, digest: [u8; 32]) -> Vec<u8>;
}

/// The network and chain a claim is good for.
#[derive(Clone, Debug)]
pub(super) struct Realm {
    pub network: String,
    pub chain_id: u64,
}

/// keccak256 of the domain, network, chain, peer id and kind; variable parts carry their length, so no two inputs share
/// their bytes.
#[must_use]
pub fn binding_digest(network: &str, chain_id: u64, peer: &PeerId, kind: ClaimKind) -> [u8; 32] {
    let peer = peer.to_bytes();
    let mut bytes = Vec::with_capacity(64 + network.len() + peer.len());
    bytes.extend_from_slice(b"DITTO-V01-PEER");
    bytes.extend_from_slice(&(network.len() as u64).to_be_bytes());
    bytes.extend_from_slice(network.as_bytes());
    bytes.extend_from_slice(&chain_id.to_be_bytes());
    bytes.extend_from_slice(&(peer.len() as u64).to_be_bytes());
    bytes.extend_from_slice(&peer);
    bytes.push(kind.code());
    alloy::primitives::keccak256(bytes).0
}

impl Realm {
    pub fn is_valid(&self) -> bool {
        !self.network.is_empty() && self.network.len() <= MAX_NETWORK_NAME
    }

    /// This node's claim, as the bytes it sends to everybody. `None` when the identity's key or signature cannot travel.
    pub fn own_claim(&self, peer: &PeerId, identity: &dyn Identity) -> Option<Vec<u8>> {
        let kind = identity.kind();
        let key = identity.consensus_key();
        let signature = identity.sign_binding(binding_digest(&self.network, self.chain_id, peer, kind));
        (!key.is_empty() && key.len() <= MAX_KEY && signature.len() <= MAX_SIGNATURE)
            .then(|| self.encode(kind, &key, &signature))
    }

    fn encode(&self, kind: ClaimKind, key: &[u8], signature: &[u8]) -> Vec<u8> {
        let mut bytes = vec![VERSION, kind.code()];
        bytes.extend_from_slice(&self.chain_id.to_be_bytes());
        for part in [self.network.as_bytes(), key, signature] {
            // Every part is at most 256 bytes long: checked by `is_valid` and `own_claim`.
            bytes.extend_from_slice(&u16::try_from(part.len()).unwrap_or(u16::MAX).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        bytes
    }

    /// Reads what the peer with this (proven) id sent. Network and chain are named in the clear only so that a mix-up is
    /// told as such; the signature covers them anyway.
    pub fn read_claim(&self, peer: &PeerId, bytes: &[u8]) -> Result<Claim, Refusal> {
        let mut reader = Reader(bytes);
        if reader.bytes(1) != Some(&[VERSION]) {
            return Err(Refusal::Malformed);
        }
        let kind = match reader.bytes(1) {
            Some([1]) => ClaimKind::Consensus,
            Some([2]) => ClaimKind::Submitter,
            _ => return Err(Refusal::Malformed),
        };
        let chain_id = reader.bytes(8).ok_or(Refusal::Malformed)?;
        let network = reader.part(MAX_NETWORK_NAME).ok_or(Refusal::Malformed)?;
        let key = reader.part(MAX_KEY).ok_or(Refusal::Malformed)?;
        let signature = reader.part(MAX_SIGNATURE).ok_or(Refusal::Malformed)?;
        if !reader.0.is_empty() || key.is_empty() {
            return Err(Refusal::Malformed);
        }
        if chain_id != self.chain_id.to_be_bytes() || network != self.network.as_bytes() {
            return Err(Refusal::WrongNetwork);
        }
        let binding = binding_digest(&self.network, self.chain_id, peer, kind);
        Ok(Claim { kind, key: key.to_vec(), binding, signature: signature.to_vec() })
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn part(&mut self, max: usize) -> Option<&'a [u8]> {
        let length = usize::from(u16::from_be_bytes(self.bytes(2)?.try_into().ok()?));
        if length > max { None } else { self.bytes(length) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Key;
    impl Identity for Key {
        fn consensus_key(&self) -> Vec<u8> {
            vec![7; 96]
        }
        fn sign_binding(&self, digest: [u8; 32]) -> Vec<u8> {
            digest.to_vec()
        }
    }

    fn realm(network: &str, chain_id: u64) -> Realm {
        Realm { network: network.into(), chain_id }
    }

    #[test]
    fn a_claim_is_read_against_the_connections_peer_id() {
        let (peer, other, home) = (PeerId::random(), PeerId::random(), realm("test", 1));
        let bytes = home.own_claim(&peer, &Key).unwrap();
        let claim = home.read_claim(&peer, &bytes).unwrap();
        assert_eq!((claim.kind, claim.key.len(), &claim.signature[..]), (ClaimKind::Consensus, 96, &claim.binding[..]));
        // Sent by somebody else, the same bytes no longer match what they must be signed over.
        let stolen = home.read_claim(&other, &bytes).unwrap();
        assert_ne!(&stolen.signature[..], &stolen.binding[..]);
        assert_eq!(realm("test", 2).read_claim(&peer, &bytes), Err(Refusal::WrongNetwork));
        assert_eq!(realm("best", 1).read_claim(&peer, &bytes), Err(Refusal::WrongNetwork));
    }

    #[test]
    fn every_part_of_the_binding_counts() {
        let (a, b) = (PeerId::random(), PeerId::random());
        let all = [
            binding_digest("n", 1, &a, ClaimKind::Consensus),
            binding_digest("m", 1, &a, ClaimKind::Consensus),
            binding_digest("n", 2, &a, ClaimKind::Consensus),
            binding_digest("n", 1, &b, ClaimKind::Consensus),
            binding_digest("n", 1, &a, ClaimKind::Submitter),
        ];
        assert_eq!(all.iter().collect::<std::collections::HashSet<_>>().len(), all.len());
    }

    #[test]
    fn answers_survive_the_wire() {
        use Refusal::*;
        for refusal in [UnknownKey, NotWhitelisted, BadSignature, WrongNetwork, Malformed, Banned, Busy, Other] {
            assert_eq!(decode_answer(&encode_answer(Err(refusal))), Err(refusal));
        }
        assert_eq!(decode_answer(&encode_answer(Ok(()))), Ok(()));
        assert_eq!(decode_answer(&[]), Err(Other));
    }

    proptest! {
        #[test]
        fn hostile_claims_are_refused_quietly(bytes in proptest::collection::vec(any::<u8>(), 0..1200)) {
            prop_assert!(realm("test", 1).read_claim(&PeerId::random(), &bytes).is_err());
        }

        #[test]
        fn a_cut_or_padded_claim_is_malformed(cut in 0usize..400, pad in 1usize..9) {
            let (peer, home) = (PeerId::random(), realm("test", 1));
            let bytes = home.own_claim(&peer, &Key).unwrap();
            prop_assert!(bytes.len() <= MAX_CLAIM_BYTES);
            let cut = cut % bytes.len();
            prop_assert_eq!(home.read_claim(&peer, &bytes[..cut]), Err(Refusal::Malformed));
            let padded = [bytes, vec![0; pad]].concat();
            prop_assert_eq!(home.read_claim(&peer, &padded), Err(Refusal::Malformed));
        }
    }
}
