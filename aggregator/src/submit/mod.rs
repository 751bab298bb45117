//! The fourth stage: a certificate becomes one transaction.
//!
//! At the latest block it is simulated first; what would revert is not sent, and the reason goes on to be recorded. What
//! is sent follows the state machine of [`Stage`], which `docs/submission.md` describes: on the disk before on the wire.
//! Several are prepared at once, and nonces are handed out one at a time ([`Account`]). An order is tried once and never
//! waits for a node: what hinders it goes to the stage that watches the chain ([`crate::confirm`]), and from there come
//! orders to try again, to pay more, to cancel, and to fill a gap among the nonces.

mod account;
pub mod call;
mod handing;
mod nonces;
mod right_of_way;
mod state;
mod transaction;

use std::sync::Arc;

use crate::batch::PartId;
use alloy::primitives::{Address, Bytes, U64, U256};
use ditto_core::chain::{Heads, Request, Rpc, RpcError};
use ditto_core::clock::SlotClock;
use ditto_core::stage::{Deadline, Handler, Outbox, Outcome};
use metrics::counter;
use serde_json::json;

pub use account::Account;
pub use handing::{Handed, send};
pub use right_of_way::{ContractDeadline, NoTurn, RightOfWay};
pub use state::{Seen, Stage, TxResult};
pub use transaction::{Fees, Signed, Submission};

use account::Payload;

use crate::batch::Certified;
use crate::config::SubmissionConfig;
use crate::ledger::{Ledger, LedgerError};

/// How often a nonce that the node calls taken is replaced within one order.
const NONCE_TRIES: usize = 4;
/// How often one order pays more for a nonce that the node has another transaction for.
const BUMPS: usize = 8;
/// Gas of a transfer of nothing.
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
    /// Nothing of ours will use this nonce, and later ones wait for it: use it up.
    Fill {
        /// The nonce.
        nonce: u64,
    },
}

/// A submission on its way to the chain.
#[derive(Clone, Debug)]
pub struct InFlight {
    /// The certificate; none when it only fills a gap among the nonces.
    pub certified: Option<Arc<Certified>>,
    /// How it stands.
    pub submission: Submission,
}

impl InFlight {
    /// The batch it carries.
    #[must_use]
    pub fn batch(&self) -> Option<PartId> {
        self.certified.as_ref().map(|certified| certified.id())
    }
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
        /// Which attempt it was.
        attempt: u32,
        /// What hindered it.
        hindrance: Hindrance,
    },
}

/// Why an order was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Hindrance {
    /// The simulation says so.
    #[error("{0}")]
    WouldRevert(String),
    /// The chain has all of it.
    #[error("the chain has this batch already")]
    Done,
    /// Its time is over.
    #[error("its operations' validity ended before it could be sent")]
    TooLate,
    /// This node is a standby, and the aggregator still has the right of way.
    #[error("it is another's to submit before second {0}")]
    NotYet(u64),
    /// This node is an operator that may not submit.
    #[error(transparent)]
    NoTurn(#[from] NoTurn),
    /// No node answers.
    #[error("{0}")]
    Node(String),
    /// The node knows no recent block.
    #[error("the node is behind: its latest block is {0} seconds old")]
    Behind(u64),
    /// The chain wants more than is allowed.
    #[error("the base fee, {base} wei, is above the ceiling of {ceiling} (submission.max_fee_wei)")]
    Fees {
        /// What the chain wants, in wei per gas.
        base: u128,
        /// What is allowed, in wei per gas.
        ceiling: u64,
    },
    /// The account cannot pay.
    #[error("the submitter has {balance} wei, and needs {needed}: send it funds")]
    Funds {
        /// What it has, in wei.
        balance: U256,
        /// What it needs, in wei.
        needed: U256,
    },
    /// Foreign transactions keep taking the nonces.
    #[error("the node takes none of the nonces it names")]
    Nonce,
    /// The key refuses.
    #[error("the submitter key does not sign")]
    Key,
    /// It cannot be recorded, so it may not be sent.
    #[error("{0}")]
    Ledger(String),
}

impl Hindrance {
    /// The metric's label.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::WouldRevert(_) => "would_revert",
            Self::Done => "done",
            Self::TooLate => "too_late",
            Self::NotYet(_) => "not_yet",
            Self::NoTurn(_) => "no_turn",
            Self::Node(_) => "node",
            Self::Behind(_) => "behind",
            Self::Fees { .. } => "fees",
            Self::Funds { .. } => "funds",
            Self::Nonce => "nonce",
            Self::Key => "key",
            Self::Ledger(_) => "ledger",
        }
    }

    /// All labels.
    pub const LABELS: [&'static str; 12] = [
        "would_revert",
        "done",
        "too_late",
        "not_yet",
        "no_turn",
        "node",
        "behind",
        "fees",
        "funds",
        "nonce",
        "key",
        "ledger",
    ];

    /// May it be gone at the next try? Also what would revert may pass: a node was behind, an account got its funds.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        !matches!(self, Self::Done | Self::TooLate | Self::Key)
    }
}

impl From<RpcError> for Hindrance {
    fn from(error: RpcError) -> Self {
        Self::Node(error.to_string())
    }
}

impl From<LedgerError> for Hindrance {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error.to_string())
    }
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
    /// Whose turn it is.
    pub right_of_way: RightOfWay,
    /// When others than the aggregator may submit.
    pub deadline: ContractDeadline,
    /// Where it is recorded.
    pub ledger: Ledger,
    /// The time.
    pub clock: SlotClock,
    /// Who looks for the receipt.
    pub confirm: Outbox<Watch>,
}

impl Handler for Submit {
    type Item = Order;
    const OUTCOMES: &'static [Outcome] = &["sent", "hindered", "replaced", "cancelled", "filled", "not_replaced"];

    async fn handle(&self, order: Order, _deadline: Deadline) -> Outcome {
        match order {
            Order::Submit { certified, attempt } => match self.submit(&certified, attempt).await {
                Ok(submission) => {
                    count("sent");
                    self.watch(Watch::Flight(InFlight { certified: Some(certified), submission })).await;
                    "sent"
                }
                Err(hindrance) => {
                    counter!("ditto_aggregator_hindrances_total", "hindrance" => hindrance.label()).increment(1);
                    self.watch(Watch::Unsent { certified, attempt, hindrance }).await;
                    "hindered"
                }
            },
            Order::Replace(flight) => self.replace(flight).await,
            Order::Fill { nonce } => self.fill(nonce).await,
        }
    }
}

impl Submit {
    async fn submit(&self, certified: &Arc<Certified>, attempt: u32) -> Result<Submission, Hindrance> {
        if self.too_late(certified) {
            return Err(Hindrance::TooLate);
        }
        self.is_behind()?;
        self.has_the_right_of_way(certified).await?;
        let data = call::submit(certified);
        for _ in 0..NONCE_TRIES {
            // Again for every nonce: a transaction of ours may have been mined although its answer was lost.
            let gas = self.simulate(certified, &data).await?;
            let fees = self.fees().await?;
            self.can_pay(gas, fees).await?;
            let turn = self.account.turn(&self.rpc).await?;
            let mut submission = Submission::prepared(turn.nonce(), gas, attempt);
            let payload = Payload { to: self.attestation_center, data: data.clone(), gas };
            let handed = self.push(Some(certified.id()), &mut submission, &payload, fees, false).await?;
            if handed == Handed::NonceTaken && !self.is_mined(&submission).await? {
                let mined = self.account.mined(&self.rpc).await?;
                turn.taken(mined);
                continue;
            }
            turn.used();
            tracing::info!(
                batch = %certified.id(), slot = certified.batch.slot(), attempt, nonce = submission.nonce, gas,
                max_fee_wei = fees.max, ?handed, tx = %submission.signed.last().map(|s| s.hash).unwrap_or_default(),
                "submitted"
            );
            return Ok(submission);
        }
        Err(Hindrance::Nonce)
    }

    fn too_late(&self, certified: &Certified) -> bool {
        certified.batch.valid_until().saturating_mul(1000) <= self.clock.now_ms()
    }

    /// A node that is behind would simulate the past, and name used nonces.
    fn is_behind(&self) -> Result<(), Hindrance> {
        let Some(head) = self.heads.latest() else { return Err(Hindrance::Node("no node has answered yet".into())) };
        let age = (self.clock.now_ms() / 1000).saturating_sub(head.timestamp);
        if age > self.config.max_head_age_seconds { Err(Hindrance::Behind(age)) } else { Ok(()) }
    }

    /// Others than the aggregator wait until the contract lets them submit, and then for those before them.
    async fn has_the_right_of_way(&self, certified: &Certified) -> Result<(), Hindrance> {
        let batch = &certified.batch;
        let Some(after) = self.right_of_way.after_deadline(batch, self.account.address())? else { return Ok(()) };
        let deadline = self.deadline.seconds(&self.rpc, self.attestation_center).await?;
        // By the chain's clock, which the contract asks.
        let head = self.heads.latest().map_or(0, |head| head.timestamp);
        right_of_way::not_before(self.clock.schedule(), batch, deadline, after, head)
    }

    /// Runs the call at the latest block, and gives its gas limit.
    async fn simulate(&self, certified: &Certified, data: &Bytes) -> Result<u64, Hindrance> {
        let asked = json!([{ "to": self.attestation_center, "data": call::required_gas(certified) }, "latest"]);
        let required: U256 = match self.rpc.ask_for(Request::new("eth_call", &asked)).await {
            Err(RpcError::Reverted(data)) => return Err(Hindrance::WouldRevert(call::reason(&data))),
            required => required?,
        };
        let required = u64::try_from(required).unwrap_or(u64::MAX);
        let gas = call::gas_limit(certified, data, required, self.config.gas_margin_percent);
        let asked = json!([
            { "from": self.account.address(), "to": self.attestation_center, "data": data, "gas": U64::from(gas) },
            "latest"
        ]);
        match self.rpc.ask(Request::new("eth_call", &asked)).await {
            Err(RpcError::Reverted(data)) if call::is_done(&data) => Err(Hindrance::Done),
            Err(RpcError::Reverted(data)) => Err(Hindrance::WouldRevert(call::reason(&data))),
            Err(error) => Err(error.into()),
            Ok(_) => Ok(gas),
        }
    }

    async fn fees(&self) -> Result<Fees, Hindrance> {
        let offered = self.rpc.ask_for::<U256>(Request::new("eth_maxPriorityFeePerGas", &json!([]))).await;
        // A node without the method gets the floor; one that is down is met again when sending.
        let offered = offered.map_or(0, |fee| u64::try_from(fee).unwrap_or(u64::MAX));
        let (base, ceiling) = (self.heads.latest().map_or(0, |head| head.base_fee), self.config.max_fee_wei);
        // What is below the base fee is not mined, and would only hold a nonce.
        if base > u128::from(ceiling) {
            return Err(Hindrance::Fees { base, ceiling });
        }
        Ok(Fees::now(base, offered, self.config.min_priority_fee_wei, ceiling))
    }

    /// Looks before a nonce is taken: without funds the next transactions would all wait in line.
    async fn can_pay(&self, gas: u64, fees: Fees) -> Result<(), Hindrance> {
        let asked = json!([self.account.address(), "latest"]);
        let balance: U256 = self.rpc.ask_for(Request::new("eth_getBalance", &asked)).await?;
        let needed = U256::from(gas).saturating_mul(U256::from(fees.max));
        if balance < needed { Err(Hindrance::Funds { balance, needed }) } else { Ok(()) }
    }

    /// Signs, records, sends; and pays more while the node has another transaction with this nonce.
    async fn push(
        &self,
        batch: Option<PartId>,
        submission: &mut Submission,
        payload: &Payload,
        mut fees: Fees,
        cancels: bool,
    ) -> Result<Handed, Hindrance> {
        let mut handed = Handed::No;
        for _ in 0..BUMPS {
            let signed = self
                .account
                .sign(submission.nonce, payload, fees, self.clock.now_ms(), cancels)
                .ok_or(Hindrance::Key)?;
            submission.signed.push(signed.clone());
            // On the disk first: from here on a crash sends these bytes again, or finds them mined.
            if let Err(error) = self.record(batch, submission).await {
                submission.signed.pop();
                return Err(error.into());
            }
            handed = send(&self.rpc, &signed).await;
            match fees.replacing(&signed, self.config.fee_bump_percent, self.config.max_fee_wei) {
                Some(more) if handed == Handed::Underpriced => fees = more,
                _ => break,
            }
        }
        let stage = if handed == Handed::Yes { submission.stage.after(&Seen::Taken) } else { submission.stage.clone() };
        if stage != submission.stage {
            submission.stage = stage;
            if let Err(error) = self.record(batch, submission).await {
                // It is on its way; that it was prepared is on the disk, and a restart would send it again.
                tracing::error!(nonce = submission.nonce, %error, "cannot record that a transaction was sent");
            }
        }
        Ok(handed)
    }

    async fn record(&self, batch: Option<PartId>, submission: &Submission) -> Result<(), LedgerError> {
        match batch {
            Some(id) => self.ledger.submit(id, submission).await,
            // What only fills a gap is found missing again after a crash.
            None => Ok(()),
        }
    }

    /// Is one of its transactions in a block? Then it was ours that used the nonce, and only the answer was lost.
    async fn is_mined(&self, submission: &Submission) -> Result<bool, Hindrance> {
        for signed in &submission.signed {
            let asked = Request::new("eth_getTransactionReceipt", &json!([signed.hash]));
            if self.rpc.ask_for::<Option<serde::de::IgnoredAny>>(asked).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn replace(&self, mut flight: InFlight) -> Outcome {
        let outcome = self.replaced(&mut flight).await;
        self.watch(Watch::Flight(flight)).await;
        outcome
    }

    async fn replaced(&self, flight: &mut InFlight) -> Outcome {
        let nonce = flight.submission.nonce;
        let Some(last) = flight.submission.signed.last().cloned() else { return "not_replaced" };
        let wanted = flight.certified.as_ref().filter(|certified| !self.too_late(certified));
        let payload = match wanted {
            Some(certified) => {
                let data = call::submit(certified);
                Payload { to: self.attestation_center, data, gas: flight.submission.gas }
            }
            None => self.nothing(),
        };
        let cancels = wanted.is_none();
        let (batch, ceiling) = (flight.batch(), self.config.max_fee_wei);
        // With a base fee above the ceiling there is nothing to gain either.
        let fees = self.fees().await.ok().and_then(|f| f.replacing(&last, self.config.fee_bump_percent, ceiling));
        let Some(fees) = fees else {
            tracing::warn!(nonce, ceiling, "stuck at the highest fee allowed (submission.max_fee_wei)");
            return "not_replaced";
        };
        if let Err(error) = self.push(batch, &mut flight.submission, &payload, fees, cancels).await {
            tracing::error!(nonce, %error, "a replacement is not sent");
            return "not_replaced";
        }
        let outcome = if cancels { "cancelled" } else { "replaced" };
        count(outcome);
        let tx = flight.submission.signed.last().map(|signed| signed.hash).unwrap_or_default();
        tracing::warn!(nonce, %tx, max_fee_wei = fees.max, outcome, "a stuck transaction is replaced");
        outcome
    }

    /// Uses up a nonce that nothing else will.
    async fn fill(&self, nonce: u64) -> Outcome {
        let mut submission = Submission::prepared(nonce, CANCEL_GAS, 1);
        let payload = self.nothing();
        let pushed = match self.fees().await {
            Ok(fees) => self.push(None, &mut submission, &payload, fees, true).await,
            Err(error) => Err(error),
        };
        match pushed {
            // Used by whoever: the gap is closed.
            Ok(Handed::NonceTaken) => "not_replaced",
            Ok(_) => {
                count("filled");
                tracing::warn!(nonce, "a gap among the nonces is filled");
                self.account.used(nonce);
                self.watch(Watch::Flight(InFlight { certified: None, submission })).await;
                "filled"
            }
            Err(error) => {
                tracing::warn!(nonce, %error, "a gap among the nonces is not filled yet");
                "not_replaced"
            }
        }
    }

    /// A transfer of nothing to itself.
    fn nothing(&self) -> Payload {
        Payload { to: self.account.address(), data: Bytes::new(), gas: CANCEL_GAS }
    }

    async fn watch(&self, watch: Watch) {
        // Refused only when the next stage has ended; the ledger knows, and the next start goes on.
        drop(self.confirm.send(watch, Deadline::NONE).await);
    }
}

fn count(outcome: &'static str) {
    counter!("ditto_aggregator_submissions_total", "outcome" => outcome).increment(1);
}
