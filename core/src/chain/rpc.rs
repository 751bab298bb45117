//! JSON-RPC to one chain's nodes, in batches.
//!
//! Several endpoints may be given; a request that fails in transport goes to the next one. Answers that a node gives,
//! errors among them, are final. Batches are cut to the configured size.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use alloy::primitives::{Address, B256, Bytes};
use alloy::providers::{DynProvider, Provider, ProviderBuilder};
use alloy::rpc::client::RpcClient;
use alloy::sol_types::SolCall;
use alloy::transports::http::{Http, reqwest};
use alloy::transports::{RpcError as AlloyError, TransportErrorKind};
use serde_json::value::RawValue;

use super::ChainConfig;

/// One request of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// The method, such as `eth_call`.
    pub method: &'static str,
    /// The parameters: a JSON array.
    pub params: String,
}

impl Request {
    /// A request with these parameters.
    #[must_use]
    pub fn new(method: &'static str, params: &serde_json::Value) -> Self {
        Self { method, params: params.to_string() }
    }

    /// An `eth_call` by block hash.
    #[must_use]
    pub fn call(to: Address, data: &[u8], block: B256) -> Self {
        let data = alloy::hex::encode_prefixed(data);
        Self::new("eth_call", &serde_json::json!([{ "to": to, "data": data }, at(block)]))
    }
}

/// Why a request has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RpcError {
    /// The call reverted, with this data.
    #[error("the call reverted with {0}")]
    Reverted(Bytes),
    /// The node answered with an error.
    #[error("the node of chain {chain} answered {code}: {message}")]
    Node {
        /// The chain.
        chain: u64,
        /// JSON-RPC error code.
        code: i64,
        /// What the node said.
        message: String,
    },
    /// No node answered.
    #[error("no node of chain {chain} answered (tried {urls}): {cause}")]
    Transport {
        /// The chain.
        chain: u64,
        /// The hosts tried, without credentials.
        urls: String,
        /// What went wrong last.
        cause: String,
    },
    /// The node answered something that is not of the right shape.
    #[error("the node of chain {chain} gave an answer of the wrong shape: {cause}")]
    Shape {
        /// The chain.
        chain: u64,
        /// What was wrong.
        cause: String,
    },
}

/// Why the configuration gives no client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RpcConfigError {
    /// No endpoint.
    #[error("chains.{chain}.rpc: at least one http(s) URL is needed")]
    NoEndpoint {
        /// The chain.
        chain: u64,
    },
    /// Not a URL.
    #[error("chains.{chain}.rpc: entry {index} is not an http(s) URL: {cause}")]
    Url {
        /// The chain.
        chain: u64,
        /// Which entry, from 0: the text may hold credentials.
        index: usize,
        /// Why not.
        cause: String,
    },
}

/// A chain's nodes.
#[derive(Debug)]
pub struct Rpc {
    chain: u64,
    endpoints: Vec<Endpoint>,
    preferred: AtomicUsize,
    batch: usize,
}

struct Endpoint {
    host: String,
    client: RpcClient,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The client holds the whole URL, and that may hold credentials.
        f.write_str(&self.host)
    }
}

impl Rpc {
    /// A client for the chain's endpoints.
    ///
    /// # Errors
    /// When there is none, or one is no URL.
    pub fn new(chain: u64, config: &ChainConfig) -> Result<Self, RpcConfigError> {
        if config.rpc.is_empty() {
            return Err(RpcConfigError::NoEndpoint { chain });
        }
        let wrong = |index, cause: String| RpcConfigError::Url { chain, index, cause };
        let mut endpoints = Vec::with_capacity(config.rpc.len());
        for (index, url) in config.rpc.iter().enumerate() {
            let parsed: reqwest::Url = url.parse().map_err(|e| wrong(index, format!("{e}")))?;
            if !matches!(parsed.scheme(), "http" | "https") {
                return Err(wrong(index, "the scheme must be http or https".into()));
            }
            let http = reqwest::Client::builder()
                .timeout(Duration::from_millis(config.timeout_ms))
                .build()
                .map_err(|e| wrong(index, e.to_string()))?;
            // Credentials often stand in the path: only host and port are ever printed.
            let host =
                format!("{}:{}", parsed.host_str().unwrap_or("?"), parsed.port_or_known_default().unwrap_or_default());
            endpoints.push(Endpoint { host, client: RpcClient::new(Http::with_client(http, parsed), false) });
        }
        Ok(Self { chain, endpoints, preferred: AtomicUsize::new(0), batch: config.batch.max(1) })
    }

    /// The chain's EIP-155 id, as configured.
    #[must_use]
    pub fn chain(&self) -> u64 {
        self.chain
    }

    /// An alloy provider over the preferred endpoint.
    #[must_use]
    pub fn provider(&self) -> DynProvider {
        let at = self.preferred.load(Ordering::Relaxed) % self.endpoints.len();
        ProviderBuilder::default().connect_client(self.endpoints[at].client.clone()).erased()
    }

    /// Asks one thing.
    ///
    /// # Errors
    /// When there is no answer, or it is an error.
    pub async fn ask(&self, request: Request) -> Result<Box<RawValue>, RpcError> {
        let mut answers = self.ask_all(vec![request]).await;
        answers.pop().unwrap_or_else(|| Err(self.shape("an empty batch")))
    }

    /// Asks one thing and reads the answer.
    ///
    /// # Errors
    /// As [`Self::ask`], or when the answer has another shape.
    pub async fn ask_for<T: serde::de::DeserializeOwned>(&self, request: Request) -> Result<T, RpcError> {
        let answer = self.ask(request).await?;
        serde_json::from_str(answer.get()).map_err(|error| self.shape(&error.to_string()))
    }

    /// Calls a contract at a block and decodes what it returns.
    ///
    /// # Errors
    /// As [`Self::ask`], or when the contract returns another shape (another contract at that address, most often).
    pub async fn call<C: SolCall>(&self, to: Address, call: &C, block: B256) -> Result<C::Return, RpcError> {
        let returned: Bytes = self.ask_for(Request::call(to, &call.abi_encode(), block)).await?;
        C::abi_decode_returns(&returned)
            .map_err(|error| self.shape(&format!("{} of {to} returned {returned}: {error}", C::SIGNATURE)))
    }

    /// Asks many things; the answers stand in the order of the requests.
    pub async fn ask_all(&self, requests: Vec<Request>) -> Vec<Result<Box<RawValue>, RpcError>> {
        let chunks = requests.chunks(self.batch).map(|chunk| self.ask_chunk(chunk));
        futures::future::join_all(chunks).await.into_iter().flatten().collect()
    }

    async fn ask_chunk(&self, requests: &[Request]) -> Vec<Result<Box<RawValue>, RpcError>> {
        let first = self.preferred.load(Ordering::Relaxed);
        let mut cause = String::new();
        for attempt in 0..self.endpoints.len() {
            let at = (first + attempt) % self.endpoints.len();
            let began = Instant::now();
            let outcome = self.send(&self.endpoints[at].client, requests).await;
            let seconds = began.elapsed().as_secs_f64();
            let labels = [("chain", self.chain.to_string()), ("endpoint", self.endpoints[at].host.clone())];
            metrics::histogram!("ditto_rpc_seconds", &labels).record(seconds);
            metrics::counter!("ditto_rpc_requests_total", &labels).increment(requests.len() as u64);
            match outcome {
                Ok(answers) => {
                    if attempt > 0 {
                        self.preferred.store(at, Ordering::Relaxed);
                    }
                    return answers;
                }
                Err(error) => {
                    metrics::counter!("ditto_rpc_failures_total", &labels).increment(1);
                    tracing::debug!(chain = self.chain, endpoint = labels[1].1, %error, "a node did not answer");
                    cause = error;
                }
            }
        }
        let urls = self.endpoints.iter().map(|e| e.host.as_str()).collect::<Vec<_>>().join(", ");
        let error = RpcError::Transport { chain: self.chain, urls, cause };
        vec![Err(error); requests.len()]
    }

    /// Sends a chunk to one endpoint. `Err` is a failure of transport, which concerns the whole chunk.
    async fn send(
        &self,
        client: &RpcClient,
        requests: &[Request],
    ) -> Result<Vec<Result<Box<RawValue>, RpcError>>, String> {
        let mut batch = client.new_batch();
        let mut waiting = Vec::with_capacity(requests.len());
        for request in requests {
            let params = RawValue::from_string(request.params.clone()).map_err(|e| e.to_string())?;
            let call = batch.add_call::<_, Box<RawValue>>(request.method, &params).map_err(|e| e.to_string())?;
            waiting.push(call);
        }
        batch.send().await.map_err(|e| without_url(&e))?;
        let mut answers = Vec::with_capacity(waiting.len());
        for answer in waiting {
            answers.push(match answer.await {
                Ok(value) => Ok(value),
                Err(AlloyError::ErrorResp(payload)) => Err(match payload.as_revert_data() {
                    Some(data) => RpcError::Reverted(data),
                    // geth answers code 3; some clients say it in words only, when there is no data.
                    None if payload.code == 3 || payload.message.starts_with("execution reverted") => {
                        RpcError::Reverted(Bytes::new())
                    }
                    None => RpcError::Node {
                        chain: self.chain,
                        code: payload.code,
                        message: payload.message.chars().take(200).collect(),
                    },
                }),
                Err(error @ AlloyError::Transport(_)) => return Err(without_url(&error)),
                Err(error) => Err(self.shape(&error.to_string())),
            });
        }
        Ok(answers)
    }

    fn shape(&self, cause: &str) -> RpcError {
        RpcError::Shape { chain: self.chain, cause: cause.chars().take(200).collect() }
    }
}

/// A block by its hash, as `eth_call` and its like take it; a hash that is no longer canonical is an error (EIP-1898).
#[must_use]
pub fn at(block: B256) -> serde_json::Value {
    serde_json::json!({ "blockHash": block, "requireCanonical": true })
}

/// A transport error's text without the URL, in which credentials may stand.
fn without_url(error: &AlloyError<TransportErrorKind>) -> String {
    let text = error.to_string();
    match (text.find(" for url ("), text.rfind(')')) {
        (Some(from), Some(to)) if from < to => format!("{}{}", &text[..from], &text[to + 1..]),
        _ => text,
    }
}
