//! Sign: journal first, then the signature.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ditto_core::bls::{Bls12381, Purpose, Scheme, SecretKey};
use ditto_core::committee::Standing;
use ditto_core::consent::SigningDomain;
use ditto_core::stage::{Deadline, Outbox, Outcome, Work};
use ditto_core::verdict::Verdict;
use ditto_core::wire::Vote;

use super::cast::missed;
use super::journal::{Entry, Journal};
use super::{Ballot, Judged};
use crate::board::Board;
use crate::history::Event;

/// The stage (CPU: hashing to the curve and one multiplication; and one shared fsync).
pub struct Sign {
    /// The consensus key.
    pub key: SecretKey,
    /// Sign once.
    pub journal: Journal,
    /// Where consents are meant to be used.
    pub domain: SigningDomain,
    /// Recent slots.
    pub board: Arc<Board>,
    /// Where signed votes go.
    pub cast: Outbox<Ballot>,
}

impl Work for Sign {
    type Item = Judged;
    const OUTCOMES: &'static [Outcome] = &[
        "signed",
        "abstained",
        "not_a_member",
        "powerless",
        "below_minimum",
        "not_in_committee",
        "journal_failed",
        "malformed",
    ];

    fn work(&self, judged: Judged, _deadline: Deadline) -> Outcome {
        let Judged { context, batch, id, hashes, verdicts, part } = judged;
        let Some(index) = context.own_index else { return "not_a_member" };
        // Nobody would count it, and the contract refuses a certificate that holds it.
        match context.own_standing {
            Standing::Attests => {}
            Standing::Powerless => return "powerless",
            Standing::BelowMinimum => return "below_minimum",
            Standing::Unseated => return "not_in_committee",
        }
        let entries = batch.tasks.iter().zip(hashes.iter()).zip(&verdicts.0).map(|((task, hash), verdict)| Entry {
            occurrence: task.occurrence,
            operation: *hash,
            verdict: *verdict,
        });
        let allowed = match self.journal.record(context.slot, entries.collect()) {
            Ok(verdicts) => verdicts,
            Err(error) => {
                // Without a journal nothing is signed, ever.
                tracing::error!(%error, "the journal cannot be written: not signing");
                metrics::counter!("ditto_operator_journal_failures_total").increment(1);
                if !part {
                    missed("journal_failed");
                }
                return "journal_failed";
            }
        };
        if !part {
            self.count(context.slot, &allowed.0);
        } else if allowed != verdicts {
            // A part is signed as it was asked for, or not at all.
            return "abstained";
        }
        let verdicts = allowed;
        for ((task, hash), verdict) in batch.tasks.iter().zip(hashes.iter()).zip(&verdicts.0) {
            self.board.tell(task.occurrence, context.slot, || Event::Judged {
                performer: batch.proposal.performer,
                proposal: id.proposal,
                operation: *hash,
                verdict: verdict.to_string(),
            });
        }
        if verdicts.abstains_wholly() {
            if !part {
                missed("abstained");
            }
            return "abstained";
        }
        let digest = self.domain.verdict_digest(id.proposal, &batch.tasks, &verdicts);
        let signature = Bls12381::sign(&self.key, &digest, Purpose::Vote);
        let Ok(attester) = u32::try_from(index) else { return "malformed" };
        let (set_id, signature) = (context.set.id, signature.to_bytes());
        let vote = Vote { batch: id, set_id, attester, verdicts: verdicts.clone(), signature };
        let Ok(bytes) = vote.encode() else { return "malformed" };
        let ballot =
            Ballot { slot: context.slot, id, batch, hashes, verdicts, bytes, gossiped: AtomicBool::new(false) };
        self.cast.offer_blocking(ballot, context.votes_until);
        "signed"
    }
}

impl Sign {
    fn count(&self, slot: u64, verdicts: &[Verdict]) {
        let mut counts = [0u64; 3];
        for verdict in verdicts {
            let (at, label) = match verdict {
                Verdict::Approve => (0, "approve"),
                Verdict::Reject(_) => (1, "reject"),
                Verdict::Abstain => (2, "abstain"),
            };
            counts[at] += 1;
            metrics::counter!("ditto_operator_verdicts_total", "verdict" => label).increment(1);
        }
        self.board.note(slot, |board| {
            board.approved += counts[0];
            board.rejected += counts[1];
            board.abstained += counts[2];
        });
    }
}

#[cfg(test)]
#[path = "sign_tests.rs"]
mod tests;
