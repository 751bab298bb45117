//! Operators whose vote was found bad, alone: they are not heard for a while, and for longer every time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alloy::primitives::Address;

use crate::config::VerificationConfig;

/// What one operator did, and how long it is kept out for it.
#[derive(Clone, Copy, Debug)]
struct Offender {
    until_ms: u64,
    last_ms: u64,
    bans: u32,
}

/// Who is kept out until when. Only members of an operator set get here, so it is as small as the sets.
#[derive(Clone, Debug, Default)]
pub struct Bans {
    config: VerificationConfig,
    offenders: Arc<Mutex<HashMap<Address, Offender>>>,
}

impl Bans {
    /// Nobody is kept out; lengths are the configuration's.
    #[must_use]
    pub fn new(config: VerificationConfig) -> Self {
        Self { config, offenders: Arc::default() }
    }

    /// Keeps an operator out from now, twice as long as the last time, and says how long. What it does while it is kept out
    /// (votes that were queued already) changes nothing.
    pub fn ban(&self, operator: Address, now_ms: u64) -> Duration {
        let mut offenders = self.lock();
        let VerificationConfig { ban_ms, ban_max_ms, ban_forget_ms, .. } = self.config;
        offenders.retain(|_, offender| {
            offender.last_ms.saturating_add(ban_forget_ms) > now_ms || offender.until_ms > now_ms
        });
        let offender = offenders.entry(operator).or_insert(Offender { until_ms: 0, last_ms: now_ms, bans: 0 });
        if offender.until_ms <= now_ms {
            let doubled = 1u64.checked_shl(offender.bans).unwrap_or(u64::MAX);
            let length = ban_ms.saturating_mul(doubled).min(ban_max_ms.max(ban_ms));
            offender.until_ms = now_ms.saturating_add(length);
            offender.last_ms = now_ms;
            offender.bans = offender.bans.saturating_add(1);
        }
        Duration::from_millis(offender.until_ms - now_ms)
    }

    /// Is the operator kept out?
    #[must_use]
    pub fn holds(&self, operator: Address, now_ms: u64) -> bool {
        self.lock().get(&operator).is_some_and(|offender| offender.until_ms > now_ms)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Address, Offender>> {
        self.offenders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bans_double_up_to_the_longest_and_are_forgotten() {
        let config =
            VerificationConfig { ban_ms: 10, ban_max_ms: 50, ban_forget_ms: 1_000, ..VerificationConfig::default() };
        let (bans, who) = (Bans::new(config), Address::repeat_byte(1));
        let mut now = 100;
        for length in [10, 20, 40, 50, 50] {
            assert_eq!(bans.ban(who, now), Duration::from_millis(length));
            assert_eq!(bans.ban(who, now + 3), Duration::from_millis(length - 3), "once for what was queued");
            assert!(bans.holds(who, now + length - 1) && !bans.holds(who, now + length));
            now += length;
        }
        assert!(!bans.holds(Address::ZERO, now));
        assert_eq!(bans.ban(who, now + 1_000), Duration::from_millis(10), "a day later it is the first time again");
    }

    #[test]
    fn no_number_of_bans_overflows() {
        let bans = Bans::new(VerificationConfig {
            ban_ms: u64::MAX,
            ban_max_ms: 1,
            ban_forget_ms: u64::MAX,
            ..Default::default()
        });
        for _ in 0..70 {
            assert_eq!(bans.ban(Address::ZERO, 1), Duration::from_millis(u64::MAX - 1));
        }
    }
}
