//! What every node of a network must hold alike: the `[network]` table.
//!
//! Two nodes that differ here come to different operations and would only ever disagree, so all of it is hashed into
//! [`NetworkConfig::id`], which peers compare when they meet.

use alloy::primitives::{Address, B256, keccak256};
use serde::{Deserialize, Serialize};

use crate::clock::{Slot, SlotSchedule};
use crate::task::Occurrence;

/// The rules of a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// The network's name, such as `mainnet` or `devnet-7`.
    pub name: String,
    /// EIP-155 id of the target chain: where operations execute.
    pub target_chain: u64,
    /// Unix time of slot 0's beginning, in seconds.
    pub genesis_seconds: u64,
    /// Length of a slot, in seconds.
    pub slot_seconds: u64,
    /// The task definition under which operations are proposed.
    #[serde(default = "NetworkConfig::default_task_definition")]
    pub task_definition: u16,
    /// The address that submits certificates: the aggregator's.
    pub aggregator: Address,
    /// Rank r may propose r times this many milliseconds after the elected performer.
    #[serde(default = "NetworkConfig::default_fallback_delay")]
    pub fallback_delay_ms: u64,
    /// How many ranks may step in for a silent performer.
    #[serde(default = "NetworkConfig::default_ranks")]
    pub ranks: usize,
    /// For how many slots, from the start of the one it was proposed in, an operation is valid.
    #[serde(default = "NetworkConfig::default_validity")]
    pub validity_slots: u64,
    /// How often an occurrence that did not execute is tried, the first time counted.
    #[serde(default = "NetworkConfig::default_attempts")]
    pub attempts: u64,
    /// The most tasks in a batch.
    #[serde(default = "NetworkConfig::default_batch")]
    pub batch_tasks: usize,
    /// The most gas of a batch's operations together. One transaction is capped at 16,777,216 (EIP-7825), and
    /// verification needs some of it.
    #[serde(default = "NetworkConfig::default_batch_gas")]
    pub batch_gas: u64,
    /// Gas for an operation's validation.
    #[serde(default = "NetworkConfig::default_verification_gas")]
    pub verification_gas: u64,
    /// Gas paid to the submitter for what the EntryPoint cannot measure: calldata and its share of verification.
    #[serde(default = "NetworkConfig::default_pre_verification_gas")]
    pub pre_verification_gas: u64,
    /// Wei per gas that operations offer the block's proposer.
    #[serde(default = "NetworkConfig::default_priority_fee")]
    pub priority_fee_wei: u64,
}

impl NetworkConfig {
    fn default_task_definition() -> u16 {
        1
    }

    fn default_fallback_delay() -> u64 {
        500
    }

    fn default_ranks() -> usize {
        3
    }

    fn default_validity() -> u64 {
        3
    }

    fn default_attempts() -> u64 {
        3
    }

    fn default_batch() -> usize {
        32
    }

    fn default_batch_gas() -> u64 {
        12_000_000
    }

    fn default_verification_gas() -> u64 {
        100_000
    }

    fn default_pre_verification_gas() -> u64 {
        60_000
    }

    fn default_priority_fee() -> u64 {
        1_000_000
    }

    /// The network's division of time.
    #[must_use]
    pub fn schedule(&self) -> SlotSchedule {
        SlotSchedule { genesis_seconds: self.genesis_seconds, slot_seconds: self.slot_seconds }
    }

    /// keccak256 over the rules: equal on two nodes that can work together.
    #[must_use]
    pub fn id(&self) -> B256 {
        // Serialising plain numbers, strings and addresses does not fail.
        keccak256(serde_json::to_vec(self).unwrap_or_default())
    }

    /// The last second at which an operation proposed in `slot` is valid.
    #[must_use]
    pub fn valid_until(&self, slot: Slot) -> u64 {
        self.schedule().start_seconds(slot.saturating_add(self.validity_slots))
    }

    /// Slots between two attempts at an occurrence: long enough that the earlier attempt's consent has run out, pins and
    /// all, so that two operations of one occurrence are never in flight together. Every node computes the same, from
    /// the chain and the clock alone.
    #[must_use]
    pub fn attempt_every(&self) -> u64 {
        self.validity_slots.saturating_add(2)
    }

    /// The slots whose unexecuted occurrences are tried again in `slot`.
    pub fn carried_from(&self, slot: Slot) -> impl Iterator<Item = Slot> + use<> {
        let every = self.attempt_every();
        (1..self.attempts.max(1)).filter_map(move |attempt| slot.checked_sub(attempt.saturating_mul(every)))
    }

    /// Whether `occurrence` may be proposed in `slot`.
    #[must_use]
    pub fn may_attempt(&self, occurrence: Occurrence, slot: Slot) -> bool {
        occurrence.slot == slot || self.carried_from(slot).any(|from| from == occurrence.slot)
    }
}
