"""What a report has computed, as its sentences and tables say it."""

import math
from collections.abc import Iterator, Sequence

from neuronsweep.report.charts.learnt import FEATURES, matrix_of
from neuronsweep.report.data.findings import Findings
from neuronsweep.report.data.formatting import named, number
from neuronsweep.report.data.learnt import Learnt
from neuronsweep.report.data.winner import Tested
from neuronsweep.report.data.yardstick import Yardstick

YARDSTICKS = ("without a network", "95% interval", "against rank 1", "95% interval", "p", "")
SCORES = ("on the test rows", "mean of the networks", "95% interval", "of their mean prediction", "95% interval")


def sentences(found: Findings, metric: str) -> Iterator[str]:
    """What is reached without a network, and what the test rows say."""
    several = len(found.yardsticks) > 1
    for data, those in found.yardsticks.items():
        told = ", ".join(f"{one.name} {number(one.summary.mean)}" for one in those)
        better = [one.name for one in those if not one.comparison.worse and one.comparison.effect.n]
        beaten = f"; no configuration has a better mean than {' and '.join(better)}" if better else ""
        yield f"Without a network, {metric} on the same rows{f' of the {data}' if several else ''}: {told}{beaten}."
    for data, tested in found.winners.items():
        yield from _of_winner(tested, f" of the {data}" if len(found.winners) > 1 else "")


def _of_winner(tested: Tested, of: str) -> Iterator[str]:
    first, several = tested.scores[0], tested.networks > 1
    networks = f"mean of {tested.networks} networks, " if several else ""
    once = "" if tested.earlier else f" that were looked at once, for {tested.name} alone"
    yield (
        f"On the {tested.rows} test rows{of}{once}: {first.metric} {number(first.mean)} ({networks}95% interval "
        f"{_ends(first.interval)}, by the bootstrap over rows)"
        + (f", and {number(first.together)} of their mean prediction." if several else ".")
    )
    if tested.earlier:
        yield (
            f"The test rows had been looked at before, for {named(tested.earlier)}; the best one has changed since, "
            "and this score may flatter it."
        )


def yardstick_rows(those: Sequence[Yardstick]) -> list[list[str]]:
    """A row for each: name, mean, interval, difference to the best configuration, its interval, p, verdict."""
    rows = []
    for one in those:
        effect, p = one.comparison.effect, one.comparison.p
        sign = "+" if effect.mean > 0 else ""
        known = "" if math.isnan(p) else "< .001" if p < 0.001 else f"{p:.3f}"
        cells = [one.name, number(one.summary.mean), _ends((one.summary.low, one.summary.high))]
        rows.append([*cells, f"{sign}{number(effect.mean)}", _ends((effect.low, effect.high)), known, _verdict(one)])
    return rows


def score_rows(tested: Tested) -> list[list[str]]:
    """A row for each metric of a winner."""
    return [
        [one.metric, number(one.mean), _ends(one.interval), number(one.together), _ends(one.together_interval)]
        for one in tested.scores
    ]


def importance_rows(one: Learnt) -> list[list[str]]:
    """The features that matter most: name, change of the metric, its standard deviation over the networks."""
    several = one.replicates > 1
    shown = one.importances[:FEATURES]
    return [[each.name, number(each.mean), number(each.spread) if several else ""] for each in shown]


def confusion_rows(one: Learnt) -> list[list[str]]:
    """Of each true class how its rows were taken: count and share."""
    counts, rates = matrix_of(one)
    return [
        [name, *(f"{n} ({rate:.0%})" for n, rate in zip(*row, strict=True))]
        for name, *row in zip(one.classes, counts, rates, strict=True)
    ]


def _verdict(one: Yardstick) -> str:
    if not one.comparison.effect.n:
        return ""
    worse = one.comparison.worse
    if math.isnan(one.comparison.p):
        return "worse" if worse else "no worse"
    if one.comparison.separable:
        return "worse"
    return "better" if one.comparison.contradicts else "not separable"


def _ends(interval: tuple[float, float]) -> str:
    low, high = interval
    return f"{number(low)} to {number(high)}" if low < high else ""
