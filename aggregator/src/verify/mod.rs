//! The second stage: votes are grouped by batch and verdict vector and checked together, on rayon.
//!
//! A group is checked once it could decide: at once when everybody was heard, else when its timer fires, so that late
//! signers, who make the certificate cheaper, may still join. What passes goes on as [`Verified`]; it is exactly the sum
//! that will be submitted. Whose vote was checked alone and found bad loses its weight, and when it came directly its
//! sender is kept out before anything else of it is checked.
//!
//! A batch that no group can decide, while tasks of it have a quorum of their own, is split: the attesters are asked
//! ([`Question`]) for votes on those tasks alone, in as few parts as their agreement allows.

pub mod blame;
mod groups;
mod places;
mod split;
mod tally;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ditto_core::bls::{Bls12381, Purpose, Signature};
use ditto_core::clock::SlotClock;
use ditto_core::committee::Electorate;
use ditto_core::consent::SigningDomain;
use ditto_core::operators::OperatorSet;
use ditto_core::p2p::Transport;
use ditto_core::stage::{Deadline, Outbox, Outcome, Work};
use ditto_core::verdict::VerdictVector;
use tokio_util::sync::CancellationToken;

pub use groups::{Contested, Due, Question, Ripe, Sender};
pub use tally::Tally;

use crate::bans::Bans;
use crate::batch::{Batch, Certified};
use crate::collect::{Asked, Ballot, Suspicion};
use crate::config::VerificationConfig;
use crate::evidence::{Evidence, Store};
use crate::governance::Governance;
use crate::votes;
use groups::{Added, Groups, digest_of};

/// What the stage is given.
pub enum Job {
    /// A screened vote.
    Ballot(Box<Ballot>),
    /// A group whose timer fired.
    Group(Box<Ripe>),
    /// A batch that no group decides.
    Contested(Box<Contested>),
    /// Two votes of one attester that contradict each other, not checked yet.
    Suspicion(Box<Suspicion>),
}

/// What the stage came to.
pub enum Made {
    /// Votes that suffice.
    Certificate(Verified),
    /// What attesters are to be asked.
    Question(Question),
}

/// Votes whose sum was checked, and that suffice.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The batch.
    pub batch: Arc<Batch>,
    /// Which part of it they decide; see [`crate::batch::PartId`].
    pub part: u16,
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

    /// Notes what an earlier run certified, so that it is not decided again.
    pub fn certified(&self, certified: &Certified) {
        self.lock().certified(&certified.batch, certified.part, &certified.verdicts);
    }

    /// How the votes on a task are, or were, divided; nothing when none was heard in this run.
    #[must_use]
    pub fn tally(&self, batch: &Batch, place: u16, governance: &Governance) -> Option<Tally> {
        let electorate = governance.electorate(batch.set_id(), batch.slot()).map(|(_, electorate)| electorate);
        self.lock().tally(batch.id, place, electorate.as_deref())
    }

    /// What is due now; forgets what is over.
    pub fn due(&self, config: &VerificationConfig, governance: &Governance, now_ms: u64) -> Vec<Due> {
        let mut groups = self.lock();
        let electorate = |batch: &Batch| Some(governance.electorate(batch.set_id(), batch.slot())?.1);
        groups.forget(now_ms, electorate);
        let timer = Duration::from_millis(config.group_timer_ms);
        groups.due(timer, Duration::from_millis(config.split_after_ms), electorate)
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
    /// How long groups wait.
    pub config: VerificationConfig,
    /// Who is kept out.
    pub bans: Bans,
    /// Disconnects culprits.
    pub transport: Arc<dyn Transport>,
    /// The time.
    pub clock: SlotClock,
    /// Which votes in parts are wanted.
    pub asked: Asked,
    /// Where proven faults are kept.
    pub evidence: Store,
    /// Where certificates go.
    pub aggregate: Outbox<Verified>,
    /// Where questions go.
    pub ask: Outbox<Question>,
}

impl Work for Verify {
    type Item = Job;
    const OUTCOMES: &'static [Outcome] = &[
        "gathered",
        "certified",
        "late",
        "insufficient",
        "no_set",
        "asked",
        "nothing_to_ask",
        "equivocation",
        "unproven",
    ];

    fn work(&self, job: Job, _deadline: Deadline) -> Outcome {
        let (outcome, made) = self.process(job);
        // Refused only when the next stage has ended, which it counts itself.
        match made {
            Some(Made::Certificate(verified)) => drop(self.aggregate.send_blocking(verified, Deadline::NONE)),
            Some(Made::Question(question)) => drop(self.ask.send_blocking(question, Deadline::NONE)),
            None => {}
        }
        outcome
    }
}

impl Verify {
    /// Does one job, and gives what it came to.
    pub fn process(&self, job: Job) -> (Outcome, Option<Made>) {
        match job {
            Job::Ballot(ballot) => self.gather(*ballot),
            Job::Group(ripe) => self.check(*ripe),
            Job::Contested(contested) => self.split(*contested),
            Job::Suspicion(suspicion) => (self.prove(&suspicion), None),
        }
    }

    fn gather(&self, ballot: Ballot) -> (Outcome, Option<Made>) {
        let Some((_, electorate)) = self.known(&ballot.batch) else { return ("no_set", None) };
        let added = self.gathering.lock().add(ballot, &electorate);
        match added {
            Added::Gathered => ("gathered", None),
            Added::Late => {
                votes::count("late");
                ("late", None)
            }
            Added::Ripe(ripe) => self.check(*ripe),
            Added::Contested(contested) => self.split(*contested),
        }
    }

    fn known(&self, batch: &Batch) -> Option<(Arc<OperatorSet>, Arc<Electorate>)> {
        self.governance.electorate(batch.set_id(), batch.slot())
    }

    fn check(&self, mut ripe: Ripe) -> (Outcome, Option<Made>) {
        let Some((set, electorate)) = self.known(&ripe.batch) else {
            self.gathering.lock().put_back(ripe, None);
            return ("no_set", None);
        };
        self.leave_out_banned(&set, &mut ripe.candidates);
        let digest = digest_of(&ripe.batch, &ripe.verdicts, &self.domain);
        let suffices = |signed| electorate.decides(&ripe.verdicts, signed);
        let margin = self.config.margin_votes;
        let found = blame::certificate::<Bls12381, _>(
            &set,
            &electorate,
            &mut ripe.candidates,
            &digest.0,
            suffices,
            margin,
            &mut rand::rng(),
        );
        self.account_for(&set, &ripe.batch, &found);
        let part = self.gathering.lock().settle(ripe.batch.id, &ripe.verdicts, ripe.candidates, &found, &electorate);
        match (found.certificate, part) {
            (Some((signers, signature)), Some(part)) => {
                votes::count_many("counted", signers.len());
                let verified = Verified { batch: ripe.batch, part, verdicts: ripe.verdicts, signers, signature };
                ("certified", Some(Made::Certificate(verified)))
            }
            (Some(_), None) => ("late", None),
            (None, _) => ("insufficient", None),
        }
    }

    /// Checks the groups of a batch one by one, and finds what of it can be decided in parts.
    fn split(&self, mut contested: Contested) -> (Outcome, Option<Made>) {
        let batch = contested.batch.clone();
        let Some((set, electorate)) = self.known(&batch) else { return ("no_set", None) };
        for (verdicts, candidates) in &mut contested.groups {
            self.leave_out_banned(&set, candidates);
            let digest = digest_of(&batch, verdicts, &self.domain);
            let found = blame::sift::<Bls12381, _>(&set, candidates, &digest.0, &mut rand::rng());
            self.account_for(&set, &batch, &found);
        }
        let Some(question) = self.gathering.lock().settle_contested(contested, &electorate) else {
            return ("nothing_to_ask", None);
        };
        tracing::info!(
            batch = %batch.id, slot = batch.slot(), round = question.round, parts = question.vectors.len(),
            "the votes on a batch disagree; asking for votes on its parts"
        );
        votes::count_split();
        // Before anybody can answer.
        self.asked.add(&question);
        ("asked", Some(Made::Question(question)))
    }

    /// Counts the checks, and keeps those out who sent bad votes.
    fn account_for(&self, set: &OperatorSet, batch: &Batch, found: &blame::Found<Bls12381, Sender>) {
        metrics::counter!("ditto_aggregator_pairings_total").increment(found.checks * 2);
        for (attester, sender) in &found.culprits {
            votes::count("bad_signature");
            // A gossiped vote may be anybody's forgery: it is dropped, its supposed author is not blamed.
            if let (Some(peer), Some(member)) = (sender, set.members.get(*attester)) {
                let length = self.bans.ban(member.controller, self.clock.now_ms());
                tracing::warn!(operator = %member.controller, batch = %batch.id, ?length, "a vote's signature is bad; its sender is kept out");
                self.transport.ban(*peer, length, "bad_vote");
            }
        }
    }

    /// No pairing is spent on who is kept out by now.
    fn leave_out_banned(&self, set: &OperatorSet, candidates: &mut blame::Candidates<Bls12381, Sender>) {
        let now_ms = self.clock.now_ms();
        candidates.retain(|attester, held| {
            let banned = set.members.get(*attester).is_some_and(|member| self.bans.holds(member.controller, now_ms));
            if banned {
                votes::count_many("banned", held.len());
            }
            !banned
        });
    }

    /// Checks two contradicting votes, each alone. Only when both are the attester's it is a fault.
    fn prove(&self, suspicion: &Suspicion) -> Outcome {
        let Some((set, _)) = self.known(&suspicion.first.batch) else { return "no_set" };
        let Some(member) = set.members.get(suspicion.attester) else { return "no_set" };
        for said in [&suspicion.first, &suspicion.second] {
            let digest = digest_of(&said.batch, &said.verdicts, &self.domain);
            metrics::counter!("ditto_aggregator_pairings_total").increment(2);
            let signature = Signature::from_bytes(&said.signature);
            if !signature.is_some_and(|signature| signature.verify(&member.key, &digest.0, Purpose::Vote)) {
                return "unproven";
            }
        }
        tracing::warn!(
            operator = %member.controller, first = %suspicion.first.batch.id, second = %suspicion.second.batch.id,
            "an attester signed two verdicts that contradict each other"
        );
        self.evidence.keep(&Evidence::of_votes(&self.domain, member, suspicion, self.clock.now_ms()));
        "equivocation"
    }
}

/// The groups' timer: a source that hands the stage what is due, until `stop`.
pub async fn timer(
    gathering: Gathering,
    config: VerificationConfig,
    governance: Governance,
    clock: SlotClock,
    verify: Outbox<Job>,
    stop: CancellationToken,
) {
    let look = (Duration::from_millis(config.group_timer_ms) / 4).max(Duration::from_millis(2));
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(look) => {}
        }
        for due in gathering.due(&config, &governance, clock.now_ms()) {
            let job = match due {
                Due::Group(ripe) => Job::Group(Box::new(ripe)),
                Due::Batch(contested) => Job::Contested(Box::new(contested)),
            };
            if verify.send(job, Deadline::NONE).await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
#[path = "split_tests.rs"]
mod tests;
