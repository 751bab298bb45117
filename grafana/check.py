#!/usr/bin/env python3
"""Are dashboards, alerts, exports, tests and runbook true to each other?

Without arguments: what can be told from the files. With the address of a Prometheus that scraped a working network
(grafana/live.py runs one): every series that a dashboard or an alert selects was there, with its labels' values; every
panel's query has data; every alert's expression evaluates; and every metric of docs/metrics.md moved, or names the test
that moves it (movers.txt)."""

import argparse
import json
import math
import pathlib
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent
SELECTOR = re.compile(r"\b((?:ditto|process)_[a-z0-9_]+|up)\b(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"')
# What Prometheus makes of a scrape itself.
ITS_OWN = {"up"}
# Of a histogram.
PARTS = ("_bucket", "_sum", "_count")


class Prometheus:
    """One that scraped a network from `begin` to `end` (Unix time)."""

    def __init__(self, url, begin, end):
        self.url, self.begin, self.end = url.rstrip("/"), begin, end

    def get(self, path, **query):
        # Prometheus takes long queries in a body, and others only in the address.
        data = urllib.parse.urlencode(query, doseq=True).encode() if query else None
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{path}", data, timeout=60) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise ValueError(f"{error}: {error.read().decode(errors='replace')}") from error

    def window(self):
        """All of its time, as a range."""
        return f"{math.ceil(self.end - self.begin) + 1}s"

    def at_the_end(self, expr):
        return self.get("query", query=shown(expr), time=self.end)["result"]

    def over_time(self, expr, step=2):
        return self.get("query_range", query=shown(expr), start=self.begin, end=self.end, step=step)["result"]

    def has(self, selector):
        return bool(self.get("series", **{"match[]": selector, "start": self.begin, "end": self.end}))

    def names(self):
        return set(self.get("label/__name__/values"))


def shown(expr):
    """An expression as Grafana would ask it, of all nodes, scraped every second."""
    return expr.replace("$__rate_interval", "10s").replace("$operator", ".*").replace("$aggregator", ".*")


def alternatives(matchers):
    """`state=~"a|b"` wants both a and b: a misspelt one would hide behind the other."""
    for at, (label, how, value) in enumerate(matchers):
        if how == "=~" and "$" not in value and re.fullmatch(r"[\w-]+(\|[\w-]+)+", value):
            for one in value.split("|"):
                yield from alternatives(matchers[:at] + [(label, "=", one)] + matchers[at + 1:])
            return
    yield matchers


def text(name, matchers):
    inside = ",".join(f'{label}{how}"{value}"' for label, how, value in matchers)
    return f"{name}{{{inside}}}" if inside else name


def panels():
    for path in sorted((HERE / "dashboards").glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            if panel["type"] != "row":
                yield path.name, panel


def queries():
    """Every query of a panel, with its place."""
    for dashboard, panel in panels():
        for target in panel["targets"]:
            yield f"{dashboard}: {panel['title']}", target["expr"]


def alerts():
    """Every alert's name and expression."""
    rules = (HERE / "prometheus/alerts.yml").read_text()
    # No YAML reader in Python's library: promtool has read it, and the layout is ours.
    for block in re.split(r"^\s*- alert: ", rules, flags=re.M)[1:]:
        body = re.search(r"expr: *\|?\n?(.*?)^\s*(?:for|labels):", block, re.S | re.M)
        yield block.split()[0], body[1]


def expressions():
    yield from queries()
    yield from ((f"alert {name}", expr) for name, expr in alerts())


def lines(name):
    """A list's entries, without its comments."""
    for line in (HERE / name).read_text().splitlines():
        entry, _, reason = line.partition("#")
        if entry.strip():
            yield entry.strip(), reason.strip()


def documented():
    """The metrics of docs/metrics.md, with their types."""
    return dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", (ROOT / "docs/metrics.md").read_text(), re.M))


def without_part(name, known):
    base = next((name.removesuffix(part) for part in PARTS if name.endswith(part)), name)
    return base if base in known else name


class OnEvent:
    """The series that a healthy network need not have; see on-event.txt."""

    def __init__(self):
        self.entries, self.used = {}, set()
        for entry, reason in lines("on-event.txt"):
            name, _, labels = entry.partition("{")
            self.entries[entry] = (name, MATCHER.findall(labels), reason)

    def excuses(self, name, matchers):
        for entry, (event, labels, _) in self.entries.items():
            if event == name and all(one in matchers for one in labels):
                self.used.add(entry)
                return True
        return False

    def excuses_any(self, expr):
        return any([self.excuses(name, MATCHER.findall(inside)) for name, inside in SELECTOR.findall(expr)])


def check_files(problems):
    known, on_event = documented(), OnEvent()
    for dashboard, panel in panels():
        where = f"{dashboard}: {panel['title']}"
        if not panel["description"]:
            problems.append(f"{where}: no description")
        if not panel["fieldConfig"]["defaults"].get("unit"):
            problems.append(f"{where}: no unit")
        if panel["datasource"]["uid"] != "${datasource}":
            problems.append(f"{where}: not the chosen datasource")
    for place, expr in expressions():
        for name, inside in SELECTOR.findall(expr):
            if name not in ITS_OWN and without_part(name, known) not in known:
                problems.append(f"{place}: docs/metrics.md has no {name}")
            on_event.excuses(name, MATCHER.findall(inside))
    for entry, (_, _, reason) in on_event.entries.items():
        if entry not in on_event.used:
            problems.append(f"on-event.txt: {entry} is used nowhere")
        if not reason:
            problems.append(f"on-event.txt: {entry} has no reason")
    check_runbook(problems)
    check_movers(problems)


def check_runbook(problems):
    names = {name for name, _ in alerts()}
    rules, tests = ((HERE / "prometheus" / name).read_text() for name in ("alerts.yml", "alerts_test.yml"))
    entries = set(re.findall(r"^## (Ditto\w+)$", (ROOT / "docs/runbook.md").read_text(), re.M))
    for name in sorted(names - entries):
        problems.append(f"docs/runbook.md: no entry for {name}")
    for name in sorted(entries - names):
        problems.append(f"docs/runbook.md: {name} is no alert")
    for name in sorted(names):
        if f"docs/runbook.md#{name.lower()}\n" not in rules:
            problems.append(f"{name}: no link to its runbook entry")
        if not re.search(rf"alertname: {name}\n\s+exp_alerts:", tests):
            problems.append(f"{name}: no test in which it fires")
    print(f"{len(names)} alerts, {len(entries)} runbook entries")


def movers():
    """How each metric is moved, as movers.txt says: ("e2e",), ("set",) or ("test", file, function)."""
    return {fields[0]: tuple(fields[1:]) for fields in (entry.split() for entry, _ in lines("movers.txt"))}


def check_movers(problems):
    known, listed = documented(), movers()
    for name in sorted(known.keys() - listed.keys()):
        problems.append(f"movers.txt: nothing moves {name}: add it, with the test that does")
    for name in sorted(listed.keys() - known.keys()):
        problems.append(f"movers.txt: docs/metrics.md has no {name}")
    for name, how in listed.items():
        match how:
            case ("e2e",) | ("set",):
                pass
            case ("test", path, function):
                file = ROOT / path
                source = file.read_text() if file.is_file() else ""
                test = re.search(rf"^( *)#\[(?:tokio::)?test\b[^\n]*\n(?: *#\[[^\n]*\n)*\1(?:async )?fn {function}\(.*?^\1\}}$", source, re.S | re.M)
                if not test:
                    problems.append(f"movers.txt: {name}: {path} has no test {function}")
                elif name not in test[0]:
                    problems.append(f"movers.txt: {name}: {function} does not look at it")
            case _:
                problems.append(f"movers.txt: {name}: {' '.join(how)} is none of e2e, set, test FILE FUNCTION")


def check_series(prometheus, problems):
    on_event, seen = OnEvent(), {}
    for place, expr in expressions():
        for name, inside in SELECTOR.findall(expr):
            for matchers in alternatives(MATCHER.findall(inside)):
                selector = shown(text(name, matchers))
                if selector not in seen:
                    seen[selector] = prometheus.has(selector)
                if not seen[selector] and not on_event.excuses(name, matchers):
                    problems.append(f"{place}: no node exported {text(name, matchers)}")
    known = documented()
    for name in sorted(prometheus.names()):
        if name.startswith(("ditto_", "process_")) and without_part(name, known) not in known:
            problems.append(f"{name} is exported and not in docs/metrics.md")
    for entry, (name, labels, _) in on_event.entries.items():
        if prometheus.has(shown(text(name, labels))):
            print(f"note: {entry} was exported in this run; if it always is, take it out of on-event.txt")
    print(f"{len(seen)} selectors, {sum(seen.values())} with series")


def check_panels(prometheus, problems):
    on_event, asked, empty, excused = OnEvent(), 0, 0, 0
    for place, expr in queries():
        asked += 1
        values = (value for series in prometheus.over_time(expr) for _, value in series["values"])
        if all(math.isnan(float(value)) for value in values):
            empty += 1
            if on_event.excuses_any(expr):
                excused += 1
            else:
                problems.append(f"{place}: no data: {expr}")
    print(f"{asked} panel queries asked, {asked - empty} with data, {excused} excused by on-event.txt")


def check_alerts(prometheus, problems):
    for name, expr in alerts():
        try:
            prometheus.at_the_end(expr)
        except ValueError as error:
            problems.append(f"alert {name}: {error}")
    rules = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
    for rule in rules:
        if rule["health"] != "ok":
            problems.append(f"alert {rule['name']}: {rule['health']}: {rule.get('lastError')}")
    firing = sorted({rule["name"] for rule in rules if rule["state"] == "firing"})
    print(f"{len(list(alerts()))} alerts' expressions evaluate; firing: {', '.join(firing) or 'none'}")


def moved(prometheus, name, kind):
    """Whether a metric took another value than it began with."""
    window = prometheus.window()
    series = name + ("_count" if kind == "histogram" else "")
    if kind == "gauge":
        expr = f"max(max_over_time({series}[{window}]) - min_over_time({series}[{window}])) > 0"
    else:
        # Every process begins at zero.
        expr = f"max(max_over_time({series}[{window}])) > 0"
    return bool(prometheus.at_the_end(expr))


def check_moved(prometheus, problems):
    known, by_run, by_test = documented(), 0, 0
    for name, how in sorted(movers().items()):
        moves = name in known and moved(prometheus, name, known[name])
        by_run += moves
        by_test += how[0] == "test"
        if how[0] == "e2e" and not moves:
            problems.append(f"movers.txt: {name} did not move")
        if how[0] == "set" and not prometheus.at_the_end(f"max(max_over_time({name}[{prometheus.window()}])) > 0"):
            problems.append(f"movers.txt: {name} was not set")
    print(f"{len(known)} metrics; {by_run} moved in this run, {by_test} are moved by unit tests")


def check_live(prometheus, problems):
    check_series(prometheus, problems)
    check_panels(prometheus, problems)
    check_alerts(prometheus, problems)
    check_moved(prometheus, problems)


def report(problems):
    for problem in problems:
        print(f"FAILED {problem}", file=sys.stderr)
    return 1 if problems else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prometheus", metavar="URL", help="a Prometheus that scrapes a network")
    parser.add_argument("--minutes", type=float, default=10, help="how long it has done so, at least")
    args = parser.parse_args()
    problems = []
    check_files(problems)
    if args.prometheus:
        prometheus = Prometheus(args.prometheus, time.time() - 60 * args.minutes, time.time())
        check_live(prometheus, problems)
    sys.exit(report(problems))


if __name__ == "__main__":
    main()
