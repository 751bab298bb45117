//! The durable ledger: what became of every proposed task.
//!
//! Two tables. `tasks` has one line per proposed task, which ends exactly once ([`TaskState`]); `batches` holds what is
//! needed to go on after a crash with every batch that has not wholly ended: its bytes, its certificate, its transaction.
//! A batch whose vote was split has a line per certificate ([`PartId`]), and each of its tasks belongs to one of them.
//! Writes are synced before they return (group commit in [`ditto_core::store`]). A change of state is decided inside the
//! write transaction, by what is on the disk, so that two that race cannot both end a task.

mod record;
mod table;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alloy::primitives::{Address, B256, Bytes};
use ditto_core::clock::Slot;
use ditto_core::consent::SigningDomain;
use ditto_core::proposal::BatchId;
use ditto_core::store::{ReadableTable, Store, StoreError, StoreIdentity, WriteTransaction, Writer, redb};
use ditto_core::verdict::Verdict;
use ditto_core::wire;

pub use record::{BatchRecord, CertificateRecord, TaskRecord, TaskState};

use crate::batch::{Batch, Certified, PartId};
use crate::config::LedgerConfig;
use crate::submit::Submission;
use table::{
    BATCHES, TASKS, batch_key, batch_record, decode, encode, has_open_tasks, move_tasks, put_batch, read_batch_key,
    restore_certificate, task_key,
};

const FILE: &str = "ledger.redb";
const SCHEMA: u32 = 1;

/// Why the ledger does not open, read or write.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The store says so.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A line that this release cannot read.
    #[error("the ledger holds a record that cannot be read: {0}")]
    Record(String),
}

/// A task that a change moved to a new state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The slot it was proposed in.
    pub slot: Slot,
    /// Its new state.
    pub state: TaskState,
}

/// A batch to go on with.
#[derive(Clone, Debug)]
pub struct Unfinished {
    /// The batch.
    pub batch: Arc<Batch>,
    /// Which part of it.
    pub part: u16,
    /// Its certificate, once there is one.
    pub certified: Option<Arc<Certified>>,
    /// Its transaction, once there is one.
    pub submission: Option<Submission>,
    /// The chain's head when it was proposed.
    pub since_block: u64,
    /// Why tasks did not go through so far, by place.
    pub notes: BTreeMap<u16, String>,
}

/// The ledger. Clones write to the same.
#[derive(Clone)]
pub struct Ledger {
    writer: Writer,
    domain: SigningDomain,
    index: Arc<Mutex<Index>>,
}

/// What is open, in memory: as large as what is on the disk in `batches`.
#[derive(Default)]
struct Index {
    by_end: BTreeSet<(u64, PartId)>,
    by_operation: HashMap<B256, BTreeSet<(BatchId, u16)>>,
    /// When each open part ends, and how many of its tasks are open.
    open: HashMap<PartId, (u64, usize)>,
}

/// Whose ledger it is.
#[must_use]
pub fn identity(network: &str, domain: &SigningDomain, submitter: Address) -> StoreIdentity {
    StoreIdentity {
        network: format!("{network} (eip155:{}/{})", domain.chain_id, domain.attestation_center),
        key: submitter.to_string(),
        kind: "ledger".to_owned(),
        schema: SCHEMA,
    }
}

impl Ledger {
    /// Opens the ledger in this directory, removes what is older than `config` keeps, and loads what is open.
    ///
    /// # Errors
    /// When the file is another's, in use or damaged, or a record cannot be read.
    pub fn open(
        directory: &Path,
        identity: &StoreIdentity,
        domain: SigningDomain,
        config: &LedgerConfig,
        now: Slot,
    ) -> Result<Self, LedgerError> {
        let store = Arc::new(Store::open(directory.join(FILE), identity)?);
        let oldest = now.saturating_sub(config.keep_slots);
        store.write(|tx| {
            tx.open_table(BATCHES)?;
            tx.open_table(TASKS)?.retain(|_, value| {
                // What cannot be read is kept: it is an error below, not garbage.
                serde_json::from_slice::<TaskRecord>(value).map_or(true, |t| !t.state.is_end() || t.slot >= oldest)
            })?;
            Ok(())
        })?;
        let writer = Writer::start("ledger", store, &config.writer)?;
        let ledger = Self { writer, domain, index: Arc::default() };
        let ends: HashMap<PartId, u64> =
            ledger.unfinished()?.iter().map(|left| (left.id(), left.batch.valid_until())).collect();
        for task in ledger.tasks()?.iter().filter(|task| !task.state.is_end()) {
            let id = PartId { batch: task.batch, part: task.part };
            if let Some(end) = ends.get(&id) {
                ledger.index().add(id, *end, task.place, task.user_op_hash);
            }
        }
        Ok(ledger)
    }

    /// Records a batch's tasks as proposed. `false` when they were recorded before.
    ///
    /// # Errors
    /// When it is not on the disk.
    pub async fn propose(&self, batch: &Batch, since_block: u64) -> Result<bool, LedgerError> {
        let record = BatchRecord {
            wire: wire::encode_batch(&batch.proposed).map_err(|e| LedgerError::Record(e.to_string()))?.into(),
            valid_until: batch.valid_until(),
            since_block,
            seen_ms: batch.seen_ms,
            certificate: None,
            submission: None,
            notes: BTreeMap::new(),
        };
        let id = batch.id;
        let mut tasks = Vec::with_capacity(batch.hashes.len());
        for ((place, task), hash) in (0u16..).zip(&batch.proposed.tasks).zip(&batch.hashes) {
            let record = TaskRecord {
                batch: id,
                place,
                part: 0,
                slot: batch.slot(),
                occurrence: task.occurrence,
                user_op_hash: *hash,
                proposed_ms: batch.seen_ms,
                ended_ms: 0,
                state: TaskState::Proposed,
            };
            tasks.push((task_key(id, place), record));
        }
        let new = self
            .writer
            .write(move |tx| {
                let mut lines = tx.open_table(TASKS)?;
                if lines.get(task_key(id, 0).as_slice())?.is_some() {
                    return Ok(false);
                }
                for (key, task) in &tasks {
                    lines.insert(key.as_slice(), encode(task).as_slice())?;
                }
                put_batch(tx, id.into(), &record)?;
                Ok(true)
            })
            .await?;
        if new {
            let mut index = self.index();
            for (place, hash) in (0u16..).zip(&batch.hashes) {
                index.add(id.into(), batch.valid_until(), place, *hash);
            }
        }
        Ok(new)
    }

    /// Records a certificate, before it is sent anywhere. Gives the tasks it moved; none when the batch has ended, the
    /// part has a certificate, or every task that it decides has one.
    ///
    /// The certificate of part 0 becomes the batch's own. That of another part makes a line of its own, and the tasks that
    /// it decides go over to it; what is left waits on under the batch.
    ///
    /// # Errors
    /// When it is not on the disk.
    pub async fn certify(&self, certified: &Certified) -> Result<Vec<Moved>, LedgerError> {
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let certificate = CertificateRecord {
            verdicts: certified.verdicts.bytes().into(),
            signers: certified.signers.iter().map(|signer| narrow(*signer)).collect(),
            members: narrow(certified.members),
            signature: Bytes::copy_from_slice(&certified.signature.to_bytes()),
        };
        let (id, base) = (certified.id(), PartId::from(certified.batch.id));
        let decided: Vec<u16> = (0u16..)
            .zip(&certified.verdicts.0)
            .filter(|(_, verdict)| **verdict != Verdict::Abstain)
            .map(|(place, _)| place)
            .collect();
        let change = move |tx: &WriteTransaction| {
            let Some(mut record) = batch_record(tx, base)? else { return Ok(Vec::new()) };
            let known = if id == base { record.certificate.is_some() } else { batch_record(tx, id)?.is_some() };
            if known {
                return Ok(Vec::new());
            }
            let moves = decided.iter().map(|place| (id.batch, *place, TaskState::Certified));
            let moved = move_tasks(tx, moves, Some(id.part), 0)?;
            if moved.is_empty() {
                return Ok(moved);
            }
            record.certificate = Some(certificate.clone());
            if id != base {
                record.submission = None;
                record.notes.clear();
                if !has_open_tasks(tx, base)? {
                    tx.open_table(BATCHES)?.remove(batch_key(base).as_slice())?;
                }
            }
            put_batch(tx, id, &record)?;
            Ok(moved)
        };
        let moved = self.writer.write(change).await?;
        if id != base {
            let mut index = self.index();
            for (task, _) in &moved {
                index.remove(base, task.place, task.user_op_hash);
                index.add(id, certified.batch.valid_until(), task.place, task.user_op_hash);
            }
        }
        Ok(moved.into_iter().map(|(_, moved)| moved).collect())
    }

    /// Records where a submission stands; with the first one its tasks are submitted.
    ///
    /// # Errors
    /// When it is not on the disk: then nothing may be sent.
    pub async fn submit(&self, id: PartId, submission: &Submission) -> Result<(), LedgerError> {
        let submission = submission.clone();
        let change = move |tx: &WriteTransaction| {
            let Some(mut record) = batch_record(tx, id)? else { return Ok(()) };
            record.submission = Some(submission.clone());
            let verdicts = record.certificate.as_ref().map(|c| c.verdicts.clone()).unwrap_or_default();
            put_batch(tx, id, &record)?;
            let decided = (0u16..).zip(&verdicts).filter(|(_, byte)| **byte != Verdict::Abstain.byte());
            move_tasks(tx, decided.map(|(place, _)| (id.batch, place, TaskState::Submitted)), None, 0)?;
            Ok(())
        };
        Ok(self.writer.write(change).await?)
    }

    /// Notes why tasks did not go through so far.
    ///
    /// # Errors
    /// When it is not on the disk.
    pub async fn note(&self, id: PartId, notes: BTreeMap<u16, String>) -> Result<(), LedgerError> {
        let change = move |tx: &WriteTransaction| {
            let Some(mut record) = batch_record(tx, id)? else { return Ok(()) };
            record.notes.extend(notes.clone());
            put_batch(tx, id, &record)
        };
        Ok(self.writer.write(change).await?)
    }

    /// Ends tasks of a batch, by place. An executed operation supersedes the same operation in every other open batch.
    /// Gives the tasks that ended now; those that had ended before stay as they were.
    ///
    /// # Errors
    /// When it is not on the disk.
    pub async fn end(
        &self,
        batch: &Batch,
        ends: Vec<(u16, TaskState)>,
        now_ms: u64,
    ) -> Result<Vec<Moved>, LedgerError> {
        let mut all: Vec<(BatchId, u16, TaskState)> = Vec::with_capacity(ends.len());
        {
            let index = self.index();
            for (place, state) in &ends {
                let hash = batch.hashes.get(usize::from(*place));
                if let (TaskState::Executed { tx }, Some(others)) =
                    (state, hash.and_then(|h| index.by_operation.get(h)))
                {
                    let others = others.iter().filter(|other| **other != (batch.id, *place));
                    all.extend(others.map(|(id, place)| (*id, *place, TaskState::Superseded { tx: *tx })));
                }
            }
        }
        all.extend(ends.into_iter().map(|(place, state)| (batch.id, place, state)));
        let ended = self
            .writer
            .write(move |tx| {
                let ended = move_tasks(tx, all.iter().cloned(), None, now_ms)?;
                let parts = ended.iter().map(|(task, _)| PartId { batch: task.batch, part: task.part });
                let batches: BTreeSet<PartId> = parts.collect();
                for id in batches {
                    if !has_open_tasks(tx, id)? {
                        tx.open_table(BATCHES)?.remove(batch_key(id).as_slice())?;
                    }
                }
                Ok(ended)
            })
            .await?;
        let mut index = self.index();
        for (task, _) in &ended {
            index.remove(PartId { batch: task.batch, part: task.part }, task.place, task.user_op_hash);
        }
        Ok(ended.into_iter().map(|(_, moved)| moved).collect())
    }

    /// The open batches, and parts, whose validity ended before this second.
    #[must_use]
    pub fn overdue(&self, before: u64) -> Vec<PartId> {
        let index = self.index();
        index.by_end.iter().take_while(|(end, _)| *end < before).map(|(_, id)| *id).collect()
    }

    /// The open batches, and parts of them, that hold an operation of this one; itself may be among them.
    #[must_use]
    pub fn twins(&self, batch: &Batch) -> Vec<PartId> {
        let index = self.index();
        let holders = batch.hashes.iter().filter_map(|hash| index.by_operation.get(hash)).flatten();
        let batches: BTreeSet<BatchId> = holders.map(|(id, _)| *id).collect();
        index.by_end.iter().map(|(_, id)| *id).filter(|id| batches.contains(&id.batch)).collect()
    }

    /// How many batches are open, parts counted.
    #[must_use]
    pub fn open_batches(&self) -> usize {
        self.index().by_end.len()
    }

    /// An open batch, or a part of it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn batch(&self, id: PartId) -> Result<Option<Unfinished>, LedgerError> {
        let record = self.writer.store().get(BATCHES, batch_key(id).as_slice(), <[u8]>::to_vec)?;
        record.map(|bytes| self.restore(id, &bytes)).transpose()
    }

    /// Where the tasks of a part stand, by place; those that another part took are not among them.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn states(&self, id: PartId) -> Result<BTreeMap<u16, TaskState>, LedgerError> {
        let lines = self.writer.store().read(|tx| {
            let (from, to) = (task_key(id.batch, 0), task_key(id.batch, u16::MAX));
            let table = tx.open_table(TASKS)?;
            table
                .range(from.as_slice()..=to.as_slice())?
                .map(|line| Ok(line?.1.value().to_vec()))
                .collect::<Result<Vec<_>, redb::Error>>()
        })?;
        let tasks = lines.iter().map(|line| decode::<TaskRecord>(line)).collect::<Result<Vec<_>, _>>()?;
        Ok(tasks.into_iter().filter(|task| task.part == id.part).map(|task| (task.place, task.state)).collect())
    }

    /// All open batches and parts, for the start.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn unfinished(&self) -> Result<Vec<Unfinished>, LedgerError> {
        let lines = self.writer.store().read(|tx| {
            let table = tx.open_table(BATCHES)?;
            table
                .iter()?
                .map(|line| line.map(|(key, value)| (key.value().to_vec(), value.value().to_vec())).map_err(Into::into))
                .collect::<Result<Vec<_>, redb::Error>>()
        })?;
        lines.iter().map(|(key, value)| self.restore(read_batch_key(key)?, value)).collect()
    }

    /// Every task, in no particular order.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn tasks(&self) -> Result<Vec<TaskRecord>, LedgerError> {
        tasks(self.writer.store())
    }

    fn restore(&self, id: PartId, bytes: &[u8]) -> Result<Unfinished, LedgerError> {
        let record: BatchRecord = decode(bytes)?;
        let proposed = wire::decode_batch(&record.wire).map_err(|e| LedgerError::Record(e.to_string()))?;
        let batch = Arc::new(Batch::new(&self.domain, id.batch, proposed, record.seen_ms));
        let certified =
            record.certificate.map(|certificate| restore_certificate(&batch, id.part, &certificate)).transpose()?;
        Ok(Unfinished {
            batch,
            part: id.part,
            certified: certified.map(Arc::new),
            submission: record.submission,
            since_block: record.since_block,
            notes: record.notes,
        })
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        // Sets are inserted into and removed from whole, so a panic elsewhere leaves nothing half-done.
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Every task in the ledger of this directory; for a reader beside which no aggregator runs.
///
/// # Errors
/// When the file is another's, in use or damaged.
pub fn list(directory: &Path, identity: &StoreIdentity) -> Result<Vec<TaskRecord>, LedgerError> {
    let path = directory.join(FILE);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let mut tasks = tasks(&Store::open(path, identity)?)?;
    tasks.sort_by_key(|task| (task.slot, task.proposed_ms, task.batch, task.place));
    Ok(tasks)
}

fn tasks(store: &Store) -> Result<Vec<TaskRecord>, LedgerError> {
    let lines = store.read(|tx| match tx.open_table(TASKS) {
        Ok(table) => table.iter()?.map(|line| Ok(line?.1.value().to_vec())).collect::<Result<Vec<_>, redb::Error>>(),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    })?;
    lines.iter().map(|line| decode(line)).collect()
}

impl Unfinished {
    /// Its name.
    #[must_use]
    pub fn id(&self) -> PartId {
        PartId { batch: self.batch.id, part: self.part }
    }
}

impl Index {
    fn add(&mut self, id: PartId, end: u64, place: u16, hash: B256) {
        if self.by_operation.entry(hash).or_default().insert((id.batch, place)) {
            self.by_end.insert((end, id));
            self.open.entry(id).or_insert((end, 0)).1 += 1;
        }
    }

    fn remove(&mut self, id: PartId, place: u16, hash: B256) {
        let Some(places) = self.by_operation.get_mut(&hash) else { return };
        if !places.remove(&(id.batch, place)) {
            return;
        }
        if places.is_empty() {
            self.by_operation.remove(&hash);
        }
        // A part is open for as long as one of its tasks is.
        if let Some((end, tasks)) = self.open.get_mut(&id) {
            *tasks = tasks.saturating_sub(1);
            if *tasks == 0 {
                self.by_end.remove(&(*end, id));
                self.open.remove(&id);
            }
        }
    }
}

#[cfg(test)]
mod tests;
