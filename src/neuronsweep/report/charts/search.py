"""The interactive charts of a search: its history, the importance of keys, and the Pareto front."""

from itertools import combinations

from neuronsweep.report.charts.axes import COLOURS, POINTS, Chart, value_axis
from neuronsweep.report.data.configurations import Row
from neuronsweep.report.data.formatting import thinned
from neuronsweep.report.data.search import METHODS, SearchResults, best_so_far, pruned_at
from neuronsweep.report.data.sweep import SweepReport
from neuronsweep.runs.run import DAMAGED, FAILED


def search_charts(sweep: SweepReport, search: SearchResults) -> dict[str, Chart]:
    """Every chart of a search, by its name in the page."""
    made: dict[str, Chart | None] = {}
    for i in range(len(search.metrics)):
        made[f"history-{i}"] = _history(sweep, search, i)
    for i, j in combinations(range(len(search.metrics)), 2):
        made[f"front-{i}-{j}"] = _front(sweep, search, i, j)
    for i, metric in enumerate(search.metrics):
        made[f"importances-{i}"] = _importances(search, metric)
    return {name: chart for name, chart in made.items() if chart}


def _history(sweep: SweepReport, search: SearchResults, objective: int) -> Chart | None:
    metric = search.metrics[objective]
    complete = [row for row in search.trials if metric in row]
    pruned = pruned_at(sweep, metric)
    failed = [row for row in sweep.rows if row["state"] in (FAILED, DAMAGED)]
    better = best_so_far(search, objective)
    if not complete and not pruned:
        return None
    # in the chart's words: a trial can be complete and count for nothing
    counted = {row["run"] for row in search.satisfying}
    groups = [
        ("complete", "circle", COLOURS[0], [(row, row[metric]) for row in complete if row["run"] in counted]),
        (
            "not as asked",
            "circle-open",
            COLOURS[0],
            [(row, row[metric]) for row in complete if row["run"] not in counted],
        ),
        ("pruned at", "x-thin-open", COLOURS[1], pruned),
    ]
    data: list[Chart] = []
    for name, symbol, colour, points in groups:
        if points:
            marker = {"symbol": symbol, "color": colour, "size": 8, "line": {"width": 1.5, "color": colour}}
            data.append({**_points(sweep, points), "name": name, "marker": marker})
    if failed:
        marker = {"symbol": "triangle-down", "color": COLOURS[4], "size": 9}
        # values they have none: they stand in a row below
        data.append({**_points(sweep, [(row, 0.03) for row in failed]), "name": "failed", "marker": marker})
        data[-1] |= {"yaxis": "y2", "hovertemplate": "%{text}<extra>failed</extra>"}
    last = max(row["run"] for row in sweep.rows)
    data.append(
        {
            "x": [run for run, _ in better] + [last] * bool(better),
            "y": [value for _, value in better] + [value for _, value in better[-1:]],
            "mode": "lines",
            "name": "best so far",
            "line": {"shape": "hv", "color": COLOURS[2], "width": 2},
            "hoverinfo": "skip",
        }
    )
    values = [row[metric] for row in complete] + [value for _, value in pruned]
    which = "Every trial" if max(len(points) for _, _, _, points in groups) <= POINTS else "A sample of the trials"
    below = {"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True}
    layout = {"xaxis": {"title": {"text": "trial"}}, "yaxis": value_axis(metric, values), "yaxis2": below}
    return {
        "title": f"History of the search: {metric}",
        "text": f"{which} in the order in which they were asked, and the best so far",
        "runs": True,
        "data": data,
        "layout": {**layout, "legend": {"orientation": "h", "y": 1.12}},
    }


def _front(sweep: SweepReport, search: SearchResults, i: int, j: int) -> Chart | None:
    across, down = search.metrics[i], search.metrics[j]
    if not search.best:
        return None
    of_front = {row["run"] for row in search.best}
    others = [row for row in search.trials if row["run"] not in of_front and across in row and down in row]
    others = list(thinned(others, POINTS))
    front = list(thinned(sorted(search.best, key=lambda row: float(row[across])), POINTS))
    marker = {"color": "#888888", "size": 6, "opacity": 0.6}
    data = [{**_points(sweep, [(row, row[down]) for row in others]), "name": "other trials", "marker": marker}]
    data.append({**_points(sweep, [(row, row[down]) for row in front]), "name": "front"})
    # with three objectives a front is a surface: no line joins what is beside each other in two of them
    mode = "lines+markers" if len(search.metrics) == 2 else "markers"
    data[1] |= {"mode": mode, "marker": {"color": COLOURS[4], "size": 9}, "line": {"color": COLOURS[4], "shape": "hv"}}
    if search.goals.objectives[i][1] == "max":
        data[1]["line"]["shape"] = "vh"
    for trace, rows in zip(data, (others, front), strict=True):
        trace["x"] = [row[across] for row in rows]
        trace["hovertemplate"] = f"%{{text}}<br>{across} %{{x:.4g}}<br>{down} %{{y:.4g}}<extra></extra>"
    rows = [*others, *front]
    axes = {"xaxis": value_axis(across, [row[across] for row in rows])}
    axes["yaxis"] = value_axis(down, [row[down] for row in rows])
    modes = {"min": "less", "max": "more"}
    wanted = " and ".join(f"{modes[mode]} {metric}" for metric, mode in (search.goals.objectives[k] for k in (i, j)))
    return {
        "title": f"Pareto front: {across}, {down}",
        "text": f"Trials that no other one equals in everything and beats in something; {wanted} is better",
        "runs": True,
        "data": data,
        "layout": {**axes, "legend": {"orientation": "h", "y": 1.12}},
    }


def _importances(search: SearchResults, metric: str) -> Chart | None:
    methods = {name: weights for name, weights in search.importances.get(metric, {}).items() if weights}
    if not methods:
        return None
    first = next(iter(methods.values()))
    keys = sorted({key for weights in methods.values() for key in weights}, key=lambda key: first.get(key, 0.0))
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "y": keys,
            "x": [weights.get(key, 0.0) for key in keys],
            "name": METHODS.get(name, name),
            "marker": {"color": COLOURS[i]},
            "hovertemplate": "%{y}: %{x:.1%}",
        }
        for i, (name, weights) in enumerate(methods.items())
    ]
    layout = {"barmode": "group", "xaxis": {"tickformat": ".0%"}, "legend": {"orientation": "h", "y": 1.12}}
    return {
        "title": f"Importance for {metric}",
        "text": "Share of each key by two methods, which ask different questions and often disagree",
        "data": data,
        "layout": layout,
    }


def _points(sweep: SweepReport, points: list[tuple[Row, float]]) -> Chart:
    shown = thinned(points, POINTS)
    return {
        "x": [row["run"] for row, _ in shown],
        "y": [value for _, value in shown],
        "customdata": [row["run"] for row, _ in shown],
        "text": [sweep.told(row) for row, _ in shown],
        "mode": "markers",
        "hovertemplate": "%{text}<br>%{y:.4g}",
    }
