"""What the dashboards are made of: panels, queries, and the JSON around them."""

PROMETHEUS = {"type": "prometheus", "uid": "${datasource}"}

# Selects a job's nodes, as far as they are chosen at the top of the dashboard.
O = 'job="ditto-operator",instance=~"$operator"'
A = 'job="ditto-aggregator",instance=~"$aggregator"'
BOTH = 'job=~"ditto-operator|ditto-aggregator",instance=~"$operator|$aggregator"'

# Share of capacity: when to look, when to act.
SHARE = [(None, "green"), (0.5, "yellow"), (0.8, "red")]
# What should not happen at all.
NEVER = [(None, "green"), (1, "red")]
# What may happen, and is worth a look.
SELDOM = [(None, "green"), (1, "yellow")]


def panel(kind, title, about, targets, unit, width, height, steps=None, **more):
    """`targets` are pairs of an expression and a legend; `steps` the colours of a stat, from which value on."""
    defaults = {"unit": unit, "min": 0}
    if kind == "timeseries":
        defaults["custom"] = {"fillOpacity": 10, "showPoints": "never"}
        options = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    else:
        steps = [{"value": value, "color": color} for value, color in steps or [(None, "blue")]]
        defaults |= {"thresholds": {"mode": "absolute", "steps": steps}, "noValue": "none"}
        options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "background", "graphMode": "area"}
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


def graph(title, about, targets, unit="short", width=6, **more):
    return panel("timeseries", title, about, targets, unit, width, 7, **more)


def stat(title, about, expr, unit="short", width=3, steps=None, **more):
    return panel("stat", title, about, [(expr, "")], unit, width, 4, steps, **more)


def row(title):
    return {"type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": {"w": 24, "h": 1}}


def quantiles(metric, where, by=""):
    """Median and 99th percentile, over all instances that are shown."""
    labels, legend = ("le, " + by, "{{" + by + "}} ") if by else ("le", "")
    rate = f"sum by ({labels}) (rate({metric}_bucket{{{where}}}[$__rate_interval]))"
    return [(f"histogram_quantile({q}, {rate})", f"{legend}p{round(100 * q)}") for q in (0.5, 0.99)]


def p99(metric, where):
    return quantiles(metric, where)[1][0]


def mean(metric, where, legend="mean"):
    total, count = (f"sum(rate({metric}_{part}{{{where}}}[$__rate_interval]))" for part in ("sum", "count"))
    return [(f"{total} / ({count} > 0)", legend)]


def rate(metric, where):
    """Events in a second, over all instances that are shown."""
    return f"sum(rate({metric}{{{where}}}[$__rate_interval]))"


def rates(metric, where, by):
    legend = " ".join("{{" + label + "}}" for label in by.split(", "))
    return [(f"sum by ({by}) (rate({metric}{{{where}}}[$__rate_interval]))", legend)]


def lately(metric, where, window="15m"):
    """How many there were in a window."""
    return f"sum(increase({metric}{{{where}}}[{window}]))"


def each(metric, where, legend="{{instance}}"):
    return [(f"{metric}{{{where}}}", legend)]


def per(total, count):
    """One rate for each of another, where there is any of that."""
    return f"{total} / ({count} > 0)"


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
