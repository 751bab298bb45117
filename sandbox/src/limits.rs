//! What a run may use, and how many run at once. Every number carries its unit in its name or its comment.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Raised whenever a default below changes: the defaults are part of the engine id, because two operators with other
/// limits may disagree about a run that touches one.
pub(crate) const DEFAULTS_VERSION: u32 = 1;

/// What one run may use. The values of [`SandboxConfig::limits`] are ceilings: a job may ask for less, never for more
/// (except for wall-clock time, see [`Limits::times`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Wall-clock time from the moment the child has its job, in milliseconds. Waiting for reads counts.
    pub wall_ms: u64,
    /// JavaScript heap, in bytes (the engine and the SDK themselves take about 4 MiB of it).
    pub memory_bytes: u64,
    /// Chain reads in one run.
    pub reads: u32,
    /// One read's method and parameters together, in bytes.
    pub read_request_bytes: u32,
    /// One read's answer, in bytes of JSON. A longer one fails the read.
    pub read_answer_bytes: u32,
    /// The returned calls, in bytes: 52 a call (address and value), plus its calldata.
    pub output_bytes: u32,
    /// The published source, in bytes of UTF-8.
    pub code_bytes: u32,
    /// Nesting of brackets in the source, and an eighth of the tokens in a row that no comma or semicolon interrupts: what
    /// nests without brackets nests in those.
    pub code_nesting: u32,
    /// Lines that `ctx.log` keeps; further ones are dropped.
    pub log_lines: u32,
    /// One such line, in bytes; longer ones are cut.
    pub log_line_bytes: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            wall_ms: 1_000,
            memory_bytes: 64 << 20,
            reads: 64,
            read_request_bytes: 64 << 10,
            read_answer_bytes: 1 << 20,
            output_bytes: 128 << 10,
            code_bytes: 512 << 10,
            code_nesting: 256,
            log_lines: 64,
            log_line_bytes: 1_024,
        }
    }
}

impl Limits {
    /// The same limits with `factor` times the wall clock. Attesters give a run more time than performers do, so that a
    /// slower machine does not become a disagreement.
    pub fn times(&self, factor: u32) -> Limits {
        Limits { wall_ms: self.wall_ms.saturating_mul(u64::from(factor)), ..self.clone() }
    }

    /// No value above the ceiling's, except the wall clock.
    pub(crate) fn within(&self, ceiling: &Limits) -> Limits {
        Limits {
            wall_ms: self.wall_ms,
            memory_bytes: self.memory_bytes.min(ceiling.memory_bytes),
            reads: self.reads.min(ceiling.reads),
            read_request_bytes: self.read_request_bytes.min(ceiling.read_request_bytes),
            read_answer_bytes: self.read_answer_bytes.min(ceiling.read_answer_bytes),
            output_bytes: self.output_bytes.min(ceiling.output_bytes),
            code_bytes: self.code_bytes.min(ceiling.code_bytes),
            code_nesting: self.code_nesting.min(ceiling.code_nesting),
            log_lines: self.log_lines.min(ceiling.log_lines),
            log_line_bytes: self.log_line_bytes.min(ceiling.log_line_bytes),
        }
    }
}

/// How many zygotes and children run, and the ceiling of what each may use.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SandboxConfig {
    /// Worker threads, each with a zygote of its own. Default: the machine's cores.
    pub workers: usize,
    /// Children alive at once on one worker; most of them wait for reads.
    pub children_per_worker: usize,
    /// Children that compute at once on one worker. A run that waits for a read does not count. More of them share the
    /// core, so each needs longer by its wall clock.
    pub running_per_worker: usize,
    /// Jobs waiting for a worker, over all workers. A full queue answers [`crate::Busy`].
    pub queue: usize,
    /// Longest wait for a zygote to load the engine or to fork, in milliseconds; after it the zygote is replaced.
    pub zygote_patience_ms: u64,
    /// First pause before a dead zygote is replaced, in milliseconds; doubles with every failure in a row, to 5 s.
    pub zygote_backoff_ms: u64,
    /// Ceiling of what one run may use.
    pub limits: Limits,
    /// The executable to run as a zygote: one that calls [`crate::enter_if_zygote`] first thing in `main`. Default: this
    /// very executable. Tests name a small helper here.
    pub program: Option<PathBuf>,
}

impl Default for SandboxConfig {
    fn default() -> Self {
        SandboxConfig {
            workers: std::thread::available_parallelism().map_or(2, |n| n.get()),
            children_per_worker: 64,
            running_per_worker: 2,
            queue: 1_024,
            zygote_patience_ms: 10_000,
            zygote_backoff_ms: 50,
            limits: Limits::default(),
            program: None,
        }
    }
}
