//! The log, on standard error.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use super::{LogConfig, LogFormat, TelemetryError};

/// Installs the log for the whole process.
///
/// # Errors
/// When the filter is none, or a log is installed already.
pub fn install(config: &LogConfig) -> Result<(), TelemetryError> {
    let filter = filter(&config.filter)?;
    let terminal = stderr().is_terminal();
    let json = match config.format {
        LogFormat::Auto => !terminal,
        LogFormat::Human => false,
        LogFormat::Json => true,
    };
    let builder = fmt().with_env_filter(filter).with_writer(stderr);
    let installed = if json {
        builder.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init()
    } else {
        builder.with_ansi(terminal).with_target(false).try_init()
    };
    installed.map_err(|_already| TelemetryError::LogInstalled)
}

fn filter(filter: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::builder().parse(filter).map_err(|cause| TelemetryError::Filter { filter: filter.to_owned(), cause })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_filter_names_the_field() {
        let error = filter("ditto_core=shouting").unwrap_err().to_string();
        assert!(error.contains("`telemetry.log.filter`") && error.contains("shouting"), "{error}");
        filter("info,ditto_core::p2p=debug").unwrap();
    }
}
