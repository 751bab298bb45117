//! What a run came to.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::audit::Audit;
use crate::gas::Gas;
use crate::nodes::{AGGREGATOR, Nodes};
use crate::observe::ledger::{Fate, Ledger, percentile};
use crate::observe::scrape::{Scraper, SlotCounts};
use crate::observe::slots::honest;
use crate::options::Options;
use crate::setup::workflows::Window;

/// The report, as it is written to the file.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Every due occurrence was executed exactly once.
    pub ok: bool,
    /// Counted slots.
    pub slots: u64,
    /// The first of them.
    pub first_slot: u64,
    /// Length of a slot.
    pub slot_seconds: u64,
    /// Operators.
    pub operators: u64,
    /// Of these, misbehaving ones.
    pub byzantine: u64,
    /// And those that disagree about some operations.
    pub dissenting: u64,
    /// How often attesters were asked to vote on a batch in parts, by whoever collected votes.
    pub splits: u64,
    /// The cap on attesters; 0: none.
    pub max_attesters: u16,
    /// Honest workflows.
    pub workflows: u64,
    /// Occurrences that had to execute, computed by the devnet from triggers and slot times.
    pub due_expected: u64,
    /// The same by trigger, and how many of them executed.
    pub by_trigger: BTreeMap<&'static str, ByTrigger>,
    /// Occurrences that operators saw as due in the counted slots (the operator that saw most). Occurrences that are
    /// tried again, and a hostile workflow's, count here too.
    pub due: u64,
    /// Simulations that ended, on the operator that ended most.
    pub simulated: u64,
    /// Tasks proposed.
    pub proposed: u64,
    /// Tasks that a quorum approved.
    pub approved: u64,
    /// Tasks that a quorum rejected.
    pub rejected: u64,
    /// Tasks that no quorum decided in time.
    pub expired: u64,
    /// Tasks whose occurrence was executed by another operation, such as a fallback performer's.
    pub superseded: u64,
    /// Occurrences that executed: reported by the EntryPoint and counted by the target.
    pub executed: u64,
    /// Occurrences that executed more than once.
    pub executed_twice: u64,
    /// Occurrences that neither executed nor are known to be rejected.
    pub lost: u64,
    /// Operations that reached the chain and whose calls reverted.
    pub failed: u64,
    /// Operations of the accounts that stand for no due occurrence.
    pub unexpected: u64,
    /// Latencies.
    pub latency_ms: Latencies,
    /// Gas.
    pub gas: Gas,
    /// The hostile workflow, apart from everything above but `due`, `simulated`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostile: Option<Hostile>,
    /// What killing the aggregator came to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aggregator: Option<Audit>,
    /// The operator that was killed on purpose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub killed: Option<Killed>,
}

/// Occurrences of one kind of trigger.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ByTrigger {
    /// How many had to execute.
    pub due: u64,
    /// How many did.
    pub executed: u64,
}

/// Who was killed just before a slot it was elected for, and who stepped in.
#[derive(Clone, Debug, Serialize)]
pub struct Killed {
    /// The slot.
    pub slot: u64,
    /// Who was elected for it.
    pub operator: String,
    /// Whose proposal was certified.
    pub performed_by: Option<String>,
    /// That operator's rank; 0 is the elected one's.
    pub rank: Option<usize>,
}

/// Latencies in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Latencies {
    /// From a slot's start until the devnet sees the block with the operation (it looks every 50 ms).
    pub due_to_executed: Percentiles,
    /// From a proposal's arrival at the aggregator to its certificate.
    pub proposed_to_quorum: Percentiles,
}

/// Half and nearly all; nothing when nothing was measured.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Percentiles {
    /// The median.
    pub p50: Option<u64>,
    /// Ninety-nine of a hundred are at most this.
    pub p99: Option<u64>,
}

/// What operators made of the hostile workflow.
#[derive(Clone, Debug, Serialize)]
pub struct Hostile {
    /// Occurrences in the counted slots.
    pub due: u64,
    /// How one operator's runs ended, by outcome, all workflows together.
    pub outcomes: BTreeMap<String, u64>,
}

impl Report {
    /// Puts the report together. The ledger must hold what the target counted.
    #[must_use]
    pub fn new(options: &Options, window: Window, ledger: &Ledger, scraper: &Scraper, nodes: &Nodes, gas: Gas) -> Self {
        let of_slots = |field: fn(&SlotCounts) -> u64| -> u64 {
            (window.first..=window.last())
                .filter_map(|slot| {
                    honest(scraper, nodes, |heard| heard.slots.get(&slot).map(field).unwrap_or_default())
                        .into_iter()
                        .max()
                })
                .sum()
        };
        // What is tried again is proposed in later slots; workflows that stay due are proposed there too.
        let until = if window.open_ended { window.last() } else { u64::MAX };
        let decided: Vec<&SlotCounts> = scraper
            .of(AGGREGATOR)
            .map(|heard| heard.slots.range(window.first..=until).map(|(_, counts)| counts).collect())
            .unwrap_or_default();
        let tasks = |field: fn(&SlotCounts) -> u64| decided.iter().map(|counts| field(counts)).sum();
        let mut quorum: Vec<u64> = decided.iter().flat_map(|counts| counts.quorum_ms.iter().copied()).collect();
        quorum.sort_unstable();
        let latencies = ledger.latencies(None);
        let count = |wanted: fn(&Fate) -> bool| ledger.fates().filter(|(_, fate)| wanted(fate)).count() as u64;
        let due_expected = ledger.due(None);
        let executed = count(|fate| !fate.executed.is_empty() && fate.counted > 0);
        let executed_twice = count(|fate| fate.executed.len() > 1 || fate.counted > 1);
        let lost = count(|fate| (fate.executed.is_empty() || fate.counted == 0) && fate.rejected == 0);
        Self {
            ok: due_expected == executed && executed_twice == 0 && lost == 0,
            slots: window.slots,
            first_slot: window.first,
            slot_seconds: options.slot_seconds,
            operators: options.operators,
            byzantine: options.byzantine,
            dissenting: options.dissenting,
            splits: nodes
                .all()
                .filter_map(|node| scraper.of(&node.name))
                .map(|heard| heard.metrics.total("ditto_aggregator_splits_total"))
                .sum(),
            max_attesters: options.max_attesters,
            workflows: options.workflows,
            due_expected,
            by_trigger: ledger
                .by_trigger()
                .into_iter()
                .map(|(name, (due, executed))| (name, ByTrigger { due, executed }))
                .collect(),
            due: of_slots(|counts| counts.due),
            simulated: of_slots(|counts| counts.simulated),
            proposed: tasks(|counts| counts.proposed),
            approved: tasks(|counts| counts.approved),
            rejected: tasks(|counts| counts.rejected),
            expired: tasks(|counts| counts.expired),
            superseded: tasks(|counts| counts.superseded),
            executed,
            executed_twice,
            lost,
            failed: ledger.fates().map(|(_, fate)| fate.failed).sum(),
            unexpected: ledger.unexpected(),
            latency_ms: Latencies {
                due_to_executed: Percentiles { p50: percentile(&latencies, 50), p99: percentile(&latencies, 99) },
                proposed_to_quorum: Percentiles { p50: percentile(&quorum, 50), p99: percentile(&quorum, 99) },
            },
            gas,
            killed: None,
            aggregator: None,
            hostile: options.hostile_workflow.then(|| Hostile {
                due: window.slots,
                outcomes: honest(scraper, nodes, |heard| {
                    heard.metrics.by_label("ditto_operator_simulations_total", "outcome")
                })
                .into_iter()
                .max_by_key(|outcomes| outcomes.values().sum::<u64>())
                .unwrap_or_default(),
            }),
        }
    }
}
