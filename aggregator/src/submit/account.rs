//! The submitter's account: the one place where nonces are handed out and transactions signed.

use alloy::consensus::{SignableTransaction, TxEip1559};
use alloy::eips::eip2718::Encodable2718;
use alloy::primitives::{Address, Bytes, TxKind, U64, U256};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use ditto_core::chain::{Request, Rpc, RpcError};
use tokio::sync::{Mutex, MutexGuard};

use super::transaction::{Fees, Signed};

/// The account.
pub struct Account {
    signer: PrivateKeySigner,
    chain_id: u64,
    /// The next nonce; `None` until the node was asked.
    next: Mutex<Option<u64>>,
    /// Nonces below this are taken by what an earlier run of this process signed.
    floor: u64,
}

/// What a transaction does.
pub struct Payload {
    /// Whom it calls.
    pub to: Address,
    /// With what.
    pub data: Bytes,
    /// With how much gas.
    pub gas: u64,
}

/// The right to use the next nonce. While it is held, nobody else gets one.
pub struct Turn<'a> {
    next: MutexGuard<'a, Option<u64>>,
    nonce: u64,
}

impl Turn<'_> {
    /// The nonce.
    #[must_use]
    pub fn nonce(&self) -> u64 {
        self.nonce
    }

    /// It was used: a transaction with it is on the disk.
    pub fn used(mut self) {
        *self.next = Some(self.nonce.saturating_add(1));
    }

    /// The node says that it is taken: the next turn asks again.
    pub fn stale(mut self) {
        *self.next = None;
    }
}

impl Account {
    /// The account of this key; `floor` is the first nonce that no earlier run used.
    #[must_use]
    pub fn new(signer: PrivateKeySigner, chain_id: u64, floor: u64) -> Self {
        Self { signer, chain_id, next: Mutex::new(None), floor }
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> Address {
        self.signer.address()
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// When the node must be asked and does not answer.
    pub async fn turn(&self, rpc: &Rpc) -> Result<Turn<'_>, RpcError> {
        let next = self.next.lock().await;
        let nonce = match *next {
            Some(nonce) => nonce,
            None => self.mined(rpc).await?.max(self.floor),
        };
        Ok(Turn { next, nonce })
    }

    /// How many of its transactions are mined: the lowest nonce that is open.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn mined(&self, rpc: &Rpc) -> Result<u64, RpcError> {
        let params = serde_json::json!([self.address(), "latest"]);
        let count: U64 = rpc.ask_for(Request::new("eth_getTransactionCount", &params)).await?;
        Ok(count.to())
    }

    /// Signs a transaction. `None`: the key refuses, which a key in memory does not.
    #[must_use]
    pub fn sign(&self, nonce: u64, payload: Payload, fees: Fees, at_ms: u64, cancels: bool) -> Option<Signed> {
        let transaction = TxEip1559 {
            chain_id: self.chain_id,
            nonce,
            gas_limit: payload.gas,
            max_fee_per_gas: u128::from(fees.max),
            max_priority_fee_per_gas: u128::from(fees.priority),
            to: TxKind::Call(payload.to),
            value: U256::ZERO,
            access_list: Default::default(),
            input: payload.data,
        };
        let signature = self.signer.sign_hash_sync(&transaction.signature_hash()).ok()?;
        let signed = transaction.into_signed(signature);
        Some(Signed {
            hash: *signed.hash(),
            raw: signed.encoded_2718().into(),
            max_fee: fees.max,
            priority_fee: fees.priority,
            at_ms,
            cancels,
        })
    }
}
