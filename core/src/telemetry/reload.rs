//! SIGHUP: the configuration is read again, and what can change in a running process does.

use serde::Serialize;
use serde_json::Value;

use super::log::Log;
use super::{LogConfig, supervisor};
use crate::config::changes;

/// The only key that changes in a running process. Everything else is part of what peers, stages or the sandbox were
/// started with; a restart drains and takes a second.
const LIVE: &str = "telemetry.log.filter";

/// The configuration that is in force, to compare a new one with.
pub struct InForce {
    shown: Value,
    log: Log,
}

impl InForce {
    /// What the process was started with.
    pub fn new(config: &impl Serialize, log: Log) -> Self {
        Self { shown: shown(config), log }
    }

    /// Reads the configuration again through `load`, puts in force what can change, and says in the log what a restart
    /// would change beyond. A configuration that is refused changes nothing.
    pub fn reload<C: Serialize, E: std::fmt::Display>(
        &mut self,
        load: impl FnOnce() -> Result<C, E>,
        of: impl FnOnce(&C) -> &LogConfig,
    ) {
        supervisor::reloading();
        match load() {
            Err(error) => tracing::error!(%error, "the configuration is refused; nothing changed"),
            Ok(config) => self.take(&shown(&config), &of(&config).filter),
        }
        supervisor::reloaded();
    }

    fn take(&mut self, new: &Value, filter: &str) {
        let mut changed = changes(&self.shown, new);
        let live = changed.iter().any(|key| key == LIVE);
        changed.retain(|key| key != LIVE);
        if live {
            match self.log.set_filter(filter) {
                Ok(()) => {
                    if let Some(current) = self.shown.pointer_mut("/telemetry/log/filter") {
                        *current = Value::String(filter.to_owned());
                    }
                    tracing::info!(filter, "the log has another filter");
                }
                Err(error) => tracing::error!(%error, "the log keeps its filter"),
            }
        }
        if !changed.is_empty() {
            tracing::warn!(keys = changed.join(", "), "changed in the configuration, and in force after a restart");
        } else if !live {
            tracing::info!("the configuration has not changed");
        }
    }
}

/// What cannot be shown as JSON (nothing of ours) is compared as nothing.
fn shown(config: &impl Serialize) -> Value {
    serde_json::to_value(config).unwrap_or_default()
}
