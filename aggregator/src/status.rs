//! `/status`: what somebody asks who was woken up.

use std::sync::Arc;
use std::time::Instant;

use alloy::primitives::{Address, B256};
use ditto_core::chain::Heads;
use ditto_core::clock::SlotClock;
use ditto_core::network::NetworkConfig;
use ditto_core::p2p::Network;
use ditto_core::stage::Depths;
use ditto_core::telemetry::status::{BalanceStatus, ChainStatus, SetStatus, Status};
use ditto_core::telemetry::{Readiness, StatusFn};
use serde_json::json;

use crate::governance::Governance;
use crate::ledger::Ledger;
use crate::report::Report;

/// Where what is shown is looked up.
pub struct Vitals {
    /// The network's rules.
    pub rules: NetworkConfig,
    /// Their id.
    pub network_id: B256,
    /// Who pays.
    pub submitter: Address,
    /// What readiness depends on.
    pub readiness: Readiness,
    /// The time.
    pub clock: SlotClock,
    /// Sets and rule.
    pub governance: Governance,
    /// The target chain's heads.
    pub heads: Heads,
    /// The peers.
    pub network: Network,
    /// What is open.
    pub ledger: Ledger,
    /// What was done.
    pub report: Report,
    /// Since when it runs.
    pub started: Instant,
}

impl Vitals {
    /// What answers `/status`, with the stages as they are then.
    #[must_use]
    pub fn answers(self, depths: Depths) -> StatusFn {
        // A status is plain text and numbers: it can be written as JSON.
        Arc::new(move || serde_json::to_value(self.show(&depths)).unwrap_or_default())
    }

    fn show(&self, depths: &Depths) -> Status {
        let ready = self.readiness.report();
        let slot = self.clock.current();
        let sets = self.governance.sets().get();
        let last = self.report.last();
        let more = [
            ("submitter", json!(self.submitter)),
            ("peer_id", json!(self.network.local_peer_id().to_string())),
            ("open_batches", json!(self.ledger.open_batches())),
            (
                "rule",
                json!(self.governance.rule().map(|rule| json!({
                    "max_attesters": rule.max_attesters,
                    "minimum_attester_power": rule.minimum_attester_power.to_string(),
                    "minimum_power": rule.minimum_power.to_string(),
                }))),
            ),
        ];
        Status {
            binary: "ditto-aggregator".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_seconds: self.started.elapsed().as_secs(),
            ready: ready.ready,
            checks: ready.checks,
            network: self.rules.name.clone(),
            network_id: Some(self.network_id.to_string()),
            target_chain: self.rules.target_chain,
            slot,
            slot_elapsed_ms: slot.map_or(0, |slot| self.clock.since_ms(slot)),
            slot_seconds: self.rules.slot_seconds,
            operator_set: sets.current().map(|set| SetStatus {
                id: set.id,
                members: set.members.len(),
                power: set.total_power.to_string(),
                ..SetStatus::default()
            }),
            chains: vec![ChainStatus::of(self.rules.target_chain, self.heads.latest(), self.clock.now_ms())],
            peers: self.network.peers().iter().map(|peer| peer.role.to_string()).collect(),
            listen: self.network.listen_addresses().iter().map(ToString::to_string).collect(),
            balance: last.balance().map(|(wei, age_seconds)| BalanceStatus {
                address: self.submitter.to_string(),
                wei: wei.to_string(),
                age_seconds,
            }),
            stages: depths.read(),
            last_certificate: last.certificate(),
            last_submission: last.submission(),
            slots: self.report.show(),
            more: more.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            ..Status::default()
        }
    }
}
