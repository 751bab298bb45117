//! The `[reads]` table.

use serde::{Deserialize, Serialize};

/// How much is kept of what runs read. None of it shows in what a run sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReadsConfig {
    /// Bytes of answers that are kept, over all slots and chains. The least recently used ones go first.
    pub cache_bytes: u64,
    /// Answers that are kept.
    pub cache_entries: u64,
    /// Reads of the last slot that are made again, by chain, as soon as the next slot's block is known; 0 for none.
    pub prefetch: usize,
}

impl Default for ReadsConfig {
    fn default() -> Self {
        Self { cache_bytes: 64 << 20, cache_entries: 65_536, prefetch: 1_024 }
    }
}
