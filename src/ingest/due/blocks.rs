//! Which block was the last one at a time, of those that a pin stands on.
//!
//! The pin's ancestors are asked for by number, at the pin: whoever answers has the pin in its chain. Where a block was found
//! once is tried first the next time; what is found is checked anew for every pin, so a reorganisation leaves nothing behind.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use alloy::primitives::B256;
use alloy::serde::quantity;
use ditto_core::proposal::Pin;
use ditto_sandbox::{Read, ReadAnswer};
use serde::Deserialize;

use super::Unknown;
use crate::simulate::ReadCache;

/// Found places that are remembered: a day's slots of a few chains and more.
const PLACES: usize = 4_096;

#[derive(Clone, Copy, Deserialize)]
struct Block {
    #[serde(with = "quantity")]
    number: u64,
    hash: B256,
    #[serde(with = "quantity")]
    timestamp: u64,
}

pub(super) struct Blocks {
    reads: Arc<ReadCache>,
    /// By time and chain: the number of the last block then.
    places: Mutex<BTreeMap<(u64, u64), u64>>,
}

impl Blocks {
    pub(super) fn new(reads: Arc<ReadCache>) -> Self {
        Self { reads, places: Mutex::default() }
    }

    /// Notes where the last block of a time was.
    pub(super) fn note(&self, block: &Pin, seconds: u64) {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.insert((seconds, block.chain_id), block.number);
        while places.len() > PLACES {
            places.pop_first();
        }
    }

    /// The last block at or before `seconds`; `None` when the chain was not there yet.
    pub(super) async fn at(&self, pin: Pin, seconds: u64) -> Result<Option<Pin>, Unknown> {
        let place = {
            let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
            places.get(&(seconds, pin.chain_id)).copied()
        };
        let found = match self.around(pin, place, seconds).await? {
            Some(found) => Some(found),
            None => self.search(pin, seconds).await?,
        };
        let found = found.map(|block| Pin { chain_id: pin.chain_id, number: block.number, hash: block.hash });
        if let Some(block) = &found {
            self.note(block, seconds);
        }
        Ok(found)
    }

    /// The block where it was the last time, if it is the one still.
    async fn around(&self, pin: Pin, place: Option<u64>, seconds: u64) -> Result<Option<Block>, Unknown> {
        let Some(number) = place.filter(|number| *number <= pin.number) else { return Ok(None) };
        let later = async {
            // Whatever comes after the pin comes after the time: the pin is the last block of a time that is not earlier.
            if number == pin.number { Ok(true) } else { Ok(self.block(pin, number + 1).await?.timestamp > seconds) }
        };
        let (block, later) = tokio::try_join!(self.block(pin, number), later)?;
        Ok((block.timestamp <= seconds && later).then_some(block))
    }

    /// Back from the pin in ever longer steps, then by halves.
    async fn search(&self, pin: Pin, seconds: u64) -> Result<Option<Block>, Unknown> {
        let mut block = self.block(pin, pin.number).await?;
        let (mut late, mut step) = (pin.number, 1);
        while block.timestamp > seconds {
            late = block.number;
            if late == 0 {
                return Ok(None);
            }
            block = self.block(pin, late.saturating_sub(step)).await?;
            step *= 2;
        }
        while block.number + 1 < late {
            let middle = self.block(pin, block.number + (late - block.number) / 2).await?;
            if middle.timestamp <= seconds {
                block = middle;
            } else {
                late = middle.number;
            }
        }
        Ok(Some(block))
    }

    async fn block(&self, pin: Pin, number: u64) -> Result<Block, Unknown> {
        match self.reads.at(pin, Read::Block { number: Some(number) }).await {
            ReadAnswer::Ok(json) => {
                let block: Block = serde_json::from_str(&json).map_err(|_| Unknown)?;
                (block.number == number).then_some(block).ok_or(Unknown)
            }
            ReadAnswer::Reverted(_) | ReadAnswer::Failed => Err(Unknown),
        }
    }
}
