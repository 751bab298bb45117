//! Votes that were cast and may still count: an aggregator that comes (back) is sent them again, and when the contract's
//! deadline passes without them on the chain, everybody is ([`super::reveal`]).
//!
//! It may have been killed between taking a vote and having a certificate on its disk; nothing it could ask says so sooner
//! than its connection does.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ditto_core::clock::Slot;
use ditto_core::p2p::{SendError, Transport};
use ditto_core::stage::Deadline;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Ballot;

/// Votes remembered: several slots of a performer's largest proposals. A vote is under a kilobyte.
const REMEMBERED: usize = 1_024;
/// Collectors that may wait to be served; one that is not comes again with its next connection.
const WAITING: usize = 32;

/// A vote, until when it is worth sending, and whether its batch was looked after when the deadline had passed.
#[derive(Debug)]
struct Kept {
    until: Deadline,
    ballot: Arc<Ballot>,
    seen_to: bool,
}

/// The votes of the open slots. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Sent(Arc<Mutex<VecDeque<Kept>>>);

impl Sent {
    /// Remembers a vote until its deadline; the oldest makes room.
    pub fn note(&self, ballot: Arc<Ballot>, until: Deadline) {
        let mut votes = self.lock();
        votes.retain(|kept| !kept.until.expired());
        if votes.len() >= REMEMBERED {
            votes.pop_front();
        }
        votes.push_back(Kept { until, ballot, seen_to: false });
    }

    /// Those that still count, in the order in which they were cast.
    #[must_use]
    pub fn open(&self) -> Vec<Arc<Ballot>> {
        self.lock().iter().filter(|kept| !kept.until.expired()).map(|kept| kept.ballot.clone()).collect()
    }

    /// Of those, the ones of slots that `passed` says something of, if any of them has not been seen to: each with whether
    /// it has.
    #[must_use]
    pub fn past(&self, passed: impl Fn(Slot) -> bool) -> Vec<(Arc<Ballot>, bool)> {
        let votes = self.lock();
        let open = votes.iter().filter(|kept| !kept.until.expired() && passed(kept.ballot.slot));
        let past: Vec<_> = open.map(|kept| (kept.ballot.clone(), kept.seen_to)).collect();
        if past.iter().all(|(_, seen_to)| *seen_to) { Vec::new() } else { past }
    }

    /// This vote needs nothing more.
    pub fn seen_to(&self, ballot: &Arc<Ballot>) {
        if let Some(kept) = self.lock().iter_mut().find(|kept| Arc::ptr_eq(&kept.ballot, ballot)) {
            kept.seen_to = true;
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Kept>> {
        // Pushed to and popped from whole, so a panic elsewhere leaves nothing half-done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the collectors that came are told of, and heard of.
#[must_use]
pub fn arrivals() -> (mpsc::Sender<[u8; 20]>, mpsc::Receiver<[u8; 20]>) {
    mpsc::channel(WAITING)
}

/// Sends every collector that arrives the votes that still count, until `stop`.
pub async fn resend(
    sent: Sent,
    transport: Arc<dyn Transport>,
    mut arrivals: mpsc::Receiver<[u8; 20]>,
    stop: CancellationToken,
) {
    loop {
        let collector = tokio::select! {
            () = stop.cancelled() => return,
            collector = arrivals.recv() => collector,
        };
        let Some(collector) = collector else { return };
        let votes = sent.open();
        let mut taken = 0u64;
        for ballot in votes {
            match transport.send_vote_to(collector, ballot.bytes.clone()).await {
                Ok(_) => taken += 1,
                // It is gone again, and will be told when it comes back.
                Err(SendError::NotConnected | SendError::Closed) => break,
                Err(error) => tracing::debug!(%error, "a vote was not taken again"),
            }
        }
        if taken > 0 {
            tracing::info!(taken, "a collector of votes has come: it was sent the open ones again");
        }
        metrics::counter!("ditto_operator_votes_resent_total").increment(taken);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use ditto_core::p2p::{Acceptance, MessageToken, PeerId, PublishError, Topic, VoteReceipt};
    use futures::future::BoxFuture;
    use std::time::{Duration, Instant};

    use crate::attest::ballot;

    #[derive(Default)]
    struct Heard(Mutex<Vec<([u8; 20], Vec<u8>)>>);

    impl Transport for Heard {
        fn publish(&self, _: Topic, _: Vec<u8>) -> BoxFuture<'_, Result<(), PublishError>> {
            Box::pin(async { Err(PublishError::NoPeers) })
        }
        fn send_vote(&self, _: Vec<u8>) -> BoxFuture<'_, Result<VoteReceipt, SendError>> {
            Box::pin(async { Err(SendError::NotConnected) })
        }
        fn send_vote_to(&self, to: [u8; 20], bytes: Vec<u8>) -> BoxFuture<'_, Result<VoteReceipt, SendError>> {
            self.0.lock().unwrap().push((to, bytes));
            Box::pin(async { Ok(VoteReceipt::Duplicate) })
        }
        fn report(&self, _: MessageToken, _: Acceptance) {}
        fn ban(&self, _: PeerId, _: Duration, _: &'static str) {}
    }

    #[tokio::test]
    async fn a_collector_that_comes_gets_what_still_counts_and_no_more_than_is_remembered() {
        let resent = || ditto_core::telemetry::measured("ditto_operator_votes_resent_total", &[]);
        let before = resent();
        let (sent, heard) = (Sent::default(), Arc::new(Heard::default()));
        let soon = Deadline::at(Instant::now() + Duration::from_secs(600));
        sent.note(ballot(7, vec![1]), Deadline::at(Instant::now()));
        for number in 0..REMEMBERED + 3 {
            sent.note(ballot(8, number.to_be_bytes().to_vec()), soon);
        }
        let (arrived, arrivals) = arrivals();
        arrived.send([7; 20]).await.unwrap();
        drop(arrived);
        resend(sent, heard.clone(), arrivals, CancellationToken::new()).await;
        let heard = heard.0.lock().unwrap();
        assert_eq!(heard.len(), REMEMBERED);
        assert_eq!(heard[0], ([7; 20], 3usize.to_be_bytes().to_vec()));
        assert!((resent() - before - REMEMBERED as f64).abs() < 0.5);
    }

    #[test]
    fn a_slot_that_has_passed_is_looked_at_until_every_vote_of_it_is_seen_to() {
        let (sent, soon) = (Sent::default(), Deadline::at(Instant::now() + Duration::from_secs(600)));
        let (first, second, later) = (ballot(7, vec![1]), ballot(7, vec![2]), ballot(8, vec![3]));
        for vote in [&first, &second, &later] {
            sent.note(vote.clone(), soon);
        }
        assert!(sent.past(|slot| slot < 7).is_empty());
        assert_eq!(sent.past(|slot| slot < 8).len(), 2);
        sent.seen_to(&first);
        let past = sent.past(|slot| slot < 8);
        assert_eq!(past.iter().map(|(_, seen_to)| *seen_to).collect::<Vec<_>>(), [true, false]);
        sent.seen_to(&second);
        assert!(sent.past(|slot| slot < 8).is_empty());
        assert_eq!(sent.open().len(), 3);
    }
}
