//! Keys by hand: keystores are made, opened and changed, and no key or password shows where it should not.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_ditto-operator");
const PASSWORD: &str = "correct horse battery";
const KEY: &str = "1111111111111111111111111111111111111111111111111111111111111111";

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn good(output: Output) -> String {
    assert!(output.status.success(), "{}", said(&output));
    said(&output)
}

fn private(path: &Path, content: &str) -> String {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A directory with a password file, and keystores of all three keys in `keys`.
fn generated() -> (TempDir, String, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let password = private(&directory.path().join("password"), PASSWORD);
    let keys = directory.path().join("keys");
    let made = run(&["generate", "--out", keys.to_str().unwrap(), "--password-file", &password, "--light"]);
    let told = good(made);
    for name in ["controller.json", "signer.json", "consensus.json", "ditto-operator doctor"] {
        assert!(told.contains(name), "{told}");
    }
    (directory, password, keys)
}

fn config(directory: &Path, keys: &str) -> String {
    let text = format!(
        r#"
        state_dir = "{0}/state"
        [network]
        name = "test"
        target_chain = 31337
        genesis_seconds = 1
        slot_seconds = 2
        aggregator = "0x0000000000000000000000000000000000000001"
        {keys}
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
        directory.display()
    );
    private(&directory.join("operator.toml"), &text)
}

fn keystores(keys: &Path, password: &str) -> String {
    let keys = keys.display();
    format!(
        "[keys.consensus]\nfile = \"{keys}/consensus.json\"\npassword_file = \"{password}\"\n\
         [keys.signer]\nfile = \"{keys}/signer.json\"\npassword_file = \"{password}\"\n"
    )
}

#[test]
fn generated_keystores_are_what_an_operator_runs_with() {
    let (directory, password, keys) = generated();
    for name in ["controller.json", "signer.json", "consensus.json"] {
        assert_eq!(fs::metadata(keys.join(name)).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let config = config(directory.path(), &keystores(&keys, &password));
    good(run(&["config", "check", "--config", &config]));
    let shown = good(run(&["keys", "--config", &config]));
    let signer = keys.join("signer.json");
    let described = good(run(&["keys", "show", signer.to_str().unwrap()]));
    let address = described.split_whitespace().last().unwrap();
    assert!(address.starts_with("0x") && shown.contains(address), "{shown} {described}");
    let registration = good(run(&[
        "keys",
        "--config",
        &config,
        "registration",
        "--controller",
        "0x00000000000000000000000000000000000000aa",
    ]));
    assert!(registration.contains("0x0000000000000000000000000000000000000003") && registration.contains(address));
    // The password is another: it says so, and which key.
    private(Path::new(&password), "something else");
    let output = run(&["config", "check", "--config", &config]);
    assert!(!output.status.success() && said(&output).contains("`keys.consensus`"), "{}", said(&output));
}

#[test]
fn exchanged_keystores_are_noticed() {
    let (directory, password, keys) = generated();
    let exchanged = keystores(&keys, &password).replace("consensus.json", "controller.json");
    let config = config(directory.path(), &exchanged);
    let output = run(&["config", "check", "--config", &config]);
    let told = said(&output);
    assert!(!output.status.success() && told.contains("`keys.consensus`") && told.contains("exchanged"), "{told}");
}

#[test]
fn a_key_goes_in_comes_out_and_changes_its_password() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (bare, password) = (private(Path::new(&at("bare")), KEY), private(Path::new(&at("password")), PASSWORD));
    let newer = private(Path::new(&at("newer")), "another password");
    let keystore = at("signer.json");
    let imported = run(&[
        "keys",
        "import",
        &keystore,
        "--kind",
        "ecdsa",
        "--from",
        &bare,
        "--password-file",
        &password,
        "--light",
    ]);
    let told = good(imported);
    assert!(told.contains("0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A") && !told.contains(KEY), "{told}");
    let again = run(&["keys", "import", &keystore, "--kind", "ecdsa", "--from", &bare, "--password-file", &password]);
    assert!(!again.status.success() && said(&again).contains("there already"));
    assert!(!fs::read_to_string(&keystore).unwrap().contains(KEY));

    let change =
        ["keys", "password", &keystore, "--password-file", &password, "--new-password-file", &newer, "--light"];
    good(run(&change));
    assert!(!run(&change).status.success(), "the old password no longer opens it");
    assert_eq!(fs::metadata(&keystore).unwrap().permissions().mode() & 0o777, 0o600);
    let exported = run(&["keys", "export", &keystore, "--password-file", &newer]);
    assert_eq!(String::from_utf8_lossy(&exported.stdout).trim(), KEY);
    let out = at("out");
    good(run(&["keys", "export", &keystore, "--password-file", &newer, "--out", &out]));
    assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);

    // Not below the order of BLS12-381: no consensus key.
    let high = private(Path::new(&at("high")), &"ee".repeat(32));
    let output =
        run(&["keys", "import", &at("c.json"), "--kind", "bls", "--from", &high, "--password-file", &password]);
    assert!(!output.status.success() && said(&output).contains("order") && !said(&output).contains(&"ee".repeat(32)));
    let short = private(Path::new(&at("short")), "short");
    let output = run(&["keys", "import", &at("s.json"), "--kind", "ecdsa", "--from", &bare, "--password-file", &short]);
    assert!(!output.status.success() && said(&output).contains("8"), "{}", said(&output));
}

#[test]
fn nobody_is_asked_where_nobody_sits() {
    let output = run(&["generate", "--out", "/nonexistent/keys"]);
    let told = said(&output);
    assert!(
        !output.status.success() && told.contains("--password-file") && told.contains("--show-private-keys"),
        "{told}"
    );
    let (directory, _password, keys) = generated();
    let without =
        keystores(&keys, "x").lines().filter(|line| !line.contains("password_file")).collect::<Vec<_>>().join("\n");
    let config = config(directory.path(), &without);
    let output = run(&["config", "check", "--config", &config]);
    let told = said(&output);
    assert!(!output.status.success() && told.contains("`keys.consensus.password_file`"), "{told}");
    // systemd's credential serves both keys.
    private(&directory.path().join("keystore-password"), PASSWORD);
    let mut check = command(&["config", "check", "--config", &config]);
    good(check.env("CREDENTIALS_DIRECTORY", directory.path()).output().unwrap());
}

/// Reads what a process says until a line holds `until`; bounded, as the process ends by itself when it fails.
fn wait_for(output: &mut impl Read, until: &str) -> String {
    let (mut told, mut byte) = (Vec::new(), [0]);
    while output.read(&mut byte).is_ok_and(|count| count == 1) {
        told.push(byte[0]);
        if byte[0] == b'\n' && String::from_utf8_lossy(&told).contains(until) {
            break;
        }
    }
    String::from_utf8_lossy(&told).into_owned()
}

#[test]
fn keys_of_the_environment_work_with_a_warning_and_nothing_shows_them() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path(), "");
    let missing = run(&["config", "check", "--config", &config]);
    assert!(said(&missing).contains("CONSENSUS_PRIVATE_KEY"), "{}", said(&missing));
    let keys = [("EXECUTOR_PRIVATE_KEY", KEY), ("CONSENSUS_PRIVATE_KEY", KEY)];
    let made = command(&["journal", "--config", &config, "init"]).envs(keys).output().unwrap();
    assert!(made.status.success(), "{}", said(&made));
    let mut operator =
        command(&["run", "--config", &config]).envs(keys).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut errors = operator.stderr.take().unwrap();
    // It waits for its chain: everything up to there has been said.
    let told = wait_for(&mut errors, "127.0.0.1:1");
    assert!(told.contains("EXECUTOR_PRIVATE_KEY") && told.contains("keystore is safer"), "{told}");
    assert!(!told.contains(KEY), "a key was printed");
    let arguments = fs::read(format!("/proc/{}/cmdline", operator.id())).unwrap();
    assert!(!String::from_utf8_lossy(&arguments).contains(KEY));
    // A process that cannot be dumped belongs to root in /proc, whoever runs it; as root, the kernel's word is all there is.
    operator.kill().unwrap();
    operator.wait().unwrap();
}

/// Ends a process by SIGQUIT, whose default is a core dump, with every limit lifted; says whether there was one.
fn dumps(mut process: std::process::Child) -> bool {
    Command::new("kill").args(["-QUIT", &process.id().to_string()]).status().unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(status) = process.try_wait().unwrap() {
            return status.core_dumped();
        }
        assert!(Instant::now() < deadline, "it does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_core_dump_holds_no_key_for_there_is_none() {
    let (directory, password, keys) = generated();
    let config = config(directory.path(), &keystores(&keys, &password));
    let made = command(&["journal", "--config", &config, "init"]).output().unwrap();
    assert!(made.status.success(), "{}", said(&made));
    let unlimited = |program: &str| {
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(format!("ulimit -c unlimited; exec {program}")).current_dir(directory.path());
        shell.stdout(Stdio::null()).stderr(Stdio::piped()).stdin(Stdio::null());
        shell.spawn().unwrap()
    };
    let mut operator = unlimited(&format!("{BINARY} run --config {config}"));
    wait_for(&mut operator.stderr.take().unwrap(), "127.0.0.1:1");
    assert!(!dumps(operator), "the operator left a core dump");
    // Where nothing can dump, this showed nothing; say so instead of claiming it.
    if !dumps(unlimited("sleep 60")) {
        println!("this machine dumps no process at all, so the above proves nothing here");
    }
}
