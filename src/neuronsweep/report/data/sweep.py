"""Reads a sweep directory into one plain object, from which all tables, charts and pages are made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from neuronsweep.config.metric_names import is_loss, mode_of
from neuronsweep.config.schemas import SCHEMAS
from neuronsweep.errors import UserError
from neuronsweep.report.data.configurations import FOLD, REDRAWN, Configuration, Row, configurations
from neuronsweep.report.data.datasets import by_data, different, overlap, target
from neuronsweep.report.data.formatting import short
from neuronsweep.report.data.trials import complete_trials
from neuronsweep.runs import contents
from neuronsweep.runs.results import Results
from neuronsweep.runs.run import COMPLETE, DAMAGED, FAILED, RUNNING, History, Run
from neuronsweep.runs.words import needs_trust, train_command
from neuronsweep.search.objectives import recorded

# Columns of results.csv that are neither a swept key nor a metric.
FIXED = ("run", "state", "seconds", "directory")


@dataclass(frozen=True)
class SweepReport:
    """What a sweep directory holds now; the sweep may still be running.

    Attributes:
        rows: those of results.csv: of the runs that have begun.
        jobs: how many runs there are when it has ended.
        asked: the different values of every swept key, of runs that have not begun too where they are known.
        keys: swept keys that have several values, without those by which replicates differ.
        data_keys: those of the keys that give runs different data, or another loss where that is the metric.
        by_data: the configurations, best first, by the name of their data set: results on other data are not
            compared. Of a search those that satisfy its constraints, as one.
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
    data_keys: list[str]
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
        """All of them, one data set after the other."""
        return [configuration for those in self.by_data.values() for configuration in those]

    @cached_property
    def lost(self) -> list[tuple[dict[str, str], int]]:
        """The configurations all of whose runs FAILED, in the order of the runs, and how many runs those are."""
        states: dict[tuple[str, ...], list[str]] = {}
        for row in self.rows:
            states.setdefault(tuple(str(row[key]) for key in self.keys), []).append(row["state"])
        return [
            (dict(zip(self.keys, values, strict=True)), len(those))
            for values, those in states.items()
            if self.keys and set(those) == {FAILED}
        ]

    @cached_property
    def in_training(self) -> list[tuple[Row, History]]:
        """The runs that have not ended, with what they have logged so far."""
        return [(row, history) for row in self.rows if (history := self._logged(row))]

    def _logged(self, row: Row) -> History:
        try:
            return Run(self.path(row)).history() if row["state"] == RUNNING else []
        except (OSError, ValueError):  # nothing yet
            return []

    @property
    def replicates(self) -> str:
        """What the replicates of a configuration are, in the plural."""
        splits = "folds" if FOLD in self.swept else "splits" if REDRAWN in self.swept and self.is_split else ""
        return " and ".join(noun for noun in (splits, "seeds" if "seed" in self.swept or not splits else "") if noun)

    @property
    def is_split(self) -> bool:
        """Whether replicates differ in the rows of a table that they are validated on."""
        return any(configuration.splits > 1 for configuration in self.configurations)

    def ranked(self, metric: str, mode: str) -> list[Configuration]:
        """The configurations by another metric, best first, of all data sets together."""
        return configurations(self.rows, self.keys, metric, mode, partial(overlap, _data_of(self.record)))

    @property
    def metrics(self) -> list[str]:
        names = dict.fromkeys(name for row in self.rows for name in row)
        return [name for name in names if name not in FIXED and name not in self.swept]

    @property
    def data(self) -> str:
        """The data set, where all runs have the same."""
        return "the data" if self.data_keys or not self.record else f"the {target(self.record)}"

    def complete(self) -> list[Row]:
        return [row for row in self.rows if row["state"] == COMPLETE]

    def path(self, row: Row) -> Path:
        return self.directory / row["directory"]

    def told(self, row: Row) -> str:
        """A run in a few words."""
        named = (f"{key}={short(str(row[key]))}" for key in self.swept if key in row)
        return " ".join([f"#{row.get('trial', row['run'])}", *named])

    def command(self, row: Row) -> str:
        """The command line that trains this run again by itself."""
        jobs = self.description.get("jobs")
        if jobs is not None:
            return train_command(jobs[row["run"]], self.description)
        words = [f"{key}={row[key]}" for key in self.swept if row[key] != ""]
        fixed = [word for word in self.description["overrides"] if word.lstrip("+").split("=")[0] not in self.swept]
        return train_command([*fixed, *words], self.description)

    @cached_property
    def trust(self) -> list[bool]:
        """Of every row whether replay and predict ask for ``--trust``; all runs are read where they may differ."""
        mixed = any(key in (*SCHEMAS, "experiment") or key.endswith("_target_") for key in self.swept)
        if mixed:
            return [needs_trust(self.path(row)) for row in self.rows]
        return [bool(self.rows) and needs_trust(self.path(self.rows[0]))] * len(self.rows)


def read(directory: Path) -> SweepReport:
    """Read a sweep directory. Raises UserError where it is none, Damaged where its description cannot be read."""
    if not (directory / contents.SWEEP).exists():
        raise UserError(f"{directory} is not a sweep directory: it has no {contents.SWEEP}")
    return sweep_of(Results(directory))


def sweep_of(results: Results) -> SweepReport:
    """The sweep with these results; runs that have not been read are read now."""
    directory, description = results.sweep, results.description
    rows = results.rows()
    record = _first(directory, rows)
    metric = description["objective"]["metric"]
    mode = mode_of(metric) or description["objective"]["mode"]
    counted = rows
    if "search" in description:
        goals = recorded(description["search"])
        metric, mode = goals.objectives[0]
        each = description.get("replicates", 1)
        satisfying = {row["run"] // each for row in complete_trials(rows, each) if goals.satisfied(row)}
        counted = [row for row in rows if row["run"] // each in satisfying]
    asked = results.asked() or rows
    values = {key: different(str(job[key]) for job in asked) for key in description["swept"]}
    # the rows of a table are split anew by data.seed; other data are other data
    same = ("seed", FOLD, REDRAWN) if _are_tables(directory, rows) else ("seed",)
    keys = [key for key in values if key not in same and len(values[key]) > 1]
    # a search compares its trials itself, whatever their data
    varied = [key for key in keys if key in ("data", "experiment") or key.startswith("data.")]
    varied += [key for key in keys if is_loss(metric) and key.partition(".")[0] in ("loss", "module")]
    data_keys = [] if "search" in description else varied
    ranked = configurations(counted, keys, metric, mode, partial(overlap, _data_of(record)))
    found = by_data(directory, ranked, data_keys)
    return SweepReport(
        directory=directory,
        description=description,
        rows=list(rows),
        jobs=results.jobs,
        asked=values,
        metric=metric,
        mode=mode,
        keys=keys,
        data_keys=data_keys if len(found) > 1 else [],
        by_data=found,
        record=record,
    )


def _first(directory: Path, rows: Sequence[Row]) -> Mapping[str, Any]:
    """The record of the first of some runs that has one; empty where none has."""
    runs = (directory / row["directory"] for row in rows if row["state"] != DAMAGED)
    first = next((run for run in runs if (run / contents.RECORD).exists()), None)
    return Run(first).record() if first else {}


def _are_tables(directory: Path, rows: Sequence[Row]) -> bool:
    """Whether all runs learn from tables; of those with the same data one is read."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(str(row.get(key)) for key in ("data", "experiment", "data._target_")), []).append(row)
    return bool(groups) and all("table" in _first(directory, those) for those in groups.values())


def _data_of(record: Mapping[str, Any]) -> Mapping[str, Any]:
    return record["config"]["data"] if "table" in record else {}
