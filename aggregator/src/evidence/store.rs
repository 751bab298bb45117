//! A directory with a file per fault, bounded.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use alloy::primitives::keccak256;

use super::record::{Evidence, Unproven};
use crate::config::EvidenceConfig;

const DIRECTORY: &str = "evidence";
const COUNTER: &str = "ditto_aggregator_equivocations_total";

/// Exports every fault as zero, and says what the counter means.
pub fn describe() {
    metrics::describe_counter!(COUNTER, metrics::Unit::Count, "Proven faults of operators, by what they signed twice.");
    for fault in ["votes", "proposals"] {
        metrics::counter!(COUNTER, "fault" => fault).increment(0);
    }
}

/// Why the directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the evidence directory {path}: {cause}")]
pub struct StoreError {
    path: PathBuf,
    cause: io::Error,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is on the disk.
    New,
    /// It was there.
    Known,
    /// There is no room left, for this operator or at all; the fault is only counted.
    Full,
    /// The disk refused it; the fault is only counted.
    Failed,
}

/// The evidence directory. Clones write to the same.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    directory: PathBuf,
    config: EvidenceConfig,
    index: Mutex<Index>,
}

#[derive(Debug, Default)]
struct Index {
    names: BTreeSet<String>,
    bytes: u64,
    by_operator: HashMap<String, usize>,
}

/// A record as it is listed: what it says, or why its file cannot be read; and whether it is proven.
#[derive(Debug)]
pub struct Listed {
    /// The file's name.
    pub file: String,
    /// The record.
    pub evidence: Result<Evidence, String>,
    /// Its own proof.
    pub proven: Result<(), Unproven>,
}

impl Store {
    /// Opens the directory below a state directory, and counts what is in it.
    ///
    /// # Errors
    /// When it cannot be made or read.
    pub fn open(state_dir: &Path, config: EvidenceConfig) -> Result<Self, StoreError> {
        let directory = state_dir.join(DIRECTORY);
        let failed = |cause| StoreError { path: directory.clone(), cause };
        fs::create_dir_all(&directory).map_err(failed)?;
        let mut index = Index::default();
        for entry in fs::read_dir(&directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') {
                // A crash left it half-written.
                fs::remove_file(entry.path()).map_err(failed)?;
            } else if name.ends_with(".json") {
                index.add(name, entry.metadata().map_err(failed)?.len());
            }
        }
        Ok(Self(Arc::new(Inner { directory, config, index: Mutex::new(index) })))
    }

    /// Keeps a record, durably, if it is new and there is room. A fault that is new, or has no room, is counted.
    pub fn keep(&self, evidence: &Evidence) -> Kept {
        let kept = self.put(evidence).unwrap_or_else(|error| {
            tracing::error!(operator = %evidence.operator, %error, "a proven fault cannot be written down");
            Kept::Failed
        });
        if kept != Kept::Known {
            metrics::counter!(COUNTER, "fault" => evidence.label()).increment(1);
        }
        if kept == Kept::Full {
            tracing::warn!(operator = %evidence.operator, slot = evidence.slot, "no room for more evidence (evidence.per_operator, evidence.max_bytes)");
        }
        kept
    }

    fn put(&self, evidence: &Evidence) -> io::Result<Kept> {
        let Inner { directory, config, index } = &*self.0;
        let (name, operator) = (name(evidence), format!("{:x}", evidence.operator));
        let mut index = index.lock().unwrap_or_else(PoisonError::into_inner);
        if index.names.contains(&name) {
            return Ok(Kept::Known);
        }
        let bytes = serde_json::to_vec_pretty(evidence)?;
        let size = bytes.len() as u64;
        let full = index.by_operator.get(&operator).is_some_and(|count| *count >= config.per_operator);
        if full || index.bytes.saturating_add(size) > config.max_bytes {
            return Ok(Kept::Full);
        }
        let draft = directory.join(format!(".{name}"));
        let mut file = File::create(&draft)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&draft, directory.join(&name))?;
        File::open(directory)?.sync_all()?;
        index.add(name, size);
        Ok(Kept::New)
    }
}

impl Index {
    fn add(&mut self, name: String, size: u64) {
        if let Some(operator) = name.split('-').nth(2) {
            *self.by_operator.entry(operator.to_owned()).or_default() += 1;
        }
        self.bytes = self.bytes.saturating_add(size);
        self.names.insert(name);
    }
}

/// Slot, fault, operator, and what was signed: the same fault has the same name, whenever it is seen.
fn name(evidence: &Evidence) -> String {
    let signed = serde_json::to_vec(&evidence.fault).unwrap_or_default();
    let digest = alloy::hex::encode(&keccak256(signed)[..8]);
    format!("{:012}-{}-{:x}-{digest}.json", evidence.slot, evidence.label(), evidence.operator)
}

/// Everything in the directory below a state directory, in order of slots; each record is checked. An aggregator may run
/// beside it.
///
/// # Errors
/// When the directory cannot be read. One that is not there is empty.
pub fn list(state_dir: &Path) -> Result<Vec<Listed>, StoreError> {
    let directory = state_dir.join(DIRECTORY);
    if !directory.exists() {
        return Ok(Vec::new());
    }
    let failed = |cause| StoreError { path: directory.clone(), cause };
    let mut names = Vec::new();
    for entry in fs::read_dir(&directory).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".json") && !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort();
    let read = |file: String| {
        let text = fs::read(directory.join(&file)).map_err(|error| error.to_string());
        let evidence =
            text.and_then(|text| serde_json::from_slice::<Evidence>(&text).map_err(|error| error.to_string()));
        let proven = evidence.as_ref().map_or(Err(Unproven::Malformed), Evidence::verify);
        Listed { file, evidence, proven }
    };
    Ok(names.into_iter().map(read).collect())
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
