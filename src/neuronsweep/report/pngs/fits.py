"""The pictures of a report: fits as small multiples, and the objective against one swept key."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from neuronsweep.errors import UserError
from neuronsweep.report.charts.metric import LINES, axes_of, best_of, lines
from neuronsweep.report.data.configurations import Configuration, best_in_places
from neuronsweep.report.data.formatting import floor, in_order, is_scale, scale, short, spread_out
from neuronsweep.report.data.search import Search
from neuronsweep.report.data.sweep import Sweep
from neuronsweep.runs.run import Run
from neuronsweep.runs.trim import is_trimmed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from neuronsweep.figures.multiples import Panel

# Rows and columns of a gallery, and the networks drawn in one panel.
ROWS, COLUMNS, NETWORKS = 5, 6, 12
# Panels in a row where the gallery is no grid: a search's best.
BEST = 3


def cells(sweep: Sweep, search: Search | None) -> tuple[list[Configuration | None], int]:
    """What a gallery shows, row by row, and the number of columns: of a search the best trials, of a grid a grid.

    A grid has the best configuration of every place, or None where no run is complete; a column or row without any
    is left out.
    """
    if search:
        numbers = {row["run"]: c for c in sweep.configurations for row in c.rows}
        best = [numbers[row["run"]] for row in search.best if row["run"] in numbers]
        return spread_out(best, 2 * BEST), BEST
    across, down = axes_of(sweep)
    if across is None:
        return list(sweep.configurations[:1]), 1
    keys = [key for key in (across, down) if key]
    columns = spread_out(in_order([str(row[across]) for row in sweep.complete()]), COLUMNS)
    rows = spread_out(in_order([str(row[down]) for row in sweep.complete()]), ROWS) if down else [""]
    best_there = best_in_places(sweep.configurations, keys)
    places = [(column, row) if down else (column,) for row in rows for column in columns]
    return [best_there.get(place) for place in places], len(columns)


def gallery_png(sweep: Sweep, search: Search | None) -> bytes | None:
    """Fits of the configurations in ``cells``: the median replicate boldly, others thinly.

    None where no run is complete or the data have more than two inputs.
    """
    from neuronsweep.figures.multiples import small_multiples

    chosen, columns = cells(sweep, search)
    panels = [_panel(sweep, configuration) if configuration else None for configuration in chosen]
    return small_multiples(panels, columns) if any(panels) else None


def metric_png(sweep: Sweep) -> bytes | None:
    """The objective against one swept key, a line a value of another, with 95% intervals over replicates.

    Every trial of a search has a point of its own: a mean over what it did not vary with the key would say nothing.
    """
    from neuronsweep.figures.multiples import png
    from neuronsweep.figures.style import blank

    across, down = axes_of(sweep)
    if across is None or not sweep.configurations:
        return None
    figure = blank((7.2, 4.0), layout="constrained")
    axes = figure.add_subplot()
    ticks = in_order([str(row[across]) for row in sweep.complete() if sweep.metric in row])
    on_scale = is_scale(ticks)
    drawn = _draw(axes, sweep, {tick: float(tick) if on_scale else i for i, tick in enumerate(ticks)})
    if not on_scale:
        axes.set_xticks(range(len(ticks)), list(map(short, ticks)), fontsize=8, parse_math=False)
    elif scale([float(tick) for tick in ticks]) == "log":
        axes.set_xscale("log")
    if scale(drawn) == "log":
        axes.set_yscale("log")
        axes.set_ylim(floor(drawn), None)
    axes.set_xlabel(across, parse_math=False)
    axes.set_ylabel(sweep.metric, parse_math=False)
    if best_of(sweep) and not sweep.is_search:
        axes.set_title(best_of(sweep).removeprefix(", "), fontsize=8, parse_math=False)
    axes.spines[["top", "right"]].set_visible(False)
    if down:
        legend = axes.legend(title=down, frameon=False, fontsize=8)
        for text in legend.get_texts():
            text.set_parse_math(False)
    return png(figure)


def _draw(axes: "Axes", sweep: Sweep, place: Mapping[str, float]) -> list[float]:
    """Draw a line or the points of every value of the second key, and return all results."""
    from neuronsweep.figures.style import CLASS_COLOURS

    named = _points(sweep)
    drawn = [c.mean for points in named.values() for _, c in points if math.isfinite(c.mean)]
    least = floor(drawn)
    for i, (name, points) in enumerate(named.items()):
        x, results = [place[tick] for tick, _ in points], [configuration.mean for _, configuration in points]
        style: dict[str, Any] = {"color": CLASS_COLOURS[i], "marker": "os^Dv*P"[i], "markersize": 5}
        style |= {"linestyle": "none"} if sweep.is_search else {"linewidth": 1.6}
        axes.plot(x, results, label=short(name), **style)
        summaries = [configuration.summary for _, configuration in points]
        if any(s.has_interval for s in summaries):
            low, high = [max(s.low, least) for s in summaries], [s.high for s in summaries]
            axes.fill_between(x, low, high, color=CLASS_COLOURS[i], alpha=0.18)
    return drawn


def _points(sweep: Sweep) -> dict[str, list[tuple[str, Configuration]]]:
    across, down = axes_of(sweep)
    assert across is not None
    if not sweep.is_search:
        return {name: list(line.items()) for name, line in lines(sweep, sweep.metric, sweep.mode).items()}
    names = spread_out(in_order([c.values[down] for c in sweep.configurations]), LINES) if down else [""]
    return {
        name: [(c.values[across], c) for c in sweep.configurations if not down or c.values[down] == name]
        for name in names
    }


def describe_gallery(sweep: Sweep, search: Search | None) -> str:
    """What the gallery shows, for those who do not see it."""
    chosen, _ = cells(sweep, search)
    told = [f"{c.short}: {sweep.metric} {c.median[sweep.metric]:.3g}" for c in chosen if c]
    return f"Fits of {sweep.data}, one panel a configuration. " + "; ".join(told)


def _panel(sweep: Sweep, configuration: Configuration) -> "Panel | None":
    from neuronsweep.analysis.fit import kinks_among_samples
    from neuronsweep.data.build import build_dataset
    from neuronsweep.figures.multiples import Panel
    from neuronsweep.models.mlp import MLP
    from neuronsweep.predictor import load_recorded

    # the weights of others were removed
    known = [row for row in configuration.rows if not is_trimmed(sweep.path(row))]
    if not known:
        return None
    shown = configuration.median if configuration.median in known else known[0]
    record = Run(sweep.path(shown)).record()
    try:
        dataset = build_dataset(record["config"]["data"])
    except UserError:
        if "table" in record:  # its file is gone
            return None
        raise
    if dataset.inputs > 2 or (dataset.inputs == 2 and not dataset.classes):
        return None
    rows = [shown]
    if dataset.inputs == 1:
        rows += [row for row in known[:NETWORKS] if row is not shown]
    networks = [load_recorded(sweep.path(row)).module for row in rows]
    found: list[float] = []
    if dataset.inputs == 1 and "kinks" in shown and isinstance(networks[0], MLP):
        found = kinks_among_samples(networks[0], dataset)
    name = f"{configuration.short}\n{sweep.metric} {shown[sweep.metric]:.3g}"
    return Panel(name, dataset, networks, 0, found)
