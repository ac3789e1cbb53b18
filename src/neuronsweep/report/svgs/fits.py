"""Fits of a sweep's configurations beside each other, a small chart for each, for the page and for report.md."""

import json
from typing import TYPE_CHECKING

from neuronsweep.errors import UserError
from neuronsweep.report.charts.metric import axes_of
from neuronsweep.report.data.configurations import Configuration, best_in_places
from neuronsweep.report.data.formatting import in_order, spread_out
from neuronsweep.report.data.search import SearchResults
from neuronsweep.report.data.sweep import SweepReport
from neuronsweep.report.svgs.gallery import Gallery
from neuronsweep.runs.run import Run
from neuronsweep.runs.trim import is_trimmed

if TYPE_CHECKING:
    from neuronsweep.data.dataset import Dataset

# Rows and columns of a gallery, and the networks drawn in one panel.
ROWS, COLUMNS, NETWORKS = 5, 6, 12
# Panels in a row where the gallery is no grid: a search's best.
BEST = 3


def gallery(sweep: SweepReport, search: SearchResults | None) -> Gallery | None:
    """Fits of the configurations in ``cells``: the median replicate boldly, others thinly.

    None where no run is complete, and of data with two inputs that are no classes, or with more.
    """
    import torch  # late: a sweep without results needs none

    from neuronsweep.data.build import build_dataset
    from neuronsweep.predictor import load_recorded
    from neuronsweep.report.svgs.panels import panel

    chosen, columns = cells(sweep, search)
    found = Gallery(columns)
    datasets: dict[str, Dataset | None] = {}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # in hundreds of small calls more of them do little but wait for each other
    for configuration in chosen:
        # the weights of others were removed
        known = [row for row in configuration.rows if not is_trimmed(sweep.path(row))] if configuration else []
        if configuration is None or not known:
            found.panels.append(None)
            continue
        shown = configuration.median if configuration.median in known else known[0]
        record = Run(sweep.path(shown)).record()
        data = json.dumps(record["config"]["data"], sort_keys=True)
        if data not in datasets:
            try:
                datasets[data] = build_dataset(record["config"]["data"])
            except UserError:
                if "table" not in record:
                    raise
                datasets[data] = None  # its file is gone
        dataset = datasets[data]
        is_curve = dataset is not None and dataset.inputs == 1 and not dataset.classes and dataset.outputs == 1
        if dataset is None or (not is_curve and not (dataset.inputs == 2 and dataset.classes)):
            found.panels.append(None)
            continue
        title = f"{configuration.short}\n{sweep.metric} {shown[sweep.metric]:.3g}"
        rows = [shown]
        if dataset.inputs == 1:
            rows += [row for row in known[:NETWORKS] if row is not shown]
        networks = [load_recorded(sweep.path(row)).module for row in rows]
        found.runs.append(sweep.path(shown))
        found.panels.append(panel(dataset, networks, title, "kinks" in shown, found))
    torch.set_num_threads(threads)
    return found if any(found.panels) else None


def cells(sweep: SweepReport, search: SearchResults | None) -> tuple[list[Configuration | None], int]:
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


def described(sweep: SweepReport, search: SearchResults | None) -> str:
    """What the gallery shows, for those who do not see it."""
    chosen, _ = cells(sweep, search)
    told = [f"{c.short}: {sweep.metric} {c.median[sweep.metric]:.3g}" for c in chosen if c]
    return f"Fits of {sweep.data}, one panel a configuration. " + "; ".join(told)
