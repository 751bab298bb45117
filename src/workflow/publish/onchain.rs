//! What the chain has already: code, policy, session, earlier publications.

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use alloy::rpc::types::Log;
use alloy::sol_types::{SolCall, SolEvent};
use anyhow::{Context, bail};
use ditto_core::chain::bindings::EntryPoint;
use ditto_core::chain::bindings::registry::WorkflowRegistry;
use ditto_core::chain::bindings::validator_module::DittoValidatorModule;
use ditto_core::chain::{ContractsConfig, Request, Rpc, RpcError, at};
use serde_json::json;

use crate::workflow::nodes::Block;

/// Blocks per question for events, where the node does not take the whole range at once.
const RANGE: u64 = 2_000;
/// Such questions at most: a year of Ethereum's blocks is more than anybody waits for.
const QUESTIONS: u64 = 1_000;

/// A publication of the account that is not cancelled.
#[derive(Clone, Debug)]
pub struct Earlier {
    /// Its id.
    pub id: u64,
    /// What was published.
    pub workflow: WorkflowRegistry::Workflow,
}

/// What stands on the chain.
#[derive(Debug)]
pub struct OnChain {
    /// The registry has the code.
    pub code: bool,
    /// The registry has the policy.
    pub policy: bool,
    /// The policy of the account's session, if there is such a session; and its window.
    pub session: Option<DittoValidatorModule::Session>,
    /// Wei that the account has at the EntryPoint.
    pub deposit: U256,
    /// Wei that the account has itself.
    pub balance: U256,
    /// What the account published under the session and did not cancel, the oldest first.
    pub earlier: Vec<Earlier>,
}

/// What to look for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// keccak256 of the code.
    pub code: B256,
    /// keccak256 of the policy.
    pub policy: B256,
    /// The account.
    pub account: Address,
    /// Its session.
    pub session_key: Address,
    /// The first block that can hold a publication.
    pub first_block: u64,
}

/// Looks.
///
/// # Errors
/// When the node does not answer, or the contracts or the account are not what they should be.
pub async fn look(rpc: &Rpc, contracts: &ContractsConfig, block: &Block, wanted: &Wanted) -> anyhow::Result<OnChain> {
    let Wanted { account, session_key, .. } = *wanted;
    for (what, address) in [
        ("registry", contracts.registry),
        ("validator_module", contracts.validator_module),
        ("entry_point", contracts.entry_point),
        ("account", account),
    ] {
        let code: Bytes = rpc.ask_for(Request::new("eth_getCode", &json!([address, at(block.hash)]))).await?;
        if code.is_empty() {
            bail!("`{what}`: there is no contract at {address} on chain {}", rpc.chain());
        }
    }
    let installed = DittoValidatorModule::isInitializedCall { account };
    if !rpc.call(contracts.validator_module, &installed, block.hash).await? {
        bail!(
            "account {account} has not installed the DittoValidatorModule {}; install it as an ERC-7579 validator first",
            contracts.validator_module
        );
    }
    let asked = WorkflowRegistry::codeOfCall { codeHash: wanted.code };
    let code = content(rpc, contracts, block, &asked, wanted.code);
    let asked = WorkflowRegistry::policyOfCall { policyHash: wanted.policy };
    let policy = content(rpc, contracts, block, &asked, wanted.policy);
    let (code, policy) = tokio::try_join!(code, policy)?;
    let asked = DittoValidatorModule::sessionOfCall { account, sessionKey: session_key };
    let session = match rpc.call(contracts.validator_module, &asked, block.hash).await {
        Ok(session) => Some(session),
        Err(RpcError::Reverted(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let deposit = rpc.call(contracts.entry_point, &EntryPoint::balanceOfCall { account }, block.hash).await?;
    let balance = rpc.ask_for(Request::new("eth_getBalance", &json!([account, at(block.hash)]))).await?;
    let earlier = earlier(rpc, contracts, block, wanted).await?;
    Ok(OnChain { code, policy, session, deposit, balance, earlier })
}

/// Whether the registry has this content. Content that is not what its hash says would be a broken registry.
async fn content<C: SolCall<Return = Bytes>>(
    rpc: &Rpc,
    contracts: &ContractsConfig,
    block: &Block,
    call: &C,
    hash: B256,
) -> anyhow::Result<bool> {
    match rpc.call(contracts.registry, call, block.hash).await {
        Ok(bytes) if keccak256(&bytes) == hash => Ok(true),
        Ok(_) => bail!("the registry {} gives other content for {hash}; is it the right address?", contracts.registry),
        Err(RpcError::Reverted(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The account's publications under this session, without the cancelled ones.
async fn earlier(
    rpc: &Rpc,
    contracts: &ContractsConfig,
    block: &Block,
    wanted: &Wanted,
) -> anyhow::Result<Vec<Earlier>> {
    let logs = match events(rpc, contracts, wanted, wanted.first_block, block.number).await {
        Ok(logs) => logs,
        // Many nodes answer for a limited range only.
        Err(_) => in_ranges(rpc, contracts, wanted, block.number).await?,
    };
    let mut found = Vec::new();
    for log in logs {
        let Ok(event) = WorkflowRegistry::WorkflowPublished::decode_log(&log.inner) else { continue };
        if event.workflow.sessionKey != wanted.session_key {
            continue;
        }
        let cancelled = WorkflowRegistry::isCancelledCall { id: event.id };
        if !rpc.call(contracts.registry, &cancelled, block.hash).await? {
            found.push(Earlier { id: event.id, workflow: event.data.workflow });
        }
    }
    Ok(found)
}

async fn events(
    rpc: &Rpc,
    contracts: &ContractsConfig,
    wanted: &Wanted,
    from: u64,
    to: u64,
) -> Result<Vec<Log>, RpcError> {
    let topics = json!([WorkflowRegistry::WorkflowPublished::SIGNATURE_HASH, null, wanted.account.into_word()]);
    let filter = json!([{
        "address": contracts.registry,
        "topics": topics,
        "fromBlock": format!("0x{from:x}"),
        "toBlock": format!("0x{to:x}"),
    }]);
    rpc.ask_for(Request::new("eth_getLogs", &filter)).await
}

async fn in_ranges(rpc: &Rpc, contracts: &ContractsConfig, wanted: &Wanted, last: u64) -> anyhow::Result<Vec<Log>> {
    let ranges = (last.saturating_sub(wanted.first_block) + 1).div_ceil(RANGE);
    if ranges > QUESTIONS {
        bail!(
            "whether this workflow is published already cannot be seen: the node does not give events of the blocks {} to \
             {last} at once, and asking in parts would take {ranges} questions. Set `registry_first_block` to the block in \
             which the registry was created",
            wanted.first_block
        );
    }
    let mut found = Vec::new();
    for range in 0..ranges {
        let from = wanted.first_block + range * RANGE;
        let to = last.min(from + RANGE - 1);
        let logs = events(rpc, contracts, wanted, from, to).await;
        found.extend(logs.context("the node does not give the registry's events")?);
    }
    Ok(found)
}
