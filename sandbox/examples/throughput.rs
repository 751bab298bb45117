//! Runs per second, and where the time of one goes. `cargo run --release -p ditto-sandbox --example throughput [SECONDS]`
//!
//! Also the smallest program that embeds the sandbox: see the first line of `main`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use ditto_sandbox::{Input, Job, Limits, ReadAnswer, ReadReply, ReadRequest, Reads, Sandbox, SandboxConfig};

const EXAMPLE: &str = include_str!("../../workflows/examples/recurring-transfer.ts");
const TRIVIAL: &str = "export default { run() {} };";

struct Rich;

impl Reads for Rich {
    fn read(&self, _: ReadRequest, reply: ReadReply) {
        reply.answer(ReadAnswer::Ok("\"0x0000000000000000000000000000000000000000000000000de0b6b3a7640000\"".into()));
    }
}

fn main() {
    ditto_sandbox::enter_if_zygote();
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(3);
    for workers in [1, 2] {
        let sandbox = Sandbox::start(SandboxConfig { workers, ..SandboxConfig::default() }).unwrap();
        for (name, code) in [("trivial module", TRIVIAL), ("recurring-transfer.ts, one read", EXAMPLE)] {
            measure(&sandbox, workers, name, code, Duration::from_secs(seconds));
        }
        let start = Instant::now();
        let spinner = Job { code: b"for (;;) {}".as_slice().into(), ..job(TRIVIAL) };
        let mut worst = Duration::ZERO;
        for _ in 0..10 {
            let before = Instant::now();
            let limits = Limits { wall_ms: 100, ..Limits::default() };
            sandbox.run_blocking(Job { limits, ..spinner.clone() }, Arc::new(Rich));
            worst = worst.max(before.elapsed() - Duration::from_millis(100));
        }
        println!(
            "{workers} worker(s), endless loop: worst overrun of a 100 ms deadline {worst:?} (10 runs, {:?})",
            start.elapsed()
        );
        sandbox.shutdown();
    }
}

fn job(code: &str) -> Job {
    let args = r#"{"chainId":1,"token":"0x2222222222222222222222222222222222222222","to":"0x3333333333333333333333333333333333333333","amount":"1000","counter":"0x4444444444444444444444444444444444444444"}"#;
    let input = Input {
        workflow: "1".into(),
        occurrence: "18446744073709551617".into(),
        account: "0x1111111111111111111111111111111111111111".into(),
        slot: 1,
        timestamp_ms: 1_700_000_000_000,
        seed: [1; 32],
        args_json: args.into(),
        chains: vec![1],
    };
    Job { code: code.as_bytes().into(), input, limits: Limits::default() }
}

fn measure(sandbox: &Sandbox, workers: usize, name: &str, code: &str, time: Duration) {
    let [done, failed, cpu_us, peak] = [0; 4].map(|zero| Arc::new(AtomicU64::new(zero)));
    let start = Instant::now();
    let mut sent = 0;
    while start.elapsed() < time {
        let (done, failed, cpu_us, peak) = (done.clone(), failed.clone(), cpu_us.clone(), peak.clone());
        let report = Box::new(move |report: ditto_sandbox::Report| {
            failed.fetch_add(u64::from(report.outcome.trouble()), Ordering::Relaxed);
            cpu_us.fetch_add(report.cpu.as_micros() as u64, Ordering::Relaxed);
            peak.fetch_max(report.peak_memory_bytes, Ordering::Relaxed);
            done.fetch_add(1, Ordering::Release);
        });
        match sandbox.submit(job(code), Arc::new(Rich), report) {
            Ok(()) => sent += 1,
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    while done.load(Ordering::Acquire) < sent {
        std::thread::sleep(Duration::from_millis(1));
    }
    let elapsed = start.elapsed().as_secs_f64();
    println!(
        "{workers} worker(s), {name}: {:.0} runs/s, {} us CPU a run, largest child {} MiB, {} in trouble",
        sent as f64 / elapsed,
        cpu_us.load(Ordering::Relaxed) / sent.max(1),
        peak.load(Ordering::Relaxed) >> 20,
        failed.load(Ordering::Relaxed),
    );
}
