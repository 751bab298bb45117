//! How fast the sandbox is with all of its confinement, and beside what. Writes `target/bench/sandbox.json`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod processes;
mod workload;

use std::{
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use ditto_sandbox::{Report, Sandbox, SandboxConfig};

const IN_FLIGHT: usize = 16;

struct Speed {
    wall: f64,
    cpu: f64,
}

/// Keeps `IN_FLIGHT` runs going for a while.
fn measure(workers: usize, time: Duration, mut code: impl FnMut() -> Arc<[u8]>) -> Speed {
    let sandbox = Sandbox::start(SandboxConfig { workers, ..SandboxConfig::default() }).unwrap();
    let reads = workload::Cache::new();
    let (sender, receiver) = mpsc::channel::<Report>();
    let mut submit = || {
        let sender = sender.clone();
        sandbox
            .submit(workload::job(code()), reads.clone(), Box::new(move |report| sender.send(report).unwrap()))
            .unwrap()
    };
    let check = |report: Report| assert_eq!(report.outcome.kind(), "calls", "{report:?}");
    for _ in 0..IN_FLIGHT * workers {
        submit();
    }
    for _ in 0..100 {
        check(receiver.recv().unwrap());
        submit();
    }
    let (start, cpu) = (Instant::now(), processes::Usage::now());
    let mut count = 0u64;
    while start.elapsed() < time {
        check(receiver.recv().unwrap());
        submit();
        count += 1;
    }
    let (wall, cpu) = (start.elapsed(), processes::Usage::now().since(cpu));
    for _ in 0..IN_FLIGHT * workers {
        check(receiver.recv().unwrap());
    }
    sandbox.shutdown();
    println!(
        "user {:?} system {:?} faults {} a run",
        cpu.user / count as u32,
        cpu.system / count as u32,
        cpu.faults / count
    );
    let cpu = cpu.cpu();
    Speed { wall: count as f64 / wall.as_secs_f64(), cpu: count as f64 / cpu.as_secs_f64() }
}

fn main() {
    ditto_sandbox::enter_if_zygote();
    let seconds = std::env::args().filter_map(|a| a.parse().ok()).next().unwrap_or(3);
    let time = Duration::from_secs(seconds);
    processes::pin(&[0]);
    let only = std::env::var("ONLY").unwrap_or_default();
    let code: Arc<[u8]> = workload::DENSE.as_bytes().into();
    if only != "first" {
        let speed = measure(1, time, || code.clone());
        println!("seen: {:.0}/s wall, {:.0}/s of cpu", speed.wall, speed.cpu);
    }
    if only == "seen" {
        return;
    }
    let mut number = 0;
    let speed = measure(1, time, || {
        number += 1;
        workload::unseen(number)
    });
    println!("first: {:.0}/s wall, {:.0}/s of cpu", speed.wall, speed.cpu);
}
