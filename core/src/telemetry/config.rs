//! Where telemetry listens and how it logs.

use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

/// The `[telemetry]` table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// Address of the HTTP server for metrics, health and status. It has no authentication: keep it on loopback, or in
    /// a network that only Prometheus reaches. Port 0 takes a free one, which is logged.
    pub listen: SocketAddr,
    /// The log.
    pub log: LogConfig,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9400)), log: LogConfig::default() }
    }
}

/// The `[telemetry.log]` table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// What is logged: a level (`info`), or levels by module (`info,ditto_core::p2p=debug`).
    pub filter: String,
    /// How a line looks: `human`, `json`, or `auto` (human when standard error is a terminal, JSON otherwise).
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::Auto }
    }
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For a terminal human, for anything else JSON.
    Auto,
    /// One readable line.
    Human,
    /// One JSON object.
    Json,
}
