//! The third stage: enough checked votes become a certificate, once per batch, on the disk before it goes anywhere.
//!
//! The threshold is applied again to the power as it is now: a member that was jailed since the check counts zero. A
//! certificate all of whose operations are already being submitted in another batch (a fallback performer proposed them
//! again) stays here: when the others are executed it is superseded, and when not, it expires.
//!
//! Batches of a slot come to their quorum together, and a certificate costs a sync of the disk: several are recorded at
//! once, so that they share it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use alloy::primitives::B256;
use ditto_core::clock::SlotClock;
use ditto_core::proposal::BatchId;
use ditto_core::stage::{Deadline, Handler, Outbox, Outcome};
use ditto_core::telemetry::Check;
use ditto_core::verdict::Verdict;

use crate::batch::Certified;
use crate::governance::Governance;
use crate::ledger::Ledger;
use crate::report::Report;
use crate::submit::Order;
use crate::verify::Verified;

/// Which batch carries which operation to the chain, and until when that matters.
#[derive(Default)]
pub struct Claims(HashMap<B256, (BatchId, u64)>);

impl Claims {
    /// Claims what a certificate approves. `false`: it has nothing of its own to bring to the chain.
    pub fn claim(&mut self, certified: &Certified, now_ms: u64) -> bool {
        self.0.retain(|_, (_, until)| until.saturating_mul(1000) > now_ms);
        let (id, until) = (certified.batch.id, certified.batch.valid_until());
        let rejects = certified.verdicts.0.iter().any(|verdict| matches!(verdict, Verdict::Reject(_)));
        let approved = certified.batch.hashes.iter().zip(&certified.verdicts.0);
        let mut own = rejects;
        for (hash, _) in approved.filter(|(_, verdict)| **verdict == Verdict::Approve) {
            own |= self.0.entry(*hash).or_insert((id, until)).0 == id;
        }
        own
    }
}

/// The stage.
pub struct Aggregate {
    /// Sets and rule.
    pub governance: Governance,
    /// Operations on their way.
    pub claims: Mutex<Claims>,
    /// Where certificates are recorded.
    pub ledger: Ledger,
    /// Says whether the ledger takes them.
    pub ledger_check: Check,
    /// What is shown.
    pub report: Report,
    /// The time.
    pub clock: SlotClock,
    /// Where certificates go.
    pub submit: Outbox<Order>,
}

impl Handler for Aggregate {
    type Item = Verified;
    const OUTCOMES: &'static [Outcome] = &["certified", "superseded", "insufficient", "repeated", "not_recorded"];

    async fn handle(&self, verified: Verified, _deadline: Deadline) -> Outcome {
        let Verified { batch, part, verdicts, signers, signature } = verified;
        let Some((_, electorate)) = self.governance.electorate(batch.set_id(), batch.slot()) else {
            return "insufficient";
        };
        let (signed, total) = (electorate.weight_of(&signers), electorate.total());
        if !electorate.decides(&verdicts, signed) {
            tracing::warn!(batch = %batch.id, signed, total, "the power behind a batch is gone since it was checked");
            return "insufficient";
        }
        let certified = Certified { batch, part, verdicts, signers, members: electorate.members(), signature };
        let moved = match self.ledger.certify(&certified).await {
            Ok(moved) => moved,
            Err(error) => {
                tracing::error!(batch = %certified.batch.id, %error, "a certificate is held back, for it cannot be recorded");
                self.ledger_check.not_ready(error.to_string());
                return "not_recorded";
            }
        };
        if moved.is_empty() {
            return "repeated";
        }
        let now_ms = self.clock.now_ms();
        self.report.certified(&certified, &moved, now_ms);
        let approved = certified.verdicts.0.iter().filter(|verdict| **verdict == Verdict::Approve).count();
        tracing::info!(
            batch = %certified.id(), slot = certified.batch.slot(), signers = certified.signers.len(), signed, total,
            by_seats = electorate.seats().is_some(), approved, tasks = certified.verdicts.0.len(), "batch certified"
        );
        // Entries are put in whole, so a panic elsewhere leaves nothing half-done.
        let has_its_own = self.claims.lock().unwrap_or_else(PoisonError::into_inner).claim(&certified, now_ms);
        if !has_its_own {
            return "superseded";
        }
        // Refused only when the next stage has ended; the ledger knows the certificate and the next start goes on with it.
        drop(self.submit.send(Order::Submit { certified: certified.into(), attempt: 1 }, Deadline::NONE).await);
        "certified"
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
    fn an_operation_goes_to_the_chain_once() {
        let certified = |performer: usize, tasks: u64, verdicts: &[u8]| Certified {
            batch: batch(performer, tasks),
            part: 0,
            verdicts: VerdictVector::from_bytes(verdicts).unwrap(),
            signers: vec![0],
            members: 1,
            signature: secret(0).sign(&[0; 32], Purpose::Vote),
        };
        let mut claims = Claims::default();
        assert!(claims.claim(&certified(0, 2, &[0, 0]), now_ms()));
        assert!(!claims.claim(&certified(1, 2, &[0, 0]), now_ms()), "the fallback's twin");
        assert!(!claims.claim(&certified(1, 2, &[0, 255]), now_ms()), "a part of it");
        assert!(claims.claim(&certified(1, 2, &[0, 3]), now_ms()), "a rejection is news");
        assert!(claims.claim(&certified(1, 3, &[0, 0, 0]), now_ms()), "one operation more");
        let over = network().valid_until(SLOT) * 1000;
        assert!(claims.claim(&certified(1, 2, &[0, 0]), over), "what is over claims nothing");
    }
}
