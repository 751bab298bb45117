//! What runs read: answered at the slot's pins, each distinct read once.
//!
//! A read means what a lone request by block hash means, with a fixed sender and gas. Identical reads of a block go to the
//! node once, whichever run, workflow or slot asks first and while that is under way. When it fails, it fails for all who
//! wait for it, and is forgotten: whoever asks next may have better luck.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alloy::primitives::B256;
use ditto_core::chain::RpcError;
use ditto_core::clock::Slot;
use ditto_core::proposal::Pin;
use ditto_sandbox::{Read, ReadAnswer, ReadReply, ReadRequest, Reads};
use metrics::Counter;
use moka::future::Cache;
use moka::policy::EvictionPolicy;
use tokio::runtime::Handle;

use super::ReadsConfig;
use super::answer;
use crate::slot::Chains;

/// What an entry takes besides its answer, about: its key, and its place in the cache.
const ENTRY_BYTES: u64 = 512;
/// How long an answer is kept that nobody asks for: its slot is over.
const IDLE: Duration = Duration::from_secs(120);
/// Longest call data that is remembered to be read ahead, in bytes.
const LONGEST_AHEAD: usize = 4_096;
/// Slots whose reads are remembered: the last one, and those that are under way.
const SLOTS: usize = 4;

/// Everything that is read of all chains, shared by all slots.
#[derive(Debug)]
pub struct ReadCache {
    chains: Arc<Chains>,
    answers: Cache<Key, Arc<Kept>>,
    prefetch: usize,
    /// What the runs of the last slots read.
    used: Mutex<BTreeMap<Slot, Arc<Used>>>,
    meters: Meters,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    chain_id: u64,
    block: B256,
    read: Read,
}

#[derive(Debug)]
struct Kept {
    answer: ReadAnswer,
    /// Nobody asked for it yet: it was read ahead.
    ahead: AtomicBool,
}

/// What the runs of a slot read, by chain.
type Used = Mutex<BTreeMap<u64, HashSet<Read>>>;

struct Meters {
    hits: Counter,
    joined: Counter,
    misses: Counter,
    prefetched: Counter,
    prefetch_used: Counter,
    failed: Counter,
    refused: Counter,
}

impl std::fmt::Debug for Meters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meters")
    }
}

impl Meters {
    fn new() -> Self {
        let zeroed = |counter: Counter| {
            counter.increment(0);
            counter
        };
        Self {
            hits: zeroed(metrics::counter!("ditto_reads_total", "cache" => "hit")),
            joined: zeroed(metrics::counter!("ditto_reads_total", "cache" => "joined")),
            misses: zeroed(metrics::counter!("ditto_reads_total", "cache" => "miss")),
            prefetched: zeroed(metrics::counter!("ditto_reads_prefetched_total")),
            prefetch_used: zeroed(metrics::counter!("ditto_reads_prefetch_used_total")),
            failed: zeroed(metrics::counter!("ditto_reads_failed_total", "reason" => "node")),
            refused: zeroed(metrics::counter!("ditto_reads_failed_total", "reason" => "refused")),
        }
    }
}

impl ReadCache {
    /// A cache over these chains.
    #[must_use]
    pub fn new(chains: Arc<Chains>, config: &ReadsConfig) -> Arc<Self> {
        // By this an entry weighs so much at least that no more than `cache_entries` fit.
        let least = config.cache_bytes.div_ceil(config.cache_entries.max(1)).max(ENTRY_BYTES);
        let weigh = move |key: &Key, kept: &Arc<Kept>| {
            let bytes = (size(key) + weight(&kept.answer)) as u64 + ENTRY_BYTES;
            u32::try_from(bytes.max(least)).unwrap_or(u32::MAX)
        };
        let answers = Cache::builder()
            .max_capacity(config.cache_bytes)
            .weigher(weigh)
            // A new slot's reads are worth more than those that were popular in an old one.
            .eviction_policy(EvictionPolicy::lru())
            .time_to_idle(IDLE)
            .build();
        let (prefetch, used) = (config.prefetch, Mutex::default());
        Arc::new(Self { chains, answers, prefetch, used, meters: Meters::new() })
    }

    /// The reads of a slot at its pins.
    #[must_use]
    pub fn slot(self: &Arc<Self>, slot: Slot, pins: &[Pin]) -> SlotReads {
        let used = {
            let mut slots = self.used.lock().unwrap_or_else(PoisonError::into_inner);
            let used = slots.entry(slot).or_default().clone();
            while slots.len() > SLOTS {
                slots.pop_first();
            }
            used
        };
        metrics::gauge!("ditto_reads_cache_entries").set(self.answers.entry_count() as f64);
        metrics::gauge!("ditto_reads_cache_bytes").set(self.answers.weighted_size() as f64);
        let pins = pins.iter().map(|pin| (pin.chain_id, *pin)).collect();
        SlotReads { cache: self.clone(), pins, used, warned: AtomicBool::new(false) }
    }

    /// Reads, at the block that is a slot's pin, what the runs of the slot before read of that chain; says how many reads
    /// that were. Dropping it gives up what no run waits for by then.
    pub async fn prefetch(self: &Arc<Self>, slot: Slot, pin: Pin) -> usize {
        let last = slot
            .checked_sub(1)
            .and_then(|last| self.used.lock().unwrap_or_else(PoisonError::into_inner).get(&last).cloned());
        let reads: Vec<Read> = last.map_or_else(Vec::new, |used| {
            let used = used.lock().unwrap_or_else(PoisonError::into_inner);
            used.get(&pin.chain_id).into_iter().flatten().take(self.prefetch).cloned().collect()
        });
        let count = reads.len();
        let ahead = reads.into_iter().map(|read| {
            let cache = self.clone();
            // Trouble shows when a run asks.
            async move { drop(cache.fetch(read, pin, true).await) }
        });
        futures::future::join_all(ahead).await;
        count
    }

    /// What a read comes to at a block that need not be a slot's pin. `Failed` is trouble of this operator's.
    pub async fn at(&self, pin: Pin, read: Read) -> ReadAnswer {
        if let Some(answer) = answer::known(&read, &pin) {
            return answer;
        }
        self.fetch(read, pin, false).await.unwrap_or_else(|error| {
            self.meters.failed.increment(1);
            tracing::warn!(chain = pin.chain_id, block = pin.number, %error, "a read failed");
            ReadAnswer::Failed
        })
    }

    /// The answer from the cache, from whoever asks for the same just now, or from the node.
    async fn fetch(&self, read: Read, pin: Pin, ahead: bool) -> Result<ReadAnswer, Arc<RpcError>> {
        let Some(node) = self.chains.get(&pin.chain_id) else {
            return Err(Arc::new(RpcError::shape(pin.chain_id, "the chain is not configured")));
        };
        let key = Key { chain_id: pin.chain_id, block: pin.hash, read };
        let mut asked = false;
        let known = self.answers.get(&key).await;
        let hit = known.is_some();
        let kept = match known {
            Some(kept) => Ok(kept),
            None => {
                let ask = async {
                    asked = true;
                    let answer = answer::ask(node, &key.read, &pin).await?;
                    Ok(Arc::new(Kept { answer, ahead: AtomicBool::new(ahead) }))
                };
                self.answers.try_get_with_by_ref(&key, ask).await
            }
        };
        let meters = &self.meters;
        if ahead {
            meters.prefetched.increment(u64::from(asked));
        } else {
            let counter = match (hit, asked) {
                (true, _) => &meters.hits,
                (false, true) => &meters.misses,
                (false, false) => &meters.joined,
            };
            counter.increment(1);
            if let Ok(kept) = &kept
                && kept.ahead.swap(false, Ordering::Relaxed)
            {
                meters.prefetch_used.increment(1);
            }
        }
        kept.map(|kept| kept.answer.clone())
    }
}

/// What a key holds on the heap, about.
fn size(key: &Key) -> usize {
    match &key.read {
        Read::Call { data, .. } => data.len(),
        Read::Logs { address, topics, .. } => {
            20 * address.len() + topics.iter().map(|topic| 24 + 32 * topic.len()).sum::<usize>()
        }
        _ => 0,
    }
}

fn weight(answer: &ReadAnswer) -> usize {
    match answer {
        ReadAnswer::Ok(json) => json.len(),
        ReadAnswer::Reverted(data) => data.len(),
        ReadAnswer::Failed => 0,
    }
}

/// Whether the same read is likely to be made in the next slot, and worth to be remembered: what names block numbers moves
/// on with them, and what a stranger makes long is not kept for four slots.
fn recurs(read: &Read) -> bool {
    match read {
        Read::Call { data, .. } => data.len() <= LONGEST_AHEAD,
        Read::Balance { .. } | Read::Code { .. } | Read::StorageAt { .. } => true,
        Read::BlockNumber | Read::Block { .. } | Read::Logs { .. } => false,
    }
}

/// The reads of one slot.
#[derive(Debug)]
pub struct SlotReads {
    cache: Arc<ReadCache>,
    pins: BTreeMap<u64, Pin>,
    used: Arc<Used>,
    /// The first failure of a slot is said, further ones are only counted.
    warned: AtomicBool,
}

impl SlotReads {
    /// Reads at these pins, with a cache of their own: for one run by itself, and for tests.
    #[must_use]
    pub fn new(chains: Arc<Chains>, pins: &[Pin]) -> Self {
        ReadCache::new(chains, &ReadsConfig::default()).slot(0, pins)
    }

    /// The chains that can be read.
    #[must_use]
    pub fn chain_ids(&self) -> Vec<u64> {
        self.pins.keys().copied().collect()
    }

    /// What a read comes to at the slot's pin of that chain. `Failed` is trouble of this operator's.
    pub async fn read(&self, chain_id: u64, read: Read) -> ReadAnswer {
        let Some(pin) = self.pins.get(&chain_id) else {
            self.cache.meters.refused.increment(1);
            return ReadAnswer::Failed;
        };
        if let Some(answer) = answer::known(&read, pin) {
            return answer;
        }
        if recurs(&read) {
            let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
            let used = used.entry(chain_id).or_default();
            if used.len() < self.cache.prefetch {
                used.insert(read.clone());
            }
        }
        match self.cache.fetch(read, *pin, false).await {
            Ok(answer) => answer,
            Err(error) => {
                self.cache.meters.failed.increment(1);
                if self.warned.swap(true, Ordering::Relaxed) {
                    tracing::debug!(chain = chain_id, %error, "a read failed");
                } else {
                    tracing::warn!(chain = chain_id, %error, "a read failed; further ones of this slot are only counted");
                }
                ReadAnswer::Failed
            }
        }
    }

    async fn answer(&self, request: ReadRequest) -> ReadAnswer {
        match request.read() {
            Ok(read) => self.read(request.chain_id, read).await,
            // The SDK writes only what is allowed, so this child was taken over.
            Err(error) => {
                self.cache.meters.refused.increment(1);
                tracing::warn!(chain = request.chain_id, %error, "a run asked for a read that is none");
                ReadAnswer::Failed
            }
        }
    }
}

/// [`SlotReads`] on a runtime, as the sandbox asks it.
pub struct Reader {
    /// The slot's reads.
    pub reads: Arc<SlotReads>,
    /// Where the waiting is done.
    pub runtime: Handle,
}

impl Reads for Reader {
    fn read(&self, request: ReadRequest, reply: ReadReply) {
        let reads = self.reads.clone();
        self.runtime.spawn(async move { reply.answer(reads.answer(request).await) });
    }
}

#[cfg(test)]
#[path = "reads_tests.rs"]
mod tests;
