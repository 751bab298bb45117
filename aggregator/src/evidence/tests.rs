#![allow(clippy::unwrap_used)]
use std::sync::Arc;

use super::*;
use crate::batch::Batch;
use crate::collect::{Said, Suspicion};
use crate::evidence::Fault;
use crate::testing::*;
use ditto_core::verdict::VerdictVector;

fn said(batch: &Arc<Batch>, attester: usize, verdicts: &[u8]) -> Said {
    let signature = vote(batch, attester, verdicts).signature;
    Said { batch: batch.clone(), verdicts: VerdictVector::from_bytes(verdicts).unwrap(), signature }
}

fn of_votes(attester: usize, first: Said, second: Said) -> Evidence {
    let set = operator_set(&[1; 4]);
    let suspicion = Suspicion { attester, first, second };
    Evidence::of_votes(&domain(), &set.members[attester], &suspicion, now_ms())
}

fn turned(attester: usize) -> Evidence {
    let batch = batch(0, 2);
    of_votes(attester, said(&batch, attester, &[0, 0]), said(&batch, attester, &[0, 4]))
}

#[test]
fn a_record_proves_itself_and_nothing_else() {
    let evidence = turned(1);
    assert_eq!(evidence.verify(), Ok(()));
    let text = serde_json::to_string(&evidence).unwrap();
    let read: Evidence = serde_json::from_str(&text).unwrap();
    assert_eq!((&read, read.verify()), (&evidence, Ok(())));

    let mut elsewhere = evidence.clone();
    elsewhere.chain_id += 1;
    assert_eq!(elsewhere.verify(), Err(Unproven::Signature));
    let mut other_slot = evidence.clone();
    other_slot.slot += 1;
    assert_eq!(other_slot.verify(), Err(Unproven::NoConflict));
    let batch = batch(0, 2);
    let same = of_votes(1, said(&batch, 1, &[0, 4]), said(&batch, 1, &[0, 255]));
    assert_eq!(same.verify(), Err(Unproven::NoConflict), "the same verdicts in parts");
    let framed = of_votes(1, said(&batch, 1, &[0, 0]), said(&batch, 2, &[4, 4]));
    assert_eq!(framed.verify(), Err(Unproven::Signature), "another's vote proves nothing");
    let mut broken = evidence;
    let Fault::Votes { key, .. } = &mut broken.fault else { panic!("votes") };
    *key = vec![1; 5].into();
    assert_eq!(broken.verify(), Err(Unproven::Malformed));
}

#[test]
fn two_proposals_for_one_slot_are_a_fault_and_two_batches_of_one_are_none() {
    let (one, other) = (batch(0, 2), batch(0, 3));
    let set = operator_set(&[1; 4]);
    let proposals = |a: &Batch, b: &Batch| Evidence::of_proposals(&domain(), &set, a, b, now_ms());
    let evidence = proposals(&one, &other);
    assert_eq!((evidence.operator, evidence.verify()), (controller(0), Ok(())));
    assert_eq!(proposals(&one, &one).verify(), Err(Unproven::NoConflict));
    assert_eq!(proposals(&one, &batch(1, 2)).verify(), Err(Unproven::NoConflict), "two performers");
    let mut forged = evidence;
    let Fault::Proposals { second, .. } = &mut forged.fault else { panic!("proposals") };
    second.proposal.pins.0[0] ^= 1;
    assert_eq!(forged.verify(), Err(Unproven::Signature));
}

#[test]
fn evidence_survives_is_listed_once_and_has_bounds() {
    let counted = || ditto_core::telemetry::measured("ditto_aggregator_equivocations_total", &[("fault", "votes")]);
    let before = counted();
    let dir = tempfile::tempdir().unwrap();
    let config = EvidenceConfig { per_operator: 2, max_bytes: 1 << 20 };
    let store = Store::open(dir.path(), config).unwrap();
    assert_eq!(store.keep(&turned(1)), Kept::New);
    let mut again = turned(1);
    again.seen_ms += 5;
    assert_eq!(store.keep(&again), Kept::Known, "seen again");
    assert!(counted() > before);
    drop(store);
    std::fs::write(dir.path().join("evidence/.half.json"), b"{").unwrap();
    std::fs::write(dir.path().join("evidence/000000000001-votes-zz-00.json"), b"{").unwrap();

    let store = Store::open(dir.path(), config).unwrap();
    assert_eq!(store.keep(&turned(1)), Kept::Known, "across a restart");
    let (one, other) = (batch(0, 2), batch(0, 3));
    let proposals = Evidence::of_proposals(&domain(), &operator_set(&[1; 4]), &one, &other, 1);
    assert_eq!(store.keep(&proposals), Kept::New);
    let listed = list(dir.path()).unwrap();
    let shown: Vec<_> =
        listed.iter().map(|l| (l.evidence.as_ref().ok().map(Evidence::label), l.proven.is_ok())).collect();
    assert_eq!(
        shown,
        [(None, false), (Some("proposals"), true), (Some("votes"), true)],
        "a broken file is listed as such"
    );

    let batch = batch(0, 3);
    for (n, verdicts) in [[4, 0, 0], [0, 4, 0]].iter().enumerate() {
        let more = of_votes(1, said(&batch, 1, &[0, 0, 0]), said(&batch, 1, verdicts));
        assert_eq!(store.keep(&more), if n == 0 { Kept::New } else { Kept::Full }, "two of one operator");
    }
    assert_eq!(store.keep(&turned(2)), Kept::New, "another's place is its own");
    let small = Store::open(dir.path(), EvidenceConfig { per_operator: 9, max_bytes: 10 }).unwrap();
    assert_eq!(small.keep(&turned(3)), Kept::Full);
    assert_eq!(list(&dir.path().join("nowhere")).unwrap().len(), 0);
}
