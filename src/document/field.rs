//! A place in a document, which knows its path: every error names it.

use alloy::primitives::Address;
use serde_json::Value;

/// The longest piece of the document that is shown in an error, in characters.
const SHOWN: usize = 80;

/// What is wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{problem}", if path.is_empty() { String::new() } else { format!("`{path}`: ") })]
pub struct ImportError {
    /// Where, such as `workflow.triggers[1].params.schedule`; empty: the document as a whole.
    pub path: String,
    /// What is wrong, and what to write instead.
    pub problem: String,
}

impl ImportError {
    pub(super) fn new(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { path: path.into(), problem: problem.into() }
    }
}

/// A value at a path.
#[derive(Clone, Debug)]
pub(super) struct Field<'a> {
    value: &'a Value,
    path: String,
}

impl<'a> Field<'a> {
    pub(super) fn root(value: &'a Value) -> Self {
        Self::named(value, "")
    }

    /// A value that stands at this path of whatever it is a part of.
    pub(super) fn named(value: &'a Value, path: &str) -> Self {
        Self { value, path: path.to_owned() }
    }

    /// The value, whatever it is.
    pub(super) fn value(&self) -> &'a Value {
        self.value
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn wrong(&self, problem: impl Into<String>) -> ImportError {
        ImportError::new(self.path.clone(), problem)
    }

    fn is_not(&self, wanted: &str) -> ImportError {
        let text = self.value.to_string();
        let shown: String = text.chars().take(SHOWN).collect();
        let more = if shown.len() < text.len() { "…" } else { "" };
        self.wrong(format!("{shown}{more} is not {wanted}"))
    }

    fn at(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Whether a key is there and not null.
    pub(super) fn optional(&self, name: &str) -> Option<Field<'a>> {
        let value = self.value.get(name).filter(|value| !value.is_null())?;
        Some(Field { value, path: self.at(name) })
    }

    pub(super) fn required(&self, name: &str) -> Result<Field<'a>, ImportError> {
        if !self.value.is_object() {
            return Err(self.is_not("an object"));
        }
        self.optional(name).ok_or_else(|| ImportError::new(self.at(name), "it is missing"))
    }

    /// That it is an object with no other keys than these: a misspelled filter would let everything through.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), ImportError> {
        let Some(object) = self.value.as_object() else { return Err(self.is_not("an object")) };
        match object.keys().find(|key| !known.contains(&key.as_str())) {
            None => Ok(()),
            Some(other) => {
                let key: String = other.chars().take(SHOWN).collect();
                Err(ImportError::new(self.at(&key), format!("it is not known here; known are {}", known.join(", "))))
            }
        }
    }

    /// The entries of an object.
    pub(super) fn entries(&self) -> Result<impl Iterator<Item = (&'a str, Field<'a>)> + use<'a, '_>, ImportError> {
        let object = self.value.as_object().ok_or_else(|| self.is_not("an object"))?;
        Ok(object.iter().map(|(key, value)| (key.as_str(), Field { value, path: self.at(key) })))
    }

    /// The items of a list.
    pub(super) fn items(&self) -> Result<impl ExactSizeIterator<Item = Field<'a>> + use<'a>, ImportError> {
        let list = self.value.as_array().ok_or_else(|| self.is_not("a list"))?;
        let path = self.path.clone();
        let item = move |(index, value)| Field { value, path: format!("{path}[{index}]") };
        Ok(list.iter().enumerate().map(item))
    }

    pub(super) fn text(&self) -> Result<&'a str, ImportError> {
        self.value.as_str().ok_or_else(|| self.is_not("a text"))
    }

    /// A whole number above zero; as text as well, for some tools write numbers so.
    pub(super) fn positive(&self) -> Result<u64, ImportError> {
        let number = match self.value {
            Value::Number(number) => number.as_u64(),
            Value::String(text) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
                text.parse().ok()
            }
            _ => None,
        };
        number.filter(|number| *number > 0).ok_or_else(|| self.is_not("a whole number above zero and below 2^64"))
    }

    pub(super) fn address(&self) -> Result<Address, ImportError> {
        let text = self.value.as_str().unwrap_or_default();
        let right = text.len() == 42 && text.starts_with("0x");
        let address = right.then(|| text.parse().ok()).flatten();
        address.ok_or_else(|| self.is_not("an address: 0x and 40 hexadecimal digits"))
    }
}
