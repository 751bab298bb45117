//! `/status`: what an operator asks at three in the morning, in one JSON object. Both binaries answer in this shape, and
//! `top` reads it. Names say the unit; what is not known is left out. Amounts of wei and of voting power are decimal text,
//! for they may not fit the numbers of whoever reads JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::chain::Head;

/// The answer of `/status`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// `ditto-operator` or `ditto-aggregator`.
    pub binary: String,
    /// Its release.
    pub version: String,
    /// How long it has run.
    pub uptime_seconds: u64,
    /// Is it able to do its work?
    pub ready: bool,
    /// What that depends on, by name, with a reason where it is not so.
    pub checks: BTreeMap<String, CheckStatus>,
    /// The network's name.
    pub network: String,
    /// The id of the network's rules: nodes whose ids differ do not meet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_id: Option<String>,
    /// EIP-155 id of the chain on which workflows execute.
    pub target_chain: u64,
    /// The engine that simulates; operators whose ids differ do not agree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine_id: Option<String>,
    /// The slot by this machine's clock; none before slot 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<u64>,
    /// Since its start.
    pub slot_elapsed_ms: u64,
    /// A slot's length.
    pub slot_seconds: u64,
    /// What this operator is in this slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<RoleStatus>,
    /// The next slot in which it performs, if there is one within the next 1,024 and the operator set stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_turn: Option<TurnStatus>,
    /// The operator set in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator_set: Option<SetStatus>,
    /// The chains, by id.
    pub chains: Vec<ChainStatus>,
    /// Who is connected and admitted, as `operator 0x…`, `aggregator 0x…` or `standby 0x…`.
    pub peers: Vec<String>,
    /// Where it listens for peers.
    pub listen: Vec<String>,
    /// The account that pays for transactions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub balance: Option<BalanceStatus>,
    /// The stages, in the order of the pipeline.
    pub stages: Vec<StageStatus>,
    /// The last vote that left this operator, or did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_vote: Option<Done>,
    /// The last certificate that this aggregator made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_certificate: Option<Done>,
    /// The last transaction of this aggregator that a block took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_submission: Option<Done>,
    /// The last slots, oldest first: a list of the operator, a table by slot of the aggregator.
    pub slots: Value,
    /// What one binary alone shows: public keys, addresses, batches that are open.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// One of the checks of `/health/ready`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CheckStatus {
    /// Can the component work?
    pub ready: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// For how long it has been so.
    pub since_seconds: u64,
}

/// What an operator is in a slot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RoleStatus {
    /// `performer` (it may propose, by its rank), `attester`, or `watcher`: not in the operator set, or without power.
    pub name: String,
    /// The rank of a performer; 0 proposes first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank: Option<usize>,
}

/// A slot to come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TurnStatus {
    /// The slot.
    pub slot: u64,
    /// Until it begins.
    pub in_seconds: u64,
}

/// An operator set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SetStatus {
    /// Its id, from 1.
    pub id: u32,
    /// Its members.
    pub members: usize,
    /// Their voting power together.
    pub power: String,
    /// This operator's place in it, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own_index: Option<usize>,
    /// This operator's voting power; 0 when it is jailed or not a member.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own_power: Option<String>,
}

/// A chain as this node sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChainStatus {
    /// EIP-155 id.
    pub id: u64,
    /// Its newest block; none until a node has answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head: Option<u64>,
    /// That block's age by this machine's clock: how far the chain, its node or the clock is behind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head_age_seconds: Option<u64>,
}

impl ChainStatus {
    /// A chain with this newest block, at this time in milliseconds since the Unix epoch.
    #[must_use]
    pub fn of(id: u64, head: Option<Head>, now_ms: u64) -> Self {
        Self {
            id,
            head: head.map(|head| head.number),
            head_age_seconds: head.map(|head| (now_ms / 1_000).saturating_sub(head.timestamp)),
        }
    }
}

/// An account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BalanceStatus {
    /// Its address.
    pub address: String,
    /// What it holds, in wei.
    pub wei: String,
    /// When that was read.
    pub age_seconds: u64,
}

/// A stage of the pipeline.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StageStatus {
    /// Its name, as in the metrics.
    pub stage: String,
    /// Items that wait.
    pub queue: usize,
    /// Items that may wait.
    pub capacity: usize,
    /// Items that are being handled.
    pub busy: usize,
    /// Items that may be handled at once.
    pub workers: usize,
    /// Items handled since the start.
    pub handled_total: u64,
    /// Items dropped since the start, for whatever reason.
    pub dropped_total: u64,
}

/// Something that was done for a slot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Done {
    /// The slot it was for, where it was for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<u64>,
    /// What it was: a batch's name, a transaction's hash.
    pub what: String,
    /// How it went: `direct`, `gossiped`, `refused` or `undelivered` for a vote; the number of signers for a certificate;
    /// `mined` or `reverted` for a transaction.
    pub outcome: String,
    /// How long ago.
    pub age_seconds: u64,
}
