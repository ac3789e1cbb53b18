"""The answer of a sweep in a sentence or two, and what stands behind it."""

import math

from neuronsweep.report.lines import axes_of
from neuronsweep.report.plot import scale
from neuronsweep.report.read import Row, Sweep
from neuronsweep.report.search import Search
from neuronsweep.report.statistics import Comparison, compare
from neuronsweep.report.values import in_order, listed
from neuronsweep.sweeps import ledger

# How many configurations are compared with the best one.
COMPARED = 10
# Places of a grid whose results a sentence lists.
GRID = 12
# The metric that tells where a fit stops being true.
OUTSIDE = "truth/outside_over_inside"


def number(value: object) -> str:
    """Four significant digits; nothing for what is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        return ""
    return f"{value:.4g}"


def comparisons(sweep: Sweep) -> list[Comparison]:
    """The configurations after the best one, against it, in their order."""
    if not sweep.configurations:
        return []
    first, *others = sweep.configurations[: COMPARED + 1]
    by_seed = [
        {str(row.get("seed", "")): float(row[sweep.metric]) for row in configuration.rows}
        for configuration in (first, *others)
    ]
    return compare(by_seed[0], by_seed[1:], logarithms=tests_logarithms(sweep))


def tests_logarithms(sweep: Sweep) -> bool:
    """Whether the compared results differ by so much that factors are tested, not differences."""
    shown = sweep.configurations[: COMPARED + 1]
    return scale([result for configuration in shown for result in configuration.results]) == "log"


def sentences(sweep: Sweep, search: Search | None = None) -> list[str]:
    """What was asked and which configuration answers it; whether the seeds can tell it from the others."""
    if search:
        return _of_search(sweep, search)
    if not sweep.configurations:
        return [f"No run is complete yet: {states(sweep)}."]
    best = sweep.configurations[0]
    asked = _asked(sweep)
    told = f"{sweep.metric} {number(best.summary.mean)}"
    if best.summary.n > 1:
        told += f" on average (95% interval {number(best.summary.low)} to {number(best.summary.high)})"
    if asked:
        count = len(sweep.configurations)
        of = f"of {count} configurations ({asked})" if count > 1 else f"and alone complete ({asked})"
        found = [f"On {sweep.data}, {best.name} is best {of}: {told}."]
    else:
        found = [f"On {sweep.data}: {told}."]
    found += _grid(sweep) + _outside(best.best)
    if len(sweep.configurations) > 1:
        found.append(_apart(sweep))
    if len(sweep.complete()) < len(sweep.rows):
        found.append(f"Of {len(sweep.rows)} runs {states(sweep)}.")
    return found


def _of_search(sweep: Sweep, search: Search) -> list[str]:
    counted = f"{search.total} trials: {states(sweep)}"
    if search.duplicates:
        counted += f", {search.duplicates} like an earlier one and not trained again"
    if not search.best:
        return [f"No trial is complete{_as_asked(search)} yet.", f"{counted}."]
    first = search.best[0]
    if len(search.metrics) == 1:
        count = f"best of {search.total} trials ({_asked(sweep)})"
        found = [
            f"On {sweep.data}, trial {sweep.told(first)} is the {count}{_as_asked(search)}: {_values(search, first)}."
        ]
        found += _outside(first)
    else:
        ends = [f"{_values(search, row)} (#{row['run']})" for row in search.best[:: max(1, len(search.best) - 1)]]
        front = f"the front of {' and '.join(search.metrics)}{_as_asked(search)}: {' to '.join(ends)}"
        found = [f"On {sweep.data}, {len(search.best)} of {search.total} trials ({_asked(sweep)}) make {front}."]
    return [*found, f"{counted}."]


def _as_asked(search: Search) -> str:
    texts = " and ".join(constraint.text for constraint in search.goals.constraints)
    return f" with {texts}" if texts else ""


def _values(search: Search, row: Row) -> str:
    return ", ".join(f"{metric} {number(row[metric])}" for metric in search.metrics)


def _asked(sweep: Sweep) -> str:
    return "; ".join(f"{key} {listed([str(row[key]) for row in sweep.rows])}" for key in sweep.keys)


def _grid(sweep: Sweep) -> list[str]:
    """The objective at every place of a small grid of two keys."""
    across, down = axes_of(sweep)
    if len(sweep.keys) != 2 or not across or not down or len(sweep.configurations) > GRID:
        return []
    means = {(c.values[across], c.values[down]): number(c.summary.mean) for c in sweep.configurations}
    columns, rows = (in_order([str(row[key]) for row in sweep.rows]) for key in (across, down))
    told = [f"{', '.join(means.get((column, row), 'none') for column in columns)} with {row}" for row in rows]
    return [f"{sweep.metric} at {across} {', '.join(columns)}: {'; '.join(told)}."]


def _outside(row: Row) -> list[str]:
    ratio = row.get(OUTSIDE)
    if not ratio or ratio <= 1:
        return []
    return [f"Outside its training range its squared error to the truth is {_times(ratio)} times that inside."]


def states(sweep: Sweep) -> str:
    """How many runs are in which state."""
    counts: dict[str, int] = {}
    for row in sweep.rows:
        counts[row["state"]] = counts.get(row["state"], 0) + 1
    return ", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "none has begun"


def _times(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.2g}"


def _apart(sweep: Sweep) -> str:
    compared = comparisons(sweep)
    if all(math.isnan(comparison.p) for comparison in compared):
        return "One seed each says nothing about chance: add seed=range(10)."
    pairs = zip(sweep.configurations[1:], compared, strict=False)
    alike = [configuration.name for configuration, comparison in pairs if not comparison.separable]
    if not alike:
        return f"It is separable from the other {len(compared)} compared with it."
    more = f" and {len(alike) - 4} more" if len(alike) > 4 else ""
    return f"Not separable with these seeds from it: {', '.join(alike[:4])}{more}."


def failures(sweep: Sweep) -> list[tuple[str, str, str]]:
    """Directory, configuration and error of every run that failed or is damaged."""
    found = []
    for row in sweep.rows:
        if row["state"] not in (ledger.FAILED, ledger.DAMAGED):
            continue
        asked = " ".join(f"{key}={row[key]}" for key in sweep.swept)
        try:
            error = ledger.status(sweep.path(row))["error"] or "its files are not what was written"
        except ledger.Damaged as damaged:
            error = str(damaged)
        found.append((row["directory"], asked, error))
    return found
