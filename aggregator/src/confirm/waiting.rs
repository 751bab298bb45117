//! Certificates that could not be sent, and when each is tried again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::batch::{Certified, PartId};
use crate::config::SubmissionConfig;
use crate::submit::Hindrance;

/// A certificate that waits.
#[derive(Clone, Debug)]
pub(super) struct Wait {
    pub certified: Arc<Certified>,
    pub attempt: u32,
    until: Until,
}

#[derive(Clone, Copy, Debug)]
enum Until {
    Here(Instant),
    /// The chain's clock shows this second.
    Chain(u64),
}

/// All that wait; at most one entry per part of an open batch, so as bounded as the ledger's open batches.
#[derive(Debug, Default)]
pub(super) struct Waiting(HashMap<PartId, Wait>);

impl Waiting {
    /// Tries it again when what hindered it may be gone.
    pub fn hindered(
        &mut self,
        certified: Arc<Certified>,
        attempt: u32,
        hindrance: &Hindrance,
        config: &SubmissionConfig,
    ) {
        let soon = Duration::from_millis(config.poll_ms.max(100));
        let later = Duration::from_millis(config.retry_ms);
        let until = match hindrance {
            Hindrance::NotYet(second) => Until::Chain(*second),
            Hindrance::Node(_) | Hindrance::Behind(_) | Hindrance::Nonce | Hindrance::Ledger(_) => {
                Until::Here(Instant::now() + soon.min(later))
            }
            _ => Until::Here(Instant::now() + later),
        };
        self.0.insert(certified.id(), Wait { certified, attempt, until });
    }

    /// Has it submitted as soon as there is room.
    pub fn at_once(&mut self, certified: Arc<Certified>, attempt: u32) {
        self.0.insert(certified.id(), Wait { certified, attempt, until: Until::Here(Instant::now()) });
    }

    /// Does this one wait?
    pub fn contains(&self, id: &PartId) -> bool {
        self.0.contains_key(id)
    }

    /// Takes out those whose time has come; those whose validity is over are forgotten, the ledger writes them off.
    pub fn due(&mut self, chain_seconds: u64, now_ms: u64) -> Vec<Wait> {
        self.0.retain(|_, wait| wait.certified.batch.valid_until().saturating_mul(1000) > now_ms);
        let now = Instant::now();
        let due = self.0.extract_if(|_, wait| match wait.until {
            Until::Here(at) => at <= now,
            Until::Chain(second) => second <= chain_seconds,
        });
        due.map(|(_, wait)| wait).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing::*;
    use ditto_core::bls::Purpose;
    use ditto_core::verdict::VerdictVector;

    #[test]
    fn each_waits_for_its_own_reason_and_not_beyond_its_validity() {
        let certified = |performer| {
            Arc::new(Certified {
                batch: batch(performer, 1),
                part: 0,
                verdicts: VerdictVector::from_bytes(&[0]).unwrap(),
                signers: vec![0],
                members: 1,
                signature: secret(0).sign(&[1; 32], Purpose::Vote),
            })
        };
        let config = SubmissionConfig { retry_ms: 3_600_000, ..SubmissionConfig::default() };
        let mut waiting = Waiting::default();
        waiting.at_once(certified(0), 2);
        waiting.hindered(certified(1), 1, &Hindrance::NotYet(50), &config);
        waiting.hindered(certified(2), 1, &Hindrance::WouldRevert("why".into()), &config);
        let attempts: Vec<_> = waiting.due(49, now_ms()).iter().map(|wait| wait.attempt).collect();
        assert_eq!(attempts, [2]);
        assert_eq!(waiting.due(50, now_ms()).len(), 1, "the chain's clock has come there");
        assert!(waiting.contains(&certified(2).id()));
        assert!(waiting.due(50, network().valid_until(SLOT) * 1000).is_empty());
        assert!(!waiting.contains(&certified(2).id()), "it is over");
    }
}
