//! Tells Prometheus which nodes there are.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::json;

use crate::nodes::{Node, Nodes};

/// A file of targets in the format of `file_sd_configs`; it is removed when this is dropped, as its ports will be others'.
#[derive(Debug)]
pub struct Targets(PathBuf);

impl Targets {
    /// Writes the file under another name first: Prometheus reads it whenever it changes.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(path: &Path, nodes: &Nodes) -> anyhow::Result<Self> {
        let operators = group("ditto-operator", nodes.operators.iter());
        let aggregators = group("ditto-aggregator", std::iter::once(&nodes.aggregator).chain(&nodes.standby));
        let text = json!([operators, aggregators]).to_string();
        let draft = path.with_extension("draft");
        std::fs::write(&draft, text).with_context(|| format!("cannot write {}", draft.display()))?;
        std::fs::rename(&draft, path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self(path.to_owned()))
    }
}

impl Drop for Targets {
    fn drop(&mut self) {
        // Prometheus then finds nobody there, and says so.
        std::fs::remove_file(&self.0).ok();
    }
}

/// The nodes of one job, by the job names that dashboards and alerts know.
fn group<'a>(job: &str, nodes: impl Iterator<Item = &'a Node>) -> serde_json::Value {
    let addresses: Vec<_> = nodes.map(|node| node.http.trim_start_matches("http://")).collect();
    json!({ "targets": addresses, "labels": { "job": job } })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_file_names_every_node_under_its_job_and_goes_with_the_network() {
        let node = |port| Node { name: "n".into(), http: format!("http://127.0.0.1:{port}"), byzantine: false };
        let nodes = Nodes { aggregator: node(1), standby: Some(node(2)), operators: vec![node(3), node(4)] };
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("normal.json");
        let targets = Targets::write(&path, &nodes).unwrap();
        let written: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(
            written,
            json!([
                { "targets": ["127.0.0.1:3", "127.0.0.1:4"], "labels": { "job": "ditto-operator" } },
                { "targets": ["127.0.0.1:1", "127.0.0.1:2"], "labels": { "job": "ditto-aggregator" } },
            ])
        );
        drop(targets);
        assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none());
    }
}
