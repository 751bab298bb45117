//! What is in force, and where each value came from.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Value, json};

use super::{Loaded, Origin, redacted};

/// Columns from which on the origin stands on a line of its own.
const WIDE: usize = 76;

/// A value in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// Its dotted key.
    pub key: String,
    /// The value; `null` when it is not set and nothing stands for it.
    pub value: Value,
    /// Where it came from.
    pub origin: Origin,
}

impl<T: Serialize> Loaded<T> {
    /// Every value in force, by key. Secrets are not part of a configuration; URLs serialize without their credentials, and
    /// what looks like a key that was written where its place belongs is left out.
    ///
    /// # Errors
    /// When the configuration cannot be written as JSON, which ours can.
    pub fn shown(&self) -> Result<Vec<Shown>, serde_json::Error> {
        let mut found = Vec::new();
        self.walk(String::new(), serde_json::to_value(&self.value)?, &mut found);
        Ok(found)
    }

    fn walk(&self, key: String, value: Value, found: &mut Vec<Shown>) {
        match value {
            Value::Object(table) if !table.is_empty() || key.is_empty() => {
                for (name, value) in table {
                    let below = if key.is_empty() { quoted(&name) } else { format!("{key}.{}", quoted(&name)) };
                    self.walk(below, value, found);
                }
            }
            value => found.push(Shown { origin: self.origin(&key), value: without_keys(value), key }),
        }
    }
}

/// As TOML, one dotted key a line, with the origin as a comment: what is shown can be read back, but for URLs' credentials.
#[must_use]
pub fn as_toml(shown: &[Shown]) -> String {
    let mut text = String::new();
    for Shown { key, value, origin } in shown {
        let line = if value.is_null() { format!("# {key} is not set") } else { format!("{key} = {}", literal(value)) };
        let origin = from(origin);
        // Writing to a String does not fail.
        let _infallible = if line.chars().count() > WIDE {
            writeln!(text, "# {origin}:\n{line}")
        } else {
            writeln!(text, "{line:<WIDE$}  # {origin}")
        };
    }
    text
}

/// As JSON: a list of key, value and origin.
#[must_use]
pub fn as_json(shown: &[Shown]) -> Value {
    let one = |shown: &Shown| json!({ "key": shown.key, "value": shown.value, "origin": from(&shown.origin) });
    shown.iter().map(one).collect()
}

fn from(origin: &Origin) -> String {
    match origin {
        Origin::Default => "default".to_owned(),
        origin => origin.to_string(),
    }
}

/// JSON's strings, numbers and arrays of them are TOML's; only tables are written otherwise.
fn literal(value: &Value) -> String {
    match value {
        Value::Object(table) => {
            let entries: Vec<_> =
                table.iter().map(|(key, value)| format!("{} = {}", quoted(key), literal(value))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        Value::Array(values) => format!("[{}]", values.iter().map(literal).collect::<Vec<_>>().join(", ")),
        value => value.to_string(),
    }
}

fn quoted(name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if bare { name.to_owned() } else { Value::from(name).to_string() }
}

fn without_keys(value: Value) -> Value {
    match value {
        // A URL was redacted by its own type, which leaves more of it.
        Value::String(text) if !text.contains("://") => Value::String(redacted(&text)),
        Value::Array(values) => values.into_iter().map(without_keys).collect(),
        value => value,
    }
}
