#!/usr/bin/env python3
"""Writes dashboards/*.json. The dashboards are regular and JSON is not written by hand: change this file and run it.
`dashboards.py --check` fails when the files are not what this would write."""

import json
import pathlib
import sys

from panels import (A, BOTH, NEVER, O, SELDOM, SHARE, dashboard, each, graph, lately, mean, p99, per, quantiles, rate, rates,
                    row, stat, variable)

HERE = pathlib.Path(__file__).parent / "dashboards"

# In the order in which work passes through them: src/pipeline.rs, aggregator/src/pipeline.rs.
OPERATOR = ["plan", "simulate", "build", "propose", "judge", "sign", "cast"]
AGGREGATOR = ["collect", "verify", "ask", "aggregate", "submit", "confirm"]

# Ends of a run that are this machine's trouble, and no verdict on the workflow.
TROUBLE = "timed_out|out_of_memory|crashed|busy|read_failed"


def stage_where(stage):
    return f'{O if stage in OPERATOR else A},stage="{stage}"'


def load(where):
    """How much of a stage's time is work, on its busiest instance: exact, for it is a sum of times and no sample."""
    busy = f"rate(ditto_stage_service_seconds_sum{{{where}}}[$__rate_interval])"
    return f"max({busy} / on (job, instance, stage) ditto_stage_workers{{{where}}})"


def fullness(where):
    return f"max(ditto_stage_queue_depth{{{where}}} / ditto_stage_queue_capacity{{{where}}})"


def strips(binary, stages, where, width):
    """Two rows of numbers, one column for each stage, left to right as work flows."""
    about = {load: "Share of the workers' time that is work, on the busiest instance.",
             fullness: "Share of the queue that is taken, on the fullest instance."}
    for title, measure in ((f"{binary}: load of each stage, left to right as work flows: the first red one is the bottleneck", load),
                           (f"{binary}: queue of each stage, in the same order: red before a stage that cannot keep up", fullness)):
        yield row(title)
        for stage in stages:
            yield stat(stage, about[measure], measure(stage_where(stage)), "percentunit", width, SHARE, max=1)
        if 24 - width * len(stages):
            yield stat("worst", about[measure] + " Of all stages.", measure(where), "percentunit",
                       24 - width * len(stages), SHARE, max=1)


def stage_row(stage):
    where = stage_where(stage)
    return [
        row(f"{'operator' if stage in OPERATOR else 'aggregator'}: {stage}"),
        graph("Queue", "Items that wait, sampled when scraped, and how many may.", [
            (f"max(ditto_stage_queue_depth{{{where}}})", "deepest"),
            (f"min(ditto_stage_queue_capacity{{{where}}})", "capacity"),
        ], width=4),
        graph("Items", "What was offered to the stage, and what became of what it handled.", [
            (rate("ditto_stage_items_in_total", where), "offered"),
            *rates("ditto_stage_items_total", where, "outcome"),
        ], "ops", 4),
        graph("Wait", "Time in the queue.", quantiles("ditto_stage_wait_seconds", where), "s", 4),
        graph("Service", "Time to handle an item.", quantiles("ditto_stage_service_seconds", where), "s", 4),
        graph("Workers", "Share of the workers' time that is work, and share of the workers that were busy when scraped.", [
            (load(where), "load"),
            (f"max(ditto_stage_busy_workers{{{where}}} / ditto_stage_workers{{{where}}})", "busy when scraped"),
        ], "percentunit", 4, max=1),
        graph("Drops and panics", "Items dropped without being handled: a full queue, a deadline missed, a stop. A panic is a bug.", [
            *rates("ditto_stage_drops_total", where, "reason"),
            (rate("ditto_stage_panics_total", where), "panics"),
        ], "ops", 4),
    ]


def overview():
    executed = f'{A},state="executed"'
    expired, proposed = (lately("ditto_aggregator_tasks_total", f'{A},state="{state}"', "10m") for state in ("expired", "proposed"))
    panels = [
        row("At a glance"),
        stat("Executed", "Tasks whose execution the aggregator saw on the chain.", rate("ditto_aggregator_tasks_total", executed), "ops"),
        stat("Due to executed, p99", "From the start of a task's slot to its execution seen on the chain.",
             p99("ditto_aggregator_due_to_executed_seconds", A), "s"),
        stat("To quorum, p99", "From a batch's first sight to its certificate.",
             p99("ditto_aggregator_proposed_to_quorum_seconds", A), "s"),
        stat("Expired, of proposed", "Tasks that nobody decided or executed in time, over ten minutes.", per(expired, proposed),
             "percentunit", 3, [(None, "green"), (0.01, "yellow"), (0.05, "red")]),
        stat("Gas for a task", "All gas of mined submissions, over tasks executed.",
             per(rate("ditto_aggregator_gas_used_total", A), rate("ditto_aggregator_tasks_total", executed)), "short", decimals=0),
        stat("Operators connected", "At the aggregator.", f'max(ditto_p2p_peers{{{A},role="operator"}})'),
        stat("Not ready", "Checks of /health/ready that fail, over all nodes.",
             f"count(ditto_ready{{{O}}} == 0 or ditto_ready{{{A}}} == 0) or vector(0)", steps=NEVER),
        stat("Down", "Nodes that Prometheus cannot read.", f"count(up{{{BOTH}}} == 0) or vector(0)", steps=NEVER),
        *strips("operators", OPERATOR, O, 3),
        *strips("aggregator", AGGREGATOR, A, 4),
    ]
    for stage in OPERATOR + AGGREGATOR:
        panels += stage_row(stage)
    return panels


def readiness(where):
    return [
        stat("Up for", "Since the process began.", f"min(time() - process_start_time_seconds{{{where}}})", "s"),
        stat("Ready", "1: all checks of /health/ready.", f"min(ditto_ready{{{where}}})", steps=[(None, "red"), (1, "green")]),
        stat("Versions", "Releases that run.", f"count(count by (version) (ditto_build_info{{{where}}}))", steps=[(None, "green"), (2, "yellow")]),
    ]


def peers(where):
    return [
        row("Peers"),
        graph("Peers", "Admitted by role; all connections; banned ones; and those in the gossip mesh of proposals.", [
            *each("ditto_p2p_peers", where, "{{instance}} {{role}}s"),
            *each("ditto_p2p_connected_peers", where, "{{instance}} connected"),
            *each("ditto_p2p_banned_peers", where, "{{instance}} banned"),
            *each("ditto_p2p_mesh_peers", f'{where},topic="proposals"', "{{instance}} mesh"),
        ]),
        graph("Gossip", "Messages by topic: delivered, then accepted, ignored, rejected or late; published, or not.",
              rates("ditto_p2p_messages_total", where, "topic, verdict"), "ops"),
        graph("Connections and claims", "Connections made or failed, proofs of identity judged, and connections ended by this node.",
              rates("ditto_p2p_connections_total", where, "outcome") + rates("ditto_p2p_claims_total", where, "outcome")
              + rates("ditto_p2p_disconnects_total", where, "reason"), "ops"),
        graph("Bans, drops, slow peers", "Peers shut out, messages not passed on and why, peers that did not keep up with gossip.",
              rates("ditto_p2p_bans_total", where, "reason") + rates("ditto_p2p_dropped_total", where, "what, reason")
              + [(rate("ditto_p2p_slow_peers_total", where), "slow peers")], "ops"),
    ]


def machine(where, store):
    return [
        row("Store, process and clock"),
        graph("Store: sync", f"Time to bring one group of changes of the {store} to the disk.",
              quantiles("ditto_store_commit_seconds", where, "store"), "s", 4),
        graph("Store: changes", f"Changes of the {store} by outcome, in a second; in one sync; and waiting when scraped.",
              rates("ditto_store_changes_total", where, "store, outcome")
              + mean("ditto_store_group_changes", where, "in one sync")
              + [(f"max by (store) (ditto_store_queue_depth{{{where}}})", "{{store}} waiting")], "short", 4),
        graph("Memory", "Of the process itself; the sandbox's zygotes and runs come on top.", each("process_resident_memory_bytes", where), "bytes", 4),
        graph("Processor", "1 is one core. Without the sandbox's processes.",
              [(f"rate(process_cpu_seconds_total{{{where}}}[$__rate_interval])", "{{instance}}")], "percentunit", 4),
        graph("Descriptors and threads", "Open file descriptors as a share of what is allowed, in percent, and threads.",
              [(f"100 * process_open_fds{{{where}}} / process_max_fds{{{where}}}", "{{instance}} % of descriptors"),
               *each("process_threads", where, "{{instance}} threads")], "short", 4),
        graph("Clock against Prometheus'", "How far the node's clock is before Prometheus', the scrape's travel included; negative: behind. And how far it may be off as the kernel reckons, where it is kept.",
              [(f"ditto_clock_seconds{{{where}}} - timestamp(ditto_clock_seconds{{{where}}})", "{{instance}}"),
               (f"ditto_clock_max_error_seconds{{{where}}} and ditto_clock_synchronised{{{where}}} == 1", "{{instance}}, at most by the kernel")],
              "s", 4, min=None),
    ]


def operator():
    plan, judge, cast = (f'{O},stage="{stage}"' for stage in ("plan", "judge", "cast"))
    return [
        row("This operator"),
        *readiness(O),
        stat("Voting power", "Share of the operator set's power that is this operator's; the smallest of those shown.",
             f"min(ditto_operator_own_power{{{O}}} / ditto_operator_total_power{{{O}}})", "percentunit"),
        stat("Operator set", "Its id, at the last planned slot.", f"max(ditto_operator_set_id{{{O}}})"),
        stat("Slots missed", "That did not begin here, in 15 minutes: the machine slept, or its clock was set.",
             lately("ditto_operator_slots_missed_total", O), steps=SELDOM),
        stat("Conflicts avoided", "Verdicts withheld in 15 minutes because the journal shows a conflicting one.",
             lately("ditto_operator_conflicts_avoided_total", O), steps=SELDOM),
        stat("Journal failures", "In 15 minutes. Nothing is signed while it fails.",
             f'{lately("ditto_store_changes_total", O + ",outcome=" + chr(34) + "failed" + chr(34))} + {lately("ditto_operator_journal_failures_total", O)}',
             steps=NEVER),
        row("Slots"),
        graph("Slots, by what became of them", "Planned, or why not.", rates("ditto_stage_items_total", plan, "outcome") + [(rate("ditto_operator_idle_slots_total", O), "of these idle: no rank, no vote that counts")], "ops"),
        graph("From a slot's start to its planning", "What the clock and the machine's load make of it.", quantiles("ditto_operator_slot_lag_seconds", O), "s"),
        graph("Due", "Occurrences due, carried over from earlier slots, and those of which no node told whether they are due.", [
            (rate("ditto_operator_due_total", O), "due"),
            (rate("ditto_operator_carried_over_total", O), "carried over"),
            (rate("ditto_operator_triggers_unknown_total", O), "unknown"),
        ], "ops"),
        graph("Runs by outcome", "What simulation came to; details are on the sandbox's dashboard.", rates("ditto_operator_simulations_total", O, "outcome"), "ops"),
        row("Proposing and attesting"),
        graph("Proposed", "Tasks that this operator put forward.", [(rate("ditto_operator_proposed_total", O), "proposed")], "ops"),
        graph("From a slot's start to this operator's proposal", "Later ranks wait longer, by design.", quantiles("ditto_operator_proposal_delay_seconds", O), "s"),
        graph("Proposals heard, by outcome", "What this operator made of others' proposals; parked ones came before the slot was planned here.",
              rates("ditto_stage_items_total", f'{judge},outcome!="noted"', "outcome")
              + [(f"sum by (outcome) (rate(ditto_operator_parked_proposals_total{{{O}}}[$__rate_interval]))", "parked, {{outcome}}")], "ops"),
        graph("Verdicts", "On tasks. An abstention costs the reward.", rates("ditto_operator_verdicts_total", O, "verdict"), "ops"),
        row("Votes and evidence"),
        graph("Votes by their way", "Direct to the aggregator or by gossip; taken when sent again; and batches without a vote that there could be, by reason.",
              rates("ditto_stage_items_total", cast, "outcome") + [(rate("ditto_operator_votes_resent_total", O), "taken again")]
              + [(f"sum by (reason) (rate(ditto_operator_votes_missed_total{{{O}}}[$__rate_interval]))", "missed, {{reason}}")], "ops"),
        graph("Answers to direct votes", "By outcome.", rates("ditto_p2p_votes_total", f'{O},direction="out"', "outcome"), "ops"),
        graph("A vote's way there and back", "From sending a direct vote to its answer.", quantiles("ditto_p2p_vote_round_trip_seconds", O), "s"),
        graph("Seen and lost", "Second proposals of a performer, messages of no version of ours, lines of the history dropped.", [
            (rate("ditto_operator_equivocations_total", O), "equivocations"),
            (rate("ditto_operator_undecodable_total", O), "undecodable"),
            (rate("ditto_operator_history_dropped_total", O), "history dropped"),
        ], "ops"),
        *peers(O),
        *machine(O, "journal"),
    ]


def aggregator():
    certificates = rate("ditto_aggregator_certificates_total", A)
    return [
        row("This aggregator"),
        *readiness(A),
        stat("Operator set", "Its id.", f"max(ditto_aggregator_operator_set_id{{{A}}})"),
        stat("Open batches", "Batches with tasks that have not ended.", f"max(ditto_aggregator_open_batches{{{A}}})"),
        stat("Certificates", "Batches with a quorum behind them.", certificates, "ops"),
        stat("Faults proven", "Contradictions of operators in 15 minutes; the evidence is kept.", lately("ditto_aggregator_equivocations_total", A), steps=SELDOM),
        stat("Ledger failures", "In 15 minutes. Nothing is certified or submitted while it fails.",
             lately("ditto_store_changes_total", f'{A},outcome="failed"'), steps=NEVER),
        row("Tasks"),
        graph("Tasks by state", "Each reaches one end once: executed, failed, rejected, expired or superseded.", rates("ditto_aggregator_tasks_total", A, "state"), "ops"),
        graph("Batches by fate", "Accepted, or why a proposal was not.", rates("ditto_aggregator_batches_total", A, "fate"), "ops"),
        graph("From proposal to quorum", "From a batch's first sight to its certificate.", quantiles("ditto_aggregator_proposed_to_quorum_seconds", A), "s"),
        graph("From due to executed", "From the start of a task's slot to its execution seen on the chain.", quantiles("ditto_aggregator_due_to_executed_seconds", A), "s"),
        row("Votes"),
        graph("Votes by fate", "Received, then accepted or why not, then counted or late.", rates("ditto_aggregator_votes_total", A, "fate"), "ops"),
        graph("Direct votes", "As the network layer answered them.", rates("ditto_p2p_votes_total", f'{A},direction="in"', "outcome"), "ops"),
        graph("Signers of a certificate", "The mean.", mean("ditto_aggregator_certificate_signers", A), "short"),
        graph("Pairings for a certificate", "2 when all votes are good; it jumps when bad ones are looked for.",
              [(per(rate("ditto_aggregator_pairings_total", A), certificates), "pairings")], "short"),
        row("Disputes, evidence, standing by"),
        graph("Disputes", "Batches whose attesters were asked to vote in parts, for no vector of verdicts had a quorum.",
              [(rate("ditto_aggregator_splits_total", A), "asked in parts")], "ops", 8),
        graph("Proven faults", "Of operators, by what they signed twice.", rates("ditto_aggregator_equivocations_total", A, "fault"), "ops", 8),
        graph("Standing by", "Aggregators that stand by and are connected, tries that were another's turn, and tasks that another one ended.", [
            (f'max(ditto_p2p_peers{{{A},role="standby"}})', "standbys connected"),
            (rate("ditto_aggregator_hindrances_total", f'{A},hindrance="not_yet"'), "not yet our turn"),
            (rate("ditto_aggregator_tasks_total", f'{A},state="superseded"'), "superseded"),
        ], "short", 8),
        *peers(A),
        *machine(A, "ledger"),
    ]


def sandbox():
    runs = rate("ditto_operator_simulations_total", O)
    trouble = rate("ditto_operator_simulations_total", f'{O},outcome=~"{TROUBLE}"')
    forks, warm = rate("ditto_sandbox_forks_total", O), rate("ditto_sandbox_forks_total", f'{O},origin="template"')
    return [
        row("At a glance"),
        stat("Runs", "That ended.", runs, "ops"),
        stat("Trouble", "Share of runs that ended for reasons of this machine or its node: such tasks are abstained from.",
             per(trouble, runs), "percentunit", 3, [(None, "green"), (0.01, "yellow"), (0.1, "red")]),
        stat("Time of a run, p99", "Wall clock, in the sandbox.", p99("ditto_operator_simulation_seconds", O), "s"),
        stat("Load", "Share of the places in stage simulate that are taken, on the busiest instance.", load(stage_where("simulate")), "percentunit", 3, SHARE),
        stat("From templates", "Share of runs forked from a process that has compiled the workflow.", per(warm, forks), "percentunit"),
        stat("Reads from the cache", "Share of the runs' chain reads that no node had to be asked for.",
             per(rate("ditto_reads_total", f'{O},cache="hit"'), rate("ditto_reads_total", O)), "percentunit"),
        stat("Zygotes", "Ready to fork, on the instance that has the fewest.", f"min(ditto_sandbox_zygotes{{{O}}})", steps=[(None, "red"), (1, "green")]),
        stat("Zygotes lost", "In 15 minutes: died, hung, or did not start.", lately("ditto_sandbox_zygotes_lost_total", O), steps=SELDOM),
        row("Runs"),
        graph("Runs by outcome", "Calls and nothing_to_do are a workflow's ordinary ends.", rates("ditto_operator_simulations_total", O, "outcome"), "ops"),
        graph("Time of a run", "Wall clock, waiting for reads included.", quantiles("ditto_operator_simulation_seconds", O), "s"),
        graph("Memory of a run", "Largest resident set.", quantiles("ditto_operator_simulation_memory_bytes", O), "bytes"),
        graph("Wait for a run", "In the queue of stage simulate.", quantiles("ditto_stage_wait_seconds", stage_where("simulate")), "s"),
        row("Processes"),
        graph("Runs at once", "Runs that have a process, and how many may.",
              each("ditto_sandbox_children", O) + [(f"min(ditto_sandbox_children_limit{{{O}}})", "limit")]),
        graph("Queue", "Jobs that wait for a worker of the sandbox, and how many may.",
              each("ditto_sandbox_queue_depth", O) + [(f"min(ditto_sandbox_queue_capacity{{{O}}})", "capacity")]),
        graph("Zygotes", "Ready to fork; and lost in a second.",
              each("ditto_sandbox_zygotes", O) + [(rate("ditto_sandbox_zygotes_lost_total", O), "lost")]),
        graph("Runs by origin", "A template's fork has its code compiled; a zygote's compiles it.", rates("ditto_sandbox_forks_total", O, "origin"), "ops"),
        row("Templates and reads"),
        graph("Templates", "Processes that have compiled one workflow.",
              each("ditto_sandbox_templates", O) + [(rate("ditto_sandbox_templates_given_up_total", O), "given up")]),
        graph("Templates' memory", "Of their own, as weighed after compiling, and what they may take.",
              each("ditto_sandbox_templates_bytes", O) + [(f"min(ditto_sandbox_templates_limit_bytes{{{O}}})", "limit")], "bytes"),
        graph("Reads, by who answers", "The cache, a request under way, or a request of its own; and those that failed.",
              rates("ditto_reads_total", O, "cache") + [(f"sum by (reason) (rate(ditto_reads_failed_total{{{O}}}[$__rate_interval]))", "failed, {{reason}}")], "ops"),
        graph("Reads made ahead", "Before the runs of a slot, and those of them that a run then asked for.", [
            (rate("ditto_reads_prefetched_total", O), "made ahead"), (rate("ditto_reads_prefetch_used_total", O), "used")], "ops"),
    ]


def chain():
    executed = rate("ditto_aggregator_tasks_total", f'{A},state="executed"')
    return [
        row("At a glance"),
        stat("Oldest head", "Age of the latest block seen, of the chain and node that are furthest behind.",
             f"max(ditto_clock_seconds{{{BOTH}}} - on (job, instance) group_right ditto_chain_head_timestamp_seconds{{{BOTH}}})",
             "s", steps=[(None, "green"), (15, "yellow"), (60, "red")]),
        stat("Endpoints down", "Over all nodes.", f"count(ditto_rpc_endpoint_up{{{BOTH}}} == 0) or vector(0)", steps=NEVER),
        stat("Failures", "JSON-RPC batches that were not answered as they should.", rate("ditto_rpc_failures_total", BOTH), "ops",
             steps=[(None, "green"), (0.01, "yellow"), (0.1, "red")]),
        stat("JSON-RPC, p99", "Of a batch, over all endpoints.", p99("ditto_rpc_seconds", BOTH), "s"),
        stat("Balance", "Of the submitter, in coins of the target chain; of the poorest.", f"min(ditto_aggregator_balance_wei{{{A}}}) / 1e18",
             steps=[(None, "red"), (0.01, "yellow"), (0.1, "green")], decimals=4),
        stat("Gas for a task", "All gas of mined submissions, over tasks executed.", per(rate("ditto_aggregator_gas_used_total", A), executed), decimals=0),
        stat("Fee for a task", "In gwei (1e-9 coins), before the operations' own payments come back.", per(rate("ditto_aggregator_fees_gwei_total", A), executed), decimals=0),
        stat("Open batches", "Batches with tasks that have not ended.", f"max(ditto_aggregator_open_batches{{{A}}})"),
        row("Chains"),
        graph("Age of the head", "By the node's own clock.",
              [(f"ditto_clock_seconds{{{BOTH}}} - on (job, instance) group_right ditto_chain_head_timestamp_seconds{{{BOTH}}}", "{{instance}} {{chain}}")], "s", 8, min=None),
        graph("Latest block", "Its number: nodes that part here are on different forks, or behind.", each("ditto_chain_head_number", BOTH, "{{instance}} {{chain}}"), "none", 8, min=None),
        graph("Pins", "Set aside: an endpoint did not know the pinned block, or had another. Outvoted: most endpoints had another block than the first one.",
              rates("ditto_rpc_set_aside_total", BOTH, "endpoint, reason")
              + [(f"sum by (chain) (rate(ditto_rpc_pins_outvoted_total{{{BOTH}}}[$__rate_interval]))", "outvoted, chain {{chain}}")], "ops", 8),
        row("Endpoints"),
        graph("Up", "1 while an endpoint answers.", each("ditto_rpc_endpoint_up", BOTH, "{{instance}} {{endpoint}}"), "short", 4, max=1),
        graph("Requests", "Those in a batch counted one by one.", rates("ditto_rpc_requests_total", BOTH, "chain, endpoint"), "reqps", 5),
        graph("Requests in a batch", "The mean, of the operators: an aggregator asks one by one.", mean("ditto_rpc_batch_requests", O), "short", 5),
        graph("Time", "Of a batch.", quantiles("ditto_rpc_seconds", BOTH, "endpoint"), "s", 5),
        graph("Failures", "By kind.", rates("ditto_rpc_failures_total", BOTH, "endpoint, kind"), "ops", 5),
        row("Read cache of the operators"),
        graph("Reads, by who answers", "The cache, a request under way, or a request of its own.", rates("ditto_reads_total", O, "cache"), "ops", 8),
        graph("Answers kept", "In the cache.", each("ditto_reads_cache_entries", O), "short", 8),
        graph("Memory of the cache", "As it counts for its answers.", each("ditto_reads_cache_bytes", O), "bytes", 8),
        row("Submissions"),
        graph("Submissions by state", "Sent, replaced with a higher fee, mined; or reverted, dropped, lost, cancelled, reorganised.", rates("ditto_aggregator_submissions_total", A, "outcome"), "ops"),
        graph("What hindered them", "Tries to submit that were not carried out; most are tried again.", rates("ditto_aggregator_hindrances_total", A, "hindrance"), "ops"),
        graph("Nonce", "Last handed out to a submission. Flat while batches are open: transactions are stuck.", each("ditto_aggregator_nonce", A), "none", min=None),
        graph("Open batches", "Batches with tasks that have not ended.", each("ditto_aggregator_open_batches", A)),
        row("Gas and money"),
        graph("Gas of a submission", "Of one mined transaction.", quantiles("ditto_aggregator_submission_gas", A), "short"),
        graph("Gas for a task", "All gas of mined submissions, over tasks executed.", [(per(rate("ditto_aggregator_gas_used_total", A), executed), "gas")]),
        graph("Fees", "Of mined submissions, in gwei a second.", [(rate("ditto_aggregator_fees_gwei_total", A), "gwei")]),
        graph("Balance", "Of submitters, and of operators' delegated signers, in coins of the target chain.",
              [(f"ditto_aggregator_balance_wei{{{A}}} / 1e18", "{{instance}}"), (f"ditto_operator_balance_wei{{{O}}} / 1e18", "{{instance}} (operator)")]),
    ]


def main():
    operators, aggregators = variable("operator", "ditto-operator"), variable("aggregator", "ditto-aggregator")
    written = {
        "overview": dashboard("ditto-overview", "Ditto: network", overview(), [operators, aggregators]),
        "operator": dashboard("ditto-operator", "Ditto: operator", operator(), [operators]),
        "aggregator": dashboard("ditto-aggregator", "Ditto: aggregator", aggregator(), [aggregators]),
        "sandbox": dashboard("ditto-sandbox", "Ditto: sandbox", sandbox(), [operators]),
        "chain": dashboard("ditto-chain", "Ditto: chain and gas", chain(), [operators, aggregators]),
    }
    stale = []
    for name, content in written.items():
        path, text = HERE / f"{name}.json", json.dumps(content, indent=1) + "\n"
        if "--check" not in sys.argv:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            stale.append(path.name)
    if stale:
        sys.exit(f"{', '.join(stale)}: not what dashboards.py writes; run it")


main()
