//! Faults on purpose.

use std::sync::Arc;

use anyhow::Context;
use ditto_core::chain::{ChainConfig, Rpc, SetReader};
use ditto_core::clock::Slot;
use ditto_core::election;

use crate::anvil::CHAIN_ID;
use crate::setup::Network;

/// The name of the operator that is elected for a slot, computed from the set on the chain as the operators do it.
///
/// # Errors
/// When the set cannot be read.
pub async fn elected(network: &Network, slot: Slot) -> anyhow::Result<String> {
    let config = ChainConfig {
        rpc: vec![network.chain.url.clone()],
        pin_lag_seconds: 1,
        poll_ms: 50,
        timeout_ms: 3_000,
        batch: 100,
        contracts: Some(network.contracts),
    };
    let rpc = Arc::new(Rpc::new(CHAIN_ID, &config)?);
    let latest = alloy::providers::Provider::get_block_by_number(&network.chain.provider, Default::default())
        .await?
        .context("the chain has no block")?;
    let set = SetReader::new(rpc, network.contracts.obls).current(latest.header.hash).await?;
    let elected = election::performers(&set, slot, 1).first().copied().context("the operator set is empty")?;
    let signer = set.members[elected].signer;
    let operator = network.operators.iter().find(|operator| operator.signer_address() == signer);
    Ok(operator.with_context(|| format!("the elected signer {signer} is none of ours"))?.name())
}
