//! `workflow build`: the one file that is published, and its content hash.

use std::fs;
use std::path::PathBuf;

use alloy::primitives::{B256, keccak256};
use anstream::println;
use anyhow::{Context, bail};
use clap::Args;
use ditto_sandbox::{Limits, compile_module};
use serde_json::json;

use super::excerpt::excerpt;
use super::explain::{Facts, explain};
use super::manifest::Form;
use super::project::Project;
use super::publication::MAX_CODE;
use super::units::{bytes, counted};
use crate::terminal::{DIM, GOOD};

/// What to build.
#[derive(Args)]
pub struct BuildOptions {
    /// The workflow's directory, or its manifest.
    #[arg(default_value = ".")]
    pub path: PathBuf,
    /// Where the file goes. Default: `dist/` in the workflow's directory.
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Prints path, size and hash as JSON.
    #[arg(long)]
    pub json: bool,
    /// Sets one key of the manifest, such as `publish=compiled`. May be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = super::pair)]
    pub overrides: Vec<(String, String)>,
}

/// The code as it is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// Its bytes: UTF-8 for a script.
    pub code: Vec<u8>,
    /// keccak256 of them: how operators find and check it.
    pub hash: B256,
    /// What a script compiles to, in bytes; 0 for declared calls.
    pub compiled_bytes: usize,
}

/// Compiles the code, and makes of it what is published.
///
/// # Errors
/// When it does not compile or is too large: what, where, and what to do.
pub fn build(project: &Project) -> anyhow::Result<Built> {
    if let Some(declared) = &project.declared {
        return Ok(Built { code: declared.code.clone(), hash: project.code_hash(), compiled_bytes: 0 });
    }
    let limits = Limits::default();
    let compile = |code: &str| compile_module(code, limits.code_nesting);
    let compiled = match compile(&project.code) {
        Ok(compiled) => compiled,
        Err(outcome) => {
            let wall = std::time::Duration::ZERO;
            let facts = Facts { code: &project.code, limits: &limits, wall, reads: &[], notes: &[] };
            let Some(told) = explain(&outcome, &facts) else { bail!("the code does not compile") };
            let shown = |line| excerpt(&project.code_name(), &project.code, line, told.columns.clone());
            let place = told.line.map(shown).unwrap_or_default();
            bail!("{}\n{place}{}", told.headline, told.advice);
        }
    };
    let compiled_bytes = compiled.len();
    let code = match project.manifest.publish {
        Form::Source => project.code.clone(),
        Form::Compiled => {
            // Operators compile what is published once more. JavaScript reads as TypeScript, but for a few odd expressions
            // (`a < b > (c)`); what is published must not be one of them.
            if compile(&compiled).as_ref() != Ok(&compiled) {
                bail!("this code means something else once it is compiled twice; set `publish = \"source\"`");
            }
            compiled
        }
    };
    if code.len() > MAX_CODE {
        bail!(
            "the code has {} bytes, the registry takes {MAX_CODE}; `publish = \"compiled\"` makes it smaller",
            code.len()
        );
    }
    Ok(Built { hash: keccak256(&code), code: code.into_bytes(), compiled_bytes })
}

/// Builds, writes and prints.
///
/// # Errors
/// As [`build`], or when the file cannot be written.
pub fn run(options: &BuildOptions) -> anyhow::Result<()> {
    let project = Project::open(&options.path, &options.overrides)?;
    let built = build(&project)?;
    let (ending, form) = match (&project.declared, project.manifest.publish) {
        (Some(_), _) => ("calls", json!("calls")),
        (None, form @ Form::Source) => ("ts", json!(form)),
        (None, form @ Form::Compiled) => ("js", json!(form)),
    };
    let out = options.out.clone().unwrap_or_else(|| project.dir.join("dist").join(format!("workflow.{ending}")));
    if let Some(dir) = out.parent() {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    }
    fs::write(&out, &built.code).with_context(|| format!("cannot write {}", out.display()))?;
    if options.json {
        let told = json!({ "file": out, "bytes": built.code.len(), "code_hash": built.hash, "form": form });
        println!("{}", serde_json::to_string_pretty(&told)?);
        return Ok(());
    }
    println!("{GOOD}built{GOOD:#} {}", out.display());
    println!("  {DIM}hash{DIM:#}  {}", built.hash);
    let compiled = match (&project.declared, project.manifest.publish) {
        (Some(declared), _) => format!(", {} as operators make them", counted(declared.calls.len(), "call")),
        (None, Form::Source) => format!(", as it is written; {} when compiled", bytes(built.compiled_bytes as u64)),
        (None, Form::Compiled) => ", compiled".into(),
    };
    println!("  {DIM}size{DIM:#}  {}{compiled}", bytes(built.code.len() as u64));
    Ok(())
}
