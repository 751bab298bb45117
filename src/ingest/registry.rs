//! The registry, followed: its events are read from the node up to a slot's pin, and code is fetched once.
//!
//! Publications carry the time of their block: a workflow is due in a slot only if it was in the registry at that slot's
//! pin, whenever the operator learnt of it.
//!
//! Events are read in ranges of blocks, by number. Asked by number, a node that lags gives the events it has and no error,
//! and one on another fork gives other events: so each range is asked for together with its last block and with the block
//! that was read up to before, in one request that one node answers. A range that is taken in stays, whatever becomes of
//! the next one.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::{Address, B256, keccak256};
use alloy::rpc::types::Log;
use alloy::sol_types::SolEvent;
use ditto_core::chain::bindings::registry::WorkflowRegistry;
use ditto_core::chain::{Batcher, Request, Rpc, RpcError};
use ditto_core::proposal::Pin;
use ditto_core::stage::Deadline;
use futures::StreamExt;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::published::{Change, Published, Workflow};

/// Blocks per `eth_getLogs`: what public providers allow.
const RANGE: u64 = 2_000;
/// Times a sync goes back before it gives up: to the oldest checkpoint, and to the beginning.
const REWINDS: u32 = 2;
/// Codes fetched at once. They are large: a full batch of them could never be answered in time.
const CODES: usize = 8;

/// The registry, followed.
pub struct Registry {
    address: Address,
    first_block: u64,
    published: Published,
    codes: HashMap<B256, Arc<[u8]>>,
}

/// Why code cannot be had.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CodeError {
    /// The node failed.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The node gave other bytes than were published.
    #[error("the node gave code with hash {found} for {expected}")]
    Hash {
        /// What was asked for.
        expected: B256,
        /// What came.
        found: B256,
    },
    /// The node did not answer before it was too late.
    #[error("the code did not come in time")]
    Late,
}

#[derive(Deserialize)]
struct Block {
    #[serde(with = "alloy::serde::quantity")]
    timestamp: u64,
    hash: B256,
}

impl Registry {
    /// The registry at this address, created in or after `first_block`.
    #[must_use]
    pub fn new(address: Address, first_block: u64) -> Self {
        Self { address, first_block, published: Published::default(), codes: HashMap::new() }
    }

    /// The workflows that are published and not cancelled at the synced block.
    pub fn workflows(&self) -> impl Iterator<Item = &Arc<Workflow>> {
        self.published.workflows()
    }

    /// Brings the workflows to what they are at a pin, reading on or going back.
    ///
    /// # Errors
    /// When the node does not answer, or does not have the pin; what was read before stays.
    pub async fn sync(&mut self, node: &Batcher, pin: Pin) -> Result<(), RpcError> {
        let mut rewinds = 0;
        loop {
            let synced = self.published.synced();
            let from = synced.map_or(self.first_block, |(number, _)| number + 1);
            let done = synced.map_or(from > pin.number, |synced| synced == (pin.number, pin.hash));
            if done {
                return Ok(());
            }
            if from <= pin.number && self.read(node.rpc(), from, pin).await? {
                continue;
            }
            if rewinds == REWINDS {
                return Err(shape(node.rpc(), "it does not keep to one chain".into()));
            }
            rewinds += 1;
            let synced = synced.map(|(number, _)| number);
            match self.published.rewind(pin.number) {
                Some(to) => {
                    tracing::info!(synced, to, "the chain gave up blocks that were read; reading on from before")
                }
                None => {
                    tracing::warn!(synced, "the chain was reorganised deeper than there is a way back; reading anew")
                }
            }
        }
    }

    /// Takes in the next range; `false` when the block that was read up to before is no longer in the chain.
    async fn read(&mut self, rpc: &Rpc, from: u64, pin: Pin) -> Result<bool, RpcError> {
        let to = pin.number.min(from.saturating_add(RANGE - 1));
        let synced = self.published.synced();
        // The range's last block first: a node that has it by then has the logs of the range.
        let mut requests = vec![block(to), self.logs(from, to)];
        requests.extend(synced.map(|(number, _)| block(number)));
        let mut answers = rpc.ask_all(requests).await.into_iter();
        let mut answer = || answers.next().unwrap_or_else(|| Err(shape(rpc, "an answer is missing".into())));

        let lags = |number: u64| shape(rpc, format!("it does not have block {number} yet"));
        let last = decode::<Option<Block>>(rpc, &answer()?)?.ok_or_else(|| lags(to))?;
        let logs = decode::<Vec<Log>>(rpc, &answer()?)?;
        if let Some((number, hash)) = synced {
            let found = decode::<Option<Block>>(rpc, &answer()?)?.ok_or_else(|| lags(number))?;
            if found.hash != hash {
                return Ok(false);
            }
        }
        if to == pin.number && last.hash != pin.hash {
            return Err(shape(rpc, format!("its block {to} is {}, the pin is {}", last.hash, pin.hash)));
        }
        let times = block_times(rpc, &logs).await?;
        let mut changes = Vec::with_capacity(logs.len());
        for log in &logs {
            let (number, hash) = log.block_number.zip(log.block_hash).ok_or_else(|| outside(rpc, from, to))?;
            if log.removed || !(from..=to).contains(&number) || (number == to && hash != last.hash) {
                return Err(outside(rpc, from, to));
            }
            let time = log.block_timestamp.or_else(|| times.get(&hash).copied()).ok_or_else(|| lags(number))?;
            changes.extend(Change::read(log, time).map(|change| (number, change)));
        }
        for (number, change) in changes {
            if let Change::Published(workflow) = &change
                && let Err(error) = &workflow.triggers
            {
                tracing::warn!(workflow = workflow.id, %error, "a published workflow can never be due");
            }
            self.published.apply(number, change);
        }
        self.published.reached(to, last.hash);
        Ok(true)
    }

    fn logs(&self, from: u64, to: u64) -> Request {
        let topics =
            [WorkflowRegistry::WorkflowPublished::SIGNATURE_HASH, WorkflowRegistry::WorkflowCancelled::SIGNATURE_HASH];
        let filter = serde_json::json!({
            "address": self.address,
            "fromBlock": format!("0x{from:x}"),
            "toBlock": format!("0x{to:x}"),
            "topics": [topics],
        });
        Request::new("eth_getLogs", &serde_json::json!([filter]))
    }

    /// The code of these hashes, each read once and checked. What cannot be had, or not before `until`, is an error of that
    /// code alone.
    pub async fn codes(
        &mut self,
        node: &Batcher,
        hashes: HashSet<B256>,
        block: B256,
        until: Deadline,
    ) -> HashMap<B256, Result<Arc<[u8]>, CodeError>> {
        let (known, missing): (Vec<_>, Vec<_>) = hashes.into_iter().partition(|hash| self.codes.contains_key(hash));
        let address = self.address;
        let fetched: Vec<_> = futures::stream::iter(missing)
            .map(|hash| async move {
                // Too late, nothing is asked any more: it would only keep the node from the next slot's questions.
                let left = until.remaining().unwrap_or(Duration::MAX);
                if left.is_zero() {
                    return (hash, Err(CodeError::Late));
                }
                let code = tokio::time::timeout(left, fetch(node, address, hash, block)).await;
                (hash, code.unwrap_or(Err(CodeError::Late)))
            })
            .buffer_unordered(CODES)
            .collect()
            .await;
        self.codes.extend(fetched.iter().filter_map(|(hash, code)| Some((*hash, code.as_ref().ok()?.clone()))));
        let known = known.into_iter().filter_map(|hash| Some((hash, Ok(self.codes.get(&hash)?.clone()))));
        known.chain(fetched).collect()
    }

    /// Forgets code that no published workflow refers to.
    pub fn forget_unused_code(&mut self) {
        let used: HashSet<_> = self.published.workflows().map(|workflow| workflow.code_hash).collect();
        self.codes.retain(|hash, _| used.contains(hash));
    }
}

async fn fetch(node: &Batcher, registry: Address, hash: B256, block: B256) -> Result<Arc<[u8]>, CodeError> {
    let call = WorkflowRegistry::codeOfCall { codeHash: hash };
    let bytes = node.call(registry, &call, block, None).await?;
    let found = keccak256(&bytes);
    if found != hash {
        return Err(CodeError::Hash { expected: hash, found });
    }
    Ok(bytes.to_vec().into())
}

/// The times of the blocks of logs that do not carry them.
async fn block_times(rpc: &Rpc, logs: &[Log]) -> Result<HashMap<B256, u64>, RpcError> {
    let unknown: HashSet<B256> =
        logs.iter().filter(|log| log.block_timestamp.is_none()).filter_map(|log| log.block_hash).collect();
    if unknown.is_empty() {
        return Ok(HashMap::new());
    }
    let request = |hash: &B256| Request::new("eth_getBlockByHash", &serde_json::json!([hash, false]));
    let answers = rpc.ask_all(unknown.iter().map(request).collect()).await;
    let times = answers.into_iter().map(|answer| decode::<Option<Block>>(rpc, &answer?));
    let times = times.collect::<Result<Vec<_>, RpcError>>()?;
    Ok(times.into_iter().flatten().map(|block| (block.hash, block.timestamp)).collect())
}

fn block(number: u64) -> Request {
    Request::new("eth_getBlockByNumber", &serde_json::json!([format!("0x{number:x}"), false]))
}

fn decode<T: DeserializeOwned>(rpc: &Rpc, answer: &RawValue) -> Result<T, RpcError> {
    serde_json::from_str(answer.get()).map_err(|error| shape(rpc, error.to_string()))
}

fn outside(rpc: &Rpc, from: u64, to: u64) -> RpcError {
    shape(rpc, format!("a log of blocks {from} to {to} is of another block, or removed"))
}

fn shape(rpc: &Rpc, cause: String) -> RpcError {
    RpcError::Shape { chain: rpc.chain(), cause }
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
