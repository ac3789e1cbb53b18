"""The interactive charts of a report, as what plotly.js draws: plain values, so that plotly is not imported."""

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Any

from neuronsweep.report.pictures import axes_of, spread_out
from neuronsweep.report.read import Row, Sweep, configurations, in_order
from neuronsweep.sweeps import ledger

# After Okabe and Ito, Color Universal Design (2008): without yellow and black, which one of two backgrounds hides, and
# with a lighter blue for the dark one.
COLOURS = ("#2f8fd0", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#999999")
DASHES = ("solid", "dash", "dot", "dashdot")
# What a page shows of larger sweeps.
CURVES, POINTS = 60, 2000
POINTS_OF_A_CURVE = 100

Chart = dict[str, Any]


def charts(sweep: Sweep) -> dict[str, Chart]:
    """Every chart that the sweep has something for, by its name in the page."""
    made = {
        "metric": _metric(sweep),
        "runs": _runs(sweep),
        "curves": _curves(sweep),
        "parallel": _parallel(sweep),
    }
    return {name: chart for name, chart in made.items() if chart}


def heat_maps(sweep: Sweep) -> dict[str, Chart]:
    """The mean objective over every pair of swept keys, by "KEY x KEY"."""
    made = {}
    for across, down in combinations(sweep.keys, 2):
        columns, rows = (in_order([str(row[key]) for row in sweep.complete()]) for key in (across, down))
        found = {
            (c.values[across], c.values[down]): c.summary
            for c in configurations(sweep.rows, [across, down], sweep.metric, sweep.mode)
        }
        means = [[_mean(found.get((column, row))) for column in columns] for row in rows]
        made[f"{across} x {down}"] = {
            "data": [
                {
                    "type": "heatmap",
                    "x": columns,
                    "y": rows,
                    "z": means,
                    "colorscale": "Viridis",
                    "colorbar": {"title": {"text": sweep.metric}},
                    "hovertemplate": f"{across} %{{x}}<br>{down} %{{y}}<br>%{{z:.4g}}<extra></extra>",
                }
            ],
            "layout": {"xaxis": _categories(across), "yaxis": _categories(down)},
        }
    return made


def _metric(sweep: Sweep) -> Chart | None:
    across, down = axes_of(sweep)
    if across is None or not sweep.configurations:
        return None
    complete = sweep.complete()
    lines = spread_out(in_order([str(row[down]) for row in complete]), 7) if down else [sweep.metric]
    ticks = in_order([str(row[across]) for row in complete])
    scale = _scale([float(row[sweep.metric]) for row in complete])
    data: list[Chart] = []
    for i, line in enumerate(lines):
        rows = [row for row in complete if not down or str(row[down]) == line]
        found = {c.values[across]: c.summary for c in configurations(rows, [across], sweep.metric, sweep.mode)}
        x = [tick for tick in ticks if tick in found]
        means = [found[tick] for tick in x]
        colour = COLOURS[i % len(COLOURS)]
        if any(s.n > 1 for s in means):
            floor = min(s.mean for s in means) / 10 if scale == "log" else -math.inf
            edge = {"x": x, "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
            data.append({"y": [max(s.low, floor) for s in means], "legendgroup": line, **edge})
            band = {"fill": "tonexty", "fillcolor": f"{colour}30"}
            data.append({"y": [s.high for s in means], "legendgroup": line, **band, **edge})
        data.append(
            {
                "x": x,
                "y": [s.mean for s in means],
                "mode": "lines+markers",
                "name": line,
                "legendgroup": line,
                "line": {"color": colour, "dash": DASHES[i % len(DASHES)]},
                "customdata": [[s.n, s.low, s.high] for s in means],
                "hovertemplate": "%{x}: %{y:.4g} (95%: %{customdata[1]:.4g} to %{customdata[2]:.4g}, "
                "n=%{customdata[0]})",
            }
        )
    y = {"title": {"text": sweep.metric}, "type": scale}
    legend = {"title": {"text": down or ""}}
    return {"data": data, "layout": {"xaxis": _categories(across), "yaxis": y, "legend": legend}}


def _runs(sweep: Sweep) -> Chart | None:
    """Every complete run, by its rank of configuration; a click shows its row in the table."""
    if not sweep.configurations:
        return None
    ranked = [(rank, row) for rank, c in enumerate(sweep.configurations, start=1) for row in c.rows]
    shown = ranked if len(ranked) <= POINTS else ranked[:: -(-len(ranked) // POINTS)]
    values = [float(row[sweep.metric]) for _, row in shown]
    point = {
        "x": [rank for rank, _ in shown],
        "y": values,
        "customdata": [row["run"] for _, row in shown],
        "text": [f"#{row['run']} " + " ".join(f"{key}={row[key]}" for key in sweep.swept) for _, row in shown],
        "mode": "markers",
        "marker": {"color": COLOURS[0], "opacity": 0.8, "size": 7},
        "hovertemplate": "%{text}<br>%{y:.4g}<extra></extra>",
    }
    y = {"title": {"text": sweep.metric}, "type": _scale(values)}
    return {"data": [point], "layout": {"xaxis": {"title": {"text": "rank of the configuration"}}, "yaxis": y}}


def _curves(sweep: Sweep) -> Chart | None:
    """The objective at log points of some runs: the best of every configuration first."""
    best = [configuration.best for configuration in sweep.configurations]
    chosen = best if len(best) <= CURVES else best[:: -(-len(best) // CURVES)]
    data: list[Chart] = []
    for i, row in enumerate(chosen):
        history = ledger.read_history(sweep.path(row))
        name = sweep.metric if history and sweep.metric in history[0][1] else "val/loss"
        points = [(epoch, values[name]) for epoch, values in history if name in values]
        points = points[:: -(-len(points) // POINTS_OF_A_CURVE) or 1]
        data.append(
            {
                "x": [epoch for epoch, _ in points],
                "y": [value for _, value in points],
                "mode": "lines",
                "name": " ".join(str(row[key]) for key in sweep.keys) or f"#{row['run']}",
                "line": {"color": COLOURS[i % len(COLOURS)], "dash": DASHES[i // len(COLOURS) % 4], "width": 1.5},
                "hovertemplate": "epoch %{x}: %{y:.4g}",
            }
        )
    if not data:
        return None
    values = [value for curve in data for value in curve["y"]]
    y = {"title": {"text": sweep.metric}, "type": _scale(values)}
    return {"data": data, "layout": {"xaxis": {"title": {"text": "epoch"}}, "yaxis": y}}


def _parallel(sweep: Sweep) -> Chart | None:
    complete = [row for row in sweep.complete() if sweep.metric in row][:POINTS]
    if len(sweep.keys) < 2 or len(complete) < 2:
        return None
    values = [float(row[sweep.metric]) for row in complete]
    dimensions = [_dimension(key, complete) for key in sweep.keys]
    dimensions.append({"label": sweep.metric, "values": values})
    best_is_low = sweep.mode == "min"
    colour = {"color": values, "colorscale": "Viridis", "showscale": True, "reversescale": best_is_low}
    return {"data": [{"type": "parcoords", "dimensions": dimensions, "line": colour}], "layout": {"margin": {"t": 60}}}


def _dimension(key: str, rows: Sequence[Row]) -> Chart:
    names = in_order([str(row[key]) for row in rows])
    place = {name: i for i, name in enumerate(names)}
    ticks = spread_out(names, 12)
    return {
        "label": key,
        "values": [place[str(row[key])] for row in rows],
        "tickvals": [place[name] for name in ticks],
        "ticktext": ticks,
    }


def _categories(key: str) -> Chart:
    return {"title": {"text": key}, "type": "category"}


def _scale(values: Sequence[float]) -> str:
    """Logarithmic where positive values span a power of ten."""
    return "log" if values and min(values) > 0 and max(values) > 10 * min(values) else "linear"


def _mean(found: Any) -> float | None:
    return found.mean if found else None
