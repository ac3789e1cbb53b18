"""Run state on disk: the only code that reads and writes it. Every file is written whole or not at all."""

import csv
import io
import json
import os
import socket
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from neuronsweep.errors import UserError

# Names of the directory contract.
STATUS, RECORD, PATCH = "status.json", "record.json", "record.patch"
METRICS, HISTORY, MODEL, FIGURE = "metrics.json", "history.csv", "model.ckpt", "fit.png"
SWEEP, RESULTS = "sweep.json", "results.csv"
# What an interrupted run goes on from; gone when the run is complete.
CHECKPOINT = "resume.ckpt"

History = Sequence[tuple[int, Mapping[str, float]]]

RUNNING, COMPLETE, FAILED, PRUNED = "RUNNING", "COMPLETE", "FAILED", "PRUNED"


def write(path: Path, content: bytes | str) -> None:
    """Write a file whole or not at all: a temporary file beside it, fsync, rename."""
    data = content.encode() if isinstance(content, str) else content
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def move(temporary: Path, path: Path) -> None:
    """Put a finished file in its place: fsync, rename."""
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(temporary, path)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write JSON with one key a line; floats read back to the same bits."""
    write(path, json.dumps(value, indent=1) + "\n")


def start(directory: Path, engine: str, fingerprint: str) -> None:
    """Make the directory's run RUNNING; seconds of an earlier, interrupted try are kept."""
    before = read_json(directory / STATUS) if (directory / STATUS).exists() else {}
    now = _now()
    status = {
        "state": RUNNING,
        "started": before.get("started", now),
        "ended": None,
        "heartbeat": now,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "engine": engine,
        "error": None,
        "fingerprint": fingerprint,
        "seconds": before.get("seconds", 0.0),
    }
    write_json(directory / STATUS, status)


def write_record(directory: Path, record: Mapping[str, Any], patch: str) -> None:
    """record.json and, beside it, the uncommitted changes where there are some."""
    write_json(directory / RECORD, record)
    if patch:
        write(directory / PATCH, patch)


def update(directory: Path, **changes: Any) -> None:
    """Change keys of status.json and renew its heartbeat."""
    write_json(directory / STATUS, {**read_json(directory / STATUS), **changes, "heartbeat": _now()})


def end(directory: Path, state: str, seconds: float, error: str | None = None) -> None:
    """Make the directory's run COMPLETE, FAILED or PRUNED after so many seconds of training."""
    update(directory, state=state, ended=_now(), seconds=round(seconds, 3), error=error)


def ended(directory: Path, fingerprint: str) -> dict[str, Any] | None:
    """status.json of a run that has ended, or None where there is something to train.

    Raises UserError for a directory whose run was begun with another config, source or data.
    """
    if not (directory / STATUS).exists():
        return None
    found = read_json(directory / STATUS)
    if found["fingerprint"] != fingerprint:
        raise UserError(f"{directory} was begun with another config, package source or data, and is not trained again")
    return None if found["state"] == RUNNING else found


def complete(
    directory: Path,
    history: History,
    metrics: Mapping[str, float],
    model: bytes,
    figure: bytes | None,
    seconds: float,
) -> None:
    """Write the results of a run, and only then that it is COMPLETE."""
    write_history(directory, history)
    write_json(directory / METRICS, metrics)
    write(directory / MODEL, model)
    if figure is not None:
        write(directory / FIGURE, figure)
    end(directory, COMPLETE, seconds)
    (directory / CHECKPOINT).unlink(missing_ok=True)


def read_json(path: Path) -> dict[str, Any]:
    """The flat object in a JSON file of a run; a UserError names the file when it is missing or damaged."""
    try:
        value = json.loads(path.read_text())
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}") from None
    if not isinstance(value, dict):
        raise UserError(f"{path} is damaged: it does not hold a JSON object")
    return value


def status(directory: Path) -> dict[str, Any]:
    """status.json of a run directory; a UserError when this is none."""
    if not (directory / STATUS).is_file():
        raise UserError(f"{directory} is not a run directory: it has no {STATUS}")
    return read_json(directory / STATUS)


def living(directory: Path) -> bool:
    """Whether the process that trains a RUNNING run on this host still exists."""
    state = status(directory)
    if state["state"] != RUNNING or state["host"] != socket.gethostname():
        return False
    try:
        os.kill(state["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def write_history(directory: Path, history: History) -> None:
    """history.csv: epoch, then the metric names, one row a log point."""
    names = list(history[0][1]) if history else []
    rows = [{"epoch": epoch, **row} for epoch, row in history]
    write_csv(directory / HISTORY, ["epoch", *names], rows)


def write_csv(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """A CSV file; a value that a row lacks is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write(path, text.getvalue())


def run_directory(sweep: Path, number: int) -> Path:
    """Directory of a sweep's run; the same name as hydra.sweep.subdir gives it."""
    return sweep / f"{number:04d}"


class Results:
    """results.csv of a sweep, rebuilt from its run directories; runs that have ended are read once.

    Columns: run, state, the swept keys, the final metrics, seconds, directory. One row a run that has begun.
    """

    def __init__(self, sweep: Path):
        self.sweep = sweep
        description = read_json(sweep / SWEEP)
        self.overrides: list[list[str]] = description["jobs"]
        self.swept: list[str] = description["swept"]
        self.jobs = len(self.overrides)
        self.ended: dict[int, dict[str, Any]] = {}
        self.due = 0.0

    def write_now_and_then(self) -> None:
        """Write, but of hundreds of short runs not after each: writing takes a tenth of the time at most."""
        start = time.monotonic()
        if start >= self.due:
            self.write()
            self.due = time.monotonic() + max(1.0, 10 * (time.monotonic() - start))

    def write(self) -> list[dict[str, Any]]:
        """Write results.csv and return its rows."""
        rows = [row for number in range(self.jobs) if (row := self._read(number))]
        fixed = ["run", "state", *self.swept]
        metrics = dict.fromkeys(name for row in rows for name in row if name not in {*fixed, "seconds", "directory"})
        write_csv(self.sweep / RESULTS, [*fixed, *metrics, "seconds", "directory"], rows)
        return rows

    def _read(self, number: int) -> dict[str, Any] | None:
        if number in self.ended:
            return self.ended[number]
        directory = run_directory(self.sweep, number)
        if not (directory / STATUS).exists():
            return None
        row = _row(directory, number, self.overrides[number], self.swept)
        if row["state"] != RUNNING:
            self.ended[number] = row
        return row


def _row(directory: Path, number: int, overrides: Sequence[str], swept: Sequence[str]) -> dict[str, Any]:
    values = dict(override.lstrip("+").split("=", 1) for override in overrides)
    state = status(directory)
    metrics = read_json(directory / METRICS) if state["state"] == COMPLETE else {}
    return {
        "run": number,
        "state": state["state"],
        **{key: values.get(key, "") for key in swept},
        **metrics,
        "seconds": state["seconds"],
        "directory": directory.name,
    }


def end_sweep(sweep: Path) -> None:
    """Mark a sweep whose runs have all ended."""
    write_json(sweep / SWEEP, {**read_json(sweep / SWEEP), "state": COMPLETE})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
