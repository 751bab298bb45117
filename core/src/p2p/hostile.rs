//! The decoders that a peer's bytes meet, one by one and without a connection around them: for fuzzing from outside of
//! this crate. Not part of the interface.

use futures::executor::block_on;
use futures::io::Cursor;
use libp2p::{Multiaddr, PeerId};

use super::auth::{self, Realm};
use super::{Claim, Identity, Refusal, VoteReceipt, VoteRefusal, codec, peers, vote};

/// A frame of a request's stream, of at most `max` bytes.
#[must_use]
pub fn frame(bytes: &[u8], max: usize) -> Option<Vec<u8>> {
    block_on(codec::read_frame(&mut Cursor::new(bytes), max)).ok()
}

/// The frame of these bytes.
#[must_use]
pub fn frame_of(bytes: &[u8]) -> Vec<u8> {
    let mut io = Cursor::new(Vec::new());
    // Writing to memory, within the bound, does not fail.
    block_on(codec::write_frame(&mut io, bytes.len(), bytes)).ok();
    io.into_inner()
}

/// A claim, read as that of the peer with this id.
///
/// # Errors
/// Why it is none.
pub fn claim(network: &str, chain_id: u64, peer: &PeerId, bytes: &[u8]) -> Result<Claim, Refusal> {
    Realm { network: network.to_owned(), chain_id }.read_claim(peer, bytes)
}

/// The claim of a peer, as it is sent.
#[must_use]
pub fn claim_of(network: &str, chain_id: u64, peer: &PeerId, identity: &dyn Identity) -> Vec<u8> {
    Realm { network: network.to_owned(), chain_id }.own_claim(peer, identity).unwrap_or_default()
}

/// The answer to a claim, and what it encodes to again.
pub fn admission(bytes: &[u8]) -> (Result<(), Refusal>, Vec<u8>) {
    let answer = auth::decode_answer(bytes);
    (answer, auth::encode_answer(answer))
}

/// The answer to a vote, and what it encodes to again.
pub fn receipt(bytes: &[u8]) -> (Result<VoteReceipt, VoteRefusal>, Vec<u8>) {
    let answer = vote::decode(bytes);
    (answer, vote::encode(answer))
}

/// A question, as what it encodes to again.
#[must_use]
pub fn question(bytes: &[u8]) -> Option<Vec<u8>> {
    peers::Question::decode(bytes).map(peers::Question::encode)
}

/// A list of peers.
#[must_use]
pub fn peer_list(bytes: &[u8], loopback: bool) -> Option<Vec<(PeerId, Vec<Multiaddr>)>> {
    peers::decode(bytes, loopback)
}

/// The list's bytes.
#[must_use]
pub fn peer_list_of(list: &[(PeerId, Vec<Multiaddr>)]) -> Vec<u8> {
    peers::encode(list.iter().map(|(peer, addresses)| (peer, addresses.as_slice())))
}
