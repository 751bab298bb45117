//! The engine's identity: two operators whose engines differ must not compare results.

use alloy::primitives::keccak256;

use crate::{engine, limits::Limits};

/// deno_core's version and backend, pinned exactly in the workspace's Cargo.toml; a test compares.
pub(crate) const DENO_CORE: &str = "0.413.0";
pub(crate) const BACKEND: &str = "quickjs";
/// What gives deno_core its engine; the workspace's Cargo.lock pins it, a test compares.
pub(crate) const V8X: &str = "149.4.0-rc.4";
/// The TypeScript compiler, pinned likewise: it decides what the engine gets to see.
pub(crate) const OXC: &str = "0.146.0";
/// What codes the ABI beneath the SDK; the workspace's Cargo.lock pins it, a test compares.
pub(crate) const DYN_ABI: &str = "1.7.3";

/// Raised when our own rules change: what becomes of a read, how deep a source may nest.
const RULES: u32 = 2;

/// The engine under the default limits; see [`engine_id_with`].
pub fn engine_id() -> [u8; 32] {
    engine_id_with(&Limits::default())
}

/// The engine's identity: keccak256 over the version of our rules and of this crate, the versions of engine, backend,
/// compiler and ABI coder, the SDK's version and sources (JavaScript and native), and the limits of the sandbox that runs
/// it, as far as a run's outcome depends on them. Not the wall clock and not the log's bounds: time running out is nobody's
/// verdict, and logs are compared with nobody's.
pub fn engine_id_with(limits: &Limits) -> [u8; 32] {
    keccak256(description(limits)).0
}

/// What the identity is the hash of.
fn description(limits: &Limits) -> String {
    let Limits {
        wall_ms: _,
        memory_bytes,
        reads,
        read_request_bytes,
        read_answer_bytes,
        output_bytes,
        code_bytes,
        code_nesting,
        log_lines: _,
        log_line_bytes: _,
    } = limits;
    let mut text = format!(
        "ditto-engine/{RULES}\nditto-sandbox {}\ndeno_core {DENO_CORE} {BACKEND} {V8X}\noxc {OXC}\ndyn-abi {DYN_ABI}\nsdk {}\n",
        env!("CARGO_PKG_VERSION"),
        engine::SDK_VERSION,
    );
    text.push_str(&format!(
        "limits memory {memory_bytes} reads {reads} request {read_request_bytes} answer {read_answer_bytes} \
         output {output_bytes} code {code_bytes} nesting {code_nesting}\n"
    ));
    for (name, source) in engine::SOURCES.iter().chain(&engine::NATIVE) {
        text.push_str(&format!("{name} {}\n", keccak256(source)));
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_that_shows_makes_another_engine() {
        let default = Limits::default();
        let all = serde_json::to_value(&default).unwrap();
        for (name, value) in all.as_object().unwrap() {
            let mut other = all.clone();
            other[name] = (value.as_u64().unwrap() + 1).into();
            let other: Limits = serde_json::from_value(other).unwrap();
            let shows = !["wall_ms", "log_lines", "log_line_bytes"].contains(&name.as_str());
            assert_eq!(engine_id_with(&other) != engine_id(), shows, "{name}");
        }
        // An attester's patience is no other engine.
        assert_eq!(engine_id_with(&default.times(3)), engine_id());
    }

    #[test]
    fn says_what_it_is_made_of() {
        let text = description(&Limits::default());
        for part in
            [env!("CARGO_PKG_VERSION"), DENO_CORE, BACKEND, V8X, OXC, DYN_ABI, "reads 64", "viem", "ditto:lockdown"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn names_the_pinned_versions() {
        let manifest = include_str!("../../Cargo.toml");
        assert!(manifest.contains(&format!("deno_core = {{ version = \"={}\"", super::DENO_CORE)));
        assert!(manifest.contains(&format!("oxc = {{ version = \"={}\"", super::OXC)));
        assert!(manifest.contains(&format!("features = [\"{}\"", super::BACKEND)));
        let lock = include_str!("../../Cargo.lock");
        assert!(lock.contains(&format!("name = \"v8x\"\nversion = \"{}\"", super::V8X)));
        assert!(lock.contains(&format!("name = \"alloy-dyn-abi\"\nversion = \"{}\"", super::DYN_ABI)));
        assert_eq!(lock.matches("name = \"alloy-dyn-abi\"").count(), 1);
    }
}
