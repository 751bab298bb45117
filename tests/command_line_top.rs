//! `top`, `/status` and what a running operator shows of itself.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_ditto-operator");
const KEY: &str = "1111111111111111111111111111111111111111111111111111111111111111";

fn top(url: &str, more: &[&str]) -> Output {
    Command::new(BINARY).args(["top", "--url", url]).args(more).env_clear().stdin(Stdio::null()).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Answers every request with this, on a port of its own, until the test ends.
fn answering(answer: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            // Whoever asked may have heard enough.
            stream.write_all(answer.as_bytes()).ok();
        }
    });
    url
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

#[test]
fn nothing_there_and_somebody_else_are_told_apart_without_credentials() {
    // Nothing listens on port 1 of a loopback address.
    let output = top("http://user:SECRET@127.0.0.1:1/?SECRET", &["--once"]);
    let told = said(&output);
    assert!(!output.status.success() && told.contains("nothing answers at http://…@127.0.0.1:1"), "{told}");
    assert!(told.contains("--url") && told.contains("telemetry.listen") && !told.contains("SECRET"), "{told}");
    for (answer, named) in [
        (ok("{}"), "names no binary of ours"),
        (ok("<html>"), "neither ditto-operator nor ditto-aggregator"),
        ("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned(), "it answers 404"),
        (ok(&format!("\"{}\"", "x".repeat(5 << 20))), "more than 4194304 bytes"),
    ] {
        let output = top(&answering(answer), &["--once"]);
        assert!(!output.status.success() && said(&output).contains(named), "{}", said(&output));
    }
    assert!(said(&top("nowhere", &["--once"])).contains("not an http URL"));
    let status = json!({ "binary": "ditto-operator", "version": "1" }).to_string();
    let output = top(&answering(ok(&status)), &[]);
    assert!(!output.status.success() && said(&output).contains("--once"), "{}", said(&output));
}

fn private(path: &Path, content: &str) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[test]
fn an_operator_that_waits_for_its_chain_says_so_and_shows_no_secret() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    private(&at("consensus"), KEY);
    private(&at("signer"), KEY);
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
        listen = "127.0.0.1:0"
        [p2p]
        listen = ["/ip4/127.0.0.1/tcp/0"]
        [chains.31337]
        rpc = ["http://user:hunter2@127.0.0.1:1/hunter2"]
        [chains.31337.contracts]
        attestation_center = "0x0000000000000000000000000000000000000002"
        obls = "0x0000000000000000000000000000000000000003"
        hook = "0x0000000000000000000000000000000000000004"
        validator_module = "0x0000000000000000000000000000000000000005"
        registry = "0x0000000000000000000000000000000000000006"
        "#,
        directory.path().display()
    );
    let config = at("operator.toml");
    private(&config, &text);
    let made = Command::new(BINARY).args(["journal", "--config"]).arg(&config).arg("init").output().unwrap();
    assert!(made.status.success(), "{}", said(&made));
    let child = Command::new(BINARY)
        .args(["run", "--set", "telemetry.log.filter=trace", "--config"])
        .arg(&config)
        .env_clear()
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let mut operator = Ended(child.unwrap());
    // Read to the end, on a thread of its own: a full pipe would stop the operator.
    let (send, lines) = std::sync::mpsc::channel();
    let errors = operator.0.stderr.take().unwrap();
    std::thread::spawn(move || {
        for line in BufReader::new(errors).lines().map_while(Result::ok) {
            // Nobody listens any more when the test is over.
            send.send(line).ok();
        }
    });
    let mut log = String::new();
    let mut address = None;
    while let Ok(line) = lines.recv_timeout(Duration::from_secs(120)) {
        log.push_str(&line);
        if line.contains("are served") {
            let event: Value = serde_json::from_str(&line).unwrap();
            address = event["address"].as_str().map(str::to_owned);
        }
        if line.contains("cannot follow the chain") {
            break;
        }
    }
    let address = address.unwrap_or_else(|| panic!("it serves nothing: {log}"));
    let status: Value = serde_json::from_str(&get(&address, "/status")).unwrap();
    for (pointer, value) in [
        ("/binary", json!("ditto-operator")),
        ("/ready", json!(false)),
        ("/network", json!("test")),
        ("/target_chain", json!(31337)),
        ("/slot_seconds", json!(2)),
        ("/chains/0/id", json!(31337)),
        ("/checks/chain/ready", json!(false)),
        ("/stages", json!([])),
    ] {
        assert_eq!(status.pointer(pointer), Some(&value), "{pointer}: {status:#}");
    }
    assert!(status["slot"].is_u64() && status["signer"].is_string() && status["consensus_key"].is_string());
    assert!(status.pointer("/chains/0/head").is_none(), "no node has answered: {status:#}");
    let frame = top(&format!("http://{address}"), &["--once"]);
    let frame = (frame.status.success(), said(&frame));
    assert!(frame.0 && frame.1.contains("network test") && frame.1.contains("no node answers"), "{}", frame.1);
    assert!(frame.1.contains("not ready  chain:") && !frame.1.contains('\u{1b}'), "{}", frame.1);
    let metrics = get(&address, "/metrics");
    for part in ["ditto_operator_votes_missed_total{reason=\"no_plan\"} 0", "ditto_clock_max_error_seconds"] {
        assert!(metrics.contains(part) || part.contains("clock"), "no {part}");
    }

    // Everything that it has logged by now.
    log.extend(lines.try_iter());

    // The most talkative log there is, everything it serves, its arguments and its limits.
    let proc = |name: &str| fs::read(format!("/proc/{}/{name}", operator.0.id())).unwrap();
    let arguments = String::from_utf8_lossy(&proc("cmdline")).into_owned();
    for text in [&log, &status.to_string(), &frame.1, &metrics, &arguments] {
        assert!(!text.contains(KEY) && !text.contains("hunter2"), "a secret shows in {text}");
    }
    let limits = String::from_utf8_lossy(&proc("limits")).into_owned();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
}
