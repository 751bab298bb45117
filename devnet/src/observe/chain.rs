//! Follows the chain's events. Blocks carry whole seconds, so the time of an execution is when its block was first seen.

use std::time::Duration;

use alloy::primitives::{Address, B256};
use alloy::providers::{DynProvider, Provider};
use alloy::rpc::types::{Filter, Log};
use alloy::sol_types::{SolCall, SolEvent};
use anyhow::Context;
use ditto_core::chain::ContractsConfig;
use ditto_core::chain::bindings::EntryPoint::UserOperationEvent;
use ditto_core::chain::bindings::attestation_center::AttestationCenter;
use ditto_core::clock::{Clock, SystemClock};
use futures::future::try_join_all;
use tokio_util::sync::CancellationToken;

use super::ledger::{Execution, Ledger};
use super::{Shared, lock};
use crate::bindings::counter::OccurrenceCounter;
use crate::bindings::oracle::DemoOracle;
use crate::transactions::u64_of;
use crate::triggers::Signal;

/// Between two looks at the head: the grain of the latencies that are reported.
const POLL: Duration = Duration::from_millis(50);

/// What was seen of certificates.
#[derive(Clone, Debug, Default)]
pub struct Submissions {
    /// Transactions that certified a batch, in order.
    pub transactions: Vec<B256>,
    /// Tasks that certificates reject.
    pub rejected: u64,
}

/// Follows the chain.
#[derive(Clone, Debug)]
pub struct ChainWatch {
    provider: DynProvider,
    contracts: ContractsConfig,
    signal: Address,
    ledger: Shared<Ledger>,
    submissions: Shared<Submissions>,
}

impl ChainWatch {
    /// A watch that writes into this ledger; `signal` is the contract that gives signals.
    #[must_use]
    pub fn new(provider: DynProvider, contracts: ContractsConfig, signal: Address, ledger: Shared<Ledger>) -> Self {
        Self { provider, contracts, signal, ledger, submissions: Shared::default() }
    }

    /// What was seen of certificates so far.
    #[must_use]
    pub fn submissions(&self) -> Submissions {
        lock(&self.submissions).clone()
    }

    /// Follows the chain until `stop`, or until it does not answer.
    ///
    /// # Errors
    /// When the chain does not answer.
    pub async fn follow(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut next = self.provider.get_block_number().await.context("the chain gives no block number")? + 1;
        while !stop.is_cancelled() {
            let latest = self.provider.get_block_number().await.context("the chain gives no block number")?;
            if latest >= next {
                let seen_ms = SystemClock.now_ms();
                let filter = Filter::new()
                    .address(vec![self.contracts.entry_point, self.contracts.attestation_center, self.signal])
                    .from_block(next)
                    .to_block(latest);
                let logs = self.provider.get_logs(&filter).await.context("the chain gives no logs")?;
                for log in &logs {
                    self.note(log, seen_ms).await?;
                }
                let block =
                    self.provider.get_block_by_number(latest.into()).await.context("the chain gives no block")?;
                let time = block.context("the chain's last block is gone")?.header.timestamp;
                lock(&self.ledger).reached(time)?;
                next = latest + 1;
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    async fn note(&self, log: &Log, seen_ms: u64) -> anyhow::Result<()> {
        let transaction = log.transaction_hash.unwrap_or_default();
        if let Ok(event) = UserOperationEvent::decode_log(&log.inner) {
            let execution = Execution { transaction, seen_ms, gas: u64_of(event.actualGasUsed) };
            lock(&self.ledger).note(event.sender, event.nonce, event.success, execution);
        } else if let Some(event) =
            DemoOracle::AnswerUpdated::decode_log(&log.inner).ok().filter(|_| log.address() == self.signal)
        {
            let count = event.answer.try_into().unwrap_or_default();
            lock(&self.ledger).note_signal(Signal { seconds: u64_of(event.timestamp), count });
        } else if AttestationCenter::BatchCertified::decode_log(&log.inner).is_ok() {
            lock(&self.submissions).transactions.push(transaction);
        } else if let Ok(event) = AttestationCenter::TaskRejected::decode_log(&log.inner) {
            lock(&self.submissions).rejected += 1;
            if let Some((account, slot)) = self.rejected(transaction, event.userOpHash).await? {
                lock(&self.ledger).note_rejected(account, slot);
            }
        }
        Ok(())
    }

    /// Who proposed what was certified for a slot.
    ///
    /// # Errors
    /// When the chain does not answer.
    pub async fn performer(&self, slot: u64) -> anyhow::Result<Option<Address>> {
        for transaction in self.submissions().transactions {
            if let Some(call) = self.submission(transaction).await?
                && call.proposal.slot == slot
            {
                return Ok(Some(call.proposal.performer));
            }
        }
        Ok(None)
    }

    async fn submission(&self, transaction: B256) -> anyhow::Result<Option<AttestationCenter::submitCall>> {
        let found =
            self.provider.get_transaction_by_hash(transaction).await.context("the chain gives no transaction")?;
        let input = found.as_ref().map(alloy::consensus::Transaction::input);
        Ok(input.and_then(|input| AttestationCenter::submitCall::abi_decode(input).ok()))
    }

    /// Whose operation a certificate rejects, and in which slot: the event does not say, the transaction does.
    async fn rejected(&self, transaction: B256, operation: B256) -> anyhow::Result<Option<(Address, u64)>> {
        let Some(call) = self.submission(transaction).await? else { return Ok(None) };
        let refused = call.batch.refused.iter().find(|refused| refused.userOpHash == operation);
        Ok(refused.map(|refused| (refused.smartAccount, call.proposal.slot)))
    }
}

/// Asks the target how often it was called for each occurrence.
///
/// # Errors
/// When the chain does not answer.
pub async fn count(provider: &DynProvider, counter: Address, ledger: &Shared<Ledger>) -> anyhow::Result<()> {
    let questions = lock(ledger).questions();
    for portion in questions.chunks(64) {
        let counter = OccurrenceCounter::new(counter, provider);
        let answers = try_join_all(portion.iter().map(|(occurrence, account)| {
            let call = counter.count(*account, occurrence.number());
            async move { call.call().await }
        }))
        .await
        .context("the counter does not answer")?;
        let mut ledger = lock(ledger);
        for ((occurrence, _), answer) in portion.iter().zip(answers) {
            ledger.note_counted(*occurrence, u64_of(answer));
        }
    }
    Ok(())
}
