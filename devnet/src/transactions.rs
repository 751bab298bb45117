//! Transactions of the setup: sent in rows ([`Row`]) with their nonces counted here, so that many share a block. Each carries a name, for the error that says which one failed and why.

use std::time::Duration;

use alloy::eips::eip2718::Encodable2718;
use alloy::network::{EthereumWallet, NetworkTransactionBuilder, TransactionBuilder};
use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::providers::ext::DebugApi;
use alloy::providers::{DynProvider, Provider};
use alloy::rpc::types::trace::geth::{CallConfig, GethDebugTracingOptions, GethTrace};
use alloy::rpc::types::{TransactionReceipt, TransactionRequest};
use alloy::signers::local::PrivateKeySigner;
use anyhow::{Context, bail};

use crate::anvil::{CHAIN_ID, Chain};

/// Wei per gas, at most: far above what an almost empty chain asks.
const MAX_FEE: u128 = 50_000_000_000;
const PRIORITY_FEE: u128 = 1_000_000_000;
/// With the largest transaction of the setup (12 million) on top still within a block ([`crate::anvil`]).
const ROW_GAS: u64 = 45_000_000;
/// What an account of the setup is given: enough to pay for everything, deposits included.
const FUNDS: u128 = 1_000_000 * 10_u128.pow(18);
/// How long the next transaction of a row may take after the one before it.
const PATIENCE: Duration = Duration::from_secs(30);

/// An account that sends transactions.
#[derive(Debug)]
pub struct Sender {
    provider: DynProvider,
    wallet: EthereumWallet,
    address: Address,
    nonce: u64,
}

/// A transaction under way.
#[derive(Clone, Debug)]
pub struct Pending {
    what: String,
    hash: B256,
    gas: u64,
}

/// Transactions under way together: as many as surely fit a block. Anvil throws away what does not fit, and with it all
/// that the same account sent after.
#[derive(Debug)]
pub struct Row {
    chain: Chain,
    open: Vec<Pending>,
    gas: u64,
    receipts: Vec<TransactionReceipt>,
}

impl Row {
    /// An empty row.
    #[must_use]
    pub fn new(chain: &Chain) -> Self {
        Self { chain: chain.clone(), open: Vec::new(), gas: 0, receipts: Vec::new() }
    }

    /// Adds a transaction that was sent; waits for all when they could fill a block.
    ///
    /// # Errors
    /// Names the first one that failed.
    pub async fn add(&mut self, pending: Pending) -> anyhow::Result<()> {
        self.gas += pending.gas;
        self.open.push(pending);
        if self.gas > ROW_GAS { self.settle().await } else { Ok(()) }
    }

    /// Waits until all are in blocks; gives the receipts in the order of sending.
    ///
    /// # Errors
    /// Names the first one that failed, with what it reverted with.
    pub async fn finish(mut self) -> anyhow::Result<Vec<TransactionReceipt>> {
        self.settle().await?;
        Ok(self.receipts)
    }

    async fn settle(&mut self) -> anyhow::Result<()> {
        self.gas = 0;
        let open = std::mem::take(&mut self.open);
        self.receipts.extend(confirm(&self.chain, &open).await?);
        Ok(())
    }
}

impl Sender {
    /// A sender that nobody else sends for, given funds by the chain.
    ///
    /// # Errors
    /// When the chain does not answer.
    pub async fn funded(chain: &Chain, key: PrivateKeySigner) -> anyhow::Result<Self> {
        let address = key.address();
        fund(chain, address).await?;
        let nonce = chain.provider.get_transaction_count(address).await.context("the chain gives no nonce")?;
        Ok(Self { provider: chain.provider.clone(), wallet: key.into(), address, nonce })
    }

    /// Who sends.
    #[must_use]
    pub fn address(&self) -> Address {
        self.address
    }

    /// Where the contract that this sender deploys after `after` further transactions will be.
    #[must_use]
    pub fn deploys_at(&self, after: u64) -> Address {
        self.address.create(self.nonce + after)
    }

    /// Sends a call.
    ///
    /// # Errors
    /// When the chain does not take it.
    pub async fn call(
        &mut self,
        what: impl Into<String>,
        to: Address,
        value: U256,
        data: Vec<u8>,
        gas: u64,
    ) -> anyhow::Result<Pending> {
        let request = TransactionRequest::default().with_to(to).with_value(value).with_input(data);
        self.send(what.into(), request, gas).await
    }

    /// Deploys a contract; gives where it will be.
    ///
    /// # Errors
    /// When the chain does not take it.
    pub async fn deploy(
        &mut self,
        what: &str,
        bytecode: &Bytes,
        arguments: Vec<u8>,
    ) -> anyhow::Result<(Address, Pending)> {
        let at = self.deploys_at(0);
        let code = [bytecode.as_ref(), &arguments].concat();
        // 200 a byte are kept as code and 18 are paid for the transaction; the rest is for what constructors do.
        let gas = 250 * code.len() as u64 + 1_500_000;
        let request = TransactionRequest::default().with_deploy_code(code);
        Ok((at, self.send(format!("deploy {what}"), request, gas).await?))
    }

    async fn send(&mut self, what: String, request: TransactionRequest, gas: u64) -> anyhow::Result<Pending> {
        let transaction = request
            .with_from(self.address)
            .with_nonce(self.nonce)
            .with_chain_id(CHAIN_ID)
            .with_gas_limit(gas)
            .with_max_fee_per_gas(MAX_FEE)
            .with_max_priority_fee_per_gas(PRIORITY_FEE)
            .build(&self.wallet)
            .await
            .with_context(|| format!("cannot sign: {what}"))?;
        let sent = self
            .provider
            .send_raw_transaction(&transaction.encoded_2718())
            .await
            .with_context(|| format!("the chain does not take: {what}"))?;
        self.nonce += 1;
        Ok(Pending { what, hash: *sent.tx_hash(), gas })
    }
}

/// Gives an address funds.
///
/// # Errors
/// When the chain does not.
pub async fn fund(chain: &Chain, address: Address) -> anyhow::Result<()> {
    let () = chain
        .provider
        .raw_request("anvil_setBalance".into(), (address, U256::from(FUNDS)))
        .await
        .with_context(|| format!("anvil does not fund {address}"))?;
    Ok(())
}

async fn confirm(chain: &Chain, pending: &[Pending]) -> anyhow::Result<Vec<TransactionReceipt>> {
    let mut receipts = Vec::with_capacity(pending.len());
    for transaction in pending {
        let what = &transaction.what;
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let receipt = loop {
            match chain.provider.get_transaction_receipt(transaction.hash).await {
                Ok(Some(receipt)) => break receipt,
                Ok(None) if tokio::time::Instant::now() < deadline => {}
                Ok(None) => bail!("no block took within {PATIENCE:?}: {what}"),
                Err(error) => return Err(error).with_context(|| format!("no receipt: {what}")),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        if !receipt.status() {
            bail!("failed on chain: {what} ({} gas used): {}", receipt.gas_used, reason(chain, transaction.hash).await);
        }
        receipts.push(receipt);
    }
    Ok(receipts)
}

/// Why a transaction failed, as far as a trace tells: the deepest frame that failed.
async fn reason(chain: &Chain, hash: B256) -> String {
    let options = GethDebugTracingOptions::call_tracer(CallConfig::default());
    let Ok(GethTrace::CallTracer(mut frame)) = chain.provider.debug_trace_transaction(hash, options).await else {
        return "no trace".into();
    };
    while let Some(failed) = frame.calls.iter().position(|call| call.error.is_some()) {
        frame = frame.calls.swap_remove(failed);
    }
    format!(
        "{} at {} with {}",
        frame.revert_reason.or(frame.error).unwrap_or_else(|| "an unknown reason".into()),
        frame.to.unwrap_or_default(),
        frame.output.unwrap_or_default()
    )
}

/// A number that is small by its nature.
#[must_use]
pub fn u64_of(number: U256) -> u64 {
    number.saturating_to()
}
