//! The last stage: what became of it, read from the chain.
//!
//! Receipts of everything in flight are asked for at every look, together with the account's nonce. A receipt that is deep
//! enough settles its batch's tasks; one that is missing for long makes a replacement; one that is gone again was
//! reorganised away and is waited for anew; a nonce that is used up without a receipt of ours is lost to somebody else.
//! What could not be sent waits here for its next try. Gaps among the nonces are filled, a node that is behind is left for
//! the next one. When the chain's time has passed a batch's validity, the EntryPoint's events are searched once more,
//! whoever sent them, and what did not happen is written off. So every recorded task ends here, exactly once, if the chain
//! answers. `docs/submission.md` has the states and what leads from one to the next.

mod outcome;
mod waiting;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy::primitives::{B256, Bytes, U64, U256};
use alloy::sol_types::{SolCall, SolEvent};
use ditto_core::chain::bindings::EntryPoint;
use ditto_core::chain::bindings::attestation_center::AttestationCenter;
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
use crate::submit::{self, Account, Hindrance, InFlight, Order, Seen, Stage, TxResult, Watch, call};
use outcome::{Log, Outcomes, Receipt, read, written_off};
use waiting::Waiting;

/// How often the balance is read.
const BALANCE_EVERY: Duration = Duration::from_secs(10);
/// How often gaps among the nonces are looked for, and how long a node that is behind is given before the next is asked.
const HEAL_EVERY: Duration = Duration::from_secs(1);
/// Batches written off at one look; the rest follows at the next.
const WRITTEN_OFF_AT_ONCE: usize = 32;
/// How many looks in a row a used-up nonce may be without a receipt of ours.
const LOST_LOOKS: u8 = 4;
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
    /// What it watches.
    pub watched: Watched,
}

/// What the stage watches, and when it looks next.
pub struct Watched {
    flights: Vec<Flight>,
    waiting: Waiting,
    look_at: Instant,
    balance_at: Instant,
    heal_at: Instant,
}

impl Default for Watched {
    fn default() -> Self {
        let now = Instant::now();
        Self { flights: Vec::new(), waiting: Waiting::default(), look_at: now, balance_at: now, heal_at: now }
    }
}

/// Something in flight, and when it is cared for.
struct Flight {
    flight: InFlight,
    sent_at: Instant,
    replace_at: Instant,
    lost_looks: u8,
}

/// What one look showed.
struct Look {
    receipts: BTreeMap<B256, Receipt>,
    /// How many transactions of the account are mined.
    mined: u64,
}

/// Why a look ended early.
#[derive(Debug, thiserror::Error)]
enum Blind {
    #[error(transparent)]
    Rpc(#[from] RpcError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl Actor for Confirm {
    type Item = Watch;
    const OUTCOMES: &'static [Outcome] = &["watched", "unsent"];

    async fn handle(&mut self, watch: Watch, _deadline: Deadline) -> Outcome {
        match watch {
            Watch::Flight(flight) => {
                let now = Instant::now();
                let replace_at = now + Duration::from_millis(self.config.stuck_ms);
                // What no node has yet is sent at the next look.
                let rebroadcast = Duration::from_millis(self.config.rebroadcast_ms);
                let unsent = flight.submission.stage == Stage::Prepared;
                let sent_at = if unsent { now.checked_sub(rebroadcast).unwrap_or(now) } else { now };
                self.watched.flights.push(Flight { flight, sent_at, replace_at, lost_looks: 0 });
                "watched"
            }
            Watch::Unsent { certified, attempt, hindrance } => {
                if let Err(error) = self.unsent(certified.clone(), attempt, &hindrance).await {
                    tracing::warn!(batch = %certified.id(), %error, "cannot settle an unsent certificate yet");
                }
                "unsent"
            }
        }
    }

    fn next_tick(&self) -> Option<Instant> {
        Some(self.watched.look_at)
    }

    async fn tick(&mut self) {
        self.watched.look_at = Instant::now() + self.config.poll();
        let Some(head) = self.heads.latest() else { return };
        for (what, looked) in [("receipts", self.look(head).await), ("expiries", self.write_off(head).await)] {
            match looked {
                Ok(()) => {}
                Err(Blind::Ledger(error)) => {
                    tracing::error!(what, %error, "the ledger does not take what happened; trying on");
                    self.ledger_check.not_ready(error.to_string());
                }
                Err(Blind::Rpc(error)) => tracing::debug!(what, %error, "cannot look at the chain; trying on"),
            }
        }
        self.try_again(head);
        #[allow(clippy::cast_precision_loss)] // a gauge
        gauge!("ditto_aggregator_open_batches").set(self.ledger.open_batches() as f64);
        self.read_balance().await;
    }
}

impl Confirm {
    /// Looks at everything in flight.
    async fn look(&mut self, head: Head) -> Result<(), Blind> {
        let heals = Instant::now() >= self.watched.heal_at;
        if heals {
            self.watched.heal_at = Instant::now() + HEAL_EVERY;
            self.leave_a_node_that_is_behind(head);
        }
        if self.watched.flights.is_empty() && !heals {
            return Ok(());
        }
        // Without every answer nothing is known to be missing.
        let look = self.ask().await?;
        if heals {
            for nonce in self.account.gaps(look.mined) {
                tracing::warn!(nonce, "nothing of ours uses this nonce, and later ones wait for it");
                self.submit.offer_now(Order::Fill { nonce }, Deadline::NONE);
            }
        }
        let mut failed = None;
        for mut flight in std::mem::take(&mut self.watched.flights) {
            match self.look_at(&mut flight, &look, head).await {
                Ok(true) => self.watched.flights.push(flight),
                Ok(false) => {}
                Err(error) => {
                    failed = Some(error);
                    self.watched.flights.push(flight);
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    async fn ask(&self) -> Result<Look, Blind> {
        let signed = self.watched.flights.iter().flat_map(|flight| &flight.flight.submission.signed);
        let hashes: Vec<B256> = signed.map(|signed| signed.hash).collect();
        // In this order, and so of one state or a later one: a nonce that is used up while its receipt was asked for a
        // moment before looks lost for one look only.
        let mut asked: Vec<_> =
            hashes.iter().map(|hash| Request::new("eth_getTransactionReceipt", &json!([hash]))).collect();
        asked.push(self.account.count());
        let mut answers = self.rpc.ask_all(asked).await;
        let shape = |cause: serde_json::Error| RpcError::Shape { chain: self.rpc.chain(), cause: cause.to_string() };
        let last = answers.pop().unwrap_or_else(|| Err(shape(serde::de::Error::custom("no answer"))))?;
        let mined = serde_json::from_str::<U64>(last.get()).map_err(shape)?.to();
        let mut receipts = BTreeMap::new();
        for (hash, answer) in hashes.into_iter().zip(answers) {
            if let Some(receipt) = serde_json::from_str::<Option<Receipt>>(answer?.get()).map_err(shape)? {
                receipts.insert(hash, receipt);
            }
        }
        Ok(Look { receipts, mined })
    }

    /// Moves a flight on; `false` when it is over, or back with the stage before.
    async fn look_at(&mut self, flight: &mut Flight, look: &Look, head: Head) -> Result<bool, Blind> {
        let submission = &flight.flight.submission;
        let receipt = submission.signed.iter().find_map(|signed| look.receipts.get(&signed.hash));
        let seen = match receipt {
            Some(receipt) => self.receipt(&flight.flight, receipt, head).await,
            None => {
                let used = look.mined > submission.nonce;
                flight.lost_looks = if used { flight.lost_looks.saturating_add(1) } else { 0 };
                if flight.lost_looks >= LOST_LOOKS { Seen::NonceUsed } else { Seen::NoReceipt }
            }
        };
        let stage = submission.stage.after(&seen);
        if stage != submission.stage {
            if matches!(submission.stage, Stage::Mined { .. }) && stage == Stage::Sent {
                counter!("ditto_aggregator_submissions_total", "outcome" => "reorganised").increment(1);
                tracing::warn!(nonce = submission.nonce, "a mined submission was reorganised away; it is sent again");
                let rebroadcast = Duration::from_millis(self.config.rebroadcast_ms);
                flight.sent_at = flight.sent_at.checked_sub(rebroadcast).unwrap_or(flight.sent_at);
            }
            let mut moved = submission.clone();
            moved.stage = stage;
            // What settles the tasks comes first: after a crash in between, the receipt is read again.
            if !moved.is_in_flight() {
                self.over(&flight.flight, &moved, receipt).await?;
            }
            if let Some(id) = flight.flight.batch() {
                self.ledger.submit(id, &moved).await?;
            }
            flight.flight.submission = moved;
        }
        if !flight.flight.submission.is_in_flight() {
            self.account.settled(flight.flight.submission.nonce);
            return Ok(false);
        }
        Ok(receipt.is_some() || self.care(flight).await)
    }

    async fn receipt(&self, flight: &InFlight, receipt: &Receipt, head: Head) -> Seen {
        let (tx, block) = (receipt.transaction_hash, receipt.block_number);
        let deep = head.number.saturating_sub(block) >= self.config.confirmations;
        let cancels = flight.submission.signed.iter().any(|signed| signed.hash == tx && signed.cancels);
        let result = match &flight.certified {
            Some(_) | None if cancels => TxResult::Cancelled,
            Some(certified) if deep && receipt.status != 1 => {
                TxResult::Reverted(self.revert_reason(certified, flight.submission.gas, receipt).await)
            }
            _ => TxResult::Done,
        };
        Seen::Receipt { tx, block, deep, result }
    }

    /// A submission has come to its end: its tasks are settled, or its certificate goes another way.
    async fn over(
        &mut self,
        flight: &InFlight,
        ended: &submit::Submission,
        receipt: Option<&Receipt>,
    ) -> Result<(), Blind> {
        if let Some(receipt) = receipt {
            counter!("ditto_aggregator_gas_used_total").increment(receipt.gas_used);
            counter!("ditto_aggregator_fees_gwei_total").increment(receipt.fee_gwei());
        }
        let Some(certified) = &flight.certified else { return Ok(()) };
        let id = certified.id();
        match &ended.stage {
            Stage::Final { tx } => {
                count("mined");
                self.report.submitted(certified.batch.slot(), *tx, "mined");
                let Some(receipt) = receipt else { return Ok(()) };
                #[allow(clippy::cast_precision_loss)] // gas is far below 2^53
                histogram!("ditto_aggregator_submission_gas").record(receipt.gas_used as f64);
                let outcomes = read(&certified.batch, &self.domain, &self.contracts, &receipt.logs);
                tracing::info!(
                    batch = %id, slot = certified.batch.slot(), %tx, block = receipt.block_number,
                    gas = receipt.gas_used, ended = outcomes.ends.len(), not_handed_over = outcomes.notes.len(),
                    "submission mined"
                );
                let (starved, missed) = (outcomes.starved, !outcomes.notes.is_empty());
                self.settle(id, &certified.batch, outcomes).await?;
                if starved {
                    self.again(certified, ended.attempt);
                } else if missed {
                    self.step_in(certified)?;
                }
            }
            Stage::Failed { reason } => {
                count("reverted");
                if let Some(receipt) = receipt {
                    self.report.submitted(certified.batch.slot(), receipt.transaction_hash, "reverted");
                }
                tracing::warn!(batch = %id, nonce = ended.nonce, reason, "a submission reverted");
                self.note(certified, reason).await?;
                self.again(certified, ended.attempt);
            }
            Stage::Lost => {
                count("lost");
                tracing::warn!(
                    batch = %id, nonce = ended.nonce,
                    "another transaction used the nonce; does somebody else use the submitter key?"
                );
                self.again(certified, ended.attempt);
            }
            Stage::Prepared | Stage::Sent | Stage::Mined { .. } | Stage::Expired => {}
        }
        Ok(())
    }

    /// A flight without receipt is sent again from time to time, and replaced when it is stuck; `false` when it went back
    /// for that.
    async fn care(&mut self, flight: &mut Flight) -> bool {
        let Some(last) = flight.flight.submission.signed.last() else { return false };
        let now = Instant::now();
        if now.saturating_duration_since(flight.sent_at) >= Duration::from_millis(self.config.rebroadcast_ms) {
            flight.sent_at = now;
            if submit::send(&self.rpc, last).await == submit::Handed::Yes {
                flight.flight.submission.stage = flight.flight.submission.stage.after(&Seen::Taken);
            }
        }
        if now < flight.replace_at {
            return true;
        }
        // Never waiting: the two stages would wait for each other.
        self.submit.try_send(Order::Replace(flight.flight.clone()), Deadline::NONE).is_err()
    }

    /// Has the certificate submitted anew, when that still makes sense; else another batch with its operations may go.
    fn again(&mut self, certified: &Arc<Certified>, attempt: u32) {
        if attempt < self.config.max_attempts {
            self.watched.waiting.at_once(certified.clone(), attempt + 1);
        } else if let Err(error) = self.step_in(certified) {
            tracing::error!(batch = %certified.id(), %error, "cannot look for another batch with these operations");
        }
    }

    /// This certificate does not get through. Others that hold the same operations were held back in its favour, and are
    /// not any more.
    fn step_in(&mut self, failed: &Certified) -> Result<(), LedgerError> {
        let flying: HashSet<PartId> = self.watched.flights.iter().filter_map(|f| f.flight.batch()).collect();
        for id in self.ledger.twins(&failed.batch) {
            if id == failed.id() || flying.contains(&id) || self.watched.waiting.contains(&id) {
                continue;
            }
            let Some(other) = self.ledger.batch(id)? else { continue };
            if let (Some(certified), None) = (other.certified, other.submission) {
                tracing::info!(batch = %id, instead_of = %failed.id(), "a certificate that was held back is submitted");
                self.watched.waiting.at_once(certified, 1);
            }
        }
        Ok(())
    }

    /// Orders what has waited long enough.
    fn try_again(&mut self, head: Head) {
        for wait in self.watched.waiting.due(head.timestamp, self.clock.now_ms()) {
            let order = Order::Submit { certified: wait.certified.clone(), attempt: wait.attempt };
            if self.submit.try_send(order, Deadline::NONE).is_err() {
                self.watched.waiting.at_once(wait.certified, wait.attempt);
            }
        }
    }

    async fn unsent(&mut self, certified: Arc<Certified>, attempt: u32, hindrance: &Hindrance) -> Result<(), Blind> {
        let id = certified.id();
        if hindrance.may_pass() {
            self.watched.waiting.hindered(certified.clone(), attempt, hindrance, &self.config);
        }
        if matches!(hindrance, Hindrance::NotYet(_)) {
            return Ok(());
        }
        let reason = hindrance.to_string();
        let known = self.ledger.batch(id)?;
        let said = known.as_ref().is_some_and(|left| left.notes.values().any(|note| *note == reason));
        if !said {
            if matches!(hindrance, Hindrance::WouldRevert(_)) {
                count("dropped");
            }
            tracing::warn!(batch = %id, attempt, reason, "a certificate is not submitted");
            if !matches!(hindrance, Hindrance::Done) {
                self.note(&certified, &reason).await?;
            }
        }
        // Most often somebody else was faster: then it is on the chain already.
        if let (Some(unfinished), Hindrance::Done | Hindrance::WouldRevert(_)) = (known, hindrance) {
            let mut outcomes = self.search(&unfinished).await?;
            let own = self.ledger.states(id)?;
            outcomes.ends.retain(|place, _| own.contains_key(place));
            self.settle(id, &unfinished.batch, outcomes).await?;
            if matches!(hindrance, Hindrance::WouldRevert(_)) && !said {
                self.step_in(&certified)?;
            }
        }
        Ok(())
    }

    async fn note(&self, certified: &Certified, reason: &str) -> Result<(), LedgerError> {
        let notes = decided(certified).into_iter().map(|place| (place, reason.to_owned())).collect();
        self.ledger.note(certified.id(), notes).await
    }

    /// Ends what the chain's time has passed.
    async fn write_off(&mut self, head: Head) -> Result<(), Blind> {
        let before = head.timestamp.saturating_sub(self.config.reorg_margin_seconds);
        // What is in a block and not yet deep enough is waited for.
        let mined = |flight: &&Flight| matches!(flight.flight.submission.stage, Stage::Mined { .. });
        let mined: HashSet<PartId> =
            self.watched.flights.iter().filter(mined).filter_map(|flight| flight.flight.batch()).collect();
        let overdue = self.ledger.overdue(before).into_iter().filter(|id| !mined.contains(id));
        for id in overdue.take(WRITTEN_OFF_AT_ONCE) {
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
        if outcomes.ends.values().any(|end| matches!(end, TaskState::Executed { .. })) {
            // Executed, and not as part of this batch: another batch carried the operation.
            let batch = unfinished.batch.id;
            let call = AttestationCenter::doneCall { proposal: batch.proposal, index: batch.index }.abi_encode();
            let asked = json!([{ "to": self.contracts.attestation_center, "data": Bytes::from(call) }, "latest"]);
            let done: U256 = self.rpc.ask_for(Request::new("eth_call", &asked)).await?;
            for (place, end) in &mut outcomes.ends {
                if let TaskState::Executed { tx } = end
                    && !done.bit(usize::from(*place))
                {
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

    /// Everything would be judged by what was; another node may know more.
    fn leave_a_node_that_is_behind(&self, head: Head) {
        let age = (self.clock.now_ms() / 1000).saturating_sub(head.timestamp);
        if age > self.config.max_head_age_seconds && self.rpc.ask_another_first() {
            tracing::warn!(age_seconds = age, "the node knows no recent block; the next one is asked");
        }
    }

    async fn read_balance(&mut self) {
        if Instant::now() < self.watched.balance_at {
            return;
        }
        self.watched.balance_at = Instant::now() + BALANCE_EVERY;
        let asked = json!([self.account.address(), "latest"]);
        if let Ok(balance) = self.rpc.ask_for::<U256>(Request::new("eth_getBalance", &asked)).await {
            self.report.balance(balance);
            if balance.is_zero() {
                tracing::error!(account = %self.account.address(), "the submitter has no funds; send some");
            }
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
