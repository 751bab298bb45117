//! Transactions of the publisher's own account, one after the other.

use std::sync::Arc;
use std::time::Duration;

use alloy::eips::eip2718::Encodable2718;
use alloy::network::{EthereumWallet, NetworkTransactionBuilder, TransactionBuilder};
use alloy::primitives::{Address, Bytes, U64, U256};
use alloy::rpc::types::{TransactionReceipt, TransactionRequest};
use alloy::signers::local::PrivateKeySigner;
use anyhow::{Context, bail};
use ditto_core::chain::{Request, Rpc, RpcError};
use serde_json::json;

/// How long a transaction may take to be in a block.
const PATIENCE: Duration = Duration::from_secs(180);
/// Pause between two looks for a receipt.
const PAUSE: Duration = Duration::from_millis(250);
/// EIP-7825: the most gas of one transaction.
pub const TRANSACTION_GAS: u64 = 16_777_216;

/// What a unit of gas is offered.
#[derive(Clone, Copy, Debug)]
pub struct Fees {
    /// At most, in wei.
    pub max: u128,
    /// To the block's proposer, in wei.
    pub priority: u128,
}

/// A transaction to be.
#[derive(Clone, Debug)]
pub struct Intent {
    /// What it is for.
    pub what: String,
    /// Who is called.
    pub to: Address,
    /// Wei.
    pub value: U256,
    /// Calldata.
    pub data: Bytes,
}

/// Sends for one key.
pub struct Sender {
    rpc: Arc<Rpc>,
    wallet: EthereumWallet,
    address: Address,
    fees: Fees,
}

impl Sender {
    /// A sender on this chain.
    ///
    /// # Errors
    /// When the node does not say what gas costs.
    pub async fn new(rpc: Arc<Rpc>, key: PrivateKeySigner, base_fee: u128) -> anyhow::Result<Self> {
        let asked = rpc.ask_for::<U256>(Request::new("eth_maxPriorityFeePerGas", &json!([]))).await;
        // Not every client has the method: a gwei gets a transaction in anywhere.
        let priority = asked.map_or(1_000_000_000, |wei| wei.saturating_to::<u128>());
        // Base fees may rise an eighth per block; twice the present one covers six full blocks.
        let fees = Fees { max: base_fee.saturating_mul(2).saturating_add(priority), priority };
        let address = key.address();
        Ok(Self { rpc, wallet: key.into(), address, fees })
    }

    /// Who sends.
    #[must_use]
    pub fn address(&self) -> Address {
        self.address
    }

    /// What a unit of gas is offered.
    #[must_use]
    pub fn fees(&self) -> Fees {
        self.fees
    }

    /// What the sender owns, in wei.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn balance(&self) -> Result<U256, RpcError> {
        self.rpc.ask_for(Request::new("eth_getBalance", &json!([self.address, "latest"]))).await
    }

    /// The gas that a transaction takes, with a fifth on top.
    ///
    /// # Errors
    /// When it would fail.
    pub async fn estimate(&self, intent: &Intent) -> Result<u64, RpcError> {
        let asked = json!([{ "from": self.address, "to": intent.to, "value": intent.value, "data": intent.data }]);
        let gas = self.rpc.ask_for::<U64>(Request::new("eth_estimateGas", &asked)).await?.to::<u64>();
        Ok(gas.saturating_add(gas / 5))
    }

    /// Sends a transaction and waits until it is in a block.
    ///
    /// # Errors
    /// When it is not taken, fails, or takes too long; names it.
    pub async fn send(&self, intent: &Intent, gas: u64) -> anyhow::Result<TransactionReceipt> {
        let what = &intent.what;
        if gas > TRANSACTION_GAS {
            bail!("{what}: it takes {gas} gas, and a transaction may have {TRANSACTION_GAS} (EIP-7825)");
        }
        let count = Request::new("eth_getTransactionCount", &json!([self.address, "pending"]));
        let nonce = self.rpc.ask_for::<U64>(count).await?.to::<u64>();
        let signed = TransactionRequest::default()
            .with_from(self.address)
            .with_to(intent.to)
            .with_value(intent.value)
            .with_input(intent.data.clone())
            .with_nonce(nonce)
            .with_chain_id(self.rpc.chain())
            .with_gas_limit(gas)
            .with_max_fee_per_gas(self.fees.max)
            .with_max_priority_fee_per_gas(self.fees.priority)
            .build(&self.wallet)
            .await
            .with_context(|| format!("{what}: cannot be signed"))?;
        let hash = *signed.tx_hash();
        let raw = alloy::hex::encode_prefixed(signed.encoded_2718());
        self.rpc
            .ask(Request::new("eth_sendRawTransaction", &json!([raw])))
            .await
            .with_context(|| format!("{what}: the node does not take the transaction"))?;
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let asked = Request::new("eth_getTransactionReceipt", &json!([hash]));
            match self.rpc.ask_for::<Option<TransactionReceipt>>(asked).await {
                Ok(Some(receipt)) if receipt.status() => return Ok(receipt),
                Ok(Some(_)) => bail!("{what}: transaction {hash} failed on the chain"),
                Ok(None) | Err(_) if tokio::time::Instant::now() < deadline => {}
                Ok(None) => bail!("{what}: transaction {hash} is in no block after {PATIENCE:?}; it may still get in"),
                Err(error) => return Err(error).with_context(|| format!("{what}: no receipt of {hash}")),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
