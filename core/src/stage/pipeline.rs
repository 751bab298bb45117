//! Where a binary's stages are declared, and where they are drained.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{join_all, select_all};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::AbortOnDropHandle;

use super::queue::{Inbox, Outbox, Probe, queue};
use super::{Actor, Handler, Outcome, StageConfig, Work, run};
use crate::telemetry::status::StageStatus;

/// The part of the drain timeout after which sources that have not ended are cut off.
const SOURCES_SHARE: u32 = 4;

/// A binary's stages. Dropping it stops them at once; [`Pipeline::shutdown`] drains them.
///
/// ```no_run
/// # use ditto_core::stage::*;
/// # struct Fetch { parse: Outbox<Vec<u8>> }
/// # impl Handler for Fetch { type Item = u64; async fn handle(&self, n: u64, by: Deadline) -> Outcome { "done" } }
/// # struct Parse;
/// # impl Work for Parse { type Item = Vec<u8>; fn work(&self, bytes: Vec<u8>, by: Deadline) -> Outcome { "done" } }
/// # async fn declare() -> Result<(), PoolError> {
/// let mut pipeline = Pipeline::new("operator", std::time::Duration::from_secs(10));
/// let (fetch, to_fetch) = pipeline.queue("fetch", &StageConfig::waiting(256, 8));
/// let (parse, to_parse) = pipeline.queue("parse", &StageConfig::waiting(256, 4));
/// pipeline.source("slots", move |stopping| async move {
///     let mut slot = 0;
///     while !stopping.is_cancelled() && fetch.send(slot, Deadline::none()).await.is_ok() {
///         slot += 1;
///     }
/// });
/// pipeline.io(to_fetch, Fetch { parse });
/// pipeline.cpu(to_parse, Parse)?;
/// # Ok(()) }
/// ```
pub struct Pipeline {
    name: &'static str,
    drain: Duration,
    stopping: CancellationToken,
    sources: Vec<Running>,
    stages: Vec<Running>,
}

/// How a shutdown went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// The stages that did not finish in time, in order of declaration. Empty: nothing was left behind.
    pub left_behind: Vec<LeftBehind>,
}

/// A stage that did not finish in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftBehind {
    /// The stage.
    pub stage: &'static str,
    /// Items that waited or were being handled when it was stopped; each is counted as abandoned.
    pub items: usize,
}

/// A CPU stage's threads could not be started.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot start the {workers} threads of stage {stage:?}: {cause}; lower its `workers` or raise the process limit"
)]
pub struct PoolError {
    stage: &'static str,
    workers: usize,
    #[source]
    cause: rayon::ThreadPoolBuildError,
}

struct Running {
    name: &'static str,
    task: AbortOnDropHandle<()>,
    ended: CancellationToken,
    probe: Option<Arc<dyn Probe>>,
}

impl Pipeline {
    /// A pipeline without stages. `name` is for the log; `drain` is how long a shutdown may take.
    #[must_use]
    pub fn new(name: &'static str, drain: Duration) -> Self {
        Self { name, drain, stopping: CancellationToken::new(), sources: Vec::new(), stages: Vec::new() }
    }

    /// Declares a stage's queue. `stage` is its name in metrics and log: unique, static, snake_case.
    pub fn queue<T: Send + 'static>(&mut self, stage: &'static str, config: &StageConfig) -> (Outbox<T>, Inbox<T>) {
        queue(stage, config)
    }

    /// Runs a source: what brings items in from outside the pipeline. It must end, and drop its outboxes, soon after
    /// its token is cancelled, for that is what starts the draining.
    pub fn source<F>(&mut self, name: &'static str, source: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let running = Running::start(name, None, source(self.stopping.clone()));
        self.sources.push(running);
    }

    /// Opens a stage to what lives outside the pipeline, such as the network's event loop or an RPC server: they may
    /// hold the returned outbox as long as they like, for it is the pipeline that keeps the stage open until it shuts
    /// down. What comes later is refused as closed.
    pub fn entrance<T: Send + 'static>(&mut self, outbox: Outbox<T>) -> Outbox<T> {
        let outside = outbox.feedback();
        self.source(outside.stage(), move |stopping| async move {
            stopping.cancelled().await;
            drop(outbox);
        });
        outside
    }

    /// Runs an I/O stage. Needs a tokio runtime around it.
    pub fn io<H: Handler>(&mut self, inbox: Inbox<H::Item>, handler: H) {
        let workers = inbox.workers;
        self.stage(inbox, H::OUTCOMES, workers, |inbox| run::io(inbox, handler));
    }

    /// Runs a CPU stage on a rayon pool of its own. Needs a tokio runtime around it.
    ///
    /// # Errors
    /// When the operating system refuses the threads.
    pub fn cpu<W: Work>(&mut self, inbox: Inbox<W::Item>, work: W) -> Result<(), PoolError> {
        let stage = inbox.queue.meter.stage;
        let workers = inbox.workers;
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(workers)
            .thread_name(move |n| format!("{stage}-{n}"))
            .build()
            .map_err(|cause| PoolError { stage, workers, cause })?;
        self.stage(inbox, W::OUTCOMES, workers, |inbox| run::cpu(inbox, work, pool));
        Ok(())
    }

    /// Runs an actor stage. Needs a tokio runtime around it.
    pub fn actor<A: Actor>(&mut self, inbox: Inbox<A::Item>, actor: A) {
        self.stage(inbox, A::OUTCOMES, 1, |inbox| run::actor(inbox, actor));
    }

    /// Cancelled when the pipeline begins to shut down: for what feeds it and was not started by [`Pipeline::source`].
    #[must_use]
    pub fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// Waits until any source or stage has ended, and names it. Before a shutdown that is a bug or a lost connection
    /// to the outside: the binary should shut down and say so. Never returns for a pipeline without stages.
    pub async fn first_to_end(&self) -> &'static str {
        let all: Vec<_> = self.sources.iter().chain(&self.stages).collect();
        if all.is_empty() {
            return std::future::pending().await;
        }
        let (_ended, which, _others) = select_all(all.iter().map(|running| Box::pin(running.ended.cancelled()))).await;
        all[which].name
    }

    /// Reads how full the stages are, in order of declaration: for `/status`.
    #[must_use]
    pub fn depths(&self) -> Depths {
        Depths(self.stages.iter().filter_map(|running| running.probe.clone()).collect())
    }

    /// Drains: tells the sources to end, then waits for every stage to end, as each closes the next. What is not done
    /// when the drain timeout is over is stopped. (A CPU job cannot be interrupted: it ends after its present item.)
    pub async fn shutdown(self) -> Drained {
        self.stopping.cancel();
        let now = Instant::now();
        let until = now + self.drain;
        // A source that does not listen must not keep the stages from draining.
        let sources_ended = join_all(self.sources.iter().map(|source| source.ended.cancelled()));
        if timeout_at(now + self.drain / SOURCES_SHARE, sources_ended).await.is_err() {
            for source in self.sources.iter().filter(|source| !source.ended.is_cancelled()) {
                tracing::warn!(pipeline = self.name, source = source.name, "the source did not end in time; cut off");
                source.task.abort();
            }
        }
        let all = || self.sources.iter().chain(&self.stages);
        let ended = join_all(all().map(|running| running.ended.cancelled()));
        if timeout_at(until, ended).await.is_ok() {
            tracing::info!(pipeline = self.name, "drained");
            return Drained::default();
        }
        let left_behind: Vec<_> = all()
            .filter(|running| !running.ended.is_cancelled())
            .map(|running| LeftBehind {
                stage: running.name,
                items: running.probe.as_ref().map_or(0, |probe| probe.left()),
            })
            .collect();
        for left in &left_behind {
            tracing::warn!(
                pipeline = self.name,
                stage = left.stage,
                items = left.items,
                "not drained in time; stopped"
            );
        }
        for running in all() {
            if let Some(probe) = &running.probe {
                probe.stop();
            }
            running.task.abort();
        }
        Drained { left_behind }
    }

    fn stage<T: Send + 'static, F>(
        &mut self,
        inbox: Inbox<T>,
        outcomes: &[Outcome],
        workers: usize,
        run: impl FnOnce(Inbox<T>) -> F,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        inbox.queue.meter.declare(outcomes, workers);
        let probe: Arc<dyn Probe> = inbox.queue.clone();
        let running = Running::start(probe.stage(), Some(probe), run(inbox));
        self.stages.push(running);
    }
}

/// Reads how full the stages are; see [`Pipeline::depths`].
#[derive(Clone)]
pub struct Depths(Vec<Arc<dyn Probe>>);

impl Depths {
    /// Every stage as it is now.
    #[must_use]
    pub fn read(&self) -> Vec<StageStatus> {
        self.0.iter().map(|probe| probe.status()).collect()
    }
}

impl Drained {
    /// Was nothing left behind?
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.left_behind.is_empty()
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.stopping.cancel();
        for probe in self.stages.iter().filter_map(|running| running.probe.as_ref()) {
            probe.stop();
        }
    }
}

impl Running {
    fn start(
        name: &'static str,
        probe: Option<Arc<dyn Probe>>,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        let ended = CancellationToken::new();
        // Dropped when the task ends, however it ends.
        let guard: DropGuard = ended.clone().drop_guard();
        let task: JoinHandle<()> = tokio::spawn(async move {
            let _guard = guard;
            future.await;
        });
        Self { name, task: AbortOnDropHandle::new(task), ended, probe }
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stages: Vec<_> = self.stages.iter().map(|running| running.name).collect();
        f.debug_struct("Pipeline").field("name", &self.name).field("stages", &stages).finish_non_exhaustive()
    }
}
