//! Many runs of all kinds, watched for what grows.

use std::{
    sync::{Arc, mpsc},
    time::Instant,
};

use ditto_sandbox::{Job, Limits, Report, Sandbox, SandboxConfig};

use crate::{processes, workload};

const SAMPLES: u64 = 20;
const AHEAD: u64 = 32;
/// Of the sandbox's memory, for one sample.
const READINGS: u32 = 10;
/// Small, so that templates come and go all the time.
const TEMPLATES_BYTES: u64 = 32 << 20;

struct Sample {
    host_bytes: u64,
    sandbox_bytes: u64,
    descriptors: usize,
    zombies: usize,
    processes: usize,
}

/// The `number`th job, and how it must end.
fn job(number: u64, dense: &Arc<[u8]>) -> (Job, &'static str) {
    if number % 1_000 == 999 {
        let job = workload::job(b"for (;;) {}".as_slice().into());
        return (Job { limits: Limits { wall_ms: 20, ..Limits::default() }, ..job }, "timed_out");
    }
    match number % 40 {
        // Three times each, so that they get a template, which goes again when others come.
        0..=2 => (workload::job(workload::unseen(number / 40)), "calls"),
        3 => (workload::job(b"throw new Error('x');".as_slice().into()), "threw"),
        4 => (
            workload::job(b"const a = []; for (;;) a.push(new Array(1e5).fill(1));".as_slice().into()),
            "out_of_memory",
        ),
        _ => (workload::job(dense.clone()), "calls"),
    }
}

/// What must not grow.
type Measure = (&'static str, fn(&Sample) -> u64);

pub fn soak(runs: u64) {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let config =
        SandboxConfig { workers: cores, templates_bytes: TEMPLATES_BYTES * cores as u64, ..Default::default() };
    let sandbox = Sandbox::start(config).unwrap();
    let reads = workload::Cache::new();
    let dense: Arc<[u8]> = workload::DENSE.as_bytes().into();
    let (sender, receiver) = mpsc::channel::<(Report, &'static str)>();
    let submit = |number: u64| {
        let (job, expected) = job(number, &dense);
        let sender = sender.clone();
        let done = Box::new(move |report| sender.send((report, expected)).unwrap());
        sandbox.submit(job, reads.clone(), done).unwrap();
    };
    let start = Instant::now();
    let mut samples = Vec::new();
    let mut surprises = std::collections::BTreeMap::<String, u64>::new();
    (0..AHEAD).for_each(&submit);
    for number in 0..runs {
        let (report, expected) = receiver.recv().unwrap();
        // A machine under load may be late, and that is an outcome of its own: a run that would have filled its memory
        // then ends by the clock. Anything else unexpected is not.
        if report.outcome.kind() != expected {
            *surprises.entry(format!("{expected} ended as {}", report.outcome.kind())).or_default() += 1;
            assert!(surprises.values().sum::<u64>() <= 1 + runs / 1_000, "{expected} ended as {report:?}");
        }
        submit(number + AHEAD);
        if number % (runs / SAMPLES).max(1) == runs / SAMPLES / 2 {
            let sample = sample();
            println!(
                "{number} runs, {:.0} s: host {} KiB, sandbox {} KiB in {} processes, {} descriptors, {} zombies",
                start.elapsed().as_secs_f64(),
                sample.host_bytes >> 10,
                sample.sandbox_bytes >> 10,
                sample.processes,
                sample.descriptors,
                sample.zombies
            );
            samples.push(sample);
        }
    }
    (0..AHEAD).for_each(|_| drop(receiver.recv().unwrap()));
    println!("{runs} runs in {:?}, ended otherwise than expected: {surprises:?}", start.elapsed());
    // The first quarter fills caches and templates. After it nothing may be more by an eighth than it came to be there, at
    // its least: on a busy machine a run that fills its memory is there for long. What grows, grows at its least, too.
    let (warm, late) = samples.split_at(samples.len() / 4);
    let (_, late) = late.split_at(late.len() / 2);
    let measures: [Measure; 3] = [
        ("host memory", |sample| sample.host_bytes),
        ("sandbox memory", |sample| sample.sandbox_bytes),
        ("descriptors", |sample| sample.descriptors as u64),
    ];
    for (what, of) in measures {
        let warm = warm.iter().map(of).max().unwrap_or(0);
        let late = late.iter().map(of).min().unwrap_or(0);
        println!("{what}: {warm} in the first quarter, {late} at the end");
        assert!(late <= warm + warm / 8, "{what} grew from {warm} to {late}");
    }
    sandbox.shutdown();
    assert_eq!(processes::children_of(std::process::id()), [] as [u32; 0], "processes are left");
}

fn sample() -> Sample {
    // A dead child is a zombie until its zygote looks, so only one that stays so counts.
    let zombies = (0..50).map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(1));
        processes::zombies()
    });
    let sandboxed = processes::sandboxed();
    let readings = (0..READINGS).map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        processes::resident(&processes::sandboxed())
    });
    Sample {
        host_bytes: processes::resident(&[std::process::id()]),
        sandbox_bytes: readings.min().unwrap_or(0),
        descriptors: std::fs::read_dir("/proc/self/fd").map_or(0, |list| list.count()),
        zombies: zombies.min().unwrap_or(0),
        processes: sandboxed.len(),
    }
}
