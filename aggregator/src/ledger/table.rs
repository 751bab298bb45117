//! The ledger's tables: their keys, their lines, and the changes that are made within one write transaction.

use std::sync::Arc;

use alloy::primitives::B256;
use ditto_core::bls::Signature;
use ditto_core::proposal::BatchId;
use ditto_core::store::{ReadableTable, TableDefinition, WriteTransaction, redb};
use ditto_core::verdict::VerdictVector;

use super::record::{BatchRecord, CertificateRecord, TaskRecord, TaskState};
use super::{LedgerError, Moved};
use crate::batch::{Batch, Certified, PartId};

/// A line per proposed task; keyed by batch and place, so that a batch's tasks lie together.
pub(super) const TASKS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("tasks");
/// A line per part of a batch that has not wholly ended.
pub(super) const BATCHES: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("batches");

pub(super) fn restore_certificate(
    batch: &Arc<Batch>,
    part: u16,
    record: &CertificateRecord,
) -> Result<Certified, LedgerError> {
    let broken = |what: &str| LedgerError::Record(format!("the certificate of batch {} has {what}", batch.id));
    let signature: &[u8; 96] = record.signature.as_ref().try_into().map_err(|_| broken("a signature of wrong size"))?;
    let widen = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
    Ok(Certified {
        batch: batch.clone(),
        part,
        verdicts: VerdictVector::from_bytes(&record.verdicts).ok_or_else(|| broken("an unknown verdict"))?,
        signers: record.signers.iter().copied().map(widen).collect(),
        members: widen(record.members),
        signature: Signature::from_bytes(signature).ok_or_else(|| broken("a signature that is no point"))?,
    })
}

/// Moves those tasks that may move, into another part if one is given; gives each with what it became.
pub(super) fn move_tasks(
    tx: &WriteTransaction,
    moves: impl IntoIterator<Item = (BatchId, u16, TaskState)>,
    part: Option<u16>,
    now_ms: u64,
) -> Result<Vec<(TaskRecord, Moved)>, redb::Error> {
    let mut table = tx.open_table(TASKS)?;
    let mut moved = Vec::new();
    for (id, place, state) in moves {
        let key = task_key(id, place);
        let line = table.get(key.as_slice())?.map(|line| line.value().to_vec());
        let Some(mut task) = line.as_deref().map(stored::<TaskRecord>).transpose()? else { continue };
        if !task.state.may_become(&state) {
            continue;
        }
        if let Some(part) = part {
            task.part = part;
        }
        task.state = state.clone();
        if state.is_end() {
            task.ended_ms = now_ms;
        }
        table.insert(key.as_slice(), encode(&task).as_slice())?;
        let slot = task.slot;
        moved.push((task, Moved { slot, state }));
    }
    Ok(moved)
}

pub(super) fn has_open_tasks(tx: &WriteTransaction, id: PartId) -> Result<bool, redb::Error> {
    let table = tx.open_table(TASKS)?;
    let (from, to) = (task_key(id.batch, 0), task_key(id.batch, u16::MAX));
    for line in table.range(from.as_slice()..=to.as_slice())? {
        let task = stored::<TaskRecord>(line?.1.value())?;
        if task.part == id.part && !task.state.is_end() {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) fn batch_record(tx: &WriteTransaction, id: PartId) -> Result<Option<BatchRecord>, redb::Error> {
    let table = tx.open_table(BATCHES)?;
    let line = table.get(batch_key(id).as_slice())?.map(|line| line.value().to_vec());
    line.as_deref().map(stored).transpose()
}

pub(super) fn put_batch(tx: &WriteTransaction, id: PartId, record: &BatchRecord) -> Result<(), redb::Error> {
    tx.open_table(BATCHES)?.insert(batch_key(id).as_slice(), encode(record).as_slice())?;
    Ok(())
}

/// Proposal and index; a further part's number behind them.
pub(super) fn batch_key(id: PartId) -> Vec<u8> {
    let mut key = Vec::with_capacity(36);
    key.extend_from_slice(id.batch.proposal.as_slice());
    key.extend_from_slice(&id.batch.index.to_be_bytes());
    if id.part != 0 {
        key.extend_from_slice(&id.part.to_be_bytes());
    }
    key
}

pub(super) fn read_batch_key(key: &[u8]) -> Result<PartId, LedgerError> {
    let id = |proposal: &[u8], index: [u8; 2], part: [u8; 2]| PartId {
        batch: BatchId { proposal: B256::from_slice(proposal), index: u16::from_be_bytes(index) },
        part: u16::from_be_bytes(part),
    };
    match (key.get(..32), key.get(32..)) {
        (Some(proposal), Some([a, b])) => Ok(id(proposal, [*a, *b], [0, 0])),
        (Some(proposal), Some([a, b, c, d])) => Ok(id(proposal, [*a, *b], [*c, *d])),
        _ => Err(LedgerError::Record(format!("a batch has a key of {} bytes", key.len()))),
    }
}

pub(super) fn task_key(id: BatchId, place: u16) -> [u8; 36] {
    let mut key = [0; 36];
    key[..32].copy_from_slice(id.proposal.as_slice());
    key[32..34].copy_from_slice(&id.index.to_be_bytes());
    key[34..].copy_from_slice(&place.to_be_bytes());
    key
}

pub(super) fn encode(record: &impl serde::Serialize) -> Vec<u8> {
    // Plain data with text keys always serialises.
    serde_json::to_vec(record).unwrap_or_default()
}

pub(super) fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, LedgerError> {
    serde_json::from_slice(bytes).map_err(|error| LedgerError::Record(error.to_string()))
}

/// As [`decode`], within a transaction.
pub(super) fn stored<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, redb::Error> {
    serde_json::from_slice(bytes).map_err(|error| redb::Error::Corrupted(error.to_string()))
}
