//! What the operator measures beside its stages, with units and help texts.

use ditto_core::stage::Handler;
use ditto_core::{stage, store, telemetry};
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram};

use crate::simulate::Simulate;

/// Describes everything that an operator exports: its own metrics, its stages', its store's and its process's.
pub fn describe_all() {
    telemetry::describe();
    stage::describe();
    store::describe();
    // What stands by for the aggregator measures itself.
    ditto_aggregator::report::describe_all();
    describe();
}

/// Describes every metric that the operator's own code records.
pub fn describe() {
    describe_counter!(
        "ditto_operator_votes_resent_total",
        "Votes that a collector took when they were sent again, because it had (re)connected."
    );
    describe_counter!(
        "ditto_operator_votes_revealed_total",
        "Votes shown to everybody because the aggregator had not brought them to the chain by the deadline."
    );
    describe_counter!(
        "ditto_operator_standby_dropped_total",
        "What the standby in this operator did not hear because too much came at once."
    );
    describe_counter!("ditto_operator_equivocations_total", "Second proposals of one performer for one slot.");
    describe_counter!(
        "ditto_operator_idle_slots_total",
        "Slots in which this operator had neither a rank among the performers nor a vote that counts, and ran nothing."
    );
    describe_counter!("ditto_operator_due_total", "Occurrences that were due, carried-over ones counted again.");
    describe_counter!(
        "ditto_operator_carried_over_total",
        "Occurrences taken up again because the chain does not show them executed."
    );
    describe_counter!(
        "ditto_operator_triggers_unknown_total",
        "Occurrences abstained from because a node did not tell whether they are due."
    );
    describe_counter!(
        "ditto_operator_slots_missed_total",
        "Slots that passed while this process did not run or was stalled."
    );
    describe_histogram!("ditto_operator_slot_lag_seconds", Unit::Seconds, "From a slot's start to its planning.");
    describe_counter!("ditto_operator_simulations_total", "Runs that ended, by outcome.");
    describe_histogram!("ditto_operator_simulation_seconds", Unit::Seconds, "Wall-clock time of a run in the sandbox.");
    describe_histogram!("ditto_operator_simulation_memory_bytes", Unit::Bytes, "Largest resident set of a run.");
    describe_counter!("ditto_operator_proposed_total", "Tasks that this operator proposed.");
    describe_histogram!(
        "ditto_operator_proposal_delay_seconds",
        Unit::Seconds,
        "From a slot's start to this operator's proposal."
    );
    describe_counter!(
        "ditto_operator_parked_proposals_total",
        "Proposals that came before the slot was planned here, by what became of them."
    );
    describe_counter!("ditto_operator_verdicts_total", "Verdicts on tasks, by verdict.");
    describe_counter!(
        "ditto_operator_conflicts_avoided_total",
        "Verdicts withheld because the journal shows a conflicting one."
    );
    describe_counter!(
        "ditto_operator_journal_failures_total",
        "Times the journal could not be written, so that nothing was signed."
    );
    describe_counter!(
        crate::history::DROPPED,
        "Lines of the history that were dropped: its queue or the disk was full."
    );
    describe_counter!("ditto_operator_undecodable_total", "Gossiped messages that are no proposal of our version.");
    describe_counter!(
        "ditto_reads_total",
        "Chain reads of runs, by who answers: the cache (hit), a request that another run waits for already (joined), \
         a request of their own (miss)."
    );
    describe_counter!("ditto_reads_prefetched_total", "Chain reads that were made ahead of the runs of a slot.");
    describe_counter!("ditto_reads_prefetch_used_total", "Reads made ahead that a run then asked for.");
    describe_counter!(
        "ditto_reads_failed_total",
        "Chain reads that failed, by reason: the node did not answer as it should, or nobody may read that."
    );
    describe_gauge!("ditto_reads_cache_entries", "Answers in the read cache.");
    describe_gauge!("ditto_reads_cache_bytes", Unit::Bytes, "Bytes that the read cache counts for its answers.");
    describe_gauge!("ditto_operator_set_id", "The operator set of the last planned slot.");
    describe_gauge!(
        "ditto_operator_own_power",
        "This operator's voting power in the operator set of the last planned slot; 0 when it is not in it."
    );
    describe_gauge!("ditto_operator_balance_wei", "The delegated signer's balance on the target chain.");
    describe_counter!(
        "ditto_operator_votes_missed_total",
        "Batches without a vote of this operator that it could have given, by reason: nothing to say of any task \
         (abstained), no plan of the slot, a journal that fails, a vote that was refused or reached nobody."
    );
    describe_gauge!("ditto_operator_total_power", "Voting power of that set's members together.");
    ditto_sandbox::describe_metrics();
    ditto_core::chain::describe();
    zero();
}

/// A counter that appears with its first event has no increase by it: what is watched begins at zero.
fn zero() {
    let plain = [
        "ditto_operator_votes_resent_total",
        "ditto_operator_equivocations_total",
        "ditto_operator_due_total",
        "ditto_operator_idle_slots_total",
        "ditto_operator_carried_over_total",
        "ditto_operator_triggers_unknown_total",
        "ditto_operator_slots_missed_total",
        "ditto_operator_proposed_total",
        "ditto_operator_conflicts_avoided_total",
        "ditto_operator_journal_failures_total",
        "ditto_operator_undecodable_total",
    ];
    for name in plain {
        counter!(name).increment(0);
    }
    for verdict in ["approve", "reject", "abstain"] {
        counter!("ditto_operator_verdicts_total", "verdict" => verdict).increment(0);
    }
    for reason in ["abstained", "no_plan", "journal_failed", "refused", "undelivered"] {
        counter!("ditto_operator_votes_missed_total", "reason" => reason).increment(0);
    }
    for outcome in Simulate::OUTCOMES {
        counter!("ditto_operator_simulations_total", "outcome" => *outcome).increment(0);
    }
    for outcome in ["taken", "not_elected", "too_early", "wrong_pin", "other_engine", "too_large"] {
        counter!("ditto_operator_parked_proposals_total", "outcome" => outcome).increment(0);
    }
}
