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
    assert!(said.contains("workflow.ts:3:5\n"), "{said}");
    // Only what is meant is underlined.
    fs::write(path.join("workflow.ts"), "export default { async run() { return await fetch(\"x\"); } };\n").unwrap();
    let told = crate::said(&workflow(&["check", path.to_str().unwrap()]));
    assert!(told.contains(&format!("| {:44}^^^^^\n", "")), "{told}");
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

const TOKEN: &str = "0x00000000000000000000000000000000000000AA";
const BOB: &str = "0x00000000000000000000000000000000000000bb";

/// A Ditto workflow document as its own tools write one: two jobs on two chains.
fn document() -> Value {
    let pay = serde_json::json!({
        "id": "pay", "chainId": 31337, "session": "eyJ…",
        "steps": [
            { "target": TOKEN, "abi": "transfer(address,uint256)", "args": [BOB, "18446744073709551616"], "value": "0" },
            { "target": BOB, "abi": "", "args": [], "value": "7", "type": "contract" },
            { "target": TOKEN, "abi": "function mark(uint64 at, string why)", "args": [18_446_744_073_709_551_615_u64, "a \"b\"\n"] },
        ],
    });
    let bridge = serde_json::json!({
        "id": "../bri dge", "chainId": 10, "steps": [{ "target": BOB, "abi": "", "value": 1 }],
    });
    serde_json::json!({
        "workflow": {
            "owner": "0x00000000000000000000000000000000000000cc",
            "triggers": [
                { "type": "cron", "params": { "schedule": "*/5  * * * *" } },
                { "type": "event", "params": {
                    "signature": "Transfer(address indexed from, address indexed to, uint256 value)",
                    "contractAddress": TOKEN, "chainId": 31337, "filter": { "to": [BOB, TOKEN], "from": null },
                } },
                { "type": "onchain", "params": {
                    "target": TOKEN, "abi": "balanceOf(address) view returns (uint256)", "args": [BOB], "chainId": 1,
                    "value": null, "onchainCondition": { "condition": 3, "value": "1000" },
                } },
            ],
            "jobs": [pay, bridge],
            "count": 3, "validAfter": 1_700_000_000, "validUntil": 4_000_000_000_u64, "interval": "3600",
        },
        "metadata": { "createdAt": 1_700_000_000_000_u64, "version": "1.0.0" },
    })
}

fn import(from: &Path, out: &Path, more: &[&str]) -> (bool, Value) {
    let output =
        workflow(&[&["import", from.to_str().unwrap(), "--out", out.to_str().unwrap(), "--json"], more].concat());
    let json = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(&output)));
    (output.status.success(), json)
}

#[test]
fn a_document_s_jobs_become_workflows_that_check_and_build() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("monthly.json");
    fs::write(&file, document().to_string()).unwrap();
    let out = directory.path().join("imported");
    let (good, report) = import(&file, &out, &["--account", "0x00000000000000000000000000000000000000dd"]);
    assert!(good, "{report:#}");
    let made = report["documents"][0]["workflows"].as_array().unwrap();
    assert_eq!(made.iter().map(|made| made["chain"].as_u64().unwrap()).collect::<Vec<_>>(), [31_337, 10]);
    let due: Vec<&str> = made[0]["due"].as_array().unwrap().iter().map(|due| due.as_str().unwrap()).collect();
    assert_eq!(due[0], "by the clock: */5  * * * * (UTC)");
    assert!(
        due[1].starts_with("on Transfer of ") && due[1].ends_with(&format!("to is one of {BOB}, {TOKEN}")),
        "{}",
        due[1]
    );
    assert!(due[2].ends_with("on chain 1 is at least 1000"), "{}", due[2]);
    let limits = made[0]["limits"].as_str().unwrap();
    assert!(limits.contains("3 times") && limits.contains("3600 s") && limits.contains("2023-11-14"), "{limits}");
    let call = made[0]["calls"][0]["decoded"].as_str().unwrap();
    assert!(call.starts_with("transfer(") && call.ends_with(", 18446744073709551616)"), "{call}");
    assert_eq!(made[0]["calls"][1]["value"], "0x7");
    assert!(made[0]["calls"][2]["decoded"].as_str().unwrap().contains("at: 18446744073709551615"), "{report:#}");

    // The second one's id leads out of the directory nowhere.
    let bridge = PathBuf::from(made[1]["directory"].as_str().unwrap());
    assert_eq!(bridge, out.join("monthly----bri-dge"));
    for made in made {
        let path = PathBuf::from(made["directory"].as_str().unwrap());
        let (good, report) = check(&path);
        assert!(good, "{report:#}");
        assert_eq!(finding(&report, "manifest")["status"], "ok");
        assert!(finding(&report, "triggers")["detail"].as_str().unwrap().contains("on Transfer of"), "{report:#}");
        let steps = finding(&report, "steps")["detail"].as_str().unwrap();
        assert!(steps.contains(made["code_hash"].as_str().unwrap()) && steps.contains("no script"), "{steps}");
        let built = workflow(&["build", path.to_str().unwrap(), "--json"]);
        let built: Value = serde_json::from_slice(&built.stdout).unwrap();
        assert_eq!((&built["code_hash"], &built["form"]), (&made["code_hash"], &Value::from("calls")));
        let bytes = fs::read(built["file"].as_str().unwrap()).unwrap();
        assert_eq!(made["code_hash"], alloy::primitives::keccak256(&bytes).to_string());
        let ran = said(&workflow(&["run", path.to_str().unwrap()]));
        assert!(ran.contains("rpc"), "which node is missing: {ran}");
        let published = said(&workflow(&["publish", path.to_str().unwrap()]));
        assert!(published.contains("contracts] is missing"), "{published}");
    }

    // Nothing is written over.
    let again = workflow(&["import", file.to_str().unwrap(), "--out", out.to_str().unwrap()]);
    assert!(!again.status.success() && said(&again).contains("--out"), "{}", said(&again));
}

#[test]
fn a_directory_of_documents_is_imported_and_what_is_refused_is_named_by_its_path() {
    let directory = tempfile::tempdir().unwrap();
    let from = directory.path().join("documents");
    fs::create_dir(&from).unwrap();
    fs::write(from.join("a.json"), document().to_string()).unwrap();
    let mut wrong = document();
    wrong["workflow"]["jobs"][1]["steps"][0]["type"] = "wasm".into();
    fs::write(from.join("b.json"), wrong.to_string()).unwrap();
    fs::write(from.join("c.json"), "{").unwrap();
    let mut privileged = document();
    privileged["workflow"]["jobs"].as_array_mut().unwrap().remove(1);
    privileged["workflow"]["jobs"][0]["steps"][2]["target"] = "0x00000000000000000000000000000000000000dd".into();
    fs::write(from.join("d.json"), privileged.to_string()).unwrap();
    fs::write(from.join("e.json"), " ".repeat(300_000)).unwrap();
    fs::write(from.join("notes.txt"), "none").unwrap();
    let out = directory.path().join("out");
    let (good, report) = import(&from, &out, &["--account", "0x00000000000000000000000000000000000000dd"]);
    assert!(!good);
    let refused: Vec<_> = report["documents"].as_array().unwrap().iter().map(|told| &told["refused"]).collect();
    assert!(refused[0].is_null(), "{report:#}");
    for (at, path, problem) in [
        (1, "workflow.jobs[1].steps[0].type", "TypeScript"),
        (2, "", "JSON"),
        (3, "workflow.jobs[0]", "never call"),
        (4, "", "262144"),
    ] {
        assert_eq!(refused[at]["path"], path, "{report:#}");
        assert!(refused[at]["problem"].as_str().unwrap().contains(problem), "{report:#}");
    }
    let names = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    assert_eq!(names, ["a----bri-dge", "a-pay"], "nothing is left of the refused ones");
    let told = workflow(&["import", from.to_str().unwrap(), "--out", directory.path().join("again").to_str().unwrap()]);
    let told = said(&told);
    assert!(
        told.contains("refused") && told.contains("`workflow.jobs[1].steps[0].type`: only contract calls"),
        "{told}"
    );
}

#[test]
fn with_a_network_its_chain_s_jobs_are_imported_and_the_others_named() {
    let directory = tempfile::tempdir().unwrap();
    let (file, config) = (directory.path().join("monthly.json"), directory.path().join("operator.toml"));
    fs::write(&file, document().to_string()).unwrap();
    let text = "registry_first_block = 77\n[network]\ntarget_chain = 10\ngenesis_seconds = 1700000000\nslot_seconds = 12\n\
                [chains.10]\nrpc = [\"http://127.0.0.1:1\"]\n[chains.1]\nrpc = [\"http://127.0.0.1:1\"]\n";
    fs::write(&config, text).unwrap();
    let out = directory.path().join("out");
    let network = ["--network", config.to_str().unwrap()];
    let (good, report) = import(&file, &out, &network);
    assert!(!good, "nobody reads chain 31337 here: {report:#}");
    let refused = &report["documents"][0]["refused"];
    assert_eq!(refused["path"], "workflow.triggers[1].params.chainId", "{report:#}");
    assert!(!out.exists());

    fs::write(&config, format!("{text}[chains.31337]\nrpc = [\"http://127.0.0.1:1\"]\n")).unwrap();
    let (good, report) = import(&file, &out, &network);
    assert!(good, "{report:#}");
    let told = &report["documents"][0];
    assert_eq!(told["left_out"][0]["path"], "workflow.jobs[0].chainId", "{report:#}");
    assert!(told["left_out"][0]["advice"].as_str().unwrap().contains("--network"));
    let path = PathBuf::from(told["workflows"][0]["directory"].as_str().unwrap());
    assert!(fs::read_to_string(path.join("workflow.toml")).unwrap().contains("registry_first_block = 77"));
    assert!(check(&path).0);
}

#[test]
fn steps_are_checked_like_a_script_is() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pay.json");
    let mut one = document();
    one["workflow"]["jobs"].as_array_mut().unwrap().remove(1);
    fs::write(&file, one.to_string()).unwrap();
    let (good, report) = import(&file, directory.path(), &[]);
    assert!(good, "{report:#}");
    let path = directory.path().join("pay");
    let text = fs::read_to_string(path.join("workflow.toml")).unwrap();
    let try_with = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}: {text}");
        fs::write(path.join("workflow.toml"), text.replacen(from, to, 1)).unwrap();
        let output = workflow(&["check", path.to_str().unwrap()]);
        (output.status.success(), said(&output).replace("\n                  ", " "))
    };
    assert!(try_with("18446744073709551616", "5").0, "an amount may be changed");
    for (from, to, words) in [
        ("18446744073709551616", "much", "`steps[0].args[1]`: \"much\" is not a whole number"),
        ("transfer(address,uint256)\"\nargs", "transfer(address,uint265)\"\nargs", "`steps[0].abi`"),
        ("value = \"7\"", "value = \"8\"", "sends 8 wei, the rule allows 7"),
        ("value = \"7\"", "valeu = \"7\"", "`steps[1].valeu`"),
        (
            "\"transfer(address,uint256)\"\nargs",
            "\"approve(address,uint256)\"\nargs",
            "call = \"approve(address,uint256)\"",
        ),
        ("[policy]", "[args]\na = 1\n[policy]", "`args`"),
        ("target_chain", "code = \"workflow.ts\"\ntarget_chain", "`code`"),
        ("cron = \"*/5", "cron = \"99", "`triggers[0].cron`"),
        ("event.chainId = 31337", "event.chainId = 5", "`triggers[1].event.chainId`"),
    ] {
        let (good, told) = try_with(from, to);
        assert!(!good && told.contains(words), "{to}: {told}");
    }
}
