//! What the chain's logs say of a batch's tasks: pure reading.
//!
//! An operation's outcome is its UserOperationEvent, in whatever transaction that lies; a refusal's is TaskRejected; and
//! OperationFailed says why a handover did not happen, which consumes nothing and may still change.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256, Bytes, LogData};
use alloy::sol_types::{SolError, SolEvent, SolStruct};
use ditto_core::chain::ContractsConfig;
use ditto_core::chain::bindings::EntryPoint;
use ditto_core::chain::bindings::attestation_center::AttestationCenter;
use ditto_core::chain::bindings::hook::DittoHook;
use ditto_core::consent::SigningDomain;
use ditto_core::verdict::Verdict;
use serde::Deserialize;

use crate::batch::Batch;
use crate::ledger::TaskState;
use crate::submit::call;
use crate::verify::Tally;

/// A log, as far as it is read.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Log {
    /// Who wrote it.
    pub address: Address,
    /// What it is.
    pub topics: Vec<B256>,
    /// What it says.
    pub data: Bytes,
    /// In which transaction.
    pub transaction_hash: B256,
}

/// A receipt, as far as it is read.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// Whose it is.
    pub transaction_hash: B256,
    /// In which block.
    #[serde(with = "alloy::serde::quantity")]
    pub block_number: u64,
    /// 1 when it did not revert.
    #[serde(with = "alloy::serde::quantity")]
    pub status: u64,
    /// Gas it took.
    #[serde(with = "alloy::serde::quantity")]
    pub gas_used: u64,
    /// Price of one of it, in wei; 0 from a node that does not say (it is only measured).
    #[serde(default, with = "alloy::serde::quantity")]
    pub effective_gas_price: u128,
    /// What it wrote.
    pub logs: Vec<Log>,
}

impl Receipt {
    /// What it cost, in gwei (1e9 wei): as wei, a counter of 64 bits is full after 18 coins.
    #[must_use]
    pub fn fee_gwei(&self) -> u64 {
        let wei = u128::from(self.gas_used).saturating_mul(self.effective_gas_price);
        u64::try_from(wei / 1_000_000_000).unwrap_or(u64::MAX)
    }
}

/// What logs say of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// Tasks that ended, by place.
    pub ends: BTreeMap<u16, TaskState>,
    /// Why tasks were not handed over, by place.
    pub notes: BTreeMap<u16, String>,
    /// Some lacked only gas, and may be submitted again.
    pub starved: bool,
}

/// Reads logs for what concerns the batch.
#[must_use]
pub fn read(batch: &Batch, domain: &SigningDomain, contracts: &ContractsConfig, logs: &[Log]) -> Outcomes {
    let places: BTreeMap<B256, u16> = batch.hashes.iter().copied().zip(0u16..).collect();
    let consents: BTreeMap<B256, u16> =
        batch.proposed.tasks.iter().map(|task| domain.consent(task).eip712_hash_struct()).zip(0u16..).collect();
    let mut outcomes = Outcomes::default();
    let mut reverts: BTreeMap<u16, String> = BTreeMap::new();
    for log in logs {
        let Some(data) = LogData::new(log.topics.clone(), log.data.clone()) else { continue };
        if log.address == contracts.entry_point {
            if let Ok(event) = EntryPoint::UserOperationRevertReason::decode_log_data(&data)
                && let Some(place) = places.get(&event.userOpHash)
            {
                reverts.insert(*place, call::reason(&event.revertReason));
            }
            if let Ok(event) = EntryPoint::UserOperationEvent::decode_log_data(&data)
                && let Some(place) = places.get(&event.userOpHash)
            {
                let end = if event.success {
                    TaskState::Executed { tx: log.transaction_hash }
                } else {
                    let reason = reverts.get(place).cloned().unwrap_or_else(|| "the call reverted".to_owned());
                    TaskState::FailedOnChain { reason }
                };
                outcomes.ends.insert(*place, end);
            }
        } else if log.address == contracts.attestation_center {
            if let Ok(event) = AttestationCenter::TaskRejected::decode_log_data(&data)
                && event.proposal == batch.id.proposal
                && let Some(place) = places.get(&event.userOpHash)
            {
                let reason = match Verdict::from_byte(event.reason) {
                    Some(Verdict::Reject(reason)) => reason.label().to_owned(),
                    _ => format!("reason_{}", event.reason),
                };
                outcomes.ends.insert(*place, TaskState::Rejected { reason });
            }
        } else if log.address == contracts.hook
            && let Ok(event) = DittoHook::OperationFailed::decode_log_data(&data)
            && let Some(place) = consents.get(&event.consent)
        {
            outcomes.starved |= DittoHook::NotEnoughGas::abi_decode(&event.reason).is_ok();
            outcomes.notes.insert(*place, handover_reason(&event.reason));
        }
    }
    outcomes.notes.retain(|place, _| !outcomes.ends.contains_key(place));
    outcomes
}

fn handover_reason(data: &[u8]) -> String {
    if let Ok(failed) = EntryPoint::FailedOp::abi_decode(data) {
        return failed.reason;
    }
    if let Ok(starved) = DittoHook::NotEnoughGas::abi_decode(data) {
        return format!("too little gas was left to try it alone ({} of {})", starved.available, starved.required);
    }
    call::reason(data)
}

/// The end of a task that nothing on the chain speaks for, once its validity is over. What no quorum decided says how the
/// votes were divided.
#[must_use]
pub fn written_off(
    state: &TaskState,
    verdict: Option<Verdict>,
    note: Option<&String>,
    tally: Option<Tally>,
) -> TaskState {
    let expired = |reason: &str| TaskState::Expired { reason: reason.to_owned() };
    let undecided = |reason: &str| match tally {
        Some(tally) => expired(&format!("{reason}: {tally}")),
        // Nobody was heard, or before a restart.
        None => expired(reason),
    };
    match (verdict, note) {
        (None, _) => undecided("no_quorum"),
        (Some(Verdict::Abstain), _) => undecided("abstained"),
        (Some(Verdict::Approve), Some(note)) => TaskState::FailedOnChain { reason: note.clone() },
        // A quorum's refusal stands whether or not the chain heard of it; nothing executes.
        (Some(Verdict::Reject(reason)), _) if *state != TaskState::Proposed => {
            TaskState::Rejected { reason: reason.label().to_owned() }
        }
        _ => expired("not_submitted"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing::*;
    use alloy::primitives::U256;
    use ditto_core::verdict::Reason;

    fn contracts() -> ContractsConfig {
        ContractsConfig {
            attestation_center: Address::repeat_byte(1),
            obls: Address::repeat_byte(3),
            hook: Address::repeat_byte(4),
            validator_module: Address::repeat_byte(5),
            registry: Address::repeat_byte(6),
            entry_point: Address::repeat_byte(2),
        }
    }

    fn log(address: Address, event: &impl SolEvent) -> Log {
        let data = event.encode_log_data();
        Log { address, topics: data.topics().to_vec(), data: data.data, transaction_hash: B256::repeat_byte(8) }
    }

    fn executed(hash: B256, success: bool) -> EntryPoint::UserOperationEvent {
        EntryPoint::UserOperationEvent {
            userOpHash: hash,
            sender: Address::ZERO,
            paymaster: Address::ZERO,
            nonce: U256::ZERO,
            success,
            actualGasCost: U256::ZERO,
            actualGasUsed: U256::ZERO,
        }
    }

    #[test]
    fn every_outcome_is_read_by_its_operations_hash() {
        let (batch, contracts) = (batch(0, 5), contracts());
        let consent = |place: usize| domain().consent(&batch.proposed.tasks[place]).eip712_hash_struct();
        let failed_op = EntryPoint::FailedOp { opIndex: U256::ZERO, reason: "AA21 didn't pay prefund".into() };
        let starving = DittoHook::NotEnoughGas { available: U256::from(1), required: U256::from(2) };
        let rejected = AttestationCenter::TaskRejected {
            proposal: batch.id.proposal,
            userOpHash: batch.hashes[2],
            reason: Reason::Policy as u8,
        };
        let failed =
            |place, reason: Vec<u8>| DittoHook::OperationFailed { consent: consent(place), reason: reason.into() };
        let logs = [
            log(contracts.entry_point, &executed(batch.hashes[0], true)),
            log(contracts.entry_point, &executed(batch.hashes[1], false)),
            log(contracts.entry_point, &executed(B256::ZERO, true)),
            log(contracts.attestation_center, &rejected),
            log(contracts.hook, &failed(3, failed_op.abi_encode())),
            log(Address::repeat_byte(66), &executed(batch.hashes[4], true)),
        ];
        let outcomes = read(&batch, &domain(), &contracts, &logs);
        let ends: Vec<_> = outcomes.ends.iter().map(|(place, end)| (*place, end.label())).collect();
        assert_eq!(ends, [(0, "executed"), (1, "failed"), (2, "rejected")], "a forged log counts for nothing");
        assert_eq!(outcomes.notes, BTreeMap::from([(3, "AA21 didn't pay prefund".to_owned())]));
        assert!(!outcomes.starved);
        let again = read(&batch, &domain(), &contracts, &[log(contracts.hook, &failed(4, starving.abi_encode()))]);
        assert!(again.starved && again.ends.is_empty());
    }

    #[test]
    fn what_did_not_happen_is_written_off_with_its_reason() {
        let label = |state: TaskState| match state {
            TaskState::Expired { reason } | TaskState::FailedOnChain { reason } | TaskState::Rejected { reason } => {
                reason
            }
            other => other.label().to_owned(),
        };
        let note = "AA23".to_owned();
        assert_eq!(label(written_off(&TaskState::Proposed, None, None, None)), "no_quorum");
        let tally = Tally { approve: 2, reject: 1, abstain: 0, silent: 1, total: 4, seats: false };
        assert_eq!(
            label(written_off(&TaskState::Proposed, None, None, Some(tally))),
            "no_quorum: of a power of 4: 2 approve, 1 reject, 0 abstain, 1 silent"
        );
        assert_eq!(label(written_off(&TaskState::Proposed, Some(Verdict::Abstain), None, None)), "abstained");
        assert_eq!(label(written_off(&TaskState::Submitted, Some(Verdict::Approve), None, None)), "not_submitted");
        assert_eq!(label(written_off(&TaskState::Submitted, Some(Verdict::Approve), Some(&note), None)), "AA23");
        let refused = Some(Verdict::Reject(Reason::Spent));
        assert_eq!(label(written_off(&TaskState::Certified, refused, Some(&note), None)), "spent");
    }
}
