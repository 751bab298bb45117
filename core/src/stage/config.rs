//! How large a stage is and what it does when it is full.

use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};

/// One stage's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageConfig {
    /// How many items may wait, in items. Together with their size this bounds the stage's memory.
    pub queue: NonZeroUsize,
    /// How many items are handled at once. An actor stage has one worker, whatever this says.
    pub workers: NonZeroUsize,
    /// What happens to an item that finds the queue full: `wait` or `drop`.
    pub overflow: Overflow,
}

/// What happens to an item that finds the queue full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overflow {
    /// The sender waits for room until the item's deadline: back-pressure.
    Wait,
    /// The item is refused at once and counted: for what comes from outside and may come again.
    Drop,
}

impl StageConfig {
    /// A stage whose sender waits when it is full. Zero is read as one.
    #[must_use]
    pub const fn waiting(queue: usize, workers: usize) -> Self {
        Self { queue: at_least_one(queue), workers: at_least_one(workers), overflow: Overflow::Wait }
    }

    /// A stage that drops what finds it full. Zero is read as one.
    #[must_use]
    pub const fn dropping(queue: usize, workers: usize) -> Self {
        Self { queue: at_least_one(queue), workers: at_least_one(workers), overflow: Overflow::Drop }
    }
}

const fn at_least_one(n: usize) -> NonZeroUsize {
    match NonZeroUsize::new(n) {
        Some(n) => n,
        None => NonZeroUsize::MIN,
    }
}
