//! Every script of `tests/corpus`, through the real sandbox: it ends as its first line says, twice in a row, and the honest
//! run after it in the same zygote is what it always was.
//!
//! The first line of a script is a comment of `key: value` pairs, separated by `; `:
//! - `expect`: the outcome's kind; several, separated by ` | `, where size and speed of the machine decide among them;
//! - `line`: the line of this file at which it threw;
//! - `says`: a part of the outcome's text (a message, a specifier);
//! - `wall_ms`: the deadline, in milliseconds. Without it a script that may time out gets little, and any other plenty, so
//!   that no outcome depends on how busy the machine is;
//! - `memory_mib`: the heap, in MiB;
//! - `answer`: what its reads are answered: JSON, `failed`, `reverted`, `never`, `*n` (a string of n characters) or `[n`
//!   (n nested arrays).
//!
//! `DITTO_CORPUS=regex/` runs only what has this in its name, and says how each ended and how long it took.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    path::Path,
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use ditto_sandbox::{Job, Limits, Outcome, ReadAnswer, ReadRequest, Reads, Report, Sandbox};
use support::*;

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus");
/// Where scripts lie that the determinism test runs; they are not hostile.
const PROBES: &str = "determinism";
/// Zygotes that work on the corpus, each with a sandbox of its own, so that a script's neighbours in time are known.
const ZYGOTES: usize = 2;
/// Longer than any script may take, on any machine: a host that does not answer by then hangs.
const PATIENCE: Duration = Duration::from_secs(60);

struct Script {
    name: String,
    code: Arc<[u8]>,
    expect: Vec<String>,
    line: Option<u32>,
    says: Option<String>,
    limits: Limits,
    answer: String,
}

impl Script {
    fn read(path: &Path) -> Script {
        let name = path.strip_prefix(CORPUS).unwrap().display().to_string();
        let text = std::fs::read_to_string(path).unwrap();
        let header = text.lines().next().and_then(|line| line.strip_prefix("// ")).unwrap_or_default();
        let mut keys: BTreeMap<&str, &str> =
            header.split("; ").filter_map(|pair| pair.split_once(": ").or_else(|| pair.split_once(':'))).collect();
        let expect: Vec<String> =
            keys.remove("expect").unwrap_or_default().split(" | ").map(|kind| kind.trim().to_string()).collect();
        for kind in &expect {
            assert!(Outcome::KINDS.contains(&kind.as_str()), "{name}: its first line expects {kind:?}");
        }
        let number = |text: &str| text.parse::<u64>().unwrap_or_else(|_| panic!("{name}: {text} is not a number"));
        let short = expect.iter().any(|kind| kind == "timed_out");
        let limits = Limits {
            wall_ms: keys.remove("wall_ms").map_or(if short { 60 } else { 20_000 }, number),
            memory_bytes: keys.remove("memory_mib").map_or(24, number) << 20,
            ..Limits::default()
        };
        let script = Script {
            code: text.as_bytes().into(),
            line: keys.remove("line").map(|line| number(line) as u32),
            says: keys.remove("says").map(str::to_string),
            answer: keys.remove("answer").unwrap_or("failed").to_string(),
            expect,
            limits,
            name,
        };
        assert!(keys.is_empty(), "{}: unknown keys {keys:?}", script.name);
        script
    }

    fn job(&self) -> Job {
        Job { code: self.code.clone(), input: input("{}"), limits: self.limits.clone() }
    }

    fn reads(&self) -> Arc<dyn Reads> {
        let answer = match self.answer.as_str() {
            "never" => return Arc::new(Held::default()),
            "failed" => ReadAnswer::Failed,
            "reverted" => ReadAnswer::Reverted(vec![1, 2, 3]),
            json => ReadAnswer::Ok(match (json.strip_prefix('*'), json.strip_prefix('[')) {
                (Some(length), _) => format!("\"{}\"", "0".repeat(length.parse().unwrap())),
                (_, Some(depth)) if depth.parse::<usize>().is_ok() => {
                    let depth = depth.parse().unwrap();
                    "[".repeat(depth) + &"]".repeat(depth)
                }
                _ => json.to_string(),
            }),
        };
        Arc::new(Answers(move |_: &ReadRequest| answer.clone()))
    }

    /// What is wrong with this outcome, if anything.
    fn complaint(&self, outcome: &Outcome) -> Option<String> {
        let (text, line) = match outcome {
            Outcome::Threw { message, line } => (message.as_str(), *line),
            Outcome::BadOutput { message } => (message.as_str(), None),
            Outcome::ForbiddenImport { specifier } => (specifier.as_str(), None),
            _ => ("", None),
        };
        let kind = self.expect.iter().any(|kind| kind == outcome.kind());
        let says = self.says.as_deref().is_none_or(|says| text.contains(says));
        let right_line = self.line.is_none() || line == self.line;
        (!kind || !says || !right_line).then(|| format!("{}: {}", self.name, brief(outcome)))
    }
}

fn brief(outcome: &Outcome) -> String {
    format!("{outcome:?}").chars().take(300).collect()
}

fn corpus() -> Vec<Script> {
    let mut scripts = Vec::new();
    for class in std::fs::read_dir(CORPUS).unwrap() {
        let class = class.unwrap();
        if class.file_name() != PROBES {
            scripts.extend(std::fs::read_dir(class.path()).unwrap().map(|file| Script::read(&file.unwrap().path())));
        }
    }
    scripts.sort_by(|a, b| a.name.cmp(&b.name));
    scripts
}

/// Runs and waits, but not for ever.
fn run(sandbox: &Sandbox, job: Job, reads: Arc<dyn Reads>, what: &str) -> Report {
    let (sender, receiver) = mpsc::channel();
    sandbox.submit(job, reads, Box::new(move |report| sender.send(report).unwrap_or_default())).unwrap();
    receiver.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{what}: no report"))
}

/// Touches what hostile scripts tamper with: primordials, the SDK, time, chance, reads, logs.
const HONEST: &str = "
    const c = ctx.chain(31337);
    const [n, b] = await Promise.all([c.getBlockNumber(), c.getBalance(ctx.account)]);
    ctx.log(n, b, Date.now(), Math.random(), JSON.stringify({ a: [1, 2] }), Reflect.ownKeys(globalThis).map(String).join());
    ctx.log(new Error('x').stack, [3, 1, 2].sort().map(String), 'ab'.replace(/b/, 'c'), new Map([[1, 2]]).get(1), /a/.test('a'));
    ctx.log([Object, Array, Function, Promise, Map, RegExp].map((f) => Reflect.ownKeys(f.prototype).length).join());
    return [{ to: ctx.account, value: n, data: '0x' + 7n.toString(16).padStart(64, '0') }];";

/// What operators compare of a run, and its logs.
type Told = (Outcome, Vec<String>, Vec<(ReadRequest, [u8; 32])>);

fn honest(sandbox: &Sandbox, after: &str) -> Told {
    let job = Job { limits: Limits { wall_ms: 20_000, ..Limits::default() }, ..body(HONEST) };
    let report = run(sandbox, job, always("\"0x7\""), after);
    (report.outcome, report.logs, report.reads)
}

#[test]
fn every_script_ends_as_it_says_and_harms_nobody() {
    let only = std::env::var("DITTO_CORPUS").ok();
    let mut scripts = corpus();
    assert!(scripts.len() >= 60, "{}", scripts.len());
    scripts.retain(|script| only.as_ref().is_none_or(|only| script.name.contains(only.as_str())));
    let (queue, complaints) = (Mutex::new(scripts.iter()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..ZYGOTES {
            scope.spawn(|| {
                let sandbox = sandbox(1);
                let expected = honest(&sandbox, "nothing");
                assert_eq!(expected.0.kind(), "calls", "{expected:?}");
                loop {
                    let Some(script) = queue.lock().unwrap().next() else { break };
                    // The second time its code is known.
                    for _ in 0..2 {
                        let report = run(&sandbox, script.job(), script.reads(), &script.name);
                        if only.is_some() {
                            println!(
                                "{:?} {} {} {:?}",
                                report.wall,
                                script.name,
                                brief(&report.outcome),
                                report.logs.first().map(|line| line.chars().take(60).collect::<String>())
                            );
                        }
                        let bounded = report.logs.len() <= 64 && report.reads.len() <= 64;
                        let complaint = script.complaint(&report.outcome);
                        complaints.lock().unwrap().extend(complaint);
                        assert!(bounded, "{}: {} logs, {} reads", script.name, report.logs.len(), report.reads.len());
                        assert_eq!(honest(&sandbox, &script.name), expected, "after {}", script.name);
                    }
                }
            });
        }
    });
    let complaints = complaints.into_inner().unwrap();
    assert!(complaints.is_empty(), "{} of {}:\n{}", complaints.len(), scripts.len(), complaints.join("\n"));
}

/// Every way to end has a script that ends in it and no other; `crashed` is for children that lie (`garbage.rs`).
#[test]
fn every_outcome_has_its_scripts() {
    let scripts = corpus();
    let certain: BTreeSet<&str> =
        scripts.iter().filter(|script| script.expect.len() == 1).map(|script| script.expect[0].as_str()).collect();
    let missing: Vec<_> =
        Outcome::KINDS.iter().filter(|kind| **kind != "crashed" && !certain.contains(*kind)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(scripts.iter().all(|script| !script.expect.iter().any(|kind| kind == "crashed")));
    let classes: HashSet<_> = scripts.iter().filter_map(|script| script.name.split('/').next()).collect();
    assert!(classes.len() >= 12, "{classes:?}");
}
