"""The trials of a search whose runs are replicates: one row each, of their means."""

import statistics
from collections.abc import Iterable

from neuronsweep.report.data.configurations import Row
from neuronsweep.runs.run import COMPLETE
from neuronsweep.search.replicates import KEYS


def complete_trials(rows: Iterable[Row], replicates: int) -> list[Row]:
    """The rows of trials all of whose runs are COMPLETE: those of their first runs, with the means of all numbers.

    Of trials with several runs they have ``trial``, its number, and nothing of what its runs differ in.

    Args:
        replicates: how many runs a trial has.
    """
    trials: dict[int, list[Row]] = {}
    for row in rows:
        if row["state"] == COMPLETE:
            trials.setdefault(row["run"] // replicates, []).append(row)
    if replicates == 1:
        return [row for (row,) in trials.values()]
    return [{"trial": trial, **_mean(those)} for trial, those in trials.items() if len(those) == replicates]


def _mean(those: list[Row]) -> Row:
    first = those[0]
    numbers = [name for name, value in first.items() if isinstance(value, float) and all(name in row for row in those)]
    kept = {name: value for name, value in first.items() if name not in KEYS}
    return {**kept, **{name: statistics.fmean(row[name] for row in those) for name in numbers}}
