//! Configuration: a file, the environment over it, flags over that. Any text ends as a configuration or as an error that
//! names its key and tells no secret.
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use ditto_core::chain::ChainConfig;
use ditto_core::config::Layers;
use ditto_core::network::NetworkConfig;
use ditto_core::p2p::P2pConfig;
use ditto_core::secret::SecretSource;
use ditto_core::stage::StageConfig;
use serde::Deserialize;

/// The shapes that the binaries' configurations are made of.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Config {
    #[allow(dead_code)]
    chains: BTreeMap<u64, ChainConfig>,
    #[allow(dead_code)]
    network: Option<NetworkConfig>,
    #[allow(dead_code)]
    p2p: P2pConfig,
    #[allow(dead_code)]
    stage: BTreeMap<String, StageConfig>,
    key: SecretSource,
    #[allow(dead_code)]
    name: String,
    #[allow(dead_code)]
    list: Vec<i8>,
}

const SECRET: &str = "c0ffee-this-must-not-be-told";

/// Parts are separated by 0xff, which is no part of UTF-8: the file, then what begins with `F` (a flag) or anything else
/// (a variable), each `name=value`. An empty second part puts flags before the environment.
pub fn examples() -> Vec<Vec<u8>> {
    let flags: &[u8] = b"\xffFp2p.listen=[\"/ip4/0.0.0.0/tcp/9000\"]\xffFlist=[1,2]";
    let environment: &[u8] = b"\xff\xffENAME=007\xffECHAINS__31337__RPC=http://127.0.0.1:8545\xffELIST=[1, -2]";
    vec![
        include_bytes!("../../../systemd/operator.toml").to_vec(),
        include_bytes!("../../../systemd/aggregator.toml").to_vec(),
        [b"name = 'a'\n[chains.31337]\nrpc = 'http://x'\n[stage.sign]\nqueue = 3\n", environment].concat(),
        [b"[key]\nfile = '/x'\n", flags, environment].concat(),
    ]
}

struct Sources {
    file: String,
    environment: Vec<(String, Vec<u8>)>,
    flags: Vec<(String, String)>,
    flags_first: bool,
}

impl Sources {
    fn read(data: &[u8]) -> Option<Sources> {
        let mut parts = data.split(|byte| *byte == 0xff);
        let file = String::from_utf8(parts.next()?.to_vec()).ok()?;
        let (mut environment, mut flags, mut flags_first) = (Vec::new(), Vec::new(), false);
        for part in parts {
            let Some((kind, pair)) = part.split_first() else {
                flags_first = true;
                continue;
            };
            let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
            let (name, value) = (String::from_utf8(pair[..at].to_vec()).ok()?, pair.get(at + 1..).unwrap_or_default());
            match kind {
                b'F' => flags.push((name, String::from_utf8(value.to_vec()).ok()?)),
                _ => environment.push((name, value.to_vec())),
            }
        }
        Some(Sources { file, environment, flags, flags_first })
    }
}

pub fn run(data: &[u8]) {
    let Some(sources) = Sources::read(data) else { return };
    let mut layers = Layers::new();
    let told = |text: String| assert!(!text.contains(SECRET), "{text}");
    if let Err(error) = layers.text(Path::new("fuzz.toml"), &sources.file) {
        return told(error.to_string());
    }
    let mut environment: Vec<(OsString, OsString)> = sources
        .environment
        .into_iter()
        .map(|(name, value)| (format!("DITTO_{name}").into(), OsString::from_vec(value)))
        .collect();
    // A key's variable is never read as configuration, whatever it is called.
    environment.push(("DITTO_KEY__ENV".into(), "DITTO_P2P".into()));
    environment.push(("DITTO_P2P".into(), SECRET.into()));
    if sources.flags_first
        && let Err(error) = layers.overrides(&sources.flags)
    {
        return told(error.to_string());
    }
    if let Err(error) = layers.environment("DITTO_", environment) {
        return told(error.to_string());
    }
    if !sources.flags_first
        && let Err(error) = layers.overrides(&sources.flags)
    {
        return told(error.to_string());
    }
    match layers.load::<Config>() {
        Ok(loaded) => {
            told(format!("{:?}", loaded.origins));
            let _ = loaded.value.key.is_set();
        }
        Err(error) => told(error.to_string()),
    }
}
