//! One endpoint: how it is asked, how often, and how it has been doing.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use alloy::primitives::{B256, U64};
use alloy::transports::http::reqwest::{self, StatusCode, header};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use metrics::{Counter, Gauge, Histogram};
use tokio::sync::Semaphore;

use super::exchange::{self, Refusal, Reply};
use super::health::{Aside, Health, Rest};
use super::request::is_rate_limit;
use super::{ChainConfig, Request, RpcConfigError, RpcUrl};

/// Why an endpoint gave no answers.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("{0}")]
    Unreachable(String),
    #[error("it answered HTTP {0}")]
    Status(StatusCode),
    #[error("its answer is no JSON-RPC: {0}")]
    Garbled(String),
    #[error("it refused the batch: {0}")]
    Refused(String),
    #[error("answers are missing, or there were several to one request")]
    Incomplete,
    #[error("its rate limit is reached")]
    Limited(Option<Duration>),
    #[error("its answer is too long")]
    TooLarge,
    #[error("it is on chain {0}")]
    WrongChain(u64),
}

impl Fault {
    const KINDS: [&str; 8] =
        ["unreachable", "status", "garbled", "refused", "incomplete", "limited", "too_large", "wrong_chain"];

    fn kind(&self) -> usize {
        match self {
            Self::Unreachable(_) => 0,
            Self::Status(_) => 1,
            Self::Garbled(_) => 2,
            Self::Refused(_) => 3,
            Self::Incomplete => 4,
            Self::Limited(_) => 5,
            Self::TooLarge => 6,
            Self::WrongChain(_) => 7,
        }
    }
}

/// What is counted of an endpoint, there from its start on.
struct Meters {
    seconds: Histogram,
    requests: Counter,
    failures: [Counter; Fault::KINDS.len()],
    aside: [Counter; Aside::ALL.len()],
    up: Gauge,
}

pub(super) struct Endpoint {
    chain: u64,
    /// Host and port: what is shown of it. The URL may hold credentials.
    pub(super) name: String,
    url: reqwest::Url,
    http: reqwest::Client,
    response_bytes: usize,
    permits: Semaphore,
    /// Requests a second, and who counts them.
    pace: Option<(NonZeroU32, DefaultDirectRateLimiter)>,
    health: Mutex<Health>,
    chain_checked: AtomicBool,
    ids: AtomicU64,
    meters: Meters,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

impl Endpoint {
    pub(super) fn new(chain: u64, index: usize, url: &RpcUrl, config: &ChainConfig) -> Result<Self, RpcConfigError> {
        let wrong = |cause: String| RpcConfigError::Url { chain, index, cause };
        let url: reqwest::Url = url.expose().parse().map_err(|error| wrong(format!("{error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("the scheme must be http or https".into()));
        }
        let http = reqwest::Client::builder()
            .timeout(Duration::from_millis(config.timeout_ms))
            // A redirect would take credentials elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| wrong(error.without_url().to_string()))?;
        let host = url.host_str().unwrap_or("?");
        let name = format!("{host}:{}", url.port_or_known_default().unwrap_or_default());
        // Two entries of one host are told apart by their place in the list.
        let twins = config.rpc.iter().enumerate().any(|(other, entry)| {
            other != index
                && entry.expose().parse::<reqwest::Url>().is_ok_and(|entry| {
                    entry.host_str() == url.host_str() && entry.port_or_known_default() == url.port_or_known_default()
                })
        });
        let name = if twins { format!("{name}#{index}") } else { name };
        let limits = &config.limits;
        let labels = [("chain", chain.to_string()), ("endpoint", name.clone())];
        let counter = |metric: &'static str, key: &'static str, value: &'static str| {
            let mut labels = labels.to_vec();
            labels.push((key, value.to_owned()));
            let counter = metrics::counter!(metric, &labels);
            counter.increment(0);
            counter
        };
        let meters = Meters {
            seconds: metrics::histogram!("ditto_rpc_seconds", &labels),
            requests: metrics::counter!("ditto_rpc_requests_total", &labels),
            failures: Fault::KINDS.map(|kind| counter("ditto_rpc_failures_total", "kind", kind)),
            aside: Aside::ALL.map(|why| counter("ditto_rpc_set_aside_total", "reason", why.label())),
            up: metrics::gauge!("ditto_rpc_endpoint_up", &labels),
        };
        meters.requests.increment(0);
        meters.up.set(0.0);
        Ok(Self {
            chain,
            name,
            url,
            http,
            response_bytes: limits.response_bytes,
            permits: Semaphore::new(limits.concurrency),
            pace: NonZeroU32::new(limits.requests_per_second)
                .map(|requests| (requests, RateLimiter::direct(Quota::per_second(requests)))),
            health: Mutex::new(Health::new(limits)),
            chain_checked: AtomicBool::new(false),
            ids: AtomicU64::new(1),
            meters,
        })
    }

    pub(super) fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks it, when its limits allow, and keeps book on how it does. The replies stand in the order of the requests.
    pub(super) async fn send(&self, requests: &[&Request]) -> Result<Vec<Reply>, Fault> {
        let chain_id = Request { method: "eth_chainId", params: "[]".into(), anchor: Default::default() };
        let mut asked = requests.to_vec();
        // Whoever asks for the chain's id judges for itself.
        let check = !self.chain_checked.load(Ordering::Relaxed)
            && requests.iter().all(|request| request.method != chain_id.method);
        if check {
            asked.push(&chain_id);
        }
        // The semaphore is never closed.
        let _permit = self.permits.acquire().await;
        self.keep_pace(asked.len()).await;
        let began = Instant::now();
        let outcome = self.exchange(&asked).await.and_then(|mut replies| {
            if check {
                self.check_chain(replies.pop())?;
            }
            // A single refused request may be a costly one; the whole batch, and it is asked too much.
            let limited = |reply: &Reply| matches!(reply, Reply::Error(error) if is_rate_limit(error));
            if !replies.is_empty() && replies.iter().all(limited) { Err(Fault::Limited(None)) } else { Ok(replies) }
        });
        self.meters.seconds.record(began.elapsed().as_secs_f64());
        self.meters.requests.increment(asked.len() as u64);
        match &outcome {
            Ok(_) => {
                self.meters.up.set(1.0);
                if self.health().answered() {
                    tracing::info!(chain = self.chain, endpoint = self.name, "an endpoint answers again");
                }
            }
            Err(fault) => self.fault(fault),
        }
        outcome
    }

    /// Books a fault.
    pub(super) fn fault(&self, fault: &Fault) {
        if let Some(counter) = self.meters.failures.get(fault.kind()) {
            counter.increment(1);
        }
        let (rest, asked) = match fault {
            // It works, only not for this much at once.
            Fault::TooLarge => return,
            Fault::Limited(asked) => (Rest::Limited, *asked),
            _ => (Rest::Failed, None),
        };
        if rest == Rest::Failed {
            self.meters.up.set(0.0);
        }
        if self.health().failed(rest, asked, Instant::now()) {
            tracing::warn!(chain = self.chain, endpoint = self.name, %fault, "an endpoint failed; it rests a while");
        }
    }

    /// It is of no use for this block.
    pub(super) fn set_aside(&self, block: B256, why: Aside) {
        let news = self.health().set_aside(block, why, Instant::now());
        if !news {
            return;
        }
        if let Some(counter) = self.meters.aside.get(why as usize) {
            counter.increment(1);
        }
        let (chain, endpoint, why) = (self.chain, &self.name, why.label());
        tracing::warn!(chain, endpoint, %block, why, "an endpoint is set aside: it does not have the pinned block");
    }

    /// The id of the chain it is on.
    pub(super) async fn chain_id(&self) -> Result<u64, Fault> {
        let request = Request { method: "eth_chainId", params: "[]".into(), anchor: Default::default() };
        match self.exchange(&[&request]).await?.pop() {
            Some(Reply::Result(id)) => serde_json::from_str::<U64>(id.get())
                .map(|id| id.to())
                .map_err(|_| Fault::Garbled("eth_chainId is no quantity".into())),
            _ => Err(Fault::Incomplete),
        }
    }

    /// What it says of itself counts only when it says it: an endpoint without `eth_chainId` is not one of another chain.
    fn check_chain(&self, reply: Option<Reply>) -> Result<(), Fault> {
        let Some(Reply::Result(id)) = reply else { return Ok(()) };
        match serde_json::from_str::<U64>(id.get()) {
            Ok(id) if id.to::<u64>() != self.chain => Err(Fault::WrongChain(id.to())),
            _ => {
                self.chain_checked.store(true, Ordering::Relaxed);
                Ok(())
            }
        }
    }

    async fn keep_pace(&self, requests: usize) {
        let Some((most, pace)) = &self.pace else { return };
        let Some(count) = u32::try_from(requests).ok().and_then(NonZeroU32::new) else { return };
        loop {
            // Batches are cut to a second's worth, but checks of chain and block come on top.
            let Ok(Err(early)) = pace.check_n(count.min(*most)) else { return };
            let now = governor::clock::Clock::now(&governor::clock::DefaultClock::default());
            tokio::time::sleep(early.wait_time_from(now)).await;
        }
    }

    async fn exchange(&self, requests: &[&Request]) -> Result<Vec<Reply>, Fault> {
        let first = self.ids.fetch_add(requests.len() as u64, Ordering::Relaxed);
        let body = exchange::body(requests, first).map_err(|error| Fault::Garbled(error.to_string()))?;
        let unreachable = |error: reqwest::Error| {
            use std::error::Error;
            // The error itself says little; what caused it says why.
            let error = error.without_url();
            let cause = std::iter::successors(error.source(), |&error| error.source()).last();
            Fault::Unreachable(cause.map_or(error.to_string(), |cause| format!("{error}: {cause}")))
        };
        let mut response = self
            .http
            .post(self.url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .body(body)
            .send()
            .await
            .map_err(unreachable)?;
        let status = response.status();
        if status == StatusCode::TOO_MANY_REQUESTS {
            let seconds =
                response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            return Err(Fault::Limited(seconds.map(Duration::from_secs)));
        }
        if status == StatusCode::PAYLOAD_TOO_LARGE {
            return Err(Fault::TooLarge);
        }
        let mut answer = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if answer.len() + chunk.len() > self.response_bytes {
                return Err(Fault::TooLarge);
            }
            answer.extend_from_slice(&chunk);
        }
        match exchange::replies(&answer, first, requests.len()) {
            Ok(replies) => Ok(replies),
            // Some answer errors of JSON-RPC with an HTTP status as well; others only the latter.
            Err(Refusal::Garbled(_)) if !status.is_success() => Err(Fault::Status(status)),
            Err(Refusal::Garbled(cause)) => Err(Fault::Garbled(cause.chars().take(200).collect())),
            Err(Refusal::Error(error)) if is_rate_limit(&error) => Err(Fault::Limited(None)),
            Err(Refusal::Error(error)) => {
                Err(Fault::Refused(format!("{} {}", error.code, error.message).chars().take(200).collect()))
            }
        }
    }
}
