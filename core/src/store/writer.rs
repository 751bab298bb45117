//! Group commit: one thread, one sync for many callers.

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use metrics::{Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram};
use metrics::{gauge, histogram};
use redb::WriteTransaction;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::{Store, StoreError};

/// How large a writer's queue and groups are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WriterConfig {
    /// How many changes may wait, in changes; callers beyond that wait for room.
    pub queue: NonZeroUsize,
    /// How many changes one sync may carry, in changes.
    pub group: NonZeroUsize,
}

impl Default for WriterConfig {
    fn default() -> Self {
        // A sync takes milliseconds: groups of this size are only reached by bursts, and bound how long they take.
        let at_most = |n| NonZeroUsize::new(n).unwrap_or(NonZeroUsize::MIN);
        Self { queue: at_most(4096), group: at_most(1024) }
    }
}

/// Writes to a store from many callers at once. Clones share the thread; it ends, and closes its hold on the store,
/// when the last clone is dropped and what waits is written.
#[derive(Clone)]
pub struct Writer(Arc<Shared>);

struct Shared {
    store: Arc<Store>,
    // Both are `Some` until dropped.
    changes: Option<mpsc::Sender<Box<dyn Change>>>,
    thread: Option<JoinHandle<()>>,
    waiting: Gauge,
}

impl Writer {
    /// Starts the thread. `name` is the metrics' label.
    ///
    /// # Errors
    /// When the operating system refuses the thread.
    pub fn start(name: &'static str, store: Arc<Store>, config: &WriterConfig) -> Result<Self, StoreError> {
        let meter = Meter::new(name);
        let waiting = meter.waiting.clone();
        let (changes, queue) = mpsc::channel(config.queue.get());
        let (group, of) = (config.group.get(), store.clone());
        let thread = thread::Builder::new()
            .name(format!("store-{name}"))
            .spawn(move || write_groups(&of, queue, group, &meter))
            .map_err(|cause| StoreError::File {
                action: "start the writer of",
                path: store.path().to_owned(),
                cause,
            })?;
        Ok(Self(Arc::new(Shared { store, changes: Some(changes), thread: Some(thread), waiting })))
    }

    /// Writes, and returns what `change` returned once that is on the disk.
    ///
    /// `change` may run more than once (when a neighbour in its group fails, the group is written again without it);
    /// only its last run counts. It sees what changes before it wrote, so it can decide by what it reads: *is there a
    /// verdict for this occurrence, and is it the same?* When the caller stops waiting, the change may still be written.
    ///
    /// # Errors
    /// When the change or the commit fails; then treat it as neither written nor not written.
    pub async fn write<R, F>(&self, change: F) -> Result<R, StoreError>
    where
        R: Send + 'static,
        F: Fn(&WriteTransaction) -> Result<R, redb::Error> + Send + 'static,
    {
        let (pending, answer) = pending(change);
        let Some(changes) = &self.0.changes else { return Err(self.closed()) };
        let Ok(room) = changes.reserve().await else { return Err(self.closed()) };
        self.0.waiting.increment(1.0);
        room.send(pending);
        answer.await.unwrap_or_else(|_gone| Err(self.closed()))
    }

    /// As [`Writer::write`], from a thread that may block (and is no task of a runtime: tokio panics there).
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub fn write_blocking<R, F>(&self, change: F) -> Result<R, StoreError>
    where
        R: Send + 'static,
        F: Fn(&WriteTransaction) -> Result<R, redb::Error> + Send + 'static,
    {
        let (pending, answer) = pending(change);
        let Some(changes) = &self.0.changes else { return Err(self.closed()) };
        self.0.waiting.increment(1.0);
        if changes.blocking_send(pending).is_err() {
            self.0.waiting.decrement(1.0);
            return Err(self.closed());
        }
        answer.blocking_recv().unwrap_or_else(|_gone| Err(self.closed()))
    }

    /// The store, for reading.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    fn closed(&self) -> StoreError {
        StoreError::Closed { path: self.0.store.path().to_owned() }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        drop(self.changes.take());
        // At most the present group is waited for, and what is queued. A change may own the last clone; its thread
        // cannot wait for itself.
        if let Some(thread) = self.thread.take().filter(|thread| thread.thread().id() != thread::current().id())
            && thread.join().is_err()
        {
            tracing::error!(path = %self.store.path().display(), "the store's writer panicked; this is a bug");
        }
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Writer").field(&self.0.store).finish()
    }
}

/// A caller's change, whatever it returns.
trait Change: Send {
    fn run(&mut self, tx: &WriteTransaction) -> Result<(), redb::Error>;
    fn answer(self: Box<Self>, result: Result<(), StoreError>);
}

struct Pending<R, F> {
    change: F,
    result: Option<R>,
    answer: oneshot::Sender<Result<R, StoreError>>,
}

type Answer<R> = oneshot::Receiver<Result<R, StoreError>>;

fn pending<R, F>(change: F) -> (Box<dyn Change>, Answer<R>)
where
    R: Send + 'static,
    F: Fn(&WriteTransaction) -> Result<R, redb::Error> + Send + 'static,
{
    let (answer, receiver) = oneshot::channel();
    (Box::new(Pending { change, result: None, answer }), receiver)
}

impl<R: Send, F: Fn(&WriteTransaction) -> Result<R, redb::Error> + Send> Change for Pending<R, F> {
    fn run(&mut self, tx: &WriteTransaction) -> Result<(), redb::Error> {
        self.result = Some((self.change)(tx)?);
        Ok(())
    }

    fn answer(self: Box<Self>, result: Result<(), StoreError>) {
        let answer = match (result, self.result) {
            (Ok(()), Some(result)) => Ok(result),
            (Err(error), _) => Err(error),
            // Answered as done without having run: there is no such path. Dropping the sender reads as closed.
            (Ok(()), None) => return,
        };
        // The caller may have stopped waiting.
        drop(self.answer.send(answer));
    }
}

fn write_groups(store: &Store, mut queue: mpsc::Receiver<Box<dyn Change>>, at_most: usize, meter: &Meter) {
    let mut group = Vec::with_capacity(at_most);
    while let Some(first) = queue.blocking_recv() {
        group.push(first);
        while group.len() < at_most
            && let Ok(next) = queue.try_recv()
        {
            group.push(next);
        }
        #[allow(clippy::cast_precision_loss)] // groups are small
        meter.waiting.decrement(group.len() as f64);
        write_group(store, &mut group, meter);
    }
}

/// Writes all changes of the group in one transaction and answers each. A change that fails is answered, taken out,
/// and the rest starts over; so a transaction holds whole changes only.
fn write_group(store: &Store, group: &mut Vec<Box<dyn Change>>, meter: &Meter) {
    while !group.is_empty() {
        let tx = match store.begin() {
            Ok(tx) => tx,
            Err(cause) => return fail(store, group, &cause, meter),
        };
        let failed = group.iter_mut().enumerate().find_map(|(at, change)| {
            match catch_unwind(AssertUnwindSafe(|| change.run(&tx))) {
                Ok(Ok(())) => None,
                Ok(Err(cause)) => Some((at, store.failed("write to", cause))),
                Err(_payload) => Some((at, StoreError::Panicked { path: store.path().to_owned() })),
            }
        });
        if let Some((at, error)) = failed {
            if let Err(cause) = tx.abort() {
                return fail(store, group, &cause.into(), meter);
            }
            meter.refused.increment(1);
            group.remove(at).answer(Err(error));
            continue;
        }
        let began = Instant::now();
        if let Err(cause) = store.commit(tx) {
            return fail(store, group, &cause, meter);
        }
        meter.commit.record(began.elapsed().as_secs_f64());
        #[allow(clippy::cast_precision_loss)] // groups are small
        meter.group.record(group.len() as f64);
        meter.written.increment(group.len() as u64);
        group.drain(..).for_each(|change| change.answer(Ok(())));
    }
}

fn fail(store: &Store, group: &mut Vec<Box<dyn Change>>, cause: &redb::Error, meter: &Meter) {
    tracing::error!(path = %store.path().display(), %cause, changes = group.len(), "cannot write to the store");
    meter.failed.increment(group.len() as u64);
    for change in group.drain(..) {
        change.answer(Err(StoreError::Commit { path: store.path().to_owned(), cause: cause.to_string() }));
    }
}

struct Meter {
    waiting: Gauge,
    commit: Histogram,
    group: Histogram,
    written: Counter,
    refused: Counter,
    failed: Counter,
}

/// Help texts and units of the metrics that every store has.
pub fn describe() {
    describe_gauge!("ditto_store_queue_depth", Unit::Count, "Changes that wait to be written to the store.");
    describe_histogram!("ditto_store_commit_seconds", Unit::Seconds, "Time to sync one group of changes to disk.");
    describe_histogram!("ditto_store_group_changes", Unit::Count, "Changes that were synced to disk together.");
    describe_counter!(
        "ditto_store_changes_total",
        Unit::Count,
        "Changes by outcome: written, refused (by the change itself), failed (the disk or the database)."
    );
}

impl Meter {
    fn new(store: &'static str) -> Self {
        describe();
        let changes = |outcome| {
            let counter = counter!("ditto_store_changes_total", "store" => store, "outcome" => outcome);
            counter.increment(0);
            counter
        };
        let waiting = gauge!("ditto_store_queue_depth", "store" => store);
        waiting.set(0.0);
        Self {
            waiting,
            commit: histogram!("ditto_store_commit_seconds", "store" => store),
            group: histogram!("ditto_store_group_changes", "store" => store),
            written: changes("written"),
            refused: changes("refused"),
            failed: changes("failed"),
        }
    }
}
