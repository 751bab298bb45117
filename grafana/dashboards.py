#!/usr/bin/env python3
"""Writes dashboards/*.json. The dashboards are regular and JSON is not written by hand: change this file and run it.
`dashboards.py --check` fails when the files are not what this would write."""

import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent / "dashboards"
PROMETHEUS = {"type": "prometheus", "uid": "${datasource}"}

# In the order in which work passes through them: src/pipeline.rs, aggregator/src/pipeline.rs.
OPERATOR = ["plan", "simulate", "build", "propose", "judge", "sign", "cast"]
AGGREGATOR = ["collect", "verify", "aggregate", "submit", "confirm"]
O = 'job="ditto-operator",instance=~"$operator"'
A = 'job="ditto-aggregator",instance=~"$aggregator"'

# Share of capacity: when to look, when to act.
SHARE = [(None, "green"), (0.5, "yellow"), (0.8, "red")]


def thresholds(steps):
    return {"mode": "absolute", "steps": [{"value": value, "color": color} for value, color in steps]}


def panel(kind, title, targets, width, height, unit, about="", steps=None, **more):
    """`targets` are pairs of an expression and a legend."""
    defaults = {"unit": unit, "min": 0}
    options = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    if kind == "timeseries":
        defaults["custom"] = {"fillOpacity": 10, "showPoints": "never"}
    if kind == "stat":
        options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "background", "graphMode": "area"}
        defaults["thresholds"] = thresholds(steps or [(None, "blue")])
        defaults["noValue"] = "none"
    return {
        "type": kind,
        "title": title,
        "description": about,
        "datasource": PROMETHEUS,
        "targets": [
            {"refId": chr(65 + at), "datasource": PROMETHEUS, "expr": expr, "legendFormat": legend, "range": True}
            for at, (expr, legend) in enumerate(targets)
        ],
        "fieldConfig": {"defaults": defaults | more, "overrides": []},
        "options": options,
        "gridPos": {"w": width, "h": height},
    }


def graph(title, targets, unit="short", width=6, about="", **more):
    return panel("timeseries", title, targets, width, 7, unit, about, **more)


def stat(title, expr, unit="short", width=2, about="", steps=None, **more):
    return panel("stat", title, [(expr, "")], width, 4, unit, about, steps, **more)


def quantiles(metric, where, by=""):
    """Median and 99th percentile, over all instances that are shown."""
    labels, legend = ("le, " + by, "{{" + by + "}} ") if by else ("le", "")
    rate = f"sum by ({labels}) (rate({metric}_bucket{{{where}}}[$__rate_interval]))"
    return [(f"histogram_quantile({q}, {rate})", f"{legend}p{round(100 * q)}") for q in (0.5, 0.99)]


def mean(metric, where, legend="mean"):
    total, count = (f"sum(rate({metric}_{part}{{{where}}}[$__rate_interval]))" for part in ("sum", "count"))
    return [(f"{total} / {count}", legend)]


def rates(metric, where, by):
    legend = " ".join("{{" + label + "}}" for label in by.split(", "))
    return [(f"sum by ({by}) (rate({metric}{{{where}}}[$__rate_interval]))", legend)]


def each(metric, where):
    return [(f"{metric}{{{where}}}", "{{instance}}")]


def row(title):
    return {"type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": {"w": 24, "h": 1}}


def stage_where(stage):
    return f'{O if stage in OPERATOR else A},stage="{stage}"'


def load(stage):
    """How much of a stage's time is work, on its busiest instance: exact, for it is a sum of times and no sample."""
    where = stage_where(stage)
    busy = f"rate(ditto_stage_service_seconds_sum{{{where}}}[$__rate_interval])"
    return f"max({busy} / on (job, instance, stage) ditto_stage_workers{{{where}}})"


def stage_row(stage):
    where = stage_where(stage)
    return [
        row(f"{'operator' if stage in OPERATOR else 'aggregator'}: {stage}"),
        graph("Queue", [
            (f"max(ditto_stage_queue_depth{{{where}}})", "deepest"),
            (f"min(ditto_stage_queue_capacity{{{where}}})", "capacity"),
        ], width=4, about="Sampled when scraped."),
        graph("Items", [
            (f"sum(rate(ditto_stage_items_in_total{{{where}}}[$__rate_interval]))", "offered"),
            *rates("ditto_stage_items_total", where, "outcome"),
        ], "ops", 4),
        graph("Wait", quantiles("ditto_stage_wait_seconds", where), "s", 4),
        graph("Service", quantiles("ditto_stage_service_seconds", where), "s", 4),
        graph("Workers", [
            (load(stage), "load"),
            (f"max(ditto_stage_busy_workers{{{where}}} / ditto_stage_workers{{{where}}})", "busy when scraped"),
        ], "percentunit", 4, max=1),
        graph("Drops and panics", [
            *rates("ditto_stage_drops_total", where, "reason"),
            (f"sum(rate(ditto_stage_panics_total{{{where}}}[$__rate_interval]))", "panics"),
        ], "ops", 4),
    ]


def shared(where):
    """What both binaries have."""
    return [
        row("Chains and nodes"),
        graph("Age of the head", [(f"time() - ditto_chain_head_timestamp_seconds{{{where}}}", "{{instance}} {{chain}}")], "s"),
        graph("JSON-RPC requests", rates("ditto_rpc_requests_total", where, "chain, endpoint"), "reqps"),
        graph("JSON-RPC time", quantiles("ditto_rpc_seconds", where, "endpoint"), "s"),
        graph("JSON-RPC failures", rates("ditto_rpc_failures_total", where, "chain, endpoint"), "ops",
              about="Empty until the first one."),
        row("Peers"),
        graph("Peers", [(f"ditto_p2p_peers{{{where}}}", "{{instance}} {{role}}s"),
                        (f"ditto_p2p_banned_peers{{{where}}}", "{{instance}} banned")]),
        graph("Votes", rates("ditto_p2p_votes_total", where, "direction, outcome"), "ops"),
        graph("Gossip", rates("ditto_p2p_messages_total", where, "topic, verdict"), "ops"),
        graph("Connections and claims", rates("ditto_p2p_connections_total", where, "outcome")
              + rates("ditto_p2p_claims_total", where, "outcome"), "ops"),
        row("Store and process"),
        graph("Store: sync", quantiles("ditto_store_commit_seconds", where, "store"), "s", 4),
        graph("Store: changes", rates("ditto_store_changes_total", where, "store, outcome")
              + [(f"max by (store) (ditto_store_queue_depth{{{where}}})", "{{store}} waiting")], "short", 4),
        graph("Memory", each("process_resident_memory_bytes", where), "bytes", 4,
              about="Of the process itself; the sandbox's zygotes and runs come on top."),
        graph("Processor", [(f"rate(process_cpu_seconds_total{{{where}}}[$__rate_interval])", "{{instance}}")], "percentunit", 4,
              about="1 is one core. Without the sandbox's processes."),
        graph("Descriptors", [(f"process_open_fds{{{where}}} / process_max_fds{{{where}}}", "{{instance}}")], "percentunit", 4),
        graph("Threads", each("process_threads", where), "short", 4),
    ]


def readiness(where):
    return [
        stat("Up for", f"min(time() - process_start_time_seconds{{{where}}})", "s", 3),
        stat("Ready", f"min(ditto_ready{{{where}}})", "short", 3, "1: all checks of /health/ready.",
             [(None, "red"), (1, "green")]),
        stat("Versions", f"count(count by (version) (ditto_build_info{{{where}}}))", "short", 3,
             "Releases that run.", [(None, "green"), (2, "yellow")]),
    ]


def overview():
    panels = [
        row("At a glance"),
        stat("Executed", f'sum(rate(ditto_aggregator_tasks_total{{{A},state="executed"}}[$__rate_interval]))', "ops", 4,
             "Tasks whose execution the aggregator saw on the chain."),
        stat("Due to executed, p99", quantiles("ditto_aggregator_due_to_executed_seconds", A)[1][0], "s", 4),
        stat("Proposed to quorum, p99", quantiles("ditto_aggregator_proposed_to_quorum_seconds", A)[1][0], "s", 4),
        stat("Expired, of proposed",
             f'sum(increase(ditto_aggregator_tasks_total{{{A},state="expired"}}[10m]))'
             f' / (sum(increase(ditto_aggregator_tasks_total{{{A},state="proposed"}}[10m])) > 0)',
             "percentunit", 4, "Over ten minutes.", [(None, "green"), (0.01, "yellow"), (0.05, "red")]),
        stat("Operators connected", f'max(ditto_p2p_peers{{{A},role="operator"}})', "short", 4),
        stat("Not ready", f"count(ditto_ready{{{O}}} == 0 or ditto_ready{{{A}}} == 0) or vector(0)", "short", 4,
             "Checks of /health/ready, over all nodes.", [(None, "green"), (1, "red")]),
        row("Load of each stage, left to right as work flows: the first one that is red is the bottleneck"),
        *[stat(stage, load(stage), "percentunit", 2, "Share of the workers' time that is work, on the busiest instance.",
               SHARE, max=1) for stage in OPERATOR + AGGREGATOR],
        row("Queue of each stage, in the same order: red behind a stage that cannot keep up"),
        *[stat(stage, f"max(ditto_stage_queue_depth{{{stage_where(stage)}}} / ditto_stage_queue_capacity{{{stage_where(stage)}}})",
               "percentunit", 2, "Share of the queue that is taken, on the fullest instance.", SHARE, max=1)
          for stage in OPERATOR + AGGREGATOR],
    ]
    for stage in OPERATOR + AGGREGATOR:
        panels += stage_row(stage)
    return panels


def operator():
    return [
        row("This operator"),
        *readiness(O),
        stat("Slots planned", f'sum(rate(ditto_stage_items_total{{{O},stage="plan",outcome="planned"}}[$__rate_interval]))', "ops", 3),
        stat("Verdicts", f"sum(rate(ditto_operator_verdicts_total{{{O}}}[$__rate_interval]))", "ops", 3),
        stat("Runs", f"sum(rate(ditto_operator_simulations_total{{{O}}}[$__rate_interval]))", "ops", 3),
        stat("Proposed", f"sum(rate(ditto_operator_proposed_total{{{O}}}[$__rate_interval]))", "ops", 3),
        stat("Journal failures", f'sum(increase(ditto_store_changes_total{{{O},outcome="failed"}}[15m]))', "short", 3,
             "In 15 minutes. Nothing is signed while it fails.", [(None, "green"), (1, "red")]),
        row("Slots"),
        graph("Slots, by what became of them", rates("ditto_stage_items_total", f'{O},stage="plan"', "outcome"), "ops"),
        graph("Slots that did not begin here", [(f"sum by (instance) (ditto_operator_slots_missed_total{{{O}}})", "{{instance}}")],
              about="In all, since the start. Empty until the first one."),
        graph("From a slot's start to its planning", quantiles("ditto_operator_slot_lag_seconds", O), "s"),
        graph("Due", [(f"sum by (instance) (rate(ditto_operator_due_total{{{O}}}[$__rate_interval]))", "{{instance}}"),
                      (f"sum by (instance) (rate(ditto_operator_carried_over_total{{{O}}}[$__rate_interval]))", "{{instance}} carried over")], "ops"),
        row("Sandbox"),
        graph("Runs by outcome", rates("ditto_operator_simulations_total", O, "outcome"), "ops"),
        graph("Time of a run", quantiles("ditto_operator_simulation_seconds", O), "s"),
        graph("Memory of a run", mean("ditto_operator_simulation_memory_bytes", O), "bytes",
              about="The mean: the histogram's last bucket, 4 MiB, lies below what any run takes."),
        graph("Reads, by who answers", rates("ditto_reads_total", O, "cache"), "ops"),
        row("Proposing and attesting"),
        graph("From a slot's start to this operator's proposal", quantiles("ditto_operator_proposal_delay_seconds", O), "s"),
        graph("Verdicts", rates("ditto_operator_verdicts_total", O, "verdict"), "ops"),
        graph("Proposals heard, by outcome", rates("ditto_stage_items_total", f'{O},stage="judge",outcome!="noted"', "outcome"), "ops"),
        graph("A vote's way there and back", quantiles("ditto_p2p_vote_round_trip_seconds", O), "s"),
        graph("Requests in a JSON-RPC batch", mean("ditto_rpc_batch_requests", O), "short", 24),
        *shared(O),
    ]


def aggregator():
    return [
        row("This aggregator"),
        *readiness(A),
        stat("Operator set", f"max(ditto_aggregator_operator_set_id{{{A}}})", "short", 3, "Its id."),
        stat("Balance", f"min(ditto_aggregator_balance_wei{{{A}}}) / 1e18", "short", 3, "In coins of the target chain.",
             [(None, "red"), (0.01, "yellow"), (0.1, "green")], decimals=4),
        stat("Open batches", f"max(ditto_aggregator_open_batches{{{A}}})", "short", 3, "Batches with tasks that have not ended."),
        stat("Certificates", f"sum(rate(ditto_aggregator_certificates_total{{{A}}}[$__rate_interval]))", "ops", 3),
        stat("Ledger failures", f'sum(increase(ditto_store_changes_total{{{A},outcome="failed"}}[15m]))', "short", 3,
             "In 15 minutes. Nothing is certified or submitted while it fails.", [(None, "green"), (1, "red")]),
        row("Tasks"),
        graph("Tasks by state", rates("ditto_aggregator_tasks_total", A, "state"), "ops"),
        graph("Batches by fate", rates("ditto_aggregator_batches_total", A, "fate"), "ops"),
        graph("From proposal to quorum", quantiles("ditto_aggregator_proposed_to_quorum_seconds", A), "s"),
        graph("From due to executed", quantiles("ditto_aggregator_due_to_executed_seconds", A), "s"),
        row("Votes"),
        graph("Votes by fate", rates("ditto_aggregator_votes_total", A, "fate"), "ops", 8),
        graph("Signers of a certificate", mean("ditto_aggregator_certificate_signers", A), "short", 8),
        graph("Pairings for a certificate", [(
            f"sum(rate(ditto_aggregator_pairings_total{{{A}}}[$__rate_interval]))"
            f" / (sum(rate(ditto_aggregator_certificates_total{{{A}}}[$__rate_interval])) > 0)", "pairings")], "short", 8,
            "2 when all votes are good; it jumps when bad ones are looked for."),
        row("Submissions and gas"),
        graph("Submissions by outcome", rates("ditto_aggregator_submissions_total", A, "outcome"), "ops"),
        graph("Gas of a submission", quantiles("ditto_aggregator_submission_gas", A), "short"),
        graph("Gas for a task", [(
            f"sum(rate(ditto_aggregator_gas_used_total{{{A}}}[$__rate_interval]))"
            f' / (sum(rate(ditto_aggregator_tasks_total{{{A},state="executed"}}[$__rate_interval])) > 0)', "gas")], "short",
            about="All gas of mined submissions, over tasks executed."),
        graph("Balance", [(f"ditto_aggregator_balance_wei{{{A}}} / 1e18", "{{instance}}")], "short"),
        *shared(A),
    ]


def variable(name, job):
    return {
        "type": "query",
        "name": name,
        "label": name,
        "datasource": PROMETHEUS,
        "query": {"qryType": 1, "query": f'label_values(up{{job="{job}"}}, instance)', "refId": name},
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def place(panels):
    """Fills rows from the left, like text."""
    x = y = height = 0
    for at, one in enumerate(panels):
        pos = one["gridPos"]
        if x + pos["w"] > 24:
            x, y, height = 0, y + height, 0
        pos["x"], pos["y"], one["id"] = x, y, at + 1
        x, height = x + pos["w"], max(height, pos["h"])
    return panels


def dashboard(uid, title, panels, variables):
    source = {"type": "datasource", "name": "datasource", "label": "Prometheus", "query": "prometheus",
              "current": {"text": "Ditto", "value": "ditto-prometheus"}}
    return {
        "uid": uid,
        "title": title,
        "tags": ["ditto"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-30m", "to": "now"},
        "links": [{"type": "dashboards", "tags": ["ditto"], "title": "Ditto", "asDropdown": False, "keepTime": True}],
        "templating": {"list": [source, *variables]},
        "panels": place(panels),
    }


def main():
    operators, aggregators = variable("operator", "ditto-operator"), variable("aggregator", "ditto-aggregator")
    written = {
        "overview": dashboard("ditto-overview", "Ditto: network", overview(), [operators, aggregators]),
        "operator": dashboard("ditto-operator", "Ditto: operator", operator(), [operators]),
        "aggregator": dashboard("ditto-aggregator", "Ditto: aggregator", aggregator(), [aggregators]),
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
