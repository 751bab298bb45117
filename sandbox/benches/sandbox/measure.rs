//! Runs of the sandbox: how many in a second, how much memory, how late after a deadline.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, mpsc},
    time::{Duration, Instant},
};

use ditto_sandbox::{Job, Limits, Outcome, ReadReply, ReadRequest, Reads, Report, Sandbox, SandboxConfig};

use crate::{
    processes::{self, Usage},
    workload,
};

/// Runs submitted at once for each worker.
const AHEAD: usize = 16;
/// Runs before the clock starts: the template is there, the caches are warm.
const WARM: usize = 200;
pub const IN_MEMORY: usize = 100;
pub const DEADLINE_MS: u64 = 100;

pub fn target() -> PathBuf {
    // The bench runs in its package's directory, wherever the target directory is.
    let here = std::env::current_exe().unwrap();
    let deps = here.ancestors().find(|path| path.ends_with("deps"));
    let target = deps.and_then(|deps| deps.parent()?.parent()).map_or_else(|| "../target".into(), PathBuf::from);
    std::path::absolute(target).unwrap()
}

pub struct Speed {
    /// Runs a second by the clock, over all workers.
    pub wall: f64,
    /// Runs a second of processor time, host included.
    pub cpu: f64,
    usage: Usage,
    /// Of it, what the runs' own processes took, from fork to exit.
    own: Duration,
    runs: u64,
}

impl Speed {
    pub fn note(&self) -> String {
        let runs = self.runs.max(1);
        format!(
            "{:.0} runs per second of processor time ({} us in the run's own process; user {} us, system {} us, {} page faults a run, host included)",
            self.cpu,
            self.own.as_micros() as u64 / runs,
            self.usage.user.as_micros() as u64 / runs,
            self.usage.system.as_micros() as u64 / runs,
            self.usage.faults / runs
        )
    }
}

/// The workload again and again.
pub fn seen(workers: usize, cores: &[usize], time: Duration) -> Speed {
    let code: Arc<[u8]> = workload::DENSE.as_bytes().into();
    speed(workers, cores, time, || code.clone())
}

/// The workload in a module that is new every time.
pub fn first(cores: &[usize], time: Duration) -> Speed {
    let mut number = 0;
    speed(1, cores, time, || {
        number += 1;
        workload::unseen(number)
    })
}

fn speed(workers: usize, cores: &[usize], time: Duration, mut code: impl FnMut() -> Arc<[u8]>) -> Speed {
    processes::pin(cores);
    let sandbox = Sandbox::start(SandboxConfig { workers, ..SandboxConfig::default() }).unwrap();
    let reads = workload::Cache::new();
    let (sender, receiver) = mpsc::channel::<Report>();
    let mut submit = || {
        let sender = sender.clone();
        let done = Box::new(move |report| sender.send(report).unwrap());
        sandbox.submit(workload::job(code()), reads.clone(), done).unwrap();
    };
    let one = || {
        let report = receiver.recv().unwrap();
        assert!(matches!(&report.outcome, Outcome::Calls(calls) if calls.len() == 1), "{report:?}");
        report.cpu
    };
    (0..AHEAD * workers).for_each(|_| submit());
    for _ in 0..WARM * workers {
        one();
        submit();
    }
    let (start, before) = (Instant::now(), Usage::now());
    let (mut runs, mut own) = (0, Duration::ZERO);
    while start.elapsed() < time {
        own += one();
        submit();
        runs += 1;
    }
    let (wall, usage) = (start.elapsed(), Usage::now().since(before));
    for _ in 0..AHEAD * workers {
        one();
    }
    sandbox.shutdown();
    processes::pin(&[0, 1]);
    Speed { wall: runs as f64 / wall.as_secs_f64(), cpu: runs as f64 / usage.cpu().as_secs_f64(), usage, own, runs }
}

/// Keeps replies, and so the runs that wait for them.
#[derive(Default)]
struct Held(Mutex<Vec<ReadReply>>);

impl Reads for Held {
    fn read(&self, _: ReadRequest, reply: ReadReply) {
        self.0.lock().unwrap().push(reply);
    }
}

pub struct Memory {
    pub all: u64,
    /// What one more run takes.
    pub each: u64,
}

/// A hundred runs of the workload that all wait for their reads.
pub fn hundred_in_flight() -> Memory {
    let config = SandboxConfig { workers: 1, children_per_worker: 128, ..SandboxConfig::default() };
    let sandbox = Sandbox::start(config).unwrap();
    let code: Arc<[u8]> = workload::DENSE.as_bytes().into();
    for _ in 0..20 {
        sandbox.run_blocking(workload::job(code.clone()), workload::Cache::new());
    }
    let empty = processes::resident(&processes::sandboxed());
    let held = Arc::new(Held::default());
    let (sender, receiver) = mpsc::channel();
    for _ in 0..IN_MEMORY {
        let job = workload::job(code.clone());
        let limits = Limits { wall_ms: 30_000, ..job.limits.clone() };
        let sender = sender.clone();
        let done = Box::new(move |report: Report| sender.send(report.outcome).unwrap());
        sandbox.submit(Job { limits, ..job }, held.clone(), done).unwrap();
    }
    let start = Instant::now();
    // Each asks for three things at once and then waits.
    while held.0.lock().unwrap().len() < 3 * IN_MEMORY {
        assert!(start.elapsed() < Duration::from_secs(25), "the runs do not come to their reads");
        std::thread::sleep(Duration::from_millis(10));
    }
    let all = processes::resident(&processes::sandboxed());
    held.0.lock().unwrap().clear();
    (0..IN_MEMORY).for_each(|_| assert_eq!(receiver.recv().unwrap(), Outcome::ReadFailed));
    sandbox.shutdown();
    Memory { all, each: all.saturating_sub(empty) / IN_MEMORY as u64 }
}

/// What never ends by itself, one of each class; the last four are deaf to the engine's own interrupts.
const ENDLESS: [&str; 8] = [
    "for (;;) {}",
    "export default { async run() { for (;;) await null; } };",
    "/^(a+)+$/.test('a'.repeat(40) + 'b');",
    "const f = () => Promise.resolve().then(f); export default { run: f };",
    "const a = []; a.length = 2 ** 32 - 1; a.join();",
    "const a = []; a.length = 2 ** 32 - 1; a.indexOf(1);",
    "const a = []; a.length = 2 ** 32 - 1; a.reverse();",
    "let d = {}; for (let i = 0; i < 40; i++) d = { a: d, b: d }; JSON.stringify(d);",
];

/// How late after their deadline runs that never end were reported, sorted. From their submission, so forking and reaping
/// count as overrun.
pub fn overruns() -> Vec<Duration> {
    let sandbox = Sandbox::start(SandboxConfig { workers: 1, ..SandboxConfig::default() }).unwrap();
    let deadline = Duration::from_millis(DEADLINE_MS);
    let mut late = Vec::new();
    for _ in 0..13 {
        for code in ENDLESS {
            let job = workload::job(code.as_bytes().into());
            let limits = Limits { wall_ms: DEADLINE_MS, ..job.limits.clone() };
            let start = Instant::now();
            let report = sandbox.run_blocking(Job { limits, ..job }, workload::Cache::new());
            if report.outcome == Outcome::TimedOut {
                late.push(start.elapsed().saturating_sub(deadline));
            } else {
                println!("{code} ended as {:?}", report.outcome);
            }
        }
    }
    sandbox.shutdown();
    late.sort();
    late
}
