//! What the controller sends to OBLS to register this operator.

use alloy::primitives::{Address, Bytes};
use alloy::sol_types::SolCall;
use anyhow::Context;
use clap::Args;
use serde_json::json;

use super::register::registration;
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
    let signer = keys.signer.address();
    let call = registration(&keys.consensus, signer, options.controller, config, contracts.obls);
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
        "It registers the signer {signer} and the configured consensus key, which it proves to have. Anybody may see",
    );
    println!("this; only the controller can send it. Then wait for voting power and for the next operator set:");
    println!("`ditto-operator doctor` tells.");
    Ok(())
}
