//! What the three kinds of stage have in common: metrics, panics. And what is the actor's own: its timer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ditto_core::stage::{Actor, DONE, Deadline, Outcome, Pipeline, StageConfig, Work};

use crate::scrape::{Compute, Gated, Keep, Pass, assert_conserved, eventually, items, metrics, series, value};

#[tokio::test]
async fn every_kind_exports_the_same_series_from_the_start_and_with_help() {
    metrics();
    let mut pipeline = Pipeline::new("test", Duration::from_secs(5));
    let (_io, inbox) = pipeline.queue("same_io", &StageConfig::waiting(7, 2));
    pipeline.io(inbox, Gated::new().0);
    let (_cpu, inbox) = pipeline.queue("same_cpu", &StageConfig::dropping(7, 2));
    pipeline.cpu(inbox, Compute::new(None, Duration::ZERO)).unwrap();
    let (_actor, inbox) = pipeline.queue("same_actor", &StageConfig::waiting(7, 1));
    pipeline.actor(inbox, Keep::default());
    let io = series("same_io");
    assert_eq!(io, series("same_cpu"));
    assert_eq!(io, series("same_actor"));
    for metric in [
        "ditto_stage_queue_depth",
        "ditto_stage_queue_capacity",
        "ditto_stage_items_in_total",
        "ditto_stage_items_total",
        "ditto_stage_wait_seconds_bucket",
        "ditto_stage_service_seconds_bucket",
        "ditto_stage_busy_workers",
        "ditto_stage_workers",
        "ditto_stage_drops_total",
        "ditto_stage_panics_total",
    ] {
        assert!(io.iter().any(|series| series.starts_with(&format!("{metric}{{"))), "no {metric} in {io:#?}");
        let name = metric.trim_end_matches("_bucket");
        assert!(metrics().render().contains(&format!("# HELP {name} ")), "no help for {name}");
    }
    assert!((value("ditto_stage_queue_capacity", "same_io", "") - 7.0).abs() < 0.5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_costs_one_item_and_is_counted() {
    metrics();
    let mut pipeline = Pipeline::new("test", Duration::from_secs(5));
    let (io, to_io) = pipeline.queue("panic_io", &StageConfig::waiting(8, 2));
    let (cpu, to_cpu) = pipeline.queue("panic_cpu", &StageConfig::waiting(8, 2));
    let (actor, to_actor) = pipeline.queue("panic_actor", &StageConfig::waiting(8, 1));
    let keep = Keep::default();
    let kept = keep.kept.clone();
    pipeline.io(to_io, Pass(actor.clone()));
    pipeline.cpu(to_cpu, Compute::new(Some(actor.clone()), Duration::ZERO)).unwrap();
    pipeline.actor(to_actor, keep);
    for n in [1, 13, 2, 13, 3] {
        io.send(n, Deadline::none()).await.unwrap();
        cpu.send(n + 100 * u64::from(n != 13), Deadline::none()).await.unwrap();
        actor.send(n + 200 * u64::from(n != 13), Deadline::none()).await.unwrap();
    }
    drop((io, cpu, actor));
    assert!(pipeline.shutdown().await.is_clean());
    let mut kept = kept.lock().unwrap().clone();
    kept.sort_unstable();
    assert_eq!(kept, [1, 2, 3, 101, 102, 103, 201, 202, 203]);
    for stage in ["panic_io", "panic_cpu", "panic_actor"] {
        assert!((items(stage, "panicked") - 2.0).abs() < 0.5, "{stage}");
        assert!((value("ditto_stage_panics_total", stage, "") - 2.0).abs() < 0.5, "{stage}");
        assert!(value("ditto_stage_busy_workers", stage, "").abs() < 0.5, "{stage}");
        assert_conserved(stage);
    }
}

/// Ticks every few milliseconds, or (when broken) panics in its tick and never moves its instant.
struct Ticking {
    next: Instant,
    ticks: Arc<AtomicUsize>,
    broken: bool,
}

impl Actor for Ticking {
    type Item = u64;

    async fn handle(&mut self, _item: u64, _deadline: Deadline) -> Outcome {
        tokio::time::sleep(Duration::from_millis(2)).await;
        DONE
    }

    fn next_tick(&self) -> Option<Instant> {
        Some(self.next)
    }

    async fn tick(&mut self) {
        self.ticks.fetch_add(1, Ordering::SeqCst);
        assert!(!self.broken, "broken timer");
        self.next = Instant::now() + Duration::from_millis(5);
    }
}

#[tokio::test]
async fn a_timer_runs_under_load_and_a_broken_one_does_not_stop_the_items() {
    metrics();
    for (stage, broken) in [("ticking", false), ("ticking_broken", true)] {
        let mut pipeline = Pipeline::new("test", Duration::from_secs(5));
        let (outbox, inbox) = pipeline.queue(stage, &StageConfig::waiting(64, 1));
        let ticks = Arc::new(AtomicUsize::new(0));
        pipeline.actor(inbox, Ticking { next: Instant::now(), ticks: ticks.clone(), broken });
        for n in 0..60 {
            outbox.send(n, Deadline::none()).await.unwrap();
        }
        eventually("all are handled", || items(stage, "done") > 59.5).await;
        let ticked = ticks.load(Ordering::SeqCst);
        assert!(if broken { ticked == 1 } else { ticked > 5 }, "{stage} ticked {ticked} times");
        drop(outbox);
        assert!(pipeline.shutdown().await.is_clean());
    }
}

/// Two halves that wait for each other, so one thread alone would never end.
struct Halves;

impl Work for Halves {
    type Item = u64;

    fn work(&self, _item: u64, _deadline: Deadline) -> Outcome {
        let barrier = std::sync::Barrier::new(2);
        rayon::join(|| barrier.wait(), || barrier.wait());
        DONE
    }
}

#[tokio::test]
async fn idle_workers_take_part_of_an_item_that_is_split() {
    metrics();
    let mut pipeline = Pipeline::new("test", Duration::from_secs(5));
    let (outbox, inbox) = pipeline.queue("halves", &StageConfig::waiting(4, 2));
    pipeline.cpu(inbox, Halves).unwrap();
    outbox.send(1, Deadline::none()).await.unwrap();
    drop(outbox);
    assert!(pipeline.shutdown().await.is_clean());
}
