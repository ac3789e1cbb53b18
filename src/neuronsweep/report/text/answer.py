"""Writes the answer of a sweep in sentences: the best configuration, and the numbers behind it."""

import statistics
from collections.abc import Sequence

from neuronsweep.report.charts.metric import axes_of
from neuronsweep.report.data.configurations import Configuration, Row
from neuronsweep.report.data.formatting import in_order, is_number, listed, named, number, short
from neuronsweep.report.data.search import SearchResults
from neuronsweep.report.data.sweep import SweepReport
from neuronsweep.report.text.verdicts import ONE_SEED, apart, fixed_by_data
from neuronsweep.runs import files, lock
from neuronsweep.runs.run import DAMAGED, FAILED, RUNNING, Run

# Data sets that have sentences of their own.
SETS = 4
# Places of a grid whose results a sentence lists.
GRID = 12
# Runs that have not ended and are told of one by one.
SO_FAR = 6
# The metric that tells where a fit stops being true.
OUTSIDE = "truth/outside_over_inside"


def sentences(sweep: SweepReport, search: SearchResults | None = None) -> list[str]:
    """What was asked and which configuration answers it; whether the replicates can tell it from the others.

    Then what runs that have not ended have come to.
    """
    return [*(_of_search(sweep, search) if search else _of_grid(sweep)), *_so_far(sweep)]


def _so_far(sweep: SweepReport) -> list[str]:
    """Where the runs are that somebody trains, or that were interrupted."""
    told = []
    for row, history in sweep.in_training[:SO_FAR]:
        epoch, values = history[-1]
        value = f", {sweep.metric} {number(values[sweep.metric])}" if sweep.metric in values else ""
        told.append(f"{sweep.told(row)} after epoch {epoch}{value}")
    more = len(sweep.in_training) - SO_FAR
    told += [f"{more} more"] if more > 0 else []
    return [f"Not ended yet: {'; '.join(told)}."] if told else []


def _of_grid(sweep: SweepReport) -> list[str]:
    if not sweep.configurations:
        return [f"No run is complete{_yet(sweep)}: {states(sweep)}."]
    found = []
    for data, those in list(sweep.by_data.items())[:SETS]:
        where = f"the {data}" if len(sweep.by_data) > 1 else sweep.data
        found += [_best(sweep, where, those), *_outside(those[0].rows)]
        found += [said] if (said := apart(sweep, those)) else []
    place = 1 if len(sweep.by_data) == 1 else len(found)
    found[place:place] = _grid(sweep)
    found += lost(sweep)
    # of several data sets once
    found = [one for i, one in enumerate(found) if one != ONE_SEED or one not in found[:i]]
    if len(sweep.by_data) > SETS:
        found.append(f"{len(sweep.by_data) - SETS} more data sets have rankings of their own.")
    if len(sweep.complete()) < sweep.jobs:
        found.append(f"Of {sweep.jobs} runs {states(sweep)}.")
    return found


def lost(sweep: SweepReport) -> list[str]:
    """Which configurations have no result because all of their runs failed, in a sentence."""
    names = [
        " ".join(f"{key}={short(value)}" for key, value in values.items()) + (f" ({n} runs)" if n > 1 else "")
        for values, n in sweep.lost
    ]
    so_far = " so far" if len(sweep.rows) < sweep.jobs else ""
    return [f"Worse than any result, for all of their runs{so_far} failed: {named(names)}."] if names else []


def _best(sweep: SweepReport, where: str, those: Sequence[Configuration]) -> str:
    best = those[0]
    told = f"{sweep.metric} {number(best.mean)}"
    if best.summary.n > 1:
        told += " on average"
    if best.summary.has_interval:
        told += f" (95% interval {number(best.summary.low)} to {number(best.summary.high)})"
    if best.failed:
        told += f", with {best.counted}: the others failed"
    fixed = fixed_by_data(sweep, those)
    asked = _asked(sweep, those)
    if not asked:
        return f"On {where}: {told}."
    if len(those) == 1:
        return f"On {where}, {best.named(fixed)} is the only configuration that has a result ({asked}): {told}."
    alike = [c.named(fixed) for c in those if (c.failing, c.mean) == (best.failing, best.mean)]
    # none of the lost ones has a data set that is known where there are several
    count = len(those) + (len(sweep.lost) if len(sweep.by_data) == 1 else 0)
    of = f"best of {count} configurations ({asked}): {told}"
    if len(alike) == 1:
        return f"On {where}, {alike[0]} is {of}."
    return f"On {where}, {named(alike)} have the same result, the {of}."


def _of_search(sweep: SweepReport, search: SearchResults) -> list[str]:
    each = f" of {search.replicates} runs" if search.replicates > 1 else ""
    counted = f"{search.total} trial{'s' if search.total > 1 else ''}{each}: {states(sweep, search)}"
    if search.duplicates:
        counted += f", {search.duplicates} like an earlier one and not trained again"
    if not search.best:
        return [f"No trial is complete{_as_asked(search)}{_yet(sweep, search)}.", f"{counted}."]
    first = search.best[0]
    asked = f" ({_asked(sweep, [])})" if sweep.keys else ""
    if len(search.metrics) == 1:
        count = f"best of {len(search.satisfying)} complete trials{asked}"
        found = [
            f"On {sweep.data}, trial {sweep.told(first)} is the {count}{_as_asked(search)}: {_values(search, first)}."
        ]
        found += _outside([first])
    else:
        ends = [f"{_values(search, row)} (#{row['run']})" for row in search.best[:: max(1, len(search.best) - 1)]]
        front = f"the front of {named(search.metrics)}{_as_asked(search)}: {' to '.join(ends)}"
        found = [
            f"On {sweep.data}, {len(search.best)} of {len(search.satisfying)} complete trials{asked} make {front}."
        ]
    return [*found, f"{counted}."]


def _as_asked(search: SearchResults) -> str:
    texts = " and ".join(constraint.text for constraint in search.goals.constraints)
    return f" with {texts}" if texts else ""


def _values(search: SearchResults, row: Row) -> str:
    return ", ".join(f"{metric} {number(row[metric])}" for metric in search.metrics)


def _asked(sweep: SweepReport, those: Sequence[Configuration]) -> str:
    """The swept values of configurations of one data set; keys of the data have only the values that occur in them."""
    asked = {key: sweep.asked[key] for key in sweep.keys if key not in fixed_by_data(sweep, those)}
    asked |= {key: [c.values[key] for c in those] for key in asked if key in sweep.data_keys}
    return "; ".join(f"{key} {listed(values)}" for key, values in asked.items())


def _grid(sweep: SweepReport) -> list[str]:
    """The objective at every place of a small grid of two keys."""
    across, down = axes_of(sweep)
    if len(sweep.keys) != 2 or not across or not down or not 1 < len(sweep.configurations) <= GRID:
        return []
    means = {
        (c.values[across], c.values[down]): number(c.mean) + (f" ({c.counted})" if c.failed else "")
        for c in sweep.configurations
    }
    columns, rows = (in_order(sweep.asked[key]) for key in (across, down))
    what = f"{down} " if is_number(rows[0]) else ""
    told = [f"{', '.join(means.get((column, row), 'none') for column in columns)} with {what}{row}" for row in rows]
    return [f"{sweep.metric} at {across} {', '.join(columns)}: {'; '.join(told)}."]


def _outside(rows: Sequence[Row]) -> list[str]:
    """How much worse the fits of a configuration are where there were no data."""
    ratios = [row[OUTSIDE] for row in rows if row.get(OUTSIDE)]
    ratio = statistics.median(ratios) if ratios else 0.0
    if ratio <= 1:
        return []
    median = f" (median of {len(ratios)} seeds)" if len(ratios) > 1 else ""
    times = f"{_times(ratio)} times that inside{median}"
    return [f"Outside its training range the best one's squared error to the truth is {times}."]


def states(sweep: SweepReport, search: SearchResults | None = None) -> str:
    """How many runs are in which state."""
    counts: dict[str, int] = {}
    for row in sweep.rows:
        counts[row["state"]] = counts.get(row["state"], 0) + 1
    interrupted = RUNNING in counts and not lock.owner(sweep.directory)
    told = [
        f"{count} {'interrupted' if interrupted and state == RUNNING else state}"
        for state, count in sorted(counts.items())
    ]
    if missing := _missing(sweep, search):
        told.append(f"{missing} missing or not begun")
    return ", ".join(told)


def _yet(sweep: SweepReport, search: SearchResults | None = None) -> str:
    running = any(row["state"] == RUNNING for row in sweep.rows)
    return " yet" if running or _missing(sweep, search) else ""


def _missing(sweep: SweepReport, search: SearchResults | None) -> int:
    """How many runs have no directory; a trial that repeated an earlier one needs none."""
    return sweep.jobs - len(sweep.rows) - (search.duplicates * search.replicates if search else 0)


def _times(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 99.5 else f"{ratio:.2g}"


def failures(sweep: SweepReport) -> list[tuple[str, str, str]]:
    """Directory, configuration and error of every run that failed or is damaged."""
    found = []
    for row in sweep.rows:
        if row["state"] not in (FAILED, DAMAGED):
            continue
        asked = " ".join(f"{key}={row[key]}" for key in sweep.swept)
        try:
            error = Run(sweep.path(row)).verified()["error"] or "no error was kept"
        except files.Damaged as damaged:
            error = f"{damaged.path.name} is {damaged.what}"
        found.append((row["directory"], asked, error))
    return found
