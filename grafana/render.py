#!/usr/bin/env python3
"""Draws a dashboard as Grafana would lay it out, from what a Prometheus scraped: every panel's own queries over the time
given, no value of ours. Needs python3-matplotlib. docs/images/overview.png is made of a devnet's run:

    scripts/monitoring.sh --only-render --render docs/images/overview.png \\
        target/debug/ditto-devnet --slots 40 --targets '{targets}/devnet.json'
"""

import argparse
import io
import json
import math
import pathlib
import re
import time

import check

HERE = pathlib.Path(__file__).parent
# Pixels of a grid's column and row: Grafana's 24 columns on 1,440 pixels, and rows that are a bit flatter than its own.
COLUMN, ROW, GAP = 60, 17, 4
DPI = 100
STEP_SECONDS = 1
PAGE, CARD, INK, FAINT = "#f4f5f7", "#ffffff", "#1f2430", "#8a91a0"
TILES = {"green": "#2f9e5b", "yellow": "#d9a21b", "red": "#c8383f", "blue": "#3b6fb6"}
LINES = ["#3b6fb6", "#d9772b", "#2f9e5b", "#8e5bb5", "#c8383f", "#3aa6a6", "#8a6d3b", "#d15c9c"]
LEGENDS = 4


def human(value, unit, decimals=None):
    if value is None:
        return "none"
    if unit == "percentunit":
        return f"{100 * value:.{0 if value >= 0.1 or value == 0 else 1}f}%"
    if unit == "s":
        for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
            if abs(value) >= 2 * size:
                return f"{value / size:.1f} {name}"
        return f"{value:.2f} s" if value >= 1 else f"{1000 * value:.3g} ms"
    suffix = {"ops": "/s", "reqps": "/s"}.get(unit, "")
    if unit == "bytes":
        for size, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
            if value >= size:
                return f"{value / size:.3g} {name}"
    if abs(value) >= 1000:
        return f"{value:,.0f}{suffix}"
    return f"{value:.{decimals}f}{suffix}" if decimals is not None else f"{value:.3g}{suffix}"


def legend(template, labels):
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), template).strip()


def curves(prometheus, panel):
    """A panel's series, as name, times and values; what is no number is a gap."""
    for target in panel["targets"]:
        for series in prometheus.over_time(target["expr"], STEP_SECONDS):
            times = [at - prometheus.begin for at, _ in series["values"]]
            values = [float(value) for _, value in series["values"]]
            yield legend(target["legendFormat"], series["metric"]), times, [value if math.isfinite(value) else math.nan for value in values]


def last(values):
    return next((value for value in reversed(values) if not math.isnan(value)), None)


def draw_stat(axes, prometheus, panel):
    defaults = panel["fieldConfig"]["defaults"]
    found = [last(values) for _, _, values in curves(prometheus, panel)]
    value = next((value for value in found if value is not None), None)
    color = "blue"
    for step in defaults["thresholds"]["steps"]:
        if step["value"] is None or (value is not None and value >= step["value"]):
            color = step["color"]
    axes.set_facecolor(TILES[color] if value is not None else FAINT)
    # Behind the number, where it came from: the same query over the whole time.
    for _, times, values in curves(prometheus, panel):
        most = max((value for value in values if not math.isnan(value)), default=0)
        if most > 0:
            axes.fill_between(times, [value / most * 0.45 for value in values], color="white", alpha=0.22, linewidth=0)
    axes.set_xlim(0, prometheus.end - prometheus.begin)
    axes.set_ylim(0, 1)
    axes.text(0.5, 0.84, panel["title"], transform=axes.transAxes, ha="center", va="center", color="white", fontsize=7)
    axes.text(0.5, 0.46, human(value, defaults["unit"], defaults.get("decimals")), transform=axes.transAxes, ha="center", va="center",
              color="white", fontsize=12, fontweight="bold")
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_visible(False)


def draw_graph(axes, prometheus, panel):
    from matplotlib.ticker import FuncFormatter, MaxNLocator
    unit = panel["fieldConfig"]["defaults"]["unit"]
    axes.set_facecolor(CARD)
    drawn = 0
    flat = []
    series = sorted(curves(prometheus, panel), key=lambda one: -max((v for v in one[2] if not math.isnan(v)), default=0))
    for name, times, values in series:
        real = [value for value in values if not math.isnan(value)]
        if not real or max(real) == 0:
            flat.append(name)
            if real:
                axes.plot(times, values, color=FAINT, linewidth=0.6)
            continue
        color = LINES[drawn % len(LINES)]
        axes.plot(times, values, color=color, linewidth=1.0, label=name if drawn < LEGENDS else None)
        drawn += 1
    axes.set_xlim(0, prometheus.end - prometheus.begin)
    axes.set_ylim(bottom=0)
    if not drawn:
        axes.set_ylim(0, 1)
        axes.text(0.5, 0.5, "zero" if flat else "none in this run", transform=axes.transAxes, ha="center", va="center", color=FAINT, fontsize=6.5)
        axes.set_yticks([])
    else:
        axes.yaxis.set_major_locator(MaxNLocator(3))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: human(value, unit)))
        axes.legend(fontsize=5.2, loc="upper left", frameon=False, ncol=2, handlelength=1, borderpad=0.1, labelspacing=0.2, columnspacing=0.8,
                    labelcolor=INK)
        # Room for the legend above the curves.
        axes.set_ylim(0, axes.get_ylim()[1] * 1.35)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f} s"))
    axes.tick_params(labelsize=5.2, colors=FAINT, length=0, pad=1.5)
    axes.grid(color="#e6e8ec", linewidth=0.5)
    for side in axes.spines.values():
        side.set_visible(False)


def draw(prometheus, path, dashboard="overview"):
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    from PIL import Image

    content = json.loads((HERE / f"dashboards/{dashboard}.json").read_text())
    panels = content["panels"]
    width = 24 * COLUMN
    height = ROW * max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels) + 2 * ROW
    figure = pyplot.figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor=PAGE)

    def box(pos, left=0, bottom=0, top=0, right=0):
        x, y = pos["x"] * COLUMN + GAP + left, height - 2 * ROW - (pos["y"] + pos["h"]) * ROW + GAP + bottom
        w, h = pos["w"] * COLUMN - 2 * GAP - left - right, pos["h"] * ROW - 2 * GAP - bottom - top
        return [x / width, y / height, w / width, h / height]

    seconds = prometheus.end - prometheus.begin
    figure.text(GAP / width, 1 - ROW / height, f"{content['title']}: a devnet's run of {seconds:.0f} s, scraped every second", color=INK, fontsize=11,
                fontweight="bold", va="center")
    for panel in panels:
        pos = panel["gridPos"]
        if panel["type"] == "row":
            x, y, _, h = box(pos)
            figure.text(x, y + h / 2, panel["title"], color=INK, fontsize=8, fontweight="bold", va="center")
        elif panel["type"] == "stat":
            draw_stat(figure.add_axes(box(pos)), prometheus, panel)
        else:
            card = figure.add_axes(box(pos), facecolor=CARD)
            card.set_xticks([])
            card.set_yticks([])
            for side in card.spines.values():
                side.set_color("#e0e3e8")
            card.text(0.03, 0.97, panel["title"], transform=card.transAxes, fontsize=6.5, color=INK, va="top")
            draw_graph(figure.add_axes(box(pos, left=36, bottom=11, top=13, right=6)), prometheus, panel)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", facecolor=PAGE)
    pyplot.close(figure)
    # A palette is enough for it, and a quarter of the bytes.
    Image.open(picture).convert("RGB").quantize(96).save(path, optimize=True)
    print(f"{path}: {width} x {height}, {pathlib.Path(path).stat().st_size:,} bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prometheus", metavar="URL")
    parser.add_argument("picture", metavar="PNG")
    parser.add_argument("--dashboard", default="overview")
    parser.add_argument("--minutes", type=float, default=10)
    args = parser.parse_args()
    now = time.time()
    draw(check.Prometheus(args.prometheus, now - 60 * args.minutes, now), args.picture, args.dashboard)


if __name__ == "__main__":
    main()
