//! Telemetry: what a running binary shows of itself.
//!
//! In this order, at the start of a binary:
//!
//! 1. [`log::install`]: `tracing`, human in a terminal and JSON under systemd;
//! 2. [`Metrics::install`]: the recorder behind the `metrics` macros. Before the pipeline is declared, since a metric that
//!    is registered earlier goes nowhere;
//! 3. [`serve`]: one HTTP server with `/metrics`, `/health/live`, `/health/ready` and `/status`;
//! 4. [`supervisor::up`]: systemd hears that the process is up, what it waits for, and that it lives.
//!
//! The server listens on loopback unless it is told otherwise: it has no authentication. Components say through
//! [`Readiness`] whether they can work, each check by name and with a reason that an operator can act on.

pub mod catalog;
mod config;
mod error;
mod health;
mod http;
pub mod kernel_clock;
pub mod log;
mod process;
mod recorder;
pub mod reload;
pub mod status;
pub mod supervisor;

pub use config::{LogConfig, LogFormat, TelemetryConfig};
pub use error::TelemetryError;
pub use health::{Check, Readiness};
pub use http::{Serving, StatusFn, serve};
pub use recorder::{Metrics, describe, measured};
