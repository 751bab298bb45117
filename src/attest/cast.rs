//! Cast: bring a signed vote to the aggregator.
//!
//! Directly, because that is a hundred times cheaper for everybody; by gossip when no direct way stands or the aggregator
//! is silent. Tried until the operations' validity is over. An aggregator that is busy, or wants votes more slowly, is not
//! one that refuses: a batch that is voted on in parts has many votes at once.

use std::sync::Arc;
use std::time::Duration;

use ditto_core::clock::Slot;
use ditto_core::p2p::{PublishError, SendError, Topic, Transport, VoteRefusal};
use ditto_core::proposal::BatchId;
use ditto_core::stage::{Deadline, Handler, Outcome};

use super::sent::Sent;
use crate::board::Board;

/// Pause between two rounds of trying.
const PAUSE: Duration = Duration::from_millis(200);

/// A signed vote on its way.
#[derive(Debug)]
pub struct Ballot {
    /// The slot it is for.
    pub slot: Slot,
    /// The batch it is on.
    pub batch: BatchId,
    /// Its encoding.
    pub bytes: Vec<u8>,
}

/// The stage.
pub struct Cast {
    /// The way to the others.
    pub transport: Arc<dyn Transport>,
    /// What an aggregator that comes back is sent again.
    pub sent: Sent,
    /// What is shown.
    pub board: Arc<Board>,
}

impl Handler for Cast {
    type Item = Ballot;
    const OUTCOMES: &'static [Outcome] = &["direct", "gossiped", "refused", "undelivered"];

    async fn handle(&self, ballot: Ballot, deadline: Deadline) -> Outcome {
        let (slot, batch) = (ballot.slot, ballot.batch);
        let outcome = self.bring(ballot, deadline).await;
        if matches!(outcome, "refused" | "undelivered") {
            missed(outcome);
        }
        self.board.voted(slot, batch, outcome);
        outcome
    }
}

/// Counts a batch that this operator has no vote on, and could have.
pub(super) fn missed(reason: &'static str) {
    metrics::counter!("ditto_operator_votes_missed_total", "reason" => reason).increment(1);
}

impl Cast {
    async fn bring(&self, ballot: Ballot, deadline: Deadline) -> Outcome {
        self.sent.note(ballot.bytes.clone(), deadline);
        loop {
            match self.transport.send_vote(ballot.bytes.clone()).await {
                Ok(_) => return "direct",
                Err(SendError::Refused(refusal))
                    if !matches!(refusal, VoteRefusal::Busy | VoteRefusal::RateLimited) =>
                {
                    tracing::warn!(slot = ballot.slot, batch = %ballot.batch, %refusal, "the aggregator refuses our vote");
                    return "refused";
                }
                Err(error) => tracing::debug!(slot = ballot.slot, %error, "no direct way for a vote"),
            }
            match self.transport.publish(Topic::Votes, ballot.bytes.clone()).await {
                Ok(()) | Err(PublishError::Duplicate) => return "gossiped",
                Err(error) => tracing::debug!(slot = ballot.slot, %error, "a vote was not gossiped"),
            }
            if deadline.remaining().is_some_and(|left| left <= PAUSE) {
                tracing::warn!(slot = ballot.slot, batch = %ballot.batch, "a vote reached nobody");
                return "undelivered";
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
