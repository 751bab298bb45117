//! `workflow new`: a directory that checks and runs as it is.

use std::fs;
use std::path::{Path, PathBuf};

use alloy::primitives::Address;
use anstream::println;
use anyhow::{Context, bail};
use clap::Args;

use super::project::MANIFEST;
use crate::terminal::{BOLD, GOOD};

const WORKFLOW: &str = include_str!("template/workflow.ts");
const TABLE: &str = include_str!("template/workflow.toml");
const TSCONFIG: &str = include_str!("template/tsconfig.json");
const README: &str = include_str!("template/README.md");
/// The types that ship with the SDK; an editor completes them.
const TYPES: [(&str, &str); 2] = [
    ("sdk/viem.d.ts", include_str!("../../workflows/sdk/viem.d.ts")),
    ("sdk/workflow.d.ts", include_str!("../../workflows/sdk/workflow.d.ts")),
];
/// Where a chain is looked for when no network is named: a local anvil.
const LOCAL: &str = "[chains.31337]\nrpc = [\"http://127.0.0.1:8545\"]\n\n\
                     # To publish: Ditto's contracts on the target chain, and when its slots begin. Your network's\n\
                     # announcement has both; `workflow new --network FILE` copies them from a node's configuration.\n\
                     # [chains.31337.contracts]\n# [network]\n";

/// What to make.
#[derive(Args)]
pub struct NewOptions {
    /// The directory to make; its last part becomes the workflow's name.
    pub path: PathBuf,
    /// Copies the network's slots and chains from this file: an operator's or aggregator's configuration.
    #[arg(long, value_name = "FILE")]
    pub network: Option<PathBuf>,
    /// The smart account that it acts for.
    #[arg(long)]
    pub account: Option<Address>,
}

/// Makes it.
///
/// # Errors
/// When something is there already, or cannot be written.
pub fn new(options: &NewOptions) -> anyhow::Result<()> {
    let path = &options.path;
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if name.is_empty() || name.contains(['"', '\\']) || name.chars().any(char::is_control) {
        bail!("{} does not end in a name for the workflow", path.display());
    }
    if path.exists() && fs::read_dir(path).map_or(true, |mut entries| entries.next().is_some()) {
        bail!("{} is there already, and not an empty directory; choose another name", path.display());
    }
    let network = match &options.network {
        Some(file) => network(file)?,
        None => Network { target: 31_337, first_block: None, tables: LOCAL.to_owned(), chains: vec![31_337] },
    };
    let first = network.first_block.map_or_else(String::new, |first| format!("registry_first_block = {first}\n"));
    let account = match options.account {
        Some(account) => format!("account = \"{account}\""),
        None => "# account = \"0x…\"                 # the smart account it acts for; publishing needs it".into(),
    };
    let table = TABLE
        .replace("@NAME@", name)
        .replace("@ACCOUNT@", &account)
        .replace("@TARGET@", &network.target.to_string())
        .replace("@FIRST@", &first)
        .replace("@CHAINS@\n", &network.tables);
    let files = [("workflow.ts", WORKFLOW), (MANIFEST, &table), ("tsconfig.json", TSCONFIG), ("README.md", README)];
    fs::create_dir_all(path.join("sdk")).with_context(|| format!("cannot make {}", path.display()))?;
    for (file, content) in files.iter().chain(&TYPES) {
        let file = path.join(file);
        fs::write(&file, content).with_context(|| format!("cannot write {}", file.display()))?;
    }
    println!("{GOOD}made{GOOD:#} {}", path.display());
    println!("  workflow.ts    what it does: the template keeps an account's balance above a floor");
    println!("  {MANIFEST}  when it runs, for which account, with which arguments, and what it may call");
    println!("  sdk/           types of all that it may import; an editor completes them");
    println!("\nNext, in that directory:");
    println!("  {BOLD}ditto-operator workflow check{BOLD:#}            compiles it, and checks policy and triggers");
    println!("  {BOLD}ditto-operator workflow run --rpc URL{BOLD:#}    runs it once; nothing is sent");
    Ok(())
}

/// What is taken over from a node's configuration.
pub(super) struct Network {
    /// The target chain.
    pub(super) target: u64,
    /// The first block that can hold a publication.
    pub(super) first_block: Option<i64>,
    /// `[network]` and `[chains.…]`.
    pub(super) tables: String,
    /// The chains of the tables.
    pub(super) chains: Vec<u64>,
}

/// Reads an operator's or aggregator's configuration.
pub(super) fn network(file: &Path) -> anyhow::Result<Network> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut table: toml::Table = text.parse().with_context(|| format!("{} is not TOML", file.display()))?;
    let missing = |key: &str| format!("{}: `{key}` is missing; is it a node's configuration?", file.display());
    let network = table.get("network").and_then(toml::Value::as_table).with_context(|| missing("network"))?;
    let target = network.get("target_chain").and_then(toml::Value::as_integer);
    let target = target.and_then(|id| u64::try_from(id).ok()).with_context(|| missing("network.target_chain"))?;
    let slots = ["genesis_seconds", "slot_seconds"];
    let slots = slots.into_iter().filter_map(|key| Some((key.to_owned(), network.get(key)?.clone()))).collect();
    let first_block = table.get("registry_first_block").and_then(toml::Value::as_integer);
    let chains = table.remove("chains").with_context(|| missing("chains"))?;
    let known = chains.as_table().with_context(|| missing("chains"))?.keys().filter_map(|id| id.parse().ok()).collect();
    let kept =
        toml::Table::from_iter([("network".to_owned(), toml::Value::Table(slots)), ("chains".to_owned(), chains)]);
    Ok(Network { target, first_block, tables: toml::to_string(&kept)?, chains: known })
}
