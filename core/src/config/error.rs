//! What is wrong with a configuration, by cause.

use std::fmt;
use std::path::PathBuf;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The configuration file.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
    /// A flag.
    Flag,
    /// Nobody set it.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "set in {}", path.display()),
            Self::Environment(name) => write!(f, "set by environment variable {name}"),
            Self::Flag => f.write_str("set by a flag"),
            Self::Default => f.write_str("not set"),
        }
    }
}

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        cause: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{} is not valid TOML: {cause}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Names line and column.
        #[source]
        cause: Box<toml::de::Error>,
    },
    /// An environment variable is not UTF-8.
    #[error("environment variable {name} does not hold UTF-8 text")]
    NotText {
        /// The variable.
        name: String,
    },
    /// A key that cannot be one.
    #[error("`{key}` ({origin}) is not a key: write levels between dots, such as `chains.31337.rpc`")]
    Malformed {
        /// As it was given.
        key: String,
        /// Who gave it.
        origin: Origin,
    },
    /// One source sets a key that another uses as a table.
    #[error("`{key}` ({origin}) lies below `{parent}`, which is a single value ({parent_origin})")]
    NotATable {
        /// The key.
        key: String,
        /// Who set it.
        origin: Origin,
        /// The key above it.
        parent: String,
        /// Who set that.
        parent_origin: Origin,
    },
    /// No such key.
    #[error("unknown key `{key}` ({origin}){}; known here: {known}",
        nearest.as_ref().map(|nearest| format!("; did you mean `{nearest}`?")).unwrap_or_default())]
    UnknownKey {
        /// The key.
        key: String,
        /// Who set it.
        origin: Origin,
        /// The known key that is spelled most like it.
        nearest: Option<String>,
        /// All known keys at this place.
        known: String,
    },
    /// A key without default is not set.
    #[error("`{key}` is not set, and has no default")]
    Missing {
        /// The key.
        key: String,
    },
    /// A value of the wrong type or out of range.
    #[error("`{key}` ({origin}): {cause}")]
    Wrong {
        /// The key.
        key: String,
        /// Who set it.
        origin: Origin,
        /// What is wrong and what is expected.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
}
