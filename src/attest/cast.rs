//! Cast: bring a signed vote to the aggregator.
//!
//! Directly, because that is a hundred times cheaper for everybody; by gossip when no direct way stands or the aggregator
//! is silent. Tried until the operations' validity is over. An aggregator that is busy, or wants votes more slowly, is not
//! one that refuses: a batch that is voted on in parts has many votes at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use alloy::primitives::B256;
use ditto_core::clock::Slot;
use ditto_core::p2p::{PublishError, SendError, Topic, Transport, VoteRefusal};
use ditto_core::proposal::{BatchId, ProposedBatch};
use ditto_core::stage::{Deadline, Handler, Outcome};
use ditto_core::verdict::VerdictVector;

use super::sent::Sent;
use crate::board::Board;
use crate::standby::Feed;

/// Pause between two rounds of trying.
const PAUSE: Duration = Duration::from_millis(200);

/// A signed vote on its way.
#[derive(Debug)]
pub struct Ballot {
    /// The slot it is for.
    pub slot: Slot,
    /// The batch it is on.
    pub id: BatchId,
    /// What was proposed.
    pub batch: Arc<ProposedBatch>,
    /// The userOpHash of every task.
    pub hashes: Arc<[B256]>,
    /// What it says of each.
    pub verdicts: VerdictVector,
    /// Its encoding.
    pub bytes: Vec<u8>,
    /// It was gossiped: everybody has it.
    pub gossiped: AtomicBool,
}

/// The stage.
pub struct Cast {
    /// The way to the others.
    pub transport: Arc<dyn Transport>,
    /// What an aggregator that comes back is sent again.
    pub sent: Sent,
    /// Who stands by for the aggregator in this process.
    pub standby: Feed,
    /// What is shown.
    pub board: Arc<Board>,
}

impl Handler for Cast {
    type Item = Ballot;
    const OUTCOMES: &'static [Outcome] = &["direct", "gossiped", "refused", "undelivered"];

    async fn handle(&self, ballot: Ballot, deadline: Deadline) -> Outcome {
        let (slot, batch) = (ballot.slot, ballot.id);
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
        let ballot = Arc::new(ballot);
        self.sent.note(ballot.clone(), deadline);
        self.standby.own(&ballot, deadline);
        loop {
            match self.transport.send_vote(ballot.bytes.clone()).await {
                Ok(_) => return "direct",
                Err(SendError::Refused(refusal))
                    if !matches!(refusal, VoteRefusal::Busy | VoteRefusal::RateLimited) =>
                {
                    tracing::warn!(slot = ballot.slot, batch = %ballot.id, %refusal, "the aggregator refuses our vote");
                    return "refused";
                }
                Err(error) => tracing::debug!(slot = ballot.slot, %error, "no direct way for a vote"),
            }
            match self.transport.publish(Topic::Votes, ballot.bytes.clone()).await {
                Ok(()) | Err(PublishError::Duplicate) => {
                    ballot.gossiped.store(true, Ordering::Relaxed);
                    return "gossiped";
                }
                Err(error) => tracing::debug!(slot = ballot.slot, %error, "a vote was not gossiped"),
            }
            if deadline.remaining().is_some_and(|left| left <= PAUSE) {
                tracing::warn!(slot = ballot.slot, batch = %ballot.id, "a vote reached nobody");
                return "undelivered";
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use alloy::primitives::{Address, U256};
    use ditto_core::consent::Proposal;

    /// A vote with these bytes on a batch without tasks.
    pub fn ballot(slot: Slot, bytes: Vec<u8>) -> Arc<Ballot> {
        let proposal = Proposal {
            slot,
            setId: 1,
            taskDefinitionId: 0,
            performer: Address::ZERO,
            aggregator: Address::ZERO,
            pins: B256::ZERO,
            tasks: B256::ZERO,
            targetChainId: U256::ZERO,
        };
        let batch = ProposedBatch {
            proposal,
            signature: [0; 65],
            engine_id: B256::ZERO,
            pins: vec![],
            batch_hashes: vec![],
            index: 0,
            tasks: vec![],
        };
        let id = BatchId { proposal: B256::with_last_byte(u8::try_from(slot).unwrap_or_default()), index: 0 };
        let (batch, hashes, verdicts) = (Arc::new(batch), Arc::from([]), VerdictVector(vec![]));
        Arc::new(Ballot { slot, id, batch, hashes, verdicts, bytes, gossiped: AtomicBool::new(false) })
    }
}
