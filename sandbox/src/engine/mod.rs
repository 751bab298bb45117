//! The JavaScript engine: one runtime, made in the zygote and used once, in a forked child.
//!
//! `compile` turns TypeScript into what the engine takes, `runtime` loads the SDK, locks the engine down and drives one
//! run, `ops` is everything JavaScript can call, `abi` the native half of the SDK, `imports` judges what a module imports,
//! `nesting` bounds what the compiler is fed, `lines` finds the author's line.

mod abi;
mod compile;
mod floats;
mod holes;
mod imports;
mod large_pages;
mod lines;
mod nesting;
mod ops;
mod runtime;
mod stack;

pub(crate) use runtime::{Answer, Compiled, Engine, EngineError, Port};

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

/// The SDK's native half, for the engine id: what it answers is as much a part of a run as the JavaScript above it.
pub(crate) const NATIVE: [(&str, &str); 4] = [
    ("abi", include_str!("abi/mod.rs")),
    ("abi::signature", include_str!("abi/signature.rs")),
    ("abi::typed_data", include_str!("abi/typed_data.rs")),
    ("abi::value", include_str!("abi/value.rs")),
];

/// Raised with every change of what workflows may import, or of what it gives. 2: viem's events, typed data and contract
/// addresses; getBlock, getLogs and readContracts.
pub(crate) const SDK_VERSION: u32 = 2;

/// What a workflow may import.
pub(crate) const PACKAGES: [&str; 2] = ["@ditto/workflow", "viem"];

/// The file name under which the workflow is compiled; only frames of this file are the author's.
pub(crate) const WORKFLOW_FILE: &str = "workflow.ts";
