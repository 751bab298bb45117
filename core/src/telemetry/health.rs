//! Is this process able to do its work, and if not, why?

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use metrics::{Unit, describe_gauge, gauge};
use serde::Serialize;

use super::status::CheckStatus;

/// The named checks of a process. It is ready when all of them are.
#[derive(Clone, Default)]
pub struct Readiness(Arc<Mutex<BTreeMap<&'static str, State>>>);

/// One component's check: it says whether the component can work. Clones speak for the same check.
#[derive(Clone)]
pub struct Check {
    name: &'static str,
    all: Readiness,
}

struct State {
    /// `None`: ready.
    reason: Option<String>,
    since: Instant,
}

/// The answer of `/health/ready`, and a part of `/status`'s.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Is every check ready?
    pub ready: bool,
    /// The checks, by name.
    pub checks: BTreeMap<String, CheckStatus>,
}

pub(super) fn describe() {
    describe_gauge!("ditto_ready", Unit::Count, "Is the component able to do its work (1) or not (0), by check.");
}

impl Readiness {
    /// No checks: ready.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a check, which is not ready until it says so. `name` is static and snake_case: it is a metric's label.
    #[must_use]
    pub fn check(&self, name: &'static str) -> Check {
        describe();
        let check = Check { name, all: self.clone() };
        check.not_ready("starting");
        check
    }

    /// Are all checks ready?
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.lock().values().all(|state| state.reason.is_none())
    }

    /// What is waited for, in one line: systemd shows it as the service's status.
    #[must_use]
    pub fn line(&self) -> String {
        let waiting: Vec<String> = self
            .lock()
            .iter()
            .filter_map(|(name, state)| state.reason.as_ref().map(|reason| format!("{name}: {reason}")))
            .collect();
        if waiting.is_empty() { "ready".to_owned() } else { format!("not ready ({})", waiting.join("; ")) }
    }

    /// All checks, with their reasons.
    #[must_use]
    pub fn report(&self) -> Report {
        let checks: BTreeMap<_, _> = self
            .lock()
            .iter()
            .map(|(&name, state)| {
                let (ready, reason) = (state.reason.is_none(), state.reason.clone());
                (name.to_owned(), CheckStatus { ready, reason, since_seconds: state.since.elapsed().as_secs() })
            })
            .collect();
        Report { ready: checks.values().all(|check| check.ready), checks }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, State>> {
        // Whole values are put in, so a panic elsewhere leaves nothing half-done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Check {
    /// The component can work.
    pub fn ready(&self) {
        self.set(None);
    }

    /// The component cannot work, for a reason that tells an operator what to look at: `0 of 3 RPC endpoints answer`.
    pub fn not_ready(&self, reason: impl Into<String>) {
        self.set(Some(reason.into()));
    }

    /// Ready, or not for this reason.
    pub fn set(&self, reason: Option<String>) {
        gauge!("ditto_ready", "check" => self.name).set(if reason.is_none() { 1.0 } else { 0.0 });
        let mut all = self.all.lock();
        let now = Instant::now();
        match all.get_mut(self.name) {
            Some(state) => {
                if state.reason.is_none() != reason.is_none() {
                    state.since = now;
                    match &reason {
                        None => tracing::info!(check = self.name, "ready"),
                        Some(reason) => tracing::warn!(check = self.name, reason, "not ready"),
                    }
                }
                state.reason = reason;
            }
            None => drop(all.insert(self.name, State { reason, since: now })),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_when_every_check_is_and_reasons_are_given() {
        let readiness = Readiness::new();
        assert!(readiness.is_ready());
        let (rpc, peers) = (readiness.check("rpc"), readiness.check("peers"));
        assert!(!readiness.is_ready());
        rpc.ready();
        peers.not_ready("0 of 1 peers");
        let report = serde_json::to_value(readiness.report()).unwrap();
        assert_eq!(report["ready"], false);
        assert_eq!(report["checks"]["rpc"]["ready"], true);
        assert_eq!(report["checks"]["peers"]["reason"], "0 of 1 peers");
        assert_eq!(readiness.line(), "not ready (peers: 0 of 1 peers)");
        peers.clone().ready();
        assert_eq!(readiness.line(), "ready");
        assert!(readiness.is_ready());
    }
}
