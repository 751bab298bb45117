#![allow(clippy::unwrap_used)]
use super::*;
use crate::testing::*;
use ditto_core::admission::AcceptedSets;

struct Bench {
    screening: Screening,
    sets: AcceptedSets,
    bans: Bans,
    batch: Arc<Batch>,
}

fn bench() -> Bench {
    let (sets, bans) = (AcceptedSets::new(), Bans::default());
    sets.replace(vec![operator_set(&[1, 1, 1, 0])]);
    let config = CollectionConfig { parked_votes: 4, parked_votes_per_peer: 2, ..CollectionConfig::default() };
    let mut screening = Screening::new(config, bans.clone());
    let batch = batch(0, 2);
    assert!(screening.open(batch.clone()).is_empty());
    Bench { screening, sets, bans, batch }
}

impl Bench {
    fn direct(&mut self, operator: usize, vote: Vote) -> Result<Ballot, Unwanted> {
        let came = Came::Directly(controller(operator));
        self.screening.screen(vote, came, PeerId::random(), &self.sets.get(), now_ms())
    }

    fn gossiped(&mut self, vote: Vote) -> Result<Ballot, Unwanted> {
        self.screening.screen(vote, Came::ByGossip, PeerId::random(), &self.sets.get(), now_ms())
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
    bench.bans.ban(controller(0), now_ms(), 1_000);
    assert_eq!(bench.direct(0, vote(&batch, 0, &[0, 0])).unwrap_err(), Unwanted::Banned);
    let mut other_set = vote(&batch, 1, &[0, 0]);
    other_set.set_id = 2;
    assert_eq!(bench.direct(1, other_set).unwrap_err(), Unwanted::WrongSet);
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
        bench.screening.screen(vote(&late, attester, &[0, 0, 0]), came, peer, &bench.sets.get(), now_ms()).unwrap_err()
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
