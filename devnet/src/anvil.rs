//! The target chain: anvil with one-second blocks.

use std::path::{Path, PathBuf};
use std::time::Duration;

use alloy::providers::{DynProvider, Provider, ProviderBuilder};
use anyhow::{Context, bail};
use ditto_core::ports::free_port;

use crate::process::Children;

/// The chain's EIP-155 id.
pub const CHAIN_ID: u64 = 31_337;
/// Its name among the children.
pub const NAME: &str = "anvil";
/// Like mainnet's. Anvil's own default of 30 million would make setting many accounts up take twice as long.
const GAS_LIMIT: &str = "60000000";

/// A running chain.
#[derive(Clone, Debug)]
pub struct Chain {
    /// JSON-RPC endpoint.
    pub url: String,
    /// A connection to it.
    pub provider: DynProvider,
}

/// Starts anvil and waits until it answers.
///
/// # Errors
/// When there is no anvil, or it does not answer within ten seconds.
pub async fn start(children: &mut Children, given: Option<&Path>, dir: &Path) -> anyhow::Result<Chain> {
    let program = find(given)?;
    let port = free_port()?;
    let (port_text, chain_text) = (port.to_string(), CHAIN_ID.to_string());
    let args = [
        "--host",
        "127.0.0.1",
        "--port",
        &port_text,
        "--chain-id",
        &chain_text,
        "--block-time",
        "1",
        "--slots-in-an-epoch",
        "1",
        "--hardfork",
        "prague",
        "--gas-limit",
        GAS_LIMIT,
        "--accounts",
        "1",
        // First come, first served: the setup's transactions of different senders build on each other.
        "--order",
        "fifo",
        "--quiet",
    ];
    children.start(NAME, &program, &args, &dir.join("anvil.log"))?;
    let url = format!("http://127.0.0.1:{port}");
    let parsed = url.parse().context("the chain's own URL does not parse")?;
    let provider = ProviderBuilder::default().connect_http(parsed).erased();
    for _ in 0..500 {
        children.all_run([NAME])?;
        if let Ok(id) = provider.get_chain_id().await {
            anyhow::ensure!(id == CHAIN_ID, "another chain (id {id}) answers on port {port}; start again");
            let chain = Chain { url, provider };
            chain.mine_on_the_second().await?;
            return Ok(chain);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bail!("anvil does not answer.\n{}", children.tail(NAME))
}

impl Chain {
    /// Has blocks appear just after the full second, as they do where block times and slots follow the same clock.
    /// A block's time is the whole second before its appearance: one that appears late in its second would make
    /// everybody wait for the pin.
    async fn mine_on_the_second(&self) -> anyhow::Result<()> {
        let into = ditto_core::clock::Clock::now_ms(&ditto_core::clock::SystemClock) % 1_000;
        tokio::time::sleep(Duration::from_millis(1_010 - into)).await;
        let () = self
            .provider
            .raw_request("evm_setIntervalMining".into(), [1])
            .await
            .context("anvil does not set its interval of mining")?;
        Ok(())
    }
}

fn find(given: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(path) = given {
        return Ok(path.to_owned());
    }
    let executable = std::env::current_exe().unwrap_or_default();
    let here = std::env::current_dir().unwrap_or_default();
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    // The package's own platform binary: its launcher would need node, and would stand between us and the signals.
    let below = format!("node_modules/@foundry-rs/anvil-linux-{architecture}/bin/anvil");
    here.ancestors()
        .chain(executable.ancestors())
        .map(|ancestor| ancestor.join(&below))
        .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).map(|dir| dir.join("anvil")))
        .find(|path| path.is_file())
        .context("there is no anvil: run scripts/setup.sh (npm ci), or name one with --anvil")
}
