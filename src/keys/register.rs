//! `ditto-operator register` and `set-signer`: the two transactions of a controller, shown before they are sent.
//!
//! Without `--send` nothing is sent. With it, whoever sits at the terminal is asked, or `--yes` was given. The controller's
//! key comes from a keystore, or from `OPERATOR_PRIVATE_KEY`; a Safe sends the shown call itself.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;

use alloy::primitives::utils::{format_ether, format_units};
use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::{SolCall, SolInterface};
use anstream::println;
use anyhow::{Context, bail};
use clap::Args;
use ditto_core::bls::{Purpose, SecretKey, possession_digest};
use ditto_core::chain::bindings::obls::OBLS;
use ditto_core::chain::{ContractsConfig, Request, Rpc, RpcError, at};
use ditto_core::keystore::KeyKind;
use ditto_core::secret::SecretSource;
use serde::Deserialize;
use serde_json::json;

use super::PasswordFlags;
use crate::config::OperatorConfig;
use crate::node::Keys;
use crate::terminal::{BOLD, DIM, GOOD, WARNING};
use crate::workflow::publish::sender::{Intent, Sender};

/// The variable of the documentation's containers.
const VARIABLE: &str = "OPERATOR_PRIVATE_KEY";

/// Who is the controller, and whether to send.
#[derive(Args)]
pub struct ControllerOptions {
    /// The controller's keystore, or a file with its bare key. Otherwise the variable OPERATOR_PRIVATE_KEY is taken.
    #[arg(long, value_name = "FILE")]
    pub keystore: Option<PathBuf>,
    #[command(flatten)]
    password: PasswordFlags,
    /// The controller's address, where its key is elsewhere, as a Safe's are: shows the call for it to send.
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["keystore", "send"])]
    pub controller: Option<Address>,
    /// Sends the transaction. Without it, it is only shown.
    #[arg(long)]
    pub send: bool,
    /// Does not ask before it sends.
    #[arg(long, short, requires = "send")]
    pub yes: bool,
    /// Prints as JSON. With `--send`, needs `--yes`.
    #[arg(long)]
    pub json: bool,
}

/// Which signer.
#[derive(Args)]
pub struct SetSignerOptions {
    /// The delegated signer's address. Otherwise that of the configured key (`keys.signer`) is taken.
    #[arg(long, value_name = "ADDRESS")]
    pub address: Option<Address>,
    #[command(flatten)]
    pub controller: ControllerOptions,
}

/// The controller, with its key or without.
struct Controller {
    address: Address,
    key: Option<PrivateKeySigner>,
}

/// A look at the chain before anything is sent.
struct Place {
    rpc: Arc<Rpc>,
    contracts: ContractsConfig,
    block: Block,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Block {
    hash: B256,
    #[serde(default)]
    base_fee_per_gas: U256,
}

/// Registers the configured keys at OBLS.
///
/// # Errors
/// What is missing, or why the chain would not take it.
pub fn register(options: &ControllerOptions, config: &OperatorConfig) -> anyhow::Result<()> {
    let controller = Controller::load(options)?;
    let keys = Keys::load(config)?;
    let signer = keys.signer.address();
    block_on(async {
        let place = Place::look(config).await?;
        if let Some(member) = place.member(controller.address).await? {
            let same = member.key.as_ref() == keys.consensus.public().to_eip2537().as_slice();
            let which =
                if same { "with this consensus key" } else { "with another consensus key, which cannot be exchanged" };
            bail!(
                "{} is registered already, {which}; its delegated signer is {} (`ditto-operator set-signer` changes it)",
                controller.address,
                member.signer
            );
        }
        let call = registration(&keys.consensus, signer, controller.address, config, place.contracts.obls);
        let what = format!("register the configured consensus key, and the delegated signer {signer}");
        let next = "Next: governance gives the operator voting power and commits a set; `ditto-operator doctor` tells.";
        carry_out(options, &place, &controller, &what, "OBLS.register", call.abi_encode().into(), next).await
    })
}

/// Changes the operator's delegated signer at OBLS.
///
/// # Errors
/// What is missing, or why the chain would not take it.
pub fn set_signer(options: &SetSignerOptions, config: &OperatorConfig) -> anyhow::Result<()> {
    let controller = Controller::load(&options.controller)?;
    let signer = match options.address {
        Some(address) => address,
        None => {
            let secret = config.keys.signer.load_key("keys.signer", KeyKind::Ecdsa)?;
            key(secret.expose(), "keys.signer")?.address()
        }
    };
    block_on(async {
        let place = Place::look(config).await?;
        let member = place.member(controller.address).await?;
        let Some(member) = member else {
            bail!("{} is not registered at OBLS {}: register first", controller.address, place.contracts.obls);
        };
        if member.signer == signer {
            if options.controller.json {
                println!("{}", serde_json::to_string_pretty(&json!({ "signer": signer, "already": true }))?);
            } else {
                println!("{GOOD}{signer} is the delegated signer already{GOOD:#}: nothing to do");
            }
            return Ok(());
        }
        let what = format!("make {signer} the delegated signer, in place of {}", member.signer);
        let next = "Next: it counts from the next operator set on. Give it about 0.01 ether, and run with its key.";
        let call = OBLS::setSignerCall { signer };
        carry_out(&options.controller, &place, &controller, &what, "OBLS.setSigner", call.abi_encode().into(), next)
            .await
    })
}

/// The call that registers: it proves the possession of the consensus key to this controller's OBLS.
pub(super) fn registration(
    consensus: &SecretKey,
    signer: Address,
    controller: Address,
    config: &OperatorConfig,
    obls: Address,
) -> OBLS::registerCall {
    let key = consensus.public();
    let digest = possession_digest(controller, config.network.target_chain, obls, &key);
    let possession = consensus.sign(&digest.0, Purpose::Possession).to_eip2537();
    OBLS::registerCall {
        key: key.to_eip2537().to_vec().into(),
        possession: std::array::from_fn(|word| B256::from_slice(&possession[word * 32..(word + 1) * 32])),
        signer,
    }
}

impl Controller {
    fn load(options: &ControllerOptions) -> anyhow::Result<Self> {
        if let Some(address) = options.controller {
            return Ok(Self { address, key: None });
        }
        let (source, field) = match &options.keystore {
            Some(file) => {
                let password_file = options.password.password_file.clone();
                (SecretSource { password_file, ..SecretSource::file(file) }, "--keystore")
            }
            None if std::env::var_os(VARIABLE).is_some() => {
                eprintln!(
                    "warning: the controller's key comes from the environment, which every process started from there has, \
                     too. `--keystore FILE` is safer; `ditto-operator keys import` makes one."
                );
                (SecretSource::env(VARIABLE), VARIABLE)
            }
            None => bail!(
                "whose operator? Give the controller's key with `--keystore FILE` or the variable {VARIABLE}, or its \
                 address with `--controller ADDRESS` to see the call"
            ),
        };
        let secret = source.load_key(field, KeyKind::Ecdsa).map_err(|error| {
            // Where a configuration has a key for the password's file, this has a flag.
            anyhow::anyhow!("{}", error.to_string().replace("`--keystore.password_file`", "`--password-file FILE`"))
        })?;
        let key = key(secret.expose(), field)?;
        Ok(Self { address: key.address(), key: Some(key) })
    }
}

impl Place {
    async fn look(config: &OperatorConfig) -> anyhow::Result<Self> {
        let target = config.network.target_chain;
        let contracts = config.contracts().context("the target chain names no contracts")?;
        let chain = config.chains.get(&target).context("the target chain has no table")?;
        let rpc = Arc::new(Rpc::new(target, chain)?);
        // A signature for one chain is worth nothing on another, but the money would be spent.
        rpc.check_chain_ids().await?;
        let block: Block = rpc.ask_for(Request::new("eth_getBlockByNumber", &json!(["latest", false]))).await?;
        let code: Bytes = rpc.ask_for(Request::new("eth_getCode", &json!([contracts.obls, at(block.hash)]))).await?;
        if code.is_empty() {
            bail!(
                "there is no contract at {} on chain {target}: correct `chains.{target}.contracts.obls`",
                contracts.obls
            );
        }
        Ok(Self { rpc, contracts, block })
    }

    /// What OBLS has of a controller; nothing when it is not registered.
    async fn member(&self, controller: Address) -> anyhow::Result<Option<OBLS::Member>> {
        let call = OBLS::operatorOfCall { controller };
        let found = self.rpc.call(self.contracts.obls, &call, self.block.hash).await;
        let member = found.context("OBLS does not say who is registered")?.member;
        Ok((!member.key.is_empty()).then_some(member))
    }
}

/// Shows the transaction, and sends it if that was asked for.
async fn carry_out(
    options: &ControllerOptions,
    place: &Place,
    controller: &Controller,
    what: &str,
    name: &str,
    data: Bytes,
    next: &str,
) -> anyhow::Result<()> {
    let Place { rpc, contracts, block } = place;
    let intent = Intent { what: what.to_owned(), to: contracts.obls, value: U256::ZERO, data };
    let asked = json!([{ "from": controller.address, "to": intent.to, "data": intent.data }]);
    let estimate = rpc.ask_for::<U256>(Request::new("eth_estimateGas", &asked)).await.map_err(refused)?;
    // What is not used is not paid; the chain may come to a dearer path until then.
    let gas = estimate.saturating_to::<u64>().saturating_add(estimate.saturating_to::<u64>() / 5);
    let base_fee = block.base_fee_per_gas.saturating_to::<u128>();
    // Only its fees are needed of a sender without a key: what a Safe pays is up to it.
    let sender = match &controller.key {
        Some(key) => Some(Sender::new(rpc.clone(), key.clone(), base_fee).await?),
        None => None,
    };
    let price = sender.as_ref().map_or(base_fee.saturating_mul(2), |sender| sender.fees().max);
    let cost = U256::from(gas).saturating_mul(U256::from(price));
    let balance: U256 = rpc.ask_for(Request::new("eth_getBalance", &json!([controller.address, "latest"]))).await?;
    let told = json!({
        "chain": rpc.chain(), "call": name, "from": controller.address, "to": intent.to, "value": "0", "data": intent.data,
        "gas": gas, "max_fee_per_gas_wei": price.to_string(), "max_cost_wei": cost.to_string(),
        "balance_wei": balance.to_string(),
    });
    if !options.json {
        println!("{BOLD}{what}{BOLD:#}\n");
        println!("  chain  {}", rpc.chain());
        println!("  call   {name}");
        println!("  from   {}   {DIM}the controller{DIM:#}", controller.address);
        println!("  to     {}   {DIM}OBLS{DIM:#}", intent.to);
        println!("  value  0\n  data   {}", intent.data);
        println!("  gas    {gas} at most, at {} gwei at most", format_units(price, "gwei")?);
        println!("  cost   {} ether at most; the controller has {}\n", format_ether(cost), format_ether(balance));
    }
    let (true, Some(sender)) = (options.send, sender) else {
        if options.json {
            println!("{}", serde_json::to_string_pretty(&told)?);
        } else if controller.key.is_some() {
            println!("{WARNING}nothing was sent{WARNING:#}: `--send` sends it");
        } else {
            println!("Anybody may see this; only the controller can send it.");
        }
        return Ok(());
    };
    if balance < cost {
        bail!(
            "the controller {} has too little: send it {} ether more",
            controller.address,
            format_ether(cost - balance)
        );
    }
    if !options.yes && !confirmed(options.json)? {
        bail!("nothing was sent");
    }
    let receipt = sender.send(&intent, gas).await?;
    let (hash, used) = (receipt.transaction_hash, receipt.gas_used);
    if options.json {
        let mut told = told;
        told["transaction"] = json!(hash);
        told["block"] = json!(receipt.block_number);
        told["gas_used"] = json!(used);
        println!("{}", serde_json::to_string_pretty(&told)?);
    } else {
        let block = receipt.block_number.unwrap_or_default();
        println!("{GOOD}done{GOOD:#}  transaction {hash} in block {block}, {used} gas\n{next}");
    }
    Ok(())
}

/// Why the chain would not take it, in OBLS' own words where it says any.
fn refused(error: RpcError) -> anyhow::Error {
    let RpcError::Reverted(data) = &error else {
        return anyhow::Error::new(error).context("the node tells no gas for it");
    };
    match OBLS::OBLSErrors::abi_decode(data) {
        Ok(why) => anyhow::anyhow!("OBLS would refuse it: {why:?}"),
        Err(_) => anyhow::Error::new(error).context("OBLS would refuse it"),
    }
}

fn confirmed(json: bool) -> anyhow::Result<bool> {
    if json || !std::io::stdin().is_terminal() {
        bail!("say `--yes` to send: nobody can be asked here");
    }
    std::print!("Send? [y/N] ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn key(secret: &[u8; 32], field: &str) -> anyhow::Result<PrivateKeySigner> {
    // The error says nothing of the key, and neither does this.
    PrivateKeySigner::from_bytes(&B256::from(*secret)).map_err(|_| anyhow::anyhow!("`{field}`: not a secp256k1 key"))
}

fn block_on(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}
