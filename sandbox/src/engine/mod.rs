//! The JavaScript engine: one runtime, made in the zygote and used once, in a forked child.
//!
//! `compile` turns TypeScript into what the engine takes, `runtime` loads the SDK, locks the engine down and drives one
//! run, `ops` is everything JavaScript can call, `abi` the native half of the SDK, `nesting` bounds what the compiler is fed, `lines` finds the author's line.

mod abi;
mod compile;
mod imports;
mod lines;
mod nesting;
mod ops;
mod runtime;

pub(crate) use runtime::{Answer, Engine, EngineError, Port};

/// TypeScript as the engine gets it, or how a run of it would end at once: a syntax error, a forbidden import, an export
/// that is missing. `nesting` is [`crate::Limits::code_nesting`]. For an author's tools: it parses in the caller's own
/// process, where strangers' code has no place.
///
/// # Errors
/// The outcome of every run of this code.
pub fn compile_module(source: &str, nesting: u32) -> Result<String, crate::Outcome> {
    compile::compile(source, nesting)
}

/// The SDK's sources, in the order in which they load. Part of the engine id.
pub(crate) const SOURCES: [(&str, &str); 7] = [
    ("ditto:native", include_str!("../sdk/native.js")),
    ("ditto:bytes", include_str!("../sdk/bytes.js")),
    ("ditto:abi", include_str!("../sdk/abi.js")),
    ("viem", include_str!("../sdk/viem.js")),
    ("@ditto/workflow", include_str!("../sdk/workflow.js")),
    ("ditto:driver", include_str!("../sdk/driver.js")),
    ("ditto:lockdown", include_str!("../sdk/lockdown.js")),
];

/// What a workflow may import.
pub(crate) const PACKAGES: [&str; 2] = ["@ditto/workflow", "viem"];

/// The file name under which the workflow is compiled; only frames of this file are the author's.
pub(crate) const WORKFLOW_FILE: &str = "workflow.ts";
