//! `ditto-operator register` and `set-signer`, against the real OBLS on a real chain.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use alloy::primitives::{Address, U256};
use alloy::providers::Provider;
use alloy::signers::local::PrivateKeySigner;
use clap::Parser;
use ditto_core::bls::SecretKey;
use ditto_core::chain::bindings::obls::OBLS;
use ditto_devnet::options::Options;
use ditto_devnet::process::Children;
use ditto_devnet::setup::Network;
use ditto_devnet::{anvil, keys, setup};
use serde_json::Value;

fn program() -> PathBuf {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_ditto-devnet")).with_file_name("ditto-operator");
    assert!(program.is_file(), "{} is not built; run `make e2e`", program.display());
    program
}

/// Runs `ditto-operator` with this configuration; `key` goes into OPERATOR_PRIVATE_KEY. The chain goes on meanwhile.
async fn operator(config: &Path, key: Option<&str>, arguments: &[&str]) -> Output {
    let mut command = Command::new(program());
    command.args(arguments).arg("--config").arg(config).env_clear().stdin(Stdio::null());
    if let Some(key) = key {
        command.env("OPERATOR_PRIVATE_KEY", key);
    }
    tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[track_caller]
fn refused(output: &Output, named: &str) {
    assert!(!output.status.success() && said(output).contains(named), "not {named:?}: {}", said(output));
}

#[track_caller]
fn printed(output: &Output) -> Value {
    assert!(output.status.success(), "{}", said(output));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(output)))
}

/// A configuration with these keys.
fn configuration(network: &Network, directory: &Path, consensus: &Path, signer: &Path) -> PathBuf {
    let mut table = toml::Table::new();
    table.insert("network".into(), toml::Value::try_from(&network.config).unwrap());
    let chain = toml::Value::try_from(network.chain_config().unwrap()).unwrap();
    table.insert("chains".into(), toml::Table::from_iter([(anvil::CHAIN_ID.to_string(), chain)]).into());
    let file = |path: &Path| toml::Table::from_iter([("file".to_owned(), path.display().to_string().into())]).into();
    let keys = [("consensus".to_owned(), file(consensus)), ("signer".to_owned(), file(signer))];
    table.insert("keys".into(), toml::Table::from_iter(keys).into());
    let path = directory.join("operator.toml");
    std::fs::write(&path, toml::to_string(&table).unwrap()).unwrap();
    path
}

#[tokio::test(flavor = "current_thread")]
#[ignore = "needs the built operator: run it by `make e2e`, which builds the binaries first"]
async fn a_controller_registers_once_and_changes_its_signer_when_it_says_so() {
    let dir = tempfile::Builder::new().prefix("ditto-register-").tempdir().unwrap();
    let options = Options::parse_from(["ditto-devnet", "--operators", "1", "--workflows", "1", "--seed", "register"]);
    let mut children = Children::default();
    let chain = anvil::start(&mut children, None, dir.path()).await.unwrap();
    let network = setup::prepare(chain, &options).await.unwrap();
    let provider = network.chain.provider.clone();
    let obls = OBLS::new(network.contracts.obls, &provider);

    let (consensus, signer, controller) = ([0x11; 32], [0x22; 32], [0x33; 32]);
    let path = |name: &str| dir.path().join(name);
    for (name, key) in [("consensus", consensus), ("signer", signer), ("controller", controller)] {
        keys::write(&path(name), &key).unwrap();
    }
    let config = configuration(&network, dir.path(), &path("consensus"), &path("signer"));
    let address = |key: [u8; 32]| PrivateKeySigner::from_bytes(&key.into()).unwrap().address();
    let (own, hex) = (address(controller), "33".repeat(32));
    let member = || async { obls.operatorOf(own).call().await.unwrap().member };

    // Whose? Nobody said.
    refused(&operator(&config, None, &["register"]).await, "OPERATOR_PRIVATE_KEY");
    refused(&operator(&config, Some(&hex), &["set-signer"]).await, "is not registered");
    // A Safe's owner sees the call, and needs no key here.
    let shown = operator(&config, None, &["register", "--controller", &own.to_string(), "--json"]).await;
    let call = printed(&shown);
    assert_eq!(call["to"], network.contracts.obls.to_string().to_lowercase());
    assert!(call["data"].as_str().unwrap().starts_with("0x") && call["transaction"] == Value::Null);

    // Without --send nothing is sent, and it warns of the key's place without showing the key.
    let dry = operator(&config, Some(&hex), &["register"]).await;
    let told = said(&dry);
    assert!(dry.status.success() && told.contains("nothing was sent") && told.contains("safer"), "{told}");
    for part in ["OBLS.register", &own.to_string(), "ether at most", "gwei"] {
        assert!(told.contains(part), "no {part:?} in {told}");
    }
    assert!(!told.contains(&hex));
    refused(&operator(&config, Some(&hex), &["register", "--send", "--yes"]).await, "too little");
    let () = provider.raw_request("anvil_setBalance".into(), (own, U256::from(10_u64.pow(18)))).await.unwrap();
    refused(&operator(&config, Some(&hex), &["register", "--send"]).await, "--yes");
    assert!(member().await.key.is_empty(), "nothing was sent so far");

    let sent = printed(&operator(&config, Some(&hex), &["register", "--send", "--yes", "--json"]).await);
    assert!(sent["transaction"].is_string() && sent["gas_used"].as_u64() <= sent["gas"].as_u64(), "{sent:#}");
    let registered = member().await;
    let public = SecretKey::from_bytes(&consensus).unwrap().public();
    assert_eq!(registered.key.as_ref(), public.to_eip2537().as_slice());
    assert_eq!(registered.signer, address(signer));
    refused(&operator(&config, Some(&hex), &["register", "--send", "--yes"]).await, "is registered already");

    // The same key from a file; the configured signer is the registered one already, another one is not.
    let file = path("controller").display().to_string();
    let same = operator(&config, None, &["set-signer", "--keystore", &file, "--send", "--yes"]).await;
    assert!(same.status.success() && said(&same).contains("already"), "{}", said(&same));
    let taken = network.operators[0].signer_address().to_string();
    let taken = ["set-signer", "--keystore", &file, "--address", &taken, "--send", "--yes"];
    refused(&operator(&config, None, &taken).await, "SignerInUse");
    let other = Address::repeat_byte(0x77).to_string();
    let change = ["set-signer", "--keystore", &file, "--address", &other];
    let dry = operator(&config, None, &change).await;
    assert!(dry.status.success() && member().await.signer == address(signer), "{}", said(&dry));
    let changed = operator(&config, None, &[&change[..], &["--send", "--yes"]].concat()).await;
    assert!(changed.status.success(), "{}", said(&changed));
    assert_eq!(member().await.signer, Address::repeat_byte(0x77));
}
