//! An endpoint that answers, and knows no recent block.

use std::time::Instant;

use alloy::primitives::B256;

use super::Rpc;
use super::health::Aside;

impl Rpc {
    /// Sets the endpoint that is asked first aside for a while, for requests of no particular block: whoever looks at the
    /// chain's latest state found it behind. `false` when there is no other.
    pub fn ask_another_first(&self) -> bool {
        if self.endpoints.len() < 2 {
            return false;
        }
        let now = Instant::now();
        let asked = self.endpoints.iter().find(|endpoint| {
            let health = endpoint.health();
            health.rests(now).is_none() && !health.is_aside(None, now)
        });
        // No block has this hash: it stands for whatever is latest.
        asked.inspect(|endpoint| endpoint.set_aside(B256::ZERO, Aside::Contradicts)).is_some()
    }
}
