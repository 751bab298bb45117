//! Sign once: what this operator has said of every occurrence, on disk before it leaves the process.
//!
//! A conflict is one operation approved and rejected, or two different operations approved for one occurrence and slot.
//! Saying the same again, in another grouping, is none. A verdict that would conflict becomes an abstention; so does
//! everything when the journal cannot be written.
//!
//! The journal is a witnessed store: when it is gone, another one, or an older state of itself, it does not open, and nothing
//! is signed until an operator decides ([`Journal::init`]). A journal that is made anew signs nothing for slots that could
//! have been signed for before it was made.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use alloy::primitives::B256;
use ditto_core::bls::PublicKey;
use ditto_core::clock::Slot;
use ditto_core::store::{
    Distrust, ReadableTable, Store, StoreError, StoreIdentity, TableDefinition, WriteTransaction, Writer, WriterConfig,
    redb,
};
use ditto_core::task::Occurrence;
use ditto_core::verdict::{Verdict, VerdictVector};

/// Slot of the attempt (8 bytes), workflow (8), slot of the occurrence (8), all big-endian -> approved hash or zero (32), then
/// every rejected hash (32 each). The attempt's slot comes first, so that what is old is one range.
pub(super) const VERDICTS: TableDefinition<'static, &[u8; 24], &[u8]> = TableDefinition::new("verdicts");

/// Slot -> digest of the proposal signed for it.
pub(super) const PROPOSALS: TableDefinition<'static, u64, &[u8; 32]> = TableDefinition::new("proposals");
/// "floor" -> the first slot that is still remembered. Below it nothing is signed: what was said there is forgotten.
/// "high" -> the last slot that was signed for. "retired" -> 1 once it was exported to be moved away. None of them ever sinks.
pub(super) const MARKS: TableDefinition<'static, &str, u64> = TableDefinition::new("marks");
pub(super) const FLOOR: &str = "floor";
pub(super) const HIGH: &str = "high";
pub(super) const RETIRED: &str = "retired";
/// The file's name in the state directory.
const FILE: &str = "journal.redb";
const SCHEMA: u32 = 1;
/// How far beyond the present slot a journal that is made anew begins: nobody proposes further ahead than one slot.
const AHEAD: Slot = 2;
/// Slots remembered. Consents are valid for a few slots; this is hours, for clocks that were set wrong.
const KEPT: Slot = 8_192;
/// The floor moves in steps, so that forgetting costs one write in so many slots.
const STEP: Slot = 256;

/// Rejected operations remembered per occurrence and slot. An honest slot has none; what comes beyond is abstained from,
/// so that a stream of forged operations cannot grow the journal.
const REJECTED: usize = 16;

/// Why there is no journal to sign with.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// There is none.
    #[error(
        "{} is missing, so nothing is signed. Has this consensus key never voted? Then run `ditto-operator journal init`. Has \
         it, on another server? Then bring its journal: `journal export --retire` there, `journal import` here", path.display()
    )]
    Absent {
        /// Where it should be.
        path: PathBuf,
    },
    /// It is not the one that was signed with last.
    #[error(
        "{}: {why}. Nothing is signed. Put the right journal and its marks back; or, when they are lost, run \
         `ditto-operator journal init --replace`, which moves these away and signs only from the next slots on", path.display()
    )]
    Distrusted {
        /// The journal.
        path: PathBuf,
        /// What is wrong.
        why: Distrust,
    },
    /// It was exported to be moved away.
    #[error(
        "{} was exported with --retire: its key signs elsewhere now. To come back, import what is exported there", path.display()
    )]
    Retired {
        /// The journal.
        path: PathBuf,
    },
    /// The store says so.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An old file cannot be moved away.
    #[error("cannot move {} away: {cause}", path.display())]
    Move {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        cause: std::io::Error,
    },
}

impl JournalError {
    fn of(error: StoreError) -> Self {
        match error {
            StoreError::Distrusted { path, why: Distrust::Absent } => Self::Absent { path },
            StoreError::Distrusted { path, why } => Self::Distrusted { path, why },
            error => Self::Store(error),
        }
    }
}

/// The journal.
#[derive(Clone)]
pub struct Journal(Writer);

/// One verdict to be journaled.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The occurrence.
    pub occurrence: Occurrence,
    /// The operation, by its userOpHash.
    pub operation: B256,
    /// The verdict.
    pub verdict: Verdict,
}

/// What is known of an occurrence in a slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// Zero: none. [`SEALED`]: journals that contradict each other were brought together, and nothing more is said.
    pub approved: B256,
    pub rejected: Vec<B256>,
}

/// No operation has this hash.
const SEALED: B256 = B256::repeat_byte(0xff);

impl Journal {
    /// Whose journal it is: a network, its target chain, a consensus key.
    #[must_use]
    pub fn identity(network: &str, target_chain: u64, key: &PublicKey) -> StoreIdentity {
        StoreIdentity {
            network: format!("{network}/eip155:{target_chain}"),
            key: alloy::hex::encode(key.to_bytes()),
            kind: "sign-once journal".into(),
            schema: SCHEMA,
        }
    }

    /// Where it is in a state directory.
    #[must_use]
    pub fn path(state_dir: &Path) -> PathBuf {
        state_dir.join(FILE)
    }

    /// Opens the journal to sign with.
    ///
    /// # Errors
    /// When there is none, or it is not the one that was signed with last: an operator has to decide what now.
    pub fn open(state_dir: &Path, identity: &StoreIdentity, config: &WriterConfig) -> Result<Self, JournalError> {
        let store = Self::store_of(state_dir, identity)?;
        if store.get(MARKS, RETIRED, |_| ())?.is_some() {
            return Err(JournalError::Retired { path: store.path().to_owned() });
        }
        Ok(Self(Writer::start("journal", Arc::new(store), config)?))
    }

    /// Opens the store, to look into it.
    pub(super) fn store_of(state_dir: &Path, identity: &StoreIdentity) -> Result<Store, JournalError> {
        Store::open_witnessed(Self::path(state_dir), identity).map_err(JournalError::of)
    }

    /// Makes a journal that signs for no slot before `now` and the next [`AHEAD`]: whatever this key may have signed
    /// before is not contradicted. Gives the first slot that it signs for.
    ///
    /// # Errors
    /// When there is one.
    pub fn init(state_dir: &Path, identity: &StoreIdentity, now: Slot) -> Result<Slot, JournalError> {
        let floor = now.saturating_add(AHEAD);
        Store::create_witnessed(Self::path(state_dir), identity, |tx| raise(tx, FLOOR, floor))
            .map_err(JournalError::of)?;
        Ok(floor)
    }

    /// As [`Journal::init`], with the files that are there moved away first. What their highest marks say still holds, where
    /// they can be read.
    ///
    /// # Errors
    /// When they cannot be moved.
    pub fn replace(
        state_dir: &Path,
        identity: &StoreIdentity,
        now: Slot,
        moved_at: u64,
    ) -> Result<(Slot, Vec<PathBuf>), JournalError> {
        let path = Self::path(state_dir);
        // Also what is distrusted may know a later slot than this machine's clock.
        let high = match path.exists().then(|| Store::open(&path, identity)) {
            Some(Ok(store)) => store.get(MARKS, HIGH, |high| high)?,
            Some(Err(_)) | None => None,
        };
        let mut moved = Vec::new();
        for name in [FILE.to_owned(), format!("{FILE}.marks")] {
            let old = state_dir.join(&name);
            if old.exists() {
                let aside = state_dir.join(format!("{name}.replaced-{moved_at}"));
                std::fs::rename(&old, &aside).map_err(|cause| JournalError::Move { path: old, cause })?;
                moved.push(aside);
            }
        }
        let floor = Self::init(state_dir, identity, now.max(high.unwrap_or_default()))?;
        Ok((floor, moved))
    }

    /// A journal over this writer: for storage of another kind.
    #[must_use]
    pub fn over(writer: Writer) -> Self {
        Self(writer)
    }

    /// The store beneath.
    #[must_use]
    pub fn store(&self) -> &Store {
        self.0.store()
    }

    /// Journals the verdicts of a batch and gives back those that may be signed: the same, with an abstention in place of
    /// every one that conflicts. When this returns, they are on disk. Blocks for one fsync, shared with other batches.
    ///
    /// # Errors
    /// When they cannot be made durable: then nothing may be signed.
    pub fn record(&self, slot: Slot, entries: Vec<Entry>) -> Result<VerdictVector, StoreError> {
        self.0.write_blocking(move |transaction| {
            if slot < forget(transaction, slot)? {
                return Ok(VerdictVector(vec![Verdict::Abstain; entries.len()]));
            }
            let mut table = transaction.open_table(VERDICTS)?;
            let mut allowed = Vec::with_capacity(entries.len());
            for entry in &entries {
                let key = key(entry.occurrence, slot);
                let mut record = match table.get(&key)? {
                    Some(bytes) => Record::read(bytes.value()),
                    None => Record::default(),
                };
                let verdict = record.say(entry.operation, entry.verdict);
                if verdict != Verdict::Abstain {
                    table.insert(&key, record.bytes().as_slice())?;
                }
                allowed.push(verdict);
            }
            drop(table);
            raise(transaction, HIGH, slot)?;
            Ok(VerdictVector(allowed))
        })
    }

    /// Journals the slot's proposal, and says whether it may be signed: the first one, or the same again.
    ///
    /// # Errors
    /// When it cannot be made durable: then nothing may be signed.
    pub async fn propose(&self, slot: Slot, digest: B256) -> Result<bool, StoreError> {
        self.0
            .write(move |transaction| {
                if slot < forget(transaction, slot)? {
                    return Ok(false);
                }
                let mut table = transaction.open_table(PROPOSALS)?;
                let before = table.get(slot)?.map(|known| B256::from(*known.value()));
                if before.is_none() {
                    table.insert(slot, &digest.0)?;
                }
                drop(table);
                raise(transaction, HIGH, slot)?;
                Ok(before.is_none_or(|known| known == digest))
            })
            .await
    }
}

/// Forgets what is old by now, and gives the first slot that is still remembered.
fn forget(transaction: &WriteTransaction, slot: Slot) -> Result<Slot, redb::Error> {
    let mut marks = transaction.open_table(MARKS)?;
    let floor = marks.get(FLOOR)?.map_or(0, |floor| floor.value());
    let wanted = slot.saturating_sub(KEPT) / STEP * STEP;
    if wanted <= floor {
        return Ok(floor);
    }
    marks.insert(FLOOR, wanted)?;
    let end = key(Occurrence { workflow: 0, slot: 0 }, wanted);
    transaction.open_table(VERDICTS)?.retain_in::<&[u8; 24], _>(..&end, |_, _| false)?;
    transaction.open_table(PROPOSALS)?.retain_in(..wanted, |_, _| false)?;
    Ok(wanted)
}

/// Raises a mark; never lowers it.
pub(super) fn raise(transaction: &WriteTransaction, mark: &'static str, to: u64) -> Result<(), redb::Error> {
    let mut marks = transaction.open_table(MARKS)?;
    let now = marks.get(mark)?.map_or(0, |now| now.value());
    if to > now {
        marks.insert(mark, to)?;
    }
    Ok(())
}

impl Record {
    pub fn read(bytes: &[u8]) -> Self {
        let mut words = bytes.chunks_exact(32).map(B256::from_slice);
        Self { approved: words.next().unwrap_or_default(), rejected: words.collect() }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.approved.to_vec();
        bytes.extend(self.rejected.iter().flat_map(|hash| hash.0));
        bytes
    }

    /// May nothing be said any more?
    pub fn is_sealed(&self) -> bool {
        self.approved == SEALED
    }

    /// Brings another journal's word on the same occurrence in: together they bind at least as much as each alone.
    pub fn merge(&mut self, other: &Self) {
        let both_approve = !self.approved.is_zero() && !other.approved.is_zero() && self.approved != other.approved;
        if self.approved.is_zero() {
            self.approved = other.approved;
        }
        for hash in &other.rejected {
            if !self.rejected.contains(hash) {
                self.rejected.push(*hash);
            }
        }
        // The deed is done elsewhere; nothing is added to it here.
        if both_approve || self.rejected.contains(&self.approved) {
            self.approved = SEALED;
        }
    }

    /// Says it, if it can be said; otherwise abstains.
    fn say(&mut self, operation: B256, verdict: Verdict) -> Verdict {
        let conflicts = match verdict {
            Verdict::Approve | Verdict::Reject(_) if self.is_sealed() => true,
            Verdict::Abstain => false,
            Verdict::Approve => {
                self.rejected.contains(&operation) || (!self.approved.is_zero() && self.approved != operation)
            }
            Verdict::Reject(_) => {
                self.approved == operation || (!self.rejected.contains(&operation) && self.rejected.len() >= REJECTED)
            }
        };
        if conflicts {
            metrics::counter!("ditto_operator_conflicts_avoided_total").increment(1);
            return Verdict::Abstain;
        }
        match verdict {
            Verdict::Approve => self.approved = operation,
            Verdict::Reject(_) if !self.rejected.contains(&operation) => self.rejected.push(operation),
            Verdict::Reject(_) | Verdict::Abstain => {}
        }
        verdict
    }
}

pub(super) fn key(occurrence: Occurrence, slot: Slot) -> [u8; 24] {
    let mut key = [0; 24];
    key[..8].copy_from_slice(&slot.to_be_bytes());
    key[8..16].copy_from_slice(&occurrence.workflow.to_be_bytes());
    key[16..].copy_from_slice(&occurrence.slot.to_be_bytes());
    key
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "journal_crash_tests.rs"]
mod crash_tests;
