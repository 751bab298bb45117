//! What a report says of reads depends on the answers, never on when they came: operators compare it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::{sync::Arc, time::Duration};

use alloy::primitives::keccak256;
use ditto_sandbox::{Job, Limits, Outcome, ReadAnswer, Report, Sandbox};
use support::*;

/// Which read, and its answer.
type Step = (usize, ReadAnswer);

const NEVER: &[Step] = &[];

fn ok(text: &str) -> ReadAnswer {
    ReadAnswer::Ok(text.into())
}

fn limits() -> Limits {
    Limits { read_answer_bytes: 64, wall_ms: 5_000, ..Limits::default() }
}

fn too_long() -> ReadAnswer {
    ok(&format!("\"0x{}\"", "0".repeat(100)))
}

/// Two reads, answered in the given order with a pause between, so that what came first is there first. What `late` says
/// is answered after the report.
fn run(sandbox: &Sandbox, code: &str, steps: &[Step], late: &[Step]) -> Report {
    let held = Arc::new(Held::default());
    let (sender, receiver) = std::sync::mpsc::channel();
    let job = Job { limits: limits(), ..body(code) };
    sandbox.submit(job, held.clone(), Box::new(move |report| sender.send(report).unwrap())).unwrap();
    wait_until(|| held.0.lock().unwrap().len() == 2);
    let mut replies: Vec<_> = std::mem::take(&mut *held.0.lock().unwrap()).into_iter().map(Some).collect();
    for (index, answer) in steps {
        replies[*index].take().unwrap().1.answer(answer.clone());
        std::thread::sleep(Duration::from_millis(20));
    }
    let report = receiver.recv().unwrap();
    for (index, answer) in late {
        replies[*index].take().unwrap().1.answer(answer.clone());
    }
    report
}

/// The outcome, and every read's digest.
fn told(report: Report) -> (Outcome, Vec<[u8; 32]>) {
    (report.outcome, report.reads.into_iter().map(|(_, digest)| digest).collect())
}

fn digest(kind: u8, body: &str) -> [u8; 32] {
    keccak256([&[kind], body.as_bytes()].concat()).0
}

/// Every way in which the second answer can come, or not, around a first one.
fn around(first: ReadAnswer) -> Vec<(Vec<Step>, Vec<Step>)> {
    let mut ways = vec![(vec![(0, first.clone())], NEVER.to_vec())];
    for second in [ok("\"0x2\""), ReadAnswer::Reverted(vec![1]), ReadAnswer::Failed, too_long()] {
        ways.push((vec![(0, first.clone()), (1, second.clone())], NEVER.to_vec()));
        ways.push((vec![(1, second.clone()), (0, first.clone())], NEVER.to_vec()));
        ways.push((vec![(0, first.clone())], vec![(1, second)]));
    }
    ways
}

const BOTH: &str = "const c = ctx.chain(31337); const a = c.getBlockNumber(); const b = c.getBalance(ctx.account);";

#[test]
fn an_answer_that_the_run_did_not_need_leaves_no_trace() {
    let sandbox = sandbox(1);
    for code in [
        // The second read is never awaited, or loses the race.
        format!("{BOTH} await a; return [{{ to: ctx.account }}];"),
        format!("{BOTH} await Promise.race([a, b]); return [{{ to: ctx.account }}];"),
        format!("{BOTH} await Promise.race([b, a]); return [{{ to: ctx.account }}];"),
        // The end is several microtasks after the answer that led to it.
        format!("{BOTH} await a; for (let i = 0; i < 50; i++) await null; return [{{ to: ctx.account }}];"),
    ] {
        for (steps, late) in around(ok("\"0x1\"")) {
            let (outcome, reads) = told(run(&sandbox, &code, &steps, &late));
            assert_eq!(outcome.kind(), "calls", "{code} {steps:?} {late:?}");
            assert_eq!(reads, [digest(0, "\"0x1\""), digest(3, "")], "{code} {steps:?} {late:?}");
        }
        // The oldest read fails: it comes first, wherever it is awaited.
        for failure in [ReadAnswer::Failed, too_long()] {
            for (steps, late) in around(failure) {
                let told = told(run(&sandbox, &code, &steps, &late));
                let expected = (Outcome::ReadFailed, vec![digest(2, ""), digest(3, "")]);
                assert_eq!(told, expected, "{code} {steps:?} {late:?}");
            }
        }
    }
}

#[test]
fn what_the_run_needed_is_there_whatever_the_order() {
    let sandbox = sandbox(1);
    // The first reverts, so the second decides; and the first is consumed before the second, awaited or not.
    for code in ["const n = await Promise.any([a, b]);", "a.catch(() => {}); const n = await b;"] {
        let code = format!("{BOTH} {code} return [{{ to: ctx.account, value: n }}];");
        let [first, second] = [(0, ReadAnswer::Reverted(b"no".to_vec())), (1, ok("\"0x2\""))];
        for steps in [[first.clone(), second.clone()], [second, first]] {
            let (outcome, reads) = told(run(&sandbox, &code, &steps, NEVER));
            assert_eq!(outcome.kind(), "calls", "{code} {steps:?}");
            assert_eq!(reads, [digest(1, "no"), digest(0, "\"0x2\"")], "{code} {steps:?}");
        }
        let [first, second] = [(0, ReadAnswer::Reverted(b"no".to_vec())), (1, ReadAnswer::Failed)];
        for steps in [[first.clone(), second.clone()], [second, first]] {
            let told = told(run(&sandbox, &code, &steps, NEVER));
            assert_eq!(told, (Outcome::ReadFailed, vec![digest(1, "no"), digest(2, "")]), "{code} {steps:?}");
        }
    }
}

#[test]
fn a_run_that_waits_for_nothing_consumes_nothing() {
    let sandbox = sandbox(1);
    for code in [
        format!("{BOTH} return [{{ to: ctx.account }}];"),
        // Computes long enough for every answer to arrive first.
        format!("{BOTH} let n = 0; for (let i = 0; i < 1e6; i++) n += i; return [{{ to: ctx.account }}];"),
        format!("{BOTH} throw new Error('x');"),
        format!("{BOTH} ctx.chain(5);"),
    ] {
        let expected = told(sandbox.run_blocking(body(&code), Arc::new(Held::default())));
        assert_eq!(expected.1, [digest(3, ""), digest(3, "")], "{code}");
        for _ in 0..5 {
            assert_eq!(told(sandbox.run_blocking(body(&code), always("\"0x1\""))), expected, "{code}");
            assert_eq!(told(sandbox.run_blocking(body(&code), none())), expected, "{code}");
        }
    }
}
