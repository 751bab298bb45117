//! Which votes in parts are wanted: what the aggregator asked for, shared by who asks and who screens.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use ditto_core::proposal::BatchId;
use ditto_core::verdict::VerdictVector;

use crate::verify::Question;

/// The vectors asked for, by batch: at most two per task. Clones show the same.
#[derive(Clone, Debug, Default)]
pub struct Asked(Arc<RwLock<HashMap<BatchId, HashSet<VerdictVector>>>>);

impl Asked {
    /// Votes for these vectors are wanted from now on.
    pub fn add(&self, question: &Question) {
        let mut asked = self.0.write().unwrap_or_else(PoisonError::into_inner);
        asked.entry(question.batch.id).or_default().extend(question.vectors.iter().cloned());
    }

    /// Was this vector asked for?
    #[must_use]
    pub fn holds(&self, batch: BatchId, verdicts: &VerdictVector) -> bool {
        let asked = self.0.read().unwrap_or_else(PoisonError::into_inner);
        asked.get(&batch).is_some_and(|vectors| vectors.contains(verdicts))
    }

    /// Keeps what is asked about these batches.
    pub fn retain(&self, keep: impl Fn(&BatchId) -> bool) {
        let over = {
            let asked = self.0.read().unwrap_or_else(PoisonError::into_inner);
            asked.keys().any(|batch| !keep(batch))
        };
        if over {
            self.0.write().unwrap_or_else(PoisonError::into_inner).retain(|batch, _| keep(batch));
        }
    }
}
