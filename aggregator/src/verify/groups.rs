//! Votes by batch and verdict vector, waiting to be checked together: pure state.
//!
//! A vector's group is ripe when it could decide and everybody who may join it was heard, or its time is over. A batch is
//! contested when tasks of it have a quorum of their own and no group can decide: then its groups are checked, and what
//! follows from the sound votes is asked for in classes ([`super::split`]). A vote for a class is a vector like any other,
//! with a group of its own. Every task is asked about at most twice: with its class, and once more alone.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy::primitives::B256;
use ditto_core::bls::{Bls12381, Signature};
use ditto_core::committee::Electorate;
use ditto_core::p2p::PeerId;
use ditto_core::proposal::BatchId;
use ditto_core::verdict::{Verdict, VerdictVector};

use super::blame::{Candidates, Found};
use super::places::Places;
use super::split::{Class, Support, classes};
use super::tally::{self, Tallies, Tally};
use crate::batch::Batch;
use crate::collect::Ballot;

/// Who sent a vote directly; `None`: it was gossiped.
pub type Sender = Option<PeerId>;

/// A group that is to be checked now, taken out for the purpose.
pub struct Ripe {
    /// The batch.
    pub batch: Arc<Batch>,
    /// What the group says.
    pub verdicts: VerdictVector,
    /// Its votes.
    pub candidates: Candidates<Bls12381, Sender>,
}

/// The groups of a contested batch, taken out to be checked one by one.
pub struct Contested {
    /// The batch.
    pub batch: Arc<Batch>,
    /// Its groups.
    pub groups: Vec<(VerdictVector, Candidates<Bls12381, Sender>)>,
}

/// What attesters are to be asked for: vectors that they sign when they agree.
#[derive(Clone, Debug)]
pub struct Question {
    /// The batch.
    pub batch: Arc<Batch>,
    /// How many questions came before it.
    pub round: u8,
    /// The vectors; no two decide the same task.
    pub vectors: Vec<VerdictVector>,
}

/// What a vote led to.
pub enum Added {
    /// It waits for others.
    Gathered,
    /// Its group is to be checked.
    Ripe(Box<Ripe>),
    /// Everybody spoke, and no group can decide.
    Contested(Box<Contested>),
    /// What it decides has its certificate.
    Late,
}

/// What is due.
pub enum Due {
    /// A group to be checked.
    Group(Ripe),
    /// A contested batch.
    Batch(Contested),
}

#[derive(Default)]
struct Group {
    candidates: Candidates<Bls12381, Sender>,
    /// How much the votes in it count.
    weight: u128,
    /// Members whose first vote was part of a sum that held.
    sound: BTreeSet<usize>,
    /// When it was asked for: who is expected to join.
    expected: Option<BTreeSet<usize>>,
    /// Since when it could decide.
    since: Option<Instant>,
    /// Its votes are out, being checked.
    out: bool,
}

struct Votes {
    batch: Arc<Batch>,
    groups: HashMap<VerdictVector, Group>,
    heard: BTreeSet<usize>,
    /// How many members' votes count; known with the first vote.
    everybody: usize,
    /// Tasks with a certificate.
    settled: Places,
    /// Part 0 has its certificate; see [`crate::batch::PartId`].
    whole: bool,
    split: Split,
}

/// How far the split of a batch is.
#[derive(Default)]
struct Split {
    /// Votes came since it was last looked at.
    changed: bool,
    /// Since when tasks have a quorum of their own that no group has.
    since: Option<Instant>,
    asked_at: Option<Instant>,
    round: u8,
    /// Tasks that were asked about, and those that were asked about for the last time.
    once: Places,
    last: Places,
}

/// All groups.
#[derive(Default)]
pub struct Groups(HashMap<BatchId, Votes>, Tallies);

impl Groups {
    /// Adds a vote; gives what is to be checked at once.
    pub fn add(&mut self, ballot: Ballot, electorate: &Electorate) -> Added {
        let Ballot { batch, attester, verdicts, signature, sender } = ballot;
        let votes = self.0.entry(batch.id).or_insert_with(|| Votes::new(batch));
        let decides = Places::decided_by(&verdicts);
        if votes.settled.covers(&decides) {
            return Added::Late;
        }
        if votes.heard.is_empty() {
            votes.everybody = electorate.attesters();
        }
        votes.heard.insert(attester);
        votes.split.changed = true;
        let group = votes.groups.entry(verdicts.clone()).or_default();
        group.place(attester, signature, sender, electorate);
        if group.out {
            return Added::Gathered;
        }
        if votes.settled.meets(&decides) || !electorate.decides(&verdicts, group.weight) {
            return votes.contest_at_once(electorate).map_or(Added::Gathered, |c| Added::Contested(Box::new(c)));
        }
        group.since.get_or_insert_with(Instant::now);
        let complete = match &group.expected {
            Some(expected) => expected.iter().all(|member| group.candidates.contains_key(member)),
            None => votes.heard.len() >= votes.everybody,
        };
        if !complete {
            return Added::Gathered;
        }
        votes.take(&verdicts).map_or(Added::Gathered, |ripe| Added::Ripe(Box::new(ripe)))
    }

    /// The groups that could decide and waited for `timer`, and the batches that were contested for `split_after`.
    pub fn due(
        &mut self,
        timer: Duration,
        split_after: Duration,
        electorates: impl Fn(&Batch) -> Option<Arc<Electorate>>,
    ) -> Vec<Due> {
        let mut due = Vec::new();
        for votes in self.0.values_mut().filter(|votes| !votes.is_over()) {
            let ripe: Vec<VerdictVector> = votes
                .groups
                .iter()
                .filter(|(_, group)| !group.out && group.since.is_some_and(|since| since.elapsed() >= timer))
                .map(|(verdicts, _)| verdicts.clone())
                .collect();
            due.extend(ripe.iter().filter_map(|verdicts| votes.take(verdicts)).map(Due::Group));
            if !votes.may_be_contested() || votes.split.asked_at.is_some_and(|asked| asked.elapsed() < split_after) {
                continue;
            }
            let Some(electorate) = electorates(&votes.batch) else { continue };
            if !votes.has_askable(&electorate) {
                // Nothing changes until another vote comes.
                votes.split.changed = false;
                votes.split.since = None;
                continue;
            }
            let since = *votes.split.since.get_or_insert_with(Instant::now);
            let wait = if votes.heard.len() >= votes.everybody { timer } else { split_after };
            if since.elapsed() >= wait {
                due.extend(votes.contest().map(Due::Batch));
            }
        }
        due
    }

    /// Puts a group back that could not be checked; it is due again after the timer.
    pub fn put_back(&mut self, ripe: Ripe, electorate: Option<&Electorate>) {
        let group = self.0.get_mut(&ripe.batch.id).and_then(|votes| votes.groups.get_mut(&ripe.verdicts));
        if let Some(group) = group {
            group.out = false;
            group.since = Some(Instant::now());
            group.give_back(ripe.candidates, electorate);
        }
    }

    /// Puts a checked group back. Gives the part of the batch that its certificate decides, when it is the first to decide
    /// any of it.
    pub fn settle(
        &mut self,
        id: BatchId,
        verdicts: &VerdictVector,
        left: Candidates<Bls12381, Sender>,
        found: &Found<Bls12381, Sender>,
        electorate: &Electorate,
    ) -> Option<u16> {
        let votes = self.0.get_mut(&id)?;
        let decides = Places::decided_by(verdicts);
        let first = !votes.settled.meets(&decides);
        if let Some(group) = votes.groups.get_mut(verdicts) {
            group.out = false;
            group.since = None;
            group.give_back(left, Some(electorate));
            if let Some((signers, _)) = &found.certificate {
                group.sound.extend(signers);
            } else if first && electorate.decides(verdicts, group.weight) {
                // Votes that came meanwhile may make up for the bad ones.
                group.since = Some(Instant::now());
            } else {
                votes.split.changed = true;
            }
        }
        if found.certificate.is_none() || !first {
            return None;
        }
        let asked = votes.groups.get(verdicts).is_some_and(|group| group.expected.is_some());
        let part = if asked || votes.whole { first_part(&decides)? } else { 0 };
        votes.certified(part, &decides);
        Some(part)
    }

    /// Notes what an earlier run certified.
    pub fn certified(&mut self, batch: &Arc<Batch>, part: u16, verdicts: &VerdictVector) {
        let votes = self.0.entry(batch.id).or_insert_with(|| Votes::new(batch.clone()));
        votes.certified(part, &Places::decided_by(verdicts));
    }

    /// Puts the checked groups of a contested batch back. Gives what attesters are to be asked, if anything.
    pub fn settle_contested(&mut self, contested: Contested, electorate: &Electorate) -> Option<Question> {
        let votes = self.0.get_mut(&contested.batch.id)?;
        for (verdicts, candidates) in contested.groups {
            let Some(group) = votes.groups.get_mut(&verdicts) else { continue };
            group.out = false;
            group.sound = candidates.keys().copied().collect();
            group.give_back(candidates, Some(electorate));
            if electorate.decides(&verdicts, group.weight) && !votes.settled.meets(&Places::decided_by(&verdicts)) {
                group.since = Some(Instant::now());
            }
        }
        votes.ask(electorate)
    }

    /// Forgets what is over; how the votes on it were divided is kept a while.
    pub fn forget(&mut self, now_ms: u64, electorates: impl Fn(&Batch) -> Option<Arc<Electorate>>) {
        let over = |votes: &mut Votes| votes.batch.valid_until().saturating_mul(1000) <= now_ms;
        for (id, votes) in self.0.extract_if(|_, votes| over(votes)) {
            if let Some(electorate) = electorates(&votes.batch).filter(|_| !votes.is_over()) {
                self.1.keep(id, votes.tally(&electorate));
            }
        }
    }

    /// How the votes on a task are, or were, divided; nothing when none was heard.
    #[must_use]
    pub fn tally(&self, id: BatchId, place: u16, electorate: Option<&Electorate>) -> Option<Tally> {
        match (self.0.get(&id), electorate) {
            (Some(votes), Some(electorate)) if !votes.heard.is_empty() => {
                votes.tally(electorate).get(usize::from(place)).copied()
            }
            _ => self.1.of(id, place),
        }
    }
}

impl Group {
    /// What came directly goes before what was gossiped.
    fn place(&mut self, attester: usize, signature: Signature, sender: Sender, electorate: &Electorate) {
        let held = self.candidates.entry(attester).or_default();
        if held.iter().any(|(other, _)| *other == signature) {
            return;
        }
        if held.is_empty() {
            self.weight = self.weight.saturating_add(electorate.weight(attester));
        }
        if sender.is_some() || held.is_empty() {
            held.insert(0, (signature, sender));
            self.sound.remove(&attester);
        } else {
            held.push((signature, sender));
        }
    }

    /// Gives back what was out, before what came meanwhile, and reckons anew how much they count.
    fn give_back(&mut self, candidates: Candidates<Bls12381, Sender>, electorate: Option<&Electorate>) {
        for (attester, back) in candidates {
            let held = self.candidates.entry(attester).or_default();
            let meanwhile = std::mem::replace(held, back);
            for (signature, sender) in meanwhile {
                if held.iter().any(|(other, _)| *other == signature) {
                    continue;
                }
                if sender.is_some() && !held.first().is_some_and(|(_, first)| first.is_some()) {
                    held.insert(0, (signature, sender));
                    self.sound.remove(&attester);
                } else {
                    held.push((signature, sender));
                }
            }
        }
        self.candidates.retain(|_, held| !held.is_empty());
        self.sound.retain(|attester| self.candidates.contains_key(attester));
        if let Some(electorate) = electorate {
            self.weight = electorate.weight_of(self.candidates.keys());
        }
    }
}

impl Votes {
    fn new(batch: Arc<Batch>) -> Self {
        Self {
            batch,
            groups: HashMap::new(),
            heard: BTreeSet::new(),
            everybody: usize::MAX,
            settled: Places::default(),
            whole: false,
            split: Split::default(),
        }
    }

    fn tasks(&self) -> usize {
        self.batch.hashes.len()
    }

    /// Has every task its certificate?
    fn is_over(&self) -> bool {
        self.settled.covers(&Places::all(self.tasks()))
    }

    fn certified(&mut self, part: u16, decides: &Places) {
        self.settled.add(decides);
        self.whole |= part == 0;
        if self.is_over() {
            self.groups.clear();
            return;
        }
        self.split.changed = true;
        for (verdicts, group) in &mut self.groups {
            if self.settled.meets(&Places::decided_by(verdicts)) {
                group.since = None;
            }
        }
    }

    fn tally(&self, electorate: &Electorate) -> Vec<Tally> {
        let votes = self.groups.iter().map(|(verdicts, group)| (verdicts, group.candidates.keys().copied().collect()));
        tally::count(electorate, self.tasks(), &self.heard, votes)
    }

    fn take(&mut self, verdicts: &VerdictVector) -> Option<Ripe> {
        let group = self.groups.get_mut(verdicts)?;
        group.out = true;
        group.since = None;
        let candidates = std::mem::take(&mut group.candidates);
        Some(Ripe { batch: self.batch.clone(), verdicts: verdicts.clone(), candidates })
    }

    /// Is there news, and no group that may still decide by itself?
    fn may_be_contested(&self) -> bool {
        self.split.changed && !self.groups.values().any(|group| group.out || group.since.is_some())
    }

    /// Everybody spoke for the first time, and no group can decide.
    fn contest_at_once(&mut self, electorate: &Electorate) -> Option<Contested> {
        let ready = self.heard.len() >= self.everybody && self.split.asked_at.is_none() && self.may_be_contested();
        if ready && self.has_askable(electorate) { self.contest() } else { None }
    }

    /// Tasks that may be asked about: once with others, and once more alone.
    fn askable(&self) -> Places {
        (0..self.tasks()).filter(|place| !self.settled.holds(*place) && !self.split.last.holds(*place)).collect()
    }

    fn support(&self, sound_only: bool) -> Support {
        let mut support = Support::new();
        for (verdicts, group) in &self.groups {
            let members: Vec<usize> = match sound_only {
                true => group.sound.iter().copied().collect(),
                false => group.candidates.keys().copied().collect(),
            };
            for (place, verdict) in verdicts.0.iter().enumerate().filter(|(_, verdict)| **verdict != Verdict::Abstain) {
                support.entry((place, *verdict)).or_default().extend(members.iter().copied());
            }
        }
        support
    }

    /// Who was expected to vote for a part and has not.
    fn absent(&self) -> BTreeSet<usize> {
        let asked = self.groups.iter().filter(|(verdicts, _)| !self.settled.meets(&Places::decided_by(verdicts)));
        asked
            .filter_map(|(_, group)| Some((group.expected.as_ref()?, group)))
            .flat_map(|(expected, group)| expected.iter().filter(|member| !group.candidates.contains_key(member)))
            .copied()
            .collect()
    }

    /// Has any task that may be asked about a quorum of its own, if all votes are what they say?
    fn has_askable(&self, electorate: &Electorate) -> bool {
        !classes(electorate, self.tasks(), &self.askable(), &self.support(false), false).is_empty()
    }

    /// Takes the groups out to be checked.
    fn contest(&mut self) -> Option<Contested> {
        let askable = self.askable();
        let mut groups = Vec::new();
        for (verdicts, group) in &mut self.groups {
            if Places::decided_by(verdicts).meets(&askable) && !group.out && !group.candidates.is_empty() {
                group.out = true;
                groups.push((verdicts.clone(), std::mem::take(&mut group.candidates)));
            }
        }
        self.split.changed = false;
        self.split.since = None;
        (!groups.is_empty()).then(|| Contested { batch: self.batch.clone(), groups })
    }

    fn ask(&mut self, electorate: &Electorate) -> Option<Question> {
        let (all, tasks) = (self.support(true), self.tasks());
        // Who was asked for its own words and did not come is counted on only where nothing goes without.
        let absent = self.absent();
        let mut present = all.clone();
        present.values_mut().for_each(|members| members.retain(|member| !absent.contains(member)));
        let mut asked = Vec::new();
        for support in [&present, &all] {
            let taken: Places = asked
                .iter()
                .flat_map(|class: &Class| Places::decided_by(&class.verdicts).iter().collect::<Vec<_>>())
                .collect();
            let askable = self.askable();
            let open = |again: bool| -> Places {
                askable.iter().filter(|place| !taken.holds(*place) && self.split.once.holds(*place) == again).collect()
            };
            asked.extend(classes(electorate, tasks, &open(false), support, true));
            asked.extend(classes(electorate, tasks, &open(true), support, false));
        }
        if asked.is_empty() {
            return None;
        }
        for class in &asked {
            let places = Places::decided_by(&class.verdicts);
            self.split.once.add(&places);
            if places.len() == 1 {
                self.split.last.add(&places);
            }
            let group = self.groups.entry(class.verdicts.clone()).or_default();
            group.expected = Some(class.supporters.clone());
        }
        let round = self.split.round;
        self.split.round = round.saturating_add(1);
        self.split.asked_at = Some(Instant::now());
        // To be looked at again after a while, whatever comes.
        self.split.changed = true;
        let vectors = asked.into_iter().map(|class| class.verdicts).collect();
        Some(Question { batch: self.batch.clone(), round, vectors })
    }
}

/// One more than the first place, so that no part is called 0.
fn first_part(decides: &Places) -> Option<u16> {
    u16::try_from(decides.iter().next()?).ok()?.checked_add(1)
}

/// The digest that the group's votes sign: what the check needs.
#[must_use]
pub fn digest_of(batch: &Batch, verdicts: &VerdictVector, domain: &ditto_core::consent::SigningDomain) -> B256 {
    batch.digest(domain, verdicts)
}

#[cfg(test)]
#[path = "groups_tests.rs"]
mod tests;
