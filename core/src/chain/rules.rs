//! What the AttestationCenter says of a task definition.

use super::bindings::attestation_center::AttestationCenter::TaskDefinition;
use crate::quorum::{QuorumRule, TaskRule};

/// The rule of task definition `id`, whether it is active or not.
#[must_use]
pub fn task_rule(id: u16, definition: &TaskDefinition) -> TaskRule {
    TaskRule {
        task_definition: id,
        quorum: QuorumRule {
            approve_numerator: definition.approveNumerator,
            approve_denominator: definition.approveDenominator,
            reject_numerator: definition.rejectNumerator,
            reject_denominator: definition.rejectDenominator,
        },
        minimum_power: definition.minimumPower.to::<u128>(),
        max_attesters: definition.maxAttesters,
        minimum_attester_power: definition.minimumAttesterPower.to::<u128>(),
    }
}
