//! Sign once: what this operator has said of every occurrence, on disk before it leaves the process.
//!
//! A conflict is one operation approved and rejected, or two different operations approved for one occurrence and slot.
//! Saying the same again, in another grouping, is none. A verdict that would conflict becomes an abstention; so does
//! everything when the journal cannot be written.

use alloy::primitives::B256;
use ditto_core::clock::Slot;
use ditto_core::store::{ReadableTable, Store, StoreError, TableDefinition, WriteTransaction, Writer, redb};
use ditto_core::task::Occurrence;
use ditto_core::verdict::{Verdict, VerdictVector};

/// Slot of the attempt (8 bytes), workflow (8), slot of the occurrence (8), all big-endian -> approved hash or zero (32), then
/// every rejected hash (32 each). The attempt's slot comes first, so that what is old is one range.
const VERDICTS: TableDefinition<'static, &[u8; 24], &[u8]> = TableDefinition::new("verdicts");

/// Slot -> digest of the proposal signed for it.
const PROPOSALS: TableDefinition<'static, u64, &[u8; 32]> = TableDefinition::new("proposals");
/// "floor" -> the first slot that is still remembered. Below it nothing is signed: what was said there is forgotten.
const MARKS: TableDefinition<'static, &str, u64> = TableDefinition::new("marks");
const FLOOR: &str = "floor";
/// Slots remembered. Consents are valid for a few slots; this is hours, for clocks that were set wrong.
const KEPT: Slot = 8_192;
/// The floor moves in steps, so that forgetting costs one write in so many slots.
const STEP: Slot = 256;

/// Rejected operations remembered per occurrence and slot. An honest slot has none; what comes beyond is abstained from,
/// so that a stream of forged operations cannot grow the journal.
const REJECTED: usize = 16;

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
#[derive(Debug, Default, PartialEq, Eq)]
struct Record {
    approved: B256,
    rejected: Vec<B256>,
}

impl Journal {
    /// A journal over this writer.
    #[must_use]
    pub fn new(writer: Writer) -> Self {
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

impl Record {
    fn read(bytes: &[u8]) -> Self {
        let mut words = bytes.chunks_exact(32).map(B256::from_slice);
        Self { approved: words.next().unwrap_or_default(), rejected: words.collect() }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.approved.to_vec();
        bytes.extend(self.rejected.iter().flat_map(|hash| hash.0));
        bytes
    }

    /// Says it, if it can be said; otherwise abstains.
    fn say(&mut self, operation: B256, verdict: Verdict) -> Verdict {
        let conflicts = match verdict {
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

fn key(occurrence: Occurrence, slot: Slot) -> [u8; 24] {
    let mut key = [0; 24];
    key[..8].copy_from_slice(&slot.to_be_bytes());
    key[8..16].copy_from_slice(&occurrence.workflow.to_be_bytes());
    key[16..].copy_from_slice(&occurrence.slot.to_be_bytes());
    key
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use ditto_core::store::{StoreIdentity, WriterConfig};
    use ditto_core::verdict::Reason;
    use proptest::prelude::*;
    use std::sync::Arc;

    const OCCURRENCE: Occurrence = Occurrence { workflow: 3, slot: 9 };

    fn open(path: &std::path::Path) -> Journal {
        let identity = StoreIdentity { network: "test".into(), key: "00".into(), kind: "journal".into(), schema: 1 };
        let store = Arc::new(Store::open(path, &identity).unwrap());
        Journal::new(Writer::start("journal", store, &WriterConfig::default()).unwrap())
    }

    fn propose(journal: &Journal, slot: Slot, digest: B256) -> bool {
        futures::executor::block_on(journal.propose(slot, digest)).unwrap()
    }

    fn say(journal: &Journal, operation: u8, verdict: Verdict) -> Verdict {
        let entry = Entry { occurrence: OCCURRENCE, operation: B256::repeat_byte(operation), verdict };
        journal.record(9, vec![entry]).unwrap().0[0]
    }

    #[test]
    fn what_was_said_binds_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal.redb");
        let journal = open(&path);
        assert_eq!(say(&journal, 1, Verdict::Approve), Verdict::Approve);
        assert_eq!(say(&journal, 2, Verdict::Reject(Reason::Policy)), Verdict::Reject(Reason::Policy));
        drop(journal);
        let journal = open(&path);
        assert_eq!(say(&journal, 1, Verdict::Approve), Verdict::Approve, "saying it again is no conflict");
        assert_eq!(say(&journal, 3, Verdict::Approve), Verdict::Abstain, "a second operation");
        assert_eq!(say(&journal, 1, Verdict::Reject(Reason::Policy)), Verdict::Abstain, "approved before");
        assert_eq!(say(&journal, 2, Verdict::Approve), Verdict::Abstain, "rejected before");
    }

    #[test]
    fn one_proposal_per_slot_and_none_where_memory_ends() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal.redb");
        let journal = open(&path);
        assert!(propose(&journal, 5, B256::repeat_byte(1)));
        drop(journal);
        let journal = open(&path);
        assert!(propose(&journal, 5, B256::repeat_byte(1)), "the same again");
        assert!(!propose(&journal, 5, B256::repeat_byte(2)));
        assert_eq!(say(&journal, 1, Verdict::Approve), Verdict::Approve);
        assert!(propose(&journal, KEPT + STEP, B256::repeat_byte(3)));
        assert!(!propose(&journal, 5, B256::repeat_byte(1)), "what was said there is forgotten");
        assert_eq!(say(&journal, 1, Verdict::Approve), Verdict::Abstain);
    }

    proptest! {
        #[test]
        fn no_order_of_verdicts_makes_a_conflict(said in proptest::collection::vec((1u8..5, 0u8..3), 1..40)) {
            let mut record = Record::default();
            let (mut approved, mut rejected) = (Vec::new(), Vec::new());
            for (operation, verdict) in said {
                let operation = B256::repeat_byte(operation);
                let verdict = [Verdict::Approve, Verdict::Reject(Reason::Threw), Verdict::Abstain][usize::from(verdict)];
                let mut reread = Record::read(&record.bytes());
                prop_assert_eq!(&reread, &record);
                match reread.say(operation, verdict) {
                    Verdict::Approve => approved.push(operation),
                    Verdict::Reject(_) => rejected.push(operation),
                    Verdict::Abstain => {}
                }
                record = reread;
            }
            approved.dedup();
            prop_assert!(approved.len() <= 1, "two operations approved");
            prop_assert!(!rejected.iter().any(|hash| approved.contains(hash)), "approved and rejected");
        }
    }
}
