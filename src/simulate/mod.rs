//! Simulate: every due occurrence runs in the sandbox, at the slot's pins.
//!
//! The stage only waits: the sandbox's workers fork, watch and kill. What a run came to goes on to be built into an
//! operation; what it came to instead (nothing, an error, trouble) goes on as well, because an attester needs to know.

mod answer;
mod config;
pub mod prefetch;
mod reads;

use std::sync::Arc;

use alloy::primitives::{B256, keccak256};
use ditto_core::stage::{Deadline, Handler, Outbox, Outcome};
use ditto_sandbox::{Input, Job, ReadRequest, Report, Sandbox};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

pub use config::ReadsConfig;
pub use reads::{ReadCache, Reader, SlotReads};

use crate::board::Board;
use crate::document::declared_calls;
use crate::history::Event;
use crate::slot::Due;

/// An attester's limits are this much wider in wall-clock time: slow hardware is not a verdict.
const ATTESTER_PATIENCE: u32 = 3;

/// A run that ended.
#[derive(Debug)]
pub struct Simulated {
    /// What ran.
    pub due: Due,
    /// How it ended.
    pub outcome: ditto_sandbox::Outcome,
    /// Hash of the reads and their answers.
    pub reads: B256,
}

/// The stage.
pub struct Simulate {
    /// The sandbox.
    pub sandbox: Sandbox,
    /// Recent slots.
    pub board: Arc<Board>,
    /// Where ended runs go.
    pub build: Outbox<Simulated>,
}

impl Handler for Simulate {
    type Item = Due;
    const OUTCOMES: &'static [Outcome] = &[
        "calls",
        "nothing_to_do",
        "threw",
        "timed_out",
        "out_of_memory",
        "too_many_reads",
        "output_too_large",
        "code_too_large",
        "forbidden_import",
        "unsupported_chain",
        "read_failed",
        "bad_output",
        "crashed",
        "busy",
    ];

    async fn handle(&self, due: Due, _deadline: Deadline) -> Outcome {
        if let Some(outcome) = declared(&due.code) {
            let kind = outcome.kind();
            metrics::counter!("ditto_operator_simulations_total", "outcome" => kind).increment(1);
            self.board.note(due.context.slot, |counts| counts.simulated += 1);
            self.pass_on(Simulated { due, outcome, reads: hash_reads(&[]) }).await;
            return kind;
        }
        let patience = if due.context.own_rank == Some(0) { 1 } else { ATTESTER_PATIENCE };
        let mut limits = self.sandbox.limits_of(&due.workflow.id.to_string()).times(patience);
        // A run whose slot is over helps nobody, and would take the next slot's place.
        let left =
            due.context.end.remaining().map_or(u64::MAX, |left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
        limits.wall_ms = limits.wall_ms.min(left.max(1));
        let job = Job { code: due.code.clone(), input: input(&due), limits };
        let reader = Arc::new(Reader { reads: due.context.reads.clone(), runtime: Handle::current() });
        let (done, ended) = oneshot::channel();
        // Whoever waited has gone only when the stage was stopped.
        let submitted = self.sandbox.submit(job, reader, Box::new(move |report| drop(done.send(report))));
        let ended: Result<Report, Outcome> = match submitted {
            Ok(()) => ended.await.map_err(|_| "crashed"),
            Err(_) => Err("busy"),
        };
        let report = match ended {
            Ok(report) => report,
            // No run: the trouble is this machine's, and whoever waits for the finding is told so.
            Err(kind) => {
                tracing::warn!(slot = due.context.slot, occurrence = %due.occurrence, kind, "no run");
                self.pass_on(Simulated { due, outcome: ditto_sandbox::Outcome::Crashed, reads: B256::ZERO }).await;
                return kind;
            }
        };
        let kind = report.outcome.kind();
        self.board.tell(due.occurrence, due.context.slot, || Event::Simulated {
            outcome: kind.to_owned(),
            detail: detail(&report.outcome),
            wall_ms: u64::try_from(report.wall.as_millis()).unwrap_or(u64::MAX),
            reads: report.reads.len(),
            memory_bytes: report.peak_memory_bytes,
        });
        metrics::counter!("ditto_operator_simulations_total", "outcome" => kind).increment(1);
        metrics::histogram!("ditto_operator_simulation_seconds").record(report.wall.as_secs_f64());
        metrics::histogram!("ditto_operator_simulation_memory_bytes").record(report.peak_memory_bytes as f64);
        self.board.note(due.context.slot, |counts| counts.simulated += 1);
        if !matches!(report.outcome, ditto_sandbox::Outcome::Calls(_) | ditto_sandbox::Outcome::NothingToDo) {
            tracing::info!(slot = due.context.slot, occurrence = %due.occurrence, outcome = ?report.outcome, "a run failed");
        }
        let reads = hash_reads(&report.reads);
        self.pass_on(Simulated { due, outcome: report.outcome, reads }).await;
        kind
    }
}

impl Simulate {
    async fn pass_on(&self, simulated: Simulated) {
        let deadline = simulated.due.context.end;
        self.build.offer(simulated, deadline).await;
    }
}

/// What an outcome says beyond its kind.
fn detail(outcome: &ditto_sandbox::Outcome) -> String {
    match outcome {
        ditto_sandbox::Outcome::Calls(calls) => format!("{} calls", calls.len()),
        ditto_sandbox::Outcome::Threw { message, line: Some(line) } => format!("{message} (line {line})"),
        ditto_sandbox::Outcome::Threw { message, line: None } | ditto_sandbox::Outcome::BadOutput { message } => {
            message.clone()
        }
        ditto_sandbox::Outcome::ForbiddenImport { specifier } => specifier.clone(),
        ditto_sandbox::Outcome::UnsupportedChain { id } => id.to_string(),
        _ => String::new(),
    }
}

/// What declared calls come to, which need no run; `None` for a script.
fn declared(code: &[u8]) -> Option<ditto_sandbox::Outcome> {
    Some(match declared_calls(code)? {
        Ok(calls) => ditto_sandbox::Outcome::Calls(calls),
        Err(error) => ditto_sandbox::Outcome::BadOutput { message: error.to_string() },
    })
}

fn input(due: &Due) -> Input {
    Input {
        workflow: due.workflow.id.to_string(),
        occurrence: due.occurrence.number().to_string(),
        account: due.workflow.account.to_string(),
        slot: due.occurrence.slot,
        timestamp_ms: due.context.start_seconds.saturating_mul(1_000),
        seed: due.context.seed(due.workflow.id).0,
        args_json: due.workflow.args.clone(),
        chains: due.context.reads.chain_ids(),
    }
}

/// keccak256 over the reads in the order of asking: chain, method, parameters (each with its length) and answer hash.
fn hash_reads(reads: &[(ReadRequest, [u8; 32])]) -> B256 {
    let mut bytes = Vec::with_capacity(reads.len() * 128);
    for (request, answer) in reads {
        bytes.extend_from_slice(&request.chain_id.to_be_bytes());
        for text in [&request.method, &request.params] {
            bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes.extend_from_slice(answer);
    }
    keccak256(bytes)
}
