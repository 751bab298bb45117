//! Votes by batch and verdict vector, waiting to be checked together: pure state.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy::primitives::B256;
use ditto_core::bls::{Bls12381, Signature};
use ditto_core::operators::OperatorSet;
use ditto_core::p2p::PeerId;
use ditto_core::proposal::BatchId;
use ditto_core::verdict::VerdictVector;

use super::blame::{Candidates, Found};
use crate::batch::Batch;
use crate::collect::Ballot;
use crate::governance::Rule;

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

/// What a vote led to.
pub enum Added {
    /// It waits for others.
    Gathered,
    /// Its group is to be checked.
    Ripe(Box<Ripe>),
    /// The batch has its certificate.
    Late,
}

#[derive(Default)]
struct Group {
    candidates: Candidates<Bls12381, Sender>,
    /// Since when it could decide.
    since: Option<Instant>,
    /// Its votes are out, being checked.
    out: bool,
}

struct Votes {
    batch: Arc<Batch>,
    groups: HashMap<VerdictVector, Group>,
    heard: BTreeSet<usize>,
    decided: bool,
}

/// All groups.
#[derive(Default)]
pub struct Groups(HashMap<BatchId, Votes>);

impl Groups {
    /// Adds a vote; gives its group when that is to be checked at once: it could decide, and everybody was heard.
    pub fn add(&mut self, ballot: Ballot, set: &OperatorSet, rule: &Rule) -> Added {
        let Ballot { batch, attester, verdicts, signature, sender } = ballot;
        let votes = self.0.entry(batch.id).or_insert_with(|| Votes {
            batch,
            groups: HashMap::new(),
            heard: BTreeSet::new(),
            decided: false,
        });
        if votes.decided {
            return Added::Late;
        }
        votes.heard.insert(attester);
        let group = votes.groups.entry(verdicts.clone()).or_default();
        place(group.candidates.entry(attester).or_default(), signature, sender);
        if group.out || !could_decide(group, &verdicts, set, rule) {
            return Added::Gathered;
        }
        group.since.get_or_insert_with(Instant::now);
        let everybody = set.members.iter().filter(|member| member.power > 0).count();
        if votes.heard.len() < everybody {
            return Added::Gathered;
        }
        votes.take(&verdicts).map_or(Added::Gathered, |ripe| Added::Ripe(Box::new(ripe)))
    }

    /// The groups that could decide and waited long enough.
    pub fn due(&mut self, timer: Duration) -> Vec<Ripe> {
        let mut ripe = Vec::new();
        for votes in self.0.values_mut().filter(|votes| !votes.decided) {
            let due: Vec<VerdictVector> = votes
                .groups
                .iter()
                .filter(|(_, group)| !group.out && group.since.is_some_and(|since| since.elapsed() >= timer))
                .map(|(verdicts, _)| verdicts.clone())
                .collect();
            ripe.extend(due.iter().filter_map(|verdicts| votes.take(verdicts)));
        }
        ripe
    }

    /// Puts a group back that could not be checked; it is due again after the timer.
    pub fn put_back(&mut self, ripe: Ripe) {
        let group = self.0.get_mut(&ripe.batch.id).and_then(|votes| votes.groups.get_mut(&ripe.verdicts));
        if let Some(group) = group {
            group.out = false;
            group.since = Some(Instant::now());
            group.give_back(ripe.candidates);
        }
    }

    /// Puts a checked group back. Says whether its certificate is the batch's first.
    pub fn settle(
        &mut self,
        id: BatchId,
        verdicts: &VerdictVector,
        left: Candidates<Bls12381, Sender>,
        found: &Found<Bls12381, Sender>,
        set: &OperatorSet,
        rule: &Rule,
    ) -> bool {
        let Some(votes) = self.0.get_mut(&id) else { return false };
        if found.certificate.is_some() {
            let first = !votes.decided;
            votes.decided = true;
            votes.groups.clear();
            return first;
        }
        if let Some(group) = votes.groups.get_mut(verdicts) {
            group.out = false;
            group.give_back(left);
            // Votes that came meanwhile may make up for the bad ones.
            let decides = could_decide(group, verdicts, set, rule);
            group.since = decides.then(Instant::now);
        }
        false
    }

    /// Forgets what is over.
    pub fn forget(&mut self, now_ms: u64) {
        self.0.retain(|_, votes| votes.batch.valid_until().saturating_mul(1000) > now_ms);
    }
}

impl Group {
    fn give_back(&mut self, candidates: Candidates<Bls12381, Sender>) {
        for (attester, held) in candidates {
            let entry = self.candidates.entry(attester).or_default();
            held.into_iter().for_each(|(signature, sender)| place(entry, signature, sender));
        }
    }
}

impl Votes {
    fn take(&mut self, verdicts: &VerdictVector) -> Option<Ripe> {
        let group = self.groups.get_mut(verdicts)?;
        group.out = true;
        group.since = None;
        let candidates = std::mem::take(&mut group.candidates);
        Some(Ripe { batch: self.batch.clone(), verdicts: verdicts.clone(), candidates })
    }
}

/// What came directly goes before what was gossiped.
fn place(held: &mut Vec<(Signature, Sender)>, signature: Signature, sender: Sender) {
    if held.iter().any(|(other, _)| *other == signature) {
        return;
    }
    let at = if sender.is_some() { 0 } else { held.len() };
    held.insert(at, (signature, sender));
}

fn could_decide(group: &Group, verdicts: &VerdictVector, set: &OperatorSet, rule: &Rule) -> bool {
    let power = group
        .candidates
        .keys()
        .filter_map(|attester| set.members.get(*attester))
        .fold(0u128, |sum, member| sum.saturating_add(member.power));
    rule.decides(set, verdicts, power)
}

/// The digest that the group's votes sign, and the candidates: what the check needs.
#[must_use]
pub fn digest_of(ripe: &Ripe, domain: &ditto_core::consent::SigningDomain) -> B256 {
    ripe.batch.digest(domain, &ripe.verdicts)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use super::*;
    use crate::testing::*;
    use ditto_core::quorum::QuorumRule;

    const RULE: Rule = Rule {
        quorum: QuorumRule { approve_numerator: 2, approve_denominator: 3, reject_numerator: 1, reject_denominator: 3 },
        minimum_power: 0,
    };

    fn ballot(batch: &Arc<Batch>, attester: usize, verdicts: &[u8], direct: bool) -> Ballot {
        let vote = vote(batch, attester, verdicts);
        Ballot {
            batch: batch.clone(),
            attester,
            verdicts: vote.verdicts,
            signature: Signature::from_bytes(&vote.signature).unwrap(),
            sender: direct.then(PeerId::random),
        }
    }

    #[test]
    fn a_group_is_ripe_when_everybody_spoke_or_its_time_is_over() {
        let (set, batch) = (operator_set(&[1; 4]), batch(0, 2));
        let mut groups = Groups::default();
        for attester in 0..3 {
            assert!(matches!(groups.add(ballot(&batch, attester, &[0, 0], true), &set, &RULE), Added::Gathered));
        }
        assert!(groups.due(Duration::from_secs(60)).is_empty());
        assert!(
            matches!(groups.add(ballot(&batch, 3, &[0, 3], true), &set, &RULE), Added::Gathered),
            "its own group is small"
        );
        let ripe = groups.due(Duration::ZERO);
        assert_eq!(ripe.len(), 1);
        assert_eq!(ripe[0].candidates.len(), 3);
        assert!(groups.due(Duration::ZERO).is_empty(), "it is out");

        let other = crate::testing::batch(0, 3);
        for attester in 0..3 {
            groups.add(ballot(&other, attester, &[0, 0, 0], false), &set, &RULE);
        }
        assert!(matches!(groups.add(ballot(&other, 3, &[0, 0, 0], true), &set, &RULE), Added::Ripe(_)));
    }

    #[test]
    fn after_a_certificate_votes_are_late_and_after_a_failure_they_are_not() {
        let (set, batch) = (operator_set(&[1; 4]), batch(0, 1));
        let mut groups = Groups::default();
        for attester in 0..3 {
            groups.add(ballot(&batch, attester, &[0], true), &set, &RULE);
        }
        let ripe = groups.due(Duration::ZERO).remove(0);
        let mut left = ripe.candidates.clone();
        let bad = left.remove(&1).unwrap();
        let failed = Found { certificate: None, culprits: vec![(1, bad[0].1)], checks: 3 };
        assert!(!groups.settle(batch.id, &ripe.verdicts, left, &failed, &set, &RULE));
        assert!(groups.due(Duration::ZERO).is_empty(), "two of four do not decide");
        let Added::Ripe(ripe) = groups.add(ballot(&batch, 3, &[0], true), &set, &RULE) else {
            panic!("everybody was heard, and three of four decide")
        };
        let good = Found { certificate: Some((vec![0, 2, 3], ripe.candidates[&0][0].0)), culprits: vec![], checks: 1 };
        assert!(groups.settle(batch.id, &ripe.verdicts, BTreeMap::new(), &good, &set, &RULE));
        assert!(matches!(groups.add(ballot(&batch, 1, &[0], true), &set, &RULE), Added::Late));
    }

    #[test]
    fn a_direct_vote_goes_before_a_gossiped_one() {
        let (set, batch) = (operator_set(&[1; 4]), batch(0, 1));
        let mut groups = Groups::default();
        for attester in 0..3 {
            let mut forged = ballot(&batch, attester, &[0], false);
            forged.signature = ballot(&batch, 3, &[0], false).signature;
            groups.add(forged, &set, &RULE);
            groups.add(ballot(&batch, attester, &[0], true), &set, &RULE);
        }
        let ripe = groups.due(Duration::ZERO).remove(0);
        assert!(ripe.candidates.values().all(|held| held.len() == 2 && held[0].1.is_some()));
    }
}
