//! A JSON-RPC proxy that misbehaves on demand.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use alloy::transports::http::reqwest;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// What the proxy does to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Passes it on.
    None,
    /// Answers 503 and passes nothing on.
    Down,
    /// Never answers, and passes nothing on.
    Hangs,
    /// Passes transactions on and never answers those; everything else is passed on.
    LosesTheAnswerToTransactions,
    /// Knows nothing after this block.
    BehindAt(u64),
}

#[derive(Clone)]
pub struct Proxy {
    pub url: String,
    fault: Arc<Mutex<Fault>>,
    upstream: String,
    http: reqwest::Client,
}

impl Proxy {
    pub async fn start(upstream: &str) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let proxy = Self {
            url,
            fault: Arc::new(Mutex::new(Fault::None)),
            upstream: upstream.to_owned(),
            http: reqwest::Client::new(),
        };
        let router = axum::Router::new().fallback(answer).with_state(proxy.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        proxy
    }

    pub fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }
}

async fn answer(State(proxy): State<Proxy>, body: Bytes) -> Response {
    let fault = proxy.fault.lock().unwrap().clone();
    let sends = body.windows(22).any(|word| word == b"eth_sendRawTransaction");
    let body = match fault {
        Fault::Down => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Fault::Hangs => std::future::pending().await,
        Fault::BehindAt(block) => Bytes::from(serde_json::to_vec(&of_the_past(&body, block)).unwrap()),
        Fault::None | Fault::LosesTheAnswerToTransactions => body,
    };
    let request = proxy.http.post(&proxy.upstream).header("content-type", "application/json").body(body);
    let Ok(Ok(answer)) =
        tokio::time::timeout(Duration::from_secs(30), async { request.send().await?.bytes().await }).await
    else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    if sends && fault == Fault::LosesTheAnswerToTransactions {
        return std::future::pending().await;
    }
    ([("content-type", "application/json")], answer).into_response()
}

/// Everything that is asked of the latest block is asked of an old one.
fn of_the_past(body: &[u8], block: u64) -> Value {
    let mut asked: Value = serde_json::from_slice(body).unwrap();
    let past = json!(format!("{block:#x}"));
    let requests = match &mut asked {
        Value::Array(batch) => batch.iter_mut().collect(),
        one => vec![one],
    };
    for request in requests {
        if request["method"] == "eth_getTransactionReceipt" {
            // It has not seen that block.
            *request = json!({ "jsonrpc": "2.0", "id": request["id"], "method": "eth_getTransactionReceipt",
                "params": [format!("0x{}", "00".repeat(32))] });
        }
        for parameter in request["params"].as_array_mut().into_iter().flatten() {
            if *parameter == "latest" {
                *parameter = past.clone();
            }
        }
    }
    asked
}
