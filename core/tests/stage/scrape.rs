//! The recorder shared by all tests of this binary (each test uses stage names of its own), and stages to attack.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ditto_core::stage::{Actor, DONE, Deadline, Handler, Outbox, Outcome, Work};
use ditto_core::telemetry::Metrics;
use tokio::sync::Semaphore;

pub fn metrics() -> Metrics {
    Metrics::install("test", "0").unwrap()
}

/// A metric's value, 0 when absent. `labels` as in `outcome="done"`; the stage's label is added.
pub fn value(metric: &str, stage: &str, labels: &str) -> f64 {
    let rendered = metrics().render();
    let stage = format!("stage=\"{stage}\"");
    rendered
        .lines()
        .filter(|line| line.starts_with(&format!("{metric}{{")) && line.contains(&stage) && line.contains(labels))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

pub fn drops(stage: &str, reason: &str) -> f64 {
    value("ditto_stage_drops_total", stage, &format!("reason=\"{reason}\""))
}

pub fn items(stage: &str, outcome: &str) -> f64 {
    value("ditto_stage_items_total", stage, &format!("outcome=\"{outcome}\""))
}

/// Offered = handled + dropped + waiting + in service.
pub fn assert_conserved(stage: &str) {
    let offered = value("ditto_stage_items_in_total", stage, "");
    let accounted = value("ditto_stage_items_total", stage, "")
        + value("ditto_stage_drops_total", stage, "")
        + value("ditto_stage_queue_depth", stage, "")
        + value("ditto_stage_busy_workers", stage, "");
    assert!((offered - accounted).abs() < 0.5, "{stage}: {offered} offered, {accounted} accounted for");
}

/// Every series of a stage, with its name taken out: what two stages of any kind must have in common.
pub fn series(stage: &str) -> BTreeSet<String> {
    let label = format!("stage=\"{stage}\"");
    metrics()
        .render()
        .lines()
        .filter(|line| !line.starts_with('#') && line.contains(&label))
        .map(|line| line.rsplit_once(' ').unwrap().0.replace(&label, "stage"))
        .collect()
}

pub async fn eventually(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}

/// Handles an item once the gate lets it.
pub struct Gated {
    pub gate: Arc<Semaphore>,
}

impl Gated {
    pub fn new() -> (Self, Arc<Semaphore>) {
        let gate = Arc::new(Semaphore::new(0));
        (Self { gate: gate.clone() }, gate)
    }
}

impl Handler for Gated {
    type Item = u64;

    async fn handle(&self, _item: u64, _deadline: Deadline) -> Outcome {
        self.gate.acquire().await.unwrap().forget();
        DONE
    }
}

/// Passes items on, from an I/O stage; panics on 13.
pub struct Pass<T>(pub Outbox<T>);

impl Handler for Pass<u64> {
    type Item = u64;

    async fn handle(&self, item: u64, deadline: Deadline) -> Outcome {
        assert_ne!(item, 13, "thirteen");
        tokio::time::sleep(Duration::from_micros(item % 7 * 50)).await;
        if self.0.send(item, deadline).await.is_ok() { DONE } else { "refused" }
    }
}

/// Passes items on, from a CPU stage, and watches how many are worked on at once; panics on 13.
pub struct Compute {
    pub next: Option<Outbox<u64>>,
    pub now: Arc<AtomicUsize>,
    pub most: Arc<AtomicUsize>,
    pub takes: Duration,
}

impl Compute {
    pub fn new(next: Option<Outbox<u64>>, takes: Duration) -> Self {
        Self { next, now: Arc::default(), most: Arc::default(), takes }
    }
}

impl Work for Compute {
    type Item = u64;

    fn work(&self, item: u64, deadline: Deadline) -> Outcome {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        std::thread::sleep(self.takes);
        self.now.fetch_sub(1, Ordering::SeqCst);
        assert_ne!(item, 13, "thirteen");
        match &self.next {
            Some(next) if next.send_blocking(item, deadline).is_err() => "refused",
            _ => DONE,
        }
    }
}

/// Keeps what comes; panics on 13.
#[derive(Default)]
pub struct Keep {
    pub kept: Arc<std::sync::Mutex<Vec<u64>>>,
    pub drained: Arc<AtomicUsize>,
}

impl Actor for Keep {
    type Item = u64;

    async fn handle(&mut self, item: u64, _deadline: Deadline) -> Outcome {
        assert_ne!(item, 13, "thirteen");
        self.kept.lock().unwrap().push(item);
        DONE
    }

    async fn drained(&mut self) {
        self.drained.fetch_add(1, Ordering::SeqCst);
    }
}
