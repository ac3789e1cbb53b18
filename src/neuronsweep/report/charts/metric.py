"""The chart of the objective against a swept key: best means with intervals, beside the best possible fit."""

import math
from collections.abc import Mapping, Sequence

from neuronsweep.report.charts.axes import COLOURS, DASHES, Chart, key_axis, line_mode, value_axis
from neuronsweep.report.data.configurations import Configuration, Row, best_in_places
from neuronsweep.report.data.formatting import floor, in_order, is_number, is_scale, listed, named, short, spread_out
from neuronsweep.report.data.sweep import SweepReport

# Keys that are drawn from left to right, and keys that get lines of their own, where they are swept.
ACROSS = ("model.hidden", "model.depth", "optimizer.lr", "data.noise", "epochs", "batch_size")
DOWN = ("model.act", "optimizer", "model.out_act", "model.init", "model.depth")
LINES = 7
# The loss of a run, the least possible loss, and the loss of the best linear model.
REACHED, LEAST, LINEAR = "train/loss", "optimum/loss", "optimum/linear"


def axes_of(sweep: SweepReport) -> tuple[str | None, str | None]:
    """The keys that a gallery has from left to right and from top to bottom.

    Keys that give runs other data are among them: there is no best one of those. None where they are too many.
    """
    data = sweep.data_keys
    if len(data) > 2:
        return None, None
    others = [key for key in sweep.keys if key not in data]
    keys = others if len(data) == 1 and others else data or sweep.keys
    across = next((key for key in ACROSS if key in keys), next(iter(keys), None))
    rest = data if len(data) == 1 else [key for key in keys if key != across]
    # numbers of a scale make no rows
    rest = [key for key in rest if key != across and (data or not is_scale([str(row[key]) for row in sweep.rows]))]
    return across, next((key for key in DOWN if key in rest), next(iter(rest), None))


def metric_chart(sweep: SweepReport) -> Chart | None:
    """The objective against a swept key, a line a value of another one."""
    across, _ = axes_of(sweep)
    if across is None or not sweep.configurations:
        return None
    lines = _chart(sweep, sweep.metric, sweep.mode)
    return {"title": f"{sweep.metric} against {across}", "text": _told(sweep, sweep.metric), **lines}


def _told(sweep: SweepReport, metric: str) -> str:
    across, down = axes_of(sweep)
    which = f"{'some values' if len(sweep.asked[down]) > LINES else 'a value'} of {down}" if down else ""
    if sweep.is_search:
        return f"{metric} of every complete trial" + (f", a colour for {which}" if which else "")
    text = f"Mean {metric} at every value of {across}" + (f", a line for {which}" if which else "") + best_of(sweep)
    if any(configuration.summary.has_interval for configuration in sweep.configurations):
        text += f"; shaded its 95% interval over {sweep.replicates}"
    if any(configuration.failed for configuration in sweep.configurations):
        text += f"; {sweep.replicates} that failed are not in it"
    return text


def best_of(sweep: SweepReport) -> str:
    """Which of several configurations are shown at a place of ``axes_of``, in words."""
    if axes_of(sweep) == (None, None):
        return ", that of the first data set's best" if sweep.data_keys else ""
    rest = [key for key in sweep.keys if key not in axes_of(sweep)]
    return f", with the best {named(rest)} for it" if rest else ""


def lines(sweep: SweepReport, metric: str, mode: str) -> dict[str, dict[str, Configuration]]:
    """The best configuration at every place of ``axes_of``: by the value of the second key, then of the first.

    Those of one key have one line, of the metric's name. Intervals are over replicates: nothing else is averaged over.
    """
    across, down = axes_of(sweep)
    assert across is not None
    ranked = sweep.ranked(metric, mode)
    places = best_in_places(ranked, [across, down] if down else [across])
    ticks = [tick for tick in in_order(sweep.asked[across]) if any(place[0] == tick for place in places)]
    if not down:
        return {metric: {tick: places[tick,] for tick in ticks}}
    names = [name for name in in_order(sweep.asked[down]) if any(place[1] == name for place in places)]
    return {
        name: {tick: places[tick, name] for tick in ticks if (tick, name) in places}
        for name in spread_out(names, LINES)
    }


def optimum_chart(sweep: SweepReport) -> Chart | None:
    """The train loss against a swept key, beside the least that networks of one hidden ReLU layer can have."""
    across, _ = axes_of(sweep)
    complete = [row for row in sweep.complete() if REACHED in row]
    if across is None or len(sweep.by_data) > 1 or not any(LINEAR in row for row in complete):
        return None
    chart = _chart(sweep, REACHED, "min")
    bound = [row for row in complete if LEAST in row]
    names = {LEAST: f"least possible{_whose(sweep, complete, bound)}", LINEAR: "best linear model"}
    for metric, dash in ((LEAST, "solid"), (LINEAR, "dot")):
        found = least(complete, across, metric)
        if not found:
            continue
        chart["data"].append(
            {
                "x": list(found),
                "y": list(found.values()),
                "mode": "lines+markers" if metric == LEAST else line_mode(found),
                "name": names[metric],
                "line": {"color": "#888888", "dash": dash, "width": 3 if metric == LEAST else 1.5},
                "marker": {"symbol": "square", "size": 7},
                "hovertemplate": "%{x}: %{y:.4g}",
            }
        )
    drawn = [value for line in chart["data"] for value in line["y"]]
    chart["layout"]["yaxis"] = value_axis(REACHED, [value for value in drawn if value > 0])
    text = _told(sweep, REACHED)
    if bound:
        text += (
            ". The least possible is that of a piecewise-linear function with as many kinks as one hidden layer can "
            "make, put where they help most: other networks may come below it"
        )
    return {"title": f"How far from the best possible: {REACHED}", "text": text, **chart}


def _whose(sweep: SweepReport, complete: Sequence[Row], bound: Sequence[Row]) -> str:
    """Which of the runs a least possible loss is known of, in words; nothing where it is of all."""
    told = []
    for key in sweep.keys:
        values, others = ({str(row[key]) for row in rows} for rows in (bound, complete))
        if key != axes_of(sweep)[0] and 0 < len(values) < len(others):
            words = listed(in_order(list(values)))
            told.append(f"{key} {words}" if all(map(is_number, values)) else words)
    return f" with {' '.join(told)}" if told else ""


def least(rows: Sequence[Row], across: str, metric: str) -> Mapping[str, float]:
    """The least of a metric at every value of a key that has it, in the order of the values."""
    found: dict[str, list[float]] = {}
    for row in rows:
        if metric in row and math.isfinite(row[metric]):
            found.setdefault(str(row[across]), []).append(row[metric])
    return {value: min(found[value]) for value in in_order(list(found))}


def _chart(sweep: SweepReport, metric: str, mode: str) -> Chart:
    across, down = axes_of(sweep)
    assert across is not None
    complete = [row for row in sweep.complete() if metric in row]
    values = [str(row[across]) for row in complete]
    data: list[Chart] = []
    if sweep.is_search:
        results = [float(row[metric]) for row in complete]
        for i, line in enumerate(
            spread_out(in_order([str(row[down]) for row in complete]), LINES) if down else [metric]
        ):
            rows = [row for row in complete if not down or str(row[down]) == line]
            colour = {"color": COLOURS[i % len(COLOURS)]}
            data.append(_scattered(sweep, rows, across, metric) | {"name": short(line), "marker": colour})
    else:
        found = lines(sweep, metric, mode)
        results = [configuration.mean for line in found.values() for configuration in line.values()]
        for i, (name, shown) in enumerate(found.items()):
            style = {"color": COLOURS[i % len(COLOURS)], "dash": DASHES[i % len(DASHES)]}
            data += _line(shown, short(name), style, floor(results))
    layout = {"xaxis": key_axis(across, values), "yaxis": value_axis(metric, results)}
    return {"data": data, "layout": layout | {"legend": {"title": {"text": down or ""}}}, "runs": sweep.is_search}


def _line(line: Mapping[str, Configuration], name: str, style: Mapping[str, str], floor: float) -> list[Chart]:
    x, shown = list(line), list(line.values())
    summaries = [configuration.summary for configuration in shown]
    data: list[Chart] = []
    if any(s.has_interval for s in summaries):
        edge = {"x": x, "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
        data.append({"y": [max(s.low, floor) for s in summaries], "legendgroup": name, **edge})
        band = {"fill": "tonexty", "fillcolor": f"{style['color']}30"}
        data.append({"y": [s.high for s in summaries], "legendgroup": name, **band, **edge})
    data.append(
        {
            "x": x,
            "y": [s.mean for s in summaries],
            "mode": "lines+markers",
            "name": name,
            "legendgroup": name,
            "line": style,
            "text": [f"{configuration.name}\n{configuration.told}" for configuration in shown],
            "hovertemplate": "%{text}<extra></extra>",
        }
    )
    return data


def _scattered(sweep: SweepReport, rows: Sequence[Row], across: str, metric: str) -> Chart:
    """One point for each run, because means over the trials of a search would have no meaning."""
    return {
        "x": [str(row[across]) for row in rows],
        "y": [row[metric] for row in rows],
        "customdata": [row["run"] for row in rows],
        "text": [sweep.told(row) for row in rows],
        "mode": "markers",
        "hovertemplate": "%{text}<br>%{y:.4g}<extra></extra>",
    }
