//! Several endpoints, one chain: which block is the pin where they disagree.
//!
//! When a pin is taken, every endpoint that is up says which block it has at that number. The block that most of them have
//! is the pin; where as many have another, the one of the endpoint that stands first in the configuration. Endpoints with
//! another block, or none, are set aside for it: a slot is read at one block of each chain, whoever answers.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy::eips::BlockNumHash;
use alloy::primitives::B256;
use futures::StreamExt;
use futures::stream::FuturesUnordered;

use super::exchange::Reply;
use super::health::Aside;
use super::rpc::block_hash;
use super::{Request, Rpc};

/// Blocks that are remembered as agreed upon: more than the pins of the slots that overlap.
const REMEMBERED: usize = 8;

/// The last blocks that the endpoints agreed upon.
#[derive(Debug, Default)]
pub(super) struct Agreed(VecDeque<B256>);

/// What an endpoint says about a block number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ballot {
    /// It has this block there.
    Has(B256),
    /// It has none yet.
    Lacks,
}

/// Who won, and who is of no use for the winner. `None` when nobody has any block. The ballots stand in the order of the
/// configuration.
pub(super) fn count(ballots: &[Option<Ballot>]) -> Option<(B256, Vec<(usize, Aside)>)> {
    let mut votes: HashMap<B256, usize> = HashMap::new();
    let said = || {
        ballots.iter().filter_map(|ballot| match ballot {
            Some(Ballot::Has(hash)) => Some(*hash),
            _ => None,
        })
    };
    for hash in said() {
        *votes.entry(hash).or_default() += 1;
    }
    let most = votes.values().copied().max()?;
    let winner = said().find(|hash| votes.get(hash) == Some(&most))?;
    let aside = ballots.iter().enumerate().filter_map(|(at, ballot)| match ballot {
        Some(Ballot::Has(hash)) if *hash != winner => Some((at, Aside::Contradicts)),
        Some(Ballot::Lacks) => Some((at, Aside::Unknown)),
        _ => None,
    });
    Some((winner, aside.collect()))
}

impl Rpc {
    /// Whether this block is the chain's, as far as the endpoints that answer in time agree. What was agreed upon once
    /// stays so. `false` means that most have another block at that number; those who have this one are set aside.
    pub async fn agree(self: &Arc<Self>, block: BlockNumHash) -> bool {
        // With one endpoint there is nobody to ask: it is who told of the block.
        if self.endpoints.len() == 1 {
            return true;
        }
        // One vote at a time: who asks for the same block meanwhile waits for its result.
        let mut agreed = self.agreed.lock().await;
        if agreed.0.contains(&block.hash) {
            return true;
        }
        let ballots = self.ballots(block.number).await;
        let Some((winner, aside)) = count(&ballots) else {
            // Nobody answers: whoever reads at this block will find that out.
            return true;
        };
        for (endpoint, ballot) in self.endpoints.iter().zip(&ballots) {
            if *ballot == Some(Ballot::Has(winner)) {
                endpoint.health().agrees(winner);
            }
        }
        for (at, why) in aside {
            if let Some(endpoint) = self.endpoints.get(at) {
                endpoint.set_aside(if why == Aside::Unknown { block.hash } else { winner }, why);
            }
        }
        if winner != block.hash {
            metrics::counter!("ditto_rpc_pins_outvoted_total", "chain" => self.chain().to_string()).increment(1);
            tracing::warn!(chain = self.chain(), number = block.number, ours = %block.hash, %winner, "most endpoints have another block at the pin; theirs is taken");
            return false;
        }
        if agreed.0.len() == REMEMBERED {
            agreed.0.pop_front();
        }
        agreed.0.push_back(block.hash);
        true
    }

    /// What each endpoint has at this number; nothing from those that rest or do not answer in time.
    async fn ballots(self: &Arc<Self>, number: u64) -> Vec<Option<Ballot>> {
        let now = Instant::now();
        let mut ballots = vec![None; self.endpoints.len()];
        let mut asked = FuturesUnordered::new();
        for (at, endpoint) in self.endpoints.iter().enumerate() {
            if endpoint.health().rests(now).is_none() {
                let rpc = self.clone();
                // A task of its own: who answers too late for this vote is still found to be up.
                let ballot = tokio::spawn(async move {
                    let replies = rpc.endpoints.get(at)?.send(&[&Request::block(number)]).await.ok()?;
                    match replies.into_iter().next()? {
                        Reply::Result(block) => Some(block_hash(&block).map_or(Ballot::Lacks, Ballot::Has)),
                        Reply::Error(_) | Reply::None => None,
                    }
                });
                asked.push(async move { (at, ballot.await.ok().flatten()) });
            }
        }
        let wait = Duration::from_millis(self.limits.agree_ms).min(self.timeout());
        let end = tokio::time::Instant::now() + wait;
        while let Ok(Some((at, ballot))) = tokio::time::timeout_at(end, asked.next()).await {
            if let Some(place) = ballots.get_mut(at) {
                *place = ballot;
            }
        }
        ballots
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const A: B256 = B256::repeat_byte(0xa);
    const B: B256 = B256::repeat_byte(0xb);

    fn has(hash: B256) -> Option<Ballot> {
        Some(Ballot::Has(hash))
    }

    #[test]
    fn most_win_and_else_the_first() {
        let lacks = Some(Ballot::Lacks);
        assert_eq!(count(&[has(A), has(B), has(B)]), Some((B, vec![(0, Aside::Contradicts)])));
        assert_eq!(count(&[has(A), has(B)]), Some((A, vec![(1, Aside::Contradicts)])));
        assert_eq!(count(&[None, has(B), has(A)]), Some((B, vec![(2, Aside::Contradicts)])));
        assert_eq!(count(&[lacks, has(B), None]), Some((B, vec![(0, Aside::Unknown)])), "who lags does not decide");
        assert_eq!(count(&[None, lacks]), None);
    }

    proptest! {
        #[test]
        fn the_winner_has_most_and_whoever_has_another_is_aside(ballots in prop::collection::vec(0u8..5, 1..8)) {
            let ballots: Vec<_> = ballots.into_iter().map(|kind| match kind {
                0 => None,
                1 => Some(Ballot::Lacks),
                kind => has(B256::repeat_byte(kind)),
            }).collect();
            let votes = |hash| ballots.iter().filter(|ballot| **ballot == has(hash)).count();
            if let Some((winner, aside)) = count(&ballots) {
                for (at, ballot) in ballots.iter().enumerate() {
                    let useless = aside.iter().any(|(other, _)| *other == at);
                    prop_assert_eq!(useless, ballot.is_some() && *ballot != has(winner));
                    if let Some(Ballot::Has(hash)) = ballot {
                        prop_assert!(votes(*hash) <= votes(winner));
                    }
                }
            } else {
                prop_assert!(!ballots.iter().any(|ballot| matches!(ballot, Some(Ballot::Has(_)))));
            }
        }
    }
}
