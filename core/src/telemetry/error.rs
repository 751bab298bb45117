//! What goes wrong when telemetry starts.

use std::net::SocketAddr;

/// Why telemetry did not start; each names its configuration field where there is one.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The address cannot be listened on.
    #[error("`telemetry.listen`: cannot listen on {listen}: {cause}; choose another address, or stop what uses it")]
    Bind {
        /// The address.
        listen: SocketAddr,
        /// What the operating system said.
        #[source]
        cause: std::io::Error,
    },
    /// The log filter is none.
    #[error(
        "`telemetry.log.filter`: {filter:?} is no filter ({cause}); write for example `info,ditto_core::p2p=debug`"
    )]
    Filter {
        /// As configured.
        filter: String,
        /// What is wrong with it.
        #[source]
        cause: tracing_subscriber::filter::ParseError,
    },
    /// The new filter could not be put in force.
    #[error("`telemetry.log.filter`: the running log does not take another filter: {0}")]
    FilterChange(String),
    /// Another log is installed in this process.
    #[error("another log is installed in this process already")]
    LogInstalled,
    /// Another recorder is installed in this process.
    #[error("another metrics recorder is installed in this process already")]
    RecorderInstalled,
    /// The recorder refuses its own settings.
    #[error("the metrics recorder refuses its buckets: {0}")]
    Buckets(#[source] metrics_exporter_prometheus::BuildError),
}
