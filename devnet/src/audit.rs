//! What the aggregator's ledger says when it has been killed for the last time.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

/// What killing the aggregator came to.
#[derive(Clone, Debug, Serialize)]
pub struct Audit {
    /// How often it was killed.
    pub kills: u64,
    /// Tasks in its ledger, by state.
    pub tasks: BTreeMap<String, u64>,
    /// Operations that its ledger says were executed in two of its batches.
    pub decided_twice: u64,
    /// Submissions that others had mined: the standby, where one ran, and operators.
    pub taken_over: u64,
    /// By whom.
    pub taken_over_by: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
struct Line {
    user_op_hash: String,
    state: String,
}

/// Reads the ledger of an aggregator that does not run.
///
/// # Errors
/// When it cannot be read, which a kill must not lead to.
pub fn read(program: &Path, config: &Path, kills: u64) -> anyhow::Result<Audit> {
    let output = Command::new(program)
        .args(["ledger", "--json", "--config"])
        .arg(config)
        .output()
        .with_context(|| format!("cannot run {}", program.display()))?;
    ensure!(output.status.success(), "the ledger does not open: {}", String::from_utf8_lossy(&output.stderr));
    let mut tasks: BTreeMap<String, u64> = BTreeMap::new();
    let mut executed: HashMap<String, u64> = HashMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let line: Line = serde_json::from_str(line).context("a line of the ledger cannot be read")?;
        if line.state == "executed" {
            *executed.entry(line.user_op_hash).or_default() += 1;
        }
        *tasks.entry(line.state).or_default() += 1;
    }
    let decided_twice = executed.values().filter(|times| **times > 1).count() as u64;
    Ok(Audit { kills, tasks, decided_twice, taken_over: 0, taken_over_by: BTreeMap::new() })
}
