//! JSON-RPC to one chain's endpoints, in batches.
//!
//! An endpoint is asked in the order of the configuration, unless it rests after failing or is set aside for not having
//! the block in question. What one does not answer, the next one is asked. An error that an endpoint gives is final for
//! requests of no particular block; for others it may mean that it lacks the block, so the others are asked as well.
//! Requests of no particular block that were asked together are answered by one endpoint.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use alloy::primitives::{Address, B256, Bytes};
use alloy::sol_types::SolCall;
use backon::{BackoffBuilder, ExponentialBuilder};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::agreement::Agreed;
use super::endpoint::{Endpoint, Fault};
use super::exchange::Reply;
use super::health::{Aside, Rest};
use super::request::is_rate_limit;
use super::{Anchor, ChainConfig, Request, RpcError, RpcLimits};

/// The result of a request, as JSON.
pub type Answer = Result<Box<RawValue>, RpcError>;

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
    /// A limit under which nothing could be asked.
    #[error("chains.{chain}.{field} must be at least {least}")]
    Limit {
        /// The chain.
        chain: u64,
        /// The field.
        field: &'static str,
        /// Its smallest value.
        least: u64,
    },
    /// An endpoint of another chain.
    #[error("`chains.{expected}.rpc`: the node at {endpoint} is on chain {found}; give a node of chain {expected}")]
    WrongChain {
        /// The chain, as configured.
        expected: u64,
        /// The endpoint, without credentials.
        endpoint: String,
        /// The chain it is on.
        found: u64,
    },
}

/// A chain's endpoints.
#[derive(Debug)]
pub struct Rpc {
    chain: u64,
    pub(super) endpoints: Vec<Endpoint>,
    batch: usize,
    timeout: Duration,
    pub(super) limits: RpcLimits,
    pub(super) agreed: tokio::sync::Mutex<Agreed>,
}

#[derive(Deserialize)]
struct BlockHash {
    hash: Option<B256>,
}

impl Rpc {
    /// A client for the chain's endpoints. Asks nothing yet: they may be down.
    ///
    /// # Errors
    /// When there is none, one is no URL, or a limit leaves nothing to ask with.
    pub fn new(chain: u64, config: &ChainConfig) -> Result<Self, RpcConfigError> {
        if config.rpc.is_empty() {
            return Err(RpcConfigError::NoEndpoint { chain });
        }
        metrics::counter!("ditto_rpc_pins_outvoted_total", "chain" => chain.to_string()).increment(0);
        let limits = config.limits;
        for (field, least, value) in [
            ("batch", 1, config.batch as u64),
            ("timeout_ms", 1, config.timeout_ms),
            ("limits.batch_bytes", 1, limits.batch_bytes as u64),
            ("limits.queue", 1, limits.queue as u64),
            ("limits.patience_ms", 1, limits.patience_ms),
            ("limits.concurrency", 1, limits.concurrency as u64),
            ("limits.response_bytes", 1_024, limits.response_bytes as u64),
            ("limits.log_blocks", 1, limits.log_blocks),
            ("limits.backoff_ms", 1, limits.backoff_ms),
            ("limits.backoff_max_ms", limits.backoff_ms, limits.backoff_max_ms),
        ] {
            if value < least {
                return Err(RpcConfigError::Limit { chain, field, least });
            }
        }
        let endpoints = config.rpc.iter().enumerate();
        let endpoints = endpoints.map(|(index, url)| Endpoint::new(chain, index, url, config));
        let pace = match limits.requests_per_second {
            0 => usize::MAX,
            requests => requests as usize,
        };
        Ok(Self {
            chain,
            endpoints: endpoints.collect::<Result<_, _>>()?,
            batch: config.batch.min(pace),
            timeout: Duration::from_millis(config.timeout_ms),
            limits,
            agreed: Default::default(),
        })
    }

    /// The chain's EIP-155 id, as configured.
    #[must_use]
    pub fn chain(&self) -> u64 {
        self.chain
    }

    /// The most requests in one batch.
    #[must_use]
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// How many endpoints there are.
    #[must_use]
    pub fn width(&self) -> usize {
        self.endpoints.len()
    }

    /// What the endpoints are spared.
    #[must_use]
    pub fn limits(&self) -> &RpcLimits {
        &self.limits
    }

    /// Makes sure that no endpoint is of another chain. One that does not answer is not one; it is looked at again when it
    /// is first asked something.
    ///
    /// # Errors
    /// Names the endpoint of another chain.
    pub async fn check_chain_ids(&self) -> Result<(), RpcConfigError> {
        let asked = self.endpoints.iter().map(|endpoint| async move { (endpoint, endpoint.chain_id().await) });
        for (endpoint, found) in futures::future::join_all(asked).await {
            match found {
                Ok(found) if found != self.chain => {
                    let endpoint = endpoint.name.clone();
                    return Err(RpcConfigError::WrongChain { expected: self.chain, endpoint, found });
                }
                Ok(_) => {}
                Err(fault) => {
                    let (chain, endpoint) = (self.chain, &endpoint.name);
                    tracing::warn!(chain, endpoint, %fault, "an endpoint does not answer; it is tried again when needed");
                }
            }
        }
        Ok(())
    }

    /// Asks one thing.
    ///
    /// # Errors
    /// When there is no answer, or it is an error.
    pub async fn ask(&self, request: Request) -> Answer {
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
    pub async fn ask_all(&self, requests: Vec<Request>) -> Vec<Answer> {
        // What is of different blocks may have to go to different endpoints.
        let mut by_block: HashMap<Option<B256>, Vec<usize>> = HashMap::new();
        for (index, request) in requests.iter().enumerate() {
            by_block.entry(request.anchor.hash()).or_default().push(index);
        }
        let chunks: Vec<_> = by_block.into_values().flat_map(|indices| self.chunks(&requests, indices)).collect();
        let asked = chunks.into_iter().map(|indices| async {
            let chunk: Vec<_> = indices.iter().filter_map(|index| requests.get(*index)).collect();
            (self.ask_chunk(chunk).await, indices)
        });
        let mut answers: Vec<Option<Answer>> = requests.iter().map(|_| None).collect();
        for (chunk, indices) in futures::future::join_all(asked).await {
            for (answer, index) in chunk.into_iter().zip(indices) {
                if let Some(place) = answers.get_mut(index) {
                    *place = Some(answer);
                }
            }
        }
        answers.into_iter().map(|answer| answer.unwrap_or_else(|| Err(self.shape("no answer")))).collect()
    }

    /// Cuts what is to be asked into batches.
    fn chunks(&self, requests: &[Request], indices: Vec<usize>) -> Vec<Vec<usize>> {
        let (mut chunks, mut chunk, mut bytes) = (Vec::new(), Vec::new(), 0);
        for index in indices {
            let length = requests.get(index).map_or(0, |request| request.params.len());
            if chunk.len() == self.batch || (!chunk.is_empty() && bytes + length > self.limits.batch_bytes) {
                chunks.push(std::mem::take(&mut chunk));
                bytes = 0;
            }
            bytes += length;
            chunk.push(index);
        }
        chunks.push(chunk);
        chunks
    }

    /// Asks what fits one batch and is of one block, of one endpoint after the other.
    async fn ask_chunk(&self, requests: Vec<&Request>) -> Vec<Answer> {
        let block = requests.first().and_then(|request| request.anchor.hash());
        let mut answers: Vec<Option<Answer>> = requests.iter().map(|_| None).collect();
        let mut open: Vec<usize> = (0..requests.len()).collect();
        let mut tried = vec![false; self.endpoints.len()];
        let mut pauses = self.pauses();
        let mut last = None;
        while !open.is_empty() {
            let Some((endpoint, at)) = self.next(block, &tried) else {
                // All were asked. Where one only wants to be asked less, it is asked again, later.
                let spared = self.endpoints.iter().filter_map(|endpoint| endpoint.health().rests(Instant::now()));
                let until = spared.filter(|(why, _)| *why == Rest::Limited).map(|(_, until)| until).min();
                let (Some(until), Some(pause)) = (until, pauses.next()) else { break };
                tokio::time::sleep_until(until.max(Instant::now() + pause).into()).await;
                tried.fill(false);
                continue;
            };
            if let Some(tried) = tried.get_mut(at) {
                *tried = true;
            }
            let asked: Vec<_> = open.iter().filter_map(|index| requests.get(*index).copied()).collect();
            match self.ask_of(endpoint, &asked).await {
                Ok(replies) => {
                    let mut left = Vec::new();
                    for (index, reply) in open.into_iter().zip(replies) {
                        let answer = match reply {
                            // At a block that is there, everything has a value.
                            Reply::Result(result) if block.is_some() && result.get() == "null" => None,
                            Reply::Result(result) => Some(Ok(result)),
                            Reply::Error(error) => Some(Err(RpcError::of(self.chain, &error))),
                            Reply::None => None,
                        };
                        let settled = match &answer {
                            Some(Ok(_) | Err(RpcError::Reverted(_))) => true,
                            Some(Err(_)) => block.is_none(),
                            None => false,
                        };
                        if !settled {
                            left.push(index);
                        }
                        // A node's own words are kept, for when no other knows better.
                        if let (Some(place), Some(answer)) = (answers.get_mut(index), answer)
                            && (settled || place.is_none())
                        {
                            *place = Some(answer);
                        }
                    }
                    open = left;
                }
                Err(Fault::TooLarge) if asked.len() > 1 => {
                    let halves = asked.split_at(asked.len().div_ceil(2));
                    let halves = [halves.0, halves.1].map(|half| Box::pin(self.ask_chunk(half.to_vec())));
                    let halves = futures::future::join_all(halves).await.into_iter().flatten();
                    for (index, answer) in std::mem::take(&mut open).into_iter().zip(halves) {
                        if let Some(place) = answers.get_mut(index) {
                            *place = Some(answer);
                        }
                    }
                }
                Err(fault) => last = Some(fault),
            }
        }
        let missing = self.failure(block, last);
        answers.into_iter().map(|answer| answer.unwrap_or_else(|| Err(missing.clone()))).collect()
    }

    /// Asks one endpoint. When some of it is by number, the endpoint has to show before and after that it has the block
    /// they are anchored to.
    async fn ask_of(&self, endpoint: &Endpoint, requests: &[&Request]) -> Result<Vec<Reply>, Fault> {
        let anchor = requests.iter().find_map(|request| match request.anchor {
            Anchor::Chain(block) => Some(block),
            _ => None,
        });
        let together = requests.iter().all(|request| request.anchor == Anchor::None);
        let mut replies = match anchor {
            None => endpoint.send(requests).await?,
            Some(block) => {
                let guard = Request::block(block.number);
                let mut asked = Vec::with_capacity(requests.len() + 2);
                asked.push(&guard);
                asked.extend(requests);
                asked.push(&guard);
                let mut replies = endpoint.send(&asked).await?;
                let (after, before) = (replies.pop(), (!replies.is_empty()).then(|| replies.remove(0)));
                for shown in [before, after] {
                    let hash = match shown {
                        Some(Reply::Result(shown)) => block_hash(&shown),
                        _ => None,
                    };
                    if hash != Some(block.hash) {
                        let why = if hash.is_some() { Aside::Contradicts } else { Aside::Unknown };
                        endpoint.set_aside(block.hash, why);
                        return Ok(requests.iter().map(|_| Reply::None).collect());
                    }
                }
                replies
            }
        };
        let missing = replies.iter().any(|reply| matches!(reply, Reply::None));
        if missing {
            endpoint.fault(&Fault::Incomplete);
            // What was asked together is answered by one endpoint or by another, not by both.
            if together {
                return Err(Fault::Incomplete);
            }
        }
        let limited = |reply: &&mut Reply| matches!(reply, Reply::Error(error) if is_rate_limit(error));
        let mut spared = replies.iter_mut().filter(limited).peekable();
        if spared.peek().is_some() {
            endpoint.fault(&Fault::Limited(None));
            if together {
                return Err(Fault::Limited(None));
            }
            spared.for_each(|reply| *reply = Reply::None);
        }
        Ok(replies)
    }

    /// The endpoint to ask next: the first that is well, or else the one that has rested longest of those that failed.
    fn next(&self, block: Option<B256>, tried: &[bool]) -> Option<(&Endpoint, usize)> {
        let now = Instant::now();
        let untried = || (0..).zip(&self.endpoints).filter(|(at, _)| !tried.get(*at).is_some_and(|tried| *tried));
        let alone = self.endpoints.len() == 1;
        let usable = |endpoint: &Endpoint| alone || !endpoint.health().is_aside(block, now);
        let well = untried().find(|(_, endpoint)| endpoint.health().rests(now).is_none() && usable(endpoint));
        let failed = || {
            let resting = untried().filter(|(_, endpoint)| block.is_none() || usable(endpoint));
            let resting = resting.filter_map(|(at, endpoint)| {
                let rest = endpoint.health().rests(now);
                match rest {
                    Some((Rest::Limited, _)) => None,
                    Some((Rest::Failed, until)) => Some((until, at, endpoint)),
                    None => Some((now, at, endpoint)),
                }
            });
            resting.min_by_key(|(until, ..)| *until).map(|(_, at, endpoint)| (at, endpoint))
        };
        well.or_else(failed).map(|(at, endpoint)| (endpoint, at))
    }

    fn pauses(&self) -> impl Iterator<Item = Duration> + use<> {
        ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(self.limits.backoff_ms))
            .with_max_delay(Duration::from_millis(self.limits.backoff_max_ms))
            .with_max_times(self.limits.retries)
            .with_jitter()
            .build()
    }

    /// Why a request that nobody answered has no answer.
    fn failure(&self, block: Option<B256>, last: Option<Fault>) -> RpcError {
        match (last, block) {
            (Some(Fault::TooLarge), _) => RpcError::TooLarge { chain: self.chain, limit: self.limits.response_bytes },
            (None, Some(block)) => RpcError::NoBlock { chain: self.chain, block },
            (last, _) => RpcError::Transport {
                chain: self.chain,
                urls: self.endpoints.iter().map(|endpoint| endpoint.name.as_str()).collect::<Vec<_>>().join(", "),
                cause: last.map_or_else(|| "their answers were incomplete".into(), |fault| fault.to_string()),
            },
        }
    }

    /// How long one request may take.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    fn shape(&self, cause: &str) -> RpcError {
        RpcError::shape(self.chain, cause)
    }
}

/// The hash of a block that a node tells; nothing when it does not have it.
pub(super) fn block_hash(block: &RawValue) -> Option<B256> {
    serde_json::from_str::<Option<BlockHash>>(block.get()).ok()??.hash
}
