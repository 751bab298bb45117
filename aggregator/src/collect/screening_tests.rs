#![allow(clippy::unwrap_used)]
use super::*;
use crate::testing::*;
use ditto_core::admission::AcceptedSets;
use ditto_core::quorum::TaskRule;

struct Bench {
    screening: Screening,
    governance: Governance,
    bans: Bans,
    asked: Asked,
    batch: Arc<Batch>,
}

fn bench() -> Bench {
    let (sets, bans, asked) = (AcceptedSets::new(), Bans::default(), Asked::default());
    sets.replace(vec![operator_set(&[1, 1, 1, 0])]);
    let governance = Governance::new(sets);
    governance.set_rule(Some(TaskRule::default()));
    let config = CollectionConfig { parked_votes: 4, parked_votes_per_peer: 2, ..CollectionConfig::default() };
    let mut screening = Screening::new(config, bans.clone(), asked.clone());
    let batch = batch(0, 2);
    assert!(screening.open(batch.clone()).is_empty());
    Bench { screening, governance, bans, asked, batch }
}

impl Bench {
    fn direct(&mut self, operator: usize, vote: Vote) -> Result<Ballot, Unwanted> {
        let came = Came::Directly(controller(operator));
        self.screening.screen(vote, came, PeerId::random(), &self.governance, now_ms())
    }

    fn gossiped(&mut self, vote: Vote) -> Result<Ballot, Unwanted> {
        self.screening.screen(vote, Came::ByGossip, PeerId::random(), &self.governance, now_ms())
    }
}

#[test]
fn a_vote_is_taken_once_and_another_word_is_equivocation() {
    let mut bench = bench();
    let batch = bench.batch.clone();
    assert_eq!(bench.direct(1, vote(&batch, 1, &[0, 3])).unwrap().attester, 1);
    assert_eq!(bench.direct(1, vote(&batch, 1, &[0, 3])).unwrap_err(), Unwanted::Duplicate);
    assert_eq!(bench.direct(1, vote(&batch, 1, &[0, 0])).unwrap_err(), Unwanted::Equivocation);
    assert_eq!(bench.gossiped(vote(&batch, 1, &[0, 3])).unwrap_err(), Unwanted::Duplicate);
}

#[test]
fn strangers_impostors_and_the_banned_are_not_heard() {
    let mut bench = bench();
    let batch = bench.batch.clone();
    assert_eq!(bench.direct(2, vote(&batch, 1, &[0, 0])).unwrap_err(), Unwanted::Impostor);
    assert_eq!(bench.direct(3, vote(&batch, 3, &[0, 0])).unwrap_err(), Unwanted::Stranger, "no power");
    assert_eq!(bench.gossiped(vote(&batch, 4, &[0, 0])).unwrap_err(), Unwanted::Stranger, "no member");
    bench.bans.ban(controller(0), now_ms());
    assert_eq!(bench.direct(0, vote(&batch, 0, &[0, 0])).unwrap_err(), Unwanted::Banned);
    let mut other_set = vote(&batch, 1, &[0, 0]);
    other_set.set_id = 2;
    assert_eq!(bench.direct(1, other_set).unwrap_err(), Unwanted::WrongSet);
}

#[test]
fn who_may_not_attest_is_told_so_before_anything_is_computed() {
    let mut bench = bench();
    let batch = bench.batch.clone();
    bench.governance.set_rule(Some(TaskRule { minimum_attester_power: 2, ..TaskRule::default() }));
    assert_eq!(bench.direct(1, vote(&batch, 1, &[0, 0])).unwrap_err(), Unwanted::BelowMinimum);
    bench.governance.set_rule(Some(TaskRule { max_attesters: 1, ..TaskRule::default() }));
    let (_, electorate) = bench.governance.electorate(1, SLOT).unwrap();
    let [seated] = electorate.seats().unwrap() else { panic!("one seat") };
    for attester in (0..3).filter(|attester| attester != seated) {
        let mut junk = vote(&batch, attester, &[0, 0]);
        junk.signature = [7; 96];
        assert_eq!(bench.direct(attester, junk).unwrap_err(), Unwanted::NotInCommittee, "not even its point is read");
    }
    assert_eq!(bench.direct(3, vote(&batch, 3, &[0, 0])).unwrap_err(), Unwanted::Stranger, "no power");
    assert!(bench.direct(*seated, vote(&batch, *seated, &[0, 0])).is_ok());
    bench.governance.set_rule(Some(TaskRule::default()));
    let other = usize::from(*seated == 0);
    assert!(bench.direct(other, vote(&batch, other, &[0, 0])).is_ok(), "governance may lift the cap at any time");
}

#[test]
fn a_vote_must_fit_its_batch_and_say_something() {
    let mut bench = bench();
    let batch = bench.batch.clone();
    let mut short = vote(&batch, 1, &[0, 0]);
    short.verdicts.0.pop();
    assert_eq!(bench.direct(1, short).unwrap_err(), Unwanted::WrongLength);
    assert_eq!(bench.direct(1, vote(&batch, 1, &[255, 255])).unwrap_err(), Unwanted::Abstains);
    let mut junk = vote(&batch, 1, &[0, 0]);
    junk.signature = [7; 96];
    assert_eq!(bench.direct(1, junk).unwrap_err(), Unwanted::NoPoint);
    assert!(bench.direct(1, vote(&batch, 1, &[0, 255])).is_ok(), "none of that used up the attester's word");
}

#[test]
fn a_forger_who_is_faster_does_not_silence_the_attester() {
    let mut bench = bench();
    let batch = bench.batch.clone();
    for forger in 5..12 {
        let mut forged = vote(&batch, forger, &[0, 0]);
        forged.attester = 1;
        let taken = bench.gossiped(forged);
        assert_eq!(taken.is_ok(), forger < 8, "three gossiped votes in one name, no more");
    }
    assert!(bench.direct(1, vote(&batch, 1, &[0, 0])).is_ok());
}

#[test]
fn votes_for_a_batch_that_is_not_there_yet_wait_for_it_in_bounds() {
    let mut bench = bench();
    let late = batch(1, 3);
    let peer = PeerId::random();
    let mut park = |attester, peer| {
        let came = Came::Directly(controller(attester));
        bench.screening.screen(vote(&late, attester, &[0, 0, 0]), came, peer, &bench.governance, now_ms()).unwrap_err()
    };
    assert_eq!(park(0, peer), Unwanted::Parked);
    assert_eq!(park(1, peer), Unwanted::Parked);
    assert_eq!(park(2, peer), Unwanted::UnknownBatch, "one peer's share");
    assert_eq!(park(2, PeerId::random()), Unwanted::Parked);
    assert_eq!(park(2, PeerId::random()), Unwanted::Parked);
    assert_eq!(park(2, PeerId::random()), Unwanted::UnknownBatch, "everybody's share");
    assert_eq!(bench.screening.open(late.clone()).len(), 4);
    assert!(bench.screening.parked_by.is_empty());

    let never = batch(2, 4);
    assert_eq!(bench.direct(0, vote(&never, 0, &[0, 0, 0, 0])).unwrap_err(), Unwanted::Parked);
    assert_eq!(bench.screening.forget(now_ms() + 1_999), 0);
    assert_eq!(bench.screening.forget(now_ms() + 2_000), 1);
    assert_eq!(bench.screening.room_for(late.id, Address::ZERO, SLOT), Err(NoRoom::Known));
    bench.screening.forget(network().valid_until(SLOT) * 1000);
    assert_eq!(bench.screening.room_for(late.id, Address::ZERO, SLOT), Ok(()));
}

#[test]
fn a_performer_gets_two_proposals_a_slot_heard_and_not_more() {
    let mut bench = bench();
    let performer = signer(0).address();
    let second = batch(0, 3);
    assert_eq!(bench.screening.room_for(second.id, performer, SLOT), Ok(()));
    bench.screening.open(second);
    let third = batch(0, 4);
    assert_eq!(bench.screening.room_for(third.id, performer, SLOT), Err(NoRoom::Equivocation));
    let sibling = BatchId { proposal: bench.batch.id.proposal, index: 1 };
    assert_eq!(bench.screening.room_for(sibling, performer, SLOT), Ok(()), "another batch of the same proposal");
}

fn ask(bench: &Bench, vectors: &[&[u8]]) {
    let vectors = vectors.iter().map(|bytes| VerdictVector::from_bytes(bytes).unwrap()).collect();
    bench.asked.add(&crate::verify::Question { batch: bench.batch.clone(), round: 0, vectors });
}

#[test]
fn a_part_of_a_vote_is_taken_when_it_was_asked_for_and_agrees() {
    let mut bench = bench();
    let batch = bench.batch.clone();
    assert!(bench.direct(1, vote(&batch, 1, &[0, 3])).is_ok());
    assert_eq!(bench.direct(1, vote(&batch, 1, &[0, 255])).unwrap_err(), Unwanted::Unasked);
    ask(&bench, &[&[0, 255], &[255, 0]]);
    assert!(bench.direct(1, vote(&batch, 1, &[0, 255])).is_ok());
    assert_eq!(bench.direct(1, vote(&batch, 1, &[0, 255])).unwrap_err(), Unwanted::Duplicate);
    assert_eq!(
        bench.direct(1, vote(&batch, 1, &[255, 0])).unwrap_err(),
        Unwanted::Equivocation,
        "it rejected that task"
    );
    let suspicions = bench.screening.suspicions();
    assert_eq!(suspicions.len(), 1);
    assert_eq!((suspicions[0].attester, suspicions[0].first.verdicts.bytes()), (1, vec![0, 3]));
    assert_eq!(bench.direct(1, vote(&batch, 1, &[3, 3])).unwrap_err(), Unwanted::Equivocation);
    assert!(bench.screening.suspicions().is_empty(), "once per attester and batch");
    assert!(bench.gossiped(vote(&batch, 0, &[0, 255])).is_ok(), "a part may be gossiped, and be the first word");
    assert!(bench.direct(0, vote(&batch, 0, &[0, 0])).is_ok(), "and the whole vote come after it");
}

#[test]
fn a_forged_contradiction_silences_nobody_and_costs_a_bounded_number_of_checks() {
    let mut bench = bench();
    let batch = bench.batch.clone();
    for forger in 5..8 {
        let mut forged = vote(&batch, forger, &[3, 3]);
        forged.attester = 1;
        bench.gossiped(forged).unwrap();
    }
    assert!(bench.direct(1, vote(&batch, 1, &[0, 0])).is_ok(), "its own word counts, whatever was said in its name");
    assert_eq!(bench.screening.suspicions().len(), 1, "the forgeries are looked at once");
    let mut forged = vote(&batch, 9, &[4, 4]);
    forged.attester = 1;
    assert!(bench.gossiped(forged).is_err());
    assert!(bench.screening.suspicions().is_empty());
}

#[test]
fn two_operations_approved_for_one_occurrence_are_noticed_across_batches() {
    let mut bench = bench();
    let first = bench.batch.clone();
    // The fallback proposes the first task as it is and another operation for the second occurrence.
    let mut other = task(2);
    other.op.call_gas += 1;
    let proposed = propose(1, vec![task(1), other]);
    let id = proposed.check(&domain()).unwrap();
    let second = Arc::new(Batch::new(&domain(), id, proposed, now_ms()));
    bench.screening.open(second.clone());
    assert!(bench.direct(1, vote(&first, 1, &[0, 0])).is_ok());
    assert!(bench.direct(1, vote(&second, 1, &[0, 3])).is_ok(), "one operation approved, the other rejected");
    assert!(bench.direct(2, vote(&first, 2, &[0, 0])).is_ok());
    assert_eq!(bench.direct(2, vote(&second, 2, &[0, 0])).unwrap_err(), Unwanted::Equivocation);
    let [suspicion] = bench.screening.suspicions().try_into().unwrap();
    assert_eq!((suspicion.first.batch.id, suspicion.second.batch.id), (first.id, second.id));
    assert!(bench.direct(0, vote(&first, 0, &[0, 255])).is_ok());
    assert_eq!(
        bench.direct(0, vote(&second, 0, &[3, 0])).unwrap_err(),
        Unwanted::Equivocation,
        "approved there, rejected here"
    );
    bench.screening.forget(network().valid_until(SLOT) * 1000);
    assert!(bench.screening.twins.of(first.id).next().is_none(), "forgotten with the batches");
}
