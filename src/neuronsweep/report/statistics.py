"""What a few replicates can say: means with their intervals, and which configurations they tell apart."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# Of a two-sided interval and of a family of comparisons.
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Summary:
    """Mean of n results with its 95% interval; without one (n < 2) low and high are the mean."""

    n: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """A configuration against the best one, over the seeds that both have.

    Attributes:
        difference: mean of its results minus the best one's, with its 95% interval.
        p: two-sided, corrected for the number of comparisons; nan where fewer than two seeds are common.
    """

    difference: Summary
    p: float

    @property
    def separable(self) -> bool:
        return self.p < 1 - CONFIDENCE


def summary(values: Sequence[float]) -> Summary:
    """Mean and Student's t interval of independent results."""
    n, mean = len(values), statistics.fmean(values)
    if n < 2:
        return Summary(n, mean, mean, mean)
    from scipy.special import stdtrit

    half = float(stdtrit(n - 1, (1 + CONFIDENCE) / 2)) * statistics.stdev(values) / math.sqrt(n)
    return Summary(n, mean, mean - half, mean + half)


def compare(
    best: Mapping[str, float], others: Sequence[Mapping[str, float]], logarithms: bool = False
) -> list[Comparison]:
    """Paired t tests of results by seed against the best ones, with Holm's correction (Holm 1979).

    ``logarithms`` tests those of the results, which must be positive: losses that differ by factors are not normal,
    and one bad seed would hide that all others are worse, too.
    """
    differences, raw = [], []
    for other in others:
        common = sorted(best.keys() & other.keys())
        differences.append([other[seed] - best[seed] for seed in common])
        ratios = [math.log(other[seed] / best[seed]) for seed in common] if logarithms else differences[-1]
        raw.append(_p(ratios))
    order = sorted((i for i in range(len(raw)) if not math.isnan(raw[i])), key=raw.__getitem__)
    corrected, least = list(raw), 0.0
    for rank, i in enumerate(order):
        least = max(least, min(1.0, raw[i] * (len(order) - rank)))
        corrected[i] = least
    empty = Summary(0, math.nan, math.nan, math.nan)
    return [Comparison(summary(d) if d else empty, p) for d, p in zip(differences, corrected, strict=True)]


def _p(differences: Sequence[float]) -> float:
    """Two-sided p of a mean of zero."""
    if len(differences) < 2:
        return math.nan
    mean, spread = statistics.fmean(differences), statistics.stdev(differences)
    if spread == 0:
        return 1.0 if mean == 0 else 0.0
    from scipy.special import stdtr

    return 2 * float(stdtr(len(differences) - 1, -abs(mean) / (spread / math.sqrt(len(differences)))))
