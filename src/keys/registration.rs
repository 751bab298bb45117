//! What the controller sends to OBLS to register this operator.

use alloy::primitives::{Address, B256, Bytes};
use alloy::sol_types::SolCall;
use anyhow::Context;
use clap::Args;
use ditto_core::bls::{Purpose, possession_digest};
use ditto_core::chain::bindings::obls::OBLS;
use serde_json::json;

use crate::config::OperatorConfig;
use crate::node::Keys;

/// For whom.
#[derive(Args)]
pub struct RegistrationOptions {
    /// The controller's address: an ECDSA key's, or a Safe's. The proof of possession names it, and OBLS takes the call from
    /// nobody else.
    #[arg(long)]
    pub controller: Address,
    /// Prints as JSON.
    #[arg(long)]
    pub json: bool,
}

pub(super) fn print(options: &RegistrationOptions, config: &OperatorConfig) -> anyhow::Result<()> {
    let keys = Keys::load(config)?;
    let contracts = config.contracts().context("the target chain names no contracts")?;
    let chain = config.network.target_chain;
    let key = keys.consensus.public();
    let digest = possession_digest(options.controller, chain, contracts.obls, &key);
    let possession = keys.consensus.sign(&digest.0, Purpose::Possession).to_eip2537();
    let call = OBLS::registerCall {
        key: key.to_eip2537().to_vec().into(),
        possession: std::array::from_fn(|word| B256::from_slice(&possession[word * 32..(word + 1) * 32])),
        signer: keys.signer.address(),
    };
    let data = Bytes::from(call.abi_encode());
    if options.json {
        let told =
            json!({ "chain": chain, "from": options.controller, "to": contracts.obls, "value": "0", "data": data });
        println!("{}", serde_json::to_string_pretty(&told)?);
        return Ok(());
    }
    println!("On chain {chain}, from the controller:\n");
    println!("  from   {}\n  to     {}   (OBLS)\n  value  0\n  data   {data}\n", options.controller, contracts.obls);
    println!(
        "It registers the signer {} and the configured consensus key, which it proves to have. Anybody may see",
        call.signer
    );
    println!("this; only the controller can send it. Then wait for voting power and for the next operator set:");
    println!("`ditto-operator doctor` tells.");
    Ok(())
}
