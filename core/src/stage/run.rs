//! The three loops that take items from a queue: one per kind of stage.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use rayon::ThreadPool;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep_until;
use tracing::Instrument;

use super::entry::{Entry, log_panic};
use super::queue::Inbox;
use super::{Actor, Handler, Work};

/// Ticks are at least this far apart: one that does not move its instant leaves room for items.
const TICK_GAP: Duration = Duration::from_millis(1);
/// After a panic the timer rests this long: it would find what it panicked over again.
const TICK_GAP_AFTER_PANIC: Duration = Duration::from_secs(1);

/// I/O: one task per item, `workers` at once.
pub(super) async fn io<H: Handler>(inbox: Inbox<H::Item>, handler: H) {
    let handler = Arc::new(handler);
    let mut running = JoinSet::new();
    loop {
        // Room first, then an item: what waits, waits in the queue, where it is seen and bounded.
        while running.len() >= inbox.workers {
            ended(running.join_next().await);
        }
        let entry = tokio::select! {
            entry = inbox.next() => entry,
            Some(joined) = running.join_next() => {
                ended(Some(joined));
                continue;
            }
        };
        let Some(entry) = entry else { break };
        let Some((item, service)) = entry.take() else { continue };
        let handler = handler.clone();
        let span = service.span.clone();
        running.spawn(
            async move {
                let handled = AssertUnwindSafe(handler.handle(item, service.deadline)).catch_unwind().await;
                service.end(handled);
            }
            .instrument(span),
        );
    }
    while let Some(joined) = running.join_next().await {
        ended(Some(joined));
    }
}

fn ended(joined: Option<Result<(), tokio::task::JoinError>>) {
    // The handler's own panics are caught inside; what is left could only be a panic of the stage's bookkeeping.
    if let Some(Err(error)) = joined {
        tracing::error!(%error, "a stage's task ended badly");
    }
}

/// CPU: jobs on the stage's rayon pool. A job goes on with the next waiting item, so under load the threads feed
/// themselves from the channel; this task only wakes idle ones.
pub(super) async fn cpu<W: Work>(inbox: Inbox<W::Item>, work: W, pool: ThreadPool) {
    let workers = inbox.workers;
    let idle = Arc::new(Semaphore::new(workers));
    let stage = Arc::new((inbox, work));
    loop {
        let Ok(permit) = idle.clone().acquire_owned().await else { break };
        let Some(entry) = stage.0.next().await else { break };
        let stage = stage.clone();
        pool.spawn(move || {
            let (inbox, work) = &*stage;
            let mut next = Some(entry);
            while let Some(entry) = next {
                work_on(work, entry);
                next = inbox.waiting();
            }
            // The stage goes before the permit: once all permits are back, no job holds its outboxes.
            drop(stage);
            drop(permit);
        });
    }
    let all = u32::try_from(workers).unwrap_or(u32::MAX);
    // Fails only on a closed semaphore, and nobody closes this one.
    drop(idle.acquire_many(all).await);
}

fn work_on<W: Work>(work: &W, entry: Entry<W::Item>) {
    let Some((item, service)) = entry.take() else { return };
    let _entered = service.span.clone().entered();
    let deadline = service.deadline;
    service.end(catch_unwind(AssertUnwindSafe(|| work.work(item, deadline))));
}

/// Actor: one item or one tick at a time.
pub(super) async fn actor<A: Actor>(inbox: Inbox<A::Item>, mut actor: A) {
    let meter = inbox.queue.meter.clone();
    let mut earliest = Instant::now();
    loop {
        let tick = actor.next_tick().map(|at| at.max(earliest));
        let entry = tokio::select! {
            biased;
            () = async { sleep_until(tick.unwrap_or(earliest).into()).await }, if tick.is_some() => None,
            entry = inbox.next() => match entry {
                Some(entry) => Some(entry),
                None => break,
            },
        };
        let Some(entry) = entry else {
            let ticked = AssertUnwindSafe(actor.tick()).catch_unwind().await;
            earliest = Instant::now() + TICK_GAP;
            if let Err(payload) = ticked {
                log_panic(&meter, "tick", payload.as_ref());
                earliest += TICK_GAP_AFTER_PANIC;
            }
            continue;
        };
        let Some((item, service)) = entry.take() else { continue };
        let span = service.span.clone();
        let handled = AssertUnwindSafe(actor.handle(item, service.deadline)).catch_unwind().instrument(span).await;
        service.end(handled);
    }
    if let Err(payload) = AssertUnwindSafe(actor.drained()).catch_unwind().await {
        log_panic(&meter, "drain", payload.as_ref());
    }
}
