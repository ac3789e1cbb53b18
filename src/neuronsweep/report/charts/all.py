"""Collects the interactive charts of a report as plain values for plotly.js, so that plotly is not imported."""

from neuronsweep.report.charts.axes import COLOURS, DASHES, POINTS, Chart, line_mode, value_axis
from neuronsweep.report.charts.metric import metric_chart, optimum_chart
from neuronsweep.report.charts.pairs import parallel_coordinates
from neuronsweep.report.charts.search import search_charts
from neuronsweep.report.data.formatting import short, spread_out, thinned
from neuronsweep.report.data.search import SearchResults
from neuronsweep.report.data.sweep import SweepReport
from neuronsweep.runs.run import Run

POINTS_OF_A_CURVE = 100
# Curves that a legend has room to name: no others are drawn.
NAMED = 12


def charts(sweep: SweepReport, search: SearchResults | None) -> dict[str, Chart]:
    """Every chart that the sweep has something for, by its name in the page."""
    made = {
        **(search_charts(sweep, search) if search else {}),
        "metric": metric_chart(sweep),
        "optimum": optimum_chart(sweep),
        "runs": _runs(sweep),
        "curves": _curves(sweep),
        "parallel": parallel_coordinates(sweep),
    }
    return {name: chart for name, chart in made.items() if chart}


def _runs(sweep: SweepReport) -> Chart | None:
    if not sweep.configurations:
        return None
    count = sum(len(configuration.rows) for configuration in sweep.configurations)
    data: list[Chart] = []
    for i, (name, those) in enumerate(sweep.by_data.items()):
        ranked = [(rank, row) for rank, c in enumerate(those, start=1) for row in c.rows]
        shown = thinned(ranked, max(1, POINTS * len(ranked) // count))
        data.append(
            {
                "x": [rank for rank, _ in shown],
                "y": [float(row[sweep.metric]) for _, row in shown],
                "customdata": [row["run"] for _, row in shown],
                "text": [sweep.told(row) for _, row in shown],
                "name": name,
                "mode": "markers",
                "marker": {"color": COLOURS[i % len(COLOURS)], "opacity": 0.8, "size": 7},
                "hovertemplate": "%{text}<br>%{y:.4g}<extra></extra>",
            }
        )
    values = [value for points in data for value in points["y"]]
    which = "Every complete run" if len(values) == count else "A sample of the complete runs"
    x: Chart = {"title": {"text": "rank of the configuration"}}
    if len(sweep.configurations) <= NAMED:
        x["dtick"] = 1
    return {
        "title": "Every run",
        "text": f"{which} by the rank of its configuration; click one to find it in the table",
        "runs": True,
        "data": data,
        "layout": {"xaxis": x, "yaxis": value_axis(sweep.metric, values)},
    }


def _curves(sweep: SweepReport) -> Chart | None:
    """The objective at log points of some runs: the best of every configuration first."""
    best = [configuration.best for configuration in sweep.configurations]
    data: list[Chart] = []
    shown = spread_out(best, NAMED)
    logged = [(row, Run(sweep.path(row)).history()) for row in shown]
    training = sweep.in_training[:NAMED]
    for i, (row, history) in enumerate([*logged, *training]):
        name = sweep.metric if history and sweep.metric in history[0][1] else "val/loss"
        points = [(epoch, values[name]) for epoch, values in history if name in values]
        points = list(thinned(points, POINTS_OF_A_CURVE))
        data.append(
            {
                "x": [epoch for epoch, _ in points],
                "y": [value for _, value in points],
                "mode": line_mode(points),
                "name": (" ".join(short(str(row[key])) for key in sweep.keys) or f"#{row['run']}")
                + (f" (#{row['run']}, not ended)" if i >= len(shown) else ""),
                "line": {"color": COLOURS[i % len(COLOURS)], "dash": DASHES[i // len(COLOURS) % 4], "width": 1.5},
                "hovertemplate": "epoch %{x}: %{y:.4g}",
            }
        )
    if not data:
        return None
    values = [value for curve in data for value in curve["y"]]
    which = "each configuration" if len(shown) == len(best) else f"{len(shown)} of {len(best)} configurations"
    and_those = f"; then what {'runs' if len(training) > 1 else 'a run'} that did not end logged so far"
    order = "best first" if len(sweep.by_data) == 1 else "one data set after the other"
    return {
        "title": "Learning curves",
        "text": f"{name} at log points, of the best run of {which}, {order}{and_those if training else ''}",
        "data": data,
        "layout": {"xaxis": {"title": {"text": "epoch"}}, "yaxis": value_axis(name, values)},
    }
