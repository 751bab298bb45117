//! The swarm: transports, protocols and their limits, put together.

use std::io;
use std::time::Duration;

use libp2p::allow_block_list::{self, BlockedPeers};
use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::identity::Keypair;
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::NetworkBehaviour;
use libp2p::{StreamProtocol, Swarm, SwarmBuilder, identify, noise, tcp, yamux};

use super::auth::{MAX_CLAIM_BYTES, Realm};
use super::codec::FrameCodec;
use super::config::P2pConfig;
use super::gossip::{self, Gossip};
use super::peers::MAX_LIST_BYTES;

pub(super) type Requests = request_response::Behaviour<FrameCodec>;

/// Streams of one protocol on one connection at once. Votes under way to one peer stay below it.
pub(super) const MAX_STREAMS: usize = 256;
/// Connections one peer may hold: both sides may dial at once, over two transports.
const MAX_CONNECTIONS_PER_PEER: u32 = 3;

/// Everything our connections speak.
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    pub banned: allow_block_list::Behaviour<BlockedPeers>,
    pub limits: connection_limits::Behaviour,
    pub auth: Requests,
    pub votes: Requests,
    pub peers: Requests,
    pub gossip: Gossip,
    pub identify: identify::Behaviour,
}

/// Why there is no swarm.
#[derive(Debug, thiserror::Error)]
pub(super) enum BuildError {
    #[error("transport: {0}")]
    Transport(String),
    #[error("gossip: {0}")]
    Gossip(String),
}

/// The swarm of one node; it listens nowhere yet.
pub(super) fn build(config: &P2pConfig, realm: &Realm, keypair: Keypair) -> Result<Swarm<Behaviour>, BuildError> {
    let behaviour = behaviour(config, realm, &keypair)?;
    let transport = |error: &dyn std::error::Error| BuildError::Transport(error.to_string());
    let swarm = SwarmBuilder::with_existing_identity(keypair)
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)
        .map_err(|error| transport(&error))?
        .with_quic()
        .with_dns()
        .map_err(|error: io::Error| transport(&error))?
        .with_behaviour(|_| behaviour)
        .map_err(|error| transport(&error))?
        .with_swarm_config(|swarm| {
            // Connections live as long as both sides do: admission and liveness close the others.
            swarm
                .with_idle_connection_timeout(Duration::from_secs(365 * 24 * 3600))
                .with_max_negotiating_inbound_streams(256)
        })
        .build();
    Ok(swarm)
}

fn behaviour(config: &P2pConfig, realm: &Realm, keypair: &Keypair) -> Result<Behaviour, BuildError> {
    let requests = |name, max_request, max_response| {
        let settings = request_response::Config::default()
            .with_request_timeout(config.request_timeout())
            .with_max_concurrent_streams(MAX_STREAMS);
        let protocols = [(StreamProtocol::new(name), ProtocolSupport::Full)];
        Requests::with_codec(FrameCodec { max_request, max_response }, protocols, settings)
    };
    let places = u32::try_from(config.max_peers + config.max_unauthenticated).unwrap_or(u32::MAX);
    let pending = u32::try_from(config.max_unauthenticated).unwrap_or(u32::MAX);
    let limits = ConnectionLimits::default()
        .with_max_pending_incoming(Some(pending))
        .with_max_established(Some(places.saturating_mul(MAX_CONNECTIONS_PER_PEER)))
        .with_max_established_per_peer(Some(MAX_CONNECTIONS_PER_PEER));
    let identify = identify::Config::new("ditto/1".into(), keypair.public())
        .with_agent_version(concat!("ditto/", env!("CARGO_PKG_VERSION")).into())
        .with_push_listen_addr_updates(true)
        .with_interval(Duration::from_secs(300))
        .with_cache_size(0);
    Ok(Behaviour {
        banned: allow_block_list::Behaviour::default(),
        limits: connection_limits::Behaviour::new(limits),
        auth: requests("/ditto/auth/1", MAX_CLAIM_BYTES, 1),
        votes: requests("/ditto/vote/1", config.max_message_bytes, 1),
        peers: requests("/ditto/peers/1", 2, MAX_LIST_BYTES),
        gossip: gossip::build(config, realm).map_err(BuildError::Gossip)?,
        identify: identify::Behaviour::new(identify),
    })
}
