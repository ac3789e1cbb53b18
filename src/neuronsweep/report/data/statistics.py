"""Statistics of replicates: means with intervals, and tests of which configurations differ."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

# Of a two-sided interval and of a family of comparisons.
CONFIDENCE = 0.95


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
    """A configuration against the best one, over the seeds that both have.

    Attributes:
        effect: mean of its results minus the best one's, with its 95% interval; of ``ratio`` the geometric mean of
            its results by the best one's.
        p: two-sided, corrected for the number of comparisons; nan where fewer than two seeds are common.
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


def summary(values: Sequence[float], least: float = -math.inf, most: float = math.inf) -> Summary:
    """Mean and Student's t interval of independent results, none of which can be less than least or more than most."""
    n, mean = len(values), statistics.fmean(values)
    if n < 2 or not math.isfinite(mean):
        return Summary(n, mean, mean, mean)
    half = _reach(n - 1) * statistics.stdev(values) / math.sqrt(n)
    return Summary(n, mean, max(mean - half, least), min(mean + half, most))


def compare(
    best: Mapping[str, float], others: Sequence[Mapping[str, float]], mode: str = "min", ratios: bool = False
) -> list[Comparison]:
    """Paired t tests of results by seed against the best ones, with Holm's correction (Holm 1979).

    ``ratios`` tests the logarithms of results, which must be positive: losses that differ by factors are not normal,
    and one bad seed would hide that all others are worse, too.
    """
    paired = []
    for other in others:
        pairs = [(other[seed], best[seed]) for seed in sorted(best.keys() & other.keys())]
        pairs = [(one, two) for one, two in pairs if math.isfinite(one) and math.isfinite(two)]
        paired.append([math.log(one / two) if ratios else one - two for one, two in pairs])
    found = []
    for differences, p in zip(paired, _corrected([_p(differences) for differences in paired]), strict=True):
        effect = summary(differences) if differences else Summary(0, math.nan, math.nan, math.nan)
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


def _p(differences: Sequence[float]) -> float:
    """Two-sided p of a mean of zero."""
    if len(differences) < 2:
        return math.nan
    mean, spread = statistics.fmean(differences), statistics.stdev(differences)
    if spread == 0:
        return 1.0 if mean == 0 else 0.0
    return 1 - within(abs(mean) / (spread / math.sqrt(len(differences))), len(differences) - 1)


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
