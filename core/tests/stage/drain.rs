//! Shutting down with items in flight.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ditto_core::stage::{DONE, Deadline, Handler, LeftBehind, Outbox, Outcome, Pipeline, Refused, StageConfig};

use crate::scrape::{Compute, Gated, Keep, Pass, assert_conserved, drops, eventually, items, metrics, value};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn draining_flows_down_and_loses_nothing() {
    metrics();
    let mut pipeline = Pipeline::new("test", Duration::from_secs(20));
    let (io, to_io) = pipeline.queue("flow_io", &StageConfig::waiting(16, 4));
    let (cpu, to_cpu) = pipeline.queue("flow_cpu", &StageConfig::waiting(2, 2));
    let (actor, to_actor) = pipeline.queue("flow_actor", &StageConfig::waiting(1, 1));
    let keep = Keep::default();
    let (kept, drained) = (keep.kept.clone(), keep.drained.clone());
    let sent = Arc::new(std::sync::atomic::AtomicU64::new(1000));
    let sending = sent.clone();
    pipeline.source("numbers", move |stopping| async move {
        while !stopping.is_cancelled() && io.send(sending.load(Ordering::SeqCst), Deadline::none()).await.is_ok() {
            sending.fetch_add(1, Ordering::SeqCst);
        }
    });
    pipeline.io(to_io, Pass(cpu));
    pipeline.cpu(to_cpu, Compute::new(Some(actor), Duration::from_micros(200))).unwrap();
    pipeline.actor(to_actor, keep);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let drained_well = pipeline.shutdown().await;
    assert!(drained_well.is_clean(), "{drained_well:?}");
    let mut kept = kept.lock().unwrap().clone();
    kept.sort_unstable();
    let sent = sent.load(Ordering::SeqCst);
    assert!(sent > 1050, "the test needs something in flight");
    assert_eq!(kept, (1000..sent).collect::<Vec<_>>());
    assert_eq!(drained.load(Ordering::SeqCst), 1);
    for stage in ["flow_io", "flow_cpu", "flow_actor"] {
        assert_conserved(stage);
        assert!(value("ditto_stage_queue_depth", stage, "").abs() < 0.5);
    }
}

#[tokio::test]
async fn a_stage_that_hangs_is_named_and_what_it_held_is_counted() {
    metrics();
    let mut pipeline = Pipeline::new("test", Duration::from_millis(100));
    let (outbox, inbox) = pipeline.queue("hangs", &StageConfig::waiting(8, 2));
    let (gated, _gate) = Gated::new();
    pipeline.io(inbox, gated);
    for n in 0..5 {
        outbox.send(n, Deadline::none()).await.unwrap();
    }
    eventually("two are in service", || outbox.depth() == 3).await;
    let feedback = outbox.feedback();
    drop(outbox);
    let began = Instant::now();
    let drained = pipeline.shutdown().await;
    assert!(began.elapsed() < Duration::from_secs(2));
    assert_eq!(drained.left_behind, [LeftBehind { stage: "hangs", items: 5 }]);
    eventually("what was held is counted", || drops("hangs", "abandoned") > 4.5).await;
    assert!(matches!(feedback.send(6, Deadline::none()).await, Err(Refused::Closed(6))));
    assert_conserved("hangs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cpu_stage_that_is_stopped_takes_no_more_items() {
    metrics();
    let mut pipeline = Pipeline::new("test", Duration::from_millis(50));
    let (outbox, inbox) = pipeline.queue("stopped", &StageConfig::waiting(100, 1));
    pipeline.cpu(inbox, Compute::new(None, Duration::from_millis(30))).unwrap();
    for n in 100..200 {
        outbox.send(n, Deadline::none()).await.unwrap();
    }
    drop(outbox);
    let drained = pipeline.shutdown().await;
    assert!(drained.left_behind[0].items > 90, "{drained:?}");
    eventually("the rest is counted", || drops("stopped", "abandoned") > 90.0).await;
    assert!(items("stopped", "done") < 9.0);
    eventually("all is accounted for", || value("ditto_stage_busy_workers", "stopped", "").abs() < 0.5).await;
    assert_conserved("stopped");
}

/// Sends an item back to an earlier stage until it has become zero.
struct Retry {
    again: Outbox<u64>,
}

impl Handler for Retry {
    type Item = u64;

    async fn handle(&self, item: u64, deadline: Deadline) -> Outcome {
        if item > 0 && self.again.send(item - 1, deadline).await.is_err() {
            return "refused";
        }
        DONE
    }
}

#[tokio::test]
async fn a_way_back_does_not_keep_a_pipeline_from_draining() {
    metrics();
    let mut pipeline = Pipeline::new("test", Duration::from_secs(5));
    let (first, to_first) = pipeline.queue("back_first", &StageConfig::waiting(8, 1));
    let (second, to_second) = pipeline.queue("back_second", &StageConfig::waiting(8, 1));
    pipeline.io(to_first, Pass(second));
    pipeline.io(to_second, Retry { again: first.feedback() });
    first.send(5, Deadline::none()).await.unwrap();
    eventually("it went round", || items("back_second", "done") > 5.5).await;
    drop(first);
    assert!(pipeline.shutdown().await.is_clean());
}

#[tokio::test]
async fn what_ends_too_early_is_named_and_an_ended_stage_refuses() {
    metrics();
    let mut pipeline = Pipeline::new("test", Duration::from_secs(5));
    let (outbox, inbox) = pipeline.queue("early", &StageConfig::waiting(8, 1));
    let feedback = outbox.feedback();
    pipeline.actor(inbox, Keep::default());
    pipeline.source("broken", move |_stopping| async move {
        let _outbox = outbox;
        panic!("the source breaks");
    });
    assert_eq!(pipeline.first_to_end().await, "broken");
    assert!(pipeline.shutdown().await.is_clean());
    assert!(matches!(feedback.send(1, Deadline::none()).await, Err(Refused::Closed(1))));
    assert!(matches!(feedback.try_send(2, Deadline::none()), Err(Refused::Closed(2))));
    assert!((drops("early", "closed") - 2.0).abs() < 0.5);
    assert_conserved("early");
}

#[tokio::test]
async fn neither_a_deaf_source_nor_an_outsider_keeps_a_pipeline_from_draining() {
    metrics();
    let mut pipeline = Pipeline::new("test", Duration::from_secs(4));
    let (outbox, inbox) = pipeline.queue("entered", &StageConfig::waiting(8, 1));
    let (deaf, outside) = (outbox.clone(), pipeline.entrance(outbox));
    pipeline.io(inbox, Gated::new().0);
    pipeline.source("deaf", move |_stopping| async move {
        let _held = deaf;
        std::future::pending::<()>().await;
    });
    let drained = pipeline.shutdown().await;
    assert!(drained.is_clean(), "{drained:?}");
    assert!(matches!(outside.send(1, Deadline::none()).await, Err(Refused::Closed(1))));
}
