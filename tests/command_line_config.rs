//! `config show`, presets, and errors that quote no credential.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::process::{Command, Output, Stdio};

use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_ditto-operator");
const CONTRACTS: &str = r#"
[chains.8453.contracts]
attestation_center = "0x0000000000000000000000000000000000000002"
obls = "0x0000000000000000000000000000000000000003"
hook = "0x0000000000000000000000000000000000000004"
validator_module = "0x0000000000000000000000000000000000000005"
registry = "0x0000000000000000000000000000000000000006"
"#;

/// `ditto-operator config …` with this file and these variables.
fn config(file: &str, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("operator.toml");
    std::fs::write(&path, file).unwrap();
    let mut command = Command::new(BINARY);
    command.arg("config").args(arguments).arg("--config").arg(path);
    command.env_clear().envs(variables.iter().copied()).stdin(Stdio::null()).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn announced(more: &str) -> String {
    format!(
        "preset = \"base\"\n[network]\nname = \"ditto\"\ngenesis_seconds = 1\n\
         aggregator = \"0x0000000000000000000000000000000000000001\"\n\
         [chains.8453]\nrpc = [\"https://user:SECRET@node.example/SECRET\"]\n{CONTRACTS}{more}"
    )
}

#[test]
fn every_value_says_where_it_came_from_and_none_is_a_credential() {
    let file = announced("[telemetry]\nlisten = \"127.0.0.1:9500\"\n");
    let variables = [("DITTO_P2P__MAX_PEERS", "7"), ("EXECUTOR_PRIVATE_KEY", "5ec4e7")];
    let output = config(&file, &variables, &["show", "--set", "reads.prefetch=9"]);
    let shown = said(&output);
    assert!(output.status.success(), "{shown}");
    for (line, origin) in [
        ("network.target_chain = 8453", "set by the preset base"),
        ("network.name = \"ditto\"", "operator.toml, line 3"),
        ("telemetry.listen = \"127.0.0.1:9500\"", "operator.toml, line 16"),
        ("p2p.max_peers = 7", "set by environment variable DITTO_P2P__MAX_PEERS"),
        ("reads.prefetch = 9", "set by a flag"),
        ("reads.cache_entries = 65536", "default"),
        ("chains.8453.pin_lag_seconds = 3", "set by the preset base"),
        (
            "chains.8453.contracts.entry_point = \"0x0000000071727de22e5e9d8baf0edac6f37da032\"",
            "set by the preset base",
        ),
    ] {
        let lines: Vec<_> = shown.lines().collect();
        let at = lines.iter().position(|found| found.to_lowercase().starts_with(&line.to_lowercase()));
        let at = at.unwrap_or_else(|| panic!("no {line:?} in\n{shown}"));
        // On the same line, or where there is no room, on the one before.
        assert!(lines[at].contains(origin) || lines[at - 1].contains(origin), "{line}: {origin}\n{shown}");
    }
    assert!(shown.contains("node.example") && !shown.contains("SECRET") && !shown.contains("5ec4e7"), "{shown}");

    let output = config(&file, &[], &["show", "--json"]);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let slot = json.as_array().unwrap().iter().find(|one| one["key"] == "network.slot_seconds").unwrap();
    assert_eq!((&slot["value"], &slot["origin"]), (&2.into(), &"set by the preset base".into()));
}

#[test]
fn a_preset_may_come_from_anywhere_and_leaves_required_what_is_not_public() {
    let file = announced("").replace("preset = \"base\"\n", "");
    for (variables, flags) in [(vec![("DITTO_PRESET", "base")], vec![]), (vec![], vec!["--preset", "base"])] {
        let output = config(&file, &variables, &[vec!["show"], flags].concat());
        assert!(said(&output).contains("network.target_chain = 8453"), "{}", said(&output));
    }
    for (file, named) in [
        (announced("").replace(CONTRACTS, ""), vec!["`chains.8453.contracts.", "not public", "announcement"]),
        (announced("").replace("genesis_seconds = 1\n", ""), vec!["`network.genesis_seconds`", "announcement"]),
        ("preset = \"arbitrum\"".to_owned(), vec!["is not set"]),
        ("preset = \"arbitrom\"".to_owned(), vec!["did you mean `arbitrum`", "line 1"]),
    ] {
        let output = config(&file, &[], &["show"]);
        let told = said(&output);
        assert!(!output.status.success() && named.iter().all(|part| told.contains(part)), "{named:?}: {told}");
    }
    // The second is only read: nobody's contracts are asked for there.
    let file =
        announced("[chains.1]\nrpc = [\"http://127.0.0.1:1\"]\n").replace("\"base\"", "[\"base\", \"ethereum\"]");
    let told = said(&config(&file, &[], &["show"]));
    assert!(told.contains("chains.1.pin_lag_seconds = 16") && told.contains("network.target_chain = 8453"), "{told}");
}

#[test]
fn the_nearest_key_is_named_wherever_the_unknown_one_stands() {
    for (more, variables, named) in [
        ("[chains.8453.limits]\nbatch_byte = 1\n", vec![], ["`chains.8453.limits.batch_byte`", "`batch_bytes`"]),
        (
            "[stages.simulate]\nqueue = 1\nworker = 1\noverflow = \"wait\"\n",
            vec![],
            ["`stages.simulate.worker`", "`workers`"],
        ),
        ("[telemtry]\nlisten = \"127.0.0.1:1\"\n", vec![], ["`telemtry`", "`telemetry`"]),
        ("", vec![("DITTO_SANDBOX__LIMITS__REEDS", "1")], ["DITTO_SANDBOX__LIMITS__REEDS", "`reads`"]),
        ("", vec![("DITTO_CHAINS__8453__CONTRACTS__OBSL", "1")], ["`chains.8453.contracts.obsl`", "`obls`"]),
        ("", vec![("DITTO_KEYS__SINGER__FILE", "/x")], ["`keys.singer`", "`signer`"]),
    ] {
        let output = config(&announced(more), &variables, &["check"]);
        let told = said(&output);
        assert!(!output.status.success() && told.contains("did you mean"), "{named:?}: {told}");
        assert!(named.iter().all(|part| told.contains(part)), "{named:?}: {told}");
    }
}

#[test]
fn a_file_that_is_not_toml_is_told_without_its_password() {
    for (from, to) in [
        ("SECRET\"]", "SECRET]"),
        ("[\"https://user", "https://user"),
        ("SECRET\"]\n", "SECRET\"\nrpc = \"SECRET\"\n"),
        ("rpc = [", "rpc [["),
    ] {
        for command in ["check", "show"] {
            let output = config(&announced("").replace(from, to), &[], &[command]);
            let told = said(&output);
            assert!(!output.status.success() && told.contains("is not valid TOML: line "), "{to}: {told}");
            assert!(!told.contains("SECRET"), "{to}: {told}");
        }
    }
    // The key itself where its file belongs.
    let key = "5e".repeat(32);
    let output = config(&announced(&format!("[keys]\nsigner = \"{key}\"\n")), &[], &["check"]);
    assert!(said(&output).contains("`keys.signer`") && !said(&output).contains(&key), "{}", said(&output));
}
