//! The call that brings a certificate to the chain, and what its failure means.

use alloy::primitives::{Bytes, FixedBytes};
use alloy::sol_types::{SolCall, SolInterface};
use ditto_core::chain::bindings::attestation_center::AttestationCenter as Center;
use ditto_core::chain::bindings::obls::OBLS;
use ditto_core::operators::signer_bitmap;
use ditto_core::task::Task;
use ditto_core::verdict::Verdict;

use crate::batch::Certified;

/// One transaction's gas cap (EIP-7825).
pub const GAS_CAP: u64 = 16_777_216;
/// What the contract does around the handover: proposal, digests, set and pairing. Measured well below this.
const VERIFICATION: u64 = 450_000;
/// Reading, hashing and accounting of one task, and at worst one point addition of one signer.
const PER_TASK: u64 = 8_000;
const PER_SIGNER: u64 = 1_500;
const TRANSACTION: u64 = 21_000;

/// Calldata of `submit`.
#[must_use]
pub fn submit(certified: &Certified) -> Bytes {
    let proposed = &certified.batch.proposed;
    let header = &proposed.proposal;
    let verdicts = &certified.verdicts.0;
    let refused = proposed.tasks.iter().zip(&certified.batch.hashes).zip(verdicts);
    let call = Center::submitCall {
        proposal: Center::Proposal {
            slot: header.slot,
            setId: header.setId,
            taskDefinitionId: header.taskDefinitionId,
            performer: header.performer,
            aggregator: header.aggregator,
            pins: header.pins,
            tasks: header.tasks,
            targetChainId: header.targetChainId,
        },
        performerSignature: Bytes::copy_from_slice(&proposed.signature),
        batch: Center::Batch {
            batchHashes: proposed.batch_hashes.clone(),
            index: proposed.index,
            approved: approved(certified),
            refused: refused
                .filter(|(_, verdict)| **verdict != Verdict::Approve)
                .map(|((task, hash), _)| Center::Refused { userOpHash: *hash, smartAccount: task.op.sender })
                .collect(),
            proofs: proposed.tasks.iter().map(ditto_core::task::Task::proof).collect(),
            verdicts: certified.verdicts.bytes().into(),
        },
        certificate: Center::Certificate {
            signers: signer_bitmap(certified.members, certified.signers.iter().copied()).into(),
            signature: words(&certified.signature.to_eip2537()),
        },
    };
    call.abi_encode().into()
}

/// Calldata of `requiredGas` for the approved operations.
#[must_use]
pub fn required_gas(certified: &Certified) -> Bytes {
    Center::requiredGasCall { operations: approved(certified) }.abi_encode().into()
}

/// The gas limit: what the contract demands for the handover, and what surrounds it. An estimate would not do: the
/// handover catches failures, so too little gas looks like success to the node.
#[must_use]
pub fn gas_limit(certified: &Certified, calldata: &[u8], required: u64, margin_percent: u64) -> u64 {
    let zeros = calldata.iter().filter(|byte| **byte == 0).count() as u64;
    let tokens = zeros + 4 * (calldata.len() as u64 - zeros);
    // EIP-7623's floor is ten per token; ordinary calldata costs four.
    let intrinsic = TRANSACTION + 4 * tokens;
    let floor = TRANSACTION + 10 * tokens;
    let around =
        VERIFICATION + PER_TASK * certified.batch.hashes.len() as u64 + PER_SIGNER * certified.signers.len() as u64;
    // The contract measures what is left, so what lies above it keeps a 64th back at no call: `submit` is called first.
    let sum = intrinsic.saturating_add(around).saturating_add(required);
    sum.saturating_add(sum.saturating_mul(margin_percent) / 100).max(floor).min(GAS_CAP)
}

fn approved(certified: &Certified) -> Vec<Center::PackedUserOperation> {
    let tasks = certified.batch.proposed.tasks.iter().zip(&certified.verdicts.0);
    tasks.filter(|(_, verdict)| **verdict == Verdict::Approve).map(|(task, _)| packed(task)).collect()
}

fn packed(task: &Task) -> Center::PackedUserOperation {
    let op = task.packed();
    Center::PackedUserOperation {
        sender: op.sender,
        nonce: op.nonce,
        initCode: op.initCode,
        callData: op.callData,
        accountGasLimits: op.accountGasLimits,
        preVerificationGas: op.preVerificationGas,
        gasFees: op.gasFees,
        paymasterAndData: op.paymasterAndData,
        signature: op.signature,
    }
}

fn words(point: &[u8; 128]) -> [FixedBytes<32>; 4] {
    std::array::from_fn(|word| FixedBytes::from_slice(&point[word * 32..(word + 1) * 32]))
}

/// What a revert of `submit` says, in words.
#[must_use]
pub fn reason(data: &[u8]) -> String {
    if let Ok(error) = Center::AttestationCenterErrors::abi_decode(data) {
        return format!("{error:?}").trim_start_matches("AttestationCenterErrors::").chars().take(300).collect();
    }
    if let Ok(error) = OBLS::OBLSErrors::abi_decode(data) {
        return format!("{error:?}").chars().take(300).collect();
    }
    if data.is_empty() {
        return "reverted without a reason".to_owned();
    }
    match alloy::sol_types::decode_revert_reason(data) {
        // Somebody else's contract wrote it: one line of text, whatever it holds.
        Some(reason) => reason.chars().filter(|c| !c.is_control()).take(300).collect(),
        None => format!("reverted with {}", alloy::hex::encode_prefixed(&data[..data.len().min(68)])),
    }
}

/// Whether a revert says that the chain has all of it already.
#[must_use]
pub fn is_done(data: &[u8]) -> bool {
    matches!(Center::AttestationCenterErrors::abi_decode(data), Ok(Center::AttestationCenterErrors::AlreadyDone(_)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing::*;
    use alloy::sol_types::SolError;
    use ditto_core::bls::Purpose;
    use ditto_core::verdict::VerdictVector;

    fn certified() -> Certified {
        Certified {
            batch: batch(0, 4),
            part: 0,
            verdicts: VerdictVector::from_bytes(&[0, 255, 3, 0]).unwrap(),
            signers: vec![0, 2, 9],
            members: 10,
            signature: secret(0).sign(&[1; 32], Purpose::Vote),
        }
    }

    #[test]
    fn the_call_carries_approved_and_refused_tasks_in_batch_order() {
        let certified = certified();
        let call = Center::submitCall::abi_decode(&submit(&certified)).unwrap();
        let senders: Vec<_> = call.batch.approved.iter().map(|op| op.sender).collect();
        assert_eq!(senders, [task(1).op.sender, task(4).op.sender]);
        let refused: Vec<_> = call.batch.refused.iter().map(|task| task.userOpHash).collect();
        assert_eq!(refused, certified.batch.hashes[1..3]);
        assert_eq!((call.batch.proofs.len(), &call.batch.verdicts[..]), (4, &[0, 255, 3, 0][..]));
        assert_eq!(call.certificate.signers[..], [0b101, 0b10]);
        assert_eq!(call.certificate.signature.concat(), certified.signature.to_eip2537());
        assert_eq!(call.batch.approved[0].signature.len(), 64);
    }

    #[test]
    fn gas_covers_the_demand_and_stays_below_the_cap() {
        let certified = certified();
        let data = submit(&certified);
        assert!(gas_limit(&certified, &data, 1_000_000, 10) > 1_500_000);
        assert_eq!(gas_limit(&certified, &data, u64::MAX, 10), GAS_CAP);
    }

    #[test]
    fn reverts_are_told_in_words() {
        let data = Center::QuorumNotReached {
            signedPower: alloy::primitives::U256::from(2),
            totalPower: alloy::primitives::U256::from(3),
        }
        .abi_encode();
        assert!(reason(&data).contains("QuorumNotReached"), "{}", reason(&data));
        assert!(!is_done(&data));
        assert!(is_done(&Center::AlreadyDone { proposal: Default::default(), index: 0 }.abi_encode()));
        assert_eq!(reason(&[]), "reverted without a reason");
    }
}
