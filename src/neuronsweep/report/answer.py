"""The answer of a sweep in a sentence or two, and what stands behind it."""

import math
import statistics
from collections.abc import Sequence

from neuronsweep.report.lines import axes_of
from neuronsweep.report.plot import scale
from neuronsweep.report.read import DATA, Configuration, Row, Sweep
from neuronsweep.report.search import Search
from neuronsweep.report.statistics import Comparison, compare
from neuronsweep.report.values import in_order, listed
from neuronsweep.sweeps import ledger

# How many configurations are compared with the best one.
COMPARED = 10
# Configurations that a sentence names, and data sets that have sentences of their own.
NAMED, SETS = 4, 4
# Places of a grid whose results a sentence lists.
GRID = 12
# The metric that tells where a fit stops being true.
OUTSIDE = "truth/outside_over_inside"


def number(value: object) -> str:
    """Four significant digits; nothing for what is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        return ""
    return f"{value:.4g}"


def compared(sweep: Sweep, those: Sequence[Configuration]) -> list[Comparison]:
    """The configurations of one data set after the best one, against it, in their order."""
    if not those:
        return []
    best, *others = ({str(row.get("seed", "")): float(row[c.metric]) for row in c.rows} for c in those[: COMPARED + 1])
    results = [result for results in (best, *others) for result in results.values()]
    # an accuracy cannot grow by factors as losses do
    return compare(best, others, sweep.mode, ratios=sweep.mode == "min" and scale(results) == "log")


def against(comparison: Comparison | None) -> tuple[str, str, str, str]:
    """Effect, its interval, p and verdict of a comparison with the best configuration, as tables show them."""
    if comparison is None or math.isnan(comparison.p):
        return "", "", "", ""
    effect, sign = comparison.effect, "×" if comparison.ratio else "+" if comparison.effect.mean > 0 else ""
    interval = f"{number(effect.low)} to {number(effect.high)}" if effect.has_interval else ""
    p = "< .001" if comparison.p < 0.001 else f"{comparison.p:.3f}"
    verdict = "" if comparison.separable else "typically better" if comparison.contradicts else "not separable"
    return f"{sign}{number(effect.mean)}", interval, p, verdict


def sentences(sweep: Sweep, search: Search | None = None) -> list[str]:
    """What was asked and which configuration answers it; whether the seeds can tell it from the others."""
    if search:
        return _of_search(sweep, search)
    if not sweep.configurations:
        return [f"No run is complete{_yet(sweep)}: {states(sweep)}."]
    found = []
    for data, those in list(sweep.by_data.items())[:SETS]:
        where = f"the {data}" if len(sweep.by_data) > 1 else sweep.data
        found += [_best(sweep, where, those), *_outside(those[0].rows)]
        if len(those) > 1:
            found.append(_apart(sweep, those))
    if len(sweep.by_data) > SETS:
        found.append(f"{len(sweep.by_data) - SETS} more data sets are in the tables below.")
    found[1:1] = _grid(sweep)
    if len(sweep.complete()) < sweep.jobs:
        found.append(f"Of {sweep.jobs} runs {states(sweep)}.")
    return found


def _best(sweep: Sweep, where: str, those: Sequence[Configuration]) -> str:
    best = those[0]
    told = f"{sweep.metric} {number(best.mean)}"
    if best.summary.n > 1:
        told += " on average"
    if best.summary.has_interval:
        told += f" (95% interval {number(best.summary.low)} to {number(best.summary.high)})"
    fixed = DATA if len(sweep.by_data) > 1 else ()
    asked = _asked(sweep, fixed)
    if not asked:
        return f"On {where}: {told}."
    if len(those) == 1:
        return f"On {where}, {best.named(fixed)} is the only configuration that has a result ({asked}): {told}."
    alike = [configuration.named(fixed) for configuration in those if configuration.mean == best.mean]
    of = f"best of {len(those)} configurations ({asked}): {told}"
    if len(alike) == 1:
        return f"On {where}, {alike[0]} is {of}."
    return f"On {where}, {_and(alike)} have the same result, the {of}."


def _of_search(sweep: Sweep, search: Search) -> list[str]:
    counted = f"{search.total} trials: {states(sweep, search)}"
    if search.duplicates:
        counted += f", {search.duplicates} like an earlier one and not trained again"
    if not search.best:
        return [f"No trial is complete{_as_asked(search)}{_yet(sweep, search)}.", f"{counted}."]
    first = search.best[0]
    if len(search.metrics) == 1:
        count = f"best of {search.total} trials ({_asked(sweep)})"
        found = [
            f"On {sweep.data}, trial {sweep.told(first)} is the {count}{_as_asked(search)}: {_values(search, first)}."
        ]
        found += _outside([first])
    else:
        ends = [f"{_values(search, row)} (#{row['run']})" for row in search.best[:: max(1, len(search.best) - 1)]]
        front = f"the front of {_and(search.metrics)}{_as_asked(search)}: {' to '.join(ends)}"
        found = [f"On {sweep.data}, {len(search.best)} of {search.total} trials ({_asked(sweep)}) make {front}."]
    return [*found, f"{counted}."]


def _as_asked(search: Search) -> str:
    texts = " and ".join(constraint.text for constraint in search.goals.constraints)
    return f" with {texts}" if texts else ""


def _values(search: Search, row: Row) -> str:
    return ", ".join(f"{metric} {number(row[metric])}" for metric in search.metrics)


def _asked(sweep: Sweep, without: Sequence[str] = ()) -> str:
    return "; ".join(f"{key} {listed(sweep.asked[key])}" for key in sweep.keys if key not in without)


def _grid(sweep: Sweep) -> list[str]:
    """The objective at every place of a small grid of two keys."""
    across, down = axes_of(sweep)
    if len(sweep.keys) != 2 or not across or not down or not 1 < len(sweep.configurations) <= GRID:
        return []
    means = {(c.values[across], c.values[down]): number(c.mean) for c in sweep.configurations}
    columns, rows = (in_order(sweep.asked[key]) for key in (across, down))
    told = [f"{', '.join(means.get((column, row), 'none') for column in columns)} with {row}" for row in rows]
    return [f"{sweep.metric} at {across} {', '.join(columns)}: {'; '.join(told)}."]


def _outside(rows: Sequence[Row]) -> list[str]:
    """How much worse the fits of a configuration are where there were no data."""
    ratios = [row[OUTSIDE] for row in rows if row.get(OUTSIDE)]
    ratio = statistics.median(ratios) if ratios else 0.0
    if ratio <= 1:
        return []
    median = f" (median of {len(ratios)} seeds)" if len(ratios) > 1 else ""
    return [f"Outside its training range its squared error to the truth is {_times(ratio)} times that inside{median}."]


def states(sweep: Sweep, search: Search | None = None) -> str:
    """How many runs are in which state."""
    counts: dict[str, int] = {}
    for row in sweep.rows:
        counts[row["state"]] = counts.get(row["state"], 0) + 1
    told = [f"{count} {state}" for state, count in sorted(counts.items())]
    missing = sweep.jobs - len(sweep.rows) - (search.duplicates if search else 0)
    if missing:
        told.append(f"{missing} missing or not begun")
    return ", ".join(told)


def _yet(sweep: Sweep, search: Search | None = None) -> str:
    begun = len(sweep.rows) + (search.duplicates if search else 0)
    running = any(row["state"] == ledger.RUNNING for row in sweep.rows)
    return " yet" if running or begun < sweep.jobs else ""


def _times(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.2g}"


def _apart(sweep: Sweep, those: Sequence[Configuration]) -> str:
    """Which of the others the seeds cannot tell from the best one."""
    found = list(zip(those[1:], compared(sweep, those), strict=False))
    if all(math.isnan(comparison.p) for _, comparison in found):
        if all(configuration.summary.n == 1 for configuration in those):
            return "One seed each says nothing about chance: add seed=range(10)."
        return "Too few seeds are complete in both to compare it with the others."
    fixed = DATA if len(sweep.by_data) > 1 else ()
    typically = [configuration.named(fixed) for configuration, comparison in found if comparison.contradicts]
    alike = [
        configuration.named(fixed)
        for configuration, comparison in found
        if not comparison.separable and not comparison.contradicts
    ]
    told = ""
    if typically:
        told = f"With most seeds {_and(typically)} did better, and worse only on average, for a few bad seeds. "
    if alike:
        return f"{told}Not separable with these seeds from it: {_and(alike)}."
    rest = len(found) - len(typically)
    others = (
        "the other one"
        if rest == len(those) - 1 == 1
        else f"the {'other' if rest == len(those) - 1 else 'next'} {rest}"
    )
    return told + (f"It is separable from {others}." if rest else "")


def _and(names: Sequence[str]) -> str:
    if len(names) > NAMED:
        return f"{', '.join(names[:NAMED])} and {len(names) - NAMED} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def failures(sweep: Sweep) -> list[tuple[str, str, str]]:
    """Directory, configuration and error of every run that failed or is damaged."""
    found = []
    for row in sweep.rows:
        if row["state"] not in (ledger.FAILED, ledger.DAMAGED):
            continue
        asked = " ".join(f"{key}={row[key]}" for key in sweep.swept)
        try:
            error = ledger.proved(sweep.path(row))["error"] or "no error was kept"
        except ledger.Damaged as damaged:
            error = f"{damaged.path.name} is {damaged.what}"
        found.append((row["directory"], asked, error))
    return found
