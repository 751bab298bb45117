//! `workflow publish`: code, policy, session and workflow, each only if the chain does not have it yet.
//!
//! Code and policy are anybody's to publish: the owner's own account sends these transactions. The session is the account's
//! to open and the workflow the account's to publish: both are one operation that the owner signs and hands to the
//! EntryPoint. Everything is looked up first, so that publishing twice changes nothing, and publishing something new under
//! the same name replaces what was there.

mod onchain;
mod operation;
mod owner;
mod plan;
pub(crate) mod sender;

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;

use alloy::primitives::{B256, U256};
use alloy::rpc::types::TransactionReceipt;
use alloy::sol_types::SolEvent;
use anstream::println;
use anyhow::{Context, bail};
use clap::Args;
use ditto_core::chain::bindings::registry::WorkflowRegistry;
use ditto_core::chain::{ContractsConfig, Rpc};
use serde_json::json;

use super::amount::Amount;
use super::known::Known;
use super::nodes::{self, At, RpcFlag};
use super::project::Project;
use super::units::grouped;
use crate::terminal::{BAD, BOLD, DIM, GOOD, WARNING};
use plan::{Plan, Step};
use sender::Sender;

/// What to publish, and with whose key.
#[derive(Args)]
pub struct PublishOptions {
    /// The workflow's directory, or its manifest.
    #[arg(default_value = ".")]
    pub path: PathBuf,
    /// The file with the key of the account's owner: 64 hexadecimal digits, mode 600. Or put the key into the variable
    /// OWNER_PRIVATE_KEY.
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// A node: URL for the target chain.
    #[arg(long, value_name = "[CHAIN=]URL")]
    pub rpc: Vec<RpcFlag>,
    /// Says what would be done and what it would cost, and does nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Deposits this much at the EntryPoint for the account, such as "0.05 ether": its operations' gas is paid from there.
    #[arg(long, value_name = "AMOUNT")]
    pub deposit: Option<Amount>,
    /// Leaves earlier versions of the workflow published beside the new one.
    #[arg(long)]
    pub keep_earlier: bool,
    /// Does not ask before it sends.
    #[arg(long, short)]
    pub yes: bool,
    /// Prints the outcome as JSON; implies --yes.
    #[arg(long)]
    pub json: bool,
    /// Sets one key of the manifest. May be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = super::pair)]
    pub overrides: Vec<(String, String)>,
}

/// Publishes.
///
/// # Errors
/// What is missing or failed, and what to do about it.
pub async fn run(options: PublishOptions) -> anyhow::Result<()> {
    let mut project = Project::open(&options.path, &options.overrides)?;
    nodes::apply(&mut project.manifest, &options.rpc)?;
    let target = project.manifest.target_chain;
    let contracts = project.manifest.contracts().with_context(|| {
        format!("[chains.{target}.contracts] is missing in workflow.toml: your network's announcement names them")
    })?;
    // Only the target chain is needed.
    project.manifest.chains.retain(|id, _| *id == target);
    let owner = owner::load(options.key.as_ref())?;
    let rpc = nodes::connect(&project.manifest).await?.remove(&target).context("the target chain is not connected")?;
    let block = nodes::blocks(&[(target, rpc.clone())].into(), target, At::Latest, &[]).await?[&target];
    let sender = Sender::new(rpc.clone(), owner.clone(), block.base_fee_per_gas.unwrap_or_default()).await?;
    let wanted = plan::wanted(&project)?;
    let found = onchain::look(&rpc, &contracts, &block, &wanted.look_for()).await?;
    let known = Known::gather(&project.manifest, &project.code);
    let plan =
        Plan::make(&contracts, wanted, &found, options.deposit, options.keep_earlier, &sender, &rpc, &known).await?;

    let balance = sender.balance().await?;
    if !options.json {
        show(&project, &plan, &sender, balance);
    }
    plan.affordable(balance)?;
    // Before anything is sent: would the account take it? Without code and deposit that cannot be tried yet.
    if found.code && options.deposit.is_none() {
        for step in &plan.steps {
            let Step::Operation { what, calls, gas } = step else { continue };
            let (account, data, fees) = (plan.wanted.account, operation::call_data(calls), sender.fees());
            let signed = operation::sign(&rpc, &contracts, account, &owner, what.clone(), data, *gas, fees).await?;
            signed.rehearse(&rpc, sender.address()).await?;
        }
    }
    if plan.steps.is_empty() || options.dry_run {
        if options.json {
            println!("{}", serde_json::to_string_pretty(&plan.json(&[], plan.published))?);
        } else if options.dry_run && !plan.steps.is_empty() {
            println!("\n{DIM}nothing was sent (--dry-run){DIM:#}");
        }
        return Ok(());
    }
    if !options.yes && !options.json && !confirmed()? {
        bail!("nothing was sent");
    }
    let outcome = carry_out(&plan, &sender, &owner, &rpc, &contracts, &known, options.json).await?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&plan.json(&outcome.transactions, outcome.id))?);
    } else if let Some(id) = outcome.id {
        println!("\n{GOOD}{} is workflow {id}{GOOD:#} of account {}", project.manifest.name, plan.wanted.account);
    }
    Ok(())
}

fn show(project: &Project, plan: &Plan, sender: &Sender, balance: U256) {
    println!("{BOLD}{}{BOLD:#} for account {}", project.manifest.name, plan.wanted.account);
    println!("  {DIM}code{DIM:#}     {}", plan.wanted.code_hash);
    println!("  {DIM}policy{DIM:#}   {}", plan.wanted.policy_hash);
    println!("  {DIM}session{DIM:#}  {}", plan.wanted.session_key);
    println!();
    for done in &plan.already {
        println!("  {GOOD}have{GOOD:#}  {done}");
    }
    for step in &plan.steps {
        let gas = format!("{DIM}about {} gas{DIM:#}", grouped(step.gas()));
        println!("  {WARNING}send{WARNING:#}  {}  {gas}", step.what());
    }
    if plan.steps.is_empty() {
        if let Some(id) = plan.published {
            println!("\n{GOOD}nothing to do: it is published as workflow {id}{GOOD:#}");
        }
        return;
    }
    let style = if plan.affordable(balance).is_ok() { DIM } else { BAD };
    println!();
    println!(
        "  {style}{} pays at most {}, and has {}{style:#}",
        sender.address(),
        Amount(plan.cost()).rounded(),
        Amount(balance).rounded()
    );
}

fn confirmed() -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!("say `--yes` to send: nobody can be asked, as the input is no terminal");
    }
    std::print!("\nSend? [y/N] ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// What was sent, and the workflow's id.
struct Published {
    transactions: Vec<(String, B256)>,
    id: Option<u64>,
}

async fn carry_out(
    plan: &Plan,
    sender: &Sender,
    owner: &alloy::signers::local::PrivateKeySigner,
    rpc: &Arc<Rpc>,
    contracts: &ContractsConfig,
    known: &Known,
    quiet: bool,
) -> anyhow::Result<Published> {
    let mut published = Published { transactions: Vec::new(), id: plan.published };
    if !quiet {
        println!();
    }
    for step in &plan.steps {
        let receipt = match step {
            Step::Transaction { intent, .. } => {
                // What came before may have changed what it costs.
                let gas = sender.estimate(intent).await.with_context(|| format!("{}: it would fail", intent.what))?;
                sender.send(intent, gas).await?
            }
            Step::Operation { what, calls, gas: _ } => {
                let account = plan.wanted.account;
                let data = operation::call_data(calls);
                let gas = operation::estimate(rpc, contracts, account, &data).await;
                let gas = gas.map_err(|error| plan::would_fail(what, error, known))?;
                let fees = sender.fees();
                let signed = operation::sign(rpc, contracts, account, owner, what.clone(), data, gas, fees).await?;
                signed.rehearse(rpc, sender.address()).await?;
                let receipt = sender.send(&signed.intent, signed.gas).await?;
                signed.succeeded(&receipt, known)?;
                published.id = id(&receipt, contracts).or(published.id);
                receipt
            }
        };
        let hash = receipt.transaction_hash;
        if !quiet {
            let gas = format!("{DIM}{} gas{DIM:#}", grouped(receipt.gas_used));
            println!("  {GOOD}done{GOOD:#}  {}  {hash}  {gas}", step.what());
        }
        published.transactions.push((step.what().to_owned(), hash));
    }
    Ok(published)
}

fn id(receipt: &TransactionReceipt, contracts: &ContractsConfig) -> Option<u64> {
    let logs = receipt.logs().iter().filter(|log| log.address() == contracts.registry);
    logs.filter_map(|log| WorkflowRegistry::WorkflowPublished::decode_log(&log.inner).ok()).map(|event| event.id).last()
}

impl Plan {
    fn json(&self, transactions: &[(String, B256)], id: Option<u64>) -> serde_json::Value {
        let steps: Vec<_> = self.steps.iter().map(|step| json!({ "what": step.what(), "gas": step.gas() })).collect();
        let account_calls: Vec<_> = self.steps.iter().flat_map(Step::account_calls).collect();
        let transactions: Vec<_> =
            transactions.iter().map(|(what, hash)| json!({ "what": what, "transaction": hash })).collect();
        json!({
            "account": self.wanted.account,
            "code_hash": self.wanted.code_hash,
            "policy_hash": self.wanted.policy_hash,
            "session_key": self.wanted.session_key,
            "already": self.already,
            "steps": steps,
            "account_calls": account_calls,
            "cost_wei": self.cost().to_string(),
            "transactions": transactions,
            "workflow": id,
        })
    }
}
