#![allow(clippy::unwrap_used)]
use super::*;
use crate::attest::ballot;
use std::time::{Duration, Instant};

use ditto_core::p2p::VoteReceipt;
use ditto_core::telemetry::measured;

fn soon() -> Deadline {
    Deadline::at(Instant::now() + Duration::from_secs(600))
}

fn foreign(batch: BatchId, byte: u8) -> Heard {
    Heard::Gossiped(batch, vec![byte], PeerId::random(), Role::Operator([byte; 20]))
}

/// The topics of gossip, and the bytes of votes.
fn shape(events: &[Event]) -> Vec<(Topic, Vec<u8>)> {
    let of = |event: &Event| match event {
        Event::Gossip { topic: Topic::Proposals, .. } => (Topic::Proposals, vec![]),
        Event::Gossip { topic, bytes, .. } => (*topic, bytes.clone()),
        other => panic!("{other:?}"),
    };
    events.iter().map(of).collect()
}

#[test]
fn nothing_is_handed_on_before_somebody_else_votes_and_then_everything_once() {
    let mut intake = Intake::new(PeerId::random());
    let (first, part) = (ballot(7, vec![1]), ballot(7, vec![2]));
    assert!(intake.hear(Heard::Own(first.clone(), soon())).is_empty());
    assert!(intake.hear(Heard::Own(part, soon())).is_empty());
    let votes = Topic::Votes;
    assert_eq!(
        shape(&intake.hear(foreign(first.id, 9))),
        [(Topic::Proposals, vec![]), (votes, vec![1]), (votes, vec![2]), (votes, vec![9])]
    );
    assert_eq!(shape(&intake.hear(foreign(first.id, 8))), [(votes, vec![8])]);
    assert_eq!(shape(&intake.hear(Heard::Own(ballot(7, vec![3]), soon()))), [(votes, vec![3])], "a part, later");
}

#[test]
fn a_vote_that_is_faster_than_our_judgement_goes_ahead_and_the_batch_follows() {
    let mut intake = Intake::new(PeerId::random());
    let own = ballot(7, vec![1]);
    assert_eq!(shape(&intake.hear(foreign(own.id, 9))), [(Topic::Votes, vec![9])]);
    let events = intake.hear(Heard::Own(own, soon()));
    assert_eq!(shape(&events), [(Topic::Proposals, vec![]), (Topic::Votes, vec![1])]);
}

#[test]
fn what_is_over_is_forgotten_and_nobody_makes_us_remember_much() {
    let mut intake = Intake::new(PeerId::random());
    let mut batches = HashSet::new();
    for slot in 0..=255 {
        let over = ballot(slot, vec![1]);
        batches.insert(over.id);
        intake.hear(Heard::Own(over, Deadline::at(Instant::now())));
    }
    assert!(batches.len() > 200 && intake.known.len() <= 1);
    for number in 0..5 * WANTED as u64 {
        let mut name = [0; 32];
        name[..8].copy_from_slice(&number.to_be_bytes());
        intake.hear(foreign(BatchId { proposal: name.into(), index: 0 }, 1));
    }
    assert!(intake.wanted.len() <= WANTED);
}

#[test]
fn an_operator_that_does_not_stand_by_wants_no_votes_and_one_that_is_busy_says_so() {
    let (reply, mut answer) = VoteReply::detached();
    Feed::none().direct(vec![1], PeerId::random(), Role::Operator([1; 20]), reply);
    assert_eq!(answer.try_recv().unwrap(), Err(VoteRefusal::Unwanted));
    let dropped = || measured("ditto_operator_standby_dropped_total", &[("what", "direct_vote")]);
    let before = dropped();
    let (feed, heard) = Feed::new();
    for _ in 0..WAITING {
        feed.gossiped(ballot(1, vec![]).id, vec![1], PeerId::random(), Role::Operator([1; 20]));
    }
    let (reply, mut answer) = VoteReply::detached();
    feed.direct(vec![1], PeerId::random(), Role::Operator([1; 20]), reply);
    assert_eq!(answer.try_recv().unwrap(), Err(VoteRefusal::Busy));
    assert_eq!(heard.len(), WAITING);
    assert!(dropped() > before);

    let mut intake = Intake::new(PeerId::random());
    let (reply, mut answer) = VoteReply::detached();
    let junk = Heard::Direct { bytes: vec![0; 3], from: PeerId::random(), role: Role::Operator([1; 20]), reply };
    assert!(intake.hear(junk).is_empty());
    assert_eq!(answer.try_recv().unwrap(), Err::<VoteReceipt, _>(VoteRefusal::Malformed));
}
