//! Gossipsub as we use it: anonymous, content-addressed, validated by the application, scored.
//!
//! Messages carry no author (signatures of the transport would cost more than ours and prove less), so a message's name
//! is the hash of its content: the same bytes are delivered once, whoever sends them.
//!
//! Peers that are not admitted are held below every threshold but the last and on gossipsub's black list. The black list
//! acts *before* a message is marked as seen; ignoring such messages later would let a stranger censor by being first.
//! For the same reason IDONTWANT is off: gossipsub sends it on behalf of messages it has not judged yet.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use libp2p::PeerId;
use libp2p::gossipsub::{
    self, ConfigBuilder, IdentTopic, IdentityTransform, MessageAuthenticity, MessageId, PeerScoreParams,
    PeerScoreThresholds, TopicHash, TopicScoreParams, ValidationMode, WhitelistSubscriptionFilter,
};
use tokio::sync::mpsc;

use super::auth::Realm;
use super::config::P2pConfig;

pub(super) type Gossip = gossipsub::Behaviour<IdentityTransform, WhitelistSubscriptionFilter>;

const HEARTBEAT: Duration = Duration::from_millis(700);
/// Heartbeats a message waits for the application's verdict (about nine seconds); a verdict after that counts as late.
const HISTORY: usize = 13;
/// Room for the protobuf around the largest message.
const ENVELOPE_BYTES: usize = 4 * 1024;

/// Where an unadmitted peer stands: it gets no publications, no gossip about messages and no place in a mesh, yet its
/// subscriptions are still heard (below the grey list they would not be, and it would stay unreachable when admitted).
const UNADMITTED: f64 = -60.0;
pub(super) const THRESHOLDS: PeerScoreThresholds = PeerScoreThresholds {
    gossip_threshold: -10.0,
    publish_threshold: -50.0,
    graylist_threshold: -80.0,
    accept_px_threshold: 10.0,
    opportunistic_graft_threshold: 1.0,
};

/// What is gossiped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Performers' proposals.
    Proposals,
    /// Votes that found no direct way.
    Votes,
    /// The aggregator's requests to vote on a disputed batch in parts.
    Splits,
}

impl Topic {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Proposals, Self::Votes, Self::Splits];

    /// A bounded label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Proposals => "proposals",
            Self::Votes => "votes",
            Self::Splits => "splits",
        }
    }

    /// The topic's name on one network and chain.
    pub(super) fn name(self, realm: &Realm) -> IdentTopic {
        IdentTopic::new(format!("ditto/{}/{}/{}/1", realm.network, realm.chain_id, self.label()))
    }
}

/// The application's verdict on a gossiped message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// Sound: forward it.
    Accept,
    /// Not worth forwarding, nobody's fault (late, already known).
    Ignore,
    /// Provably bad: do not forward, and hold it against whoever sent it.
    Reject,
}

impl Acceptance {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Accept => "accepted",
            Self::Ignore => "ignored",
            Self::Reject => "rejected",
        }
    }
}

impl From<Acceptance> for gossipsub::MessageAcceptance {
    fn from(verdict: Acceptance) -> Self {
        match verdict {
            Acceptance::Accept => Self::Accept,
            Acceptance::Ignore => Self::Ignore,
            Acceptance::Reject => Self::Reject,
        }
    }
}

/// A message under validation.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub topic: Topic,
    pub id: MessageId,
    pub source: PeerId,
}

#[derive(Debug)]
pub(super) struct Judged {
    pub message: Pending,
    pub verdict: Acceptance,
}

/// Stands for a message that waits for its verdict. It holds the verdict's place in the queue, so at most
/// [`P2pConfig::max_pending_validations`] exist and none of their verdicts can be lost. Dropping it means *ignore*.
#[derive(Debug)]
pub struct MessageToken(Option<(mpsc::OwnedPermit<Judged>, Pending)>);

impl MessageToken {
    pub(super) fn new(permit: mpsc::OwnedPermit<Judged>, message: Pending) -> Self {
        Self(Some((permit, message)))
    }

    /// A token of no message: for tests, and for what did not come by gossip but takes the same way.
    #[must_use]
    pub fn detached() -> Self {
        Self(None)
    }

    /// Gives the verdict.
    pub fn answer(mut self, verdict: Acceptance) {
        self.send(verdict);
    }

    fn send(&mut self, verdict: Acceptance) {
        if let Some((permit, message)) = self.0.take() {
            permit.send(Judged { message, verdict });
        }
    }
}

impl Drop for MessageToken {
    fn drop(&mut self) {
        self.send(Acceptance::Ignore);
    }
}

/// The behaviour, subscribed to all topics of the realm.
pub(super) fn build(config: &P2pConfig, realm: &Realm) -> Result<Gossip, String> {
    let topics = Topic::ALL.map(|topic| topic.name(realm));
    let gossip_config = ConfigBuilder::default()
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(|message| {
            let topic = message.topic.as_str().as_bytes();
            let content = [topic, &[0], &message.data].concat();
            MessageId::from(alloy::primitives::keccak256(content).to_vec())
        })
        .max_transmit_size(config.max_message_bytes.saturating_add(ENVELOPE_BYTES))
        .duplicate_cache_time(Duration::from_secs(config.seen_seconds))
        .heartbeat_interval(HEARTBEAT)
        .heartbeat_initial_delay(Duration::from_millis(100))
        .history_length(HISTORY)
        .history_gossip(4)
        // Networks are small (operators, not users): publishing goes to every peer, the mesh forwards.
        .flood_publish(true)
        .mesh_outbound_min(2)
        .mesh_n_low(5)
        .mesh_n(8)
        .mesh_n_high(14)
        .gossip_lazy(6)
        // A graft that crosses the other side's admission is pruned; a minute's pause for that would be too long.
        .prune_backoff(Duration::from_secs(5))
        .graft_flood_threshold(Duration::from_secs(1))
        .idontwant_message_size_threshold(usize::MAX)
        .connection_handler_queue_len(2_048)
        .build()
        .map_err(|error| error.to_string())?;

    let filter = WhitelistSubscriptionFilter(topics.iter().map(IdentTopic::hash).collect());
    let mut gossip = Gossip::new_with_subscription_filter(MessageAuthenticity::Anonymous, gossip_config, filter)?;
    gossip.with_peer_score(score(config, topics.iter().map(IdentTopic::hash)), THRESHOLDS)?;
    for topic in &topics {
        gossip.subscribe(topic).map_err(|error| error.to_string())?;
    }
    Ok(gossip)
}

/// Invalid messages count, squared and for minutes; delivery rates do not: in most slots a peer has nothing to deliver.
fn score(config: &P2pConfig, topics: impl Iterator<Item = TopicHash>) -> PeerScoreParams {
    let decay = |seconds| gossipsub::score_parameter_decay(Duration::from_secs(seconds));
    let topic = TopicScoreParams {
        topic_weight: 1.0,
        time_in_mesh_weight: 0.01,
        time_in_mesh_quantum: Duration::from_secs(1),
        time_in_mesh_cap: 100.0,
        first_message_deliveries_weight: 0.1,
        first_message_deliveries_decay: decay(60),
        first_message_deliveries_cap: 20.0,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        // One invalid message: no place in a mesh for a while. Three: not heard until it has decayed.
        invalid_message_deliveries_weight: -12.0,
        invalid_message_deliveries_decay: decay(300),
        ..TopicScoreParams::default()
    };
    let loopback: HashSet<IpAddr> = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()].into();
    PeerScoreParams {
        topics: topics.map(|hash| (hash, topic.clone())).collect(),
        topic_score_cap: 10.0,
        app_specific_weight: 1.0,
        ip_colocation_factor_whitelist: if config.allow_loopback_colocation { loopback } else { HashSet::new() },
        ..PeerScoreParams::default()
    }
}

/// Silences a peer; called the moment its connection stands, before any of its bytes are read. (Not earlier: gossipsub
/// would then not tell the peer our subscriptions.)
pub(super) fn mute(gossip: &mut Gossip, peer: &PeerId) {
    gossip.blacklist_peer(peer);
    gossip.set_application_score(peer, UNADMITTED);
}

/// Lets an admitted peer speak.
pub(super) fn unmute(gossip: &mut Gossip, peer: &PeerId) {
    gossip.remove_blacklisted_peer(peer);
    gossip.set_application_score(peer, 0.0);
}

/// Forgets a peer whose last connection is gone, so that its next one is greeted.
pub(super) fn forget(gossip: &mut Gossip, peer: &PeerId) {
    gossip.remove_blacklisted_peer(peer);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_behaviour_builds_and_topics_name_network_and_chain() {
        let realm = Realm { network: "devnet".into(), chain_id: 31337 };
        let gossip = build(&P2pConfig::default(), &realm).unwrap();
        assert_eq!(gossip.topics().count(), 3);
        assert_eq!(Topic::Votes.name(&realm).to_string(), "ditto/devnet/31337/votes/1");
        const { assert!(UNADMITTED < THRESHOLDS.publish_threshold && UNADMITTED > THRESHOLDS.graylist_threshold) };
    }

    #[tokio::test]
    async fn tokens_are_bounded_and_a_forgotten_one_means_ignore() {
        let (sender, mut receiver) = mpsc::channel(1);
        let pending = Pending { topic: Topic::Votes, id: MessageId::from("m"), source: PeerId::random() };
        let token = MessageToken::new(sender.clone().try_reserve_owned().unwrap(), pending.clone());
        assert!(sender.clone().try_reserve_owned().is_err());
        drop(token);
        assert_eq!(receiver.recv().await.unwrap().verdict, Acceptance::Ignore);
        let token = MessageToken::new(sender.clone().try_reserve_owned().unwrap(), pending);
        token.answer(Acceptance::Reject);
        assert_eq!(receiver.recv().await.unwrap().verdict, Acceptance::Reject);
    }
}
