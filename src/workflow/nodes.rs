//! The author's way to the chains: nodes by URL, and the blocks that a run reads at.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use alloy::primitives::{B256, U64};
use anyhow::{Context, bail};
use ditto_core::chain::{ChainConfig, Request, Rpc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::manifest::Manifest;

/// `--rpc`: `URL` for the target chain, `CHAIN=URL` for another one.
#[derive(Clone, Debug)]
pub struct RpcFlag {
    chain: Option<u64>,
    url: String,
}

impl FromStr for RpcFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (chain, url) = match text.split_once('=') {
            Some((chain, url)) if chain.bytes().all(|byte| byte.is_ascii_digit()) && !chain.is_empty() => {
                (Some(chain.parse().map_err(|_| format!("{chain} is too large for a chain id"))?), url)
            }
            _ => (None, text),
        };
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err("write an http(s) URL, or CHAIN=URL".into());
        }
        Ok(Self { chain, url: url.to_owned() })
    }
}

/// `--block`: `latest`, a number or a hash; `CHAIN=…` for another chain than the target.
#[derive(Clone, Debug)]
pub struct BlockFlag {
    chain: Option<u64>,
    at: At,
}

/// Which block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The newest one.
    Latest,
    /// By its number.
    Number(u64),
    /// By its hash.
    Hash(B256),
    /// The last one at or before this second.
    Time(u64),
}

impl FromStr for BlockFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (chain, block) = match text.split_once('=') {
            Some((chain, block)) => (Some(chain.parse().map_err(|_| format!("{chain} is not a chain id"))?), block),
            None => (None, text),
        };
        let at = match block {
            "latest" => At::Latest,
            _ if block.len() == 66 => At::Hash(block.parse().map_err(|_| format!("{block} is not a block's hash"))?),
            _ => At::Number(block.parse().map_err(|_| format!("{block} is not a block: latest, a number or a hash"))?),
        };
        Ok(Self { chain, at })
    }
}

/// A block, as far as a run needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all(deserialize = "camelCase"))]
pub struct Block {
    /// Its number.
    #[serde(deserialize_with = "alloy::serde::quantity::deserialize")]
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// Unix time, in seconds.
    #[serde(deserialize_with = "alloy::serde::quantity::deserialize")]
    pub timestamp: u64,
    /// Wei per gas; nothing where the chain has no base fee.
    #[serde(default, deserialize_with = "alloy::serde::quantity::opt::deserialize")]
    pub base_fee_per_gas: Option<u128>,
}

/// Puts the URLs of the command line into the manifest.
///
/// # Errors
/// When it is no URL after all.
pub fn apply(manifest: &mut Manifest, flags: &[RpcFlag]) -> anyhow::Result<()> {
    for RpcFlag { chain, url } in flags {
        let id = chain.unwrap_or(manifest.target_chain);
        let given: ChainConfig = serde_json::from_value(json!({ "rpc": [url] }))?;
        match manifest.chains.get_mut(&id) {
            Some(chain) => chain.rpc = given.rpc,
            None => {
                manifest.chains.insert(id, given);
            }
        }
    }
    Ok(())
}

/// Connects to every chain of the manifest, and makes sure that each is the one it should be.
///
/// # Errors
/// Names the chain, and what to do.
pub async fn connect(manifest: &Manifest) -> anyhow::Result<BTreeMap<u64, Arc<Rpc>>> {
    let target = manifest.target_chain;
    if !manifest.chains.contains_key(&target) {
        bail!("there is no node of chain {target}: give `--rpc URL`, or a table [chains.{target}] with `rpc`");
    }
    let mut nodes = BTreeMap::new();
    for (id, chain) in &manifest.chains {
        if chain.rpc.is_empty() {
            let flag = if *id == target { "--rpc URL".to_owned() } else { format!("--rpc {id}=URL") };
            bail!("there is no node of chain {id}: give `{flag}`, or set `rpc` in [chains.{id}] of workflow.toml");
        }
        let rpc = Arc::new(Rpc::new(*id, chain)?);
        let found = rpc.ask_for::<U64>(Request::new("eth_chainId", &json!([]))).await.with_context(|| {
            let flag = if *id == target { "--rpc URL".to_owned() } else { format!("--rpc {id}=URL") };
            format!("chain {id} cannot be reached; name another node with `{flag}`")
        })?;
        if found.to::<u64>() != *id {
            bail!("the node given for chain {id} is on chain {found}");
        }
        nodes.insert(*id, rpc);
    }
    Ok(nodes)
}

/// The block that each chain is read at: what the flags say; for the target otherwise `target`, and for the others the
/// last block that is not newer than the target's.
///
/// # Errors
/// When a node does not have such a block.
pub async fn blocks(
    nodes: &BTreeMap<u64, Arc<Rpc>>,
    target_chain: u64,
    target: At,
    flags: &[BlockFlag],
) -> anyhow::Result<BTreeMap<u64, Block>> {
    if let Some(chain) = flags.iter().filter_map(|flag| flag.chain).find(|chain| !nodes.contains_key(chain)) {
        bail!("--block {chain}=…: there is no table [chains.{chain}]");
    }
    let flag = |id: u64| flags.iter().find(|flag| flag.chain.unwrap_or(target_chain) == id).map(|flag| flag.at);
    let rpc = nodes.get(&target_chain).context("the target chain is not connected")?;
    let first = block(rpc, flag(target_chain).unwrap_or(target)).await?;
    let mut found = BTreeMap::from([(target_chain, first)]);
    for (id, rpc) in nodes.iter().filter(|(id, _)| **id != target_chain) {
        found.insert(*id, block(rpc, flag(*id).unwrap_or(At::Time(first.timestamp))).await?);
    }
    Ok(found)
}

async fn block(rpc: &Rpc, at: At) -> anyhow::Result<Block> {
    let chain = rpc.chain();
    let (method, which, named) = match at {
        At::Latest => ("eth_getBlockByNumber", json!("latest"), "a newest block".to_owned()),
        At::Number(number) => ("eth_getBlockByNumber", json!(format!("0x{number:x}")), format!("block {number}")),
        At::Hash(hash) => ("eth_getBlockByHash", json!(hash), format!("block {hash}")),
        At::Time(seconds) => return at_time(rpc, seconds).await,
    };
    let found: Option<Block> = rpc.ask_for(Request::new(method, &json!([which, false]))).await?;
    found.with_context(|| format!("the node of chain {chain} does not have {named}"))
}

/// The last block at or before `seconds`, by halving: about 25 questions on a long chain.
async fn at_time(rpc: &Rpc, seconds: u64) -> anyhow::Result<Block> {
    let by_number = async |number: u64| Box::pin(block(rpc, At::Number(number))).await;
    let newest = Box::pin(block(rpc, At::Latest)).await?;
    if newest.timestamp <= seconds {
        return Ok(newest);
    }
    let mut found = by_number(0).await?;
    if found.timestamp > seconds {
        bail!("chain {} began later than that", rpc.chain());
    }
    let mut above = newest.number;
    while found.number + 1 < above {
        let middle = by_number(found.number + (above - found.number) / 2).await?;
        if middle.timestamp <= seconds {
            found = middle;
        } else {
            above = middle.number;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn flags_are_read() {
        let flag: RpcFlag = "8453=https://node.example/key=7".parse().unwrap();
        assert_eq!((flag.chain, flag.url.as_str()), (Some(8453), "https://node.example/key=7"));
        let flag: RpcFlag = "https://node.example/?a=7".parse().unwrap();
        assert_eq!((flag.chain, flag.url.as_str()), (None, "https://node.example/?a=7"));
        assert!("ftp://x".parse::<RpcFlag>().is_err() && "1=".parse::<RpcFlag>().is_err());
        assert!("99999999999999999999=http://x".parse::<RpcFlag>().is_err());

        assert_eq!("latest".parse::<BlockFlag>().unwrap().at, At::Latest);
        let flag: BlockFlag = "10=77".parse().unwrap();
        assert_eq!((flag.chain, flag.at), (Some(10), At::Number(77)));
        assert!(matches!(B256::ZERO.to_string().parse::<BlockFlag>().unwrap().at, At::Hash(_)));
        for wrong in ["", "newest", "0x12", "x=1", "-1"] {
            assert!(wrong.parse::<BlockFlag>().is_err(), "{wrong}");
        }
    }
}
