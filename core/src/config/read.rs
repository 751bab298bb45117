//! Reading the tree into the binary's structs, and saying what is wrong with it.

use std::collections::BTreeMap;
use std::error::Error;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::distance::nearest;
use super::presets::hint;
use super::redact::unquoted;
use super::{ConfigError, Layers, Origin, redacted};

/// A configuration and where each of its values came from.
#[derive(Debug)]
pub struct Loaded<T> {
    /// The configuration.
    pub value: T,
    /// Who set each value, by dotted key; what is not here has its default.
    pub origins: BTreeMap<String, Origin>,
}

impl<T> Loaded<T> {
    /// Who set this key.
    #[must_use]
    pub fn origin(&self, key: &str) -> Origin {
        origin(&self.origins, key)
    }

    /// Refuses a value that reads well but cannot be meant, such as a timeout longer than a slot.
    pub fn refuse(&self, key: &str, cause: impl Into<Box<dyn Error + Send + Sync>>) -> ConfigError {
        ConfigError::Wrong { key: key.to_owned(), origin: self.origin(key), cause: cause.into() }
    }
}

impl Layers {
    /// Reads the tree.
    ///
    /// # Errors
    /// Names the key, its source and what is expected.
    pub fn load<T: DeserializeOwned>(self) -> Result<Loaded<T>, ConfigError> {
        let Self { tree, origins, mut ambiguous, .. } = self;
        let mut tree = Value::Object(tree);
        let mut first: Option<(String, serde_json::Error)> = None;
        loop {
            let (key, error) = match serde_path_to_error::deserialize::<_, T>(&tree) {
                Ok(value) => return Ok(Loaded { value, origins }),
                Err(error) => (error.path().to_string(), error.into_inner()),
            };
            // `DITTO_NAME=007` reads as a number; when the field does not want one, it was meant as text. Where that
            // helps nothing, the error about the first reading is the one to show.
            // Something that is missing is not missing because of how something else was read.
            let missing = error.to_string().starts_with("missing field");
            let culprit = ambiguous.keys().find(|leaf| !missing && touches(&key, leaf)).cloned();
            match culprit.and_then(|leaf| ambiguous.remove_entry(&leaf)) {
                Some((leaf, meant)) => {
                    put(&mut tree, &leaf, Value::String(meant.text));
                    if first.as_ref().is_none_or(|(other, _)| *other != key) {
                        first = Some((key, error));
                    }
                }
                None => {
                    let (key, error) = first.filter(|(other, _)| *other == key).unwrap_or((key, error));
                    return Err(explain(key, error, &tree, &origins));
                }
            }
        }
    }
}

/// Could an error at `key` be due to the value at `leaf`? (Some types lose the end of the path.)
fn touches(key: &str, leaf: &str) -> bool {
    let below = |upper: &str, lower: &str| {
        upper == "." || lower.strip_prefix(upper).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    below(key, leaf) || below(leaf, key)
}

fn put(tree: &mut Value, key: &str, value: Value) {
    if let Some(place) = key.split('.').try_fold(tree, |value, level| value.get_mut(level)) {
        *place = value;
    }
}

/// The source of the key, or of what it lies in, or of all that lies below it.
fn origin(origins: &BTreeMap<String, Origin>, key: &str) -> Origin {
    let exact = origins.get(key);
    let above = || origins.iter().find(|(leaf, _)| *leaf != key && touches(leaf, key) && key.starts_with(*leaf));
    let below = || origins.iter().find(|(leaf, _)| leaf.starts_with(&format!("{key}.")));
    exact.or_else(|| above().or_else(below).map(|(_, origin)| origin)).cloned().unwrap_or(Origin::Default)
}

/// serde says in words which field is unknown or missing; its words are stable, and there is no other way to ask.
fn explain(key: String, error: serde_json::Error, tree: &Value, origins: &BTreeMap<String, Origin>) -> ConfigError {
    let text = error.to_string();
    let quoted = |text: &str| -> Vec<String> { text.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    if text.starts_with("unknown field") {
        let mut names = quoted(&text).into_iter();
        let unknown = names.next().unwrap_or_default();
        let known: Vec<String> = names.collect();
        let key = if key == "." || key.is_empty() {
            unknown.clone()
        } else if key == unknown || key.ends_with(&format!(".{unknown}")) {
            key
        } else {
            format!("{key}.{unknown}")
        };
        return ConfigError::UnknownKey {
            origin: origin(origins, &key),
            key,
            nearest: nearest(&unknown, known.iter().map(String::as_str)).map(str::to_owned),
            known: if known.is_empty() { "nothing".to_owned() } else { known.join(", ") },
        };
    }
    if text.starts_with("missing field") {
        let field = quoted(&text).into_iter().next().unwrap_or_default();
        let key = if key == "." { field } else { format!("{key}.{field}") };
        return ConfigError::Missing { hint: hint(&key), key };
    }
    // A table by number, such as `chains`, with a key that is no number: serde does not say which.
    let table = key.strip_suffix(".?").and_then(|table| Some((table, get(tree, table)?.as_object()?)));
    if let Some((table, bad)) = table.and_then(|(table, keys)| Some((table, keys.keys().find(|k| !is_number(k))?))) {
        let key = format!("{table}.{bad}");
        let cause = format!("the keys of `{table}` are numbers, and {bad:?} is none");
        return ConfigError::Wrong { origin: origin(origins, &key), key, cause: cause.into() };
    }
    let origin = origin(origins, &key);
    // serde quotes what it found. Under `keys` that may be the very key.
    let cause = if key.split('.').next() == Some("keys") { unquoted(&text) } else { redacted(&text) };
    ConfigError::Wrong { key, origin, cause: cause.into() }
}

fn get<'a>(tree: &'a Value, key: &str) -> Option<&'a Value> {
    key.split('.').try_fold(tree, |value, level| value.get(level))
}

fn is_number(text: &str) -> bool {
    text.parse::<u64>().is_ok()
}
