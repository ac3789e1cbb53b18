"""The picture of a search for report.md: its history and, where there are several objectives, its front."""

from typing import TYPE_CHECKING

from neuronsweep.report.data.formatting import scale
from neuronsweep.report.data.search import Search, best_so_far, pruned_at
from neuronsweep.report.data.sweep import Sweep
from neuronsweep.runs.run import DAMAGED, FAILED

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def search_png(sweep: Sweep, search: Search | None) -> bytes | None:
    """The history of the first objective; beside it the front of the first two. None where nothing is complete."""
    if not search or not any(search.metrics[0] in row for row in search.trials):
        return None

    from neuronsweep.figures.multiples import png
    from neuronsweep.figures.style import blank

    draw = [_history, _front] if len(search.metrics) > 1 else [_history]
    figure = blank((3.6 + 3.6 * len(draw), 3.6), layout="constrained")
    for i, one in enumerate(draw):
        axes = figure.add_subplot(1, len(draw), i + 1)
        one(axes, sweep, search)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
    return png(figure)


def _history(axes: "Axes", sweep: Sweep, search: Search) -> None:
    from neuronsweep.figures.style import BLUE, GREEN, ORANGE, VERMILION

    metric = search.metrics[0]
    complete = [row for row in search.trials if metric in row]
    counted = {row["run"] for row in search.satisfying}
    others = [row for row in complete if row["run"] not in counted]
    pruned = pruned_at(sweep, metric)
    failed = [row["run"] for row in sweep.rows if row["state"] in (FAILED, DAMAGED)]
    better = best_so_far(search, 0)
    done = search.satisfying
    axes.plot([row["run"] for row in done], [row[metric] for row in done], "o", color=BLUE, label="complete")
    if others:
        x, y = [row["run"] for row in others], [row[metric] for row in others]
        axes.plot(x, y, "o", color=BLUE, fillstyle="none", label="not as asked")
    if pruned:
        axes.plot(
            [row["run"] for row, _ in pruned], [value for _, value in pruned], "x", color=ORANGE, label="pruned at"
        )
    if better:
        runs, values = [run for run, _ in better], [value for _, value in better]
        runs, values = [*runs, sweep.rows[-1]["run"]], [*values, values[-1]]
        axes.step(runs, values, where="post", color=GREEN, linewidth=2, label="best so far")
    if scale([row[metric] for row in complete] + [value for _, value in pruned]) == "log":
        axes.set_yscale("log")
    if failed:
        axes.plot(
            failed, [0.02] * len(failed), "v", color=VERMILION, transform=axes.get_xaxis_transform(), label="failed"
        )
    axes.set_xlabel("trial")
    axes.set_ylabel(metric, parse_math=False)


def _front(axes: "Axes", sweep: Sweep, search: Search) -> None:
    from neuronsweep.figures.style import GREY, VERMILION

    across, down = search.metrics[:2]
    rows = [row for row in search.trials if across in row and down in row]
    axes.plot([row[across] for row in rows], [row[down] for row in rows], ".", color=GREY, label="trials")
    front = search.best
    axes.plot([row[across] for row in front], [row[down] for row in front], "o", color=VERMILION, label="front")
    axes.set_xlabel(across, parse_math=False)
    axes.set_ylabel(down, parse_math=False)
    if scale([row[across] for row in rows]) == "log":
        axes.set_xscale("log")
    if scale([row[down] for row in rows]) == "log":
        axes.set_yscale("log")
