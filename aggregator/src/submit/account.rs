//! The submitter's account: the one place where nonces are handed out and transactions signed.

use std::sync::{Mutex as StdMutex, MutexGuard as StdMutexGuard, PoisonError};

use alloy::consensus::{SignableTransaction, TxEip1559};
use alloy::eips::eip2718::Encodable2718;
use alloy::primitives::{Address, Bytes, TxKind, U64, U256};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use ditto_core::chain::{Request, Rpc, RpcError};
use tokio::sync::{Mutex, MutexGuard};

use super::nonces::Nonces;
use super::transaction::{Fees, Signed};

/// The account.
pub struct Account {
    signer: PrivateKeySigner,
    chain_id: u64,
    /// Who holds it hands out the next nonce.
    turns: Mutex<()>,
    nonces: StdMutex<Nonces>,
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
    account: &'a Account,
    _turn: MutexGuard<'a, ()>,
    nonce: u64,
}

impl Turn<'_> {
    /// The nonce.
    #[must_use]
    pub fn nonce(&self) -> u64 {
        self.nonce
    }

    /// It was used: a transaction with it is on the disk.
    pub fn used(self) {
        self.account.nonces().used(self.nonce);
    }

    /// The node says that it is taken, and by how many the chain knows.
    pub fn taken(self, mined: u64) {
        self.account.nonces().mined(mined.max(self.nonce.saturating_add(1)));
    }
}

impl Account {
    /// The account of this key; `open` are the nonces that an earlier run used and that may still be mined.
    #[must_use]
    pub fn new(signer: PrivateKeySigner, chain_id: u64, open: impl IntoIterator<Item = u64>) -> Self {
        let nonces = StdMutex::new(Nonces::with_open(open));
        Self { signer, chain_id, turns: Mutex::new(()), nonces }
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
        let turn = self.turns.lock().await;
        let known = self.nonces().next();
        let nonce = match known {
            Some(nonce) => nonce,
            None => {
                let mined = self.mined(rpc).await?;
                let mut nonces = self.nonces();
                nonces.mined(mined);
                nonces.next().unwrap_or(mined)
            }
        };
        #[allow(clippy::cast_precision_loss)] // nobody sends 2^53 transactions
        metrics::gauge!("ditto_aggregator_nonce").set(nonce as f64);
        Ok(Turn { account: self, _turn: turn, nonce })
    }

    /// How many of its transactions are mined: the lowest nonce that is open.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn mined(&self, rpc: &Rpc) -> Result<u64, RpcError> {
        let count: U64 = rpc.ask_for(self.count()).await?;
        Ok(count.to())
    }

    /// The question behind [`Self::mined`], to be asked together with others.
    #[must_use]
    pub fn count(&self) -> Request {
        Request::new("eth_getTransactionCount", &serde_json::json!([self.address(), "latest"]))
    }

    /// The nonces that must be filled, for nothing of ours will use them; see [`Nonces::gaps`]. None while one is being
    /// handed out.
    #[must_use]
    pub fn gaps(&self, mined: u64) -> Vec<u64> {
        match self.turns.try_lock() {
            Ok(_turn) => self.nonces().gaps(mined),
            Err(_busy) => Vec::new(),
        }
    }

    /// A nonce is on its way outside of a turn: to fill a gap.
    pub fn used(&self, nonce: u64) {
        self.nonces().used(nonce);
    }

    /// A nonce's transaction is deep enough in the chain, or lost.
    pub fn settled(&self, nonce: u64) {
        self.nonces().settled(nonce);
    }

    /// Signs a transaction. `None`: the key refuses, which a key in memory does not.
    #[must_use]
    pub fn sign(&self, nonce: u64, payload: &Payload, fees: Fees, at_ms: u64, cancels: bool) -> Option<Signed> {
        let transaction = TxEip1559 {
            chain_id: self.chain_id,
            nonce,
            gas_limit: payload.gas,
            max_fee_per_gas: u128::from(fees.max),
            max_priority_fee_per_gas: u128::from(fees.priority),
            to: TxKind::Call(payload.to),
            value: U256::ZERO,
            access_list: Default::default(),
            input: payload.data.clone(),
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

    fn nonces(&self) -> StdMutexGuard<'_, Nonces> {
        // Sets and numbers are changed whole, so a panic elsewhere leaves nothing half-done.
        self.nonces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
