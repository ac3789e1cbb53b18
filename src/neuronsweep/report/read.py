"""A sweep directory as one plain object, which all tables, charts and pages are made of."""

import math
import shlex
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from neuronsweep.errors import UserError
from neuronsweep.report.statistics import Summary, summary
from neuronsweep.report.values import short
from neuronsweep.sweeps import ledger
from neuronsweep.sweeps.results import Results

Row = Mapping[str, Any]
# Columns of results.csv that are neither a swept key nor a metric.
FIXED = ("run", "state", "seconds", "directory")
# Keys that may give runs different data.
DATA = ("data", "experiment")
# Metrics that may be negative, by the last part of their names.
SIGNED = ("r2", "slope", "intercept")


@dataclass(frozen=True)
class Configuration:
    """The complete replicates of one set of values: one a seed, best first."""

    values: dict[str, str]
    rows: list[Row]
    metric: str

    @cached_property
    def results(self) -> list[float]:
        return [float(row[self.metric]) for row in self.rows]

    @cached_property
    def mean(self) -> float:
        return statistics.fmean(self.results)

    @cached_property
    def summary(self) -> Summary:
        return summary(self.results, -math.inf if self.metric.rpartition("/")[2] in SIGNED else 0.0)

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
        return self.rows[len(self.rows) // 2]


@dataclass(frozen=True)
class Sweep:
    """What a sweep directory holds now; the sweep may still be running.

    Attributes:
        rows: those of results.csv: of the runs that have begun.
        jobs: how many runs there are when it has ended.
        asked: the different values of every swept key, of runs that have not begun too where they are known.
        keys: swept keys other than seed that have several values.
        by_data: the configurations by the name of their data set, best mean first: results on other data are not
            compared. One with that of all runs, or "data", where the sweep does not vary the data.
        record: of the first run that has one, empty where none has.
    """

    directory: Path
    description: Mapping[str, Any]
    rows: list[Row]
    jobs: int
    asked: Mapping[str, list[str]]
    metric: str
    mode: str
    keys: list[str]
    by_data: Mapping[str, list[Configuration]]
    record: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.directory.resolve().name

    @property
    def swept(self) -> list[str]:
        return list(self.description["swept"])

    @property
    def is_search(self) -> bool:
        return "search" in self.description

    @cached_property
    def configurations(self) -> list[Configuration]:
        return [configuration for those in self.by_data.values() for configuration in those]

    @property
    def metrics(self) -> list[str]:
        names = dict.fromkeys(name for row in self.rows for name in row)
        return [name for name in names if name not in FIXED and name not in self.swept]

    @property
    def data(self) -> str:
        """The data set, where all runs have the same."""
        name = _data(self.record)
        return f"the {name}" if name and not set(DATA) & set(self.keys) else "the data"

    def complete(self) -> list[Row]:
        return [row for row in self.rows if row["state"] == ledger.COMPLETE]

    def path(self, row: Row) -> Path:
        return self.directory / row["directory"]

    def told(self, row: Row) -> str:
        """A run in a few words."""
        return " ".join([f"#{row['run']}", *(f"{key}={short(str(row[key]))}" for key in self.swept)])

    def command(self, row: Row) -> str:
        """The command line that trains this run again by itself."""
        words = [f"{key}={row[key]}" for key in self.swept if row[key] != ""]
        fixed = [word for word in self.description["overrides"] if word.lstrip("+").split("=")[0] not in self.swept]
        return shlex.join(["python", "train.py", *fixed, *words])


def read(directory: Path) -> Sweep:
    """Read a sweep directory. Raises UserError where it is none, Damaged where its description cannot be read."""
    if not (directory / ledger.SWEEP).exists():
        raise UserError(f"{directory} is not a sweep directory: it has no {ledger.SWEEP}")
    results = Results(directory)
    description = results.description
    rows = results.rows()
    metric, mode = description["objective"]["metric"], description["objective"]["mode"]
    if "search" in description:
        metric, mode = description["search"]["objectives"][0]
    asked = results.asked() or rows
    values = {key: _different(str(job[key]) for job in asked) for key in description["swept"]}
    keys = [key for key in values if key != "seed" and len(values[key]) > 1]
    records = (directory / row["directory"] / ledger.RECORD for row in rows if row["state"] != ledger.DAMAGED)
    first = next((path for path in records if path.exists()), None)
    record = ledger.read_json(first) if first else {}
    by_data: dict[str, list[Configuration]] = {}
    for configuration in configurations(rows, keys, metric, mode):
        path = directory / configuration.best["directory"] / ledger.RECORD
        data = _data(ledger.read_json(path) if set(DATA) & set(keys) else record)
        by_data.setdefault(data, []).append(configuration)
    in_their_order = sorted(by_data.items(), key=lambda found: min(row["run"] for c in found[1] for row in c.rows))
    return Sweep(
        directory=directory,
        description=description,
        rows=list(rows),
        jobs=results.jobs,
        asked=values,
        metric=metric,
        mode=mode,
        keys=keys,
        by_data=dict(in_their_order),
        record=record,
    )


def configurations(rows: Iterable[Row], keys: Sequence[str], metric: str, mode: str) -> list[Configuration]:
    """The complete runs that have a metric, grouped by the values of all swept ``keys`` but seed, best mean first.

    A seed that was trained more than once counts once: it is no replicate of itself.
    """
    groups: dict[tuple[str, ...], dict[str, Row]] = {}
    for row in rows:
        if row["state"] == ledger.COMPLETE and metric in row:
            seeds = groups.setdefault(tuple(str(row[key]) for key in keys), {})
            seeds.setdefault(str(row.get("seed", "")), row)
    found = []
    for values, seeds in groups.items():
        replicates = sorted(seeds.values(), key=lambda row: _worse(float(row[metric]), mode))
        found.append(Configuration(dict(zip(keys, values, strict=True)), replicates, metric))
    return sorted(found, key=lambda configuration: _worse(configuration.mean, mode))


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


def _different(values: Iterable[str]) -> list[str]:
    """In the order in which they were asked; a run whose files are damaged may not know its own."""
    return [value for value in dict.fromkeys(values) if value != ""]


def _data(record: Mapping[str, Any]) -> str:
    return str(record["config"]["data"]["_target_"]).rpartition(".")[2] if record else ""
