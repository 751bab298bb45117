//! The second stage: votes are grouped by batch and verdict vector and checked together, on rayon.
//!
//! A group is checked once it could decide its batch: at once when everybody was heard, else when its timer fires, so that
//! late signers, who make the certificate cheaper, may still join. What passes goes on as [`Verified`]; it is exactly the
//! sum that will be submitted. Whose vote was checked alone and found bad loses its weight, and when it came directly its
//! sender is kept out.

mod blame;
mod groups;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ditto_core::bls::{Bls12381, Signature};
use ditto_core::clock::SlotClock;
use ditto_core::consent::SigningDomain;
use ditto_core::p2p::Transport;
use ditto_core::stage::{Deadline, Outbox, Outcome, Work};
use ditto_core::verdict::VerdictVector;
use tokio_util::sync::CancellationToken;

use crate::bans::Bans;
use crate::batch::Batch;
use crate::collect::Ballot;
use crate::config::VerificationConfig;
use crate::governance::Governance;
use crate::votes;
use groups::{Added, Groups, Ripe, digest_of};

/// What the stage is given.
pub enum Job {
    /// A screened vote.
    Ballot(Box<Ballot>),
    /// A group whose timer fired.
    Group(Box<Ripe>),
}

/// Votes whose sum was checked, and that suffice.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The batch.
    pub batch: Arc<Batch>,
    /// What they say.
    pub verdicts: VerdictVector,
    /// Whose they are, ascending.
    pub signers: Vec<usize>,
    /// Exactly their sum.
    pub signature: Signature,
}

/// The groups, shared by the stage's threads and its timer.
#[derive(Clone, Default)]
pub struct Gathering(Arc<Mutex<Groups>>);

impl Gathering {
    fn lock(&self) -> MutexGuard<'_, Groups> {
        // A panic between two insertions leaves a vote out at worst.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The stage.
pub struct Verify {
    /// The groups.
    pub gathering: Gathering,
    /// Sets and rule.
    pub governance: Governance,
    /// What is signed.
    pub domain: SigningDomain,
    /// How long groups wait, and for how long culprits are kept out.
    pub config: VerificationConfig,
    /// Who is kept out.
    pub bans: Bans,
    /// Disconnects culprits.
    pub transport: Arc<dyn Transport>,
    /// The time.
    pub clock: SlotClock,
    /// Where certificates go.
    pub aggregate: Outbox<Verified>,
}

impl Work for Verify {
    type Item = Job;
    const OUTCOMES: &'static [Outcome] = &["gathered", "certified", "late", "insufficient", "no_set"];

    fn work(&self, job: Job, _deadline: Deadline) -> Outcome {
        match job {
            Job::Ballot(ballot) => {
                let accepted = self.governance.sets().get();
                let (Some(set), Some(rule)) = (accepted.set(ballot.batch.set_id()), self.governance.rule()) else {
                    return "no_set";
                };
                let added = self.gathering.lock().add(*ballot, set, &rule);
                match added {
                    Added::Gathered => "gathered",
                    Added::Late => {
                        votes::count("late");
                        "late"
                    }
                    Added::Ripe(ripe) => self.check(*ripe),
                }
            }
            Job::Group(ripe) => self.check(*ripe),
        }
    }
}

impl Verify {
    fn check(&self, mut ripe: Ripe) -> Outcome {
        let accepted = self.governance.sets().get();
        let (Some(set), Some(rule)) = (accepted.set(ripe.batch.set_id()), self.governance.rule()) else {
            self.gathering.lock().put_back(ripe);
            return "no_set";
        };
        let digest = digest_of(&ripe, &self.domain);
        let suffices = |signed| rule.decides(set, &ripe.verdicts, signed);
        let margin = self.config.margin_votes;
        let found = blame::certificate::<Bls12381, _>(set, &mut ripe.candidates, &digest.0, suffices, margin);
        metrics::counter!("ditto_aggregator_pairings_total").increment(found.checks * 2);
        for (attester, sender) in &found.culprits {
            votes::count("bad_signature");
            // A gossiped vote may be anybody's forgery: it is dropped, its supposed author is not blamed.
            if let (Some(peer), Some(member)) = (sender, set.members.get(*attester)) {
                tracing::warn!(operator = %member.controller, batch = %ripe.batch.id, "a vote's signature is bad; its sender is kept out");
                self.bans.ban(member.controller, self.clock.now_ms(), self.config.ban_ms);
                self.transport.ban(*peer, Duration::from_millis(self.config.ban_ms), "bad_vote");
            }
        }
        let first = self.gathering.lock().settle(ripe.batch.id, &ripe.verdicts, ripe.candidates, &found, set, &rule);
        match found.certificate {
            Some((signers, signature)) if first => {
                votes::count_many("counted", signers.len());
                let verified = Verified { batch: ripe.batch, verdicts: ripe.verdicts, signers, signature };
                // Refused only when the next stage has ended, which it counts itself.
                drop(self.aggregate.send_blocking(verified, Deadline::NONE));
                "certified"
            }
            Some(_) => "late",
            None => "insufficient",
        }
    }
}

/// The groups' timer: a source that hands the stage what is due, until `stop`.
pub async fn timer(
    gathering: Gathering,
    config: VerificationConfig,
    clock: SlotClock,
    verify: Outbox<Job>,
    stop: CancellationToken,
) {
    let wait = Duration::from_millis(config.group_timer_ms);
    let look = (wait / 4).max(Duration::from_millis(2));
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(look) => {}
        }
        let due = {
            let mut groups = gathering.lock();
            groups.forget(clock.now_ms());
            groups.due(wait)
        };
        for ripe in due {
            if verify.send(Job::Group(Box::new(ripe)), Deadline::NONE).await.is_err() {
                return;
            }
        }
    }
}
