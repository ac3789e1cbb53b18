"""The picture of a search for report.md: its history and, where there are several objectives, its front."""

import math

from neuronsweep.report.charts.axes import COLOURS
from neuronsweep.report.data.formatting import thinned
from neuronsweep.report.data.search import SearchResults, best_so_far, pruned_at
from neuronsweep.report.data.sweep import SweepReport
from neuronsweep.report.svgs.metric import scale_of, under_legend
from neuronsweep.report.svgs.plot import Entry, Plot, Scale, sample_line, sample_mark
from neuronsweep.runs.run import DAMAGED, FAILED

SIZE = (480, 330)
# Marks that are drawn of one kind.
POINTS = 2000
DONE, STOPPED, BETTER, WORST, OTHERS = COLOURS[0], COLOURS[1], COLOURS[2], COLOURS[4], "#888888"


def search_svg(sweep: SweepReport, search: SearchResults | None) -> str | None:
    """The history of the first objective; beside it the front of the first two. None where nothing is complete."""
    if not search or not any(search.metrics[0] in row for row in search.trials):
        return None
    entries: dict[str, Entry] = {}
    charts = [_history(sweep, search, entries)]
    if len(search.metrics) > 1:
        charts.append(_front(sweep, search, entries))
    return under_legend(list(entries.values()), charts, SIZE)


def _history(sweep: SweepReport, search: SearchResults, entries: dict[str, Entry]) -> str:
    metric = search.metrics[0]
    complete = [row for row in search.trials if metric in row]
    counted = {row["run"] for row in search.satisfying}
    pruned = pruned_at(sweep, metric)
    better = best_so_far(search, 0)
    groups = {
        "complete": (DONE, 0, [(row["run"], row[metric]) for row in search.satisfying]),
        "not as asked": (OTHERS, 0, [(row["run"], row[metric]) for row in complete if row["run"] not in counted]),
        "pruned at": (STOPPED, 3, [(row["run"], value) for row, value in pruned]),
    }
    values = [float(value) for _, _, points in groups.values() for _, value in points if math.isfinite(value)]
    last = sweep.rows[-1]["run"]
    plot = Plot(SIZE, Scale(-0.02 * last - 0.5, 1.02 * last + 0.5), scale_of(values or [0.0]), ("trial", metric))
    for name, (colour, shape, points) in groups.items():
        if points:
            shown = thinned(points, POINTS)
            plot.marks([run for run, _ in shown], [value for _, value in shown], colour, shape)
            entries[name] = Entry(name, sample_mark(colour, shape))
    if better:
        corners = [run for run, _ in better for _ in range(2)]
        y = [value for _, value in better for _ in range(2)]
        plot.line([*corners[1:], last], y, stroke=BETTER, stroke_width=2)
        entries["best so far"] = Entry("best so far", sample_line(stroke=BETTER, stroke_width=2))
    if failed := [row["run"] for row in sweep.rows if row["state"] in (FAILED, DAMAGED)]:
        plot.marks(failed, [plot.y.low] * len(failed), WORST, 2, 8)
        entries["failed"] = Entry("failed", sample_mark(WORST, 2, 8))
    return plot.svg(f"History of the search: {metric}")


def _front(sweep: SweepReport, search: SearchResults, entries: dict[str, Entry]) -> str:
    across, down = search.metrics[:2]
    rows = [row for row in search.trials if across in row and down in row]
    rows = [row for row in rows if math.isfinite(row[across]) and math.isfinite(row[down])]
    x, y = (scale_of([row[name] for row in rows] or [0.0]) for name in (across, down))
    plot = Plot(SIZE, x, y, (across, down))
    for name, those, colour in (("trials", rows, OTHERS), ("front", search.best, WORST)):
        shown = thinned(those, POINTS)
        size = 4 if name == "trials" else 7
        plot.marks([row[across] for row in shown], [row[down] for row in shown], colour, 0, size)
        entries[name] = Entry(name, sample_mark(colour, 0, size))
    return plot.svg(f"Front of {across} and {down}")
