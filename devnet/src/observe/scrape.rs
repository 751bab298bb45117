//! What the processes say of themselves: `/metrics` and `/status`.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use futures::future::join_all;
use serde::Deserialize;
use serde_json::Value;

use crate::nodes::{Node, Nodes};

/// A slot as one process counts it. Fields that a process does not know are left out by it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct SlotCounts {
    /// The slot.
    pub slot: u64,
    /// Occurrences due, those carried over included.
    pub due: u64,
    /// Runs that ended.
    pub simulated: u64,
    /// Tasks proposed.
    pub proposed: u64,
    /// Tasks approved.
    pub approved: u64,
    /// Tasks rejected.
    pub rejected: u64,
    /// Tasks that nobody decided about in time.
    pub expired: u64,
    /// Tasks whose occurrence another operation executed.
    pub superseded: u64,
    /// From each batch's proposal to its certificate, in milliseconds.
    pub quorum_ms: Vec<u64>,
}

/// What was last heard of one process.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// Its slots, collected over the run: a process remembers only the last ones.
    pub slots: BTreeMap<u64, SlotCounts>,
    /// Its metrics.
    pub metrics: Metrics,
}

/// What was last heard of all processes, by name.
#[derive(Debug, Default)]
pub struct Scraper {
    http: reqwest::Client,
    heard: HashMap<String, Heard>,
}

impl Scraper {
    /// Asks all processes at once. One that does not answer (it may have been killed) keeps what it said last.
    pub async fn scrape(&mut self, nodes: &Nodes) {
        let asked = join_all(nodes.all().map(|node| self.ask(node))).await;
        for (name, status, metrics) in asked {
            let heard = self.heard.entry(name).or_default();
            if let Some(slots) = status.as_ref().and_then(|status| status.get("slots")) {
                heard.slots.extend(read_slots(slots));
            }
            if let Some(text) = metrics {
                heard.metrics = Metrics::parse(&text);
            }
        }
    }

    async fn ask(&self, node: &Node) -> (String, Option<Value>, Option<String>) {
        let get = async |path: &str| {
            let request = self.http.get(format!("{}{path}", node.http)).timeout(Duration::from_millis(500));
            request.send().await.ok()?.error_for_status().ok()?.text().await.ok()
        };
        let (status, metrics) = futures::future::join(get("/status"), get("/metrics")).await;
        (node.name.clone(), status.and_then(|text| serde_json::from_str(&text).ok()), metrics)
    }

    /// What was last heard of a process.
    #[must_use]
    pub fn of(&self, name: &str) -> Option<&Heard> {
        self.heard.get(name)
    }
}

/// Operators show a list of slots, the aggregator a table by slot.
fn read_slots(slots: &Value) -> Vec<(u64, SlotCounts)> {
    let counts = |slots: &Value| SlotCounts::deserialize(slots).unwrap_or_default();
    match slots {
        Value::Array(list) => list.iter().map(counts).map(|counts| (counts.slot, counts)).collect(),
        Value::Object(table) => {
            table.iter().filter_map(|(slot, shown)| Some((slot.parse().ok()?, counts(shown)))).collect()
        }
        _ => Vec::new(),
    }
}

/// One sample.
#[derive(Clone, Debug, PartialEq)]
struct Sample {
    name: String,
    labels: HashMap<String, String>,
    value: f64,
}

/// Metrics in the text format of Prometheus.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Vec<Sample>);

impl Metrics {
    /// Reads the text format; lines that are none are left out.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self(text.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect())
    }

    /// A counter's value, all labels together.
    #[must_use]
    pub fn total(&self, name: &str) -> u64 {
        // Counters are whole and far below 2^53.
        self.0.iter().filter(|sample| sample.name == name).map(|sample| sample.value as u64).sum()
    }

    /// A counter's values by a label.
    #[must_use]
    pub fn by_label(&self, name: &str, label: &str) -> BTreeMap<String, u64> {
        let mut sums = BTreeMap::new();
        for sample in self.0.iter().filter(|sample| sample.name == name) {
            if let Some(value) = sample.labels.get(label) {
                // Counters are whole and far below 2^53.
                *sums.entry(value.clone()).or_default() += sample.value as u64;
            }
        }
        sums
    }
}

fn sample(line: &str) -> Option<Sample> {
    let (series, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok()?;
    let Some((name, labels)) = series.split_once('{') else {
        return Some(Sample { name: series.trim().to_owned(), labels: HashMap::new(), value });
    };
    let labels = labels.trim().strip_suffix('}')?;
    // Values with commas or quotes in them do not occur among ours.
    let labels = labels
        .split(',')
        .filter_map(|label| label.split_once('='))
        .map(|(key, value)| (key.trim().to_owned(), value.trim().trim_matches('"').to_owned()))
        .collect();
    Some(Sample { name: name.to_owned(), labels, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
# HELP ditto_tasks_total Tasks.
# TYPE ditto_tasks_total counter
ditto_tasks_total{state="executed",chain="1"} 3
ditto_tasks_total{state="expired"} 2
up 1
"#;

    #[test]
    fn slots_are_read_from_lists_and_tables() {
        let list = serde_json::json!([{ "slot": 7, "due": 3, "rank": null }]);
        let table = serde_json::json!({ "8": { "proposed": 2, "quorum_ms": [41] } });
        assert_eq!(read_slots(&list)[0].1.due, 3);
        let (slot, counts) = read_slots(&table).remove(0);
        assert_eq!((slot, counts.proposed, counts.quorum_ms), (8, 2, vec![41]));
    }

    #[test]
    fn counters_are_summed_by_label() {
        let metrics = Metrics::parse(TEXT);
        assert_eq!(metrics.by_label("ditto_tasks_total", "state")["executed"], 3);
        assert!(metrics.by_label("up", "state").is_empty());
        assert_eq!(metrics.by_label("ditto_tasks_total", "state")["expired"], 2);
    }
}
