//! How messages reach the others: libp2p over TCP (noise, yamux) and QUIC.
//!
//! **What it is.** One service task owns the libp2p swarm; everybody else holds a [`Network`], a cheap handle on bounded
//! channels. Payloads are opaque bytes: `wire` gives them meaning, this module gives them topics, senders and limits.
//!
//! **How it moves.** A connection starts mute. Each side proves who it is with a [`Claim`]: a signature of its consensus
//! key (a submitter: of its ECDSA key) over its libp2p peer id, the network and the chain ([`binding_digest`]); the
//! embedding node's [`Admission`] checks it, off the service task. From then on
//! - *proposals* (and votes that find no other way) are gossiped: anonymous, content-addressed, forwarded only after the
//!   application answered the [`MessageToken`] with [`Acceptance::Accept`];
//! - *votes* go straight to the aggregator and are answered at once: taken into the queue, duplicate, or refused;
//! - peers tell each other whom they know, so that operators find each other through the bootstrap node (the aggregator).
//!
//! What the service hears comes out as [`Event`]s; a lost or absent peer is dialled again, with back-off, forever when it
//! is a bootstrap node.
//!
//! **What it promises.**
//! - A peer that is not admitted is heard by nobody: its gossip is neither delivered nor forwarded, nor does it mark a
//!   message as seen (it cannot censor by being first); its votes are refused with a reason.
//! - No length is believed before it is checked, no queue is unbounded, every drop is counted with its reason.
//! - A message is delivered at most once within [`P2pConfig::seen_seconds`].
//! - Every token and every [`VoteReply`] is answered exactly once: dropping one is an answer (ignore, busy).
//! - A ban holds for the peer id and, when it is known, for the operator behind it under any peer id.
//!
//! It does not promise delivery, nor who wrote a gossiped message: messages must carry their own signatures.

mod auth;
mod behaviour;
mod book;
mod codec;
mod config;
mod describe;
mod gossip;
mod handle;
#[doc(hidden)]
pub mod hostile;
mod keyfile;
mod limits;
mod peers;
mod service;
#[cfg(test)]
mod tests;
mod vote;

pub use auth::{Admission, Claim, ClaimKind, Identity, Refusal, Role, binding_digest};
pub use config::{ConfigError, P2pConfig};
pub use describe::describe;
pub use gossip::{Acceptance, MessageToken, Topic};
pub use handle::{Event, Network, PeerInfo, PublishError, SendError, Transport};
pub use keyfile::{KeyFileError, load_or_create};
pub use service::{P2pError, spawn};
pub use vote::{VoteReceipt, VoteRefusal, VoteReply};

pub use libp2p::identity::Keypair;
pub use libp2p::{Multiaddr, PeerId};
