//! The doctor, on a machine where things are wrong.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_ditto-operator");

fn prepare(directory: &Path, telemetry: u16) -> PathBuf {
    for (name, key) in [("consensus", "11".repeat(32)), ("signer", "22".repeat(32))] {
        let path = directory.join(name);
        fs::write(&path, key).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let text = format!(
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
        listen = "127.0.0.1:{telemetry}"
        [p2p]
        listen = ["/ip4/127.0.0.1/tcp/0"]
        bootstrap = ["/ip4/127.0.0.1/tcp/1"]
        [chains.31337]
        rpc = ["http://127.0.0.1:1"]
        [chains.31337.contracts]
        attestation_center = "0x0000000000000000000000000000000000000002"
        obls = "0x0000000000000000000000000000000000000003"
        hook = "0x0000000000000000000000000000000000000004"
        validator_module = "0x0000000000000000000000000000000000000005"
        registry = "0x0000000000000000000000000000000000000006"
        "#,
        directory.display()
    );
    let config = directory.join("operator.toml");
    fs::write(&config, text).unwrap();
    config
}

fn examine(config: &Path) -> (bool, Vec<Value>) {
    let output = Command::new(BINARY).args(["doctor", "--json", "--config"]).arg(config).env_clear().output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["ok"].as_bool().unwrap(), output.status.success());
    (output.status.success(), report["findings"].as_array().unwrap().clone())
}

fn find<'a>(findings: &'a [Value], section: &str, what: &str) -> &'a Value {
    let found = findings.iter().find(|finding| finding["section"] == section && finding["what"] == what);
    found.unwrap_or_else(|| panic!("no {section}, {what} in {findings:#?}"))
}

#[test]
fn every_fault_is_found_and_comes_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = prepare(directory.path(), taken.local_addr().unwrap().port());
    let (good, findings) = examine(&config);
    assert!(!good);
    assert_eq!(find(&findings, "sandbox", "a run")["status"], "ok", "a workflow really runs");
    assert_eq!(find(&findings, "disk", "durable writes")["status"], "ok");
    assert_eq!(find(&findings, "chains", "chain 31337, node 0")["status"], "fail");
    assert_eq!(find(&findings, "ports", "telemetry.listen")["status"], "fail");
    assert_eq!(find(&findings, "ports", "p2p.bootstrap")["status"], "warn");
    assert_eq!(find(&findings, "keys", "keys.signer")["status"], "warn", "it is not in a keystore");
    assert_eq!(find(&findings, "keys", "signer")["detail"], "0x1563915e194D8CfBA1943570603F7606A3115508");
    assert_eq!(find(&findings, "operator", "registration")["status"], "skip");
    for finding in &findings {
        let to_do = finding["fix"].as_str().is_some_and(|fix| fix.len() > 10);
        assert_eq!(to_do, ["warn", "fail"].contains(&finding["status"].as_str().unwrap()), "{finding:#}");
    }
    let text = format!("{findings:?}");
    assert!(!text.contains(&"11".repeat(32)) && !text.contains(&"22".repeat(32)), "a key was printed");
}

#[test]
fn without_a_configuration_the_machine_is_looked_at_all_the_same() {
    let (good, findings) = examine(Path::new("/nonexistent/operator.toml"));
    assert!(!good);
    assert_eq!(findings[0]["status"], "fail");
    assert!(findings[0]["detail"].as_str().unwrap().contains("/nonexistent/operator.toml"));
    assert_eq!(find(&findings, "sandbox", "a run")["status"], "ok");
}

#[test]
fn a_key_that_others_may_read_is_a_fault() {
    let directory = tempfile::tempdir().unwrap();
    let config = prepare(directory.path(), 0);
    fs::set_permissions(directory.path().join("signer"), fs::Permissions::from_mode(0o644)).unwrap();
    let (good, findings) = examine(&config);
    assert!(!good);
    let keys = find(&findings, "keys", "keys");
    assert!(keys["status"] == "fail" && keys["detail"].as_str().unwrap().contains("chmod 600"), "{keys:#}");
}
