//! The last stage: what became of it, read from the chain.
//!
//! Receipts of everything in flight are asked for at every look. A receipt that is deep enough settles its batch's tasks;
//! one that is missing for long makes a replacement; a receipt that is gone again was reorganised away and is waited for
//! anew. When the chain's time has passed a batch's validity, the EntryPoint's events are searched once more, whoever sent
//! them, and what did not happen is written off. So every recorded task ends here, exactly once, if the chain answers.

mod outcome;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy::primitives::{B256, U64, U256};
use alloy::sol_types::SolEvent;
use ditto_core::chain::bindings::EntryPoint;
use ditto_core::chain::{ContractsConfig, Head, Heads, Request, Rpc, RpcError};
use ditto_core::clock::SlotClock;
use ditto_core::consent::SigningDomain;
use ditto_core::stage::{Actor, Deadline, Outbox, Outcome};
use ditto_core::telemetry::Check;
use ditto_core::verdict::Verdict;
use metrics::{counter, gauge, histogram};
use serde_json::json;

use crate::batch::{Batch, Certified, PartId};
use crate::config::SubmissionConfig;
use crate::ledger::{Ledger, LedgerError, TaskState, Unfinished};
use crate::report::Report;
use crate::submit::{self, Account, Handed, InFlight, Order, Stage, Watch, call};
use outcome::{Log, Outcomes, Receipt, read, written_off};

/// How often the balance is read.
const BALANCE_EVERY: Duration = Duration::from_secs(10);
/// Batches written off at one look; the rest follows at the next.
const WRITTEN_OFF_AT_ONCE: usize = 32;
/// How many looks in a row a used-up nonce may be without a receipt of ours.
const LOST_LOOKS: u8 = 3;
/// Where the search for events begins when it is not known how old a batch is, in blocks back from the head.
const SEARCHED: u64 = 256;

/// The stage.
pub struct Confirm {
    /// The target chain.
    pub rpc: Arc<Rpc>,
    /// Its heads.
    pub heads: Heads,
    /// Its contracts.
    pub contracts: ContractsConfig,
    /// What was signed.
    pub domain: SigningDomain,
    /// Who pays.
    pub account: Arc<Account>,
    /// Limits.
    pub config: SubmissionConfig,
    /// Where ends are recorded.
    pub ledger: Ledger,
    /// Says whether the ledger takes them.
    pub ledger_check: Check,
    /// What is shown.
    pub report: Report,
    /// The time.
    pub clock: SlotClock,
    /// The way back: what must be sent again.
    pub submit: Outbox<Order>,
    /// What is in flight.
    pub flights: Vec<Flight>,
    /// When to look next.
    pub look_at: Instant,
    /// When to read the balance next.
    pub balance_at: Instant,
}

/// Something in flight, and when it was cared for.
pub struct Flight {
    flight: InFlight,
    sent_at: Instant,
    lost_looks: u8,
}

/// Why a look ended early.
#[derive(Debug, thiserror::Error)]
enum Blind {
    #[error(transparent)]
    Rpc(#[from] RpcError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Whether a flight is still up after a look at it.
enum Fate {
    Flying(Flight),
    Down,
}

impl Actor for Confirm {
    type Item = Watch;
    const OUTCOMES: &'static [Outcome] = &["watched", "unsent"];

    async fn handle(&mut self, watch: Watch, _deadline: Deadline) -> Outcome {
        match watch {
            Watch::Flight(flight) => {
                self.flights.push(Flight { flight, sent_at: Instant::now(), lost_looks: 0 });
                "watched"
            }
            Watch::Unsent { certified, reason } => {
                if let Err(error) = self.unsent(&certified, reason).await {
                    tracing::warn!(batch = %certified.batch.id, %error, "cannot settle an unsent certificate yet");
                }
                "unsent"
            }
        }
    }

    fn next_tick(&self) -> Option<Instant> {
        Some(self.look_at)
    }

    async fn tick(&mut self) {
        self.look_at = Instant::now() + self.config.poll();
        let Some(head) = self.heads.latest() else { return };
        for (what, looked) in [("receipts", self.receipts(head).await), ("expiries", self.write_off(head).await)] {
            match looked {
                Ok(()) => {}
                Err(Blind::Ledger(error)) => {
                    tracing::error!(what, %error, "the ledger does not take what happened; trying on");
                    self.ledger_check.not_ready(error.to_string());
                }
                Err(Blind::Rpc(error)) => tracing::debug!(what, %error, "cannot look at the chain; trying on"),
            }
        }
        #[allow(clippy::cast_precision_loss)] // a gauge
        gauge!("ditto_aggregator_open_batches").set(self.ledger.open_batches() as f64);
        if Instant::now() >= self.balance_at {
            self.balance_at = Instant::now() + BALANCE_EVERY;
            let asked = json!([self.account.address(), "latest"]);
            if let Ok(balance) = self.rpc.ask_for::<U256>(Request::new("eth_getBalance", &asked)).await {
                gauge!("ditto_aggregator_balance_wei").set(f64::from(balance));
                if balance.is_zero() {
                    tracing::error!(account = %self.account.address(), "the submitter has no funds; send some");
                }
            }
        }
    }
}

impl Confirm {
    async fn receipts(&mut self, head: Head) -> Result<(), Blind> {
        let flights = std::mem::take(&mut self.flights);
        let hashes: Vec<B256> =
            flights.iter().flat_map(|f| f.flight.submission.signed.iter().map(|signed| signed.hash)).collect();
        let asked = hashes.iter().map(|hash| Request::new("eth_getTransactionReceipt", &json!([hash]))).collect();
        let mut receipts = BTreeMap::new();
        let mut blind = None;
        for (hash, answer) in hashes.iter().zip(self.rpc.ask_all(asked).await) {
            match answer.map(|raw| serde_json::from_str::<Option<Receipt>>(raw.get())) {
                Ok(Ok(Some(receipt))) => drop(receipts.insert(*hash, receipt)),
                Ok(Ok(None)) => {}
                Ok(Err(error)) => tracing::warn!(tx = %hash, %error, "a receipt cannot be read"),
                Err(error) => blind = Some(error),
            }
        }
        let mut failed = None;
        for flight in flights {
            let mine = flight.flight.submission.signed.iter().find_map(|signed| receipts.get(&signed.hash));
            let looked = match (mine, &blind) {
                (Some(receipt), _) => self.mined(&flight, receipt, head).await,
                // Without an answer nothing is known to be missing.
                (None, Some(_)) => Ok(false),
                (None, None) => match self.missing(flight).await {
                    Fate::Flying(flight) => {
                        self.flights.push(flight);
                        continue;
                    }
                    Fate::Down => continue,
                },
            };
            match looked {
                Ok(true) => {}
                Ok(false) => self.flights.push(flight),
                Err(error) => {
                    failed = Some(error);
                    self.flights.push(flight);
                }
            }
        }
        match (failed, blind) {
            (Some(error), _) => Err(error),
            (None, Some(error)) => Err(error.into()),
            (None, None) => Ok(()),
        }
    }

    /// Settles what is deep enough; `true` when the flight is over.
    async fn mined(&mut self, flight: &Flight, receipt: &Receipt, head: Head) -> Result<bool, Blind> {
        let InFlight { certified, submission } = &flight.flight;
        let (id, tx) = (certified.id(), receipt.transaction_hash);
        if head.number.saturating_sub(receipt.block_number) < self.config.confirmations {
            let mut submission = submission.clone();
            submission.stage = Stage::Mined { tx, block: receipt.block_number };
            if submission.stage != flight.flight.submission.stage {
                self.ledger.submit(id, &submission).await?;
            }
            return Ok(false);
        }
        let mut submission = submission.clone();
        counter!("ditto_aggregator_gas_used_total").increment(receipt.gas_used);
        if submission.signed.iter().any(|signed| signed.hash == tx && signed.cancels) {
            submission.stage = Stage::Expired;
            self.ledger.submit(id, &submission).await?;
            return Ok(true);
        }
        #[allow(clippy::cast_precision_loss)] // gas is far below 2^53
        histogram!("ditto_aggregator_submission_gas").record(receipt.gas_used as f64);
        let outcomes = read(&certified.batch, &self.domain, &self.contracts, &receipt.logs);
        let mut again = outcomes.starved;
        if receipt.status == 1 {
            submission.stage = Stage::Final { tx };
            count("mined");
        } else {
            let reason = self.revert_reason(certified, submission.gas, receipt).await;
            tracing::warn!(batch = %id, %tx, reason, "a submission reverted");
            count("reverted");
            let decided = decided(certified);
            self.ledger.note(id, decided.into_iter().map(|place| (place, reason.clone())).collect()).await?;
            submission.stage = Stage::Failed { reason };
            again = true;
        }
        self.ledger.submit(id, &submission).await?;
        tracing::info!(batch = %id, slot = certified.batch.slot(), %tx, block = receipt.block_number, gas = receipt.gas_used, ended = outcomes.ends.len(), not_handed_over = outcomes.notes.len(), "submission mined");
        self.settle(id, &certified.batch, outcomes).await?;
        if again {
            self.again(certified, submission.attempt);
        }
        Ok(true)
    }

    /// A flight without receipt: sent again, replaced, or given up.
    async fn missing(&mut self, mut flight: Flight) -> Fate {
        let id = flight.flight.certified.id();
        if matches!(flight.flight.submission.stage, Stage::Mined { .. }) {
            tracing::warn!(batch = %id, "a mined submission was reorganised away; it is sent again");
            flight.flight.submission.stage = Stage::Sent;
        }
        let Some(last) = flight.flight.submission.signed.last().cloned() else { return Fate::Down };
        let now_ms = self.clock.now_ms();
        if flight.sent_at.elapsed() >= Duration::from_millis(self.config.rebroadcast_ms) {
            flight.sent_at = Instant::now();
            if submit::send(&self.rpc, &last).await == Handed::NonceTaken {
                flight.lost_looks += 1;
            } else {
                flight.lost_looks = 0;
            }
        }
        if flight.lost_looks >= LOST_LOOKS {
            tracing::warn!(batch = %id, nonce = flight.flight.submission.nonce, "another transaction used the nonce; does somebody else use the submitter key?");
            count("lost");
            self.again(&flight.flight.certified, flight.flight.submission.attempt);
            return Fate::Down;
        }
        if now_ms.saturating_sub(last.at_ms) >= self.config.stuck_ms {
            // Never waiting: the two stages would wait for each other.
            return match self.submit.try_send(Order::Replace(flight.flight.clone()), Deadline::NONE) {
                Ok(()) => Fate::Down,
                Err(_full) => Fate::Flying(flight),
            };
        }
        Fate::Flying(flight)
    }

    /// Has the certificate submitted anew, when that still makes sense.
    fn again(&self, certified: &Arc<Certified>, attempt: u32) {
        let over = certified.batch.valid_until().saturating_mul(1000) <= self.clock.now_ms();
        if over || attempt >= self.config.max_attempts {
            return;
        }
        let order = Order::Submit { certified: certified.clone(), attempt: attempt + 1 };
        if self.submit.try_send(order, Deadline::NONE).is_err() {
            tracing::warn!(batch = %certified.batch.id, "no room to submit a certificate again; it is left to expire");
        }
    }

    async fn unsent(&mut self, certified: &Arc<Certified>, reason: String) -> Result<(), Blind> {
        let id = certified.id();
        let notes = decided(certified).into_iter().map(|place| (place, reason.clone())).collect();
        self.ledger.note(id, notes).await?;
        // Most often somebody else was faster: then it is on the chain already.
        if let Some(unfinished) = self.ledger.batch(id)? {
            let mut outcomes = self.search(&unfinished).await?;
            let own = self.ledger.states(id)?;
            outcomes.ends.retain(|place, _| own.contains_key(place));
            self.settle(id, &unfinished.batch, outcomes).await?;
        }
        Ok(())
    }

    /// Ends what the chain's time has passed.
    async fn write_off(&mut self, head: Head) -> Result<(), Blind> {
        let before = head.timestamp.saturating_sub(self.config.reorg_margin_seconds);
        for id in self.ledger.overdue(before).into_iter().take(WRITTEN_OFF_AT_ONCE) {
            let Some(unfinished) = self.ledger.batch(id)? else { continue };
            let mut outcomes = self.search(&unfinished).await?;
            outcomes.notes.extend(unfinished.notes.clone());
            // Each part ends its own tasks.
            let own = self.ledger.states(id)?;
            outcomes.ends.retain(|place, _| own.contains_key(place));
            for (place, state) in own {
                let verdict = unfinished.certified.as_ref().and_then(|c| c.verdicts.0.get(usize::from(place))).copied();
                let note = outcomes.notes.get(&place);
                let end = written_off(&state, verdict, note);
                outcomes.ends.entry(place).or_insert(end);
            }
            self.settle(id, &unfinished.batch, outcomes).await?;
        }
        Ok(())
    }

    async fn settle(&mut self, id: PartId, batch: &Batch, outcomes: Outcomes) -> Result<(), Blind> {
        if !outcomes.notes.is_empty() {
            self.ledger.note(id, outcomes.notes).await?;
        }
        if outcomes.ends.is_empty() {
            return Ok(());
        }
        let now_ms = self.clock.now_ms();
        let ended = self.ledger.end(batch, outcomes.ends.into_iter().collect(), now_ms).await?;
        self.ledger_check.ready();
        self.report.ended(&ended, now_ms);
        for moved in &ended {
            if let TaskState::FailedOnChain { reason } | TaskState::Expired { reason } = &moved.state {
                tracing::warn!(batch = %id, slot = moved.slot, state = moved.state.label(), reason, "a task did not execute");
            }
        }
        Ok(())
    }

    /// What the EntryPoint's events say of a batch, whoever carried it.
    async fn search(&self, unfinished: &Unfinished) -> Result<Outcomes, RpcError> {
        let head = self.heads.latest().map_or(0, |head| head.number);
        let from = if unfinished.since_block == 0 { head.saturating_sub(SEARCHED) } else { unfinished.since_block };
        let topics =
            [EntryPoint::UserOperationEvent::SIGNATURE_HASH, EntryPoint::UserOperationRevertReason::SIGNATURE_HASH];
        let asked = json!([{
            "address": [self.contracts.entry_point],
            "topics": [topics, unfinished.batch.hashes],
            "fromBlock": U64::from(from),
            "toBlock": "latest",
        }]);
        let logs: Vec<Log> = self.rpc.ask_for(Request::new("eth_getLogs", &asked)).await?;
        let mut outcomes = read(&unfinished.batch, &self.domain, &self.contracts, &logs);
        if unfinished.submission.is_none() {
            // Nothing of this batch was ever sent: another batch carried the operation.
            for end in outcomes.ends.values_mut() {
                if let TaskState::Executed { tx } = end {
                    *end = TaskState::Superseded { tx: *tx };
                }
            }
        }
        Ok(outcomes)
    }

    /// Why a mined transaction reverted: it is run again at the block before.
    async fn revert_reason(&self, certified: &Certified, gas: u64, receipt: &Receipt) -> String {
        let asked = json!([
            {
                "from": self.account.address(), "to": self.contracts.attestation_center,
                "data": call::submit(certified), "gas": U64::from(gas),
            },
            U64::from(receipt.block_number.saturating_sub(1)),
        ]);
        match self.rpc.ask(Request::new("eth_call", &asked)).await {
            Err(RpcError::Reverted(data)) => call::reason(&data),
            _ if receipt.gas_used.saturating_mul(64) >= gas.saturating_mul(63) => "it ran out of gas".to_owned(),
            _ => "it reverted, and does not when run again".to_owned(),
        }
    }
}

/// The places of the tasks that a certificate decides.
fn decided(certified: &Certified) -> Vec<u16> {
    let places = (0u16..).zip(&certified.verdicts.0);
    places.filter(|(_, verdict)| **verdict != Verdict::Abstain).map(|(place, _)| place).collect()
}

fn count(outcome: &'static str) {
    counter!("ditto_aggregator_submissions_total", "outcome" => outcome).increment(1);
}
