//! The engine's identity: two operators whose engines differ must not compare results.

use std::sync::OnceLock;

use alloy::primitives::keccak256;

use crate::{engine, limits};

/// deno_core's version and backend, pinned exactly in the workspace's Cargo.toml; a test compares.
pub(crate) const DENO_CORE: &str = "0.413.0";
pub(crate) const BACKEND: &str = "quickjs";
/// The TypeScript compiler, pinned likewise: it decides what the engine gets to see.
pub(crate) const OXC: &str = "0.146.0";
/// What codes the ABI beneath the SDK; the workspace's Cargo.lock pins it, a test compares.
pub(crate) const DYN_ABI: &str = "1.7.3";

/// Raised when our own rules change: what becomes of a read, how deep a source may nest.
const RULES: u32 = 2;

/// keccak256 over the version of our rules, the versions of engine, backend, compiler and ABI coder, the SDK's version and
/// sources (JavaScript and native) and the version of the default limits.
pub fn engine_id() -> [u8; 32] {
    static ID: OnceLock<[u8; 32]> = OnceLock::new();
    *ID.get_or_init(|| {
        let mut text = format!(
            "ditto-engine/{RULES}\ndeno_core {DENO_CORE} {BACKEND}\noxc {OXC}\ndyn-abi {DYN_ABI}\nsdk {}\nlimits {}\n",
            engine::SDK_VERSION,
            limits::DEFAULTS_VERSION
        );
        for (name, source) in engine::SOURCES.iter().chain(&engine::NATIVE) {
            text.push_str(&format!("{name} {}\n", keccak256(source)));
        }
        keccak256(text).0
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_the_pinned_versions() {
        let manifest = include_str!("../../Cargo.toml");
        assert!(manifest.contains(&format!("deno_core = {{ version = \"={}\"", super::DENO_CORE)));
        assert!(manifest.contains(&format!("oxc = {{ version = \"={}\"", super::OXC)));
        assert!(manifest.contains(&format!("features = [\"{}\"", super::BACKEND)));
        let lock = include_str!("../../Cargo.lock");
        assert!(lock.contains(&format!("name = \"alloy-dyn-abi\"\nversion = \"{}\"", super::DYN_ABI)));
        assert_eq!(lock.matches("name = \"alloy-dyn-abi\"").count(), 1);
    }
}
