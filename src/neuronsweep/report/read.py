"""A sweep directory as one plain object, which all tables, charts and pages are made of."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Configuration:
    """The complete replicates of one set of values, best first."""

    values: dict[str, str]
    rows: list[Row]
    results: list[float]
    summary: Summary

    @property
    def name(self) -> str:
        return " ".join(f"{key}={short(value)}" for key, value in self.values.items()) or "the only configuration"

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
        rows: those of results.csv.
        keys: swept keys other than seed that have several values.
        configurations: best mean first.
        record: of the first run that has one, empty where none has.
    """

    directory: Path
    description: Mapping[str, Any]
    rows: list[Row]
    metric: str
    mode: str
    keys: list[str]
    configurations: list[Configuration]
    record: Mapping[str, Any]

    @property
    def swept(self) -> list[str]:
        return list(self.description["swept"])

    @property
    def is_search(self) -> bool:
        return "search" in self.description

    @property
    def metrics(self) -> list[str]:
        names = dict.fromkeys(name for row in self.rows for name in row)
        return [name for name in names if name not in FIXED and name not in self.swept]

    @property
    def data(self) -> str:
        """Name of the data set, where all runs have the same."""
        if "data" in self.keys or not self.record:
            return "the data"
        return "the " + str(self.record["config"]["data"]["_target_"]).rpartition(".")[2]

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
    """Read a sweep directory. Raises UserError where it is none."""
    if not (directory / ledger.SWEEP).exists():
        raise UserError(f"{directory} is not a sweep directory: it has no {ledger.SWEEP}")
    description = ledger.read_json(directory / ledger.SWEEP)
    rows = Results(directory).rows()
    metric, mode = description["objective"]["metric"], description["objective"]["mode"]
    if "search" in description:
        metric, mode = description["search"]["objectives"][0]
    keys = [key for key in description["swept"] if key != "seed" and len({row[key] for row in rows}) > 1]
    records = (directory / row["directory"] / ledger.RECORD for row in rows if row["state"] != ledger.DAMAGED)
    first = next((path for path in records if path.exists()), None)
    return Sweep(
        directory=directory,
        description=description,
        rows=list(rows),
        metric=metric,
        mode=mode,
        keys=keys,
        configurations=configurations(rows, keys, metric, mode),
        record=ledger.read_json(first) if first else {},
    )


def configurations(rows: Sequence[Row], keys: Sequence[str], metric: str, mode: str) -> list[Configuration]:
    """The complete runs grouped by the values of ``keys``, best mean first."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        if row["state"] == ledger.COMPLETE and metric in row:
            groups.setdefault(tuple(str(row[key]) for key in keys), []).append(row)
    sign = -1 if mode == "max" else 1
    found = []
    for values, replicates in groups.items():
        replicates.sort(key=lambda row: sign * float(row[metric]))
        results = [float(row[metric]) for row in replicates]
        found.append(Configuration(dict(zip(keys, values, strict=True)), replicates, results, summary(results)))
    return sorted(found, key=lambda configuration: sign * configuration.summary.mean)
