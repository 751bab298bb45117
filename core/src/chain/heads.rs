//! A chain's recent heads, and the pins that follow from them.
//!
//! One task follows the head by polling and keeps the last blocks of the canonical chain as the node tells it. A pin is
//! known as soon as a block later than its time has been seen: only then is "the last block at or before" final for
//! this view of the chain.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use alloy::eips::BlockNumHash;
use alloy::primitives::B256;
use backon::{BackoffBuilder, ExponentialBuilder};
use serde::Deserialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Request, Rpc, RpcError};

/// Longest pause between two looks while no node answers.
const DOWN: Duration = Duration::from_secs(2);
/// How long the others' block is waited for before looking again, when ours was outvoted.
const OUTVOTED: Duration = Duration::from_millis(100);

/// How many blocks are kept: more than a slot and its lag on any chain, few enough to walk back over in a reorg.
const KEPT: u64 = 256;
/// How many blocks are read at the start.
const GAP: u64 = 64;

/// A block, as far as pins need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Block number.
    pub number: u64,
    /// Block hash.
    pub hash: B256,
    /// The block before.
    pub parent: B256,
    /// Unix time, in seconds.
    pub timestamp: u64,
    /// Wei per gas; zero where the chain has no base fee.
    pub base_fee: u128,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawHead {
    #[serde(with = "alloy::serde::quantity")]
    number: u64,
    hash: B256,
    parent_hash: B256,
    #[serde(with = "alloy::serde::quantity")]
    timestamp: u64,
    #[serde(default, with = "alloy::serde::quantity::opt")]
    base_fee_per_gas: Option<u128>,
}

impl From<RawHead> for Head {
    fn from(raw: RawHead) -> Self {
        Self {
            number: raw.number,
            hash: raw.hash,
            parent: raw.parent_hash,
            timestamp: raw.timestamp,
            base_fee: raw.base_fee_per_gas.unwrap_or_default(),
        }
    }
}

/// The recent heads of a chain. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Heads {
    rpc: Arc<Rpc>,
    seen: watch::Receiver<Arc<BTreeMap<u64, Head>>>,
}

impl Heads {
    /// Follows the chain's head until `stop`. A node that is down is reported once, and tried again at every poll.
    #[must_use]
    pub fn follow(rpc: Arc<Rpc>, poll: Duration, stop: CancellationToken) -> Self {
        let (publish, seen) = watch::channel(Arc::new(BTreeMap::new()));
        let following = Self { rpc: rpc.clone(), seen };
        tokio::spawn(async move {
            let mut blocks = BTreeMap::new();
            let longer = ExponentialBuilder::new().with_min_delay(poll).with_max_delay(DOWN.max(poll)).with_jitter();
            // There while the nodes are down.
            let mut pauses = None;
            loop {
                let mut pause = poll;
                match advance(&rpc, &mut blocks).await {
                    Ok(changed) => {
                        if pauses.take().is_some() {
                            tracing::info!(chain = rpc.chain(), "the node answers again");
                        }
                        if changed && publish.send(Arc::new(blocks.clone())).is_err() {
                            return;
                        }
                    }
                    Err(error) => {
                        if pauses.is_none() {
                            tracing::warn!(chain = rpc.chain(), %error, "cannot follow the chain; trying on");
                        }
                        let pauses = pauses.get_or_insert_with(|| longer.without_max_times().build());
                        pause = pauses.next().unwrap_or(DOWN);
                    }
                }
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(pause) => {}
                }
            }
        });
        following
    }

    /// The latest block seen.
    #[must_use]
    pub fn latest(&self) -> Option<Head> {
        self.seen.borrow().last_key_value().map(|(_, head)| *head)
    }

    /// Waits for the next change of the head; `false` when the following has ended.
    pub async fn changed(&mut self) -> bool {
        self.seen.changed().await.is_ok()
    }

    /// Whether the following has ended: nothing comes any more.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.seen.has_changed().is_err()
    }

    /// The last block at or before `seconds`, once a later one has been seen, and most of the chain's endpoints agree that
    /// it is ([`Rpc::agree`]). `None` when the following has ended, or when every block kept is later. Put a time limit
    /// around it: a chain that stands still has no pin.
    pub async fn pin(&self, seconds: u64) -> Option<Head> {
        let mut seen = self.seen.clone();
        loop {
            let last = {
                let blocks = seen.borrow_and_update();
                let passed = blocks.last_key_value().is_some_and(|(_, head)| head.timestamp > seconds);
                passed.then(|| blocks.values().rev().find(|head| head.timestamp <= seconds).copied())
            };
            match last {
                None => seen.changed().await.ok()?,
                Some(None) => return None,
                Some(Some(head)) => {
                    if self.rpc.agree(BlockNumHash { number: head.number, hash: head.hash }).await {
                        return Some(head);
                    }
                    // The endpoint that told of ours is set aside by now; the others' blocks come with the next look.
                    if let Ok(Err(_ended)) = tokio::time::timeout(OUTVOTED, seen.changed()).await {
                        return None;
                    }
                }
            }
        }
    }
}

/// Brings `blocks` up to the node's head; says whether anything changed.
async fn advance(rpc: &Rpc, blocks: &mut BTreeMap<u64, Head>) -> Result<bool, RpcError> {
    let latest: Head = rpc
        .ask_for::<RawHead>(Request::new("eth_getBlockByNumber", &serde_json::json!(["latest", false])))
        .await?
        .into();
    if blocks.last_key_value().is_some_and(|(_, head)| head.hash == latest.hash) {
        return Ok(false);
    }
    // Collected first and kept only when they link to what is known: a node that fails half-way leaves no hole.
    let mut fresh = vec![latest];
    let mut child = latest;
    let oldest = blocks.first_key_value().map(|(number, _)| *number);
    let mut linked = false;
    while (fresh.len() as u64) < KEPT {
        let Some(number) = child.number.checked_sub(1) else { break };
        linked = blocks.get(&number).is_some_and(|parent| parent.hash == child.parent);
        if linked {
            break;
        }
        // At the start, or after a long silence, a few blocks are enough to pin the next slot.
        let apart = oldest.is_none_or(|oldest| number < oldest);
        if apart && fresh.len() as u64 >= GAP {
            break;
        }
        let params = serde_json::json!([child.parent, false]);
        child = rpc.ask_for::<RawHead>(Request::new("eth_getBlockByHash", &params)).await?.into();
        fresh.push(child);
    }
    if linked {
        // What stands above the fork was reorganised away.
        blocks.split_off(&child.number);
    } else {
        blocks.clear();
    }
    blocks.extend(fresh.into_iter().map(|head| (head.number, head)));
    while blocks.len() as u64 > KEPT {
        blocks.pop_first();
    }
    metrics::gauge!("ditto_chain_head_number", "chain" => rpc.chain().to_string()).set(latest.number as f64);
    metrics::gauge!("ditto_chain_head_timestamp_seconds", "chain" => rpc.chain().to_string())
        .set(latest.timestamp as f64);
    Ok(true)
}
