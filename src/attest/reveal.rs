//! Nobody can hide votes: what the aggregator took and has not brought to the chain by the contract's deadline is shown to
//! everybody, so that others can.
//!
//! From the deadline on the chain is asked what became of the batches that this operator voted on. A vote none of whose
//! operations wants anything more is done with, whichever batch they were executed in. Any other is gossiped, and sent
//! besides to the operators that submit first: a gossiped vote names its author without proving it, and whoever floods the
//! network with forged ones must not keep the true ones out.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use alloy::primitives::{Address, B256, U256};
use alloy::sol_types::SolCall;
use ditto_aggregator::submit::ContractDeadline;
use ditto_core::admission::AcceptedSets;
use ditto_core::chain::bindings::attestation_center::AttestationCenter;
use ditto_core::chain::{Head, Heads, Request, Rpc, RpcError};
use ditto_core::clock::SlotSchedule;
use ditto_core::p2p::{PublishError, Topic, Transport};
use ditto_core::proposal::BatchId;
use ditto_core::verdict::Verdict;
use futures::future::join_all;
use tokio_util::sync::CancellationToken;

use super::Ballot;
use super::sent::Sent;
use crate::standby::FIRST;

/// What it works with.
pub struct Reveal {
    /// Our votes.
    pub sent: Sent,
    /// The way to the others.
    pub transport: Arc<dyn Transport>,
    /// The target chain.
    pub rpc: Arc<Rpc>,
    /// Its heads.
    pub heads: Heads,
    /// Whom to ask.
    pub attestation_center: Address,
    /// When slots begin.
    pub schedule: SlotSchedule,
    /// Who the other operators are.
    pub sets: AcceptedSets,
    /// Our delegated signer.
    pub own: Address,
    /// From when on others may submit.
    pub deadline: ContractDeadline,
}

/// Looks with every block of the target chain, until `stop`.
pub async fn follow(mut reveal: Reveal, stop: CancellationToken) {
    loop {
        let changed = async {
            // The heads end with the process.
            if !reveal.heads.changed().await {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = changed => {}
        }
        let Some(head) = reveal.heads.latest() else { continue };
        tokio::select! {
            () = stop.cancelled() => return,
            looked = reveal.look(head) => if let Err(error) = looked {
                tracing::debug!(%error, "cannot look what became of our votes; trying on");
            }
        }
    }
}

impl Reveal {
    async fn look(&self, head: Head) -> Result<(), RpcError> {
        let deadline = self.deadline.seconds(&self.rpc, self.attestation_center).await?;
        let passed = |slot| self.schedule.start_seconds(slot).saturating_add(deadline) <= head.timestamp;
        // With those that were seen to: an operation may be executed as part of another batch of ours.
        let past = self.sent.past(passed);
        if past.is_empty() {
            return Ok(());
        }
        let ballots: Vec<&Arc<Ballot>> = past.iter().map(|(ballot, _)| ballot).collect();
        let over = self.over(&ballots, head).await?;
        for (ballot, _) in past.iter().filter(|(_, seen_to)| !seen_to) {
            if is_over(ballot, &over) || self.show(ballot).await {
                self.sent.seen_to(ballot);
            }
        }
        Ok(())
    }

    /// The operations that the chain is done with.
    async fn over(&self, ballots: &[&Arc<Ballot>], head: Head) -> Result<HashSet<B256>, RpcError> {
        let batches: BTreeSet<BatchId> = ballots.iter().map(|ballot| ballot.id).collect();
        let asked = batches.iter().map(|batch| {
            let call = AttestationCenter::doneCall { proposal: batch.proposal, index: batch.index }.abi_encode();
            Request::call(self.attestation_center, &call, head.hash)
        });
        let answers = self.rpc.ask_all(asked.collect()).await;
        let mut over = HashSet::new();
        for (batch, answer) in batches.iter().zip(answers) {
            let done: U256 = serde_json::from_str(answer?.get())
                .map_err(|cause| RpcError::shape(self.rpc.chain(), cause.to_string()))?;
            // Every vote on a batch holds the same hashes.
            if let Some(ballot) = ballots.iter().find(|ballot| ballot.id == *batch) {
                over.extend(ballot.hashes.iter().enumerate().filter(|(at, _)| done.bit(*at)).map(|(_, hash)| *hash));
            }
        }
        Ok(over)
    }

    /// Shows a vote; `false` when nobody has it yet.
    async fn show(&self, ballot: &Ballot) -> bool {
        if !ballot.gossiped.load(Ordering::Relaxed) {
            match self.transport.publish(Topic::Votes, ballot.bytes.clone()).await {
                Ok(()) | Err(PublishError::Duplicate) => ballot.gossiped.store(true, Ordering::Relaxed),
                Err(error) => {
                    tracing::debug!(slot = ballot.slot, %error, "a vote is not gossiped yet");
                    return false;
                }
            }
        }
        metrics::counter!("ditto_operator_votes_revealed_total").increment(1);
        tracing::info!(slot = ballot.slot, batch = %ballot.id, "the aggregator is late with a batch: our vote is shown to everybody");
        let sets = self.sets.get();
        if let Some(set) = sets.set(ballot.batch.proposal.setId) {
            let first = set.standbys(ballot.slot).take(FIRST).filter(|member| member.signer != self.own);
            let sends =
                first.map(|member| self.transport.send_vote_to(member.controller.into_array(), ballot.bytes.clone()));
            // Whoever is not there, or does not stand by, has it by gossip.
            join_all(sends).await;
        }
        true
    }
}

/// Is the chain done with everything that this vote decides?
fn is_over(ballot: &Ballot, over: &HashSet<B256>) -> bool {
    let decided = ballot.hashes.iter().zip(&ballot.verdicts.0).filter(|(_, verdict)| **verdict != Verdict::Abstain);
    decided.into_iter().all(|(hash, _)| over.contains(hash))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::attest::ballot;
    use ditto_core::verdict::VerdictVector;

    #[test]
    fn a_vote_is_over_when_every_operation_that_it_decides_is() {
        let hash = B256::with_last_byte;
        let mut vote = Arc::into_inner(ballot(7, vec![1])).unwrap();
        vote.hashes = Arc::from([hash(1), hash(2), hash(3)]);
        vote.verdicts = VerdictVector::from_bytes(&[0, 255, 3]).unwrap();
        let over = |hashes: &[u8]| is_over(&vote, &hashes.iter().map(|byte| hash(*byte)).collect());
        assert!(!over(&[]) && !over(&[1, 2]) && !over(&[2, 3]));
        assert!(over(&[1, 3]) && over(&[1, 2, 3]), "what it abstains from is not its business");
    }
}
