//! Attempts that need more than a script and its outcome to judge; all others are in `corpus` (`hostile_corpus.rs`).
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use ditto_sandbox::{Outcome, Sandbox};
use support::*;

/// Runs, and checks that the next run is unaffected.
#[track_caller]
fn run(sandbox: &Sandbox, code: &str) -> Outcome {
    let report = sandbox.run_blocking(body(code), always("\"0x1\""));
    let after = sandbox.run_blocking(body("return [{ to: ctx.account }];"), none());
    assert_eq!(after.outcome.kind(), "calls", "after {code}: {after:?}");
    report.outcome
}

#[test]
fn nothing_leads_out() {
    let sandbox = sandbox(1);
    let code = "
        const found = [];
        const attempt = (name, f) => { try { const v = f(); if (v !== undefined) found.push(name + ': ' + typeof v); } catch {} };
        for (const name of ['Deno', '__bootstrap', '__ditto', 'WebAssembly', 'Atomics', 'SharedArrayBuffer', 'Intl', 'Temporal', 'gc',
            'ShadowRealm', 'eval', 'WeakRef', 'FinalizationRegistry', 'performance', 'setTimeout', 'setInterval', 'process', 'require',
            'fetch', 'queueMicrotask', 'navigator', 'structuredClone', 'crypto', 'DisposableStack']) {
          attempt(name, () => globalThis[name]);
        }
        const code = 'return globalThis';
        attempt('Function', () => Function(code)());
        attempt('new Function', () => new Function(code)());
        attempt('constructor', () => (() => {}).constructor(code)());
        attempt('async', () => (async () => {}).constructor(code)());
        attempt('generator', () => (function* () {}).constructor(code)().next());
        attempt('asyncgen', () => (async function* () {}).constructor(code)().next());
        attempt('class', () => Reflect.construct((class {}).constructor, [code]));
        attempt('bound', () => (function () {}).bind().constructor(code)());
        attempt('method', () => ctx.log.constructor(code)());
        attempt('proto', () => Object.getPrototypeOf(async () => {}).constructor(code)());
        attempt('date', () => Date.prototype.constructor === Date ? undefined : 1);
        attempt('date2', () => new Date().constructor === Date ? undefined : 1);
        attempt('datenow', () => (new (new Date().constructor)()).getTime() === 1700000000123 ? undefined : 1);
        attempt('stack', () => { try { null.x; } catch (e) { return e.stack.includes('at ') ? 1 : undefined; } });
        attempt('prepare', () => { Error.prepareStackTrace = (e, s) => s; const s = new Error('x').stack; return typeof s === 'string' ? undefined : s; });
        attempt('capture', () => Error.captureStackTrace);
        attempt('caller', () => { function f() { return f.caller; } return f() || undefined; });
        for (const name of Reflect.ownKeys(globalThis)) if (/^__/.test(String(name))) found.push(String(name));
        ctx.log(found.join());
        ctx.log(Object.getOwnPropertyNames(globalThis).sort().join());
    ";
    let report = sandbox.run_blocking(body(code), none());
    assert_eq!(report.outcome, Outcome::NothingToDo, "{report:?}");
    assert_eq!(report.logs[0], "", "{:?}", report.logs);
    // Constructors asked for at the top level, and tampering with what the driver uses.
    for code in [
        "Array.isArray = () => false; JSON.stringify = () => 'x'; Object.freeze = null; Promise.prototype.then = null; return [{ to: ctx.account }];",
        "Array.prototype.map = null; Object.prototype.to = 'x'; String.prototype.toLowerCase = null; return [{ to: ctx.account }];",
        "Object.defineProperty(Object.prototype, '0', { get() { throw 1; } }); throw new Error('x');",
        "globalThis.Error = null; throw 1;",
        "delete globalThis.BigInt; return [{ to: ctx.account }];",
    ] {
        let outcome = run(&sandbox, code);
        assert!(!outcome.trouble(), "{code}: {outcome:?}");
    }
}

#[test]
fn deep_source_is_refused() {
    let sandbox = sandbox(1);
    // What repeats before the middle, and what after it.
    for (before, after) in [
        ("(", ")"),
        ("[", "]"),
        ("if(1)", ""),
        ("do ", ";while(0)"),
        ("x=>", ""),
        ("x=>({a:", "})"),
        ("(x)=>{return ", "}"),
        ("a=", ""),
        ("!", ""),
        ("1+", ""),
        ("void ", ""),
        ("new ", ""),
        ("", ".b"),
        ("", "[0]"),
        ("", "()"),
        ("", "``"),
        ("`${", "}`"),
        ("a?b:", ""),
        ("if(1)1;else ", ""),
        ("class A extends ", "{}"),
        ("class A{a=", "}"),
    ] {
        let source = |depth| format!("let a;{}a{}", before.repeat(depth), after.repeat(depth));
        assert_eq!(run(&sandbox, &source(20_000)), Outcome::CodeTooLarge, "{before} {after}");
        // The deepest that passes still leaves the compiler enough stack.
        let (mut passes, mut refused) = (1, 20_000);
        while refused - passes > 1 {
            let middle = (passes + refused) / 2;
            let outcome = sandbox.run_blocking(job(&source(middle)), none()).outcome;
            assert_ne!(outcome, Outcome::Crashed, "{before} {after}: {middle}");
            if outcome == Outcome::CodeTooLarge { refused = middle } else { passes = middle }
        }
        assert!(passes >= 100, "{before} {after}: {passes}");
    }
}
