//! A network put on an empty chain: contracts, operators, accounts, workflows.

mod accounts;
mod contracts;
pub mod operators;
pub mod workflows;

use alloy::primitives::Address;
use alloy::signers::local::PrivateKeySigner;
use anyhow::Context;
use ditto_core::chain::{ChainConfig, ContractsConfig};
use ditto_core::clock::{Clock, SystemClock};
use ditto_core::network::NetworkConfig;
use serde_json::json;

pub use accounts::Account;
pub use contracts::Demo;
pub use operators::Operator;

use crate::anvil::{CHAIN_ID, Chain};
use crate::keys::{Role, Seed};
use crate::options::Options;
use crate::transactions::{Row, Sender, fund};
use contracts::Contracts;
use workflows::Example;

/// A network on a chain; the nodes are still to be started and the workflows to be published.
#[derive(Debug)]
pub struct Network {
    /// The target chain.
    pub chain: Chain,
    /// The network's rules.
    pub config: NetworkConfig,
    /// Where Ditto's contracts are.
    pub contracts: ContractsConfig,
    /// Where the workflows' targets are.
    pub demo: Demo,
    /// The registered operators.
    pub operators: Vec<Operator>,
    /// The smart accounts; one publishes one workflow.
    pub accounts: Vec<Account>,
    /// The hostile workflow's account, if there is one.
    pub hostile: Option<Account>,
    /// The key that submits certificates.
    pub submitter: PrivateKeySigner,
    /// Sends the owners' operations.
    pub bundler: Sender,
}

/// Puts a network on the chain.
///
/// # Errors
/// Names the transaction that failed.
pub async fn prepare(chain: Chain, options: &Options) -> anyhow::Result<Network> {
    let seed = Seed::new(&options.seed);
    let submitter = seed.ecdsa(Role::Submitter, 0)?;
    fund(&chain, submitter.address()).await?;
    let config = rules(options, submitter.address())?;

    let mut governance = Sender::funded(&chain, seed.ecdsa(Role::Governance, 0)?).await?;
    let Contracts { ditto, demo, factory } =
        contracts::deploy(&chain, &mut governance, &config, options.max_attesters).await?;

    let operators = operators::derive(&seed, options)?;
    let mut row = Row::new(&chain);
    operators::register(&chain, &mut governance, &ditto, &operators, &mut row).await?;
    let mut bundler = Sender::funded(&chain, seed.ecdsa(Role::Bundler, 0)?).await?;
    let mut examples: Vec<Example> = (0..options.workflows).map(Example::of).collect();
    examples.extend(options.hostile_workflow.then_some(Example::Hostile));
    let mut accounts =
        accounts::create(&chain, &mut bundler, &seed, &ditto, &demo, factory, &examples, &mut row).await?;
    row.finish().await?;

    if let Some(operator) = operators.first().filter(|_| options.standby) {
        fund(&chain, operator.signer_address()).await?;
    }
    let hostile = options.hostile_workflow.then(|| accounts.pop()).flatten();
    Ok(Network { chain, config, contracts: ditto, demo, operators, accounts, hostile, submitter, bundler })
}

impl Network {
    /// The target chain as nodes are told of it.
    ///
    /// # Errors
    /// When the core takes another shape than this.
    pub fn chain_config(&self) -> anyhow::Result<ChainConfig> {
        // A look at the head costs nothing here, and a slot is short.
        let told = json!({ "rpc": [self.chain.url], "poll_ms": 50, "contracts": self.contracts });
        serde_json::from_value(told).context("the chain's configuration")
    }
}

/// The rules, where they are not the defaults.
fn rules(options: &Options, aggregator: Address) -> anyhow::Result<NetworkConfig> {
    let now = SystemClock.now_ms() / 1_000;
    let rules = json!({
        "name": "devnet",
        "target_chain": CHAIN_ID,
        // Slots run from now on; the first one that counts is chosen when everything is up.
        "genesis_seconds": now - now % options.slot_seconds,
        "slot_seconds": options.slot_seconds,
        "aggregator": aggregator,
        // Anvil finalizes two blocks behind its head.
        "set_settles_blocks": 4,
    });
    serde_json::from_value(rules).context("the network's rules")
}
