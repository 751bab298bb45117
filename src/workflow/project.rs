//! A workflow's directory: the manifest and the code it names.

use std::path::{Path, PathBuf};

use alloy::primitives::{B256, keccak256};
use anyhow::{Context, bail};

use super::manifest::Manifest;
use super::publication::MAX_CODE;

/// The manifest's name in a workflow's directory.
pub const MANIFEST: &str = "workflow.toml";
/// Read at most: more than any code that can be published, little enough for a slip of the path.
const MAX_READ: u64 = 4 << 20;

/// A workflow on its author's disk.
#[derive(Debug)]
pub struct Project {
    /// Its directory.
    pub dir: PathBuf,
    /// Where the manifest is.
    pub manifest_path: PathBuf,
    /// The manifest.
    pub manifest: Manifest,
    /// Where the code is.
    pub code_path: PathBuf,
    /// The TypeScript.
    pub code: String,
}

impl Project {
    /// Opens the workflow in a directory, or the one with this manifest.
    ///
    /// # Errors
    /// Says what is missing or wrong, and what to do.
    pub fn open(path: &Path, overrides: &[(String, String)]) -> anyhow::Result<Self> {
        let manifest_path = if path.is_dir() { path.join(MANIFEST) } else { path.to_owned() };
        if !manifest_path.is_file() {
            bail!(
                "there is no {}: go to a workflow's directory, name one, or make one with `ditto-operator workflow new`",
                manifest_path.display()
            );
        }
        let manifest = Manifest::load(&manifest_path, overrides)?.value;
        let dir = manifest_path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let code_path = dir.join(&manifest.code);
        let code = read(&code_path)?;
        Ok(Self { dir: dir.to_owned(), manifest_path, manifest, code_path, code })
    }

    /// keccak256 of the TypeScript as it is written.
    #[must_use]
    pub fn code_hash(&self) -> B256 {
        keccak256(&self.code)
    }

    /// The code's path as its author would write it.
    #[must_use]
    pub fn code_name(&self) -> String {
        let path = self.code_path.strip_prefix("./").unwrap_or(&self.code_path);
        path.display().to_string()
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    let size = std::fs::metadata(path)
        .with_context(|| format!("cannot read {} (`code` in {MANIFEST} names it)", path.display()))?
        .len();
    if size > MAX_READ {
        bail!("{} has {size} bytes; the registry takes {MAX_CODE}", path.display());
    }
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    String::from_utf8(bytes).with_context(|| format!("{} is not UTF-8 text", path.display()))
}
