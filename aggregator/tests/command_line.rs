//! The aggregator's binary by hand: what is in force, what it shows, what it keeps to itself.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const BINARY: &str = env!("CARGO_BIN_EXE_ditto-aggregator");
/// Anvil's second account, whose address the configuration names.
const KEY: &str = "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";

fn run(arguments: &[&str]) -> Output {
    Command::new(BINARY).args(arguments).env_clear().stdin(Stdio::null()).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn configuration(directory: &Path) -> String {
    let key = directory.join("key");
    fs::write(&key, KEY).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let text = format!(
        r#"preset = "base"
        state_dir = "{0}/state"
        [network]
        name = "test"
        genesis_seconds = 1
        aggregator = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
        [keys.submitter]
        file = "{0}/key"
        [telemetry]
        listen = "127.0.0.1:0"
        [p2p]
        listen = ["/ip4/127.0.0.1/tcp/0"]
        [chains.8453]
        rpc = ["http://user:SECRET@127.0.0.1:1/SECRET"]
        [chains.8453.contracts]
        attestation_center = "0x0000000000000000000000000000000000000002"
        obls = "0x0000000000000000000000000000000000000003"
        hook = "0x0000000000000000000000000000000000000004"
        validator_module = "0x0000000000000000000000000000000000000005"
        registry = "0x0000000000000000000000000000000000000006"
        "#,
        directory.display()
    );
    let path = directory.join("aggregator.toml");
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn what_is_in_force_says_where_it_came_from_and_shows_no_secret() {
    let directory = tempfile::tempdir().unwrap();
    let config = configuration(directory.path());
    let checked = run(&["config", "check", "--config", &config]);
    assert!(checked.status.success(), "{}", said(&checked));
    let shown = run(&["config", "show", "--config", &config, "--set", "submission.confirmations=2"]);
    let told = said(&shown);
    for (line, origin) in [
        ("network.set_settles_blocks = 900", "set by the preset base"),
        ("submission.confirmations = 2", "set by a flag"),
        ("network.name = \"test\"", "aggregator.toml, line 4"),
        ("submission.max_attempts = 3", "default"),
    ] {
        assert!(told.lines().any(|found| found.starts_with(line) && found.contains(origin)), "{line}: {told}");
    }
    assert!(shown.status.success() && !told.contains("SECRET") && !told.contains(KEY), "{told}");
    let wrong = run(&["config", "check", "--config", &config, "--set", "submission.confirmation=2"]);
    assert!(said(&wrong).contains("did you mean `confirmations`"), "{}", said(&wrong));
    let other = run(&["config", "check", "--config", &config, "--preset", "bas"]);
    assert!(said(&other).contains("did you mean `base`"), "{}", said(&other));
}

#[test]
fn top_says_when_nothing_answers() {
    let output = run(&["top", "--once", "--url", "http://user:SECRET@127.0.0.1:1"]);
    let told = said(&output);
    assert!(!output.status.success() && told.contains("nothing answers") && !told.contains("SECRET"), "{told}");
}
