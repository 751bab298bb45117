//! What a run came to, as `run --json` prints it and as [`super::show`] shows it.

use std::ops::Range;

use alloy::primitives::{Address, B256, Bytes, U256};
use ditto_sandbox::{Limits, Outcome, ReadAnswer};
use serde::Serialize;
use serde_json::Value;

use super::known::Known;
use super::nodes::Block;
use super::recorder::Noted;

/// A run.
#[derive(Debug, Serialize)]
pub struct RunReport {
    /// The workflow's name.
    pub workflow: String,
    /// keccak256 of the code that ran, or of the declared calls as they are published.
    pub code_hash: B256,
    /// Whether the calls are declared, so that no script ran.
    pub declared: bool,
    /// Which engine ran it; operators with another one come to other proofs.
    pub engine_id: B256,
    /// What the chains were read at.
    pub blocks: Vec<ChainBlock>,
    /// `ctx.slot`; 0 when the manifest has no `[network]`.
    pub slot: u64,
    /// `ctx.timestamp`.
    pub timestamp_ms: u64,
    /// The ending's name, such as `calls`, `nothing_to_do`, `timed_out`.
    pub outcome: &'static str,
    /// What happened and what to do, when it was not what a run is for.
    pub problem: Option<Problem>,
    /// What the account shall do.
    pub calls: Vec<CallReport>,
    /// What was read, in the order of asking.
    pub reads: Vec<ReadReport>,
    /// What the run logged.
    pub logs: Vec<String>,
    /// What it used.
    pub used: Used,
    /// What it might have used.
    pub limits: Limits,
    /// What the policy says to the calls.
    pub policy: Option<Verdict>,
    /// What the chain says to them.
    pub trial: Option<Trial>,
}

/// A chain and the block it was read at.
#[derive(Debug, Serialize)]
pub struct ChainBlock {
    /// EIP-155 id.
    pub chain: u64,
    /// The block.
    #[serde(flatten)]
    pub block: Block,
}

/// What went wrong.
#[derive(Debug, Serialize)]
pub struct Problem {
    /// What happened.
    pub message: String,
    /// Where in the author's file, from 1.
    pub line: Option<u32>,
    /// Which part of the line, in characters from 0: the first one, and the one after the last.
    pub columns: Option<Range<usize>>,
    /// What to do.
    pub advice: String,
}

/// A call.
#[derive(Debug, Serialize)]
pub struct CallReport {
    /// Who is called.
    pub to: Address,
    /// Wei.
    pub value: U256,
    /// Calldata.
    pub data: Bytes,
    /// The call in words, where the function is known.
    pub decoded: Option<String>,
}

/// A read.
#[derive(Debug, Serialize)]
pub struct ReadReport {
    /// EIP-155 id.
    pub chain: u64,
    /// JSON-RPC method.
    pub method: String,
    /// Its parameters.
    pub params: Value,
    /// The call in words, where the function is known.
    pub decoded: Option<String>,
    /// `ok`, `reverted`, `failed`, or `unanswered` when the run ended before.
    pub status: &'static str,
    /// The result, or revert data.
    pub answer: Value,
    /// The answer in words.
    pub answer_decoded: Option<String>,
    /// How long it took.
    pub milliseconds: f64,
}

/// What a run used.
#[derive(Debug, Default, Serialize)]
pub struct Used {
    /// From its start to its end, reads included.
    pub wall_ms: f64,
    /// Of the processor.
    pub cpu_ms: f64,
    /// The largest resident set of the run's process, most of it shared with its template.
    pub peak_memory_bytes: u64,
    /// Reads.
    pub reads: usize,
    /// The returned calls: 52 bytes each, and their data.
    pub output_bytes: usize,
    /// The code.
    pub code_bytes: usize,
    /// Lines of log.
    pub log_lines: usize,
}

/// What the policy says.
#[derive(Debug, Serialize)]
pub struct Verdict {
    /// Whether operators would let the calls pass.
    pub allowed: bool,
    /// Why not.
    pub breach: Option<String>,
    /// What would allow it, for workflow.toml.
    pub fix: Option<String>,
}

/// What the chain says.
#[derive(Debug, Serialize)]
pub struct Trial {
    /// Whether the calls work; nothing when they could not be tried.
    pub works: Option<bool>,
    /// What they burn.
    pub gas: Option<u64>,
    /// How they were tried, and why they fail or could not be tried.
    pub explanation: String,
}

impl RunReport {
    /// Whether operators would go on with what this run came to.
    #[must_use]
    pub fn good(&self) -> bool {
        self.problem.is_none()
            && self.policy.as_ref().is_none_or(|verdict| verdict.allowed)
            && self.trial.as_ref().is_none_or(|trial| trial.works != Some(false))
    }
}

/// The calls of an outcome.
#[must_use]
pub fn calls(outcome: &Outcome, known: &Known) -> Vec<CallReport> {
    let Outcome::Calls(calls) = outcome else { return Vec::new() };
    of_calls(calls, known)
}

/// Calls, in words where they are known.
#[must_use]
pub fn of_calls(calls: &[ditto_sandbox::Call], known: &Known) -> Vec<CallReport> {
    let report = |call: &ditto_sandbox::Call| CallReport {
        to: call.to.into(),
        value: U256::from_be_bytes(call.value),
        data: call.data.clone().into(),
        decoded: known.call(&call.data),
    };
    calls.iter().map(report).collect()
}

/// A read, in words where they are known.
#[must_use]
pub fn read(noted: &Noted, known: &Known) -> ReadReport {
    let params: Value = serde_json::from_str(&noted.request.params).unwrap_or(Value::Null);
    let called = params.get(0).and_then(|call| call.get("data")).and_then(Value::as_str);
    let called: Option<Bytes> = called.and_then(|data| data.parse().ok());
    let decoded = called.as_ref().and_then(|data| known.call(data));
    let (status, answer, answer_decoded) = match &noted.answer {
        Some(ReadAnswer::Ok(json)) => {
            let answer: Value = serde_json::from_str(json).unwrap_or(Value::Null);
            let returned: Option<Bytes> = answer.as_str().and_then(|text| text.parse().ok());
            let words = called.as_ref().zip(returned).and_then(|(call, returned)| known.answer(call, &returned));
            ("ok", answer, words)
        }
        Some(ReadAnswer::Reverted(data)) => {
            ("reverted", Value::String(alloy::hex::encode_prefixed(data)), Some(known.revert(data)))
        }
        Some(ReadAnswer::Failed) => ("failed", Value::Null, None),
        None => ("unanswered", Value::Null, None),
    };
    let (chain, method) = (noted.request.chain_id, noted.request.method.clone());
    let milliseconds = noted.took.as_secs_f64() * 1_000.0;
    ReadReport { chain, method, params, decoded, status, answer, answer_decoded, milliseconds }
}
