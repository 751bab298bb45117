//! What the operator of a node may set about its networking, checked before anything starts.

use std::time::Duration;

use libp2p::Multiaddr;
use serde::{Deserialize, Serialize};

use super::book::dialable;

/// Networking of one node on one network and chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct P2pConfig {
    /// Addresses to listen on: `/ip4/…/tcp/…` and `/ip4/…/udp/…/quic-v1`.
    pub listen: Vec<Multiaddr>,
    /// Addresses under which others reach this node, when they differ from `listen` (NAT, port forwarding).
    pub external: Vec<Multiaddr>,
    /// Nodes to dial, again and again until they answer: the aggregator. May end in `/p2p/<peer id>`, which pins the key.
    pub bootstrap: Vec<Multiaddr>,
    /// A whitelisted network: the operators that are admitted, by their controllers' addresses, as governance lists them.
    /// Without it the network is permissionless: every operator of the set is admitted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub whitelist: Option<Vec<alloy::primitives::Address>>,
    /// Largest payload, gossiped or direct, in bytes.
    pub max_message_bytes: usize,
    /// Admitted peers held at once.
    pub max_peers: usize,
    /// Connected peers that have not proven who they are; beyond this the oldest of them is disconnected.
    pub max_unauthenticated: usize,
    /// Peer ids one operator may have connected at once; beyond this its oldest is disconnected.
    pub max_peers_per_operator: usize,
    /// How long a peer may take to prove who it is, in milliseconds.
    pub auth_timeout_ms: u64,
    /// How long a request (vote, peer list, proof) may take, in milliseconds.
    pub request_timeout_ms: u64,
    /// Direct votes taken from one peer, per second, on average; twice as many in a burst.
    pub vote_rate_per_second: u32,
    /// Gossiped messages taken from one peer (written or forwarded by it), per second, on average; twice in a burst.
    pub gossip_rate_per_second: u32,
    /// Votes this node may have under way at once; more are refused as busy.
    pub max_votes_in_flight: usize,
    /// Gossiped messages the application may have under validation at once; more are ignored and counted.
    pub max_pending_validations: usize,
    /// Direct votes the application may leave unanswered at once; more are refused as busy.
    pub max_pending_votes: usize,
    /// How long a message's content is remembered, so that it is delivered once, in seconds.
    pub seen_seconds: u64,
    /// First and longest pause before a lost or absent peer is dialled again, in milliseconds.
    pub redial_min_ms: u64,
    /// See `redial_min_ms`.
    pub redial_max_ms: u64,
    /// Pause between two questions to a connected peer whether it is still there, in milliseconds.
    pub liveness_interval_ms: u64,
    /// For networks on one machine: loopback addresses are passed on and dialled, and sharing them costs no score.
    pub allow_loopback_colocation: bool,
}

impl Default for P2pConfig {
    fn default() -> Self {
        Self {
            // Literals: both parse, and a default that did not would fail every test.
            listen: ["/ip4/0.0.0.0/tcp/9100", "/ip4/0.0.0.0/udp/9100/quic-v1"]
                .iter()
                .filter_map(|text| text.parse().ok())
                .collect(),
            external: Vec::new(),
            bootstrap: Vec::new(),
            whitelist: None,
            max_message_bytes: 256 * 1024,
            max_peers: 128,
            max_unauthenticated: 64,
            max_peers_per_operator: 2,
            auth_timeout_ms: 5_000,
            request_timeout_ms: 2_000,
            vote_rate_per_second: 256,
            gossip_rate_per_second: 2_000,
            max_votes_in_flight: 512,
            max_pending_validations: 1_024,
            max_pending_votes: 8_192,
            seen_seconds: 120,
            redial_min_ms: 500,
            redial_max_ms: 15_000,
            liveness_interval_ms: 10_000,
            allow_loopback_colocation: false,
        }
    }
}

/// A setting that cannot work.
#[derive(Debug, thiserror::Error)]
#[error("p2p.{field}: {problem}; {fix}")]
pub struct ConfigError {
    /// The setting.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: String,
    /// What to write instead.
    pub fix: &'static str,
}

impl P2pConfig {
    /// Refuses settings that cannot work, naming the field and the fix.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let fail = |field, problem: String, fix| Err(ConfigError { field, problem, fix });
        if !(1024..=16 * 1024 * 1024).contains(&self.max_message_bytes) {
            let problem = format!("{} bytes", self.max_message_bytes);
            return fail("max_message_bytes", problem, "choose 1024 to 16777216 (default 262144), equal on all nodes");
        }
        let counts = [
            ("max_peers", self.max_peers as u64),
            ("max_unauthenticated", self.max_unauthenticated as u64),
            ("max_peers_per_operator", self.max_peers_per_operator as u64),
            ("auth_timeout_ms", self.auth_timeout_ms),
            ("request_timeout_ms", self.request_timeout_ms),
            ("vote_rate_per_second", u64::from(self.vote_rate_per_second)),
            ("gossip_rate_per_second", u64::from(self.gossip_rate_per_second)),
            ("max_votes_in_flight", self.max_votes_in_flight as u64),
            ("max_pending_validations", self.max_pending_validations as u64),
            ("max_pending_votes", self.max_pending_votes as u64),
            ("seen_seconds", self.seen_seconds),
            ("redial_min_ms", self.redial_min_ms),
            ("liveness_interval_ms", self.liveness_interval_ms),
        ];
        for (field, value) in counts {
            // The upper bound keeps every sum and every channel size made of these far from overflow.
            if !(1..=10_000_000).contains(&value) {
                return fail(field, value.to_string(), "choose 1 to 10000000, or leave it out for the default");
            }
        }
        if self.liveness_interval_ms < 500 {
            // Asked more often, a peer would count the questions as a flood and not answer them.
            let problem = self.liveness_interval_ms.to_string();
            return fail("liveness_interval_ms", problem, "choose at least 500 (default 10000)");
        }
        if self.redial_max_ms < self.redial_min_ms {
            let problem = format!("{} is less than redial_min_ms", self.redial_max_ms);
            return fail("redial_max_ms", problem, "choose at least redial_min_ms (default 15000)");
        }
        for (field, list) in [("listen", &self.listen), ("external", &self.external), ("bootstrap", &self.bootstrap)] {
            for address in list {
                let usable = if field == "listen" { listenable(address) } else { dialable(address, true) };
                if !usable {
                    let problem = format!("{address} is not an address this node can use");
                    return fail(field, problem, "write /ip4/1.2.3.4/tcp/9100 or /ip4/1.2.3.4/udp/9100/quic-v1");
                }
            }
        }
        Ok(())
    }

    pub(super) fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    pub(super) fn auth_timeout(&self) -> Duration {
        Duration::from_millis(self.auth_timeout_ms)
    }

    pub(super) fn liveness_interval(&self) -> Duration {
        Duration::from_millis(self.liveness_interval_ms)
    }
}

/// Listening on the unspecified address (all interfaces) is fine, dialling it is not.
fn listenable(address: &Multiaddr) -> bool {
    use libp2p::multiaddr::Protocol;
    let named: Multiaddr = address
        .iter()
        .map(|part| match part {
            Protocol::Ip4(ip) if ip.is_unspecified() => Protocol::Ip4([127, 0, 0, 1].into()),
            Protocol::Ip6(ip) if ip.is_unspecified() => Protocol::Ip6(std::net::Ipv6Addr::LOCALHOST),
            other => other,
        })
        .collect();
    dialable(&named, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_survive_toml() {
        let config = P2pConfig::default();
        assert_eq!(config.listen.len(), 2);
        config.validate().unwrap();
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<P2pConfig>(&text).unwrap(), config);
        assert!(toml::from_str::<P2pConfig>("max_pears = 3").is_err());
    }

    #[test]
    fn a_bad_setting_is_named() {
        let config = P2pConfig { max_peers: 0, ..P2pConfig::default() };
        assert!(config.validate().unwrap_err().to_string().starts_with("p2p.max_peers: 0"));
        let config = P2pConfig { bootstrap: vec!["/ip4/0.0.0.0/tcp/1".parse().unwrap()], ..P2pConfig::default() };
        assert_eq!(config.validate().unwrap_err().field, "bootstrap");
        let config = P2pConfig { listen: vec!["/ip4/1.2.3.4/udp/1".parse().unwrap()], ..P2pConfig::default() };
        assert_eq!(config.validate().unwrap_err().field, "listen");
    }
}
