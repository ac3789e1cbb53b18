"""Groups the runs of a sweep into configurations (replicates of the same values) and ranks them."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from neuronsweep.report.data.formatting import number, short
from neuronsweep.report.data.statistics import Replicate, Spread, Summary, means, spread, summary
from neuronsweep.runs.run import COMPLETE, FAILED

Row = Mapping[str, Any]
# The keys that split a table's rows otherwise.
FOLD, REDRAWN = "data.fold", "data.seed"
# Metrics that end at 0, and at 1, by the last part of their names.
SHARES = ("acc", "balanced_acc", "auroc", "f1", "ece", "r2")
NOT_NEGATIVE = (*SHARES[:-1], "loss", "mae", "mse", "rmse", "pinball", "params", "dead", "kinks")


@dataclass(frozen=True)
class Configuration:
    """The complete replicates of one set of values: one for each seed and split of the rows, best first.

    Attributes:
        failed: how many replicates FAILED; their results would be worse than any.
        overlap: of splits, if there are several: rows validated on by rows trained on; see ``statistics.summary``.
    """

    values: dict[str, str]
    rows: list[Row]
    metric: str
    failed: int = 0
    overlap: float = 0.0

    @cached_property
    def results(self) -> list[float]:
        return [float(row[self.metric]) for row in self.rows]

    @cached_property
    def mean(self) -> float:
        return self.summary.mean

    @cached_property
    def summary(self) -> Summary:
        name = self.metric.rpartition("/")[2]
        # a user's own loss may be negative
        least = 0.0 if name in NOT_NEGATIVE and min(self.results) >= 0 else -math.inf
        most = 1.0 if name in SHARES else math.inf
        return summary(means(self.by_replicate), least, most, self.overlap if self.splits > 1 else 0.0)

    @property
    def spread(self) -> Spread | None:
        """How much its results differ by splits and by seeds, where that can be told apart."""
        return spread(self.by_replicate)

    @property
    def by_replicate(self) -> dict[Replicate, float]:
        return {replicate_of(row): float(row[self.metric]) for row in self.rows}

    @cached_property
    def splits(self) -> int:
        """How many splits of the rows its replicates are of."""
        return len({replicate_of(row).split for row in self.rows})

    @property
    def failing(self) -> float:
        """The share of its replicates that FAILED."""
        return self.failed / (self.failed + len(self.rows))

    @property
    def count(self) -> str:
        """How many replicates are complete, in words where others FAILED."""
        return f"{len(self.rows)} of {len(self.rows) + self.failed}" if self.failed else str(len(self.rows))

    @property
    def counted(self) -> str:
        """How many replicates are complete, and what they are."""
        seeds = len({replicate_of(row).seed for row in self.rows})
        if self.splits == 1:
            return f"{self.count} seeds"
        noun = "folds" if any(row.get(FOLD) for row in self.rows) else "splits"
        return f"{self.count} {noun}" if seeds == 1 else f"{self.count} runs, {self.splits} {noun} by {seeds} seeds"

    @property
    def told(self) -> str:
        """Its mean, and how sure that is."""
        found = self.summary
        interval = f"{number(found.low)} to {number(found.high)}, " if found.has_interval else ""
        return number(found.mean) + (f" ({interval}{self.counted})" if interval or self.failed else "")

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


def configurations(
    rows: Iterable[Row],
    keys: Sequence[str],
    metric: str,
    mode: str,
    overlap: Callable[[Row], float] = lambda row: 0.0,
) -> list[Configuration]:
    """The complete runs that have a metric, grouped by the values of all swept ``keys``, best first.

    Best is the best mean among those of which no replicate FAILED; then come the others, the fewer failures the
    better. A seed that was trained more than once on a split counts once: it is no replicate of itself.
    """
    groups: dict[tuple[str, ...], dict[Replicate, Row]] = {}
    failed: dict[tuple[str, ...], set[Replicate]] = {}
    for row in rows:
        values, replicate = tuple(str(row[key]) for key in keys), replicate_of(row)
        if row["state"] == COMPLETE and metric in row:
            groups.setdefault(values, {}).setdefault(replicate, row)
        elif row["state"] == FAILED:
            failed.setdefault(values, set()).add(replicate)
    found = []
    for values, those in groups.items():
        replicates = sorted(those.values(), key=lambda row: _worse(float(row[metric]), mode))
        lost = len(failed.get(values, set()) - those.keys())
        named = dict(zip(keys, values, strict=True))
        found.append(Configuration(named, replicates, metric, lost, overlap(replicates[0])))
    return sorted(found, key=lambda configuration: (configuration.failing, _worse(configuration.mean, mode)))


def replicate_of(row: Row) -> Replicate:
    """The split and the seed of a run; nothing for what a sweep does not vary."""
    return Replicate(f"{row.get(REDRAWN, '')}/{row.get(FOLD, '')}", str(row.get("seed", "")))


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
