//! Full queues and passed deadlines.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ditto_core::stage::{Deadline, Handler, Outcome, Pipeline, Refused, StageConfig};

use crate::scrape::{Compute, Gated, assert_conserved, drops, eventually, items, metrics, value};

fn soon() -> Deadline {
    Deadline::after(Duration::from_millis(50))
}

#[tokio::test]
async fn a_dropping_stage_drops_at_once_and_counts() {
    metrics();
    let mut pipeline = Pipeline::new("test", Duration::from_secs(5));
    let (outbox, inbox) = pipeline.queue("dropping", &StageConfig::dropping(2, 1));
    let (gated, gate) = Gated::new();
    pipeline.io(inbox, gated);
    outbox.send(0, Deadline::none()).await.unwrap();
    eventually("the first is in service", || outbox.depth() == 0).await;
    let began = Instant::now();
    let refused = {
        let mut refused = 0;
        for n in 1..=10 {
            match outbox.send(n, Deadline::none()).await {
                Ok(()) => {}
                Err(Refused::Full(item)) => {
                    assert_eq!(item, n);
                    refused += 1;
                }
                Err(other) => panic!("{other:?}"),
            }
        }
        refused
    };
    assert!(began.elapsed() < Duration::from_secs(1));
    assert_eq!((refused, outbox.depth()), (8, 2));
    assert!((drops("dropping", "full") - 8.0).abs() < 0.5);
    let gauges = [
        ("ditto_stage_queue_depth", 2.0),
        ("ditto_stage_queue_capacity", 2.0),
        ("ditto_stage_busy_workers", 1.0),
        ("ditto_stage_workers", 1.0),
        ("ditto_stage_drops_total", 8.0),
    ];
    for (metric, expected) in gauges {
        let found = value(metric, "dropping", "");
        assert!((found - expected).abs() < 0.5, "{metric}: {found}");
    }
    assert_conserved("dropping");
    gate.add_permits(3);
    drop(outbox);
    assert!(pipeline.shutdown().await.is_clean());
    assert!((items("dropping", "done") - 3.0).abs() < 0.5);
    assert_conserved("dropping");
}

/// An item that knows how many of its kind exist.
struct Heavy(Arc<AtomicUsize>);

impl Heavy {
    fn new(alive: &Arc<AtomicUsize>, most: &AtomicUsize) -> Self {
        most.fetch_max(alive.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        Self(alive.clone())
    }
}

impl Drop for Heavy {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Slow;

impl Handler for Slow {
    type Item = Heavy;

    async fn handle(&self, item: Heavy, _deadline: Deadline) -> Outcome {
        tokio::time::sleep(Duration::from_micros(200)).await;
        drop(item);
        "done"
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn back_pressure_bounds_what_exists_and_loses_nothing() {
    metrics();
    let (alive, most) = (Arc::new(AtomicUsize::new(0)), AtomicUsize::new(0));
    let mut pipeline = Pipeline::new("test", Duration::from_secs(20));
    let (outbox, inbox) = pipeline.queue("pressed", &StageConfig::waiting(4, 3));
    pipeline.io(inbox, Slow);
    for _ in 0..500 {
        outbox.send(Heavy::new(&alive, &most), Deadline::none()).await.unwrap();
    }
    drop(outbox);
    assert!(pipeline.shutdown().await.is_clean());
    // Four wait, three are handled, one is in the sender's hand.
    assert!(most.load(Ordering::SeqCst) <= 4 + 3 + 1, "{most:?} existed at once");
    assert_eq!(alive.load(Ordering::SeqCst), 0);
    assert!((items("pressed", "done") - 500.0).abs() < 0.5);
    assert_conserved("pressed");
}

#[tokio::test]
async fn a_sender_waits_until_the_deadline_and_no_longer() {
    metrics();
    let mut pipeline = Pipeline::new("test", Duration::from_secs(5));
    let (outbox, inbox) = pipeline.queue("late", &StageConfig::waiting(1, 1));
    let (gated, gate) = Gated::new();
    pipeline.io(inbox, gated);
    outbox.send(0, Deadline::none()).await.unwrap();
    eventually("the first is in service", || outbox.depth() == 0).await;
    outbox.send(1, Deadline::none()).await.unwrap();
    let began = Instant::now();
    assert!(matches!(outbox.send(2, soon()).await, Err(Refused::Expired(2))));
    assert!(began.elapsed() >= Duration::from_millis(50) && began.elapsed() < Duration::from_secs(2));
    let blocking = outbox.clone();
    let refused = tokio::task::spawn_blocking(move || blocking.send_blocking(3, soon())).await.unwrap();
    assert!(matches!(refused, Err(Refused::Expired(3))));
    assert!(matches!(outbox.try_send(4, Deadline::none()), Err(Refused::Full(4))));
    assert!((drops("late", "deadline") - 2.0).abs() < 0.5);
    // Room that comes in time is taken, by tasks and threads alike.
    let blocking = outbox.clone();
    let waiting = tokio::task::spawn_blocking(move || blocking.send_blocking(5, Deadline::none()));
    tokio::time::sleep(Duration::from_millis(20)).await;
    gate.add_permits(10);
    waiting.await.unwrap().unwrap();
    outbox.send(6, Deadline::none()).await.unwrap();
    drop(outbox);
    assert!(pipeline.shutdown().await.is_clean());
    assert!((items("late", "done") - 4.0).abs() < 0.5);
    assert_conserved("late");
}

#[tokio::test]
async fn what_is_past_its_deadline_is_not_handled() {
    metrics();
    let mut pipeline = Pipeline::new("test", Duration::from_secs(5));
    let (outbox, inbox) = pipeline.queue("stale", &StageConfig::waiting(8, 1));
    let (gated, gate) = Gated::new();
    pipeline.io(inbox, gated);
    outbox.send(0, Deadline::none()).await.unwrap();
    for n in 1..=3 {
        outbox.send(n, soon()).await.unwrap();
    }
    outbox.send(4, Deadline::none()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(80)).await;
    assert!(matches!(outbox.send(5, Deadline::at(Instant::now())).await, Err(Refused::Expired(5))));
    gate.add_permits(10);
    drop(outbox);
    assert!(pipeline.shutdown().await.is_clean());
    assert!((items("stale", "done") - 2.0).abs() < 0.5);
    assert!((drops("stale", "deadline") - 4.0).abs() < 0.5);
    assert_conserved("stale");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cpu_stage_passes_back_pressure_on_and_never_works_on_more_than_its_workers() {
    metrics();
    let mut pipeline = Pipeline::new("test", Duration::from_secs(20));
    let (first, to_first) = pipeline.queue("cpu_first", &StageConfig::waiting(4, 3));
    let (second, to_second) = pipeline.queue("cpu_second", &StageConfig::waiting(1, 2));
    let one = Compute::new(Some(second.clone()), Duration::from_micros(100));
    let two = Compute::new(None, Duration::from_micros(400));
    let (most_one, most_two) = (one.most.clone(), two.most.clone());
    drop(second);
    pipeline.cpu(to_first, one).unwrap();
    pipeline.cpu(to_second, two).unwrap();
    for n in 100..700 {
        first.send(n, Deadline::none()).await.unwrap();
    }
    drop(first);
    assert!(pipeline.shutdown().await.is_clean());
    assert!((items("cpu_second", "done") - 600.0).abs() < 0.5);
    assert_eq!((most_one.load(Ordering::SeqCst), most_two.load(Ordering::SeqCst)), (3, 2));
    assert_conserved("cpu_first");
    assert_conserved("cpu_second");
}
