//! A run is a pure function: every example workflow, and every probe made to betray the contrary, gives the same bytes over
//! and over, on several zygotes at once, whatever the order in which reads are answered.
//!
//! `DITTO_DETERMINISM_RUNS=1000` for the number of runs of each; fewer by default, so that `make test` stays short.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};

use alloy::primitives::keccak256;
use ditto_sandbox::{Job, Limits, Outcome, ReadAnswer, ReadReply, ReadRequest, Reads, Report, Sandbox, SandboxConfig};
use support::*;

const PROBES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/determinism");
const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../workflows/examples");
/// What the examples take, all of them together.
const ARGS: &str = include_str!("corpus/determinism/args.json");
const RUNS: usize = 100;
/// Runs in flight at once.
const FLIGHT: usize = 24;
/// Longer than any run may take, on any machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Answers by request alone, but in an order that changes from run to run: one thread collects what is asked about the same
/// time, shuffles and answers it.
struct Shuffled(Mutex<Sender<(ReadRequest, ReadReply)>>);

impl Shuffled {
    fn start() -> Arc<Shuffled> {
        let (sender, asked) = channel::<(ReadRequest, ReadReply)>();
        std::thread::spawn(move || shuffle(&asked));
        Arc::new(Shuffled(Mutex::new(sender)))
    }
}

impl Reads for Shuffled {
    fn read(&self, request: ReadRequest, reply: ReadReply) {
        // When the test is over nobody answers, and nobody waits.
        self.0.lock().unwrap().send((request, reply)).ok();
    }
}

fn shuffle(asked: &Receiver<(ReadRequest, ReadReply)>) {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    while let Ok(first) = asked.recv() {
        let mut open = vec![first];
        while let Ok(next) = asked.recv_timeout(Duration::from_micros(300)) {
            open.push(next);
            if open.len() >= FLIGHT {
                break;
            }
        }
        while !open.is_empty() {
            // xorshift64: any order will do, so long as it keeps changing.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let (request, reply) = open.swap_remove(state as usize % open.len());
            reply.answer(answer(&request));
        }
    }
}

fn answer(request: &ReadRequest) -> ReadAnswer {
    if request.params.contains("dead\"") {
        return ReadAnswer::Reverted(vec![0xde, 0xad]);
    }
    let hash = keccak256(format!("{} {} {}", request.chain_id, request.method, request.params));
    match request.method.as_str() {
        "eth_getBalance" | "eth_blockNumber" => ReadAnswer::Ok(format!("\"{:#x}\"", u64::from(hash[0]) + 1)),
        "eth_getLogs" => ReadAnswer::Ok(format!("[{},{}]", deposit(1), deposit(2))),
        // 2^200 and something: more than any example asks for.
        _ => ReadAnswer::Ok(format!("\"0x{:0>14}{}\"", "1", hex::encode(&hash[7..]))),
    }
}

/// A Transfer to the account.
fn deposit(index: u64) -> String {
    let word = |text: &str| format!("0x{text:0>64}");
    let (token, to) = ("22".repeat(20), "11".repeat(20));
    format!(
        r#"{{"address":"0x{token}","topics":["0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef","{}","{}"],"data":"{}","blockNumber":"0x1","blockHash":"{}","transactionHash":"{}","logIndex":"{index:#x}"}}"#,
        word("33"),
        word(&to),
        word("ffff"),
        word("44"),
        word("55"),
    )
}

fn scripts(directory: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "ts"))
        .collect();
    found.sort();
    found
}

/// All that operators compare, and what a workflow logged. A run that is trouble is not compared with anything.
fn bytes(report: &Report) -> String {
    if report.outcome.trouble() {
        return report.outcome.kind().into();
    }
    let reads: Vec<_> = report.reads.iter().map(|(request, digest)| (format!("{request:?}"), digest)).collect();
    serde_json::to_string_pretty(&(&report.outcome, &report.logs, &reads)).unwrap()
}

/// The first place where two reports differ.
fn difference(a: &str, b: &str) -> String {
    let at = a.lines().zip(b.lines()).find(|(a, b)| a != b);
    at.map_or_else(|| "one is longer".to_string(), |(a, b)| format!("\n{a}\n{b}"))
}

struct Bench {
    sandboxes: Vec<Sandbox>,
    reads: Arc<Shuffled>,
}

impl Bench {
    /// Two workers that share a queue, and another sandbox with another ceiling.
    fn start() -> Bench {
        let other = SandboxConfig {
            limits: Limits { memory_bytes: 96 << 20, ..Limits::default() },
            running_per_worker: 5,
            ..config(1)
        };
        Bench { sandboxes: vec![sandbox(2), Sandbox::start(other).unwrap()], reads: Shuffled::start() }
    }

    fn check(&self, path: &Path, args: &str, runs: usize) -> Report {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let start = std::time::Instant::now();
        let (sender, reports) = channel();
        let code: Arc<[u8]> = std::fs::read(path).unwrap().into();
        let submit = |index: usize| {
            // Performers and attesters differ in their patience alone.
            let limits = Limits { wall_ms: 20_000, ..Limits::default() }.times(1 + index as u32 % 3);
            let job = Job { code: code.clone(), input: input(args), limits };
            let sender = sender.clone();
            let done = Box::new(move |report: Report| sender.send(report).unwrap_or_default());
            self.sandboxes[usize::from(index % 3 == 2)].submit(job, self.reads.clone(), done).unwrap();
        };
        let next = || reports.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{name}: no report"));
        (0..FLIGHT.min(runs)).for_each(submit);
        let first = next();
        let expected = bytes(&first);
        for index in 1..runs {
            if index + FLIGHT <= runs {
                submit(index + FLIGHT - 1);
            }
            let report = next();
            assert!(report.outcome == first.outcome || !report.outcome.trouble(), "{name}: {report:?}");
            let found = bytes(&report);
            assert!(found == expected, "{name}, run {index} of {runs}: {}", difference(&expected, &found));
        }
        println!("{name}: {runs} runs in {:.1?}, {}", start.elapsed(), first.outcome.kind());
        first
    }
}

fn runs() -> usize {
    let runs = std::env::var("DITTO_DETERMINISM_RUNS").map_or(RUNS, |text| text.parse().unwrap());
    assert!(runs > 1);
    runs
}

#[test]
fn examples_give_the_same_bytes() {
    let bench = Bench::start();
    let examples = scripts(EXAMPLES);
    assert!(examples.len() >= 2);
    for path in &examples {
        let first = bench.check(path, ARGS, runs());
        // An example that throws tells nothing: give it arguments in corpus/determinism/args.json.
        assert!(matches!(first.outcome, Outcome::Calls(_)), "{}: {first:?}", path.display());
    }
}

#[test]
fn probes_give_the_same_bytes() {
    let bench = Bench::start();
    let probes = scripts(PROBES);
    assert!(probes.len() >= 10);
    for path in &probes {
        let first = bench.check(path, "{}", runs());
        // Of what depends on the stack, nothing may become a verdict.
        let deep = path.ends_with("depth.ts");
        assert_eq!(first.outcome.trouble(), deep, "{}: {first:?}", path.display());
        match &first.outcome {
            Outcome::Threw { message, line } if path.ends_with("errors.ts") => {
                assert_eq!((message.as_str(), *line), ("TypeError: last", Some(53)));
            }
            outcome => assert!(!matches!(outcome, Outcome::Threw { .. }), "{}: {outcome:?}", path.display()),
        }
    }
}
