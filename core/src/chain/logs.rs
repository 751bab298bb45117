//! Logs of a range of blocks, as they are on the chain that ends in a given block.
//!
//! A node is asked by number, and a node that lags or is on another fork then answers wrongly without an error. So every
//! request is anchored ([`Anchor::Chain`]), and what comes is checked: in range, of the filter, each position once.

use std::sync::atomic::{AtomicUsize, Ordering};

use alloy::eips::BlockNumHash;
use alloy::primitives::{Address, B256, Bytes};
use alloy::rpc::types::Log;
use futures::StreamExt;
use serde::Serialize;

use super::{Anchor, Batcher, Request, RpcError};

/// How often a range is halved at most because the node refuses it: a range of 2,000 down to single blocks.
const HALVINGS: u32 = 11;

/// Parts of a range that are asked for at once.
const AT_ONCE: usize = 8;

/// Which logs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFilter {
    /// Of any of these contracts; of any at all when empty.
    pub address: Vec<Address>,
    /// For each topic position the alternatives; an empty list lets everything through.
    pub topics: Vec<Vec<B256>>,
    /// First block.
    pub from: u64,
    /// Last block, itself included. At or before the anchor.
    pub to: u64,
}

/// A log, of a block that is final for the asker. Serialises to the canonical form that workflows see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogEntry {
    /// The contract.
    pub address: Address,
    /// Up to four topics.
    pub topics: Vec<B256>,
    /// The rest.
    pub data: Bytes,
    /// Number of its block.
    #[serde(with = "alloy::serde::quantity")]
    pub block_number: u64,
    /// Hash of its block.
    pub block_hash: B256,
    /// Its transaction.
    pub transaction_hash: B256,
    /// Its place in its block.
    #[serde(with = "alloy::serde::quantity")]
    pub log_index: u64,
}

impl LogFilter {
    fn request(&self, anchor: BlockNumHash) -> Request {
        let mut filter = serde_json::json!({
            "fromBlock": format!("0x{:x}", self.from),
            "toBlock": format!("0x{:x}", self.to),
        });
        if !self.address.is_empty() {
            filter["address"] = serde_json::json!(self.address);
        }
        if !self.topics.is_empty() {
            let topics = self.topics.iter().map(|topic| if topic.is_empty() { None } else { Some(topic) });
            filter["topics"] = serde_json::json!(topics.collect::<Vec<_>>());
        }
        Request::new("eth_getLogs", &serde_json::json!([filter])).anchored(Anchor::Chain(anchor))
    }

    fn admits(&self, log: &LogEntry) -> bool {
        (self.from..=self.to).contains(&log.block_number)
            && (self.address.is_empty() || self.address.contains(&log.address))
            && self.topics.iter().enumerate().all(|(place, topic)| {
                topic.is_empty() || log.topics.get(place).is_some_and(|found| topic.contains(found))
            })
    }

    fn halves(&self) -> Option<[Self; 2]> {
        let middle = self.from + self.to.checked_sub(self.from).filter(|length| *length > 0)? / 2;
        Some([Self { to: middle, ..self.clone() }, Self { from: middle + 1, ..self.clone() }])
    }

    /// The parts of at most `blocks` blocks.
    fn parts(&self, blocks: u64) -> impl Iterator<Item = Self> {
        let blocks = blocks.max(1);
        (self.from..=self.to).step_by(usize::try_from(blocks).unwrap_or(usize::MAX)).map(move |from| Self {
            from,
            to: self.to.min(from.saturating_add(blocks - 1)),
            ..self.clone()
        })
    }

    /// What a node's answer says, in order and checked.
    fn read(&self, chain: u64, anchor: BlockNumHash, json: &str) -> Result<Vec<LogEntry>, RpcError> {
        let wrong = |cause: String| RpcError::shape(chain, cause);
        let logs: Vec<Log> = serde_json::from_str(json).map_err(|error| wrong(error.to_string()))?;
        let entry = |log: Log| {
            if log.removed {
                return None;
            }
            let (topics, data) = log.inner.data.split();
            Some(LogEntry {
                address: log.inner.address,
                topics,
                data,
                block_number: log.block_number?,
                block_hash: log.block_hash?,
                transaction_hash: log.transaction_hash?,
                log_index: log.log_index?,
            })
        };
        let entries: Option<Vec<_>> = logs.into_iter().map(entry).collect();
        let mut entries = entries.ok_or_else(|| wrong("a log without its place in the chain, or removed".into()))?;
        let astray =
            |log: &&LogEntry| !self.admits(log) || (log.block_number == anchor.number && log.block_hash != anchor.hash);
        if let Some(log) = entries.iter().find(astray) {
            return Err(wrong(format!("a log of block {} that was not asked for", log.block_number)));
        }
        entries.sort_by_key(|log| (log.block_number, log.log_index));
        let twice = entries.windows(2).any(|pair| match pair {
            [one, two] => {
                one.block_number == two.block_number
                    && (one.log_index == two.log_index || one.block_hash != two.block_hash)
            }
            _ => false,
        });
        if twice {
            return Err(wrong("two logs in one place, or of two blocks of one number".into()));
        }
        Ok(entries)
    }
}

impl Batcher {
    /// The logs of a filter on the chain that ends in `anchor`, by block and place in it. A range is asked for in parts of
    /// [`RpcLimits::log_blocks`](super::RpcLimits::log_blocks), and in smaller ones where the node finds these too much.
    ///
    /// # Errors
    /// As [`Self::ask`]; [`RpcError::NoBlock`] when no endpoint has the anchor; [`RpcError::TooLarge`] when all parts
    /// together have more bytes than one answer may have.
    pub async fn logs(&self, anchor: BlockNumHash, filter: &LogFilter) -> Result<Vec<LogEntry>, RpcError> {
        let bytes = &AtomicUsize::new(0);
        let parts = filter.parts(self.rpc().limits().log_blocks);
        let parts = parts.map(|part| async move { self.part(anchor, part, HALVINGS, bytes).await });
        let mut parts = futures::stream::iter(parts).buffered(AT_ONCE);
        let mut logs = Vec::new();
        while let Some(part) = parts.next().await {
            logs.extend(part?);
        }
        Ok(logs)
    }

    /// `bytes` are those of all parts so far: many small answers may not come to more than one large one.
    async fn part(
        &self,
        anchor: BlockNumHash,
        filter: LogFilter,
        halvings: u32,
        bytes: &AtomicUsize,
    ) -> Result<Vec<LogEntry>, RpcError> {
        let chain = self.rpc().chain();
        let refusal = match self.ask(filter.request(anchor)).await {
            Ok(json) => {
                let limit = self.rpc().limits().response_bytes;
                let length = json.get().len();
                if bytes.fetch_add(length, Ordering::Relaxed) + length > limit {
                    return Err(RpcError::TooLarge { chain, limit });
                }
                return filter.read(chain, anchor, json.get());
            }
            Err(error) => error,
        };
        // Nodes limit blocks, logs and bytes, each in its own words.
        let halves = match &refusal {
            RpcError::Node { .. } if halvings > 0 => filter.halves(),
            _ => None,
        };
        let Some([first, second]) = halves else { return Err(refusal) };
        // One after the other: when the first is refused for another reason, the second is not asked at all.
        let mut logs = Box::pin(self.part(anchor, first, halvings - 1, bytes)).await?;
        logs.extend(Box::pin(self.part(anchor, second, halvings - 1, bytes)).await?);
        Ok(logs)
    }
}

#[cfg(test)]
#[path = "logs_tests.rs"]
mod tests;
