//! The binary as an operator meets it when something is wrong.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_ditto-operator");

/// A directory with a configuration that is good but for what `change` does to it. Nothing listens on the RPC's port.
fn prepare(change: impl FnOnce(String) -> String) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    for (name, key) in [("consensus", "11".repeat(32)), ("signer", "22".repeat(32))] {
        fs::write(path(name), key).unwrap();
        fs::set_permissions(path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    let good = format!(
        r#"
        state_dir = "{0}/state"
        [network]
        name = "test"
        target_chain = 31337
        genesis_seconds = 1
        slot_seconds = 2
        aggregator = "0x0000000000000000000000000000000000000001"
        [keys]
        consensus = {{ file = "{0}/consensus" }}
        signer = {{ file = "{0}/signer" }}
        [telemetry]
        listen = "127.0.0.1:0"
        [p2p]
        listen = ["/ip4/127.0.0.1/tcp/0"]
        [chains.31337]
        rpc = ["http://127.0.0.1:1"]
        [chains.31337.contracts]
        attestation_center = "0x0000000000000000000000000000000000000002"
        obls = "0x0000000000000000000000000000000000000003"
        hook = "0x0000000000000000000000000000000000000004"
        validator_module = "0x0000000000000000000000000000000000000005"
        registry = "0x0000000000000000000000000000000000000006"
        "#,
        directory.path().display()
    );
    let config = path("operator.toml");
    fs::write(&config, change(good)).unwrap();
    (directory, config)
}

fn check(config: &PathBuf) -> Output {
    Command::new(BINARY).args(["config", "check", "--config"]).arg(config).env_clear().output().unwrap()
}

#[test]
fn a_good_configuration_is_good_and_shows_no_secret() {
    let (_directory, config) = prepare(|good| good);
    let output = check(&config);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let shown = Command::new(BINARY).args(["config", "show", "--config"]).arg(&config).output().unwrap();
    assert!(shown.status.success());
    assert!(!String::from_utf8_lossy(&shown.stdout).contains(&"22".repeat(32)));
}

#[test]
fn what_is_wrong_is_named_with_its_field() {
    for (from, to, named) in [
        ("slot_seconds = 2", "slot_seconds = \"two\"", "network.slot_seconds"),
        ("name = \"test\"", "nmae = \"test\"", "name"),
        ("/signer\"", "/nothing\"", "keys.signer"),
        ("http://127.0.0.1:1", "ftp://127.0.0.1:1", "chains.31337.rpc"),
    ] {
        let (_directory, config) = prepare(|good| good.replace(from, to));
        let output = check(&config);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(named), "{to}: {said}");
    }
}

#[test]
fn a_wrong_key_is_named_and_never_printed() {
    let (directory, config) = prepare(|good| good);
    let key = "ff".repeat(32);
    fs::write(directory.path().join("consensus"), &key).unwrap();
    let output = check(&config);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("keys.consensus"), "{said}");
    assert!(!said.contains(&key), "a key was printed");
    fs::set_permissions(directory.path().join("signer"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(directory.path().join("consensus"), "11".repeat(32)).unwrap();
    let said = String::from_utf8_lossy(&check(&config).stderr).into_owned();
    assert!(said.contains("keys.signer") && said.contains("chmod"), "{said}");
}

#[test]
fn a_node_that_is_down_at_start_is_reported_and_tried_again() {
    let (_directory, config) = prepare(|good| good);
    let without = Command::new(BINARY).args(["run", "--config"]).arg(&config).output().unwrap();
    let said = String::from_utf8_lossy(&without.stderr).into_owned();
    assert!(!without.status.success() && said.contains("journal init"), "it signs nothing without a journal: {said}");
    let made = Command::new(BINARY).args(["journal", "--config"]).arg(&config).arg("init").output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mut operator = Command::new(BINARY)
        .args(["run", "--config"])
        .arg(&config)
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(operator.stderr.take().unwrap()).lines();
    let said = lines.by_ref().map_while(Result::ok).find(|line| line.contains("127.0.0.1:1"));
    assert!(said.is_some_and(|line| line.contains("31337")), "it names the chain and the endpoint");
    assert!(operator.try_wait().unwrap().is_none(), "it stays and tries on");
    let pid = operator.id();
    assert!(Command::new("kill").args(["-TERM", &pid.to_string()]).status().unwrap().success());
    assert!(operator.wait().unwrap().success(), "told to stop while it waits, it stops cleanly");
    assert!(!lines.map_while(Result::ok).any(|line| line.contains("panicked")));
}
