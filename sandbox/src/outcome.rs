//! How a run ends.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::job::ReadRequest;

/// One call that a workflow wants its account to make.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Call {
    pub to: [u8; 20],
    /// Wei, big endian.
    pub value: [u8; 32],
    pub data: Vec<u8>,
}

/// Every way a run can end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// At least one call.
    Calls(Vec<Call>),
    /// `run` returned nothing, or an empty array.
    NothingToDo,
    /// An exception nobody caught, a syntax error, a promise that never settled. `line` is the author's TypeScript line.
    Threw {
        message: String,
        line: Option<u32>,
    },
    /// The deadline passed.
    TimedOut,
    /// The heap is used up; or the stack was, and the run went on: how much of either a run needs depends on the build.
    OutOfMemory,
    TooManyReads,
    OutputTooLarge,
    /// The source exceeds `code_bytes`, or it nests deeper than `code_nesting`.
    CodeTooLarge,
    /// An import of something that is not on the list of packages, or a dynamic import.
    ForbiddenImport {
        specifier: String,
    },
    /// `ctx.chain(id)` with a chain that the job does not support.
    UnsupportedChain {
        id: u64,
    },
    /// A read that the run waited for was answered `Failed`, or with more than `read_answer_bytes`.
    ReadFailed,
    /// `run` returned something that is not calls; the message names the field.
    BadOutput {
        message: String,
    },
    /// The child died or broke its protocol.
    Crashed,
}

impl Outcome {
    /// Every [`Outcome::kind`], in the order of declaration.
    pub const KINDS: [&'static str; 13] = [
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
    ];

    /// A fixed snake_case name, for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Outcome::Calls(_) => "calls",
            Outcome::NothingToDo => "nothing_to_do",
            Outcome::Threw { .. } => "threw",
            Outcome::TimedOut => "timed_out",
            Outcome::OutOfMemory => "out_of_memory",
            Outcome::TooManyReads => "too_many_reads",
            Outcome::OutputTooLarge => "output_too_large",
            Outcome::CodeTooLarge => "code_too_large",
            Outcome::ForbiddenImport { .. } => "forbidden_import",
            Outcome::UnsupportedChain { .. } => "unsupported_chain",
            Outcome::ReadFailed => "read_failed",
            Outcome::BadOutput { .. } => "bad_output",
            Outcome::Crashed => "crashed",
        }
    }

    /// Whether this may be the machine's doing rather than the workflow's. Who attests abstains then.
    pub fn trouble(&self) -> bool {
        matches!(self, Outcome::TimedOut | Outcome::OutOfMemory | Outcome::ReadFailed | Outcome::Crashed)
    }
}

/// A run that ended.
#[derive(Clone, Debug)]
pub struct Report {
    pub outcome: Outcome,
    /// The reads in the order in which the run asked for them, each with keccak256 of its answer: one byte (0 result,
    /// 1 revert data, 2 failed or too long, 3 not consumed: the run ended without it) and the answer's bytes. A run
    /// consumes answers in the order of its requests, one at a time, so this depends on the answers and not on when
    /// they came. All are 3 when the host ended the run (`TimedOut`, `Crashed`).
    pub reads: Vec<(ReadRequest, [u8; 32])>,
    pub logs: Vec<String>,
    /// From the child's start to its outcome.
    pub wall: Duration,
    /// The child's user and system time, as the kernel counted it.
    pub cpu: Duration,
    /// The child's largest resident set, most of it shared with its zygote.
    pub peak_memory_bytes: u64,
}

impl Report {
    /// A run that never reached a child.
    pub(crate) fn without_run(outcome: Outcome) -> Self {
        Report {
            outcome,
            reads: Vec::new(),
            logs: Vec::new(),
            wall: Duration::ZERO,
            cpu: Duration::ZERO,
            peak_memory_bytes: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_listed_once() {
        let all = [
            Outcome::Calls(Vec::new()),
            Outcome::NothingToDo,
            Outcome::Threw { message: String::new(), line: None },
            Outcome::TimedOut,
            Outcome::OutOfMemory,
            Outcome::TooManyReads,
            Outcome::OutputTooLarge,
            Outcome::CodeTooLarge,
            Outcome::ForbiddenImport { specifier: String::new() },
            Outcome::UnsupportedChain { id: 0 },
            Outcome::ReadFailed,
            Outcome::BadOutput { message: String::new() },
            Outcome::Crashed,
        ];
        assert_eq!(all.each_ref().map(Outcome::kind), Outcome::KINDS);
        // What a machine may be to blame for, and nothing else, is no verdict.
        let trouble: Vec<_> = all.iter().filter(|outcome| outcome.trouble()).map(Outcome::kind).collect();
        assert_eq!(trouble, ["timed_out", "out_of_memory", "read_failed", "crashed"]);
    }
}
