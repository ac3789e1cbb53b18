"""results.csv of a sweep: a row for each run, rebuilt from the run directories."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from neuronsweep.config import targets
from neuronsweep.errors import UserError
from neuronsweep.runs import contents, files
from neuronsweep.runs.parquet import write_parquet
from neuronsweep.runs.run import COMPLETE, DAMAGED, PRUNED, RUNNING, Run
from neuronsweep.runs.sweep import numbers, read_description, run_directory


class Results:
    """results.csv of a sweep, rebuilt from its run directories; runs that have ended are read once.

    Columns: run, state, the swept keys, the final metrics, seconds, directory. A row for each run that has begun. A run
    whose files are not those it ended with is DAMAGED and has no metrics.
    """

    def __init__(self, sweep: Path):
        self.sweep = sweep
        self.description = read_description(sweep)
        # a search does not know its jobs before: the values are in the records of its runs
        self.overrides: list[list[str]] | None = self.description.get("jobs")
        self.swept: list[str] = self.description["swept"]
        # of a shard its own
        self.numbers = numbers(self.description)
        self.jobs = len(self.numbers)
        self.ended: dict[int, dict[str, Any]] = {}
        self.due = 0.0

    def write_now_and_then(self) -> None:
        """Write results.csv, but of hundreds of short runs not after each: that takes a tenth of the time at most."""
        start = time.monotonic()
        if start >= self.due:
            write_results(self.sweep, self.swept, self.rows())
            self.due = time.monotonic() + max(1.0, 10 * (time.monotonic() - start))

    def rows(self) -> list[dict[str, Any]]:
        """What results.csv shall hold."""
        return [row for number in self.numbers if (row := self._read(number))]

    def asked(self) -> list[dict[str, str]]:
        """The values of the swept keys of every job, begun or not; empty of a search, which does not know them."""
        return [_values(self.overrides[number], self.swept) for number in self.numbers] if self.overrides else []

    def write(self, rows: Sequence[Mapping[str, Any]] | None = None) -> None:
        """Write results.csv and, where pyarrow is there, results.parquet."""
        rows = self.rows() if rows is None else rows
        write_parquet(self.sweep, write_results(self.sweep, self.swept, rows), rows, self.swept)

    def failed(self, rows: Sequence[Mapping[str, Any]]) -> list[int]:
        """Numbers of the runs that did not end well; of a search, of the trials that are FAIL, begun or not."""
        well = {row["run"] for row in rows if row["state"] in (COMPLETE, PRUNED)}
        if self.overrides is not None:
            return [number for number in self.numbers if number not in well]
        told: list[int] = yaml.safe_load((self.sweep / contents.SEARCH).read_text())["failed"]
        each = self.description.get("replicates", 1)
        return sorted({*(trial * each for trial in told), *(row["run"] for row in rows if row["run"] not in well)})

    def _read(self, number: int) -> dict[str, Any] | None:
        if number in self.ended:
            return self.ended[number]
        directory = run_directory(self.sweep, number)
        if not Run(directory).has_begun:
            return None
        overrides = self.overrides[number] if self.overrides is not None else _asked(directory)
        row = _row(directory, number, overrides, self.swept)
        if row["state"] != RUNNING:
            self.ended[number] = row
        return row


def write_results(sweep: Path, swept: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Write results.csv of a sweep, what was swept and the final metrics of every run, and return its columns."""
    fixed = ["run", "state", *swept]
    metrics = dict.fromkeys(name for row in rows for name in row if name not in {*fixed, "seconds", "directory"})
    columns = [*fixed, *metrics, "seconds", "directory"]
    files.write_csv(sweep / contents.RESULTS, columns, rows)
    return columns


def _asked(directory: Path) -> list[str]:
    try:
        return Run(directory).record()["overrides"]
    except targets.Untrusted:
        raise
    except UserError:  # the row says that it is DAMAGED
        return []


def _row(directory: Path, number: int, overrides: Sequence[str], swept: Sequence[str]) -> dict[str, Any]:
    try:
        found = Run(directory).verified()
    except files.Damaged:
        found = {"state": DAMAGED, "seconds": ""}
    metrics = files.read_json(directory / contents.METRICS) if found["state"] == COMPLETE else {}
    return {
        "run": number,
        "state": found["state"],
        **_values(overrides, swept),
        **metrics,
        "seconds": found["seconds"],
        "directory": directory.name,
    }


def _values(overrides: Sequence[str], swept: Sequence[str]) -> dict[str, str]:
    values = dict(override.lstrip("+").split("=", 1) for override in overrides)
    return {key: _unquoted(values.get(key, "")) for key in swept}


def _unquoted(value: str) -> str:
    """The text that Hydra's grammar means by a quoted value."""
    quote = value[:1]
    if len(value) > 1 and quote in ("'", '"') and value.endswith(quote):
        return value[1:-1].replace("\\" + quote, quote)
    return value
