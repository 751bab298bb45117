//! The sources, laid over each other as one tree.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::Path;

use serde_json::{Map, Value};
use toml::de::{DeTable, DeValue};

use super::redact::excerpt;
use super::{ConfigError, Origin, redacted};

/// A value in the tree whose type is not settled: text that reads as a TOML value.
pub(super) struct Ambiguous {
    pub(super) text: String,
}

/// The sources of a configuration. Later ones go over earlier ones, except that flags go over the environment in
/// whatever order they are given.
#[derive(Default)]
pub struct Layers {
    // JSON's values, because its reader takes the numeric keys of a table (`[chains.31337]`) as numbers where they are
    // wanted, and TOML's does not.
    pub(super) tree: Map<String, Value>,
    /// Who set each leaf, by dotted key.
    pub(super) origins: BTreeMap<String, Origin>,
    /// Leaves from environment or flags that were read as something else than text.
    pub(super) ambiguous: BTreeMap<String, Ambiguous>,
    /// Variables that are not configuration.
    ignored: BTreeSet<String>,
}

impl Layers {
    /// No sources: all defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lays a TOML file over.
    ///
    /// # Errors
    /// When it cannot be read or is not TOML.
    pub fn file(&mut self, path: &Path) -> Result<&mut Self, ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|cause| ConfigError::Unreadable { path: path.to_owned(), cause })?;
        self.text(path, &text)
    }

    /// Lays TOML text over, said to be from `path`.
    ///
    /// # Errors
    /// When it is not TOML.
    pub fn text(&mut self, path: &Path, text: &str) -> Result<&mut Self, ConfigError> {
        let table: toml::Table = text.parse().map_err(|error| syntax(path, text, &error))?;
        let mut lines = BTreeMap::new();
        if let Ok(spanned) = DeTable::parse(text) {
            key_lines("", spanned.get_ref(), text, &mut lines);
        }
        let path = path.to_owned();
        self.table("", table, &|key| Origin::File { path: path.clone(), line: lines.get(key).copied() })?;
        Ok(self)
    }

    /// Variables with the prefix that are something else than configuration, such as the one that names the file.
    pub fn ignore(&mut self, names: &[&str]) -> &mut Self {
        self.ignored.extend(names.iter().map(|&name| name.to_owned()));
        self
    }

    /// Lays environment variables over: of `variables`, those that begin with `prefix`.
    ///
    /// # Errors
    /// When a variable is not text, or names no key.
    pub fn environment(
        &mut self,
        prefix: &str,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<&mut Self, ConfigError> {
        let mut found = BTreeMap::new();
        for (name, value) in variables {
            let Some(name) = name.to_str() else { continue };
            let Some(key) = name.strip_prefix(prefix).filter(|key| !key.is_empty()) else { continue };
            if !self.ignored.contains(name) {
                found.insert(key.to_lowercase().replace("__", "."), (name.to_owned(), value));
            }
        }
        // First those that say where a secret is, then everything that is none.
        let mut secrets = self.secret_variables();
        secrets.extend(
            found.iter().filter(|(key, _)| names_secret(key)).filter_map(|(_, (_, v))| v.to_str().map(str::to_owned)),
        );
        for (key, (name, value)) in found {
            if secrets.contains(&name) {
                continue;
            }
            let origin = Origin::Environment(name.clone());
            if self.origins.get(&key) == Some(&Origin::Flag) {
                continue;
            }
            let text = value.into_string().map_err(|_| ConfigError::NotText { name })?;
            self.leaf(&key, text, &origin)?;
        }
        Ok(self)
    }

    /// Lays flags over: dotted keys and their values.
    ///
    /// # Errors
    /// When a key is none.
    pub fn overrides(&mut self, overrides: &[(String, String)]) -> Result<&mut Self, ConfigError> {
        for (key, text) in overrides {
            self.leaf(key, text.clone(), &Origin::Flag)?;
        }
        Ok(self)
    }

    /// Sets one value that came as text.
    fn leaf(&mut self, key: &str, text: String, origin: &Origin) -> Result<(), ConfigError> {
        match toml_value(&text) {
            None => self.set(key, Value::String(text), origin)?,
            Some(toml::Value::Table(table)) => self.table(key, table, &|_| origin.clone())?,
            Some(value) => {
                self.set(key, to_json(value), origin)?;
                self.ambiguous.insert(key.to_owned(), Ambiguous { text });
            }
        }
        Ok(())
    }

    /// Sets what nobody set.
    pub(super) fn under(&mut self, key: &str, value: Value, origin: &Origin) -> Result<(), ConfigError> {
        let mut at = &self.tree;
        let mut levels = key.split('.').peekable();
        while let Some(level) = levels.next() {
            match at.get(level) {
                None => return self.set(key, value, origin),
                Some(Value::Object(table)) if levels.peek().is_some() => at = table,
                // It is set; or a value stands where a table belongs, which the reader tells.
                Some(_) => return Ok(()),
            }
        }
        Ok(())
    }

    fn table(&mut self, at: &str, table: toml::Table, origin: &dyn Fn(&str) -> Origin) -> Result<(), ConfigError> {
        if table.is_empty() && !at.is_empty() {
            return self.set(at, Value::Object(Map::new()), &origin(at));
        }
        for (name, value) in table {
            let key = if at.is_empty() { name } else { format!("{at}.{name}") };
            match value {
                toml::Value::Table(table) => self.table(&key, table, origin)?,
                value => self.set(&key, to_json(value), &origin(&key))?,
            }
        }
        Ok(())
    }

    fn set(&mut self, key: &str, value: Value, origin: &Origin) -> Result<(), ConfigError> {
        let mut levels: Vec<&str> = key.split('.').collect();
        let Some(last) = levels.pop().filter(|last| !last.is_empty() && !levels.contains(&"")) else {
            return Err(ConfigError::Malformed { key: key.to_owned(), origin: origin.clone() });
        };
        let mut table = &mut self.tree;
        let mut walked = String::new();
        for level in levels {
            if !walked.is_empty() {
                walked.push('.');
            }
            walked.push_str(level);
            let below = table.entry(level).or_insert_with(|| Value::Object(Map::new()));
            table = match below {
                Value::Object(table) => table,
                _ => {
                    let parent_origin = Box::new(self.origins.get(&walked).cloned().unwrap_or(Origin::Default));
                    let (key, origin) = (key.to_owned(), origin.clone());
                    return Err(ConfigError::NotATable { key, origin, parent: walked, parent_origin });
                }
            };
        }
        // An empty table adds nothing to one that is there.
        if value.as_object().is_some_and(Map::is_empty) && table.get(last).is_some_and(Value::is_object) {
            return Ok(());
        }
        table.insert(last.to_owned(), value);
        let below = format!("{key}.");
        self.origins.retain(|other, _| !other.starts_with(&below));
        self.origins.insert(key.to_owned(), origin.clone());
        self.ambiguous.remove(key);
        Ok(())
    }

    /// Names of variables that a key called `env` points to: those hold secrets.
    fn secret_variables(&self) -> BTreeSet<String> {
        // `origins` holds the keys of leaves only, so each leads through tables.
        let names = |key: &String| {
            let mut levels = key.split('.');
            let first = self.tree.get(levels.next()?)?;
            levels.try_fold(first, |value, level| value.get(level))?.as_str().map(str::to_owned)
        };
        self.origins.keys().filter(|key| names_secret(key)).filter_map(names).collect()
    }
}

/// What is wrong with a file that is not TOML, without quoting it.
fn syntax(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let at = error.span().map_or(0, |span| span.start.min(text.len()));
    let before = text.get(..at).unwrap_or_default();
    let (line, column) = position(before);
    ConfigError::Syntax {
        path: path.to_owned(),
        line,
        column,
        excerpt: text.lines().nth(line - 1).and_then(excerpt),
        message: redacted(error.message()),
    }
}

/// Line and column behind a text, from 1.
fn position(before: &str) -> (usize, usize) {
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    (line, column)
}

/// In which line each leaf's key stands.
fn key_lines(at: &str, table: &DeTable<'_>, text: &str, lines: &mut BTreeMap<String, usize>) {
    for (name, value) in table {
        let key = if at.is_empty() { name.get_ref().to_string() } else { format!("{at}.{}", name.get_ref()) };
        match value.get_ref() {
            DeValue::Table(table) if !table.is_empty() => key_lines(&key, table, text, lines),
            _ => {
                let before = text.get(..name.span().start).unwrap_or_default();
                lines.insert(key, position(before).0);
            }
        }
    }
}

fn names_secret(key: &str) -> bool {
    key == "env" || key.ends_with(".env")
}

/// Text as a TOML value, if it is one.
fn toml_value(text: &str) -> Option<toml::Value> {
    // A value of its own is not a TOML document; and text with a line break could smuggle in a second key.
    if text.contains('\n') {
        return None;
    }
    format!("value = {text}").parse::<toml::Table>().ok()?.remove("value")
}

fn to_json(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => Value::from(number),
        // TOML has infinities and NaN, JSON does not; no field of ours means one.
        toml::Value::Float(number) => Value::from(number),
        toml::Value::Boolean(truth) => Value::Bool(truth),
        toml::Value::Datetime(when) => Value::String(when.to_string()),
        toml::Value::Array(values) => values.into_iter().map(to_json).collect(),
        toml::Value::Table(table) => {
            Value::Object(table.into_iter().map(|(key, value)| (key, to_json(value))).collect())
        }
    }
}
