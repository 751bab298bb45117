//! A real anvil, and a proxy before it that counts, and misbehaves as told.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alloy::eips::BlockNumHash;
use alloy::primitives::{Address, B256};
use alloy::transports::http::reqwest;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

pub const CHAIN: u64 = 31_337;
/// The time of every test chain's first block.
pub const GENESIS: u64 = 1_000_000;

/// A chain that mines when it is told to.
pub struct Anvil {
    child: Child,
    pub url: String,
    http: reqwest::Client,
}

impl Drop for Anvil {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn program() -> PathBuf {
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let below = format!("node_modules/@foundry-rs/anvil-linux-{architecture}/bin/anvil");
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let packaged = root.ancestors().map(|above| above.join(&below)).find(|path| path.is_file());
    packaged.unwrap_or_else(|| "anvil".into())
}

impl Anvil {
    /// Chains of another `fork` have other blocks from the first one on.
    pub async fn start(fork: u64) -> Self {
        let port = ditto_core::ports::free_port().unwrap();
        let (port_text, time) = (port.to_string(), (GENESIS - fork).to_string());
        let child = Command::new(program())
            .args(["--port", &port_text, "--timestamp", &time, "--accounts", "1", "--quiet", "--hardfork", "prague"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("anvil: run npm ci");
        let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().unwrap();
        let anvil = Self { child, url: format!("http://127.0.0.1:{port}"), http };
        for _ in 0..600 {
            if anvil.try_ask("eth_chainId", json!([])).await.is_some() {
                return anvil;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("anvil does not answer at {}", anvil.url);
    }

    async fn try_ask(&self, method: &str, params: Value) -> Option<Value> {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        let request = self.http.post(&self.url).header("content-type", "application/json").body(body);
        let answer: Value = serde_json::from_slice(&request.send().await.ok()?.bytes().await.ok()?).ok()?;
        answer.get("result").cloned()
    }

    pub async fn ask(&self, method: &str, params: Value) -> Value {
        self.try_ask(method, params.clone()).await.unwrap_or_else(|| panic!("{method} {params}"))
    }

    /// Mines one block at this time after [`GENESIS`].
    pub async fn mine(&self, seconds: u64) -> BlockNumHash {
        self.ask("evm_mine", json!([GENESIS + seconds])).await;
        self.block("latest").await
    }

    pub async fn block(&self, tag: &str) -> BlockNumHash {
        let block = self.ask("eth_getBlockByNumber", json!([tag, false])).await;
        let number = u64::from_str_radix(&block["number"].as_str().unwrap()[2..], 16).unwrap();
        BlockNumHash { number, hash: serde_json::from_value(block["hash"].clone()).unwrap() }
    }

    /// Mines a block with a transaction that emits one log without data.
    pub async fn emit(&self, topic: B256) {
        // PUSH32 topic, PUSH1 0, PUSH1 0, LOG1, STOP: run as a constructor.
        let code = format!("0x7f{}60006000a100", alloy::hex::encode(topic));
        let from = self.ask("eth_accounts", json!([])).await[0].clone();
        self.ask("eth_sendTransaction", json!([{ "from": from, "data": code, "gas": "0x30d40" }])).await;
    }

    /// Puts code at an address that returns the number of the block it is called at.
    pub async fn set_block_number(&self, at: Address) {
        // NUMBER, PUSH1 0, MSTORE, PUSH1 32, PUSH1 0, RETURN.
        self.ask("anvil_setCode", json!([at, "0x4360005260206000f3"])).await;
    }

    /// Puts code at an address that returns this number. Anvil does so for the latest block as well.
    pub async fn set_number(&self, at: Address, number: u8) {
        // PUSH1 number, PUSH1 0, MSTORE, PUSH1 32, PUSH1 0, RETURN.
        self.ask("anvil_setCode", json!([at, format!("0x60{number:02x}60005260206000f3")])).await;
    }
}

/// How a proxy misbehaves.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Mischief {
    #[default]
    None,
    /// HTTP with this status and no body.
    Status(u16),
    /// This text instead of an answer.
    Garbage(String),
    /// Batches backwards.
    Reversed,
    /// Every answer twice, the second one another.
    Twice,
    /// Nothing to requests of this method.
    Silent(&'static str),
    /// This error to requests of this method.
    Refuses(&'static str, i64, &'static str),
    /// `null` to requests of this method.
    Null(&'static str),
    /// Endless spaces after the answer.
    Padded(usize),
    /// An error to ranges of logs of more blocks than this.
    ShortRanges(u64),
    /// Takes this chain id for its own.
    ChainId(u64),
    /// Answers when told to.
    Held,
}

#[derive(Default)]
struct Shared {
    upstream: String,
    mischief: Mutex<Mischief>,
    /// After this many HTTP requests, good behaviour. `None`: never.
    until: Mutex<Option<usize>>,
    methods: Mutex<BTreeMap<String, usize>>,
    batches: Mutex<Vec<usize>>,
    under_way: AtomicUsize,
    most_under_way: AtomicUsize,
    released: tokio::sync::Notify,
    http: reqwest::Client,
}

/// A proxy on loopback. It ends with the test's runtime.
#[derive(Clone)]
pub struct Proxy {
    shared: Arc<Shared>,
    pub url: String,
}

impl Proxy {
    pub async fn start(upstream: &Anvil) -> Self {
        Self::start_at(upstream, 0).await
    }

    pub async fn start_at(upstream: &Anvil, port: u16) -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared { upstream: upstream.url.clone(), ..Shared::default() });
        let router = axum::Router::new().fallback(handle).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { shared, url }
    }

    /// Misbehaves from now on.
    pub fn be(&self, mischief: Mischief) {
        *self.shared.mischief.lock().unwrap() = mischief;
        *self.shared.until.lock().unwrap() = None;
    }

    /// Misbehaves for this many HTTP requests.
    pub fn be_for(&self, requests: usize, mischief: Mischief) {
        self.be(mischief);
        *self.shared.until.lock().unwrap() = Some(requests);
    }

    /// Lets all that is held go, and holds no more.
    pub fn release(&self) {
        self.be(Mischief::None);
        self.shared.released.notify_waiters();
    }

    /// How often a method was asked for.
    pub fn asked(&self, method: &str) -> usize {
        self.shared.methods.lock().unwrap().get(method).copied().unwrap_or_default()
    }

    /// All JSON-RPC requests, but for those that check the chain.
    pub fn requests(&self) -> usize {
        self.shared.methods.lock().unwrap().iter().filter(|(method, _)| *method != "eth_chainId").map(|(_, n)| n).sum()
    }

    /// The sizes of the batches so far.
    pub fn batches(&self) -> Vec<usize> {
        self.shared.batches.lock().unwrap().clone()
    }

    pub fn most_under_way(&self) -> usize {
        self.shared.most_under_way.load(Ordering::SeqCst)
    }

    pub fn forget(&self) {
        self.shared.methods.lock().unwrap().clear();
        self.shared.batches.lock().unwrap().clear();
        self.shared.most_under_way.store(0, Ordering::SeqCst);
    }
}

async fn handle(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let under_way = shared.under_way.fetch_add(1, Ordering::SeqCst) + 1;
    shared.most_under_way.fetch_max(under_way, Ordering::SeqCst);
    let answer = answer(&shared, body).await;
    shared.under_way.fetch_sub(1, Ordering::SeqCst);
    answer
}

async fn answer(shared: &Shared, body: Bytes) -> Response {
    let asked: Vec<Value> = serde_json::from_slice(&body).expect("requests come as an array");
    shared.batches.lock().unwrap().push(asked.len());
    for request in &asked {
        let method = request["method"].as_str().unwrap().to_owned();
        *shared.methods.lock().unwrap().entry(method).or_default() += 1;
    }
    let mischief = {
        let mut until = shared.until.lock().unwrap();
        match &mut *until {
            Some(0) => Mischief::None,
            Some(left) => {
                *left -= 1;
                shared.mischief.lock().unwrap().clone()
            }
            None => shared.mischief.lock().unwrap().clone(),
        }
    };
    match &mischief {
        Mischief::Status(status) => return StatusCode::from_u16(*status).unwrap().into_response(),
        Mischief::Garbage(text) => return text.clone().into_response(),
        Mischief::Held => {
            let released = shared.released.notified();
            if *shared.mischief.lock().unwrap() == Mischief::Held {
                released.await;
            }
        }
        _ => {}
    }
    let request = shared.http.post(&shared.upstream).header("content-type", "application/json").body(body.to_vec());
    let Ok(response) = request.send().await else { return StatusCode::BAD_GATEWAY.into_response() };
    let told = response.bytes().await.unwrap();
    let told: Vec<Value> = serde_json::from_slice(&told).expect("anvil answers a batch with an array");
    let error = |id: &Value, code: i64, message: &str| json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } });
    let method = |id: &Value| {
        asked.iter().find(|request| request["id"] == *id).map(|request| request["method"].as_str().unwrap().to_owned())
    };
    let number = |value: &Value| u64::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap();
    let mut answers = Vec::with_capacity(told.len());
    for answer in told {
        let (id, of) = (answer["id"].clone(), method(&answer["id"]).unwrap());
        match &mischief {
            Mischief::Silent(method) if of == *method => {}
            Mischief::Refuses(method, code, message) if of == *method => answers.push(error(&id, *code, message)),
            Mischief::Null(method) if of == *method => {
                answers.push(json!({ "jsonrpc": "2.0", "id": id, "result": null }));
            }
            Mischief::ChainId(chain) if of == "eth_chainId" => {
                answers.push(json!({ "jsonrpc": "2.0", "id": id, "result": format!("{chain:#x}") }));
            }
            Mischief::ShortRanges(most) if of == "eth_getLogs" => {
                let filter = &asked.iter().find(|request| request["id"] == id).unwrap()["params"][0];
                if number(&filter["toBlock"]) - number(&filter["fromBlock"]) < *most {
                    answers.push(answer);
                } else {
                    answers.push(error(&id, -32005, "query returned more than 10000 results"));
                }
            }
            Mischief::Twice => {
                answers.push(answer);
                answers.push(json!({ "jsonrpc": "2.0", "id": id, "result": "0xbad" }));
            }
            _ => answers.push(answer),
        }
    }
    if mischief == Mischief::Reversed {
        answers.reverse();
    }
    let mut text = Value::Array(answers).to_string();
    if let Mischief::Padded(bytes) = mischief {
        text.extend(std::iter::repeat_n(' ', bytes));
    }
    text.into_response()
}
