//! Configuration: one TOML file, the environment over it, flags over that.
//!
//! [`load`] lays the sources over each other as one tree, remembers where each value came from, and only then reads the
//! tree into the binary's own structs. So every error can name the key, the source that set it, and what is expected:
//!
//! - an unknown key is an error that names the nearest known one. Config structs are `deny_unknown_fields`;
//! - a wrong value is an error that names its key, as `chains.31337.rpc`, and its source;
//! - nothing needs to be set: structs are `serde(default)` wherever a default runs.
//!
//! In the environment `__` separates the levels of a key: with the prefix `DITTO_`, `DITTO_CHAINS__31337__RPC` is
//! `chains.31337.rpc`. Values there, and in flags, are TOML values where they can be (`8`, `true`, `["a", "b"]`) and
//! text where they cannot, or where the field wants text.
//!
//! Secrets are not configuration: see [`crate::secret`]. An environment variable that a key named `env` points to is
//! never read as a value, whatever its name.

mod changes;
mod distance;
mod error;
mod layers;
pub mod presets;
mod read;
mod redact;
pub mod show;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::path::Path;

use serde::de::DeserializeOwned;

pub use changes::changes;
pub use error::{ConfigError, Origin};
pub use layers::Layers;
pub use read::Loaded;
pub use redact::redacted;

/// Loads a configuration: `file` if there is one, the variables that begin with `env_prefix` over it, `overrides`
/// (dotted key and value, from flags) over that.
///
/// # Errors
/// Names the key, its source and the fix.
pub fn load<T: DeserializeOwned>(
    file: Option<&Path>,
    env_prefix: &str,
    overrides: &[(String, String)],
) -> Result<T, ConfigError> {
    let mut layers = Layers::new();
    if let Some(file) = file {
        layers.file(file)?;
    }
    layers.overrides(overrides)?;
    layers.environment(env_prefix, std::env::vars_os())?;
    layers.load().map(|loaded| loaded.value)
}
