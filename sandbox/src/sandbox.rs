//! The handle that others hold.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use crossbeam_channel::{Sender, TrySendError, bounded};
use thiserror::Error;

use crate::{
    host::{Bell, Queued, Worker},
    job::{Job, Reads},
    limits::{Limits, SandboxConfig},
    outcome::{Outcome, Report},
};

#[derive(Debug, Error)]
pub enum SandboxError {
    #[error("sandbox.{field} must be at least {least}, is {value}")]
    Config { field: &'static str, least: u64, value: u64 },
    #[error("a sandbox zygote {why}; does main() call ditto_sandbox::enter_if_zygote() first?")]
    Zygote { why: String },
    #[error("the sandbox cannot start a worker: {0}")]
    Worker(#[from] std::io::Error),
}

/// The queue is full, or the sandbox is shutting down. The job was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the sandbox's queue is full")]
pub struct Busy;

/// A running sandbox. Clones share it; it stops when the last one is gone, after what it accepted has been reported.
#[derive(Clone)]
pub struct Sandbox {
    shared: Arc<Shared>,
}

struct Shared {
    config: SandboxConfig,
    jobs: Sender<Queued>,
    bells: Vec<Arc<Bell>>,
    /// Which worker is offered the next job first.
    turn: AtomicUsize,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Sandbox {
    /// Starts the workers and waits until every zygote has loaded the engine.
    pub fn start(config: SandboxConfig) -> Result<Sandbox, SandboxError> {
        check(&config)?;
        let (jobs, queue) = bounded(config.queue);
        let (booted, ready) = bounded(config.workers);
        let mut bells = Vec::new();
        let mut threads = Vec::new();
        for index in 0..config.workers {
            let bell = Arc::new(Bell::new().map_err(std::io::Error::from)?);
            let worker = Worker::new(config.clone(), queue.clone(), bell.clone(), booted.clone());
            bells.push(bell);
            threads.push(std::thread::Builder::new().name(format!("sandbox-{index}")).spawn(move || worker.work())?);
        }
        let sandbox = Sandbox {
            shared: Arc::new(Shared {
                config: config.clone(),
                jobs,
                bells,
                turn: AtomicUsize::new(0),
                threads: Mutex::new(threads),
            }),
        };
        for _ in 0..config.workers {
            let patience = Duration::from_millis(config.zygote_patience_ms) + Duration::from_secs(1);
            match ready.recv_timeout(patience) {
                Ok(Ok(())) => {}
                Ok(Err(why)) => return Err(SandboxError::Zygote { why }),
                Err(_) => return Err(SandboxError::Zygote { why: "did not answer".into() }),
            }
        }
        Ok(sandbox)
    }

    /// What a performer's run of this workflow may use, by its id (decimal): the general limits, or what is stricter for it.
    pub fn limits_of(&self, workflow: &str) -> Limits {
        self.shared.config.limits_of(workflow)
    }

    /// Queues a job. `done` is called once, on a worker's thread: it must return soon, like [`Reads::read`].
    pub fn submit(&self, job: Job, reads: Arc<dyn Reads>, done: Box<dyn FnOnce(Report) + Send>) -> Result<(), Busy> {
        let shared = &self.shared;
        if shared.bells.iter().any(|bell| bell.stopping()) {
            return Err(Busy);
        }
        match shared.jobs.try_send(Queued { job, reads, done, lost: 0 }) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => return Err(Busy),
        }
        let count = shared.bells.len();
        let first = shared.turn.fetch_add(1, Ordering::Relaxed);
        // The first worker that waits takes it; when none does, the next one to have room looks at the queue by itself.
        (0..count).any(|step| shared.bells.get((first.wrapping_add(step)) % count).is_some_and(|bell| bell.offer()));
        Ok(())
    }

    /// Runs a job and waits. For tests and tools: it retries while the queue is full.
    pub fn run_blocking(&self, job: Job, reads: Arc<dyn Reads>) -> Report {
        let (sender, receiver) = bounded(1);
        loop {
            let sender = sender.clone();
            let done = Box::new(move |report| {
                // The receiver waits below; it cannot be gone.
                sender.send(report).ok();
            });
            if self.submit(job.clone(), reads.clone(), done).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        drop(sender);
        receiver.recv().unwrap_or_else(|_| Report::without_run(Outcome::Crashed))
    }

    /// Takes no more jobs, waits until everything accepted has been reported, and ends zygotes and threads.
    pub fn shutdown(self) {
        self.shared.stop();
        let threads = std::mem::take(&mut *self.shared.threads.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a sandbox worker panicked");
            }
        }
    }
}

impl Shared {
    fn stop(&self) {
        self.bells.iter().for_each(|bell| bell.stop());
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.stop();
    }
}

fn check(config: &SandboxConfig) -> Result<(), SandboxError> {
    let limits = &config.limits;
    let bounds = [
        ("workers", 1, config.workers as u64),
        ("children_per_worker", 1, config.children_per_worker as u64),
        ("running_per_worker", 1, config.running_per_worker as u64),
        ("queue", 1, config.queue as u64),
        ("zygote_patience_ms", 100, config.zygote_patience_ms),
        ("limits.wall_ms", 1, limits.wall_ms),
        ("longest_wall_ms", limits.wall_ms, config.longest_wall_ms),
        ("limits.memory_bytes", 16 << 20, limits.memory_bytes),
        ("limits.output_bytes", 52, limits.output_bytes.into()),
        ("limits.code_bytes", 1, limits.code_bytes.into()),
        ("limits.code_nesting", 16, limits.code_nesting.into()),
    ];
    match bounds.into_iter().find(|(_, least, value)| value < least) {
        Some((field, least, value)) => Err(SandboxError::Config { field, least, value }),
        None => Ok(()),
    }
}
