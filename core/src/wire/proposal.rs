//! A proposed batch on the wire.

use alloy::primitives::{Address, B256, U256};
use ssz::Decode;
use ssz_derive::{Decode, Encode};
use ssz_types::VariableList;
use ssz_types::typenum::{U32, U64, U256 as N256, U65536, Unsigned};

use super::{WireError, unversioned, versioned};
use crate::consent::Proposal;
use crate::evidence::{MAX_OBSERVATIONS, Observation, Observed};
use crate::proposal::{MAX_CALL_DATA, Pin, ProposedBatch};
use crate::task::{ConsentTerms, Occurrence, Task};
use crate::userop::UserOperation;

#[derive(Encode, Decode)]
struct BatchMessage {
    slot: u64,
    set_id: u32,
    task_definition_id: u16,
    performer: Address,
    aggregator: Address,
    pins_hash: B256,
    tasks_hash: B256,
    target_chain_id: U256,
    signature: [u8; 65],
    engine_id: B256,
    pins: VariableList<PinMessage, U32>,
    batch_hashes: VariableList<B256, U64>,
    index: u16,
    tasks: VariableList<TaskMessage, N256>,
}

#[derive(Encode, Decode)]
struct PinMessage {
    chain_id: u64,
    number: u64,
    hash: B256,
}

#[derive(Encode, Decode)]
struct TaskMessage {
    workflow: u64,
    slot: u64,
    sender: Address,
    nonce: U256,
    call_data: VariableList<u8, U65536>,
    verification_gas: u64,
    call_gas: u64,
    pre_verification_gas: u64,
    max_fee: u128,
    max_priority_fee: u128,
    session_key: Address,
    valid_after: u64,
    valid_until: u64,
    run: B256,
    evidence: VariableList<ObservationMessage, U32>,
}

#[derive(Encode, Decode)]
struct ObservationMessage {
    trigger: u8,
    kind: u8,
    chain_id: u64,
    block_number: u64,
    block_hash: B256,
    log_index: u64,
    digest: B256,
}

/// Encodes a batch.
///
/// # Errors
/// When a list is longer than the wire allows.
pub fn encode_batch(batch: &ProposedBatch) -> Result<Vec<u8>, WireError> {
    let pins = batch.pins.iter().map(|p| PinMessage { chain_id: p.chain_id, number: p.number, hash: p.hash });
    let tasks = batch.tasks.iter().map(TaskMessage::new).collect::<Result<Vec<_>, _>>()?;
    let header = &batch.proposal;
    Ok(versioned(&BatchMessage {
        slot: header.slot,
        set_id: header.setId,
        task_definition_id: header.taskDefinitionId,
        performer: header.performer,
        aggregator: header.aggregator,
        pins_hash: header.pins,
        tasks_hash: header.tasks,
        target_chain_id: header.targetChainId,
        signature: batch.signature,
        engine_id: batch.engine_id,
        pins: list(pins.collect(), "pins")?,
        batch_hashes: list(batch.batch_hashes.clone(), "batch_hashes")?,
        index: batch.index,
        tasks: list(tasks, "tasks")?,
    }))
}

/// Decodes a batch. What it gives is well-formed; nothing is verified.
///
/// # Errors
/// When the bytes are no batch of our version.
pub fn decode_batch(bytes: &[u8]) -> Result<ProposedBatch, WireError> {
    let message = BatchMessage::from_ssz_bytes(unversioned(bytes)?)?;
    Ok(ProposedBatch {
        proposal: Proposal {
            slot: message.slot,
            setId: message.set_id,
            taskDefinitionId: message.task_definition_id,
            performer: message.performer,
            aggregator: message.aggregator,
            pins: message.pins_hash,
            tasks: message.tasks_hash,
            targetChainId: message.target_chain_id,
        },
        signature: message.signature,
        engine_id: message.engine_id,
        pins: message.pins.iter().map(|p| Pin { chain_id: p.chain_id, number: p.number, hash: p.hash }).collect(),
        batch_hashes: message.batch_hashes.to_vec(),
        index: message.index,
        tasks: Vec::from(message.tasks).into_iter().map(TaskMessage::task).collect::<Result<_, _>>()?,
    })
}

impl TaskMessage {
    fn new(task: &Task) -> Result<Self, WireError> {
        Ok(Self {
            workflow: task.occurrence.workflow,
            slot: task.occurrence.slot,
            sender: task.op.sender,
            nonce: task.op.nonce,
            call_data: list(task.op.call_data.to_vec(), "call_data")?,
            verification_gas: task.op.verification_gas,
            call_gas: task.op.call_gas,
            pre_verification_gas: task.op.pre_verification_gas,
            max_fee: task.op.max_fee,
            max_priority_fee: task.op.max_priority_fee,
            session_key: task.terms.session_key,
            valid_after: task.terms.valid_after,
            valid_until: task.terms.valid_until,
            run: task.run,
            evidence: list(task.evidence.iter().map(ObservationMessage::new).collect(), "evidence")?,
        })
    }

    fn task(self) -> Result<Task, WireError> {
        // The contract's times have 48 bits; anything above would be signed as something else.
        const TIME_BITS: u32 = 48;
        if self.valid_after >> TIME_BITS != 0 || self.valid_until >> TIME_BITS != 0 {
            return Err(WireError::Range { field: "valid_after/valid_until" });
        }
        Ok(Task {
            occurrence: Occurrence { workflow: self.workflow, slot: self.slot },
            op: UserOperation {
                sender: self.sender,
                nonce: self.nonce,
                call_data: Vec::from(self.call_data).into(),
                verification_gas: self.verification_gas,
                call_gas: self.call_gas,
                pre_verification_gas: self.pre_verification_gas,
                max_fee: self.max_fee,
                max_priority_fee: self.max_priority_fee,
            },
            terms: ConsentTerms {
                session_key: self.session_key,
                valid_after: self.valid_after,
                valid_until: self.valid_until,
            },
            evidence: Vec::from(self.evidence)
                .into_iter()
                .map(ObservationMessage::observation)
                .collect::<Result<_, _>>()?,
            run: self.run,
        })
    }
}

impl ObservationMessage {
    fn new(seen: &Observation) -> Self {
        let (kind, log_index) = seen.observed.parts();
        Self {
            trigger: seen.trigger,
            kind,
            chain_id: seen.chain_id,
            block_number: seen.block_number,
            block_hash: seen.block_hash,
            log_index,
            digest: seen.digest,
        }
    }

    fn observation(self) -> Result<Observation, WireError> {
        let observed = Observed::from_parts(self.kind, self.log_index).ok_or(WireError::Range { field: "evidence" })?;
        Ok(Observation {
            trigger: self.trigger,
            chain_id: self.chain_id,
            block_number: self.block_number,
            block_hash: self.block_hash,
            observed,
            digest: self.digest,
        })
    }
}

// The lists' bounds are the protocol's.
const _: () = assert!(MAX_CALL_DATA == 65_536 && MAX_OBSERVATIONS == U32::USIZE);

fn list<T, N: Unsigned>(items: Vec<T>, field: &'static str) -> Result<VariableList<T, N>, WireError> {
    VariableList::new(items).map_err(|_| WireError::Range { field })
}
