#![allow(clippy::unwrap_used, clippy::expect_used)]
use alloy::primitives::{Address, B256, U256};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use proptest::prelude::*;

use super::*;
use crate::consent::{Proposal, SigningDomain};
use crate::evidence::{Observation, Observed};
use crate::proposal::{BatchId, Pin, ProposedBatch};
use crate::task::{ConsentTerms, Occurrence, Task};
use crate::userop::UserOperation;
use crate::verdict::{Reason, Verdict, VerdictVector};

fn sample_vote() -> Vote {
    Vote {
        batch: BatchId { proposal: B256::repeat_byte(0x11), index: 2 },
        set_id: 7,
        attester: 3,
        verdicts: VerdictVector(vec![Verdict::Approve, Verdict::Reject(Reason::Policy), Verdict::Abstain]),
        signature: [0x22; 96],
    }
}

fn sample_split() -> Split {
    let vector = |bytes: &[u8]| VerdictVector::from_bytes(bytes).unwrap();
    Split {
        batch: BatchId { proposal: B256::repeat_byte(0x11), index: 2 },
        round: 1,
        vectors: vec![vector(&[0, 255, 0]), vector(&[255, 4, 255])],
        signature: [0x33; 65],
    }
}

fn sample_batch() -> ProposedBatch {
    ProposedBatch {
        proposal: Proposal {
            slot: 42,
            setId: 7,
            taskDefinitionId: 1,
            performer: Address::repeat_byte(1),
            aggregator: Address::repeat_byte(2),
            pins: B256::repeat_byte(3),
            tasks: B256::repeat_byte(4),
            targetChainId: U256::from(31337),
        },
        signature: [5; 65],
        engine_id: B256::repeat_byte(6),
        pins: vec![Pin { chain_id: 31337, number: 99, hash: B256::repeat_byte(7) }],
        batch_hashes: vec![B256::repeat_byte(8), B256::repeat_byte(9)],
        index: 1,
        tasks: vec![Task {
            occurrence: Occurrence { workflow: 5, slot: 41 },
            op: UserOperation {
                sender: Address::repeat_byte(10),
                nonce: U256::from(11),
                call_data: vec![1, 2, 3].into(),
                verification_gas: 100_000,
                call_gas: 200_000,
                pre_verification_gas: 50_000,
                max_fee: 3_000_000_000,
                max_priority_fee: 1_000_000,
            },
            terms: ConsentTerms { session_key: Address::repeat_byte(12), valid_after: 13, valid_until: 14 },
            evidence: vec![
                Observation {
                    trigger: 0,
                    chain_id: 31337,
                    block_number: 98,
                    block_hash: B256::repeat_byte(16),
                    observed: Observed::Log(3),
                    digest: B256::repeat_byte(17),
                },
                Observation {
                    trigger: 1,
                    chain_id: 31337,
                    block_number: 99,
                    block_hash: B256::repeat_byte(7),
                    observed: Observed::Answer,
                    digest: B256::repeat_byte(18),
                },
            ],
            run: B256::repeat_byte(15),
        }],
    }
}

/// Golden: these bytes are what version 2 is. A change here is a new version.
#[test]
fn version_2_is_what_it_was() {
    let golden = include_str!("golden_v2.txt");
    let vote = alloy::hex::encode(sample_vote().encode().unwrap());
    let batch = alloy::hex::encode(encode_batch(&sample_batch()).unwrap());
    let split = alloy::hex::encode(sample_split().encode().unwrap());
    assert_eq!(golden.trim(), format!("vote {vote}\nbatch {batch}\nsplit {split}"));
}

#[test]
fn messages_survive_the_wire() {
    assert_eq!(Vote::decode(&sample_vote().encode().unwrap()).unwrap(), sample_vote());
    assert_eq!(decode_batch(&encode_batch(&sample_batch()).unwrap()).unwrap(), sample_batch());
    assert_eq!(Split::decode(&sample_split().encode().unwrap()).unwrap(), sample_split());
}

#[test]
fn a_split_request_is_its_aggregators_and_parts_the_batch() {
    let domain = SigningDomain { chain_id: 1, attestation_center: Address::repeat_byte(1), entry_point: Address::ZERO };
    let signer = PrivateKeySigner::from_bytes(&B256::repeat_byte(4)).unwrap();
    let mut split = sample_split();
    let digest = Split::digest(&domain, split.batch, split.round, &split.vectors);
    split.signature = signer.sign_hash_sync(&digest).unwrap().as_bytes();
    assert!(split.is_signed_by(&domain, signer.address()));
    assert!(!split.is_signed_by(&domain, Address::ZERO));
    let elsewhere = SigningDomain { chain_id: 2, ..domain };
    assert!(!split.is_signed_by(&elsewhere, signer.address()));
    for change in [
        |split: &mut Split| split.round += 1,
        |split: &mut Split| split.batch.index += 1,
        |split: &mut Split| drop(split.vectors.pop()),
        |split: &mut Split| split.vectors[0].0[0] = Verdict::Reject(Reason::Threw),
    ] {
        let mut changed = split.clone();
        change(&mut changed);
        assert!(!changed.is_signed_by(&domain, signer.address()));
    }
    let vector = |bytes: &[u8]| VerdictVector::from_bytes(bytes).unwrap();
    for wrong in [
        vec![],
        vec![vector(&[])],
        vec![vector(&[255, 255])],
        vec![vector(&[0, 255]), vector(&[0, 255])],
        vec![vector(&[0, 255]), vector(&[255, 0, 255])],
    ] {
        let bytes = Split { vectors: wrong, ..sample_split() }.encode().unwrap();
        assert_eq!(Split::decode(&bytes), Err(WireError::Range { field: "vectors" }));
    }
    assert!(Split { vectors: vec![vector(&[0; 257])], ..sample_split() }.encode().is_err());
}

#[test]
fn another_version_is_named_in_the_error() {
    let mut bytes = sample_vote().encode().unwrap();
    bytes[0] = 9;
    assert_eq!(Vote::decode(&bytes), Err(WireError::Version { found: 9 }));
    assert_eq!(Vote::decode(&[]), Err(WireError::Empty));
}

#[test]
fn a_time_beyond_48_bits_is_refused() {
    let mut batch = sample_batch();
    batch.tasks[0].terms.valid_until = 1 << 48;
    let bytes = encode_batch(&batch).unwrap();
    assert!(matches!(decode_batch(&bytes), Err(WireError::Range { .. })));
}

#[test]
fn evidence_of_a_kind_that_does_not_exist_is_refused() {
    let bytes = encode_batch(&sample_batch()).unwrap();
    // The last observation's kind: it is followed by chain id, block number and hash, index and digest.
    let kind = bytes.len() - 1 - 32 - 8 - 32 - 8 - 8;
    for (byte, fine) in [(0, true), (1, true), (2, false), (255, false)] {
        let mut changed = bytes.clone();
        changed[kind] = byte;
        assert_eq!(decode_batch(&changed).is_ok(), fine, "kind {byte}");
    }
}

#[test]
fn whoever_changes_evidence_on_the_way_changes_the_proof() {
    let (before, mut after) = (sample_batch(), sample_batch());
    after.tasks[0].evidence[0].observed = Observed::Log(4);
    assert_ne!(before.tasks[0].proof(), after.tasks[0].proof());
    after.tasks[0].evidence.clear();
    assert_ne!(before.tasks[0].proof(), after.tasks[0].proof());
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        if let Some(first) = bytes.first_mut() { *first = VERSION; }
        let _vote = Vote::decode(&bytes);
        let _batch = decode_batch(&bytes);
        let _split = Split::decode(&bytes);
    }

    #[test]
    fn a_flipped_byte_never_panics_and_never_passes_as_the_same(at in 0usize..10_000, flip in 1u8..) {
        let mut bytes = encode_batch(&sample_batch()).unwrap();
        let at = at % bytes.len();
        bytes[at] ^= flip;
        if let Ok(batch) = decode_batch(&bytes) {
            prop_assert_ne!(batch, sample_batch());
        }
    }
}
