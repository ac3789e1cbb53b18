"""The pictures of a report: fits as small multiples, and the objective against one swept key."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from neuronsweep.report.read import Configuration, Sweep, configurations, in_order
from neuronsweep.sweeps import ledger

if TYPE_CHECKING:
    from neuronsweep.figures.multiples import Panel

# Rows and columns of a gallery, and the networks drawn in one panel.
ROWS, COLUMNS, NETWORKS = 5, 6, 12
# Keys that make the columns and the rows of a gallery, where they are swept.
ACROSS = ("model.hidden", "model.depth", "optimizer.lr", "data.noise", "epochs", "batch_size")
DOWN = ("model.act", "optimizer", "model.out_act", "model.init", "data", "model.depth")


def axes_of(sweep: Sweep) -> tuple[str | None, str | None]:
    """The keys that a gallery has from left to right and from top to bottom."""
    across = next((key for key in ACROSS if key in sweep.keys), next(iter(sweep.keys), None))
    rest = [key for key in sweep.keys if key != across]
    return across, next((key for key in DOWN if key in rest), next(iter(rest), None))


def spread_out(values: Sequence[str], at_most: int) -> list[str]:
    """So many of the values, the first and the last among them."""
    if len(values) <= at_most:
        return list(values)
    return [values[round(i * (len(values) - 1) / (at_most - 1))] for i in range(at_most)]


def cells(sweep: Sweep) -> tuple[list[Configuration], int]:
    """The best configuration of every place in the gallery, row by row, and the number of columns.

    A place where no run is complete is left out with its column or row.
    """
    across, down = axes_of(sweep)
    if across is None:
        return sweep.configurations[:1], 1
    keys = [key for key in (across, down) if key]
    columns = spread_out(in_order([str(row[across]) for row in sweep.complete()]), COLUMNS)
    rows = spread_out(in_order([str(row[down]) for row in sweep.complete()]), ROWS) if down else [""]
    best: dict[tuple[str, ...], Configuration] = {}
    for configuration in sweep.configurations:
        best.setdefault(tuple(configuration.values[key] for key in keys), configuration)
    places = [(column, row) if down else (column,) for row in rows for column in columns]
    return [best[place] for place in places if place in best], len(columns)


def gallery_png(sweep: Sweep) -> bytes | None:
    """Fits of the best configuration in every place: its median replicate boldly, others thinly.

    None where no run is complete or the data have more than two inputs.
    """
    from neuronsweep.figures.multiples import small_multiples

    chosen, columns = cells(sweep)
    panels = [panel for configuration in chosen if (panel := _panel(sweep, configuration))]
    return small_multiples(panels, columns) if panels else None


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
    ticks = in_order([str(row[across]) for row in sweep.complete()])
    lines = spread_out(in_order([str(row[down]) for row in sweep.complete()]), len(CLASS_COLOURS)) if down else [""]
    for i, line in enumerate(lines):
        rows = [row for row in sweep.complete() if not down or str(row[down]) == line]
        found = {c.values[across]: c.summary for c in configurations(rows, [across], sweep.metric, sweep.mode)}
        places = [place for place, tick in enumerate(ticks) if tick in found]
        means = [found[ticks[place]] for place in places]
        style: dict[str, Any] = {"color": CLASS_COLOURS[i], "marker": "os^Dv*P"[i], "linewidth": 1.6, "markersize": 5}
        axes.plot(places, [s.mean for s in means], label=line, **style)
        axes.fill_between(places, [s.low for s in means], [s.high for s in means], color=CLASS_COLOURS[i], alpha=0.18)
    axes.set_xticks(range(len(ticks)), ticks, fontsize=8, rotation=0 if len(ticks) < 12 else 60)
    axes.set_xlabel(across, parse_math=False)
    axes.set_ylabel(sweep.metric, parse_math=False)
    values = [float(row[sweep.metric]) for row in sweep.complete() if sweep.metric in row]
    if min(values) > 0 and max(values) > 10 * min(values):
        axes.set_yscale("log")
    axes.spines[["top", "right"]].set_visible(False)
    if down:
        axes.legend(title=down, frameon=False, fontsize=8)
    return png(figure)


def describe_gallery(sweep: Sweep) -> str:
    """What the gallery shows, for those who do not see it."""
    chosen, _ = cells(sweep)
    told = [f"{c.short}: {sweep.metric} {c.median[sweep.metric]:.3g}" for c in chosen]
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
