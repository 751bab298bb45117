//! `workflow import`: Ditto workflow documents become workflows like any other.
//!
//! Each job becomes a directory with a `workflow.toml` that declares its calls, so that it can be read, changed, checked,
//! run and published. What was written is opened again before it counts: it has to come to the same bytes as the document.

mod table;

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use alloy::primitives::{Address, B256};
use anstream::println;
use anyhow::{Context, bail};
use clap::Args;
use serde::Serialize;
use serde_json::Value;

use super::known::Known;
use super::project::{MANIFEST, Project};
use super::report::{self, CallReport};
use super::scaffold::{self, Network};
use super::units::{bytes, counted};
use super::{describe, publication, show};
use crate::document::{self, Import, ImportError, ImportedJob, MAX_DOCUMENT, Options};
use crate::terminal::{BAD, BOLD, DIM, GOOD, WARNING, hanging};

/// Documents in one directory.
const MAX_DOCUMENTS: usize = 1_000;
/// Characters of a job's id that its directory's name holds.
const MAX_NAME: usize = 64;
/// Columns before the text of an entry.
const INDENT: usize = 12;

/// What to import.
#[derive(Args)]
pub struct ImportOptions {
    /// A Ditto workflow document (JSON), or a directory: its files `*.json`.
    pub from: PathBuf,
    /// Where the workflows go, each into a directory of its own.
    #[arg(long, default_value = ".")]
    pub out: PathBuf,
    /// Copies the network's slots and chains from this file, an operator's or aggregator's configuration, and imports the
    /// jobs of its target chain. Without it every job is imported for its own chain.
    #[arg(long, value_name = "FILE")]
    pub network: Option<PathBuf>,
    /// The smart account that the workflows act for.
    #[arg(long)]
    pub account: Option<Address>,
    /// Prints what was understood as JSON.
    #[arg(long)]
    pub json: bool,
}

/// A document, and what became of it.
#[derive(Debug, Serialize)]
struct Told {
    file: PathBuf,
    /// The document's owner: of the account, and not the account itself.
    owner: Option<Address>,
    workflows: Vec<Made>,
    left_out: Vec<LeftOut>,
    /// Why nothing was made of it.
    refused: Option<Refusal>,
}

/// A job that became a workflow.
#[derive(Debug, Serialize)]
struct Made {
    job: String,
    directory: PathBuf,
    chain: u64,
    /// When it is due, in words: all at once.
    due: Vec<String>,
    /// How often, and in which time.
    limits: Option<String>,
    calls: Vec<CallReport>,
    code_hash: B256,
    code_bytes: usize,
}

/// A job that another network executes.
#[derive(Debug, Serialize)]
struct LeftOut {
    job: String,
    chain: u64,
    path: String,
    advice: String,
}

/// Why a document is not imported.
#[derive(Debug, Serialize)]
struct Refusal {
    /// The field; empty: the document as a whole.
    path: String,
    /// What is wrong, and what to do.
    problem: String,
}

impl From<ImportError> for Refusal {
    fn from(error: ImportError) -> Self {
        Self { path: error.path, problem: error.problem }
    }
}

/// Imports, prints, and says whether every document was taken.
///
/// # Errors
/// When there is nothing to import, or it cannot be written.
pub fn run(options: &ImportOptions) -> anyhow::Result<bool> {
    let network = options.network.as_deref().map(scaffold::network).transpose()?;
    let mut taken = BTreeSet::new();
    let mut told = Vec::new();
    for file in documents(&options.from)? {
        told.push(one(&file, options, network.as_ref(), &mut taken)?);
    }
    let good = told.iter().all(|told| told.refused.is_none());
    if options.json {
        println!("{}", serde_json::to_string_pretty(&serde_json::json!({ "ok": good, "documents": told }))?);
        return Ok(good);
    }
    told.iter().for_each(print);
    let made: Vec<&Made> = told.iter().flat_map(|told| &told.workflows).collect();
    if let Some(first) = made.first() {
        println!("{}, next:", counted(made.len(), "workflow"));
        let directory = first.directory.display();
        println!("  {BOLD}ditto-operator workflow check {directory}{BOLD:#}              needs no chain");
        println!(
            "  {BOLD}ditto-operator workflow run {directory} --rpc URL{BOLD:#}      tries the calls; nothing is sent"
        );
    }
    Ok(good)
}

/// The file, or the directory's documents by their names.
fn documents(from: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !from.is_dir() {
        return Ok(vec![from.to_owned()]);
    }
    let entries = fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("cannot read {}", from.display()))?.path();
        if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json")) && path.is_file() {
            files.push(path);
        }
    }
    if files.is_empty() {
        bail!("{} has no files *.json; name a document, or the directory that holds them", from.display());
    }
    if files.len() > MAX_DOCUMENTS {
        bail!("{} has {} files *.json; at most {MAX_DOCUMENTS} are imported at once", from.display(), files.len());
    }
    files.sort();
    Ok(files)
}

/// The document's bytes; one too many of them where it is too long, which its reader says.
fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let mut document = Vec::new();
    let opened = fs::File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    opened
        .take(MAX_DOCUMENT as u64 + 1)
        .read_to_end(&mut document)
        .with_context(|| format!("cannot read {}", file.display()))?;
    Ok(document)
}

fn one(
    file: &Path,
    options: &ImportOptions,
    network: Option<&Network>,
    taken: &mut BTreeSet<String>,
) -> anyhow::Result<Told> {
    let mut told =
        Told { file: file.to_owned(), owner: None, workflows: Vec::new(), left_out: Vec::new(), refused: None };
    let document = read(file)?;
    let (imports, parsed) = match understand(&document, network) {
        Ok(understood) => understood,
        Err(error) => {
            told.refused = Some(error.into());
            return Ok(told);
        }
    };
    told.owner = imports.first().map(|(_, import)| import.owner);
    let jobs = parsed["workflow"]["jobs"].as_array().map(Vec::as_slice).unwrap_or_default();
    let at = |id: &str| jobs.iter().position(|job| job["id"] == id).unwrap_or_default();
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or("workflow");
    for (chain, import) in &imports {
        for job in &import.jobs {
            let index = at(&job.id);
            let name = unique(if jobs.len() == 1 { name(stem) } else { name(&format!("{stem}-{}", job.id)) }, taken);
            let text = table::text(&table::Source {
                name: &name,
                file,
                account: options.account,
                chain: *chain,
                network,
                workflow: &parsed["workflow"],
                job: &jobs[index],
                imported: job,
                owner: import.owner,
            });
            let here = options.out.as_os_str() == ".";
            let directory = if here { PathBuf::from(&name) } else { options.out.join(&name) };
            match write(&directory, &text, job)? {
                Ok(made) => told.workflows.push(Made { chain: *chain, ..made }),
                Err(problem) => {
                    told.refused = Some(Refusal { path: format!("workflow.jobs[{index}]"), problem });
                    return Ok(told);
                }
            }
        }
    }
    if network.is_some() {
        for left in imports.iter().flat_map(|(_, import)| &import.elsewhere) {
            told.left_out.push(LeftOut {
                job: left.id.clone(),
                chain: left.chain_id,
                path: format!("workflow.jobs[{}].chainId", at(&left.id)),
                advice: format!("import the document once more, with `--network` of chain {}'s network", left.chain_id),
            });
        }
    }
    Ok(told)
}

/// The document for each chain that it is imported for, and as JSON.
fn understand(document: &[u8], network: Option<&Network>) -> Result<(Vec<(u64, Import)>, Value), ImportError> {
    let chains = match network {
        Some(network) => vec![network.target],
        None => document::chains(document)?,
    };
    let readable = network.map(|network| network.chains.clone());
    let import = |target_chain: u64| {
        let options = Options { target_chain, readable: readable.clone(), split: true };
        document::import(document, &options).map(|import| (target_chain, import))
    };
    // A document without a job is refused as one for a chain, whichever.
    let chains = if chains.is_empty() { vec![1] } else { chains };
    let imports = chains.into_iter().map(import).collect::<Result<Vec<_>, _>>()?;
    Ok((imports, document::parse(document)?))
}

/// Writes the workflow and opens it again. `Ok(Err(…))` says why it cannot be published, or is not what the document says;
/// then nothing is left of it.
fn write(directory: &Path, text: &str, job: &ImportedJob) -> anyhow::Result<Result<Made, String>> {
    let shown = directory.display();
    if directory.exists() && fs::read_dir(directory).map_or(true, |mut entries| entries.next().is_some()) {
        let problem =
            format!("{shown} is there already, and not an empty directory: say with `--out` where else to put it");
        return Ok(Err(problem));
    }
    fs::create_dir_all(directory).with_context(|| format!("cannot make {shown}"))?;
    let manifest = directory.join(MANIFEST);
    fs::write(&manifest, text).with_context(|| format!("cannot write {}", manifest.display()))?;
    let opened = Project::open(directory, &[]).map_err(|error| format!("{error:#}"));
    let made = opened.and_then(|project| same(&project, job).map(|()| told(&project, job, directory)));
    if made.is_err() {
        fs::remove_file(&manifest).with_context(|| format!("cannot remove {}", manifest.display()))?;
        fs::remove_dir(directory).with_context(|| format!("cannot remove {shown}"))?;
    }
    Ok(made)
}

/// That the workflow publishes what the document says, byte by byte.
fn same(project: &Project, job: &ImportedJob) -> Result<(), String> {
    let manifest = &project.manifest;
    let triggers = publication::triggers(manifest).map_err(|error| error.to_string())?;
    let window = publication::window(manifest).map_err(|error| error.to_string())?;
    let policy = publication::policy(manifest).map_err(|error| error.to_string())?;
    let differs = [
        ("calls", project.code_bytes() != job.code),
        ("triggers", triggers != job.triggers),
        ("time of validity", window != (job.valid_after, job.valid_until)),
        ("policy", policy.check(&job.calls, &publication::privileged(manifest)).is_err()),
    ];
    match differs.iter().find(|(_, differs)| *differs) {
        None => Ok(()),
        Some((what, _)) => Err(format!(
            "its {what} did not come out of workflow.toml as they went in; is a variable WORKFLOW_… set? If not, this is a \
             bug of ours: report the document"
        )),
    }
}

fn told(project: &Project, job: &ImportedJob, directory: &Path) -> Made {
    let known = Known::gather(&project.manifest, "");
    Made {
        job: job.id.clone(),
        directory: directory.to_owned(),
        chain: project.manifest.target_chain,
        due: describe::triggers(&project.manifest),
        limits: describe::limits(&project.manifest),
        calls: report::of_calls(&job.calls, &known),
        code_hash: job.code_hash,
        code_bytes: job.code.len(),
    }
}

/// A text as a directory's and a workflow's name.
fn name(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '-' };
    let name: String = text.chars().map(plain).take(MAX_NAME).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "workflow".to_owned() } else { name.to_owned() }
}

/// The name, or with a number behind it where it is taken.
fn unique(name: String, taken: &mut BTreeSet<String>) -> String {
    let numbered = (2_u32..).map(|number| format!("{name}-{number}"));
    let free = std::iter::once(name.clone()).chain(numbered).find(|name| !taken.contains(name)).unwrap_or(name);
    taken.insert(free.clone());
    free
}

fn print(told: &Told) {
    let file = told.file.display();
    if let Some(owner) = told.owner.filter(|_| !told.workflows.is_empty()) {
        println!("{GOOD}imported{GOOD:#} {file} {DIM}of {owner}{DIM:#}");
    }
    for made in &told.workflows {
        println!("  {BOLD}{}{BOLD:#} {DIM}job {:?}, chain {}{DIM:#}", made.directory.display(), made.job, made.chain);
        for (index, due) in made.due.iter().enumerate() {
            entry(if index == 0 { "due" } else { "and" }, due);
        }
        if let Some(limits) = &made.limits {
            entry("limits", limits);
        }
        for call in &made.calls {
            entry("call", &show::in_words(call));
        }
        entry("code", &format!("{}, hash {}", bytes(made.code_bytes as u64), made.code_hash));
    }
    for left in &told.left_out {
        let text = format!("`{}`: job {:?} executes on chain {}: {}", left.path, left.job, left.chain, left.advice);
        println!("  {WARNING}{:<9}{WARNING:#} {}", "left out", hanging(&text, INDENT));
    }
    if let Some(refused) = &told.refused {
        println!("{BAD}refused{BAD:#} {file}");
        let path = if refused.path.is_empty() { String::new() } else { format!("`{}`: ", refused.path) };
        println!("  {}", hanging(&format!("{path}{}", refused.problem), 2));
    }
    println!();
}

fn entry(name: &str, text: &str) {
    println!("    {DIM}{name:<7}{DIM:#} {}", hanging(text, INDENT));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_plain_and_each_is_taken_once() {
        let mut taken = BTreeSet::new();
        let mut named = |text: &str| unique(name(text), &mut taken);
        assert_eq!(named("pay day"), "pay-day");
        assert_eq!(named("pay/day"), "pay-day-2");
        assert_eq!(named("../../etc"), "etc");
        assert_eq!(named(".."), "workflow");
        assert_eq!(named(&"x".repeat(500)).len(), MAX_NAME);
    }

    proptest! {
        #[test]
        fn any_id_gives_a_name_that_leads_nowhere_else(id: String) {
            let name = name(&id);
            prop_assert!(!name.is_empty() && name.len() <= MAX_NAME);
            prop_assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'));
        }
    }
}
