//! Runs untrusted, published TypeScript and hands back what it decided.
//!
//! # What this is
//! A user's workflow is a TypeScript module that looks at chains and returns calls. Its author is a stranger, so it never
//! runs in this process. [`Sandbox::start`] starts a few *zygotes*: this same executable, executed again before it started
//! a thread, with an empty environment, the JavaScript engine and the SDK already loaded. Every run is a `fork` of a zygote
//! that first gives up everything but one socket, then compiles and runs the module, and dies. A module that is run again
//! gets a *template*: a child that has compiled it, as confined as a run, whose forks are the further runs of it.
//!
//! # How it moves
//! ```text
//!  Sandbox::submit ──► queue ──► worker (a thread) ──"fork, here is a socket"──► zygote ──fork──► child
//!                     bounded      │  ▲                                                            │
//!                                  │  └──── reads, logs, outcome: frames on that socket ◄──────────┤
//!                                  └─────── job, answers of reads: frames on that socket ─────────►┘
//! ```
//! - `host`: the worker. One thread polls many children, so a run that waits for a read holds nothing.
//! - `zygote`: forks and reaps. It never reads a byte that a stranger wrote.
//! - `template`: compiles one module and forks its runs, each when the host lets it (`supervision`).
//! - `child`: confines itself (`confine`), then runs one job on the `engine`.
//! - `engine`: deno_core on QuickJS, the removal of everything that is not deterministic, the compiler (oxc), the SDK.
//!
//! # What it promises
//! - A run is a pure function of code, engine ([`engine_id`]), input and the answers of its reads.
//! - A run ends as one typed [`Outcome`], at the latest at its deadline: the host's clock decides, and it kills.
//! - Whatever a child does or sends, the host neither crashes, waits nor allocates beyond the job's limits.
//! - Every queue is bounded; [`Busy`] says so when it is full.
//!
//! It knows nothing of blocks, stages or consensus: whoever embeds it answers the reads ([`Reads`]).

mod child;
mod confine;
mod engine;
mod engine_id;
mod fd_passing;
mod frame;
mod host;
mod job;
mod limits;
mod message;
mod orders;
mod outcome;
mod protections;
mod read;
mod sandbox;
mod supervision;
mod template;
mod zygote;

pub use engine::compile_module;
pub use engine_id::{engine_id, engine_id_with};
pub use host::describe_metrics;
pub use job::{Input, Job, ReadAnswer, ReadReply, ReadRequest, Reads};
pub use limits::{Limits, SandboxConfig, StricterLimits};
pub use outcome::{Call, Outcome, Report};
pub use protections::{Protection, Protections, protections};
pub use read::{BLOCK_FIELDS, LOG_ALTERNATIVES, LOG_FIELDS, LOG_RANGE_BLOCKS, Read, ReadError};
pub use sandbox::{Busy, Sandbox, SandboxError};
pub use zygote::enter_if_zygote;
