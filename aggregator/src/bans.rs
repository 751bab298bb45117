//! Operators whose vote was found bad, alone: they are not heard for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use alloy::primitives::Address;

/// Who is kept out until when. Only members of an operator set get here, so it is as small as the set.
#[derive(Clone, Debug, Default)]
pub struct Bans(Arc<Mutex<HashMap<Address, u64>>>);

impl Bans {
    /// Keeps an operator out until this millisecond of the Unix epoch.
    pub fn ban(&self, operator: Address, now_ms: u64, length_ms: u64) {
        let mut bans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bans.retain(|_, until| *until > now_ms);
        bans.insert(operator, now_ms.saturating_add(length_ms));
    }

    /// Is the operator kept out?
    #[must_use]
    pub fn holds(&self, operator: Address, now_ms: u64) -> bool {
        let bans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bans.get(&operator).is_some_and(|until| *until > now_ms)
    }
}
