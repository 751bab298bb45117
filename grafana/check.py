#!/usr/bin/env python3
"""Are dashboards, alerts, exports and runbook true to each other?

Given what an operator and an aggregator of a running network answer at /metrics, every series that a dashboard or an
alert selects must be there, with its labels' values. Given a Prometheus that scrapes such a network too, every panel
must have data."""

import argparse
import json
import math
import pathlib
import re
import sys
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent
SELECTOR = re.compile(r"\b((?:ditto|process)_[a-z0-9_]+|up)\b(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"')
# What Prometheus adds to every series.
SCRAPED = {"instance"}


def samples(path, job):
    """A dump's series, as names and labels."""
    found = []
    for line in path.read_text().splitlines():
        match = re.match(r"([a-z0-9_]+)(?:\{(.*)\})? \S+$", line)
        if match:
            labels = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or ""))
            found.append((match[1], labels | {"job": job}))
    if not found:
        sys.exit(f"{path}: no metrics")
    return found


def holds(labels, matcher):
    label, how, value = matcher
    if label in SCRAPED or "$" in value:
        return True
    there = labels.get(label, "")
    if how in ("=", "!="):
        return (there == value) == (how == "=")
    return bool(re.fullmatch(value, there)) == (how == "=~")


def alternatives(matchers):
    """`state=~"a|b"` wants both a and b: a misspelt one would hide behind the other."""
    for at, (label, how, value) in enumerate(matchers):
        if how == "=~" and "$" not in value and re.fullmatch(r"\w+(\|\w+)+", value):
            for one in value.split("|"):
                yield from alternatives(matchers[:at] + [(label, "=", one)] + matchers[at + 1:])
            return
    yield matchers


def expressions():
    """Every expression that is shown or alerted on, with its place."""
    rules = (HERE / "prometheus/alerts.yml").read_text()
    # No YAML reader in Python's library: promtool has read it, and the layout is ours.
    for block in re.split(r"^\s*- alert: ", rules, flags=re.M)[1:]:
        name = block.split()[0]
        body = re.search(r"expr: *\|?\n?(.*?)^\s*(?:for|labels):", block, re.S | re.M)
        yield f"alert {name}", body[1]
    for path in sorted((HERE / "dashboards").glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", []):
                yield f"{path.name}: {panel['title']}", target["expr"]


def text(name, matchers):
    return name + ("{" + ",".join("".join((l, h, f'"{v}"')) for l, h, v in matchers) + "}" if matchers else "")


def read_on_event():
    lines = (HERE / "on-event.txt").read_text().splitlines()
    entries = {}
    for line in lines:
        if line and not line.startswith("#"):
            name, _, labels = line.partition("{")
            entries[line] = (name, MATCHER.findall(labels))
    return entries


def check_series(dumps, problems):
    entries, used, checked = read_on_event(), set(), 0
    names = {name for name, _ in dumps}
    for place, expr in expressions():
        for name, inside in SELECTOR.findall(expr):
            if name == "up":
                continue
            for matchers in alternatives(MATCHER.findall(inside)):
                checked += 1
                excuse = next((line for line, (event, labels) in entries.items()
                               if event == name and all(one in matchers for one in labels)), None)
                if excuse:
                    used.add(excuse)
                elif name not in names:
                    problems.append(f"{place}: no node exports {name}")
                elif not any(name == there and all(holds(labels, one) for one in matchers) for there, labels in dumps):
                    problems.append(f"{place}: nothing matches {text(name, matchers)}")
    sources = "".join(path.read_text() for folder in ("src", "core/src", "aggregator/src")
                      for path in sorted((ROOT / folder).rglob("*.rs")))
    for line, (name, labels) in entries.items():
        if line not in used:
            problems.append(f"on-event.txt: {line} is used nowhere")
        if f'"{name}"' not in sources:
            problems.append(f"on-event.txt: {name} is not in the source")
        for _, _, value in labels:
            if f'"{value}"' not in sources:
                problems.append(f"on-event.txt: the value {value} of {name} is not in the source")
        if any(name == there and all(holds(found, one) for one in labels) for there, found in dumps):
            print(f"note: {line} is in this dump; if it always is, take it out of on-event.txt")
    print(f"{checked} selectors against {len(names)} exported metrics; {len(entries)} entries in on-event.txt")


def check_runbook(problems):
    alerts = {place.split()[1] for place, _ in expressions() if place.startswith("alert ")}
    rules, tests = ((HERE / "prometheus" / name).read_text() for name in ("alerts.yml", "alerts_test.yml"))
    entries = set(re.findall(r"^## (Ditto\w+)$", (ROOT / "docs/runbook.md").read_text(), re.M))
    for name in sorted(alerts - entries):
        problems.append(f"docs/runbook.md: no entry for {name}")
    for name in sorted(entries - alerts):
        problems.append(f"docs/runbook.md: {name} is no alert")
    for name in sorted(alerts):
        if f"docs/runbook.md#{name.lower()}\n" not in rules:
            problems.append(f"{name}: no link to its runbook entry")
        fires = re.findall(rf"alertname: {name}\n\s+exp_alerts:", tests)
        if not fires:
            problems.append(f"{name}: no test in which it fires")
    print(f"{len(alerts)} alerts, each with a test in which it fires and a runbook entry" if not problems else
          f"{len(alerts)} alerts")


def ask(url, expr):
    query = expr.replace("$__rate_interval", "1m").replace("$operator", ".*").replace("$aggregator", ".*")
    with urllib.request.urlopen(f"{url}/api/v1/query?" + urllib.parse.urlencode({"query": query}), timeout=30) as answer:
        return json.load(answer)["data"]["result"]


def check_data(url, problems):
    excused = [(name, labels) for name, labels in read_on_event().values() if not labels]
    asked = empty = 0
    for place, expr in expressions():
        if place.startswith("alert "):
            ask(url, expr)
            continue
        if any(name == event for name, _ in SELECTOR.findall(expr) for event, _ in excused):
            continue
        asked += 1
        values = [series["value"][1] for series in ask(url, expr)]
        if not values or all(math.isnan(float(value)) for value in values):
            empty += 1
            problems.append(f"{place}: no data: {expr}")
    print(f"{asked} panel queries asked of {url}, {asked - empty} with data")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("operator", type=pathlib.Path, help="an operator's /metrics")
    parser.add_argument("aggregator", type=pathlib.Path, help="the aggregator's /metrics")
    parser.add_argument("--prometheus", help="a Prometheus that has scraped a working network for a minute or more")
    args = parser.parse_args()
    problems = []
    check_series(samples(args.operator, "ditto-operator") + samples(args.aggregator, "ditto-aggregator"), problems)
    check_runbook(problems)
    if args.prometheus:
        check_data(args.prometheus, problems)
    for problem in problems:
        print(f"FAILED {problem}", file=sys.stderr)
    sys.exit(1 if problems else 0)


main()
