//! The HTTP server for metrics, health and status.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::{Metrics, Readiness, TelemetryConfig, TelemetryError};

/// What `/status` answers: what the operator would ask at three in the morning.
pub type StatusFn = Arc<dyn Fn() -> Value + Send + Sync>;

/// How often histograms are sorted when nobody scrapes.
const UPKEEP: Duration = Duration::from_secs(5);
/// How long a request may hold up the shutdown.
const LAST_REQUESTS: Duration = Duration::from_secs(2);

/// The running server. Dropping it stops it at once.
pub struct Serving {
    address: SocketAddr,
    stopping: CancellationToken,
    server: AbortOnDropHandle<()>,
    _upkeep: AbortOnDropHandle<()>,
}

#[derive(Clone)]
struct Shown {
    metrics: Metrics,
    readiness: Readiness,
    status: StatusFn,
}

/// Starts the server.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn serve(
    config: &TelemetryConfig,
    metrics: Metrics,
    readiness: Readiness,
    status: StatusFn,
) -> Result<Serving, TelemetryError> {
    let cannot = |cause| TelemetryError::Bind { listen: config.listen, cause };
    let listener = TcpListener::bind(config.listen).await.map_err(cannot)?;
    let address = listener.local_addr().map_err(cannot)?;
    tracing::info!(%address, "metrics, health and status are served");
    let router = Router::new()
        .route("/metrics", get(show_metrics))
        .route("/health/live", get(async || Json(json!({ "live": true }))))
        .route("/health/ready", get(show_ready))
        .route("/status", get(async |State(shown): State<Shown>| Json((shown.status)())))
        .with_state(Shown { metrics: metrics.clone(), readiness, status });
    let stopping = CancellationToken::new();
    let stopped = stopping.clone().cancelled_owned();
    let server = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stopped).await {
            tracing::error!(%error, "the telemetry server ended");
        }
    });
    let upkeep = tokio::spawn(async move {
        let mut every = tokio::time::interval(UPKEEP);
        loop {
            every.tick().await;
            metrics.upkeep();
        }
    });
    Ok(Serving { address, stopping, server: AbortOnDropHandle::new(server), _upkeep: AbortOnDropHandle::new(upkeep) })
}

impl Serving {
    /// Where it listens; with port 0 in the configuration, which port it got.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers the requests that are under way, takes no new ones, and ends. Last of all in a shutdown, so that the
    /// draining can be watched.
    pub async fn shutdown(self) {
        self.stopping.cancel();
        if timeout(LAST_REQUESTS, self.server).await.is_err() {
            tracing::warn!("a telemetry request did not end in time; cut off");
        }
    }
}

async fn show_metrics(State(shown): State<Shown>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], shown.metrics.render())
}

async fn show_ready(State(shown): State<Shown>) -> impl IntoResponse {
    let report = shown.readiness.report();
    (if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(report))
}
