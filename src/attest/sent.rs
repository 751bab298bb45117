//! Votes that were cast and may still count: an aggregator that comes (back) is sent them again.
//!
//! It may have been killed between taking a vote and having a certificate on its disk; nothing it could ask says so sooner
//! than its connection does.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ditto_core::p2p::{SendError, Transport};
use ditto_core::stage::Deadline;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Votes remembered: several slots of a performer's largest proposals. A vote is under a kilobyte.
const REMEMBERED: usize = 1_024;
/// Collectors that may wait to be served; one that is not comes again with its next connection.
const WAITING: usize = 32;

/// A vote, and until when it is worth sending.
type Kept = (Deadline, Vec<u8>);

/// The votes of the open slots. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Sent(Arc<Mutex<VecDeque<Kept>>>);

impl Sent {
    /// Remembers a vote until its deadline; the oldest makes room.
    pub fn note(&self, bytes: Vec<u8>, until: Deadline) {
        let mut votes = self.lock();
        votes.retain(|(until, _)| !until.expired());
        if votes.len() >= REMEMBERED {
            votes.pop_front();
        }
        votes.push_back((until, bytes));
    }

    /// Those that still count, in the order in which they were cast.
    #[must_use]
    pub fn open(&self) -> Vec<Vec<u8>> {
        self.lock().iter().filter(|(until, _)| !until.expired()).map(|(_, bytes)| bytes.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(Deadline, Vec<u8>)>> {
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
        for bytes in votes {
            match transport.send_vote_to(collector, bytes).await {
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
        sent.note(vec![1], Deadline::at(Instant::now()));
        for number in 0..REMEMBERED + 3 {
            sent.note(number.to_be_bytes().to_vec(), soon);
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
}
