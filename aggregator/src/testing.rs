//! What the stages' tests share: keys, sets, batches and votes that are really signed.
#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::Arc;

use alloy::primitives::{Address, B256, U256};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use ditto_core::bls::{Purpose, SecretKey};
use ditto_core::committee::Electorate;
use ditto_core::consent::{Proposal, SigningDomain};
use ditto_core::network::NetworkConfig;
use ditto_core::operators::{Member, OperatorSet};
use ditto_core::proposal::{ProposedBatch, hash_batch, hash_batches, hash_pins};
use ditto_core::quorum::TaskRule;
use ditto_core::task::{ConsentTerms, Occurrence, Task};
use ditto_core::userop::UserOperation;
use ditto_core::verdict::VerdictVector;
use ditto_core::wire::Vote;

use crate::batch::Batch;

pub const SLOT: u64 = 100;

pub fn network() -> NetworkConfig {
    serde_json::from_value(serde_json::json!({
        "name": "test", "target_chain": 31337, "genesis_seconds": 1_000_000, "slot_seconds": 2,
        "aggregator": Address::repeat_byte(0xa9),
    }))
    .unwrap()
}

pub fn domain() -> SigningDomain {
    SigningDomain { chain_id: 31337, attestation_center: Address::repeat_byte(1), entry_point: Address::repeat_byte(2) }
}

pub fn secret(index: usize) -> SecretKey {
    SecretKey::derive(B256::from(U256::from(index + 1)).as_slice()).unwrap()
}

pub fn signer(index: usize) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::from(U256::from(index + 1))).unwrap()
}

pub fn controller(index: usize) -> Address {
    Address::from_word(B256::from(U256::from(index + 1)))
}

pub fn operator_set(powers: &[u128]) -> Arc<OperatorSet> {
    let members = powers.iter().enumerate().map(|(index, power)| Member {
        controller: controller(index),
        signer: signer(index).address(),
        power: *power,
        key: secret(index).public(),
    });
    Arc::new(OperatorSet::new(1, members.collect(), B256::repeat_byte(9)).with_randomness(B256::repeat_byte(8)))
}

/// Everybody by power, two thirds and one third.
pub fn electorate(set: &OperatorSet) -> Electorate {
    Electorate::new(set, &TaskRule::default(), SLOT)
}

pub fn task(workflow: u64) -> Task {
    let network = network();
    Task {
        occurrence: Occurrence { workflow, slot: SLOT },
        op: UserOperation {
            sender: Address::with_last_byte(u8::try_from(workflow % 250).unwrap()),
            nonce: U256::from(workflow),
            call_data: vec![1, 2, 3].into(),
            verification_gas: 100_000,
            call_gas: 100_000,
            pre_verification_gas: 60_000,
            max_fee: 1,
            max_priority_fee: 1,
        },
        terms: ConsentTerms {
            session_key: Address::repeat_byte(7),
            valid_after: 0,
            valid_until: network.valid_until(SLOT),
        },
        evidence: Vec::new(),
        run: B256::with_last_byte(3),
    }
}

/// A proposal of one batch, signed by the member with this index.
pub fn propose(performer: usize, tasks: Vec<Task>) -> ProposedBatch {
    let (domain, network) = (domain(), network());
    let batch_hashes = vec![hash_batch(&domain, &tasks)];
    let proposal = Proposal {
        slot: SLOT,
        setId: 1,
        taskDefinitionId: network.task_definition,
        performer: signer(performer).address(),
        aggregator: network.aggregator,
        pins: hash_pins(&[]),
        tasks: hash_batches(&batch_hashes),
        targetChainId: U256::from(domain.chain_id),
    };
    let signature = signer(performer).sign_hash_sync(&domain.proposal_digest(&proposal)).unwrap().as_bytes();
    ProposedBatch { proposal, signature, engine_id: B256::ZERO, pins: Vec::new(), batch_hashes, index: 0, tasks }
}

pub fn batch(performer: usize, tasks: u64) -> Arc<Batch> {
    let proposed = propose(performer, (1..=tasks).map(task).collect());
    let id = proposed.check(&domain()).unwrap();
    Arc::new(Batch::new(&domain(), id, proposed, now_ms()))
}

/// The middle of the slot.
pub fn now_ms() -> u64 {
    network().schedule().start_seconds(SLOT) * 1000 + 500
}

pub fn vote(batch: &Batch, attester: usize, verdicts: &[u8]) -> Vote {
    let verdicts = VerdictVector::from_bytes(verdicts).unwrap();
    let digest = batch.digest(&domain(), &verdicts);
    Vote {
        batch: batch.id,
        set_id: 1,
        attester: u32::try_from(attester).unwrap(),
        signature: secret(attester).sign(&digest.0, Purpose::Vote).to_bytes(),
        verdicts,
    }
}
