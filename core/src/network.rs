//! What every node of a network must hold alike: the `[network]` table.
//!
//! Two nodes that differ here come to different operations and would only ever disagree, so all of it is hashed into
//! [`NetworkConfig::id`], whose beginning is part of the name under which peers meet ([`NetworkConfig::realm`]).

use alloy::primitives::{Address, B256, keccak256};
use serde::{Deserialize, Serialize};

use crate::chain::ChainConfig;
use crate::clock::{Slot, SlotSchedule};
use crate::task::{Occurrence, Task};

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
    /// Rank r waits r times this many milliseconds, from when it knows all of its own findings, before it proposes what nobody
    /// has proposed; and it is not heard earlier than that after the start of the slot.
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
    /// For how many slots an event that nothing has executed for is still acted on.
    #[serde(default = "NetworkConfig::default_event_catch_up")]
    pub event_catch_up_slots: u64,
    /// Blocks of the target chain after which a new operator set takes over: more than the chain takes to finalize, so that
    /// every node agrees at every pin which set it is.
    #[serde(default = "NetworkConfig::default_set_settles")]
    pub set_settles_blocks: u64,
    /// The most tasks in a batch.
    #[serde(default = "NetworkConfig::default_batch")]
    pub batch_tasks: usize,
    /// The most gas of a batch's transaction, as [`NetworkConfig::transaction_gas`] reckons it: one transaction is capped
    /// at 16,777,216 (EIP-7825).
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

    // Six attempts after the first one, with the other defaults: six minutes of twelve-second slots.
    fn default_event_catch_up() -> u64 {
        30
    }

    // Two epochs and a little: Ethereum finalizes in 64 to 96 slots.
    fn default_set_settles() -> u64 {
        128
    }

    fn default_batch() -> usize {
        32
    }

    fn default_batch_gas() -> u64 {
        16_000_000
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

    /// keccak256 over the rules, the target chain's contracts and its pin lag: equal on two nodes that can work together.
    #[must_use]
    pub fn id(&self, target: &ChainConfig) -> B256 {
        // Serialising plain numbers, strings and addresses does not fail.
        keccak256(serde_json::to_vec(&(self, target.contracts, target.pin_lag_seconds)).unwrap_or_default())
    }

    /// The name under which peers meet: it holds the start of [`Self::id`], so that nodes with other rules tell each other
    /// so when they meet instead of disagreeing in every slot.
    #[must_use]
    pub fn realm(&self, target: &ChainConfig) -> String {
        format!("{}.{}", self.name, alloy::hex::encode(&self.id(target)[..4]))
    }

    /// The most gas that submitting these tasks can take: what the hook demands for the operations' limits, with the part
    /// that calls withhold (EIP-150), verification, and calldata at its dearest. Reckoned alike by whoever cuts, judges and
    /// submits batches.
    #[must_use]
    pub fn transaction_gas(tasks: &[Task]) -> u64 {
        tasks.iter().map(Self::task_gas).fold(Self::BATCH_OVERHEAD, u64::saturating_add)
    }

    /// A task's part of [`Self::transaction_gas`].
    #[must_use]
    pub fn task_gas(task: &Task) -> u64 {
        let limits = task.op.gas();
        let calldata = Self::calldata_gas(&task.op.call_data);
        limits.saturating_add(limits / 15).saturating_add(calldata).saturating_add(Self::TASK_OVERHEAD)
    }

    /// What an operation's call data costs in the transaction at most: EIP-2028's price of a byte that is not zero, for every
    /// byte.
    #[must_use]
    pub fn calldata_gas(call_data: &[u8]) -> u64 {
        (call_data.len() as u64).saturating_mul(Self::CALLDATA_BYTE)
    }

    /// Base of the transaction, signature, pairing, hand-over: 420,000 measured for a batch of one, rounded up.
    const BATCH_OVERHEAD: u64 = 500_000;
    /// Hashes, copies and hand-over of one operation, and the calldata that is not the operation's own.
    const TASK_OVERHEAD: u64 = 65_000;
    /// EIP-2028: a byte that is not zero.
    const CALLDATA_BYTE: u64 = 16;

    /// Whether a batch keeps to the network's limits.
    #[must_use]
    pub fn fits(&self, tasks: &[Task]) -> bool {
        tasks.len() <= self.batch_tasks && Self::transaction_gas(tasks) <= self.batch_gas
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

    /// How often an occurrence of an event is tried, the first time counted.
    #[must_use]
    pub fn event_attempts(&self) -> u64 {
        self.attempts.max(1 + self.event_catch_up_slots / self.attempt_every())
    }

    /// The slots before `slot` whose unexecuted occurrences are tried again in it, if they are tried so often.
    pub fn earlier_slots(&self, slot: Slot, attempts: u64) -> impl Iterator<Item = Slot> + use<> {
        let every = self.attempt_every();
        (1..attempts.max(1)).map_while(move |attempt| slot.checked_sub(attempt.saturating_mul(every)))
    }

    /// Whether `occurrence` may be proposed in `slot`, whatever makes it due.
    #[must_use]
    pub fn may_attempt(&self, occurrence: Occurrence, slot: Slot) -> bool {
        let mut earlier = self.earlier_slots(slot, self.event_attempts());
        occurrence.slot == slot || earlier.any(|from| from == occurrence.slot)
    }
}
