//! Code that recurs is run from a template: nobody can tell from the result, and nothing is lost when one dies. In a file of
//! its own, because it looks at and kills processes.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::sync::{Arc, Mutex, mpsc};

use ditto_sandbox::{Job, Limits, Outcome, ReadAnswer, Report, Sandbox, SandboxConfig};
use support::*;

static ALONE: Mutex<()> = Mutex::new(());

fn children_of(pid: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        let text = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        found.extend(text.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    }
    found
}

/// Whatever zygotes forked and still lives: templates, when no run does.
fn templates() -> Vec<u32> {
    children_of(std::process::id()).into_iter().flat_map(children_of).collect()
}

fn kill(pid: u32) {
    // SAFETY: a process that this test's sandbox started.
    unsafe { libc::kill(pid as i32, libc::SIGKILL) };
}

fn started(config: SandboxConfig) -> Sandbox {
    Sandbox::start(SandboxConfig { limits: patient(), ..config }).unwrap()
}

/// Time enough on a machine that does much else.
fn patient() -> Limits {
    Limits { wall_ms: 20_000, ..Limits::default() }
}

fn run(sandbox: &Sandbox, job: &Job) -> Report {
    sandbox.run_blocking(
        Job { limits: Limits { wall_ms: 20_000, ..job.limits.clone() }, ..job.clone() },
        always("\"0x7\""),
    )
}

/// Runs until the job's template can take the next run.
fn warm(sandbox: &Sandbox, job: &Job) -> u32 {
    let before = templates();
    run(sandbox, job);
    run(sandbox, job);
    let mut made = None;
    wait_until(|| {
        // It says that it is ready by waiting in the kernel; the host hears of that at once.
        made = templates().into_iter().find(|pid| !before.contains(pid) && waits_to_fork(*pid));
        made.is_some()
    });
    run(sandbox, job);
    made.unwrap()
}

fn waits_to_fork(pid: u32) -> bool {
    // 56 is clone on x86_64.
    std::fs::read_to_string(format!("/proc/{pid}/syscall")).is_ok_and(|text| text.starts_with("56 "))
}

#[test]
fn a_run_from_a_template_is_the_run_from_the_zygote() {
    let _alone = ALONE.lock();
    let probes = [
        // The module's own evaluation sees time, chance and the log of its run.
        "console.log('top', Date.now(), Math.random(), new Date().toISOString());\nlet n = 0;\nexport default { run(ctx) { ctx.log(++n, Math.random()); } };",
        "const made = [1, 2, 3].map((x) => x * Math.random());\nexport default { async run(ctx) { ctx.log(...made, await ctx.chain(31337).getBlockNumber()); return [{ to: ctx.account }]; } };",
        // What fails, fails alike, with its line.
        "\n\nthrow new TypeError('at the top');",
        "export default {\n  run() {\n    null.x;\n  },\n};",
        "let x = ;",
        "import fs from 'node:fs'; fs.x();",
        "import { nothing } from 'viem'; nothing();",
        "const a = 1; const a = 2;",
        "Promise.reject(new Error('lost'));\nexport default { run() {} };",
        "await null; globalThis.late = 1;\nexport default { run(ctx) { ctx.log(globalThis.late); } };",
        "await new Promise(() => {});",
        "const deep = () => deep();\nexport default { run() { deep(); } };",
        "const a = []; for (;;) a.push(new Array(1000).fill(1));",
    ];
    let sandbox = started(config(1));
    for probe in probes {
        let job = job(probe);
        let told = |report: Report| (report.outcome, report.logs, report.reads);
        let first = told(run(&sandbox, &job));
        for number in 2..8 {
            assert_eq!(told(run(&sandbox, &job)), first, "run {number} of {probe}");
        }
    }
    // Another seed is another run, template or not.
    let mut job = job(probes[0]);
    let first = run(&sandbox, &job);
    job.input.seed = [9; 32];
    job.input.timestamp_ms += 1;
    assert_ne!(run(&sandbox, &job).logs, first.logs);
    assert!(!templates().is_empty(), "none of these got a template");
}

/// Modules that do something when they are evaluated. A template evaluates ahead what no run can tell, and each of these
/// tries to find a run that can.
const EVALUATED: [&str; 16] = [
    // Nothing of a run: state is every run's own, however it came to be.
    "const seen = new Map(), list = []; let n = 0;\nexport default { run(ctx) { n++; list.push(n); seen.set(n, list.length); ctx.log(n, list.length, seen.size, ctx.timestamp); } };",
    "class Point { static made = 0; constructor() { Point.made++; } }\nnew Point();\nexport default { run(ctx) { new Point(); ctx.log(Point.made); } };",
    "globalThis.kept = 1;\nexport default { run(ctx) { ctx.log(globalThis.kept++, Object.keys(globalThis).length); } };",
    // Time, chance and the log, in every way that leads to them.
    "const at = Date.now();\nexport default { run(ctx) { ctx.log(at); } };",
    "const at = new Date();\nexport default { run(ctx) { ctx.log(at.getTime()); } };",
    "const at = Date();\nexport default { run(ctx) { ctx.log(at); } };",
    "class Mine extends Date {}\nconst at = new Mine();\nexport default { run(ctx) { ctx.log(+at); } };",
    "const at = Reflect.construct(Date, [], Array);\nexport default { run(ctx) { ctx.log(Date.prototype.getTime.call(at)); } };",
    "const { now } = Date, { random } = Math;\nlet x; try { x = [now(), random()]; } catch { x = 'caught'; }\nexport default { run(ctx) { ctx.log(x); } };",
    "const dice = [3, 1, 2].sort(() => Math.random() - 0.5);\nexport default { run(ctx) { ctx.log(dice); } };",
    "console.info('at the top');\nexport default { run(ctx) { ctx.log('in run'); } };",
    // Later than evaluating, before the run.
    "let at; Promise.resolve().then(() => { at = [Date.now(), Math.random()]; console.log('then', at); });\nexport default { run(ctx) { ctx.log(at); } };",
    "let f = () => 'early'; Promise.resolve().then(() => { f = () => 'late'; });\nlet definition = { run(ctx) { ctx.log(f()); } };\nexport { definition as default };",
    "let definition = { run(ctx) { ctx.log('first'); } };\nPromise.resolve().then(() => { definition = { run(ctx) { ctx.log('second'); } }; });\nexport { definition as default };",
    // Comes to no plain end.
    "let deep = 0; try { (function f() { deep++; f(); })(); } catch {}\nexport default { run(ctx) { ctx.log('survived'); } };",
    "let all = [], n = 0; try { for (; n < 24; n++) all.push(new Uint8Array(1 << 20)); } catch { n = -1; }\nexport default { run(ctx) { ctx.log(n, all.length); } };",
];

#[test]
fn evaluating_ahead_is_nothing_that_a_run_can_tell() {
    let _alone = ALONE.lock();
    let plain = started(SandboxConfig { templates_bytes: 0, ..config(1) });
    let sandbox = started(config(1));
    let told = |report: Report| (report.outcome, report.logs, report.reads);
    for probe in EVALUATED {
        let first = job(probe);
        let mut second = first.clone();
        second.input.seed = [9; 32];
        second.input.timestamp_ms += 86_400_000;
        warm(&sandbox, &first);
        for (number, job) in [&first, &second, &first, &second].into_iter().enumerate() {
            assert_eq!(told(run(&sandbox, job)), told(run(&plain, job)), "run {number} of {probe}");
        }
    }
}

#[test]
fn what_is_evaluated_ahead_costs_its_runs_nothing() {
    let _alone = ALONE.lock();
    let sandbox = started(config(1));
    let heavy = job(
        "let sum = 0; for (let i = 0; i < 4_000_000; i++) sum += i % 7;\nexport default { run(ctx) { ctx.log(sum); } };",
    );
    let first = run(&sandbox, &heavy);
    warm(&sandbox, &heavy);
    let further = run(&sandbox, &heavy);
    assert_eq!((&further.outcome, &further.logs), (&first.outcome, &first.logs));
    // Processor time, of which the loop takes nearly all.
    assert!(further.cpu * 4 < first.cpu, "{:?} of a first run's {:?}", further.cpu, first.cpu);
}

#[test]
fn a_module_that_evaluates_for_ever_gets_a_template_that_does_not() {
    let _alone = ALONE.lock();
    let sandbox = started(config(1));
    let endless = job("for (;;) {}");
    let short = Job { limits: Limits { wall_ms: 50, ..Limits::default() }, ..endless };
    let ends = || assert_eq!(sandbox.run_blocking(short.clone(), none()).outcome, Outcome::TimedOut);
    ends();
    ends();
    wait_until(|| templates().into_iter().any(waits_to_fork));
    ends();
    assert_eq!(run(&sandbox, &body("return;")).outcome, Outcome::NothingToDo);
}

#[test]
fn limits_of_a_job_hold_in_a_template() {
    let _alone = ALONE.lock();
    let sandbox = started(config(1));
    let job = body("const a = []; for (let i = 0; i < 30; i++) a.push(new Uint8Array(1 << 20).fill(1));");
    warm(&sandbox, &job);
    let tight = Job { limits: Limits { memory_bytes: 24 << 20, ..Limits::default() }, ..job.clone() };
    assert_eq!(run(&sandbox, &tight).outcome, Outcome::OutOfMemory);
    assert_eq!(run(&sandbox, &job).outcome, Outcome::NothingToDo);
    let nested = body("return [[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]].length ? null : null;");
    warm(&sandbox, &nested);
    let shallow = Job { limits: Limits { code_nesting: 16, ..Limits::default() }, ..nested.clone() };
    assert_eq!(run(&sandbox, &shallow).outcome, Outcome::CodeTooLarge);
    let short = Job { limits: Limits { code_bytes: 16, ..Limits::default() }, ..nested };
    assert_eq!(run(&sandbox, &short).outcome, Outcome::CodeTooLarge);
    let endless = body("for (;;) if (Math.random() < 0) break;");
    for _ in 0..4 {
        let limits = Limits { wall_ms: 50, ..Limits::default() };
        let report = sandbox.run_blocking(Job { limits, ..endless.clone() }, none());
        assert_eq!(report.outcome, Outcome::TimedOut);
    }
}

#[test]
fn a_template_is_confined_like_a_run() {
    let _alone = ALONE.lock();
    let sandbox = started(config(1));
    let template = warm(&sandbox, &body("return;"));
    let status = std::fs::read_to_string(format!("/proc/{template}/status")).unwrap();
    for line in
        ["Threads:\t1", "NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t0000000000000000", "CapPrm:\t0000000000000000"]
    {
        assert!(status.lines().any(|found| found == line), "{line} is not in {status}");
    }
    let limits = std::fs::read_to_string(format!("/proc/{template}/limits")).unwrap();
    let limit = |name: &str| {
        let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().map(str::to_string).collect::<Vec<_>>()
    };
    assert_eq!(limit("Max open files")[..2], ["2", "2"]);
    assert_eq!(limit("Max core file size")[..2], ["0", "0"]);
    assert_eq!(limit("Max file size")[..2], ["0", "0"]);
    assert_ne!(limit("Max address space")[1], "unlimited");
    assert_eq!(std::fs::read_dir(format!("/proc/{template}/fd")).unwrap().count(), 1);
    // Its runs are not its children: what reaps them is the zygote.
    assert_eq!(children_of(template), [] as [u32; 0]);
    let group = |pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit_once(')').unwrap().1.split_whitespace().nth(2).unwrap().to_string()
    };
    assert_eq!(group(template), children_of(std::process::id())[0].to_string());
}

#[test]
fn a_dead_template_loses_no_run_and_is_not_missed() {
    let _alone = ALONE.lock();
    let before = measured("ditto_sandbox_templates_given_up_total");
    let sandbox = started(config(1));
    let job = body("const n = await ctx.chain(31337).getBlockNumber(); return [{ to: ctx.account, value: n }];");
    let template = warm(&sandbox, &job);
    // Runs in flight do not notice.
    let held = Arc::new(Held::default());
    let (sender, receiver) = mpsc::channel();
    for _ in 0..8 {
        let sender = sender.clone();
        let done = Box::new(move |report: Report| sender.send(report.outcome).unwrap());
        sandbox.submit(Job { limits: patient(), ..job.clone() }, held.clone(), done).unwrap();
    }
    wait_until(|| held.0.lock().unwrap().len() == 8);
    kill(template);
    for (_, reply) in std::mem::take(&mut *held.0.lock().unwrap()) {
        reply.answer(ReadAnswer::Ok("\"0x7\"".into()));
    }
    for _ in 0..8 {
        assert_eq!(receiver.recv().unwrap().kind(), "calls");
    }
    // Nor do those that come while it dies, or after.
    for number in 0..20 {
        assert_eq!(run(&sandbox, &job).outcome.kind(), "calls", "run {number}");
    }
    // Another code's template dies under the very runs it is to fork.
    let other = body("const n = await ctx.chain(31337).getBlockNumber(); return [{ to: ctx.account, value: n + 1n }];");
    let template = warm(&sandbox, &other);
    for number in 0..200 {
        if number == 100 {
            kill(template);
        }
        let sender = sender.clone();
        let done = Box::new(move |report: Report| sender.send(report.outcome).unwrap());
        sandbox.submit(Job { limits: patient(), ..other.clone() }, always("\"0x7\""), done).unwrap();
    }
    for _ in 0..200 {
        assert_eq!(receiver.recv().unwrap().kind(), "calls");
    }
    assert!(measured("ditto_sandbox_templates_given_up_total") >= before + 2.0);
}

#[test]
fn templates_go_with_their_zygote_and_come_again() {
    let _alone = ALONE.lock();
    let sandbox = started(config(1));
    let job = body("return [{ to: ctx.account }];");
    let template = warm(&sandbox, &job);
    kill(children_of(std::process::id())[0]);
    assert_eq!(run(&sandbox, &job).outcome.kind(), "calls");
    wait_until(|| !std::path::Path::new(&format!("/proc/{template}")).exists());
    // It was seen before, so its next run makes the next template.
    run(&sandbox, &job);
    wait_until(|| templates().into_iter().any(waits_to_fork));
    assert_eq!(run(&sandbox, &job).outcome.kind(), "calls");
    sandbox.shutdown();
    assert_eq!(children_of(std::process::id()), [] as [u32; 0]);
}

#[test]
fn the_least_recently_used_ones_go_when_memory_is_short() {
    let _alone = ALONE.lock();
    let bytes = 12 << 20;
    let sandbox = started(SandboxConfig { templates_bytes: bytes, ..config(1) });
    let keep = body("return [{ to: ctx.account }];");
    let template = warm(&sandbox, &keep);
    for number in 0..40 {
        let other = body(&format!("return [{{ to: ctx.account, value: {number}n }}];"));
        run(&sandbox, &other);
        run(&sandbox, &other);
        run(&sandbox, &keep);
    }
    // Dropped ones may still be dying.
    let private = || -> u64 { templates().into_iter().map(private_bytes).sum() };
    wait_until(|| private() <= bytes + (4 << 20));
    assert!(templates().contains(&template), "the one in use was dropped");
    let none = started(SandboxConfig { templates_bytes: 0, ..config(1) });
    for _ in 0..5 {
        assert_eq!(run(&none, &keep).outcome.kind(), "calls");
    }
}

fn private_bytes(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Private_Dirty:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}
