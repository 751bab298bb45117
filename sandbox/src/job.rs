//! What goes into a run: the code, its input, and whoever answers its reads.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::limits::Limits;

/// What the workflow sees as `ctx`, besides its reads. All of it is part of the run's identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// `ctx.workflow`: the workflow's id, decimal.
    pub workflow: String,
    /// `ctx.occurrence`: the number of this occurrence, decimal; reaches JavaScript as a bigint.
    pub occurrence: String,
    /// `ctx.account`: the smart account, a 0x address.
    pub account: String,
    /// `ctx.slot`; reaches JavaScript as a bigint.
    pub slot: u64,
    /// `ctx.timestamp` and the only time that `Date` knows, in milliseconds since 1970.
    pub timestamp_ms: u64,
    /// Seeds `Math.random`.
    pub seed: [u8; 32],
    /// `ctx.args`: a JSON object.
    pub args_json: String,
    /// The chains that `ctx.chain` accepts.
    pub chains: Vec<u64>,
}

/// One run to make.
#[derive(Clone, Debug)]
pub struct Job {
    /// The published TypeScript, UTF-8.
    pub code: Arc<[u8]>,
    pub input: Input,
    /// May be stricter than the sandbox's; what is looser is lowered to the sandbox's ceiling, except the wall clock.
    pub limits: Limits,
}

/// One chain read that a run asks for. `method` and `params` were written by a stranger: check the method against an
/// allow-list and parse the parameters before they go anywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadRequest {
    pub chain_id: u64,
    /// A JSON-RPC method, for example `eth_call`.
    pub method: String,
    /// A JSON array without a block tag (whoever answers pins the block), written canonically: no spaces, keys in a
    /// fixed order, lower-case hex. Equal reads are equal strings.
    pub params: String,
}

/// What became of a read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadAnswer {
    /// The result, as JSON.
    Ok(String),
    /// The call reverted with this data; the workflow sees an exception it may catch.
    Reverted(Vec<u8>),
    /// Trouble of ours (no node, no answer): ends the run as `ReadFailed`, unless it ends before it needs this answer.
    Failed,
}

/// Answers reads.
pub trait Reads: Send + Sync + 'static {
    /// Must return at once: it is called on the thread that serves all other children of the worker. `reply` may be used
    /// from any thread, any time later; after the run has ended it does nothing.
    fn read(&self, request: ReadRequest, reply: ReadReply);
}

/// Takes the answer of one read. Dropping it unanswered answers `Failed`.
pub struct ReadReply {
    deliver: Option<Box<dyn FnOnce(ReadAnswer) + Send>>,
}

impl ReadReply {
    /// `deliver` is called once, with the answer. For whoever stands between a run and its answers, to look at them.
    pub fn new(deliver: impl FnOnce(ReadAnswer) + Send + 'static) -> Self {
        ReadReply { deliver: Some(Box::new(deliver)) }
    }

    pub fn answer(mut self, answer: ReadAnswer) {
        if let Some(deliver) = self.deliver.take() {
            deliver(answer);
        }
    }
}

impl Drop for ReadReply {
    fn drop(&mut self) {
        if let Some(deliver) = self.deliver.take() {
            deliver(ReadAnswer::Failed);
        }
    }
}

impl std::fmt::Debug for ReadReply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReadReply")
    }
}
