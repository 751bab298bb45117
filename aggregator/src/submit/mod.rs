//! The fourth stage: a certificate becomes one transaction.
//!
//! At the latest block it is simulated first; what would revert is not sent, and the reason goes on to be recorded. What
//! is sent follows the state machine of [`Submission`]: on the disk before on the wire. Several are prepared at once, and
//! nonces are handed out one at a time ([`account`]). Orders to send again, at a higher price or as a cancellation, come back
//! from the stage that watches the chain.

mod account;
pub mod call;
mod transaction;

use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes, U64, U256};
use ditto_core::chain::{Heads, Request, Rpc, RpcError};
use ditto_core::clock::SlotClock;
use ditto_core::stage::{Deadline, Handler, Outbox, Outcome};
use metrics::counter;
use serde_json::json;

pub use account::Account;
pub use transaction::{Fees, Signed, Stage, Submission};

use account::Payload;

use crate::batch::Certified;
use crate::config::SubmissionConfig;
use crate::ledger::{Ledger, LedgerError};

/// Pause before a node that did not answer is asked again.
const NODE_PAUSE: Duration = Duration::from_millis(500);
/// How often a nonce that the node calls taken is replaced within one order.
const NONCE_TRIES: usize = 4;
const CANCEL_GAS: u64 = 21_000;

/// What the stage is told.
#[derive(Clone, Debug)]
pub enum Order {
    /// Bring this certificate to the chain.
    Submit {
        /// The certificate.
        certified: Arc<Certified>,
        /// Which attempt this is, from 1.
        attempt: u32,
    },
    /// This one is stuck: send it again for more, or cancel it when it is too late for it.
    Replace(InFlight),
}

/// A certificate on its way to the chain.
#[derive(Clone, Debug)]
pub struct InFlight {
    /// The certificate.
    pub certified: Arc<Certified>,
    /// How it stands.
    pub submission: Submission,
}

/// What the stage tells the next one.
#[derive(Clone, Debug)]
pub enum Watch {
    /// Look for its receipt.
    Flight(InFlight),
    /// It was not sent: this is why.
    Unsent {
        /// The certificate.
        certified: Arc<Certified>,
        /// Why.
        reason: String,
    },
}

/// Why an order was not carried out.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    WouldRevert(String),
    #[error("its operations' validity ended before it could be sent")]
    TooLate,
    #[error("the node takes none of the nonces it names")]
    Nonce,
    #[error("the submitter key does not sign")]
    Key,
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// The stage.
pub struct Submit {
    /// The target chain.
    pub rpc: Arc<Rpc>,
    /// Its heads.
    pub heads: Heads,
    /// Whom to call.
    pub attestation_center: Address,
    /// Who pays.
    pub account: Arc<Account>,
    /// Fees and limits.
    pub config: SubmissionConfig,
    /// Where it is recorded.
    pub ledger: Ledger,
    /// The time.
    pub clock: SlotClock,
    /// Who looks for the receipt.
    pub confirm: Outbox<Watch>,
}

impl Handler for Submit {
    type Item = Order;
    const OUTCOMES: &'static [Outcome] = &["sent", "dropped", "replaced", "cancelled", "not_replaced"];

    async fn handle(&self, order: Order, _deadline: Deadline) -> Outcome {
        match order {
            Order::Submit { certified, attempt } => {
                let id = certified.id();
                match self.submit(&certified, attempt).await {
                    Ok(submission) => {
                        count("sent");
                        self.watch(Watch::Flight(InFlight { certified, submission })).await;
                        "sent"
                    }
                    Err(failure) => {
                        count("dropped");
                        tracing::warn!(batch = %id, attempt, reason = %failure, "a certificate is not submitted");
                        self.watch(Watch::Unsent { certified, reason: failure.to_string() }).await;
                        "dropped"
                    }
                }
            }
            Order::Replace(flight) => self.replace(flight).await,
        }
    }
}

impl Submit {
    async fn submit(&self, certified: &Arc<Certified>, attempt: u32) -> Result<Submission, Failure> {
        let data = call::submit(certified);
        let gas = self.simulate(certified, &data).await?;
        let fees = self.fees().await;
        for _ in 0..NONCE_TRIES {
            let turn = loop {
                match self.account.turn(&self.rpc).await {
                    Ok(turn) => break turn,
                    Err(error) => self.pause(certified, &error).await?,
                }
            };
            let mut submission = Submission::prepared(turn.nonce(), gas, attempt);
            let payload = Payload { to: self.attestation_center, data: data.clone(), gas };
            let now_ms = self.clock.now_ms();
            let signed = self.account.sign(turn.nonce(), payload, fees, now_ms, false).ok_or(Failure::Key)?;
            submission.signed.push(signed.clone());
            // On the disk first: from here on a crash sends these bytes again, or finds them mined.
            self.ledger.submit(certified.id(), &submission).await?;
            match self.send(&signed).await {
                Handed::NonceTaken => {
                    turn.stale();
                    continue;
                }
                Handed::Yes => submission.stage = Stage::Sent,
                // It stays prepared; the next stage sends it again until it is mined or too late.
                Handed::No => {}
            }
            turn.used();
            if submission.stage == Stage::Sent
                && let Err(error) = self.ledger.submit(certified.id(), &submission).await
            {
                // It is on its way; that it was prepared is on the disk, and a restart would send it again.
                tracing::error!(batch = %certified.id(), %error, "cannot record that a transaction was sent");
            }
            tracing::info!(
                batch = %certified.id(), slot = certified.batch.slot(), attempt, nonce = submission.nonce, gas,
                max_fee_wei = fees.max, tx = %signed.hash, "submitted"
            );
            return Ok(submission);
        }
        Err(Failure::Nonce)
    }

    /// Runs the call at the latest block, and gives its gas limit.
    async fn simulate(&self, certified: &Certified, data: &Bytes) -> Result<u64, Failure> {
        loop {
            let asked = json!([{ "to": self.attestation_center, "data": call::required_gas(certified) }, "latest"]);
            let required: Result<U256, RpcError> = self.rpc.ask_for(Request::new("eth_call", &asked)).await;
            let required = match required {
                Ok(required) => u64::try_from(required).unwrap_or(u64::MAX),
                Err(RpcError::Reverted(data)) => return Err(Failure::WouldRevert(call::reason(&data))),
                Err(error) => {
                    self.pause(certified, &error).await?;
                    continue;
                }
            };
            let gas = call::gas_limit(certified, data, required, self.config.gas_margin_percent);
            let asked = json!([
                { "from": self.account.address(), "to": self.attestation_center, "data": data, "gas": U64::from(gas) },
                "latest"
            ]);
            match self.rpc.ask(Request::new("eth_call", &asked)).await {
                Ok(_) => return Ok(gas),
                Err(RpcError::Reverted(data)) if call::is_done(&data) => {
                    return Err(Failure::WouldRevert("the chain has this batch already".to_owned()));
                }
                Err(RpcError::Reverted(data)) => return Err(Failure::WouldRevert(call::reason(&data))),
                Err(error) => self.pause(certified, &error).await?,
            }
        }
    }

    /// Waits for a node that does not answer, for as long as that makes sense.
    async fn pause(&self, certified: &Certified, error: &RpcError) -> Result<(), Failure> {
        if certified.batch.valid_until().saturating_mul(1000) <= self.clock.now_ms() {
            return Err(Failure::TooLate);
        }
        tracing::warn!(batch = %certified.batch.id, %error, "cannot submit yet; trying on");
        tokio::time::sleep(NODE_PAUSE).await;
        Ok(())
    }

    async fn fees(&self) -> Fees {
        let offered = self.rpc.ask_for::<U256>(Request::new("eth_maxPriorityFeePerGas", &json!([]))).await;
        // A node without the method gets the floor; one that is down is met again when sending.
        let offered = offered.map_or(0, |fee| u64::try_from(fee).unwrap_or(u64::MAX));
        let base = self.heads.latest().map_or(0, |head| head.base_fee);
        Fees::now(base, offered, self.config.min_priority_fee_wei, self.config.max_fee_wei)
    }

    async fn replace(&self, mut flight: InFlight) -> Outcome {
        let id = flight.certified.id();
        let Some(last) = flight.submission.signed.last().cloned() else {
            self.watch(Watch::Flight(flight)).await;
            return "not_replaced";
        };
        let too_late = flight.certified.batch.valid_until().saturating_mul(1000) <= self.clock.now_ms();
        let ceiling = self.config.max_fee_wei;
        let fees = self.fees().await.replacing(&last, self.config.fee_bump_percent, ceiling);
        let payload = if too_late {
            Payload { to: self.account.address(), data: Bytes::new(), gas: CANCEL_GAS }
        } else {
            Payload { to: self.attestation_center, data: call::submit(&flight.certified), gas: flight.submission.gas }
        };
        let now_ms = self.clock.now_ms();
        let signed = fees.and_then(|fees| self.account.sign(flight.submission.nonce, payload, fees, now_ms, too_late));
        let Some(signed) = signed else {
            tracing::warn!(batch = %id, nonce = flight.submission.nonce, ceiling, "stuck at the highest fee allowed (submission.max_fee_wei)");
            self.watch(Watch::Flight(flight)).await;
            return "not_replaced";
        };
        flight.submission.signed.push(signed.clone());
        if let Err(error) = self.ledger.submit(id, &flight.submission).await {
            tracing::error!(batch = %id, %error, "a replacement is not sent, for it cannot be recorded");
            flight.submission.signed.pop();
            self.watch(Watch::Flight(flight)).await;
            return "not_replaced";
        }
        // Whatever the node says, the next stage goes on watching all of them.
        self.send(&signed).await;
        let outcome = if too_late { "cancelled" } else { "replaced" };
        count(outcome);
        tracing::warn!(batch = %id, nonce = flight.submission.nonce, tx = %signed.hash, max_fee_wei = signed.max_fee, outcome, "a stuck transaction is replaced");
        self.watch(Watch::Flight(flight)).await;
        outcome
    }

    async fn send(&self, signed: &Signed) -> Handed {
        send(&self.rpc, signed).await
    }

    async fn watch(&self, watch: Watch) {
        // Refused only when the next stage has ended; the ledger knows, and the next start goes on.
        drop(self.confirm.send(watch, Deadline::NONE).await);
    }
}

/// Whether a node took a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handed {
    /// It did, or had it.
    Yes,
    /// Not now.
    No,
    /// The nonce is used up.
    NonceTaken,
}

/// Hands a signed transaction to a node.
pub async fn send(rpc: &Rpc, signed: &Signed) -> Handed {
    match rpc.ask_for::<B256>(Request::new("eth_sendRawTransaction", &json!([signed.raw]))).await {
        Ok(_) => Handed::Yes,
        Err(RpcError::Node { message, .. }) => handed(&message, signed),
        Err(error) => {
            tracing::warn!(tx = %signed.hash, %error, "a transaction is not sent yet");
            Handed::No
        }
    }
}

/// Nodes tell these apart in words only; the words are the same in all of them.
fn handed(message: &str, signed: &Signed) -> Handed {
    let message = message.to_lowercase();
    if message.contains("already known") || message.contains("already imported") {
        Handed::Yes
    } else if message.contains("nonce too low") {
        Handed::NonceTaken
    } else {
        tracing::warn!(tx = %signed.hash, message, "a node does not take a transaction; it is sent again");
        Handed::No
    }
}

fn count(outcome: &'static str) {
    counter!("ditto_aggregator_submissions_total", "outcome" => outcome).increment(1);
}
