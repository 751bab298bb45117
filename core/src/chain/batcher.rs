//! Many askers, few requests: what is asked of a chain within a moment goes to its node as one JSON-RPC batch.
//!
//! A request in a batch means exactly what it would mean alone. The queue is bounded, and so are the batches under way;
//! an asker waits for room.

use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes};
use alloy::sol_types::SolCall;
use serde_json::value::RawValue;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::{Request, Rpc, RpcError};

/// How long the first asker waits for others to share its batch: far below a node's own latency.
const WINDOW: Duration = Duration::from_millis(1);
/// Requests that may wait for a batch.
const QUEUE: usize = 4_096;
/// Batches under way at once; nodes answer a batch serially, so a few keep one busy.
const IN_FLIGHT: usize = 8;

/// The gas of every call: a block's worth, below what nodes allow.
pub const CALL_GAS: &str = "0x1c9c380";

type Answer = Result<Box<RawValue>, RpcError>;

/// A chain's batcher. Cheap to clone; it ends when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Batcher {
    rpc: Arc<Rpc>,
    queue: mpsc::Sender<(Request, oneshot::Sender<Answer>)>,
}

impl Batcher {
    /// Starts batching for this chain. Needs a tokio runtime around it.
    #[must_use]
    pub fn start(rpc: Arc<Rpc>, batch: usize) -> Self {
        let (queue, mut waiting) = mpsc::channel::<(Request, oneshot::Sender<Answer>)>(QUEUE);
        let sender = rpc.clone();
        tokio::spawn(async move {
            let permits = Arc::new(Semaphore::new(IN_FLIGHT));
            let mut gathered = Vec::with_capacity(batch);
            while waiting.recv_many(&mut gathered, batch).await > 0 {
                tokio::time::sleep(WINDOW).await;
                while gathered.len() < batch {
                    let Ok(more) = waiting.try_recv() else { break };
                    gathered.push(more);
                }
                let (requests, askers): (Vec<_>, Vec<_>) = gathered.drain(..).unzip();
                // The semaphore is never closed.
                let Ok(permit) = permits.clone().acquire_owned().await else { return };
                let rpc = sender.clone();
                tokio::spawn(async move {
                    metrics::histogram!("ditto_rpc_batch_requests").record(requests.len() as f64);
                    for (answer, asker) in rpc.ask_all(requests).await.into_iter().zip(askers) {
                        // An asker that gave up needs no answer.
                        drop(asker.send(answer));
                    }
                    drop(permit);
                });
            }
        });
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
        let ended = || RpcError::Shape { chain: self.rpc.chain(), cause: "the batcher has ended".into() };
        self.queue.send((request, asker)).await.map_err(|_| ended())?;
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
        let shape = |cause: String| RpcError::Shape { chain: self.rpc.chain(), cause };
        let answer = self.ask(Request { method: "eth_call", params: params.to_string() }).await?;
        let returned: Bytes = serde_json::from_str(answer.get()).map_err(|error| shape(error.to_string()))?;
        C::abi_decode_returns(&returned)
            .map_err(|error| shape(format!("{} of {to} returned {} bytes: {error}", C::SIGNATURE, returned.len())))
    }
}
