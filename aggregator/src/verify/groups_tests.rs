#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;

use super::*;
use crate::testing::*;

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

fn due(groups: &mut Groups, set: &Arc<Electorate>, timer: Duration) -> Vec<Ripe> {
    let due = groups.due(timer, Duration::from_secs(60), |_| Some(set.clone()));
    due.into_iter().map(|due| if let Due::Group(ripe) = due { ripe } else { panic!("nothing is contested") }).collect()
}

#[test]
fn a_group_is_ripe_when_everybody_spoke_or_its_time_is_over() {
    let (set, batch) = (Arc::new(electorate(&operator_set(&[1; 4]))), batch(0, 2));
    let mut groups = Groups::default();
    for attester in 0..3 {
        assert!(matches!(groups.add(ballot(&batch, attester, &[0, 0], true), &set), Added::Gathered));
    }
    assert!(due(&mut groups, &set, Duration::from_secs(60)).is_empty());
    assert!(matches!(groups.add(ballot(&batch, 3, &[0, 3], true), &set), Added::Gathered), "its own group is small");
    let ripe = due(&mut groups, &set, Duration::ZERO);
    assert_eq!(ripe.len(), 1);
    assert_eq!(ripe[0].candidates.len(), 3);
    assert!(due(&mut groups, &set, Duration::ZERO).is_empty(), "it is out");

    let other = crate::testing::batch(0, 3);
    for attester in 0..3 {
        groups.add(ballot(&other, attester, &[0, 0, 0], false), &set);
    }
    assert!(matches!(groups.add(ballot(&other, 3, &[0, 0, 0], true), &set), Added::Ripe(_)));
}

#[test]
fn after_a_certificate_votes_are_late_and_after_a_failure_they_are_not() {
    let (set, batch) = (Arc::new(electorate(&operator_set(&[1; 4]))), batch(0, 1));
    let mut groups = Groups::default();
    for attester in 0..3 {
        groups.add(ballot(&batch, attester, &[0], true), &set);
    }
    let ripe = due(&mut groups, &set, Duration::ZERO).remove(0);
    let mut left = ripe.candidates.clone();
    let bad = left.remove(&1).unwrap();
    let failed = Found { certificate: None, culprits: vec![(1, bad[0].1)], checks: 3 };
    assert_eq!(groups.settle(batch.id, &ripe.verdicts, left, &failed, &set), None);
    assert!(due(&mut groups, &set, Duration::ZERO).is_empty(), "two of four do not decide");
    let Added::Ripe(ripe) = groups.add(ballot(&batch, 3, &[0], true), &set) else {
        panic!("everybody was heard, and three of four decide")
    };
    let good = Found { certificate: Some((vec![0, 2, 3], ripe.candidates[&0][0].0)), culprits: vec![], checks: 1 };
    assert_eq!(groups.settle(batch.id, &ripe.verdicts, BTreeMap::new(), &good, &set), Some(0));
    assert!(matches!(groups.add(ballot(&batch, 1, &[0], true), &set), Added::Late));
}

#[test]
fn a_direct_vote_goes_before_a_gossiped_one() {
    let (set, batch) = (Arc::new(electorate(&operator_set(&[1; 4]))), batch(0, 1));
    let mut groups = Groups::default();
    for attester in 0..3 {
        let mut forged = ballot(&batch, attester, &[0], false);
        forged.signature = ballot(&batch, 3, &[0], false).signature;
        groups.add(forged, &set);
        groups.add(ballot(&batch, attester, &[0], true), &set);
    }
    let ripe = due(&mut groups, &set, Duration::ZERO).remove(0);
    assert!(ripe.candidates.values().all(|held| held.len() == 2 && held[0].1.is_some()));
}

#[test]
fn what_an_earlier_run_certified_is_not_decided_again() {
    let (set, batch) = (Arc::new(electorate(&operator_set(&[1; 4]))), batch(0, 2));
    let mut groups = Groups::default();
    groups.certified(&batch, 1, &ditto_core::verdict::VerdictVector::from_bytes(&[0, 255]).unwrap());
    for attester in 0..4 {
        assert!(matches!(groups.add(ballot(&batch, attester, &[0, 255], true), &set), Added::Late));
        let added = groups.add(ballot(&batch, attester, &[0, 0], true), &set);
        if attester < 3 {
            assert!(matches!(added, Added::Gathered), "the whole vector cannot be certified any more");
            continue;
        }
        let Added::Contested(contested) = added else { panic!("the rest is asked for") };
        let question = groups.settle_contested(*contested, &set).unwrap();
        let asked: Vec<_> = question.vectors.iter().map(|vector| vector.bytes()).collect();
        assert_eq!(asked, [[255, 0]]);
    }
}
