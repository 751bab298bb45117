use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;

use serde::Deserialize;

use super::*;
use crate::secret::SecretSource;
use crate::stage::{Overflow, StageConfig};

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    name: String,
    slot_seconds: u64,
    verbose: bool,
    ratio: f64,
    listen: SocketAddr,
    peers: Vec<String>,
    chains: BTreeMap<u64, Chain>,
    vote: StageConfig,
    key: SecretSource,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: "operator".into(),
            slot_seconds: 12,
            verbose: false,
            ratio: 0.5,
            listen: ([127, 0, 0, 1], 9400).into(),
            peers: Vec::new(),
            chains: BTreeMap::new(),
            vote: StageConfig::waiting(16, 1),
            key: SecretSource::default(),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Chain {
    rpc: String,
    #[serde(default)]
    pin_lag: u64,
}

fn read(file: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Loaded<Config>, ConfigError> {
    let mut layers = Layers::new();
    layers.text(Path::new("/etc/ditto/operator.toml"), file)?;
    let flags: Vec<_> = flags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    layers.overrides(&flags)?;
    layers.environment("DITTO_", env.iter().map(|(k, v)| (OsString::from(k), OsString::from(v))))?;
    layers.load()
}

#[track_caller]
fn refused(file: &str, env: &[(&str, &str)], flags: &[(&str, &str)], parts: &[&str]) {
    let error = read(file, env, flags).unwrap_err().to_string();
    for part in parts {
        assert!(error.contains(part), "{error:?} does not say {part:?}");
    }
}

#[test]
fn nothing_set_runs_on_defaults() {
    let config = read("", &[("PATH", "/bin"), ("OTHER_NAME", "x")], &[]).unwrap().value;
    assert_eq!((config.slot_seconds, config.name.as_str()), (12, "operator"));
}

#[test]
fn flags_go_over_environment_over_file_over_defaults() {
    let file = "slot_seconds = 1\nratio = 0.1\nname = 'file'\n";
    let env = [("DITTO_RATIO", "0.2"), ("DITTO_NAME", "env")];
    let loaded = read(file, &env, &[("name", "flag")]).unwrap();
    assert_eq!(loaded.value.slot_seconds, 1);
    assert!((loaded.value.ratio - 0.2).abs() < 1e-9);
    assert_eq!(loaded.value.name, "flag");
    assert_eq!(loaded.origin("name"), Origin::Flag);
    assert_eq!(loaded.origin("ratio"), Origin::Environment("DITTO_RATIO".into()));
    assert_eq!(loaded.origin("slot_seconds"), Origin::File { path: "/etc/ditto/operator.toml".into(), line: Some(1) });
    assert_eq!(loaded.origin("verbose"), Origin::Default);
}

#[test]
fn chains_are_tables_by_number_from_every_source() {
    let file = "[chains.31337]\nrpc = 'http://file'\npin_lag = 2\n[chains.8453]\nrpc = 'http://base'\n";
    let env = [("DITTO_CHAINS__31337__RPC", "http://env"), ("DITTO_CHAINS__1__RPC", "http://one")];
    let config = read(file, &env, &[("chains.10.rpc", "http://ten")]).unwrap().value;
    let rpcs: Vec<_> = config.chains.iter().map(|(id, chain)| (*id, chain.rpc.as_str(), chain.pin_lag)).collect();
    assert_eq!(rpcs, [(1, "http://one", 0), (10, "http://ten", 0), (8453, "http://base", 0), (31337, "http://env", 2)]);
}

#[test]
fn text_is_read_as_what_the_field_wants() {
    let env = [
        ("DITTO_NAME", "007"),
        ("DITTO_SLOT_SECONDS", "2"),
        ("DITTO_VERBOSE", "true"),
        ("DITTO_PEERS", "[\"a\", \"b\"]"),
        ("DITTO_LISTEN", "0.0.0.0:1"),
        ("DITTO_CHAINS__1__RPC", "1"),
        ("DITTO_VOTE", "{ queue = 4, workers = 1, overflow = 'drop' }"),
    ];
    let config = read("", &env, &[]).unwrap().value;
    assert_eq!((config.name.as_str(), config.slot_seconds, config.verbose), ("007", 2, true));
    assert_eq!(config.peers, ["a", "b"]);
    assert_eq!(config.listen.port(), 1);
    assert_eq!(config.chains[&1].rpc, "1");
    assert_eq!(config.vote.overflow, Overflow::Drop);
}

#[test]
fn an_unknown_key_is_named_with_its_source_and_the_nearest_known_one() {
    refused("slot_second = 3", &[], &[], &["`slot_second`", "/etc/ditto/operator.toml", "did you mean `slot_seconds`"]);
    refused("", &[("DITTO_SLOT_SECOND", "3")], &[], &["`slot_second`", "DITTO_SLOT_SECOND", "`slot_seconds`"]);
    refused("", &[], &[("slot_second", "3")], &["`slot_second`", "flag", "`slot_seconds`"]);
    let file = "[chains.31337]\nrpc = 'x'\npinlag = 3";
    refused(file, &[], &[], &["`chains.31337.pinlag`", "operator.toml", "did you mean `pin_lag`"]);
    refused("[vote]\nqueue=1\nworkers=1\noverflow='wait'\nbanana=1", &[], &[], &["`vote.banana`", "queue, workers"]);
}

#[test]
fn a_wrong_value_is_named_with_its_key_source_and_what_is_expected() {
    refused("slot_seconds = 'soon'", &[], &[], &["`slot_seconds`", "operator.toml", "soon", "u64"]);
    refused("slot_seconds = -1", &[], &[], &["`slot_seconds`", "-1", "u64"]);
    refused("", &[("DITTO_SLOT_SECONDS", "soon")], &[], &["`slot_seconds`", "DITTO_SLOT_SECONDS", "u64"]);
    refused("", &[("DITTO_SLOT_SECONDS", "-3")], &[], &["`slot_seconds`", "integer `-3`"]);
    refused("", &[], &[("listen", "nowhere")], &["`listen`", "flag", "socket address"]);
    refused("[chains.31337]\nrpc = 5", &[], &[], &["`chains.31337.rpc`", "operator.toml", "string"]);
    refused("[chains.mainnet]\nrpc = 'x'", &[], &[], &["`chains.mainnet`", "operator.toml", "numbers"]);
    refused("[vote]\nqueue=0\nworkers=1\noverflow='wait'", &[], &[], &["`vote.queue`", "nonzero"]);
    refused("[vote]\nqueue=1\nworkers=1\noverflow='panic'", &[], &[], &["`vote.overflow`", "wait", "drop"]);
    refused("chains = 3", &[], &[], &["`chains`", "map"]);
    refused("peers = ['a', 3]", &[], &[], &["peers[1]", "operator.toml", "string"]);
}

#[test]
fn what_is_missing_is_named() {
    refused("[chains.31337]\npin_lag = 3", &[], &[], &["`chains.31337.rpc` is not set"]);
    // Not that the number in the variable is none.
    refused("", &[("DITTO_VOTE__WORKERS", "16")], &[], &["`vote.queue` is not set"]);
}

#[test]
fn bad_toml_is_shown_with_its_line() {
    refused("name = 'a'\nslot_seconds = = 3", &[], &[], &["operator.toml", "line 2"]);
    refused("name = 'a'\nname = 'b'", &[], &[], &["operator.toml", "duplicate"]);
}

#[test]
fn a_value_below_a_value_names_both_sources() {
    let parts = ["`name.first`", "DITTO_NAME__FIRST", "`name`", "operator.toml"];
    refused("name = 'a'", &[("DITTO_NAME__FIRST", "x")], &[], &parts);
    refused("", &[], &[("chains..rpc", "x")], &["`chains..rpc`", "flag"]);
    refused("", &[("DITTO_CHAINS__", "x")], &[], &["DITTO_CHAINS__"]);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = load::<Config>(Some(Path::new("/nonexistent/operator.toml")), "DITTO_", &[]).unwrap_err();
    assert!(error.to_string().contains("/nonexistent/operator.toml"), "{error}");
}

#[test]
fn a_variable_that_holds_a_secret_is_never_read_as_a_value() {
    let secret = ("DITTO_NAME", "5ec4e7");
    let by_file = read("key.env = 'DITTO_NAME'", &[secret], &[]).unwrap();
    assert_eq!(by_file.value.name, "operator");
    let by_env = read("", &[secret, ("DITTO_KEY__ENV", "DITTO_NAME")], &[]).unwrap();
    assert_eq!(by_env.value.name, "operator");
    assert_eq!(by_env.value.key.env.as_deref(), Some("DITTO_NAME"));
}

#[test]
fn a_value_that_reads_well_can_still_be_refused_by_name() {
    let loaded = read("slot_seconds = 0", &[], &[]).unwrap();
    let error = loaded.refuse("slot_seconds", "must be at least 1 second").to_string();
    assert_eq!(error, "`slot_seconds` (set in /etc/ditto/operator.toml, line 1): must be at least 1 second");
}

#[test]
fn an_unknown_key_is_found_in_nested_tables_from_every_source() {
    let near = "did you mean `queue`";
    refused("vote = { quue = 1, workers = 1, overflow = 'wait' }", &[], &[], &["`vote.quue`", "line 1", near]);
    refused("", &[("DITTO_VOTE__QUUE", "1")], &[], &["`vote.quue`", "DITTO_VOTE__QUUE", near]);
    refused("", &[], &[("vote.quue", "1")], &["`vote.quue`", "flag", near]);
    let chain = [("DITTO_CHAINS__1__RPC", "http://a"), ("DITTO_CHAINS__1__PINLAG", "1")];
    refused("", &chain, &[], &["`chains.1.pinlag`", "DITTO_CHAINS__1__PINLAG", "did you mean `pin_lag`"]);
    refused("[vote_]\nqueue = 1", &[], &[], &["`vote_`", "did you mean `vote`"]);
}

#[test]
fn bad_toml_is_told_without_what_the_line_holds() {
    for (line, shown) in [
        ("rpc = [\"https://user:SECRET@node/SECRET]", "rpc = …"),
        ("rpc = https://user:SECRET@node", "rpc = …"),
        ("rpc = [\n\"https://user:SECRET@node\"\n\"https://user:SECRET@node\"]", "line 5"),
        ("rpc = 'https://user:SECRET@node' 'SECRET'", "rpc = …"),
        ("https://user:SECRET@node = 1", "line 3"),
        ("rpc = \"https://user:SECRET@node\\SECRET\"", "rpc = …"),
        ("rpc = \"\"\"https://user:SECRET@node", "not valid TOML"),
        ("name = \"a\"\nname = \"SECRET\"", "duplicate"),
    ] {
        let error = read(&format!("slot_seconds = 1\n[chains.1]\n{line}"), &[], &[]).unwrap_err();
        let (told, debugged) = (error.to_string(), format!("{error:?}"));
        assert!(told.contains("operator.toml is not valid TOML: line ") && told.contains(shown), "{line}: {told}");
        assert!(!told.contains("SECRET") && !debugged.contains("SECRET"), "{line}: {told} {debugged}");
        // Nor does the chain of causes, which binaries print.
        let mut cause: Option<&dyn std::error::Error> = Some(&error);
        while let Some(error) = cause {
            assert!(!error.to_string().contains("SECRET"));
            cause = error.source();
        }
    }
}

#[test]
fn a_secret_in_the_wrong_place_is_not_quoted() {
    let key = "5e".repeat(32);
    for (file, named) in [
        (format!("key = '{key}'"), "`key`"),
        ("chains.1 = 'https://user:SECRET@node'".to_owned(), "`chains.1`"),
        ("slot_seconds = 'https://user:SECRET@node'".to_owned(), "`slot_seconds`"),
        ("vote = { queue = 1, workers = 1, overflow = 'https://user:SECRET@node' }".to_owned(), "`vote.overflow`"),
    ] {
        let error = read(&file, &[], &[]).unwrap_err();
        let told = format!("{error} {error:?}");
        assert!(told.contains(named) && !told.contains("SECRET") && !told.contains(&key), "{told}");
    }
    let error = read("", &[("DITTO_CHAINS__1", "https://user:SECRET@node")], &[]).unwrap_err().to_string();
    assert!(error.contains("DITTO_CHAINS__1") && !error.contains("SECRET"), "{error}");
}

/// What a preset fills of a network, in the names that both binaries use.
#[derive(Debug, Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
struct Node {
    network: BTreeMap<String, serde_json::Value>,
    chains: BTreeMap<u64, BTreeMap<String, serde_json::Value>>,
}

fn preset(file: &str, flags: &[(&str, &str)]) -> Result<Loaded<Node>, ConfigError> {
    let mut layers = Layers::new();
    layers.text(Path::new("node.toml"), file)?;
    let flags: Vec<_> = flags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    layers.overrides(&flags)?.presets()?;
    layers.load()
}

#[test]
fn a_preset_lies_under_everything_and_says_so() {
    let loaded = preset("preset = 'base'\nnetwork.slot_seconds = 4\n", &[("chains.8453.poll_ms", "9")]).unwrap();
    let node = &loaded.value;
    assert_eq!((&node.network["target_chain"], &node.network["slot_seconds"]), (&8_453.into(), &4.into()));
    let chain = &node.chains[&8_453];
    assert_eq!((&chain["pin_lag_seconds"], &chain["poll_ms"]), (&3.into(), &9.into()));
    assert_eq!(chain["contracts"]["entry_point"], "0x0000000071727De22E5E9d8BAf0edAc6f37da032");
    assert_eq!(loaded.origin("network.target_chain"), Origin::Preset("base"));
    assert_eq!(loaded.origin("network.slot_seconds"), Origin::File { path: "node.toml".into(), line: Some(2) });
    assert_eq!(loaded.origin("chains.8453.poll_ms"), Origin::Flag);
    // The second chain of a list is only read: it has no contracts, and no say in the network's rules.
    let loaded = preset("preset = ['polygon', 'ethereum']", &[]).unwrap();
    assert_eq!(loaded.value.network["target_chain"], 137);
    assert_eq!(loaded.value.network["slot_seconds"], 2);
    assert_eq!(loaded.value.chains[&1].get("contracts"), None);
    let told = preset("preset = 'bse'", &[]).unwrap_err().to_string();
    assert!(told.contains("did you mean `base`") && told.contains("line 1") && told.contains("holesky"), "{told}");
    assert!(preset("preset = 3", &[]).unwrap_err().to_string().contains("`preset`"));
}

#[test]
fn what_is_shown_says_where_it_came_from_and_reads_back() {
    let loaded =
        preset("preset = 'base'\n[network]\nname = \"a \\\"b\\\"\"\n", &[("chains.1.rpc", "['http://x']")]).unwrap();
    let shown = show::as_toml(&loaded.shown().unwrap());
    for line in [
        "network.name = \"a \\\"b\\\"\"",
        "# set in node.toml, line 3",
        "network.target_chain = 8453",
        "# set by the preset base",
        "chains.1.rpc = [\"http://x\"]",
        "# set by a flag",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    let again = preset(&shown, &[]).unwrap();
    assert_eq!(serde_json::to_value(&again.value).unwrap(), serde_json::to_value(&loaded.value).unwrap());
    let json = show::as_json(&loaded.shown().unwrap());
    assert!(json.as_array().unwrap().iter().any(|one| one["key"] == "network.slot_seconds" && one["value"] == 2));
    // A key where its place belongs is not shown either.
    let loaded = read(&format!("key.env = '{}'", "5e".repeat(32)), &[], &[]).unwrap();
    assert!(loaded.value.key.env.is_some());
}
