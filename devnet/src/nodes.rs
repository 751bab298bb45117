//! The nodes: a configuration file, key files and a process for the aggregator and for every operator.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use ditto_core::chain::ChainConfig;
use ditto_core::network::NetworkConfig;
use ditto_core::p2p::P2pConfig;
use ditto_core::ports::free_port;
use ditto_core::secret::SecretSource;
use ditto_core::telemetry::{LogConfig, LogFormat, TelemetryConfig};
use serde::Serialize;

use crate::anvil::CHAIN_ID;
use crate::keys;
use crate::options::Options;
use crate::process::Children;
use crate::setup::Network;
use crate::setup::operators::Conduct;

/// The aggregator's name among the children, and of its files.
pub const AGGREGATOR: &str = "aggregator";
/// The name of the aggregator that stands by.
pub const STANDBY: &str = "standby";

/// A node that was started.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its name among the children.
    pub name: String,
    /// Where metrics, health and status are.
    pub http: String,
    /// Whether it is one of ours that misbehaves on purpose.
    pub byzantine: bool,
}

/// The running nodes.
#[derive(Clone, Debug)]
pub struct Nodes {
    /// The aggregator.
    pub aggregator: Node,
    /// The one that stands by for it.
    pub standby: Option<Node>,
    /// The operators, in the order of their numbers.
    pub operators: Vec<Node>,
}

impl Nodes {
    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Node> {
        std::iter::once(&self.aggregator).chain(&self.standby).chain(&self.operators)
    }
}

/// What stands in every node's configuration.
#[derive(Serialize)]
struct NodeConfig {
    state_dir: PathBuf,
    keys: BTreeMap<&'static str, SecretSource>,
    #[serde(skip_serializing_if = "Option::is_none")]
    standby: Option<StandbyTable>,
    #[serde(skip_serializing_if = "Option::is_none")]
    submission: Option<SubmissionTable>,
    network: NetworkConfig,
    p2p: P2pConfig,
    telemetry: TelemetryConfig,
    // Integers are no keys in TOML.
    chains: BTreeMap<String, ChainConfig>,
}

/// A node's `[standby]` table.
#[derive(Clone, Copy, Serialize)]
#[serde(untagged)]
enum StandbyTable {
    /// An aggregator's.
    Process { rank: u64, step_seconds: u64 },
    /// An operator's.
    Operator { enabled: bool, step_seconds: u64 },
}

/// An aggregator's `[submission]` table.
#[derive(Clone, Copy, Serialize)]
struct SubmissionTable {
    max_fee_wei: u64,
    min_priority_fee_wei: u64,
}

/// The chain makes a block every second.
const STEP_SECONDS: u64 = 1;

/// Writes the configurations and starts the aggregator, then the operators.
///
/// # Errors
/// When a file cannot be written or a program cannot be started.
pub fn start(children: &mut Children, options: &Options, dir: &Path, network: &Network) -> anyhow::Result<Nodes> {
    let bin_dir = bin_dir(options)?;
    let bootstrap = free_port()?;
    let written = Writer { dir, network, bootstrap, mute: options.mute_aggregator };

    let aggregator = written.write(AGGREGATOR, bootstrap, None, &[("submitter", network.submitter.to_bytes().0)])?;
    start_one(children, &bin_dir, "ditto-aggregator", dir, &aggregator, &[])?;
    let standby = match network.operators.first().filter(|_| options.standby) {
        Some(operator) => {
            let keys = [("submitter", operator.signer.to_bytes().0)];
            let table = StandbyTable::Process { rank: 1, step_seconds: STEP_SECONDS };
            let node = written.write(STANDBY, free_port()?, Some(table), &keys)?;
            start_one(children, &bin_dir, "ditto-aggregator", dir, &node, &[])?;
            Some(node)
        }
        None => None,
    };

    let mut operators = Vec::with_capacity(network.operators.len());
    for operator in &network.operators {
        let keys = [("consensus", operator.consensus.to_bytes()), ("signer", operator.signer.to_bytes().0)];
        // Two processes must not submit with one key.
        let enabled = standby.is_none() || operator.index != 0;
        let table = StandbyTable::Operator { enabled, step_seconds: STEP_SECONDS };
        let node = written.write(&operator.name(), free_port()?, Some(table), &keys)?;
        let node = Node { byzantine: operator.conduct != Conduct::Honest, ..node };
        let config = dir.join(format!("{}.toml", node.name));
        let made = std::process::Command::new(bin_dir.join("ditto-operator"))
            .args(["journal", "--config"])
            .arg(&config)
            .arg("init")
            .output()
            .context("cannot run ditto-operator to make a journal")?;
        if !made.status.success() {
            bail!("no journal for {}: {}", node.name, String::from_utf8_lossy(&made.stderr));
        }
        let (binary, more) = match operator.conduct {
            Conduct::Honest => ("ditto-operator", vec![]),
            Conduct::Lying => ("ditto-byzantine", vec![]),
            Conduct::Dissenting(remainder) => ("ditto-byzantine", vec!["--dissent".to_owned(), remainder.to_string()]),
        };
        start_one(children, &bin_dir, binary, dir, &node, &more)?;
        operators.push(node);
    }
    Ok(Nodes { aggregator, standby, operators })
}

/// Where the binaries are.
///
/// # Errors
/// When it is not said, and this executable does not know where it is itself.
pub fn bin_dir(options: &Options) -> anyhow::Result<PathBuf> {
    match &options.bin_dir {
        Some(dir) => Ok(dir.clone()),
        None => std::env::current_exe()
            .ok()
            .and_then(|path| Some(path.parent()?.to_owned()))
            .context("cannot tell where this executable is; give --bin-dir"),
    }
}

fn start_one(
    children: &mut Children,
    bin_dir: &Path,
    binary: &str,
    dir: &Path,
    node: &Node,
    more: &[String],
) -> anyhow::Result<()> {
    let program = bin_dir.join(binary);
    if !program.is_file() {
        bail!("{} is missing: build it (cargo build --bins), or say where it is with --bin-dir", program.display());
    }
    let config = dir.join(format!("{}.toml", node.name)).display().to_string();
    let mut args = vec!["run", "--config", &config];
    args.extend(more.iter().map(String::as_str));
    children.start(&node.name, &program, &args, &dir.join(format!("{}.log", node.name)))
}

/// Writes what nodes read.
struct Writer<'a> {
    dir: &'a Path,
    network: &'a Network,
    bootstrap: u16,
    mute: bool,
}

impl Writer<'_> {
    fn write(
        &self,
        name: &str,
        p2p: u16,
        standby: Option<StandbyTable>,
        secrets: &[(&'static str, [u8; 32])],
    ) -> anyhow::Result<Node> {
        let state_dir = self.dir.join(name);
        std::fs::create_dir_all(&state_dir).with_context(|| format!("cannot make {}", state_dir.display()))?;
        let mut keys = BTreeMap::new();
        for (key, secret) in secrets {
            let path = self.dir.join(format!("{name}.{key}.key"));
            keys::write(&path, secret)?;
            keys.insert(*key, SecretSource::file(path));
        }
        let http = free_port()?;
        let address = |port| format!("/ip4/127.0.0.1/tcp/{port}").parse().context("not an address");
        let bootstrap = if p2p == self.bootstrap { Vec::new() } else { vec![address(self.bootstrap)?] };
        let config = NodeConfig {
            state_dir,
            keys,
            standby,
            // Less than any block asks for, so that certificates wait for ever.
            submission: (self.mute && name == AGGREGATOR)
                .then_some(SubmissionTable { max_fee_wei: 1, min_priority_fee_wei: 1 }),
            network: self.network.config.clone(),
            p2p: P2pConfig {
                listen: vec![address(p2p)?],
                bootstrap,
                allow_loopback_colocation: true,
                redial_min_ms: 100,
                redial_max_ms: 1_000,
                ..P2pConfig::default()
            },
            telemetry: TelemetryConfig {
                listen: ([127, 0, 0, 1], http).into(),
                log: LogConfig { filter: "info".into(), format: LogFormat::Human },
            },
            chains: BTreeMap::from([(CHAIN_ID.to_string(), self.network.chain_config()?)]),
        };
        let path = self.dir.join(format!("{name}.toml"));
        let text = toml::to_string(&config).context("the configuration does not write as TOML")?;
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Node { name: name.to_owned(), http: format!("http://127.0.0.1:{http}"), byzantine: false })
    }
}

/// Waits until every node says that it is ready.
///
/// # Errors
/// When one has ended, or is not ready in time: which, what it waits for, and the end of its log.
pub async fn ready(children: &mut Children, nodes: &Nodes, patience: Duration) -> anyhow::Result<()> {
    let http = reqwest::Client::new();
    let deadline = tokio::time::Instant::now() + patience;
    for node in nodes.all() {
        let url = format!("{}/health/ready", node.http);
        loop {
            children.all_run(nodes.all().map(|node| node.name.as_str()))?;
            let answer = http.get(&url).timeout(Duration::from_secs(2)).send().await;
            if answer.as_ref().is_ok_and(|answer| answer.status().is_success()) {
                break;
            }
            if tokio::time::Instant::now() >= deadline {
                let said = match answer {
                    Ok(answer) => answer.text().await.unwrap_or_default(),
                    Err(error) => error.to_string(),
                };
                let tail = children.tail(&node.name);
                bail!("{} is not ready after {patience:?}; {url} says: {said}\n{tail}", node.name);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(())
}
