//! The log, on standard error.

use std::io::{IsTerminal, stderr};
use std::sync::Arc;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use super::{LogConfig, LogFormat, TelemetryError};

/// The installed log, whose filter can be changed while it runs.
#[derive(Clone)]
pub struct Log(Arc<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>);

impl Log {
    /// Puts another filter in force.
    ///
    /// # Errors
    /// When the filter is none; the old one stays.
    pub fn set_filter(&self, text: &str) -> Result<(), TelemetryError> {
        let filter = filter(text)?;
        (self.0)(filter).map_err(TelemetryError::FilterChange)
    }
}

/// Installs the log for the whole process.
///
/// # Errors
/// When the filter is none, or a log is installed already.
pub fn install(config: &LogConfig) -> Result<Log, TelemetryError> {
    let filter = filter(&config.filter)?;
    let terminal = stderr().is_terminal();
    let json = match config.format {
        LogFormat::Auto => !terminal,
        LogFormat::Human => false,
        LogFormat::Json => true,
    };
    let builder = fmt().with_env_filter(filter).with_writer(stderr);
    let (log, installed) = if json {
        let builder = builder.json().flatten_event(true).with_current_span(true).with_span_list(false);
        let builder = builder.with_filter_reloading();
        let handle = builder.reload_handle();
        (changing(move |filter| handle.reload(filter)), builder.try_init())
    } else {
        let builder = builder.with_ansi(terminal).with_target(false).with_filter_reloading();
        let handle = builder.reload_handle();
        (changing(move |filter| handle.reload(filter)), builder.try_init())
    };
    installed.map_err(|_already| TelemetryError::LogInstalled)?;
    Ok(log)
}

fn changing<E: std::fmt::Display>(change: impl Fn(EnvFilter) -> Result<(), E> + Send + Sync + 'static) -> Log {
    Log(Arc::new(move |filter| change(filter).map_err(|error| error.to_string())))
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
