//! An author's tools as an author meets them, without a chain.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_ditto-operator");

/// Runs `ditto-operator workflow …` with an empty environment: no key, no colours, no tsc.
fn workflow(arguments: &[&str]) -> Output {
    Command::new(BINARY).arg("workflow").args(arguments).env_clear().output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A fresh workflow, with `code` instead of the template's if there is some.
fn fresh(code: Option<&str>) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("top-up");
    let made = workflow(&["new", path.to_str().unwrap()]);
    assert!(made.status.success(), "{}", said(&made));
    if let Some(code) = code {
        fs::write(path.join("workflow.ts"), code).unwrap();
    }
    (directory, path)
}

fn check(path: &Path) -> (bool, Value) {
    let output = workflow(&["check", path.to_str().unwrap(), "--json"]);
    let json = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(&output)));
    (output.status.success(), json)
}

fn finding<'a>(report: &'a Value, what: &str) -> &'a Value {
    let found = report["checks"].as_array().unwrap().iter().find(|finding| finding["what"] == what);
    found.unwrap_or_else(|| panic!("no {what} in {report:#}"))
}

fn change(path: &Path, from: &str, to: &str) {
    let manifest = path.join("workflow.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    assert!(text.contains(from), "{from}");
    fs::write(&manifest, text.replacen(from, to, 1)).unwrap();
}

#[test]
fn what_new_makes_is_good_as_it_is() {
    let (_directory, path) = fresh(None);
    let (good, report) = check(&path);
    assert!(good, "{report:#}");
    assert_eq!(finding(&report, "start")["status"], "ok");
    assert_eq!(finding(&report, "types")["status"], "skipped");
    assert!(finding(&report, "types")["detail"].as_str().unwrap().contains("tsc"));
    assert_eq!(finding(&report, "manifest")["status"], "warning", "the account is still to be set");
    assert_eq!(fs::read_to_string(path.join("README.md")).unwrap().lines().count(), 3);
    for file in ["tsconfig.json", "sdk/viem.d.ts", "sdk/workflow.d.ts"] {
        assert!(path.join(file).is_file(), "{file}");
    }
    let again = workflow(&["new", path.to_str().unwrap()]);
    assert!(!again.status.success() && said(&again).contains("there already"), "nothing is written over");
}

#[test]
fn a_network_is_taken_over_from_a_node_s_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("operator.toml");
    let text = r#"
        registry_first_block = 77
        [network]
        name = "n"
        target_chain = 8453
        genesis_seconds = 1700000000
        slot_seconds = 12
        [chains.8453]
        rpc = ["http://127.0.0.1:1"]
        [chains.8453.contracts]
        registry = "0x0000000000000000000000000000000000000006"
        attestation_center = "0x0000000000000000000000000000000000000002"
        obls = "0x0000000000000000000000000000000000000003"
        hook = "0x0000000000000000000000000000000000000004"
        validator_module = "0x0000000000000000000000000000000000000005"
    "#;
    fs::write(&config, text).unwrap();
    let path = directory.path().join("flow");
    let account = "0x00000000000000000000000000000000000000Aa";
    let arguments = ["new", path.to_str().unwrap(), "--network", config.to_str().unwrap(), "--account", account];
    let made = workflow(&arguments);
    assert!(made.status.success(), "{}", said(&made));
    let (good, report) = check(&path);
    assert!(good, "{report:#}");
    assert_eq!(finding(&report, "manifest")["status"], "ok");
    assert!(finding(&report, "triggers")["detail"].as_str().unwrap().contains("slot"), "{report:#}");
    // The network's contracts are known, so the policy cannot name one of them.
    change(
        &path,
        "0x000000000000000000000000000000000000dEaD\"\nmax",
        "0x0000000000000000000000000000000000000005\"\nmax",
    );
    let (good, report) = check(&path);
    assert!(!good && finding(&report, "policy")["detail"].as_str().unwrap().contains("never call"), "{report:#}");
}

#[test]
fn check_names_place_and_fix_of_what_is_wrong_in_the_code() {
    let define = "import { defineWorkflow } from \"@ditto/workflow\";\n";
    for (code, what, line, words) in [
        (format!("{define}export default defineWorkflow({{ run: ( => 5 }});\n"), "code", Some(2), "does not compile"),
        (
            "import { nonsense } from \"viem\";\nexport default { run: () => nonsense() };\n".into(),
            "code",
            Some(1),
            "nonsense",
        ),
        ("import fs from \"node:fs\";\nexport default { run: () => fs.x() };\n".into(), "code", Some(1), "node:fs"),
        ("\nimport { a } from \"./a.ts\";\nexport default { run: () => a() };\n".into(), "code", Some(2), "one file"),
        (
            format!(
                "{define}\nexport default defineWorkflow({{\n  run() {{\n    throw new Error(\"oh no\");\n  }},\n}});\n"
            ),
            "start",
            Some(5),
            "oh no",
        ),
        ("export const nothing = 1;\n".into(), "start", None, "export default defineWorkflow"),
        ("export default { run: () => { for (;;); } };\n".into(), "start", None, "1,000 ms"),
        ("export default { run: () => fetch(\"x\") };\n".into(), "start", Some(1), "nothing of a browser"),
        ("export default { run: () => [{ to: 5 }] };\n".into(), "start", None, "not an address"),
    ] {
        let (_directory, path) = fresh(Some(&code));
        let (good, report) = check(&path);
        assert!(!good, "{code}");
        let finding = finding(&report, what);
        assert_eq!(finding["status"], "failed", "{code}: {report:#}");
        assert_eq!(finding["line"].as_u64(), line, "{code}: {report:#}");
        assert!(finding["detail"].as_str().unwrap().contains(words), "{words}: {report:#}");
    }
}

#[test]
fn check_shows_the_line_with_a_caret() {
    let (_directory, path) = fresh(Some("export default {\n  run() {\n    throw new Error(\"oh no\");\n  },\n};\n"));
    let output = workflow(&["check", path.to_str().unwrap()]);
    let said = said(&output);
    assert!(said.contains("3 |     throw new Error(\"oh no\");\n"), "{said}");
    assert!(said.contains("|     ^^^^^^^^^^^^^^^^^^^^^^^^^\n"), "{said}");
    assert!(!said.contains('\u{1b}'), "no colours where nobody sees them");
}

#[test]
fn check_names_the_key_of_what_is_wrong_in_the_manifest() {
    for (from, to, words) in [
        ("cron = \"*/5 * * * *\"", "cron = \"*/5 * * * 9\"", "triggers[0]"),
        ("max_fee_per_gas = \"100 gwei\"", "max_fee_per_gas = \"100 euro\"", "policy.max_fee_per_gas"),
        (
            "max_value = \"0.1 ether\"             #",
            "max_value = \"0.01 ether\"             #",
            "policy.allow[0].max_value",
        ),
        ("name =", "nmae =", "did you mean `name`"),
        ("code = \"workflow.ts\"", "code = \"other.ts\"", "other.ts"),
        ("[policy]", "[policy", "TOML"),
    ] {
        let (_directory, path) = fresh(None);
        change(&path, from, to);
        let output = workflow(&["check", path.to_str().unwrap()]);
        let said = said(&output).replace("\n                  ", " ");
        assert!(!output.status.success() && said.contains(words), "{to}: {said}");
    }
}

#[test]
fn a_type_checker_s_complaints_are_passed_on() {
    let (_directory, path) = fresh(None);
    let bin = path.join("node_modules/.bin");
    fs::create_dir_all(&bin).unwrap();
    let script =
        "#!/bin/sh\n[ \"$1\" = --noEmit ] || exit 1\necho \"workflow.ts(3,1): error TS2322: no such thing\"\nexit 2\n";
    fs::write(bin.join("tsc"), script).unwrap();
    fs::set_permissions(bin.join("tsc"), fs::Permissions::from_mode(0o755)).unwrap();
    let (good, report) = check(&path);
    assert!(!good);
    assert!(finding(&report, "types")["detail"].as_str().unwrap().contains("TS2322"), "{report:#}");
}

#[test]
fn build_writes_what_is_published_and_its_hash() {
    let (_directory, path) = fresh(None);
    let build = |extra: &[&str]| {
        let output = workflow(&[&["build", path.to_str().unwrap(), "--json"], extra].concat());
        serde_json::from_slice::<Value>(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(&output)))
    };
    let source = build(&[]);
    assert_eq!(fs::read(source["file"].as_str().unwrap()).unwrap(), fs::read(path.join("workflow.ts")).unwrap());
    let compiled = build(&["--set", "publish=compiled"]);
    assert!(compiled["bytes"].as_u64() < source["bytes"].as_u64());
    assert_ne!(compiled["code_hash"], source["code_hash"]);
    assert_eq!(build(&["--set", "publish=compiled"]), compiled, "the same code gives the same bytes");
    let bytes = fs::read(compiled["file"].as_str().unwrap()).unwrap();
    assert_eq!(compiled["code_hash"], alloy::primitives::keccak256(&bytes).to_string());
    assert!(!String::from_utf8(bytes).unwrap().contains("interface"), "types are gone");
}

#[test]
fn run_says_which_node_is_missing_and_needs_none_for_code_that_does_not_compile() {
    let (_directory, path) = fresh(None);
    let output = workflow(&["run", path.to_str().unwrap(), "--rpc", "http://127.0.0.1:1"]);
    let told = said(&output);
    assert!(!output.status.success() && told.contains("127.0.0.1:1") && told.contains("--rpc"), "{told}");
    fs::write(path.join("workflow.ts"), "export default {\n").unwrap();
    let output = workflow(&["run", path.to_str().unwrap(), "--rpc", "http://127.0.0.1:1", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(!output.status.success());
    assert_eq!(report["outcome"], "threw");
    assert!(report["problem"]["advice"].as_str().unwrap().contains("compile"), "{report:#}");
}

#[test]
fn publish_says_what_it_needs_before_it_does_anything() {
    let (directory, path) = fresh(None);
    let publish = |extra: &[&str]| {
        let output = workflow(&[&["publish", path.to_str().unwrap(), "--dry-run"], extra].concat());
        assert!(!output.status.success());
        said(&output)
    };
    assert!(publish(&[]).contains("[chains.31337.contracts]"));
    change(
        &path,
        "# [chains.31337.contracts]",
        "[chains.31337.contracts]\nregistry = \"0x0000000000000000000000000000000000000006\"\n\
         attestation_center = \"0x0000000000000000000000000000000000000002\"\n\
         obls = \"0x0000000000000000000000000000000000000003\"\nhook = \"0x0000000000000000000000000000000000000004\"\n\
         validator_module = \"0x0000000000000000000000000000000000000005\"",
    );
    let told = publish(&[]);
    assert!(told.contains("--key FILE") && told.contains("OWNER_PRIVATE_KEY"), "{told}");
    let key = directory.path().join("key");
    fs::write(&key, "11".repeat(32)).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let told = publish(&["--key", key.to_str().unwrap()]);
    assert!(told.contains("chmod 600"), "{told}");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let told = publish(&["--key", key.to_str().unwrap(), "--rpc", "http://127.0.0.1:1"]);
    assert!(told.contains("127.0.0.1:1") && !told.contains(&"11".repeat(32)), "{told}");
}
