//! What the service's metrics mean, and what of them is exported before the first event.

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram};

use super::gossip::Topic;

/// Help texts and units of the metrics that a node's networking has.
pub fn describe() {
    describe_gauge!(
        "ditto_p2p_peers",
        Unit::Count,
        "Peers that have admitted this node and were admitted, by role: operator, aggregator, standby."
    );
    describe_gauge!("ditto_p2p_connected_peers", Unit::Count, "Connected peers, admitted or not.");
    describe_gauge!("ditto_p2p_banned_peers", Unit::Count, "Peer ids that are banned for now.");
    describe_counter!("ditto_p2p_bans_total", Unit::Count, "Bans by reason.");
    describe_counter!(
        "ditto_p2p_claims_total",
        Unit::Count,
        "Peers' proofs of who they are by outcome: admitted, or why not."
    );
    describe_counter!(
        "ditto_p2p_connections_total",
        Unit::Count,
        "Connections by outcome: dialled, inbound, and those that failed."
    );
    describe_counter!("ditto_p2p_disconnects_total", Unit::Count, "Connections that this node ended, by reason.");
    describe_counter!(
        "ditto_p2p_messages_total",
        Unit::Count,
        "Gossiped messages by topic and verdict: delivered to the application, then accepted, ignored, rejected or late; \
         published, or why not."
    );
    describe_counter!(
        "ditto_p2p_votes_total",
        Unit::Count,
        "Direct votes by direction and outcome: accepted, duplicate, or why not."
    );
    describe_histogram!(
        "ditto_p2p_vote_round_trip_seconds",
        Unit::Seconds,
        "From sending a direct vote to its answer."
    );
    describe_counter!(
        "ditto_p2p_dropped_total",
        Unit::Count,
        "What was not passed on by what it was and why: a limit of one peer, or a full queue of this node."
    );
    describe_counter!(
        "ditto_p2p_slow_peers_total",
        Unit::Count,
        "Times that a peer did not keep up with gossip, so that messages to it were dropped."
    );
    describe_gauge!(
        "ditto_p2p_mesh_peers",
        Unit::Count,
        "Peers in the gossip mesh, by topic: those that get every message at once."
    );
    zero();
}

/// A counter that appears with its first event has no increase by it: what is watched begins at zero.
fn zero() {
    for reason in ["flood", "bad_vote"] {
        counter!("ditto_p2p_bans_total", "reason" => reason).increment(0);
    }
    for reason in ["replaced", "crowded_out", "not_admitted", "silent"] {
        counter!("ditto_p2p_disconnects_total", "reason" => reason).increment(0);
    }
    for outcome in ["dialled", "inbound", "dial_failed", "inbound_failed"] {
        counter!("ditto_p2p_connections_total", "outcome" => outcome).increment(0);
    }
    for outcome in ["admitted", "unknown_key", "not_whitelisted", "bad_signature", "wrong_network", "banned"] {
        counter!("ditto_p2p_claims_total", "outcome" => outcome).increment(0);
    }
    let dropped = [
        ("gossip", "rate_limited"),
        ("gossip", "queue_full"),
        ("vote", "queue_full"),
        ("vote_out", "abandoned"),
        ("event", "queue_full"),
        ("control", "queue_full"),
    ];
    for (what, reason) in dropped {
        counter!("ditto_p2p_dropped_total", "what" => what, "reason" => reason).increment(0);
    }
    for topic in Topic::ALL {
        for verdict in ["delivered", "accepted", "ignored", "rejected", "late", "published", "publish_failed"] {
            counter!("ditto_p2p_messages_total", "topic" => topic.label(), "verdict" => verdict).increment(0);
        }
    }
    for direction in ["in", "out"] {
        counter!("ditto_p2p_votes_total", "direction" => direction, "outcome" => "accepted").increment(0);
    }
    counter!("ditto_p2p_slow_peers_total").increment(0);
}
