//! Faults on purpose.

use std::sync::Arc;

use alloy::eips::BlockNumberOrTag;
use alloy::providers::Provider;
use anyhow::Context;
use ditto_core::chain::{Head, Rpc, SetReader};
use ditto_core::clock::Slot;
use ditto_core::election;

use crate::anvil::CHAIN_ID;
use crate::setup::Network;

/// The names of a slot's performers by rank, computed from the set on the chain as the operators do it: the first one
/// is elected, the others step in for it.
///
/// # Errors
/// When the set cannot be read.
pub async fn performers(network: &Network, slot: Slot) -> anyhow::Result<Vec<String>> {
    let rpc = Arc::new(Rpc::new(CHAIN_ID, &network.chain_config()?)?);
    let latest = network.chain.provider.get_block_by_number(BlockNumberOrTag::Latest).await?;
    let header = latest.context("the chain has no block")?.header;
    let head = Head {
        number: header.number,
        hash: header.hash,
        parent: header.parent_hash,
        timestamp: header.timestamp,
        base_fee: header.base_fee_per_gas.unwrap_or_default().into(),
    };
    let sets = SetReader::new(rpc, network.contracts.obls, network.config.set_settles_blocks);
    let set = sets.current(&head).await?;
    let name = |index: usize| {
        let signer = set.members[index].signer;
        let operator = network.operators.iter().find(|operator| operator.signer_address() == signer);
        Ok(operator.with_context(|| format!("the set's signer {signer} is none of ours"))?.name())
    };
    election::performers(&set, slot, network.config.ranks).into_iter().map(name).collect()
}
