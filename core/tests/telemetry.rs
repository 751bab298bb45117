//! Scrapes a running telemetry server as Prometheus and an operator would.

#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ditto_core::telemetry::{Metrics, Readiness, Serving, TelemetryConfig, serve};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn start(readiness: Readiness) -> Serving {
    let metrics = Metrics::install("test", "1.2.3").unwrap();
    let config = TelemetryConfig { listen: ([127, 0, 0, 1], 0).into(), ..TelemetryConfig::default() };
    serve(&config, metrics, readiness, Arc::new(|| json!({ "slot": 7 }))).await.unwrap()
}

async fn fetch(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

#[tokio::test]
async fn metrics_are_scraped_with_buckets_help_build_and_process() {
    let serving = start(Readiness::new()).await;
    metrics::describe_histogram!("ditto_test_seconds", "How long a test takes.");
    metrics::histogram!("ditto_test_seconds", "stage" => "x").record(0.003);
    metrics::histogram!("ditto_test_votes").record(24.0);
    let (status, body) = fetch(serving.address(), "/metrics").await;
    assert_eq!(status, 200);
    for line in [
        "# HELP ditto_test_seconds How long a test takes.",
        "# TYPE ditto_test_seconds histogram",
        "ditto_test_seconds_bucket{stage=\"x\",le=\"0.0025\"} 0",
        "ditto_test_seconds_bucket{stage=\"x\",le=\"0.005\"} 1",
        "ditto_test_seconds_bucket{stage=\"x\",le=\"10\"} 1",
        "ditto_test_votes_bucket{le=\"32\"} 1",
        "ditto_build_info{binary=\"test\",version=\"1.2.3\"} 1",
    ] {
        assert!(body.lines().any(|found| found == line), "no {line:?} in\n{body}");
    }
    for metric in [
        "process_start_time_seconds",
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_threads",
        "process_cpu_seconds_total",
    ] {
        assert!(body.contains(&format!("# HELP {metric} ")), "no help for {metric}");
        assert!(body.lines().any(|line| line.starts_with(&format!("{metric} "))), "no {metric}");
    }
    serving.shutdown().await;
}

#[tokio::test]
async fn health_gives_reasons_and_status_is_the_binarys() {
    let readiness = Readiness::new();
    let serving = start(readiness.clone()).await;
    let rpc = readiness.check("rpc");
    let (status, body) = fetch(serving.address(), "/health/ready").await;
    let report: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &report["checks"]["rpc"]["reason"]), (503, &json!("starting")));
    rpc.not_ready("0 of 3 RPC endpoints answer");
    let (_, body) = fetch(serving.address(), "/health/ready").await;
    assert!(body.contains("0 of 3 RPC endpoints answer"), "{body}");
    rpc.ready();
    let (status, body) = fetch(serving.address(), "/health/ready").await;
    assert_eq!((status, serde_json::from_str::<Value>(&body).unwrap()["ready"].clone()), (200, json!(true)));
    let (_, body) = fetch(serving.address(), "/metrics").await;
    assert!(body.contains("ditto_ready{check=\"rpc\"} 1"));
    assert_eq!(fetch(serving.address(), "/health/live").await.0, 200);
    let (status, body) = fetch(serving.address(), "/status").await;
    assert_eq!((status, body.as_str()), (200, "{\"slot\":7}"));
    assert_eq!(fetch(serving.address(), "/secret").await.0, 404);
    serving.shutdown().await;
}

#[tokio::test]
async fn an_address_in_use_names_the_field() {
    let serving = start(Readiness::new()).await;
    let config = TelemetryConfig { listen: serving.address(), ..TelemetryConfig::default() };
    let metrics = Metrics::install("test", "1.2.3").unwrap();
    let error = match serve(&config, metrics, Readiness::new(), Arc::new(|| Value::Null)).await {
        Ok(_) => panic!("two servers on one port"),
        Err(error) => error.to_string(),
    };
    assert!(error.contains("`telemetry.listen`") && error.contains(&serving.address().to_string()), "{error}");
}

#[tokio::test]
async fn shutdown_ends_although_a_scraper_keeps_its_connection() {
    let serving = start(Readiness::new()).await;
    let address = serving.address();
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut some = [0; 16];
    idle.read_exact(&mut some).await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), serving.shutdown()).await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}
