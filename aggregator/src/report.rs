//! What is shown of the aggregator's work: metrics by state, and the last slots one by one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use alloy::primitives::{B256, U256};
use ditto_core::clock::{Slot, SlotSchedule};
use ditto_core::telemetry::status::Done;
use ditto_core::{p2p, stage, store, telemetry};
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use serde::Serialize;
use serde_json::{Value, json};

use crate::batch::Certified;
use crate::ledger::{Moved, TaskState};
use crate::submit::Hindrance;
use crate::votes;

/// How many slots `/status` shows.
const SHOWN: usize = 64;
const TASKS: &str = "ditto_aggregator_tasks_total";
const STATES: [&str; 8] =
    ["proposed", "certified", "submitted", "executed", "rejected", "failed", "superseded", "expired"];
const SUBMISSIONS: [&str; 9] =
    ["sent", "replaced", "cancelled", "filled", "mined", "reverted", "dropped", "lost", "reorganised"];

/// One slot's tasks.
#[derive(Clone, Debug, Default, Serialize)]
struct SlotReport {
    proposed: u64,
    approved: u64,
    rejected: u64,
    executed: u64,
    failed: u64,
    superseded: u64,
    expired: u64,
    /// From the batch's first sight to its certificate, per batch.
    quorum_ms: Vec<u64>,
    /// From the slot's start to the execution seen, per task.
    due_to_executed_ms: Vec<u64>,
}

/// The report. Clones write to the same.
#[derive(Clone)]
pub struct Report {
    schedule: SlotSchedule,
    slots: Arc<Mutex<BTreeMap<Slot, SlotReport>>>,
    last: Arc<Mutex<Last>>,
}

/// What was done last.
#[derive(Clone, Debug, Default)]
pub struct Last {
    certificate: Option<(Done, Instant)>,
    submission: Option<(Done, Instant)>,
    balance: Option<(U256, Instant)>,
}

impl Last {
    /// The last certificate.
    #[must_use]
    pub fn certificate(&self) -> Option<Done> {
        self.certificate.as_ref().map(aged)
    }

    /// The last transaction that a block took.
    #[must_use]
    pub fn submission(&self) -> Option<Done> {
        self.submission.as_ref().map(aged)
    }

    /// The submitter's balance in wei, and the seconds since it was read.
    #[must_use]
    pub fn balance(&self) -> Option<(U256, u64)> {
        self.balance.map(|(wei, at)| (wei, at.elapsed().as_secs()))
    }
}

fn aged((done, at): &(Done, Instant)) -> Done {
    Done { age_seconds: at.elapsed().as_secs(), ..done.clone() }
}

impl Report {
    /// An empty report; every series is exported as zero.
    #[must_use]
    pub fn new(schedule: SlotSchedule) -> Self {
        describe();
        Self { schedule, slots: Arc::default(), last: Arc::default() }
    }

    /// Tasks were proposed.
    pub fn proposed(&self, slot: Slot, tasks: usize) {
        counter!(TASKS, "state" => "proposed").increment(tasks as u64);
        self.at(slot, |report| report.proposed += tasks as u64);
    }

    /// A batch has its certificate.
    #[allow(clippy::cast_precision_loss)] // milliseconds and votes are small
    pub fn certified(&self, certified: &Certified, moved: &[Moved], now_ms: u64) {
        counter!("ditto_aggregator_certificates_total").increment(1);
        counter!(TASKS, "state" => "certified").increment(moved.len() as u64);
        let took = now_ms.saturating_sub(certified.batch.seen_ms);
        histogram!("ditto_aggregator_proposed_to_quorum_seconds").record(took as f64 / 1000.0);
        histogram!("ditto_aggregator_certificate_signers").record(certified.signers.len() as f64);
        let done = Done {
            slot: Some(certified.batch.slot()),
            what: certified.id().to_string(),
            outcome: format!("{} signers", certified.signers.len()),
            age_seconds: 0,
        };
        self.lock_last().certificate = Some((done, Instant::now()));
        let bytes = certified.verdicts.bytes();
        self.at(certified.batch.slot(), |report| {
            report.approved += bytes.iter().filter(|byte| **byte == 0).count() as u64;
            report.quorum_ms.push(took);
        });
    }

    /// Tasks ended.
    #[allow(clippy::cast_precision_loss)] // as above
    pub fn ended(&self, moved: &[Moved], now_ms: u64) {
        for Moved { slot, state } in moved {
            counter!(TASKS, "state" => state.label()).increment(1);
            let since = now_ms.saturating_sub(self.schedule.start_seconds(*slot).saturating_mul(1000));
            if matches!(state, TaskState::Executed { .. }) {
                histogram!("ditto_aggregator_due_to_executed_seconds").record(since as f64 / 1000.0);
            }
            self.at(*slot, |report| match state {
                TaskState::Executed { .. } => {
                    report.executed += 1;
                    report.due_to_executed_ms.push(since);
                }
                TaskState::Rejected { .. } => report.rejected += 1,
                TaskState::FailedOnChain { .. } => report.failed += 1,
                TaskState::Superseded { .. } => report.superseded += 1,
                TaskState::Expired { .. } => report.expired += 1,
                TaskState::Proposed | TaskState::Certified | TaskState::Submitted => {}
            });
        }
    }

    /// A transaction of ours came to its end in a block.
    pub fn submitted(&self, slot: Slot, tx: B256, outcome: &'static str) {
        let done = Done { slot: Some(slot), what: tx.to_string(), outcome: outcome.to_owned(), age_seconds: 0 };
        self.lock_last().submission = Some((done, Instant::now()));
    }

    /// The submitter's balance was read.
    pub fn balance(&self, wei: U256) {
        gauge!("ditto_aggregator_balance_wei").set(f64::from(wei));
        self.lock_last().balance = Some((wei, Instant::now()));
    }

    /// What was done last.
    #[must_use]
    pub fn last(&self) -> Last {
        self.lock_last().clone()
    }

    fn lock_last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last slots, oldest first.
    #[must_use]
    pub fn show(&self) -> Value {
        json!(*self.slots.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn at(&self, slot: Slot, change: impl FnOnce(&mut SlotReport)) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        change(slots.entry(slot).or_default());
        while slots.len() > SHOWN {
            slots.pop_first();
        }
    }
}

/// Describes everything that an aggregator exports: its own metrics, its stages', its store's and its process's.
pub fn describe_all() {
    telemetry::describe();
    stage::describe();
    store::describe();
    p2p::describe();
    ditto_core::chain::describe();
    describe();
}

fn describe() {
    describe_counter!(TASKS, Unit::Count, "Tasks that reached a state; the ends are reached once per task.");
    for state in STATES {
        counter!(TASKS, "state" => state).increment(0);
    }
    describe_counter!("ditto_aggregator_batches_total", Unit::Count, "Proposed batches heard of, by fate.");
    counter!("ditto_aggregator_batches_total", "fate" => "accepted").increment(0);
    describe_counter!("ditto_aggregator_certificates_total", Unit::Count, "Batches with a quorum behind them.");
    counter!("ditto_aggregator_certificates_total").increment(0);
    describe_counter!("ditto_aggregator_pairings_total", Unit::Count, "Pairings computed to check votes.");
    counter!("ditto_aggregator_pairings_total").increment(0);
    describe_histogram!(
        "ditto_aggregator_proposed_to_quorum_seconds",
        Unit::Seconds,
        "From a batch's first sight to its certificate."
    );
    describe_histogram!(
        "ditto_aggregator_due_to_executed_seconds",
        Unit::Seconds,
        "From the start of a task's slot to its execution seen on the chain."
    );
    describe_histogram!("ditto_aggregator_certificate_signers", Unit::Count, "Signers of a certificate.");
    describe_counter!("ditto_aggregator_submissions_total", Unit::Count, "Submissions by outcome.");
    for outcome in SUBMISSIONS {
        counter!("ditto_aggregator_submissions_total", "outcome" => outcome).increment(0);
    }
    describe_counter!(
        "ditto_aggregator_hindrances_total",
        Unit::Count,
        "Tries to submit a certificate that were not carried out, by what hindered them; most are tried again."
    );
    for hindrance in Hindrance::LABELS {
        counter!("ditto_aggregator_hindrances_total", "hindrance" => hindrance).increment(0);
    }
    describe_counter!("ditto_aggregator_gas_used_total", Unit::Count, "Gas of mined submissions.");
    counter!("ditto_aggregator_gas_used_total").increment(0);
    describe_histogram!("ditto_aggregator_submission_gas", Unit::Count, "Gas of one mined submission.");
    describe_counter!("ditto_aggregator_fees_gwei_total", Unit::Count, "Fees of mined submissions, in 1e-9 coins.");
    counter!("ditto_aggregator_fees_gwei_total").increment(0);
    describe_gauge!("ditto_aggregator_nonce", Unit::Count, "The nonce last handed out to a submission.");
    describe_gauge!("ditto_aggregator_balance_wei", Unit::Count, "The submitter's balance.");
    describe_gauge!("ditto_aggregator_operator_set_id", Unit::Count, "The operator set in force.");
    gauge!("ditto_aggregator_operator_set_id").set(0.0);
    describe_gauge!("ditto_aggregator_open_batches", Unit::Count, "Batches with tasks that have not ended.");
    votes::describe();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_counted_apart_and_only_the_last_are_kept() {
        let report = Report::new(SlotSchedule { genesis_seconds: 0, slot_seconds: 2 });
        for slot in 0..100 {
            report.proposed(slot, 2);
        }
        let tx = alloy::primitives::B256::ZERO;
        report.ended(&[Moved { slot: 99, state: TaskState::Executed { tx } }], 199_250);
        let shown = report.show();
        assert_eq!(shown.as_object().map(serde_json::Map::len), Some(SHOWN));
        assert_eq!(shown["99"]["due_to_executed_ms"], json!([1250]));
        assert_eq!((&shown["99"]["proposed"], &shown["99"]["executed"]), (&json!(2), &json!(1)));
    }
}
