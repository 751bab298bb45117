//! What the processes say of themselves: `/metrics` and `/status`.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use futures::future::join_all;
use serde::Deserialize;
use serde_json::Value;

use crate::nodes::{Node, Nodes};

/// A slot as one process counts it. Fields that a process does not know are left out by it.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
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
                for counts in Vec::<SlotCounts>::deserialize(slots).unwrap_or_default() {
                    heard.slots.insert(counts.slot, counts);
                }
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

    /// The sum of a metric over all samples whose label has one of these values; over all, when no label is named.
    #[must_use]
    pub fn sum(&self, name: &str, label: Option<(&str, &[&str])>) -> f64 {
        let wanted = |sample: &&Sample| {
            sample.name == name
                && label.is_none_or(|(label, values)| {
                    sample.labels.get(label).is_some_and(|value| values.contains(&value.as_str()))
                })
        };
        self.0.iter().filter(wanted).map(|sample| sample.value).sum()
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

    /// A quantile of a histogram, between bucket bounds by straight lines (as Prometheus does it); `None` when nothing
    /// was observed.
    #[must_use]
    pub fn quantile(&self, name: &str, quantile: f64) -> Option<f64> {
        let bucket = format!("{name}_bucket");
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        for sample in self.0.iter().filter(|sample| sample.name == bucket) {
            let bound = sample.labels.get("le").and_then(|le| le.parse().ok()).unwrap_or(f64::INFINITY);
            match buckets.iter_mut().find(|(at, _)| *at == bound) {
                Some((_, count)) => *count += sample.value,
                None => buckets.push((bound, sample.value)),
            }
        }
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let total = buckets.last().map(|(_, count)| *count).filter(|total| *total > 0.0)?;
        let rank = quantile * total;
        let mut below = (0.0, 0.0);
        for (bound, count) in buckets {
            if count >= rank {
                if bound.is_infinite() || count <= below.1 {
                    return Some(below.0);
                }
                return Some(below.0 + (bound - below.0) * (rank - below.1) / (count - below.1));
            }
            below = (bound, count);
        }
        Some(below.0)
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
wait_seconds_bucket{le="0.1"} 10
wait_seconds_bucket{le="0.2"} 20
wait_seconds_bucket{le="+Inf"} 20
wait_seconds_sum 2.5
"#;

    #[test]
    fn counters_are_summed_by_label() {
        let metrics = Metrics::parse(TEXT);
        assert_eq!(metrics.sum("ditto_tasks_total", None), 5.0);
        assert_eq!(metrics.sum("ditto_tasks_total", Some(("state", &["executed"]))), 3.0);
        assert_eq!(metrics.sum("up", None), 1.0);
        assert_eq!(metrics.by_label("ditto_tasks_total", "state")["expired"], 2);
    }

    #[test]
    fn quantiles_lie_between_bounds() {
        let metrics = Metrics::parse(TEXT);
        assert!((metrics.quantile("wait_seconds", 0.75).unwrap() - 0.15).abs() < 1e-9);
        assert!((metrics.quantile("wait_seconds", 0.25).unwrap() - 0.05).abs() < 1e-9);
        assert_eq!(metrics.quantile("none_seconds", 0.5), None);
    }
}
