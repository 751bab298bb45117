//! The durable ledger: what became of every proposed task.
//!
//! Two tables. `tasks` has one line per proposed task, which ends exactly once ([`TaskState`]); `batches` holds what is
//! needed to go on after a crash with every batch that has not wholly ended: its bytes, its certificate, its transaction.
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

use crate::batch::{Batch, Certified};
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
    by_end: BTreeSet<(u64, BatchId)>,
    by_operation: HashMap<B256, BTreeSet<(BatchId, u16)>>,
    /// When each open batch ends, and how many of its tasks are open.
    open: HashMap<BatchId, (u64, usize)>,
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
        for unfinished in ledger.unfinished()? {
            ledger.index().add(&unfinished.batch);
        }
        for task in ledger.tasks()?.iter().filter(|task| task.state.is_end()) {
            ledger.index().remove(task.user_op_hash, task.batch, task.place);
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
                tx.open_table(BATCHES)?.insert(batch_key(id).as_slice(), encode(&record).as_slice())?;
                Ok(true)
            })
            .await?;
        if new {
            self.index().add(batch);
        }
        Ok(new)
    }

    /// Records a certificate, before it is sent anywhere. Gives the tasks it moved; none when the batch has ended or
    /// has a certificate.
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
        let id = certified.batch.id;
        let decided: Vec<u16> = (0u16..)
            .zip(&certified.verdicts.0)
            .filter(|(_, verdict)| **verdict != Verdict::Abstain)
            .map(|(place, _)| place)
            .collect();
        let change = move |tx: &WriteTransaction| {
            let Some(mut record) = batch_record(tx, id)?.filter(|record| record.certificate.is_none()) else {
                return Ok(Vec::new());
            };
            record.certificate = Some(certificate.clone());
            put_batch(tx, id, &record)?;
            move_tasks(tx, decided.iter().map(|place| (id, *place, TaskState::Certified)), 0)
        };
        Ok(self.writer.write(change).await?.into_iter().map(|(_, moved)| moved).collect())
    }

    /// Records where a submission stands; with the first one its tasks are submitted.
    ///
    /// # Errors
    /// When it is not on the disk: then nothing may be sent.
    pub async fn submit(&self, id: BatchId, submission: &Submission) -> Result<(), LedgerError> {
        let submission = submission.clone();
        let change = move |tx: &WriteTransaction| {
            let Some(mut record) = batch_record(tx, id)? else { return Ok(()) };
            record.submission = Some(submission.clone());
            let verdicts = record.certificate.as_ref().map(|c| c.verdicts.clone()).unwrap_or_default();
            put_batch(tx, id, &record)?;
            let decided = (0u16..).zip(&verdicts).filter(|(_, byte)| **byte != Verdict::Abstain.byte());
            move_tasks(tx, decided.map(|(place, _)| (id, place, TaskState::Submitted)), 0)?;
            Ok(())
        };
        Ok(self.writer.write(change).await?)
    }

    /// Notes why tasks did not go through so far.
    ///
    /// # Errors
    /// When it is not on the disk.
    pub async fn note(&self, id: BatchId, notes: BTreeMap<u16, String>) -> Result<(), LedgerError> {
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
                let ended = move_tasks(tx, all.iter().cloned(), now_ms)?;
                let batches: BTreeSet<BatchId> = ended.iter().map(|(task, _)| task.batch).collect();
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
            index.remove(task.user_op_hash, task.batch, task.place);
        }
        Ok(ended.into_iter().map(|(_, moved)| moved).collect())
    }

    /// The open batches whose validity ended before this second.
    #[must_use]
    pub fn overdue(&self, before: u64) -> Vec<BatchId> {
        let index = self.index();
        index.by_end.iter().take_while(|(end, _)| *end < before).map(|(_, id)| *id).collect()
    }

    /// How many batches are open.
    #[must_use]
    pub fn open_batches(&self) -> usize {
        self.index().by_end.len()
    }

    /// An open batch.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn batch(&self, id: BatchId) -> Result<Option<Unfinished>, LedgerError> {
        let record = self.writer.store().get(BATCHES, batch_key(id).as_slice(), <[u8]>::to_vec)?;
        record.map(|bytes| self.restore(id, &bytes)).transpose()
    }

    /// Where the tasks of a batch stand, by place.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn states(&self, id: BatchId) -> Result<BTreeMap<u16, TaskState>, LedgerError> {
        let lines = self.writer.store().read(|tx| {
            let (from, to) = (task_key(id, 0), task_key(id, u16::MAX));
            let table = tx.open_table(TASKS)?;
            table
                .range(from.as_slice()..=to.as_slice())?
                .map(|line| Ok(line?.1.value().to_vec()))
                .collect::<Result<Vec<_>, redb::Error>>()
        })?;
        lines.iter().map(|line| decode::<TaskRecord>(line).map(|task| (task.place, task.state))).collect()
    }

    /// All open batches, for the start.
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

    fn restore(&self, id: BatchId, bytes: &[u8]) -> Result<Unfinished, LedgerError> {
        let record: BatchRecord = decode(bytes)?;
        let proposed = wire::decode_batch(&record.wire).map_err(|e| LedgerError::Record(e.to_string()))?;
        let batch = Arc::new(Batch::new(&self.domain, id, proposed, record.seen_ms));
        let certified = record.certificate.map(|certificate| restore_certificate(&batch, &certificate)).transpose()?;
        Ok(Unfinished {
            batch,
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

impl Index {
    fn add(&mut self, batch: &Batch) {
        let end = batch.valid_until();
        self.by_end.insert((end, batch.id));
        self.open.insert(batch.id, (end, batch.hashes.len()));
        for (place, hash) in (0u16..).zip(&batch.hashes) {
            self.by_operation.entry(*hash).or_default().insert((batch.id, place));
        }
    }

    fn remove(&mut self, hash: B256, id: BatchId, place: u16) {
        let Some(places) = self.by_operation.get_mut(&hash) else { return };
        if !places.remove(&(id, place)) {
            return;
        }
        if places.is_empty() {
            self.by_operation.remove(&hash);
        }
        // The batch is open for as long as one of its tasks is.
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
