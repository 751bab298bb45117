//! The summary for people: every number with what it means.

use std::fmt::Write;

use crate::report::{Percentiles, Report};

/// The table at the end of a run.
#[must_use]
pub fn table(report: &Report) -> String {
    let mut table = Table::default();
    table.section("What had to happen, and did");
    table.row("due", report.due_expected, "occurrences (a workflow in a slot) that had to execute");
    table.row("executed", report.executed, "seen in the EntryPoint's events and counted by the target contract");
    table.row("executed twice", report.executed_twice, "must be 0: an occurrence executes at most once, ever");
    table.row("lost", report.lost, "must be 0: neither executed nor known to be rejected");

    table.section("How it went");
    table.row("simulated", report.simulated, "sandboxed runs of the published TypeScript, on one operator");
    table.row("proposed", report.proposed, "operations that elected performers put forward");
    table.row("approved", report.approved, "operations that more than 2/3 of the voting power signed for");
    table.row("rejected", report.rejected, "operations that at least 1/3 of the voting power refused");
    table.row("expired", report.expired, "operations that nobody decided about in time; they are tried again");
    if report.superseded > 0 {
        table.row("superseded", report.superseded, "operations whose occurrence another operation executed first");
    }
    if report.failed + report.unexpected > 0 {
        table.row("failed", report.failed, "operations that reached the chain and reverted there");
        table.row("unexpected", report.unexpected, "operations of our accounts that were not due");
    }

    table.section("How fast");
    table.row("due to executed", percentiles(report.latency_ms.due_to_executed), "from the slot's start to its block");
    table.row(
        "proposed to quorum",
        percentiles(report.latency_ms.proposed_to_quorum),
        "from the proposal to enough votes, at the aggregator",
    );

    let gas = &report.gas;
    table.section("What it costs, in gas per operation");
    table.row("in all", thousands(gas.per_operation), "the whole transaction, the workflow's own calls included");
    table.row("verification", thousands(gas.verification_per_operation), "checking the operators' certificate");
    let batch = format!("verification in the largest batch, of {} operations", gas.largest_batch.operations);
    table.row("", thousands(gas.largest_batch.verification_per_operation), &batch);
    table.row("validation", thousands(gas.validation_per_operation), "the account asking the module for its approval");
    for (title, parts) in [
        ("Where verification goes, in gas per transaction", &gas.verification_by_part),
        ("Where validation goes, in gas per operation", &gas.validation_by_part),
        ("Where everything goes, in gas per operation", &gas.by_part),
    ] {
        table.section(title);
        let mut parts: Vec<_> = parts.iter().collect();
        parts.sort_by(|a, b| b.1.total_cmp(a.1));
        for (part, gas) in parts {
            table.row(part, thousands(*gas), "");
        }
    }
    if let Some(hostile) = &report.hostile {
        table.section("The hostile workflow");
        table.row("due", hostile.due, "times it looped for ever or threw, while the others went on");
        for (outcome, runs) in &hostile.outcomes {
            table.row(outcome, runs, "runs that ended so, of all workflows, on one operator");
        }
    }
    if let Some(killed) = &report.killed {
        table.section("The operator that was killed");
        table.row("slot", killed.slot, "began while the operator elected for it was dead");
        table.row("elected", &killed.operator, "killed 100 ms before");
        let performer = killed.performed_by.as_deref().unwrap_or("nobody");
        let rank = killed.rank.map_or_else(|| "-".to_owned(), |rank| rank.to_string());
        table.row("performed by", performer, &format!("stepped in, as rank {rank}"));
    }
    if let Some(audit) = &report.aggregator {
        table.section("The aggregator that failed");
        table.row("killed", audit.kills, "times, without warning, while the network went on");
        for (state, tasks) in &audit.tasks {
            table.row(state, tasks, "tasks in its ledger");
        }
        table.row(
            "decided twice",
            audit.decided_twice,
            "must be 0: operations that two batches of its ledger executed",
        );
        let by: Vec<_> = audit.taken_over_by.iter().map(|(name, mined)| format!("{name} {mined}")).collect();
        let by = if by.is_empty() { "nobody had to".to_owned() } else { by.join(", ") };
        table.row("taken over", audit.taken_over, &format!("submissions that others had mined: {by}"));
    }
    let verdict = if report.ok {
        "Every due occurrence was executed on the chain exactly once."
    } else {
        "NOT every due occurrence was executed on the chain exactly once."
    };
    format!("{}\n{verdict}\n", table.0)
}

#[derive(Default)]
struct Table(String);

impl Table {
    fn section(&mut self, title: &str) {
        // Writing into a string does not fail.
        writeln!(self.0, "\n{title}").ok();
    }

    fn row(&mut self, name: &str, value: impl ToString, meaning: &str) {
        let line = format!("  {name:<34} {:>16}   {meaning}", value.to_string());
        writeln!(self.0, "{}", line.trim_end()).ok();
    }
}

fn percentiles(values: Percentiles) -> String {
    let show = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |ms| ms.to_string());
    format!("{} / {} ms", show(values.p50), show(values.p99))
}

fn thousands(gas: f64) -> String {
    let digits = format!("{gas:.0}");
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    #[test]
    fn thousands_are_parted() {
        let parted = [0.0, 999.4, 1_000.0, 1_234_567.0].map(super::thousands);
        assert_eq!(parted, ["0", "999", "1,000", "1,234,567"]);
    }
}
