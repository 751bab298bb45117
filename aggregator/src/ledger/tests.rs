#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;

use super::*;
use crate::testing::*;
use ditto_core::bls::Purpose;
use ditto_core::verdict::VerdictVector;

fn open(dir: &Path) -> Ledger {
    let identity = identity("test", &domain(), Address::ZERO);
    Ledger::open(dir, &identity, domain(), &LedgerConfig::default(), SLOT).unwrap()
}

fn certified(batch: &Arc<Batch>, verdicts: &[u8]) -> Certified {
    let signature = secret(0).sign(&[1; 32], Purpose::Vote);
    let verdicts = VerdictVector::from_bytes(verdicts).unwrap();
    Certified { batch: batch.clone(), part: 0, verdicts, signers: vec![0, 2, 3], members: 4, signature }
}

fn executed() -> TaskState {
    TaskState::Executed { tx: B256::repeat_byte(4) }
}

fn expired() -> TaskState {
    TaskState::Expired { reason: "no_quorum".into() }
}

fn labels(moved: &[Moved]) -> Vec<&'static str> {
    moved.iter().map(|moved| moved.state.label()).collect()
}

#[tokio::test]
async fn every_task_ends_exactly_once_across_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let batch = batch(0, 3);
    let ledger = open(dir.path());
    assert!(ledger.propose(&batch, 7).await.unwrap());
    assert!(!ledger.propose(&batch, 8).await.unwrap(), "proposed once");
    drop(ledger);

    let ledger = open(dir.path());
    let moved = ledger.certify(&certified(&batch, &[0, 3, 255])).await.unwrap();
    assert_eq!(labels(&moved), ["certified", "certified"], "the abstained one is not decided");
    assert!(ledger.certify(&certified(&batch, &[3, 3, 3])).await.unwrap().is_empty(), "one certificate per batch");
    drop(ledger);

    let ledger = open(dir.path());
    let [unfinished] = ledger.unfinished().unwrap().try_into().unwrap();
    assert_eq!((unfinished.batch.id, unfinished.since_block), (batch.id, 7));
    assert_eq!(unfinished.batch.proposed, batch.proposed);
    let restored = unfinished.certified.unwrap();
    assert_eq!(restored.verdicts.bytes(), [0, 3, 255]);
    assert_eq!((&restored.signers[..], restored.members), (&[0, 2, 3][..], 4));
    ledger.submit(batch.id.into(), &Submission::prepared(5, 1_000_000, 1)).await.unwrap();
    ledger.note(batch.id.into(), BTreeMap::from([(1, "later".to_owned())])).await.unwrap();
    assert_eq!(labels(&ledger.end(&batch, vec![(0, executed())], 9).await.unwrap()), ["executed"]);
    assert!(ledger.end(&batch, vec![(0, expired())], 9).await.unwrap().is_empty(), "it has ended");
    drop(ledger);

    let ledger = open(dir.path());
    let open_now = ledger.batch(batch.id.into()).unwrap().unwrap();
    assert_eq!(open_now.submission.unwrap().nonce, 5);
    assert_eq!(open_now.notes[&1], "later");
    assert!(ledger.overdue(batch.valid_until()).is_empty());
    assert_eq!(ledger.overdue(batch.valid_until() + 1), [batch.id.into()]);
    let rest = (0..3).map(|place| (place, expired())).collect();
    assert_eq!(labels(&ledger.end(&batch, rest, 10).await.unwrap()), ["expired", "expired"]);
    assert_eq!((ledger.open_batches(), ledger.unfinished().unwrap().len()), (0, 0));
    drop(ledger);

    let ledger = open(dir.path());
    assert_eq!(ledger.open_batches(), 0);
    let ends: Vec<_> = ledger.states(batch.id.into()).unwrap().into_values().map(|state| state.label()).collect();
    assert_eq!(ends, ["executed", "expired", "expired"]);
    assert!(!ledger.propose(&batch, 7).await.unwrap(), "what has ended does not come again");
}

#[tokio::test]
async fn an_executed_operation_supersedes_itself_in_other_batches() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let (first, fallback) = (batch(0, 2), batch(1, 2));
    assert_eq!(first.hashes, fallback.hashes);
    ledger.propose(&first, 1).await.unwrap();
    ledger.propose(&fallback, 1).await.unwrap();
    let moved = ledger.end(&first, vec![(0, executed()), (1, expired())], 1).await.unwrap();
    assert_eq!(labels(&moved), ["superseded", "executed", "expired"]);
    assert_eq!(ledger.states(fallback.id.into()).unwrap()[&1], TaskState::Proposed, "its twin only expired");
    drop(ledger);
    let ledger = open(dir.path());
    assert_eq!(ledger.open_batches(), 1);
    assert_eq!(labels(&ledger.end(&fallback, vec![(0, executed()), (1, executed())], 2).await.unwrap()), ["executed"]);
    assert_eq!(ledger.open_batches(), 0);
}

#[tokio::test]
async fn old_ends_are_removed_and_another_network_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let (done, pending) = (batch(0, 1), batch(1, 2));
    ledger.propose(&done, 1).await.unwrap();
    ledger.propose(&pending, 1).await.unwrap();
    ledger.end(&done, vec![(0, expired())], 1).await.unwrap();
    drop(ledger);
    let mine = identity("test", &domain(), Address::ZERO);
    let config = LedgerConfig { keep_slots: 10, ..LedgerConfig::default() };
    drop(Ledger::open(dir.path(), &mine, domain(), &config, SLOT + 11).unwrap());
    assert_eq!(list(dir.path(), &mine).unwrap().len(), 2, "what is open is kept however old");
    let other = identity("other", &domain(), Address::ZERO);
    assert!(matches!(list(dir.path(), &other), Err(LedgerError::Store(StoreError::Foreign { .. }))));
}

#[test]
fn no_way_leads_on_from_an_end() {
    let ends = [
        executed(),
        expired(),
        TaskState::Rejected { reason: String::new() },
        TaskState::FailedOnChain { reason: String::new() },
        TaskState::Superseded { tx: B256::ZERO },
    ];
    let ways = [TaskState::Proposed, TaskState::Certified, TaskState::Submitted];
    for end in &ends {
        assert!(ends.iter().chain(&ways).all(|next| !end.may_become(next)));
        assert!(ways.iter().all(|way| way.may_become(end)));
    }
}

#[tokio::test]
async fn a_split_batch_has_a_certificate_per_part_and_each_task_ends_once() {
    let dir = tempfile::tempdir().unwrap();
    let batch = batch(0, 4);
    let ledger = open(dir.path());
    ledger.propose(&batch, 7).await.unwrap();
    let part = |part: u16, verdicts: &[u8]| Certified { part, ..certified(&batch, verdicts) };
    let (neighbours, poison) = (part(1, &[0, 255, 0, 255]), part(2, &[255, 4, 255, 255]));
    assert_eq!(labels(&ledger.certify(&neighbours).await.unwrap()), ["certified", "certified"]);
    assert!(ledger.certify(&neighbours).await.unwrap().is_empty(), "a part is certified once");
    assert_eq!(labels(&ledger.certify(&poison).await.unwrap()), ["certified"]);
    assert!(ledger.certify(&part(3, &[255, 255, 0, 255])).await.unwrap().is_empty(), "it belongs to another part");
    ledger.submit(neighbours.id(), &Submission::prepared(5, 1_000_000, 1)).await.unwrap();
    ledger.submit(poison.id(), &Submission::prepared(6, 1_000_000, 1)).await.unwrap();
    drop(ledger);

    let ledger = open(dir.path());
    let mut left = ledger.unfinished().unwrap();
    left.sort_by_key(|left| left.part);
    let seen: Vec<_> = left.iter().map(|l| (l.part, l.submission.as_ref().map(|s| s.nonce))).collect();
    assert_eq!(seen, [(0, None), (1, Some(5)), (2, Some(6))]);
    assert_eq!(left[1].certified.as_ref().unwrap().id(), neighbours.id());
    let places = |id: PartId| ledger.states(id).unwrap().into_iter().collect::<Vec<_>>();
    assert_eq!(places(batch.id.into()), [(3, TaskState::Proposed)]);
    assert_eq!(places(neighbours.id()), [(0, TaskState::Submitted), (2, TaskState::Submitted)]);
    assert_eq!(places(poison.id()), [(1, TaskState::Submitted)]);
    assert_eq!(ledger.overdue(u64::MAX).len(), 3);

    ledger.end(&batch, vec![(0, executed()), (2, executed())], 9).await.unwrap();
    assert!(ledger.batch(neighbours.id()).unwrap().is_none(), "all of it has ended");
    assert_eq!(ledger.open_batches(), 2);
    assert_eq!(labels(&ledger.end(&batch, vec![(3, expired())], 9).await.unwrap()), ["expired"]);
    let rejected = TaskState::Rejected { reason: "policy".into() };
    assert_eq!(labels(&ledger.end(&batch, vec![(1, rejected)], 9).await.unwrap()), ["rejected"]);
    assert_eq!((ledger.open_batches(), ledger.unfinished().unwrap().len()), (0, 0));
}
