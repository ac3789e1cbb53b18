"""Charts of what the best configuration has learnt of many inputs: predictions, errors, importances, dependences."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from neuronsweep.report.charts.axes import COLOURS, POINTS, SCALE, Chart
from neuronsweep.report.data.learnt import Dependence, Learnt, sample

# Features whose importance is drawn, classes that have curves of their own, and classes whose matrix has its numbers.
FEATURES, CURVES, NUMBERED = 12, 4, 12


def learnt_charts(one: Learnt) -> list[Chart]:
    """The charts of one data set."""
    made = [_confusion(one), _calibration(one)] if one.classes else [*_against(one), *_residuals(one)]
    return [*made, _importances(one), *(_dependence(one, dependence) for dependence in one.dependences)]


def _rows(one: Learnt) -> str:
    return (
        f"{len(one.actual)} validation rows"
        if one.replicates == 1
        else (f"Each of {len(one.actual)} validation rows by the networks that were not trained on it")
    )


def _points(x: tuple[str, list[float]], y: tuple[str, list[float]], colour: str) -> dict[str, Any]:
    """A point for each row at two of its values, each with what it is called."""
    return {
        "x": x[1],
        "y": y[1],
        "mode": "markers",
        "marker": {"color": colour, "size": 6, "opacity": 0.6},
        "hovertemplate": f"{x[0]} %{{x}}<br>{y[0]} %{{y}}<extra></extra>",
    }


def _against(one: Learnt) -> Iterator[Chart]:
    rows = sample(one, POINTS)
    for k, name in enumerate(one.targets):
        actual, predicted = _digits(one.actual[rows, k]), _digits(one.predicted[rows, k])
        ends = [min(actual + predicted), max(actual + predicted)]
        points = _points(("true", actual), ("predicted", predicted), COLOURS[0])
        same = {"x": ends, "y": ends, "mode": "lines", "line": {"color": "#888888", "dash": "dot"}, "hoverinfo": "skip"}
        yield {
            "title": f"Predicted against true: {name}",
            "text": f"{_rows(one)}; on the dotted line a prediction is right",
            "data": [points, same],
            "layout": {
                "showlegend": False,
                "xaxis": {"title": {"text": f"true {name}"}},
                "yaxis": {"title": {"text": f"predicted {name}"}},
            },
        }


def _residuals(one: Learnt) -> Iterator[Chart]:
    rows = sample(one, POINTS)
    for k, name in enumerate(one.targets):
        predicted = _digits(one.predicted[rows, k])
        residuals = _digits(one.actual[rows, k] - one.predicted[rows, k])
        points = _points(("predicted", predicted), ("true - predicted", residuals), COLOURS[1])
        yield {
            "title": f"Residuals: {name}",
            "text": "True minus predicted; a bend or a funnel is what the networks have not learnt",
            "data": [points],
            "layout": {
                "xaxis": {"title": {"text": f"predicted {name}"}},
                "yaxis": {"title": {"text": "residual"}, "zeroline": True},
            },
        }


def matrix_of(one: Learnt) -> tuple[list[list[int]], list[list[float]]]:
    """Counts and rates of rows: a true class (first) taken for a class (second)."""
    from neuronsweep.analysis.scores import confusion

    counts = confusion(one.predicted, one.actual)
    rates = counts / np.maximum(1, counts.sum(1, keepdims=True))
    return counts.tolist(), [[round(rate, 4) for rate in row] for row in rates.tolist()]


def _confusion(one: Learnt) -> Chart:
    counts, rates = matrix_of(one)
    names = list(one.classes)
    texts = [[f"{rate:.0%}\n{n}" for rate, n in zip(*row, strict=True)] for row in zip(rates, counts, strict=True)]
    trace: Chart = {
        "type": "heatmap",
        "x": names,
        "y": names,
        "z": rates,
        "customdata": counts,
        "zmin": 0,
        "zmax": 1,
        "colorscale": SCALE,
        "colorbar": {"tickformat": ".0%"},
        "hovertemplate": "true %{y}<br>predicted %{x}<br>%{z:.1%} of the class, %{customdata} rows<extra></extra>",
    }
    if len(names) <= NUMBERED:
        trace |= {"text": texts, "texttemplate": "%{text}"}
    axis = {"type": "category", "categoryorder": "array", "categoryarray": names}
    return {
        "title": "Confusion matrix",
        "text": f"{_rows(one)}; the shares of each true class",
        "data": [trace],
        "layout": {
            "xaxis": {**axis, "title": {"text": "predicted"}},
            "yaxis": {**axis, "title": {"text": "true"}, "autorange": "reversed"},
        },
    }


def _calibration(one: Learnt) -> Chart:
    from neuronsweep.analysis.scores import calibration

    sizes, claimed, share = calibration(one.predicted, one.actual)
    points = {
        "x": _digits(claimed),
        "y": _digits(share),
        "customdata": sizes.astype(int).tolist(),
        "mode": "lines+markers",
        "name": "networks",
        "line": {"color": COLOURS[0]},
        "marker": {"size": _digits(6 + 14 * np.sqrt(sizes / sizes.sum()))},
        "hovertemplate": "said %{x:.1%}<br>right %{y:.1%}<br>%{customdata} rows<extra></extra>",
    }
    same = {"x": [0, 1], "y": [0, 1], "mode": "lines", "line": {"color": "#888888", "dash": "dot"}, "hoverinfo": "skip"}
    least = float(min(claimed.min(), 1 / len(one.classes)))
    return {
        "title": "Calibration",
        "text": "How often the predicted class is right, by its probability; below the dotted line they are too "
        "sure of themselves",
        "data": [points, same],
        "layout": {
            "showlegend": False,
            "xaxis": {"title": {"text": "probability of the predicted class"}, "range": [least - 0.02, 1.03]},
            "yaxis": {"title": {"text": "share that is right"}, "range": [-0.03, 1.05]},
        },
    }


def _importances(one: Learnt) -> Chart:
    shown = one.importances[:FEATURES][::-1]
    bars: Chart = {
        "type": "bar",
        "orientation": "h",
        "y": [importance.name for importance in shown],
        "x": _digits([importance.mean for importance in shown]),
        "marker": {"color": COLOURS[0]},
        "hovertemplate": "%{y}: %{x:.4g}<extra></extra>",
    }
    spread = ""
    if one.replicates > 1:
        spread = f"; whiskers: one standard deviation over {one.replicates} networks"
        bars["error_x"] = {"array": _digits([importance.spread for importance in shown]), "color": "#888888"}
    of = (
        f"the {FEATURES} most important of {len(one.importances)} features"
        if len(one.importances) > FEATURES
        else ("all features")
    )
    return {
        "title": "Permutation importance",
        "text": f"By how much val/{one.metric} gets worse where a feature's values are exchanged among rows, of {of}"
        f"{spread}; features that say the same share what they matter",
        "data": [bars],
        "layout": {"xaxis": {"title": {"text": f"change of val/{one.metric}"}}, "yaxis": {"type": "category"}},
    }


def _dependence(one: Learnt, dependence: Dependence) -> Chart:
    """The mean over the networks boldly, each of them thinly; of two classes the second, of more the commonest."""
    names, places = list(one.targets), list(range(len(one.targets)))
    if one.classes:
        counts = np.bincount(one.actual, minlength=len(one.classes))
        places = [1] if len(one.classes) == 2 else sorted(np.argsort(-counts, kind="stable")[:CURVES].tolist())
        names = [one.classes[place] for place in places]
    data: list[Chart] = []
    words = bool(dependence.levels)
    for i, (place, name) in enumerate(zip(places, names, strict=True)):
        colour, curves = COLOURS[i % len(COLOURS)], dependence.curves[:, :, place]
        if words:
            bars: Chart = {"type": "bar", "x": list(dependence.levels), "y": _digits(curves.mean(0)), "name": name}
            bars |= {"marker": {"color": colour}, "hovertemplate": "%{x}: %{y:.4g}"}
            if len(curves) > 1:
                bars["error_y"] = {"array": _digits(curves.std(0, ddof=1)), "color": "#888888"}
            data.append(bars)
            continue
        if len(curves) > 1:
            # one line with gaps: a page has many of these
            x = [value for _ in curves for value in (*_digits(dependence.grid), None)]
            y = [value for curve in curves for value in (*_digits(curve), None)]
            thin = {"x": x, "y": y, "mode": "lines", "line": {"color": colour, "width": 0.8}, "opacity": 0.4}
            data.append({**thin, "hoverinfo": "skip", "showlegend": False})
        bold = {
            "x": _digits(dependence.grid),
            "y": _digits(curves.mean(0)),
            "name": name,
            "line": {"color": colour, "width": 3},
        }
        data.append({**bold, "mode": "lines", "hovertemplate": "%{x:.4g}: %{y:.4g}"})
    what = (
        f"probability of {names[0]}" if one.classes and len(names) == 1 else "probability" if one.classes else names[0]
    )
    networks = "; thin lines: each network" if len(dependence.curves) > 1 and not words else ""
    return {
        "title": f"Partial dependence on {dependence.name}",
        "text": f"Mean prediction where all rows have this value and keep their others{networks}",
        "data": data,
        "layout": {
            "showlegend": len(names) > 1,
            "barmode": "group",
            "xaxis": {"title": {"text": dependence.name}, **({"type": "category"} if words else {})},
            "yaxis": {"title": {"text": what if len(names) == 1 or one.classes else "prediction"}},
        },
    }


def _digits(values: "np.ndarray | list[float]") -> list[float]:
    """With the digits that a chart can show."""
    return [float(f"{value:.4g}") for value in values]
