//! The viem subset gives what the real viem gave (`viem/table.json`, written by `viem/generate/`), and says what is wrong.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::BTreeSet;

use ditto_sandbox::{Job, Limits, Sandbox, SandboxConfig, compile_module};
use serde::Deserialize;
use support::*;

#[derive(Deserialize)]
struct Table {
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    code: String,
    #[serde(default)]
    result: Option<String>,
    #[serde(default)]
    throws: bool,
    /// Why the sandbox throws although viem gives `result`.
    #[serde(default)]
    stricter: Option<String>,
}

/// Rows in one run.
const ROWS: usize = 200;

const VIEM: &str = include_str!("../src/sdk/viem.js");
const TYPES: &str = include_str!("../../workflows/sdk/viem.d.ts");

/// The names that viem.js lists.
fn names() -> Vec<&'static str> {
    VIEM.lines().filter_map(|line| line.strip_prefix("  ")?.strip_suffix(',')).collect()
}

#[test]
fn every_row_of_the_table_is_answered_as_viem_does() {
    let table: Table = serde_json::from_str(include_str!("viem/table.json")).unwrap();
    assert!(table.rows.len() > 2_000);
    let limits = Limits { wall_ms: 30_000, log_lines: 2 * ROWS as u32, log_line_bytes: 64 << 10, ..Limits::default() };
    let sandbox = Sandbox::start(SandboxConfig { limits: limits.clone(), ..config(1) }).unwrap();
    let encode = include_str!("viem/generate/encode.js").replace("export function", "function");
    let imports = names().join(", ");
    let mut wrong = Vec::new();
    for rows in table.rows.chunks(ROWS) {
        let lines: String = rows.iter().map(|row| format!("  () => ({}),\n", row.code)).collect();
        let code = format!(
            "import {{ {imports} }} from 'viem';\n{encode}\nconst rows: any[] = [\n{lines}];\nexport default {{ run(ctx: any) {{\n  for (const row of rows) {{\n    let line;\n    try {{ line = '=' + encode(row()); }} catch (error) {{ line = error instanceof Error ? '!' + error.message : '?'; }}\n    ctx.log(line);\n  }}\n}} }};"
        );
        let report = sandbox.run_blocking(Job { limits: limits.clone(), ..job(&code) }, none());
        assert_eq!(report.logs.len(), rows.len(), "{:?}", report.outcome);
        for (row, log) in rows.iter().zip(&report.logs) {
            assert!(row.throws != row.result.is_some(), "{}", row.code);
            let expected = row.result.as_ref().filter(|_| row.stricter.is_none()).map(|result| format!("={result}"));
            match expected {
                Some(expected) if *log == expected => {}
                None if log.starts_with('!') && log.len() > 1 => {}
                Some(expected) => wrong.push(format!("{}\n  viem {expected}\n  here {log}", row.code)),
                None => wrong.push(format!("{}\n  must throw\n  here {log}", row.code)),
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), table.rows.len(), wrong.join("\n"));
}

#[test]
fn the_table_covers_and_the_types_declare_every_export() {
    let names = names();
    assert!(names.len() >= 35 && names.contains(&"hashTypedData"), "{names:?}");
    let table: Table = serde_json::from_str(include_str!("viem/table.json")).unwrap();
    for name in &names {
        let calls = table.rows.iter().filter(|row| row.code.contains(name)).count();
        assert!(calls >= 1, "{name} is in no row");
        let declared = ["function", "const"].iter().any(|kind| {
            let start = format!("export {kind} {name}");
            TYPES.lines().any(|line| line.strip_prefix(&start).is_some_and(|rest| rest.starts_with(['(', '<', ':'])))
        });
        assert!(declared, "viem.d.ts does not declare {name}");
    }
    let declared: BTreeSet<&str> = TYPES
        .lines()
        .filter_map(|line| line.strip_prefix("export function ").or_else(|| line.strip_prefix("export const ")))
        .filter_map(|rest| rest.split(['(', '<', ':']).next())
        .collect();
    assert_eq!(declared, names.into_iter().collect(), "viem.d.ts declares what the sandbox does not have");
}

#[test]
fn wrong_arguments_are_named() {
    let sandbox = sandbox(1);
    for (code, expected) in [
        ("encodeFunctionData({ abi, functionName: 'f', args: ['x', 1n] })", "f: to: expected an address, got \"x\""),
        (
            "encodeFunctionData({ abi, functionName: 'f', args: [zeroAddress, 256n] })",
            "f: small: expected a uint8, got 256n",
        ),
        ("encodeFunctionData({ abi, functionName: 'f', args: [zeroAddress] })", "f: takes 2 arguments, got 1"),
        ("encodeFunctionData({ abi, functionName: 'g' })", "encodeFunctionData: the ABI has no function \"g\""),
        (
            "decodeFunctionResult({ abi, functionName: 'f', data: '0x' })",
            "the data is empty: is there a contract at the address?",
        ),
        ("parseAbi(['function f(uint7 x)'])", "parseAbi: \"function f(uint7 x)\": unknown type \"uint7\""),
        ("numberToHex(-1n)", "numberToHex: -1 is not at least 0 (a negative number needs a size and signed: true)"),
    ] {
        let code = format!(
            "import {{ encodeFunctionData, decodeFunctionResult, numberToHex, parseAbi, zeroAddress }} from 'viem';\nconst abi = parseAbi(['function f(address to, uint8 small) returns (uint256)']);\nexport default {{ run() {{\n  {code};\n}} }};"
        );
        let report = sandbox.run_blocking(job(&code), none());
        assert_eq!(threw(&report), (expected.to_string(), Some(4)), "{code}");
    }
}

#[test]
fn what_is_outside_the_subset_fails_before_it_runs() {
    let nesting = Limits::default().code_nesting;
    let all: String = names().iter().map(|name| format!("v.{name};")).collect();
    assert!(compile_module(&format!("import * as v from 'viem';\n{all}"), nesting).is_ok());
    let sandbox = sandbox(1);
    let report = sandbox.run_blocking(
        job("import { parseAbi, createPublicClient } from 'viem';\nexport default { run() { createPublicClient(parseAbi([])); } };"),
        none(),
    );
    let message = "\"viem\" has no export named \"createPublicClient\": a workflow has no client: read with ctx.chain(id), and return the calls to make";
    assert_eq!(threw(&report), (message.to_string(), Some(1)));
    let report = sandbox.run_blocking(
        job("import * as viem from 'viem';\nexport default { run() {\n  viem.encodeFunctonData({});\n} };"),
        none(),
    );
    let message = "\"viem\" has no export named \"encodeFunctonData\": did you mean \"encodeFunctionData\"?";
    assert_eq!(threw(&report), (message.to_string(), Some(3)));
}
