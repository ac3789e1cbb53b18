"""The pictures of a report: fits as small multiples, and the objective against one swept key."""

from typing import TYPE_CHECKING, Any

from neuronsweep.report.lines import axes_of
from neuronsweep.report.plot import scale
from neuronsweep.report.read import Configuration, Sweep, configurations
from neuronsweep.report.search import Search
from neuronsweep.report.values import in_order, is_scale, short, spread_out
from neuronsweep.sweeps import ledger

if TYPE_CHECKING:
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
        numbers = {c.best["run"]: c for c in sweep.configurations}
        best = [numbers[row["run"]] for row in search.best if row["run"] in numbers]
        return spread_out(best, 2 * BEST), BEST
    across, down = axes_of(sweep)
    if across is None:
        return list(sweep.configurations[:1]), 1
    keys = [key for key in (across, down) if key]
    columns = spread_out(in_order([str(row[across]) for row in sweep.complete()]), COLUMNS)
    rows = spread_out(in_order([str(row[down]) for row in sweep.complete()]), ROWS) if down else [""]
    best_of: dict[tuple[str, ...], Configuration] = {}
    for configuration in sweep.configurations:
        best_of.setdefault(tuple(configuration.values[key] for key in keys), configuration)
    places = [(column, row) if down else (column,) for row in rows for column in columns]
    return [best_of.get(place) for place in places], len(columns)


def gallery_png(sweep: Sweep, search: Search | None) -> bytes | None:
    """Fits of the configurations in ``cells``: the median replicate boldly, others thinly.

    None where no run is complete or the data have more than two inputs.
    """
    from neuronsweep.figures.multiples import small_multiples

    chosen, columns = cells(sweep, search)
    panels = [_panel(sweep, configuration) if configuration else None for configuration in chosen]
    return small_multiples(panels, columns) if any(panels) else None


def metric_png(sweep: Sweep) -> bytes | None:
    """The objective against one swept key, a line a value of another, with 95% intervals over seeds."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from neuronsweep.figures.multiples import png
    from neuronsweep.figures.style import CLASS_COLOURS, DPI

    across, down = axes_of(sweep)
    if across is None or not sweep.configurations:
        return None
    figure = Figure(figsize=(7.2, 4.0), dpi=DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    complete = [row for row in sweep.complete() if sweep.metric in row]
    ticks = in_order([str(row[across]) for row in complete])
    on_scale = is_scale(ticks)
    lines = spread_out(in_order([str(row[down]) for row in complete]), len(CLASS_COLOURS)) if down else [""]
    for i, line in enumerate(lines):
        rows = [row for row in complete if not down or str(row[down]) == line]
        found = {c.values[across]: c.summary for c in configurations(rows, [across], sweep.metric, sweep.mode)}
        means = [found[tick] for tick in ticks if tick in found]
        places = [float(tick) if on_scale else place for place, tick in enumerate(ticks) if tick in found]
        style: dict[str, Any] = {"color": CLASS_COLOURS[i], "marker": "os^Dv*P"[i], "markersize": 5}
        style |= {"linestyle": "none"} if sweep.is_search else {"linewidth": 1.6}
        axes.plot(places, [s.mean for s in means], label=short(line), **style)
        if not sweep.is_search:
            axes.fill_between(
                places, [s.low for s in means], [s.high for s in means], color=CLASS_COLOURS[i], alpha=0.18
            )
    if not on_scale:
        axes.set_xticks(range(len(ticks)), list(map(short, ticks)), fontsize=8)
    elif scale([float(tick) for tick in ticks]) == "log":
        axes.set_xscale("log")
    axes.set_xlabel(across, parse_math=False)
    axes.set_ylabel(sweep.metric, parse_math=False)
    if scale([float(row[sweep.metric]) for row in complete]) == "log":
        axes.set_yscale("log")
    axes.spines[["top", "right"]].set_visible(False)
    if down:
        axes.legend(title=down, frameon=False, fontsize=8)
    return png(figure)


def describe_gallery(sweep: Sweep, search: Search | None) -> str:
    """What the gallery shows, for those who do not see it."""
    chosen, _ = cells(sweep, search)
    told = [f"{c.short}: {sweep.metric} {c.median[sweep.metric]:.3g}" for c in chosen if c]
    return f"Fits of {sweep.data}, one panel a configuration. " + "; ".join(told)


def _panel(sweep: Sweep, configuration: Configuration) -> "Panel | None":
    from neuronsweep.analysis import kinks
    from neuronsweep.data.build import build_dataset
    from neuronsweep.figures.multiples import Panel
    from neuronsweep.models.checkpoint import load_network

    config = ledger.read_json(sweep.path(configuration.best) / ledger.RECORD)["config"]
    dataset = build_dataset(config["data"])
    if dataset.inputs > 2 or (dataset.inputs == 2 and not dataset.classes):
        return None
    rows = [configuration.median]
    if dataset.inputs == 1:
        rows += [row for row in configuration.rows[:NETWORKS] if row is not configuration.median]
    networks = [load_network(sweep.path(row) / ledger.MODEL) for row in rows]
    found: list[float] = []
    if dataset.inputs == 1 and "kinks" in configuration.median:
        x = [value for split in dataset.splits.values() for value in (float(split.x.min()), float(split.x.max()))]
        found = kinks(networks[0], min(x), max(x))
    name = f"{configuration.short}\n{sweep.metric} {configuration.median[sweep.metric]:.3g}"
    return Panel(name, dataset, networks, 0, found)
