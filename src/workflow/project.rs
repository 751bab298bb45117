//! A workflow's directory: the manifest and the code it names, or the steps it declares.

use std::path::{Path, PathBuf};

use alloy::primitives::{B256, keccak256};
use anyhow::{Context, bail};
use ditto_sandbox::Call;

use super::manifest::Manifest;
use super::publication::{self, MAX_CODE};

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
    /// The TypeScript; empty where steps are declared.
    pub code: String,
    /// What the manifest declares instead of TypeScript.
    pub declared: Option<Declared>,
}

/// Calls that need no script: operators make them as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// The calls, in order.
    pub calls: Vec<Call>,
    /// What is published as code.
    pub code: Vec<u8>,
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
        let declared = publication::declared(&manifest).with_context(|| manifest_path.display().to_string())?;
        let (code_path, code) = match &declared {
            Some(_) => (manifest_path.clone(), String::new()),
            None => {
                let path = dir.join(manifest.code());
                let code = read(&path)?;
                (path, code)
            }
        };
        Ok(Self { dir: dir.to_owned(), manifest_path, manifest, code_path, code, declared })
    }

    /// The TypeScript as it is written, or the declared calls as they are published.
    #[must_use]
    pub fn code_bytes(&self) -> &[u8] {
        self.declared.as_ref().map_or(self.code.as_bytes(), |declared| &declared.code)
    }

    /// keccak256 of [`Self::code_bytes`].
    #[must_use]
    pub fn code_hash(&self) -> B256 {
        keccak256(self.code_bytes())
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
