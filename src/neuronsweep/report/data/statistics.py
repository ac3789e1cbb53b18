"""Statistics of replicates: means with intervals, and tests of which configurations differ.

Replicates differ in their seed, or in the split of a table's rows, or in both. Folds share training rows, and so their
results are not independent: their intervals and tests are corrected for it.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

# Of a two-sided interval and of a family of comparisons.
CONFIDENCE = 0.95


class Replicate(NamedTuple):
    """What one of several results of a configuration is of: a split of the data's rows, and a seed."""

    split: str
    seed: str


@dataclass(frozen=True)
class Spread:
    """Standard deviations of results: of what the splits make of them, and of what seeds make of them on one split."""

    splits: float
    seeds: float


@dataclass(frozen=True)
class Summary:
    """Mean of n results with its 95% interval, whose ends are the mean where there is none (n < 2, or not finite)."""

    n: int
    mean: float
    low: float
    high: float

    @property
    def has_interval(self) -> bool:
        return self.low < self.high


@dataclass(frozen=True)
class Comparison:
    """A configuration against the best one, over the replicates that both have.

    Attributes:
        effect: mean of its results minus the best one's, with its 95% interval; of ``ratio`` the geometric mean of
            its results by the best one's.
        p: two-sided, corrected for the number of comparisons; nan where fewer than two are common.
        worse: whether the effect is on the side that the ranking says.
    """

    effect: Summary
    ratio: bool
    p: float
    worse: bool

    @property
    def separable(self) -> bool:
        return self.p < 1 - CONFIDENCE and self.worse

    @property
    def contradicts(self) -> bool:
        """Whether it beats the best one in the typical seed; it is only its mean, of a few bad seeds, that is worse."""
        return self.p < 1 - CONFIDENCE and not self.worse


def means(results: Mapping[Replicate, float]) -> list[float]:
    """The results that are counted: a mean over the seeds of every split, or where there is one split the seeds' own.

    Seeds on one split share its rows, so that they are no further evidence about other rows.
    """
    splits = {one.split for one in results}
    if len(splits) < 2:
        return list(results.values())
    return [statistics.fmean(value for one, value in results.items() if one.split == split) for split in sorted(splits)]


def spread(results: Mapping[Replicate, float]) -> Spread | None:
    """Standard deviations by splits and by seeds; None where no split has two seeds or there is one split.

    The estimates of a one-way analysis of variance with random effects: Searle, Casella and McCulloch, Variance
    Components (1992), chapter 3. An estimate below zero is zero.
    """
    groups: dict[str, list[float]] = {}
    for one, value in results.items():
        groups.setdefault(one.split, []).append(value)
    n, k = len(results), len(groups)
    if k < 2 or n == k or not all(map(math.isfinite, results.values())):
        return None
    mean = statistics.fmean(results.values())
    centres = {split: statistics.fmean(values) for split, values in groups.items()}
    within = sum((value - centres[one.split]) ** 2 for one, value in results.items()) / (n - k)
    between = sum(len(values) * (centres[split] - mean) ** 2 for split, values in groups.items()) / (k - 1)
    each = (n - sum(len(values) ** 2 for values in groups.values()) / n) / (k - 1)
    return Spread(math.sqrt(max(0.0, between - within) / each), math.sqrt(within))


def summary(values: Sequence[float], least: float = -math.inf, most: float = math.inf, overlap: float = 0.0) -> Summary:
    """Mean and Student's t interval of results, none of which can be less than least or more than most.

    Args:
        overlap: rows validated on by rows trained on, where results are of splits that share training rows; their
            variance is then (1/n + overlap) s**2 instead of s**2 / n: the corrected resampled t test, Nadeau and
            Bengio, Inference for the Generalization Error, Machine Learning 52 (2003), equation 15. 0: independent.
    """
    n, mean = len(values), statistics.fmean(values)
    if n < 2 or not math.isfinite(mean):
        return Summary(n, mean, mean, mean)
    half = _reach(n - 1) * statistics.stdev(values) * math.sqrt(1 / n + overlap)
    return Summary(n, mean, max(mean - half, least), min(mean + half, most))


def compare(
    best: Mapping[Replicate, float],
    others: Sequence[Mapping[Replicate, float]],
    mode: str = "min",
    ratios: bool = False,
    overlap: float = 0.0,
) -> list[Comparison]:
    """Paired t tests of results by replicate against the best ones, with Holm's correction (Holm 1979).

    ``ratios`` tests the logarithms of results, which must be positive: losses that differ by factors are not normal,
    and one bad seed would hide that all others are worse, too. ``overlap`` is that of ``summary``; where all results
    are of one split there is none.
    """
    paired: list[list[float]] = []
    overlaps = []
    for other in others:
        common = sorted(best.keys() & other.keys())
        pairs = {one: (other[one], best[one]) for one in common}
        pairs = {one: pair for one, pair in pairs.items() if all(map(math.isfinite, pair))}
        paired.append(means({one: math.log(a / b) if ratios else a - b for one, (a, b) in pairs.items()}))
        overlaps.append(overlap if len({one.split for one in pairs}) > 1 else 0.0)
    found = []
    raw = [_p(*one) for one in zip(paired, overlaps, strict=True)]
    for differences, overlap, p in zip(paired, overlaps, _corrected(raw), strict=True):
        effect = summary(differences, overlap=overlap) if differences else Summary(0, math.nan, math.nan, math.nan)
        worse = effect.mean < 0 if mode == "max" else effect.mean > 0
        if ratios:
            effect = Summary(effect.n, *map(math.exp, (effect.mean, effect.low, effect.high)))
        found.append(Comparison(effect, ratios, p, worse))
    return found


def _corrected(raw: Sequence[float]) -> list[float]:
    order = sorted((i for i in range(len(raw)) if not math.isnan(raw[i])), key=raw.__getitem__)
    corrected, least = list(raw), 0.0
    for rank, i in enumerate(order):
        least = max(least, min(1.0, raw[i] * (len(order) - rank)))
        corrected[i] = least
    return corrected


def _p(differences: Sequence[float], overlap: float) -> float:
    """Two-sided p of a mean of zero."""
    if len(differences) < 2:
        return math.nan
    mean, spread = statistics.fmean(differences), statistics.stdev(differences)
    if spread == 0:
        return 1.0 if mean == 0 else 0.0
    n = len(differences)
    return 1 - within(abs(mean) / (spread * math.sqrt(1 / n + overlap)), n - 1)


def within(t: float, freedom: int) -> float:
    """How probable it is that Student's t lies between -t and t (Abramowitz and Stegun 1964, 26.7.3 and 26.7.4).

    Finite sums, since degrees of freedom are whole here: to import scipy.special takes longer than a report.
    """
    angle, odd = math.atan2(t, math.sqrt(freedom)), freedom % 2
    term = math.cos(angle) if odd else 1.0
    total = term if freedom > 1 else 0.0
    for k in range(1 + odd, freedom - 2, 2):
        term *= math.cos(angle) ** 2 * k / (k + 1)
        total += term
    total *= math.sin(angle)
    return (angle + total) * 2 / math.pi if odd else total


@cache
def _reach(freedom: int) -> float:
    """The t that is not exceeded, to either side, with the probability of CONFIDENCE."""
    low, high = 1.9, 13.0  # those of infinitely many degrees of freedom and of one
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if within(middle, freedom) < CONFIDENCE else (low, middle)
    return low
