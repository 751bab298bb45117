//! What is wrong with a configuration, by cause.

use std::fmt;
use std::path::PathBuf;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The line of the key, from 1.
        line: Option<usize>,
    },
    /// An environment variable.
    Environment(String),
    /// A flag.
    Flag,
    /// A preset.
    Preset(&'static str),
    /// Nobody set it.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line: Some(line) } => write!(f, "set in {}, line {line}", path.display()),
            Self::File { path, line: None } => write!(f, "set in {}", path.display()),
            Self::Preset(name) => write!(f, "set by the preset {name}"),
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
    /// The file is not TOML. The line itself is not shown, nor the parser's error, which quotes it: it may hold a URL with a
    /// password.
    #[error("{} is not valid TOML: line {line}, column {column}{}: {message}", path.display(),
        excerpt.as_ref().map(|excerpt| format!(" (`{excerpt}`)")).unwrap_or_default())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
        /// The line's key or table, if one can be told.
        excerpt: Option<String>,
        /// What is wrong.
        message: String,
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
        parent_origin: Box<Origin>,
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
    #[error("`{key}` is not set, and has no default{}", hint.map(|hint| format!("; {hint}")).unwrap_or_default())]
    Missing {
        /// The key.
        key: String,
        /// What to do about it.
        hint: Option<&'static str>,
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
