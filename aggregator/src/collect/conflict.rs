//! What contradicts what: two votes of one attester that no honest journal lets it sign.
//!
//! A conflict is one operation approved and rejected, or two operations approved for one occurrence in one slot. Batches
//! that hold the same occurrence of the same slot are twins: a performer's second proposal, or a fallback's.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use alloy::primitives::B256;
use ditto_core::clock::Slot;
use ditto_core::proposal::BatchId;
use ditto_core::task::Occurrence;
use ditto_core::verdict::{Verdict, VerdictVector};

use crate::batch::Batch;

/// A vote, as far as it says something.
#[derive(Clone, Debug)]
pub struct Said {
    /// On which batch.
    pub batch: Arc<Batch>,
    /// What.
    pub verdicts: VerdictVector,
    /// The signature, perhaps not checked yet.
    pub signature: [u8; 96],
}

/// Two votes in one attester's name that contradict each other.
#[derive(Clone, Debug)]
pub struct Suspicion {
    /// The attester: index in the batches' set.
    pub attester: usize,
    /// What was heard first.
    pub first: Said,
    /// What came then.
    pub second: Said,
}

/// Can no honest attester say both?
#[must_use]
pub fn contradict(one: &Said, other: &Said) -> bool {
    if one.batch.slot() != other.batch.slot() || one.batch.set_id() != other.batch.set_id() {
        return false;
    }
    if one.batch.id == other.batch.id {
        return one.verdicts.0.iter().zip(&other.verdicts.0).any(|(a, b)| opposite(*a, *b));
    }
    let mut said: HashMap<Occurrence, (B256, Verdict)> = HashMap::new();
    for (occurrence, hash, verdict) in words(one) {
        said.insert(occurrence, (hash, verdict));
    }
    words(other).any(|(occurrence, hash, verdict)| {
        said.get(&occurrence).is_some_and(|(known, before)| match *known == hash {
            true => opposite(*before, verdict),
            false => *before == Verdict::Approve && verdict == Verdict::Approve,
        })
    })
}

fn opposite(a: Verdict, b: Verdict) -> bool {
    matches!((a, b), (Verdict::Approve, Verdict::Reject(_)) | (Verdict::Reject(_), Verdict::Approve))
}

fn words(said: &Said) -> impl Iterator<Item = (Occurrence, B256, Verdict)> + '_ {
    let tasks = said.batch.proposed.tasks.iter().zip(&said.batch.hashes).zip(&said.verdicts.0);
    tasks
        .filter(|(_, verdict)| **verdict != Verdict::Abstain)
        .map(|((task, hash), verdict)| (task.occurrence, *hash, *verdict))
}

/// Which known batches hold the same occurrences of the same slot.
#[derive(Debug, Default)]
pub struct Twins {
    by_occurrence: HashMap<(Slot, Occurrence), Vec<BatchId>>,
    twins: HashMap<BatchId, BTreeSet<BatchId>>,
}

impl Twins {
    /// Another batch is known.
    pub fn open(&mut self, batch: &Batch) {
        for task in &batch.proposed.tasks {
            let holders = self.by_occurrence.entry((batch.slot(), task.occurrence)).or_default();
            for other in holders.iter() {
                self.twins.entry(*other).or_default().insert(batch.id);
                self.twins.entry(batch.id).or_default().insert(*other);
            }
            holders.push(batch.id);
        }
    }

    /// Has a batch twins?
    #[must_use]
    pub fn has(&self, batch: BatchId) -> bool {
        self.twins.contains_key(&batch)
    }

    /// A batch's twins.
    pub fn of(&self, batch: BatchId) -> impl Iterator<Item = BatchId> + '_ {
        self.twins.get(&batch).into_iter().flatten().copied()
    }

    /// Forgets the others.
    pub fn retain(&mut self, keep: impl Fn(&BatchId) -> bool) {
        self.twins.retain(|batch, twins| {
            twins.retain(|twin| keep(twin));
            keep(batch)
        });
        self.by_occurrence.retain(|_, holders| {
            holders.retain(|batch| keep(batch));
            !holders.is_empty()
        });
    }
}
