"""Charts of all keys at once: heat maps of every pair, and parallel coordinates with a line for each run."""

import statistics
from collections.abc import Sequence
from itertools import combinations

from neuronsweep.report.charts.axes import POINTS, SCALE, Chart, key_axis, on_scale
from neuronsweep.report.data.configurations import Row
from neuronsweep.report.data.formatting import in_order, is_scale, short, spread_out, thinned
from neuronsweep.report.data.sweep import SweepReport

# Labels on an axis of parallel coordinates.
LABELS = 12


def heat_maps(sweep: SweepReport) -> dict[str, list[Chart]]:
    """The mean objective over every pair of swept keys, by "KEY x KEY"; points of its colour over a scale."""
    complete = [row for row in sweep.complete() if sweep.metric in row]
    made = {}
    for pair in combinations(sweep.keys, 2):
        if set(sweep.data_keys) - set(pair):
            continue  # a mean over data sets says nothing
        texts = [[str(row[key]) for row in complete] for key in pair]
        draw = _points if any(map(is_scale, texts)) else _cells
        axes = {"xaxis": key_axis(pair[0], texts[0]), "yaxis": key_axis(pair[1], texts[1])}
        name = f"{pair[0]} x {pair[1]}"
        text = f"{'Mean ' if draw is _cells else ''}{sweep.metric} of all runs of a place"
        made[name] = [{"title": name, "text": text, "data": [draw(sweep, complete, *pair)], "layout": axes}]
    return made


def _cells(sweep: SweepReport, complete: Sequence[Row], across: str, down: str) -> Chart:
    columns, rows = (in_order([str(row[key]) for row in complete]) for key in (across, down))
    results: dict[tuple[str, str], list[float]] = {}
    for row in complete:
        results.setdefault((str(row[across]), str(row[down])), []).append(float(row[sweep.metric]))
    found = {place: statistics.fmean(those) for place, those in results.items()}
    values, labels = on_scale(list(found.values()))
    shown = dict(zip(found, values, strict=True))
    return {
        "type": "heatmap",
        "x": columns,
        "y": rows,
        "z": [[shown.get((column, row)) for column in columns] for row in rows],
        "customdata": [[found.get((column, row)) for column in columns] for row in rows],
        "colorscale": SCALE,
        "colorbar": {"title": {"text": sweep.metric}, **labels},
        "hovertemplate": f"{across} %{{x}}<br>{down} %{{y}}<br>%{{customdata:.4g}}<extra></extra>",
    }


def _points(sweep: SweepReport, complete: Sequence[Row], across: str, down: str) -> Chart:
    rows = thinned(complete, POINTS)
    values, labels = on_scale([float(row[sweep.metric]) for row in rows])
    colour = {"color": values, "colorscale": SCALE, "size": 10, "showscale": True}
    bar = {"colorbar": {"title": {"text": sweep.metric}, **labels}, "line": {"width": 0.5, "color": "#888888"}}
    return {
        "x": [str(row[across]) for row in rows],
        "y": [str(row[down]) for row in rows],
        "mode": "markers",
        "marker": colour | bar,
        "text": [f"{sweep.told(row)}\n{row[sweep.metric]:.4g}" for row in rows],
        "hovertemplate": "%{text}<extra></extra>",
    }


def parallel_coordinates(sweep: SweepReport) -> Chart | None:
    """One line a run through the values of all keys to its result."""
    complete = thinned([row for row in sweep.complete() if sweep.metric in row], POINTS)
    if len(sweep.keys) < 2 or len(complete) < 2:
        return None
    values = [float(row[sweep.metric]) for row in complete]
    # on a logarithmic scale, or a few bad runs leave one colour to all the others
    result = _numbers(sweep.metric, values)
    dimensions = [*(_dimension(key, complete) for key in sweep.keys), result]
    colour = {"color": result["values"], "colorscale": SCALE, "reversescale": sweep.mode == "min"}
    return {
        "title": "Parallel coordinates",
        "text": "One line a run through its values; drag along an axis to choose",
        "data": [{"type": "parcoords", "dimensions": dimensions, "line": colour}],
        "layout": {"margin": {"l": 60, "r": 60, "t": 60, "b": 30}},
    }


def _dimension(key: str, rows: Sequence[Row]) -> Chart:
    texts = [str(row[key]) for row in rows]
    if is_scale(texts):
        return _numbers(key, [float(text) for text in texts])
    names = in_order(texts)
    place = {name: i for i, name in enumerate(names)}
    ticks = spread_out(names, LABELS)
    return {
        "label": key,
        "values": [place[text] for text in texts],
        "tickvals": [place[name] for name in ticks],
        "ticktext": [short(name) for name in ticks],
    }


def _numbers(label: str, values: Sequence[float]) -> Chart:
    shown, labels = on_scale(values)
    return {"label": label, "values": shown, **labels}
