//! Logs of a window, as evidence.

use alloy::primitives::{Address, B256, Bytes};
use alloy::serde::quantity;
use ditto_core::evidence::{Observation, Observed, PER_TRIGGER, log_digest};
use ditto_core::proposal::Pin;
use ditto_sandbox::{LOG_RANGE_BLOCKS, ReadAnswer};
use serde::Deserialize;

use super::Unknown;
use crate::ingest::triggers::EventFilter;
use crate::simulate::ReadCache;

/// The blocks after one, up to another.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Window {
    /// The last block before it; `None`: it begins with the chain.
    pub(super) after: Option<u64>,
    /// Its last block; `None`: it is empty.
    pub(super) to: Option<Pin>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Log {
    address: Address,
    topics: Vec<B256>,
    data: Bytes,
    #[serde(with = "quantity")]
    block_number: u64,
    block_hash: B256,
    #[serde(with = "quantity")]
    log_index: u64,
}

/// The first logs of a window that a filter means, as observations of the trigger at this place.
pub(super) async fn seen(
    reads: &ReadCache,
    event: &EventFilter,
    at: u8,
    window: Window,
) -> Result<Vec<Observation>, Unknown> {
    let mut seen = Vec::new();
    let Some(to) = window.to else { return Ok(seen) };
    let mut from = window.after.map_or(0, |after| after.saturating_add(1));
    while from <= to.number && seen.len() < PER_TRIGGER {
        let last = to.number.min(from.saturating_add(LOG_RANGE_BLOCKS - 1));
        for log in read(reads, event, from, last, to).await? {
            // A node that gives other logs than it was asked for is not believed in anything.
            if !event.matches(log.address, &log.topics) || !(from..=last).contains(&log.block_number) {
                return Err(Unknown);
            }
            seen.push(Observation {
                trigger: at,
                chain_id: event.chain_id,
                block_number: log.block_number,
                block_hash: log.block_hash,
                observed: Observed::Log(log.log_index),
                digest: log_digest(&log.topics, &log.data),
            });
        }
        from = last + 1;
    }
    seen.sort_by_key(|seen| (seen.block_number, seen.observed.parts()));
    seen.truncate(PER_TRIGGER);
    Ok(seen)
}

async fn read(reads: &ReadCache, event: &EventFilter, from: u64, last: u64, to: Pin) -> Result<Vec<Log>, Unknown> {
    match reads.at(to, event.read(from, last)).await {
        ReadAnswer::Ok(json) => serde_json::from_str(&json).map_err(|_| Unknown),
        ReadAnswer::Reverted(_) | ReadAnswer::Failed => Err(Unknown),
    }
}
