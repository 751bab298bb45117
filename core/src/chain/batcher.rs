//! Many askers, few requests: what is asked of a chain within a moment goes to its node as one JSON-RPC batch.
//!
//! A request in a batch means exactly what it would mean alone. The queue is bounded, and so are the batches under way;
//! an asker waits for room. What nobody waits for any more is not asked, nor what has waited too long.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy::primitives::{Address, B256, Bytes};
use alloy::sol_types::SolCall;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::{Anchor, Answer, Request, Rpc, RpcError};

/// The gas of every call: a block's worth, below what nodes allow.
pub const CALL_GAS: &str = "0x1c9c380";

/// How long requests wait for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gathering {
    /// A batch goes when nothing more was asked for this long,
    pub quiet: Duration,
    /// and at the latest this long after its first request.
    pub longest: Duration,
}

/// A request, when it was made, and who made it.
struct Waiting {
    request: Request,
    since: Instant,
    asker: oneshot::Sender<Answer>,
}

/// A chain's batcher. Cheap to clone; it ends when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Batcher {
    rpc: Arc<Rpc>,
    queue: mpsc::Sender<Waiting>,
}

impl Batcher {
    /// Starts batching for this chain, at most `batch` requests at once and no more than the chain's configuration allows.
    /// Needs a tokio runtime around it.
    #[must_use]
    pub fn start(rpc: Arc<Rpc>, batch: usize) -> Self {
        let window = Duration::from_micros(rpc.limits().batch_wait_us);
        Self::gathering(rpc, batch, Gathering { quiet: window, longest: window })
    }

    /// The same for an asker whose requests come in bursts and can wait a little for each other.
    #[must_use]
    pub fn gathering(rpc: Arc<Rpc>, batch: usize, gathering: Gathering) -> Self {
        let (queue, waiting) = mpsc::channel(rpc.limits().queue);
        tokio::spawn(gather(rpc.clone(), batch.clamp(1, rpc.batch()), gathering, waiting));
        Self { rpc, queue }
    }

    /// The chain's nodes, for what does not batch.
    #[must_use]
    pub fn rpc(&self) -> &Arc<Rpc> {
        &self.rpc
    }

    /// Asks one thing, in a batch with whatever else is asked now.
    ///
    /// # Errors
    /// As [`Rpc::ask`].
    pub async fn ask(&self, request: Request) -> Answer {
        let (asker, answer) = oneshot::channel();
        let ended = || RpcError::shape(self.rpc.chain(), "the batcher has ended");
        let waiting = Waiting { request, since: Instant::now(), asker };
        self.queue.send(waiting).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }

    /// Calls a contract at a block, from nobody and with a fixed gas, so that no provider's defaults show; with other code
    /// at `to` where some is given (`eth_call`'s state override).
    ///
    /// # Errors
    /// As [`Rpc::call`].
    pub async fn call<C: SolCall>(
        &self,
        to: Address,
        call: &C,
        block: B256,
        code_at_to: Option<&Bytes>,
    ) -> Result<C::Return, RpcError> {
        let mut params = serde_json::json!([
            { "from": Address::ZERO, "to": to, "data": alloy::hex::encode_prefixed(call.abi_encode()), "gas": CALL_GAS },
            super::at(block),
        ]);
        if let (Some(code), Some(list)) = (code_at_to, params.as_array_mut()) {
            list.push(serde_json::json!({ to.to_string(): { "code": code } }));
        }
        let shape = |cause: String| RpcError::shape(self.rpc.chain(), cause);
        let answer = self.ask(Request::new("eth_call", &params).anchored(Anchor::Hash(block))).await?;
        let returned: Bytes = serde_json::from_str(answer.get()).map_err(|error| shape(error.to_string()))?;
        C::abi_decode_returns(&returned)
            .map_err(|error| shape(format!("{} of {to} returned {} bytes: {error}", C::SIGNATURE, returned.len())))
    }
}

/// Requests of one block, and who waits for each.
type Together = (Vec<Request>, Vec<oneshot::Sender<Answer>>);

/// Gathers batches until every clone of the batcher is gone.
async fn gather(rpc: Arc<Rpc>, batch: usize, gathering: Gathering, mut queue: mpsc::Receiver<Waiting>) {
    let limits = *rpc.limits();
    let patience = Duration::from_millis(limits.patience_ms);
    let permits = Arc::new(Semaphore::new(limits.concurrency.saturating_mul(rpc.width())));
    let mut gathered = Vec::with_capacity(batch);
    while queue.recv_many(&mut gathered, batch).await > 0 {
        let first = tokio::time::Instant::now();
        while gathered.len() < batch {
            let until = (tokio::time::Instant::now() + gathering.quiet).min(first + gathering.longest);
            let room = batch - gathered.len();
            // Nothing more comes in time, or ever.
            let Ok(1..) = tokio::time::timeout_at(until, queue.recv_many(&mut gathered, room)).await else { break };
        }
        // What is of different blocks may go to different endpoints, and must not wait for each other.
        let mut by_block: BTreeMap<Option<B256>, Together> = BTreeMap::new();
        for waiting in gathered.drain(..) {
            if waiting.asker.is_closed() {
                continue;
            }
            if waiting.since.elapsed() > patience {
                // Whoever gave up meanwhile needs no answer.
                drop(waiting.asker.send(Err(RpcError::Late { chain: rpc.chain() })));
                continue;
            }
            let (requests, askers) = by_block.entry(waiting.request.anchor.hash()).or_default();
            requests.push(waiting.request);
            askers.push(waiting.asker);
        }
        for (requests, askers) in by_block.into_values() {
            // The semaphore is never closed.
            let Ok(permit) = permits.clone().acquire_owned().await else { return };
            let rpc = rpc.clone();
            tokio::spawn(async move {
                metrics::histogram!("ditto_rpc_batch_requests").record(requests.len() as f64);
                for (answer, asker) in rpc.ask_all(requests).await.into_iter().zip(askers) {
                    drop(asker.send(answer));
                }
                drop(permit);
            });
        }
    }
}
