//! One line per slot while the network runs.

use ditto_core::clock::Slot;

use super::ledger::{Ledger, percentile};
use super::scrape::{Heard, Scraper, SlotCounts};
use crate::nodes::{AGGREGATOR, Nodes};

/// A slot, put together from the chain and from what the processes say.
#[derive(Clone, Copy, Debug, Default)]
pub struct SlotLine {
    /// The slot.
    pub slot: Slot,
    /// Occurrences due, as the devnet computed it.
    pub due: u64,
    /// Runs that ended on the operator that ended most.
    pub simulated: u64,
    /// Tasks proposed, as the aggregator heard it.
    pub proposed: u64,
    /// Tasks that a quorum approved.
    pub approved: u64,
    /// Occurrences of this slot executed so far.
    pub executed: u64,
    /// Milliseconds from the slot's start to the execution of half of them.
    pub latency_ms: Option<u64>,
}

impl SlotLine {
    /// Puts a slot together.
    #[must_use]
    pub fn of(slot: Slot, ledger: &Ledger, scraper: &Scraper, nodes: &Nodes) -> Self {
        let counts = honest(scraper, nodes, |heard| heard.slots.get(&slot).cloned().unwrap_or_default());
        let decided = scraper.of(AGGREGATOR).and_then(|heard| heard.slots.get(&slot)).cloned().unwrap_or_default();
        let most = |field: fn(&SlotCounts) -> u64| counts.iter().map(field).max().unwrap_or_default();
        Self {
            slot,
            due: ledger.due(Some(slot)),
            simulated: most(|counts| counts.simulated),
            proposed: decided.proposed,
            approved: decided.approved,
            executed: ledger.executed(Some(slot)),
            latency_ms: percentile(&ledger.latencies(Some(slot)), 50),
        }
    }

    /// The head of the table.
    #[must_use]
    pub fn head() -> String {
        let columns = ["slot", "due", "simulated", "proposed", "approved", "executed", "latency"];
        format!(
            "{:>10} {:>6} {:>10} {:>9} {:>9} {:>9} {:>9}",
            columns[0], columns[1], columns[2], columns[3], columns[4], columns[5], columns[6]
        )
    }
}

impl std::fmt::Display for SlotLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let latency = self.latency_ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms} ms"));
        write!(
            f,
            "{:>10} {:>6} {:>10} {:>9} {:>9} {:>9} {:>9}",
            self.slot, self.due, self.simulated, self.proposed, self.approved, self.executed, latency
        )
    }
}

/// Asks for something of every honest operator that was heard.
pub fn honest<T>(scraper: &Scraper, nodes: &Nodes, ask: impl Fn(&Heard) -> T) -> Vec<T> {
    nodes.operators.iter().filter(|node| !node.byzantine).filter_map(|node| scraper.of(&node.name)).map(ask).collect()
}
