//! Every way a run can end, and what a workflow can do.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use alloy::{
    primitives::{Address, U256},
    sol,
    sol_types::SolCall,
};
use ditto_sandbox::{Job, Limits, Outcome, ReadAnswer, ReadRequest, SandboxConfig, SandboxError};
use support::*;

sol! {
    function transfer(address to, uint256 amount) returns (bool);
    function rebalance(uint256 targetBps);
    function record(uint256 occurrence);
}

const TRANSFER: &str = include_str!("../../workflows/examples/recurring-transfer.ts");
const REBALANCE: &str = include_str!("../../workflows/examples/threshold-rebalance.ts");
const COUNTER: &str = "0xcccccccccccccccccccccccccccccccccccccccc";

#[test]
fn the_examples_do_what_they_say() {
    let sandbox = sandbox(1);
    let args = format!(
        r#"{{"chainId":31337,"token":"0x2222222222222222222222222222222222222222","to":"0x3333333333333333333333333333333333333333","amount":"1000000000000000000","counter":"{COUNTER}"}}"#
    );
    let transfer = Job { input: input(&args), ..job(TRANSFER) };
    let rich = always("\"0x0000000000000000000000000000000000000000000000000de0b6b3a7640000\"");
    let report = sandbox.run_blocking(transfer.clone(), rich);
    let Outcome::Calls(calls) = &report.outcome else { panic!("{report:?}") };
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0].to, [0x22; 20]);
    assert_eq!(
        calls[0].data,
        transferCall { to: Address::repeat_byte(0x33), amount: U256::from(10u64.pow(18)) }.abi_encode()
    );
    assert_eq!(calls[1].data, recordCall { occurrence: U256::from((7u128 << 64) | 42) }.abi_encode());
    assert_eq!(report.reads.len(), 1);
    assert_eq!(report.reads[0].0, ReadRequest {
        chain_id: CHAIN,
        method: "eth_call".into(),
        params: r#"[{"to":"0x2222222222222222222222222222222222222222","data":"0x70a082310000000000000000000000001111111111111111111111111111111111111111"}]"#.into(),
    });
    assert!(report.cpu > Duration::ZERO && report.peak_memory_bytes > 1 << 20, "{report:?}");

    let report = sandbox.run_blocking(transfer, Arc::new(Answers(|_: &ReadRequest| ReadAnswer::Ok(word(5)))));
    assert_eq!(report.outcome, Outcome::NothingToDo);
    assert_eq!(report.logs, ["balance 5 does not cover 1000000000000000000"]);

    let args = format!(
        r#"{{"chainId":31337,"oracle":"0x4444444444444444444444444444444444444444","floor":"100","vault":"0x5555555555555555555555555555555555555555","targetBps":2500,"counter":"{COUNTER}"}}"#
    );
    let job = Job { input: input(&args), ..job(REBALANCE) };
    let report = sandbox.run_blocking(job.clone(), Arc::new(Answers(|_: &ReadRequest| ReadAnswer::Ok(word(99)))));
    let Outcome::Calls(calls) = &report.outcome else { panic!("{report:?}") };
    assert_eq!(calls[0].data, rebalanceCall { targetBps: U256::from(2500) }.abi_encode());
    assert_eq!(calls.len(), 2);
    let report = sandbox.run_blocking(job, Arc::new(Answers(|_: &ReadRequest| ReadAnswer::Ok(word(100)))));
    assert_eq!(report.outcome, Outcome::NothingToDo);
}

#[test]
fn exceptions_carry_the_authors_line() {
    let sandbox = sandbox(1);
    let run = |code: &str| sandbox.run_blocking(job(code), none());
    let typed = "interface A {\n  x: number;\n}\nconst f = (a: A): number => {\n  throw new Error(`no ${a.x}`);\n};\nexport default { run() { return f({ x: 1 } as A); } };\n";
    assert_eq!(threw(&run(typed)), ("no 1".into(), Some(5)));
    assert_eq!(threw(&run("\n\nthrow new TypeError('top');")), ("TypeError: top".into(), Some(3)));
    assert_eq!(
        threw(&run("export default {\n  async run() {\n    const x: any = null;\n    return x.y;\n  }\n};")).1,
        Some(4)
    );
    let (message, line) = threw(&run("export default {\n  run( {\n};"));
    assert!(message.starts_with("SyntaxError"), "{message}");
    assert!(line.is_some());
    assert_eq!(
        threw(&run("import { nope } from 'viem';\nexport default { run() { nope(); } };")).0,
        "\"viem\" has no export named \"nope\": sdk/ in the workflows folder lists what there is"
    );
    assert!(threw(&run("export const x = 1;")).0.contains("default export"));
    assert_eq!(threw(&sandbox.run_blocking(body("throw 5n;"), none())).0, "threw 5n, which is not an Error");
    assert_eq!(
        threw(&sandbox.run_blocking(body("throw Object.create(null);"), none())).0,
        "threw {}, which is not an Error"
    );
    assert_eq!(
        threw(
            &sandbox.run_blocking(
                body("throw new Proxy({}, { get() { throw 1; }, getPrototypeOf() { throw 2; } });"),
                none()
            )
        )
        .0,
        "threw a value that cannot be shown"
    );
    assert!(
        threw(&sandbox.run_blocking(body("await new Promise(() => {});"), none()))
            .0
            .starts_with("the run never finished")
    );
    let (message, line) = threw(&sandbox.run_blocking(body("Promise.reject(new Error('lost'));"), none()));
    assert_eq!(message, "a promise was rejected and nobody handled it: lost");
    assert_eq!(line, Some(3));
    assert!(
        threw(&sandbox.run_blocking(body("Promise.reject(Object.create(null));"), none()))
            .0
            .contains("nobody handled it")
    );
    // A handler that comes later is in time.
    assert_eq!(
        sandbox.run_blocking(body("const p = Promise.reject(1); await null; await p.catch(() => {});"), none()).outcome,
        Outcome::NothingToDo
    );
    assert!(threw(&sandbox.run_blocking(body("const f = () => f(); f();"), none())).0.contains("stack"));
}

#[test]
fn every_limit_has_its_outcome() {
    let sandbox = sandbox(1);
    // None of these is about time, so a machine that does much else may take its own.
    let with = |text: &str, limits: Limits| {
        let limits = Limits { wall_ms: 20_000, ..limits };
        sandbox.run_blocking(Job { limits, ..body(text) }, always("\"0x1\"")).outcome
    };
    let outcome = |text: &str| with(text, Limits::default());
    assert_eq!(outcome(""), Outcome::NothingToDo);
    assert_eq!(outcome("return [];"), Outcome::NothingToDo);
    assert_eq!(outcome("const a = []; for (;;) a.push(new Array(1000).fill(1));"), Outcome::OutOfMemory);
    assert_eq!(outcome("let s = 'x'; for (;;) { s += s; s.charCodeAt(3); }").kind(), Outcome::OutOfMemory.kind());
    assert_eq!(outcome("const a = []; for (;;) a.push(new Uint8Array(1 << 20).fill(1));"), Outcome::OutOfMemory);
    assert_eq!(
        with(
            "const a = []; for (let i = 0; i < 30; i++) a.push(new Uint8Array(1 << 20).fill(1));",
            Limits { memory_bytes: 24 << 20, ..Limits::default() }
        ),
        Outcome::OutOfMemory
    );
    assert_eq!(
        with("const a = []; for (let i = 0; i < 30; i++) a.push(new Uint8Array(1 << 20).fill(1));", Limits::default()),
        Outcome::NothingToDo
    );
    assert_eq!(
        with(
            "for (let i = 0; i < 5; i++) await ctx.chain(31337).getBlockNumber();",
            Limits { reads: 4, ..Limits::default() }
        ),
        Outcome::TooManyReads
    );
    assert_eq!(
        with(
            "for (let i = 0; i < 4; i++) await ctx.chain(31337).getBlockNumber();",
            Limits { reads: 4, ..Limits::default() }
        ),
        Outcome::NothingToDo
    );
    assert_eq!(outcome("return [{ to: ctx.account, data: '0x' + '00'.repeat(200000) }];"), Outcome::OutputTooLarge);
    assert_eq!(outcome("return Array(1000000).fill({ to: ctx.account });"), Outcome::OutputTooLarge);
    assert_eq!(
        with(&format!("// {}", "x".repeat(1000)), Limits { code_bytes: 900, ..Limits::default() }),
        Outcome::CodeTooLarge
    );
    assert_eq!(outcome(&"(".repeat(5_000)), Outcome::CodeTooLarge);
    assert_eq!(outcome("ctx.chain(5);"), Outcome::UnsupportedChain { id: 5 });
    assert_eq!(
        sandbox.run_blocking(job("import fs from 'node:fs';\nexport default { run() { fs.x(); } };"), none()).outcome,
        Outcome::ForbiddenImport { specifier: "node:fs".into() }
    );
    assert_eq!(outcome("await import('./x.ts');"), Outcome::ForbiddenImport { specifier: "./x.ts".into() });
    assert_eq!(
        sandbox.run_blocking(body("await ctx.chain(31337).getBlockNumber();"), none()).outcome,
        Outcome::ReadFailed
    );
    let logs = sandbox.run_blocking(body("for (let i = 0; i < 1000; i++) ctx.log('line', i, { a: 1n });"), none()).logs;
    assert_eq!(logs.len(), 64);
    assert_eq!(logs[1], "line 1 {\"a\":\"1\"}");
    let logs = sandbox.run_blocking(body("console.log('é'.repeat(5000));"), none()).logs;
    assert!(logs[0].len() <= 1024 && logs[0].ends_with("..."));
}

#[test]
fn bad_output_names_the_field() {
    let sandbox = sandbox(1);
    for (code, expected) in [
        ("return 5;", "run must return an array of calls or nothing, not 5"),
        ("return [{}];", "calls[0].to: undefined is not an address"),
        ("return [{ to: ctx.account }, { to: '0x12' }];", "calls[1].to: \"0x12\" is not an address"),
        ("return [{ to: ctx.account, value: 5 }];", "calls[0].value: 5 is not a bigint from 0 to 2^256 - 1"),
        ("return [{ to: ctx.account, value: -1n }];", "calls[0].value: -1n is not a bigint from 0 to 2^256 - 1"),
        ("return [{ to: ctx.account, data: '0x123' }];", "calls[0].data: \"0x123\" is not 0x hex of whole bytes"),
        ("return [{ to: ctx.account, gas: 5n }];", "calls[0].gas: a call has only to, value and data"),
        ("return [null];", "calls[0]: expected { to, value?, data? }, got null"),
    ] {
        assert_eq!(
            sandbox.run_blocking(body(code), none()).outcome,
            Outcome::BadOutput { message: expected.into() },
            "{code}"
        );
    }
}

#[test]
fn reads_answer_revert_and_keep_their_order() {
    let sandbox = sandbox(1);
    // Error(string) "nope"
    let revert = hex::decode("08c379a0000000000000000000000000000000000000000000000000000000000000002000000000000000000000000000000000000000000000000000000000000000046e6f706500000000000000000000000000000000000000000000000000000000").unwrap();
    let reverts = Arc::new(Answers(move |_: &ReadRequest| ReadAnswer::Reverted(revert.clone())));
    let code = "try { await ctx.chain(31337).call({ to: ctx.account }); } catch (e) { ctx.log(e.name, e.message, e.data.slice(0, 10)); }";
    assert_eq!(
        sandbox.run_blocking(body(code), reverts.clone()).logs,
        ["CallReverted the call reverted: nope 0x08c379a0"]
    );
    let (message, line) =
        threw(&sandbox.run_blocking(body("\nawait ctx.chain(31337).call({ to: ctx.account });"), reverts));
    assert_eq!((message.as_str(), line), ("CallReverted: the call reverted: nope", Some(4)));

    // Two reads at once, answered in the other order: the run sees the order of its requests.
    let held = Arc::new(Held::default());
    let (sender, receiver) = std::sync::mpsc::channel();
    let code = "const order = []; const c = ctx.chain(31337n);
        await Promise.all([c.getBlockNumber().then((n) => order.push(n)), c.getBalance(ctx.account).then((n) => order.push(n))]);
        ctx.log(...order);";
    sandbox.submit(body(code), held.clone(), Box::new(move |report| sender.send(report).unwrap())).unwrap();
    wait_until(|| held.0.lock().unwrap().len() == 2);
    let mut replies = std::mem::take(&mut *held.0.lock().unwrap());
    replies.pop().unwrap().1.answer(ReadAnswer::Ok("\"0x2\"".into()));
    std::thread::sleep(Duration::from_millis(20));
    replies.pop().unwrap().1.answer(ReadAnswer::Ok("\"0x1\"".into()));
    let report = receiver.recv().unwrap();
    assert_eq!(report.logs, ["1n 2n"]);
    assert_eq!(
        report.reads.iter().map(|(r, _)| r.method.as_str()).collect::<Vec<_>>(),
        ["eth_blockNumber", "eth_getBalance"]
    );

    // A reply that is dropped is a failed read.
    let held = Arc::new(Held::default());
    let (sender, receiver) = std::sync::mpsc::channel();
    sandbox.submit(body(code), held.clone(), Box::new(move |report| sender.send(report).unwrap())).unwrap();
    wait_until(|| held.0.lock().unwrap().len() == 2);
    held.0.lock().unwrap().clear();
    assert_eq!(receiver.recv().unwrap().outcome, Outcome::ReadFailed);
}

#[test]
fn a_waiting_read_holds_nobody() {
    let sandbox = sandbox(1);
    let held = Arc::new(Held::default());
    let (sender, receiver) = std::sync::mpsc::channel();
    for _ in 0..20 {
        let sender = sender.clone();
        sandbox
            .submit(
                body("await ctx.chain(31337).getBlockNumber();"),
                held.clone(),
                Box::new(move |report| sender.send(report.outcome).unwrap()),
            )
            .unwrap();
    }
    wait_until(|| held.0.lock().unwrap().len() == 20);
    // All twenty wait; others run meanwhile.
    let start = Instant::now();
    assert_eq!(sandbox.run_blocking(body("return;"), none()).outcome, Outcome::NothingToDo);
    assert!(start.elapsed() < Duration::from_millis(500));
    for (_, reply) in std::mem::take(&mut *held.0.lock().unwrap()) {
        reply.answer(ReadAnswer::Ok("\"0x1\"".into()));
    }
    for _ in 0..20 {
        assert_eq!(receiver.recv().unwrap(), Outcome::NothingToDo);
    }
}

#[test]
fn one_hundred_runs_are_one() {
    let sandbox = sandbox(2);
    let code = "const words = [];
        for (let i = 0; i < 5; i++) words.push(Math.random());
        words.push(Date.now(), new Date().toISOString(), Date(), new Date(2020, 1, 1).getTime(), (1e21).toLocaleString(), [3, 1, 2].sort().join());
        words.push(new Error('x').stack, Object.keys({ b: 1, a: 2, 1: 3 }).join(), 0.1 + 0.2, Math.sin(1e22), Math.pow(1.1, 50.5), 'ä'.localeCompare('b'));
        for (const w of words) ctx.log(String(w));
        const c = ctx.chain(31337);
        ctx.log((await Promise.all([c.getBlockNumber(), c.getBalance(ctx.account)])).join());
        return [{ to: ctx.account, value: BigInt(Math.floor(Math.random() * 1e9)) }];";
    let first = sandbox.run_blocking(body(code), always("\"0x1\""));
    assert_eq!(first.outcome.kind(), "calls", "{first:?}");
    assert!(first.logs.iter().any(|line| line == "1700000000123"), "{:?}", first.logs);
    assert!(first.logs.iter().any(|line| line == "Error: x"), "{:?}", first.logs);
    let (sender, receiver) = std::sync::mpsc::channel();
    for _ in 0..100 {
        let sender = sender.clone();
        sandbox.submit(body(code), always("\"0x1\""), Box::new(move |report| sender.send(report).unwrap())).unwrap();
    }
    for _ in 0..100 {
        let report = receiver.recv().unwrap();
        assert_eq!(
            (report.outcome, report.logs, report.reads),
            (first.outcome.clone(), first.logs.clone(), first.reads.clone())
        );
    }
    let mut other = body(code);
    other.input.seed = [8; 32];
    assert_ne!(sandbox.run_blocking(other, always("\"0x1\"")).outcome, first.outcome);
}

#[test]
fn a_full_queue_says_so_and_a_bad_config_names_its_field() {
    let waiting = || measured("ditto_sandbox_queue_depth");
    assert!(waiting() < 0.5);
    let sandbox =
        ditto_sandbox::Sandbox::start(SandboxConfig { queue: 1, children_per_worker: 1, ..config(1) }).unwrap();
    let held = Arc::new(Held::default());
    let ended = Arc::new(AtomicUsize::new(0));
    let twice = body("await ctx.chain(31337).getBlockNumber(); await ctx.chain(31337).getBlockNumber();");
    let mut busy = 0;
    for number in 0..10 {
        let job = Job { limits: Limits { wall_ms: 20_000, ..Limits::default() }, ..twice.clone() };
        let ended = ended.clone();
        let done = Box::new(move |_| ended.store(ended.load(Ordering::SeqCst) + 1, Ordering::SeqCst));
        busy += usize::from(sandbox.submit(job, held.clone(), done).is_err());
        if number == 0 {
            // It runs: the next one waits in the queue, and no other has a place there.
            wait_until(|| !held.0.lock().unwrap().is_empty());
        }
    }
    assert_eq!(busy, 8);
    // A worker looks whenever something happens to its run: here one of its reads is answered, and it asks for another.
    let (_, reply) = held.0.lock().unwrap().remove(0);
    reply.answer(ReadAnswer::Ok("\"0x1\"".into()));
    wait_until(|| waiting() > 0.5);
    wait_until(|| {
        held.0.lock().unwrap().clear();
        ended.load(Ordering::SeqCst) == 10 - busy
    });
    sandbox.shutdown();
    let error = ditto_sandbox::Sandbox::start(SandboxConfig { queue: 0, ..config(1) }).err().unwrap();
    assert_eq!(error.to_string(), "sandbox.queue must be at least 1, is 0");
    let wrong = SandboxConfig { program: Some("/bin/true".into()), ..config(1) };
    assert!(matches!(ditto_sandbox::Sandbox::start(wrong), Err(SandboxError::Zygote { .. })));
    assert_ne!(ditto_sandbox::engine_id(), [0; 32]);
}
