//! What became of every occurrence that was due, by the chain alone.

use std::collections::{BTreeMap, HashMap};

use alloy::primitives::{Address, B256, U256};
use ditto_core::clock::{Slot, SlotSchedule};
use ditto_core::task::Occurrence;
use ditto_core::userop::nonce_key;

use crate::setup::workflows::{Published, Window};
use crate::triggers::{Signal, pinned_at};

/// An operation of an occurrence, executed on the chain.
#[derive(Clone, Copy, Debug)]
pub struct Execution {
    /// The transaction that carried it.
    pub transaction: B256,
    /// When the devnet first saw its block, in milliseconds since the Unix epoch.
    pub seen_ms: u64,
    /// What the EntryPoint charged the account for, in gas.
    pub gas: u64,
}

/// What became of an occurrence.
#[derive(Clone, Debug, Default)]
pub struct Fate {
    /// Operations that succeeded: one, when all is well.
    pub executed: Vec<Execution>,
    /// Operations whose calls reverted.
    pub failed: u64,
    /// Certificates that reject it.
    pub rejected: u64,
    /// What the target counted; read at the end.
    pub counted: u64,
}

/// The occurrences that are due, and their fates.
#[derive(Clone, Debug)]
pub struct Ledger {
    schedule: SlotSchedule,
    fates: BTreeMap<Occurrence, Fate>,
    accounts: HashMap<u64, Address>,
    /// Which occurrences an EntryPoint nonce key stands for; two of one account may share a lane.
    keys: HashMap<(Address, U256), Vec<Occurrence>>,
    unexpected: u64,
    /// Which of them a trigger of this name made due.
    names: HashMap<u64, &'static str>,
    /// Workflows and slots that the chain decides on, by slot.
    undecided: BTreeMap<Slot, Vec<Published>>,
    signals: Vec<Signal>,
    module: Address,
    /// From when on further operations are no surprise: workflows may stay due after the counted slots.
    open_from_ms: Option<u64>,
}

impl Ledger {
    /// Computes what is due from the published triggers and the slot times.
    ///
    /// # Errors
    /// When a cron schedule is none.
    pub fn new(
        schedule: SlotSchedule,
        published: &[Published],
        window: Window,
        module: Address,
    ) -> anyhow::Result<Self> {
        let open_from_ms = window.open_ended.then(|| schedule.start_seconds(window.last() + 1) * 1_000);
        let mut ledger = Self {
            schedule,
            fates: BTreeMap::new(),
            accounts: HashMap::new(),
            keys: HashMap::new(),
            unexpected: 0,
            names: HashMap::new(),
            undecided: BTreeMap::new(),
            signals: Vec::new(),
            module,
            open_from_ms,
        };
        for workflow in published {
            ledger.accounts.insert(workflow.id, workflow.account);
            ledger.names.insert(workflow.id, workflow.trigger.name());
            for slot in window.first..=window.last() {
                if workflow.trigger.asks_chain() {
                    ledger.undecided.entry(slot).or_default().push(workflow.clone());
                } else if workflow.trigger.due(schedule, slot, &[])? {
                    ledger.expect(workflow, slot);
                }
            }
        }
        Ok(ledger)
    }

    fn expect(&mut self, workflow: &Published, slot: Slot) {
        let occurrence = Occurrence { workflow: workflow.id, slot };
        self.fates.insert(occurrence, Fate::default());
        let key = (workflow.account, nonce_key(self.module, occurrence));
        self.keys.entry(key).or_default().push(occurrence);
    }

    /// Notes a signal, in the order of the chain.
    pub fn note_signal(&mut self, signal: Signal) {
        self.signals.push(signal);
    }

    /// Decides what is due in the slots whose pins no later signal can precede: the chain has reached this time.
    ///
    /// # Errors
    /// When a trigger is none.
    pub fn reached(&mut self, seconds: u64) -> anyhow::Result<()> {
        while let Some(entry) = self.undecided.first_entry() {
            let slot = *entry.key();
            if pinned_at(self.schedule, slot) >= seconds {
                break;
            }
            for workflow in entry.remove() {
                if workflow.trigger.due(self.schedule, slot, &self.signals)? {
                    self.expect(&workflow, slot);
                }
            }
        }
        Ok(())
    }

    /// How many occurrences triggers of each name made due, and how many of them have executed.
    #[must_use]
    pub fn by_trigger(&self) -> BTreeMap<&'static str, (u64, u64)> {
        let mut counts = BTreeMap::<_, (u64, u64)>::new();
        for (occurrence, fate) in &self.fates {
            let name = self.names.get(&occurrence.workflow).copied().unwrap_or_default();
            let (due, executed) = counts.entry(name).or_default();
            *due += 1;
            *executed += u64::from(!fate.executed.is_empty());
        }
        counts
    }

    /// Notes an operation that the EntryPoint reports.
    pub fn note(&mut self, sender: Address, nonce: U256, success: bool, execution: Execution) {
        let Some(candidates) = self.keys.get(&(sender, nonce >> 64)) else {
            let surprise = self.open_from_ms.is_none_or(|from| execution.seen_ms < from);
            self.unexpected += u64::from(surprise);
            return;
        };
        let open = |occurrence: &&Occurrence| self.fates.get(occurrence).is_some_and(|fate| fate.executed.is_empty());
        let Some(occurrence) = candidates.iter().find(open).or(candidates.first()) else { return };
        if let Some(fate) = self.fates.get_mut(occurrence) {
            if success {
                fate.executed.push(execution);
            } else {
                fate.failed += 1;
            }
        }
    }

    /// Notes that a certificate of `slot` rejects an account's operation. Its occurrence is the slot's, or an earlier
    /// one that was carried over.
    pub fn note_rejected(&mut self, account: Address, slot: Slot) {
        let accounts = &self.accounts;
        let of_account = |occurrence: &Occurrence| accounts.get(&occurrence.workflow) == Some(&account);
        let rejected =
            self.fates.iter_mut().rev().find(|(occurrence, fate)| {
                occurrence.slot <= slot && fate.executed.is_empty() && of_account(occurrence)
            });
        if let Some((_, fate)) = rejected {
            fate.rejected += 1;
        }
    }

    /// Occurrences and their fates, in order.
    pub fn fates(&self) -> impl Iterator<Item = (Occurrence, &Fate)> {
        self.fates.iter().map(|(occurrence, fate)| (*occurrence, fate))
    }

    /// The account and number of every occurrence, for asking the target.
    #[must_use]
    pub fn questions(&self) -> Vec<(Occurrence, Address)> {
        let account = |occurrence: &Occurrence| self.accounts.get(&occurrence.workflow).copied().unwrap_or_default();
        self.fates.keys().map(|occurrence| (*occurrence, account(occurrence))).collect()
    }

    /// Notes what the target counted.
    pub fn note_counted(&mut self, occurrence: Occurrence, counted: u64) {
        if let Some(fate) = self.fates.get_mut(&occurrence) {
            fate.counted = counted;
        }
    }

    /// How many are due, in all or in one slot.
    #[must_use]
    pub fn due(&self, slot: Option<Slot>) -> u64 {
        self.of(slot).count() as u64
    }

    /// How many have executed at least once, in all or in one slot.
    #[must_use]
    pub fn executed(&self, slot: Option<Slot>) -> u64 {
        self.of(slot).filter(|(_, fate)| !fate.executed.is_empty()).count() as u64
    }

    /// Milliseconds from the slot's start until the devnet saw the execution, sorted.
    #[must_use]
    pub fn latencies(&self, slot: Option<Slot>) -> Vec<u64> {
        let latency = |(occurrence, fate): (Occurrence, &Fate)| {
            let start = self.schedule.start_seconds(occurrence.slot) * 1_000;
            fate.executed.first().map(|execution| execution.seen_ms.saturating_sub(start))
        };
        let mut latencies: Vec<u64> = self.of(slot).filter_map(latency).collect();
        latencies.sort_unstable();
        latencies
    }

    /// Operations of our accounts that stand for no occurrence that is due.
    #[must_use]
    pub fn unexpected(&self) -> u64 {
        self.unexpected
    }

    fn of(&self, slot: Option<Slot>) -> impl Iterator<Item = (Occurrence, &Fate)> {
        self.fates().filter(move |(occurrence, _)| slot.is_none_or(|slot| slot == occurrence.slot))
    }
}

/// The value below which `percent` of the sorted values lie; `None` of nothing.
#[must_use]
pub fn percentile(sorted: &[u64], percent: usize) -> Option<u64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::workflows::Example;
    use crate::triggers::Trigger;

    const ACCOUNT: Address = Address::repeat_byte(7);
    const MODULE: Address = Address::repeat_byte(9);

    fn ledger() -> Ledger {
        let schedule = SlotSchedule { genesis_seconds: 100, slot_seconds: 2 };
        let published = Published {
            id: 1,
            account: ACCOUNT,
            trigger: Trigger::Interval { every: 2, phase: 0 },
            example: Example::RecurringTransfer,
        };
        let window = Window { first: 5, slots: 6, open_ended: false };
        Ledger::new(schedule, &[published], window, MODULE).unwrap()
    }

    fn nonce(slot: Slot) -> U256 {
        nonce_key(MODULE, Occurrence { workflow: 1, slot }) << 64
    }

    #[test]
    fn executions_are_found_by_their_lane() {
        let mut ledger = ledger();
        assert_eq!((ledger.due(None), ledger.due(Some(6)), ledger.due(Some(7))), (3, 1, 0));
        let execution = Execution { transaction: B256::ZERO, seen_ms: 112_700, gas: 1 };
        ledger.note(ACCOUNT, nonce(6), true, execution);
        ledger.note(ACCOUNT, nonce(8), false, execution);
        ledger.note(ACCOUNT, nonce(7), true, execution);
        assert_eq!((ledger.executed(None), ledger.executed(Some(6)), ledger.unexpected()), (1, 1, 1));
        assert_eq!(ledger.latencies(None), [700]);
        let failed: Vec<u64> = ledger.fates().map(|(_, fate)| fate.failed).collect();
        assert_eq!(failed, [0, 1, 0]);
    }

    #[test]
    fn a_rejection_is_the_slots_or_an_earlier_ones() {
        let mut ledger = ledger();
        ledger.note_rejected(ACCOUNT, 9);
        let rejected: Vec<u64> = ledger.fates().map(|(_, fate)| fate.rejected).collect();
        assert_eq!(rejected, [0, 1, 0]);
    }

    #[test]
    fn percentiles_are_values_that_were_seen() {
        assert_eq!(percentile(&[], 50), None);
        assert_eq!(percentile(&[4], 99), Some(4));
        let hundred: Vec<u64> = (1..=100).collect();
        assert_eq!((percentile(&hundred, 50), percentile(&hundred, 99)), (Some(50), Some(99)));
    }

    #[test]
    fn what_the_chain_decides_is_due_once_it_has() {
        let schedule = SlotSchedule { genesis_seconds: 100, slot_seconds: 2 };
        let published =
            Published { id: 1, account: ACCOUNT, trigger: Trigger::Signal, example: Example::RecurringTransfer };
        let window = Window { first: 5, slots: 3, open_ended: false };
        let mut ledger = Ledger::new(schedule, &[published], window, MODULE).unwrap();
        ledger.note_signal(Signal { seconds: 108, count: 1 });
        ledger.reached(109).unwrap();
        assert_eq!(ledger.due(None), 0, "another signal of this second may come");
        ledger.reached(110).unwrap();
        assert_eq!((ledger.due(None), ledger.due(Some(5))), (1, 1));
        ledger.reached(200).unwrap();
        assert_eq!(ledger.due(None), 1);
        let execution = Execution { transaction: B256::ZERO, seen_ms: 112_700, gas: 1 };
        ledger.note(ACCOUNT, nonce(5), true, execution);
        assert_eq!(ledger.by_trigger(), BTreeMap::from([("event", (1, 1))]));
    }
}
