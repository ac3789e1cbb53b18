"""Groups the runs of a sweep into configurations (replicates of the same values) and ranks them."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from neuronsweep.report.data.formatting import number, short
from neuronsweep.report.data.statistics import Summary, summary
from neuronsweep.runs.run import COMPLETE, FAILED

Row = Mapping[str, Any]
# Metrics that end at 0, and at 1, by the last part of their names.
NOT_NEGATIVE, SHARES = ("loss", "mae", "mse", "acc", "auroc", "params", "dead", "kinks"), ("acc", "auroc", "r2")


@dataclass(frozen=True)
class Configuration:
    """The complete replicates of one set of values: one for each seed, best first.

    Attributes:
        failed: how many seeds FAILED; their results would be worse than any.
    """

    values: dict[str, str]
    rows: list[Row]
    metric: str
    failed: int = 0

    @cached_property
    def results(self) -> list[float]:
        return [float(row[self.metric]) for row in self.rows]

    @cached_property
    def mean(self) -> float:
        return statistics.fmean(self.results)

    @cached_property
    def summary(self) -> Summary:
        name = self.metric.rpartition("/")[2]
        # a user's own loss may be negative
        least = 0.0 if name in NOT_NEGATIVE and min(self.results) >= 0 else -math.inf
        return summary(self.results, least, 1.0 if name in SHARES else math.inf)

    @property
    def by_seed(self) -> dict[str, Row]:
        return {seed_of(row): row for row in self.rows}

    @property
    def failing(self) -> float:
        """The share of its seeds that FAILED."""
        return self.failed / (self.failed + len(self.rows))

    @property
    def seeds(self) -> str:
        """How many seeds are complete, in words where others FAILED."""
        return f"{len(self.rows)} of {len(self.rows) + self.failed}" if self.failed else str(len(self.rows))

    @property
    def told(self) -> str:
        """Its mean, and how sure that is."""
        found = self.summary
        interval = f"{number(found.low)} to {number(found.high)}, " if found.has_interval else ""
        return number(found.mean) + (f" ({interval}{self.seeds} seeds)" if interval or self.failed else "")

    @property
    def name(self) -> str:
        return self.named()

    def named(self, without: Sequence[str] = ()) -> str:
        told = [f"{key}={short(value)}" for key, value in self.values.items() if key not in without]
        return " ".join(told) or "the only configuration"

    @property
    def short(self) -> str:
        return " ".join(map(short, self.values.values())) or "all"

    @property
    def best(self) -> Row:
        return self.rows[0]

    @property
    def median(self) -> Row:
        """The run in the middle; of an even number the better one of two."""
        return self.rows[(len(self.rows) - 1) // 2]


def configurations(rows: Iterable[Row], keys: Sequence[str], metric: str, mode: str) -> list[Configuration]:
    """The complete runs that have a metric, grouped by the values of all swept ``keys`` but seed, best first.

    Best is the best mean among those of which no seed FAILED; then come the others, the fewer failures the better. A
    seed that was trained more than once counts once: it is no replicate of itself.
    """
    groups: dict[tuple[str, ...], dict[str, Row]] = {}
    failed: dict[tuple[str, ...], set[str]] = {}
    for row in rows:
        values, seed = tuple(str(row[key]) for key in keys), seed_of(row)
        if row["state"] == COMPLETE and metric in row:
            groups.setdefault(values, {}).setdefault(seed, row)
        elif row["state"] == FAILED:
            failed.setdefault(values, set()).add(seed)
    found = []
    for values, seeds in groups.items():
        replicates = sorted(seeds.values(), key=lambda row: _worse(float(row[metric]), mode))
        lost = len(failed.get(values, set()) - seeds.keys())
        found.append(Configuration(dict(zip(keys, values, strict=True)), replicates, metric, lost))
    return sorted(found, key=lambda configuration: (configuration.failing, _worse(configuration.mean, mode)))


def seed_of(row: Row) -> str:
    """The seed of a run; nothing where a sweep does not vary it."""
    return str(row.get("seed", ""))


def best_in_places(
    configurations: Iterable[Configuration], keys: Sequence[str]
) -> dict[tuple[str, ...], Configuration]:
    """Of ranked configurations the best in every place, which is one set of values of some of their keys."""
    found: dict[tuple[str, ...], Configuration] = {}
    for configuration in configurations:
        found.setdefault(tuple(configuration.values[key] for key in keys), configuration)
    return found


def _worse(value: float, mode: str) -> float:
    """Grows as a result gets worse; one that is no number is the worst."""
    return math.inf if math.isnan(value) else -value if mode == "max" else value
