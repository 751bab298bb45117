//! The recorder behind the `metrics` macros.

use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use metrics::{Unit, describe_gauge, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::{TelemetryError, health, kernel_clock, process};

/// Seconds: from half a millisecond (a queue's wait) to ten seconds (a slot and more).
const SECONDS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Bytes: from a vote over the largest gossiped proposal to a run at its memory limit.
const BYTES: [f64; 12] = [
    256.0,
    1024.0,
    4096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    8_388_608.0,
    16_777_216.0,
    33_554_432.0,
    67_108_864.0,
];
/// Gas: from a verification to what one transaction may burn (EIP-7825).
const GAS: [f64; 10] = [5e3, 1e4, 1.5e4, 2e4, 4e4, 1e5, 5e5, 2e6, 8e6, 16_777_216.0];
/// Anything else is a number of things: the size of a batch, of a group.
const COUNTS: [f64; 13] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0];

/// The recorder of this process.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

static INSTALLED: Mutex<Option<Metrics>> = Mutex::new(None);

/// For tests: what this process exports of a metric, the sum of its series that have all of `labels` (name and value); of
/// a histogram, give the name with `_count` or `_sum`. It installs the recorder, so it is called before what is measured
/// begins, too.
#[must_use]
pub fn measured(name: &str, labels: &[(&str, &str)]) -> f64 {
    // Only another recorder is an error, and that is none of ours.
    let Ok(metrics) = Metrics::install("test", "0") else { return f64::NAN };
    let labels: Vec<_> = labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
    let rendered = metrics.render();
    let series = rendered.lines().filter_map(|line| line.strip_prefix(name)?.rsplit_once(' '));
    let ours = series.filter(|(rest, _)| {
        (rest.is_empty() || rest.starts_with('{')) && labels.iter().all(|label| rest.contains(label.as_str()))
    });
    ours.filter_map(|(_, value)| value.parse::<f64>().ok()).sum()
}

/// Help texts and units of what every binary shows of itself.
pub fn describe() {
    process::describe();
    kernel_clock::describe();
    health::describe();
    describe_gauge!("ditto_build_info", Unit::Count, "Always 1; the labels say what is running.");
    describe_gauge!(
        "process_start_time_seconds",
        Unit::Seconds,
        "When the process began to measure, in seconds since the Unix epoch."
    );
}

impl Metrics {
    /// Installs the recorder, and registers what the process says of itself: build, start, memory, files, threads.
    /// Called again, it returns the same recorder.
    ///
    /// # Errors
    /// When something else installed a recorder.
    pub fn install(binary: &'static str, version: &'static str) -> Result<Self, TelemetryError> {
        let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
        let metrics = match &*installed {
            Some(metrics) => metrics.clone(),
            None => {
                let recorder = PrometheusBuilder::new()
                    .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
                    .and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_bytes".to_owned()), &BYTES))
                    .and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_gas".to_owned()), &GAS))
                    .and_then(|builder| builder.set_buckets(&COUNTS))
                    .map_err(TelemetryError::Buckets)?
                    .build_recorder();
                let metrics = Self(recorder.handle());
                metrics::set_global_recorder(recorder).map_err(|_other| TelemetryError::RecorderInstalled)?;
                describe();
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                gauge!("process_start_time_seconds").set(now.as_secs_f64());
                *installed = Some(metrics.clone());
                metrics
            }
        };
        gauge!("ditto_build_info", "binary" => binary, "version" => version).set(1.0);
        Ok(metrics)
    }

    /// All metrics, as Prometheus reads them.
    #[must_use]
    pub fn render(&self) -> String {
        process::measure();
        kernel_clock::measure();
        self.0.render()
    }

    /// Sorts what histograms gathered into their buckets; without it they grow until somebody scrapes.
    pub(super) fn upkeep(&self) {
        self.0.run_upkeep();
    }
}
