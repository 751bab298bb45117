//! What a run may use, and how many run at once. Every number carries its unit in its name or its comment.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

/// What one run may use. The values of [`SandboxConfig::limits`] are ceilings: a job may ask for less, never for more. Only
/// the wall clock has a ceiling of its own ([`SandboxConfig::longest_wall_ms`]), see [`Limits::times`].
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

    /// The stricter of both, value by value.
    pub fn within(&self, ceiling: &Limits) -> Limits {
        Limits {
            wall_ms: self.wall_ms.min(ceiling.wall_ms),
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

/// Stricter limits of one workflow: what is given replaces the general value where it is smaller. A value that is larger
/// changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StricterLimits {
    /// In milliseconds; like the general one it is the performer's, and attesters take a multiple.
    pub wall_ms: Option<u64>,
    /// In bytes.
    pub memory_bytes: Option<u64>,
    pub reads: Option<u32>,
    /// In bytes.
    pub read_request_bytes: Option<u32>,
    /// In bytes.
    pub read_answer_bytes: Option<u32>,
    /// In bytes.
    pub output_bytes: Option<u32>,
    /// In bytes.
    pub code_bytes: Option<u32>,
    pub code_nesting: Option<u32>,
    pub log_lines: Option<u32>,
    /// In bytes.
    pub log_line_bytes: Option<u32>,
}

impl StricterLimits {
    fn over(&self, general: &Limits) -> Limits {
        Limits {
            wall_ms: self.wall_ms.unwrap_or(u64::MAX),
            memory_bytes: self.memory_bytes.unwrap_or(u64::MAX),
            reads: self.reads.unwrap_or(u32::MAX),
            read_request_bytes: self.read_request_bytes.unwrap_or(u32::MAX),
            read_answer_bytes: self.read_answer_bytes.unwrap_or(u32::MAX),
            output_bytes: self.output_bytes.unwrap_or(u32::MAX),
            code_bytes: self.code_bytes.unwrap_or(u32::MAX),
            code_nesting: self.code_nesting.unwrap_or(u32::MAX),
            log_lines: self.log_lines.unwrap_or(u32::MAX),
            log_line_bytes: self.log_line_bytes.unwrap_or(u32::MAX),
        }
        .within(general)
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
    /// Memory that the templates of all workers together may hold besides what they share with their zygotes, in bytes. A
    /// template is a process that has compiled a workflow, so that further runs need not; the least recently used ones go
    /// first. One takes about 1 MiB on each worker. Under 4 MiB a worker there are none.
    pub templates_bytes: u64,
    /// Ceiling of what one run may use.
    pub limits: Limits,
    /// The longest wall-clock time that a job may ask for, in milliseconds: attesters ask for a multiple of
    /// `limits.wall_ms`.
    pub longest_wall_ms: u64,
    /// Stricter limits of single workflows, by their id (decimal). Operators that set other values than their peers may
    /// disagree with them about a run that touches one.
    pub stricter: BTreeMap<String, StricterLimits>,
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
            templates_bytes: 256 << 20,
            limits: Limits::default(),
            longest_wall_ms: 30_000,
            stricter: BTreeMap::new(),
            program: None,
        }
    }
}

impl SandboxConfig {
    /// What a run of this workflow may use: the general limits, or what is stricter for it.
    pub fn limits_of(&self, workflow: &str) -> Limits {
        self.stricter.get(workflow).map_or_else(|| self.limits.clone(), |stricter| stricter.over(&self.limits))
    }

    /// What a job gets of what it asks: never more than the general limits.
    pub(crate) fn ceiling_of(&self, asked: &Limits) -> Limits {
        asked.within(&Limits { wall_ms: self.longest_wall_ms, ..self.limits.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workflow_may_have_less_and_never_more() {
        let one =
            StricterLimits { reads: Some(4), memory_bytes: Some(1 << 40), wall_ms: Some(200), ..Default::default() };
        let config = SandboxConfig { stricter: BTreeMap::from([("7".into(), one)]), ..SandboxConfig::default() };
        let general = Limits::default();
        assert_eq!(config.limits_of("8"), general);
        assert_eq!(config.limits_of("7"), Limits { reads: 4, wall_ms: 200, ..general.clone() });
        assert_eq!(config.limits_of("7").times(3).wall_ms, 600);
    }

    #[test]
    fn a_job_gets_no_more_than_the_sandbox_gives() {
        let config = SandboxConfig::default();
        let least = Limits {
            wall_ms: 1,
            memory_bytes: 1,
            reads: 1,
            read_request_bytes: 1,
            read_answer_bytes: 1,
            output_bytes: 1,
            code_bytes: 1,
            code_nesting: 1,
            log_lines: 1,
            log_line_bytes: 1,
        };
        assert_eq!(config.ceiling_of(&least), least);
        let most = StricterLimits::default().over(&Limits {
            wall_ms: u64::MAX,
            memory_bytes: u64::MAX,
            reads: u32::MAX,
            read_request_bytes: u32::MAX,
            read_answer_bytes: u32::MAX,
            output_bytes: u32::MAX,
            code_bytes: u32::MAX,
            code_nesting: u32::MAX,
            log_lines: u32::MAX,
            log_line_bytes: u32::MAX,
        });
        assert_eq!(config.ceiling_of(&most), Limits { wall_ms: config.longest_wall_ms, ..config.limits.clone() });
        assert_eq!(config.ceiling_of(&config.limits.times(3)).wall_ms, 3_000);
    }
}
