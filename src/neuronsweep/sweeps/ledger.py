"""Run state on disk: the only code that reads and writes it. Every file is written whole or not at all."""

import csv
import hashlib
import io
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from neuronsweep.errors import Unwritable, UserError

# Names of the directory contract.
STATUS, RECORD, PATCH = "status.json", "record.json", "record.patch"
METRICS, HISTORY, MODEL, FIGURE = "metrics.json", "history.csv", "model.ckpt", "fit.png"
SWEEP, RESULTS = "sweep.json", "results.csv"
JOURNAL, SEARCH = "optuna.journal", "optimization_results.yaml"
# How the names of TensorBoard's files begin.
EVENTS = "events.out.tfevents."
# What an interrupted run goes on from; gone when the run is complete.
CHECKPOINT = "resume.ckpt"
# Weights at earlier log points of a member; gone when their pictures are drawn.
MOMENTS = "moments.ckpt"
# End of the names of files that are being written; those of a killed process are left behind.
TEMPORARY = ".tmp"

# Files whose digests status.json keeps, from the beginning and from the end of a run; the others are derived from them.
BEGUN, ENDED = (RECORD, PATCH), (METRICS, HISTORY, MODEL)

History = Sequence[tuple[int, Mapping[str, float]]]

RUNNING, COMPLETE, FAILED, PRUNED = "RUNNING", "COMPLETE", "FAILED", "PRUNED"
# What tables show of a run whose files are not those it ended with; never written into its directory.
DAMAGED = "DAMAGED"


class Damaged(UserError):
    """A file of a run or sweep is not what was written."""

    def __init__(self, path: Path, what: str):
        super().__init__(f"{path} is {what}")
        self.path, self.what = path, what


# Tests of kills and full disks act here, between a temporary file and its place.
before_rename: Callable[[Path], object] = lambda path: None  # noqa: E731


def write(path: Path, content: bytes | str) -> None:
    """Write a file whole or not at all: a temporary file beside it, fsync, rename. Raises Unwritable."""
    data = content.encode() if isinstance(content, str) else content
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=TEMPORARY, dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o644)
            before_rename(path)
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise Unwritable(f"{path} cannot be written: {error.strerror or error}") from error


def move(temporary: Path, path: Path) -> None:
    """Put a file that somebody else wrote in its place: fsync, rename."""
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    before_rename(path)
    os.replace(temporary, path)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write JSON with one key a line; floats read back to the same bits."""
    write(path, json.dumps(value, indent=1) + "\n")


def clean(directory: Path) -> None:
    """Remove what killed processes left half written. Only the owner of the directory may."""
    for path in directory.glob(f".*{TEMPORARY}"):
        path.unlink(missing_ok=True)


def discard(directory: Path) -> None:
    """Remove a run, so that it is begun anew; killed in the middle it reads as not begun."""
    (directory / STATUS).unlink(missing_ok=True)
    if directory.is_symlink():
        directory.unlink()
    else:
        shutil.rmtree(directory)


def begin(directory: Path, engine: str, fingerprint: str, record: Mapping[str, Any], patch: str) -> None:
    """Make the directory's run RUNNING.

    A new run gets record.json and, where there are uncommitted changes, record.patch. A run that goes on keeps its
    own and its seconds; where it is continued from is added to ``continued`` of status.json.
    """
    clean(directory)
    now = _now()
    if (directory / STATUS).exists():
        before = status(directory)
        if before["state"] != RUNNING or before["fingerprint"] != fingerprint:
            raise UserError(f"{directory} holds another run, or one that is {before['state']}: it is not overwritten")
        again = {"at": now, **{key: record.get(key) for key in ("command", "git_sha", "environment")}}
        before["continued"] = [*before["continued"], again]
    else:
        _remove_results(directory)  # of a run whose status is lost: they must not pass for this one's
        if patch:
            write(directory / PATCH, patch)
        write_json(directory / RECORD, record)
        before = {"started": now, "seconds": 0.0, "continued": []}
    owner = {"host": socket.gethostname(), "pid": os.getpid(), "engine": engine, "fingerprint": fingerprint}
    running = {"state": RUNNING, "ended": None, "heartbeat": now, "error": None, "files": _digests(directory, BEGUN)}
    _write_status(directory, {**before, **running, **owner})


def _remove_results(directory: Path) -> None:
    for name in (CHECKPOINT, MOMENTS, PATCH, FIGURE, *ENDED):
        (directory / name).unlink(missing_ok=True)
    for path in directory.glob(f"{EVENTS}*"):
        path.unlink()


def update(directory: Path, **changes: Any) -> None:
    """Change keys of status.json and renew its heartbeat."""
    _write_status(directory, {**status(directory), **changes, "heartbeat": _now()})


def end(directory: Path, state: str, seconds: float, error: str | None = None) -> None:
    """Make the directory's run COMPLETE, FAILED or PRUNED after so many seconds of training."""
    files = _digests(directory, (*BEGUN, *ENDED))
    update(directory, state=state, ended=_now(), seconds=round(seconds, 3), error=error, files=files)


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


def status(directory: Path) -> dict[str, Any]:
    """status.json of a run directory. Raises UserError when there is none, Damaged when it was changed by hand."""
    if not (directory / STATUS).is_file():
        raise UserError(f"{directory} is not a run directory: it has no {STATUS}")
    found = read_json(directory / STATUS)
    if found.pop("seal", None) != _seal(found):  # a digest of the others: nobody has to list what a status has
        raise Damaged(directory / STATUS, "damaged: it is not what was written")
    return found


def proved(directory: Path) -> dict[str, Any]:
    """status.json of a run whose files are those it ended with. Raises Damaged, which names the first that is not."""
    found = status(directory)
    for name, digest in found["files"].items():
        path = directory / name
        if not path.is_file():
            raise Damaged(path, "missing")
        if _digest(path) != digest:
            raise Damaged(path, "damaged: it is not what was written")
    return found


def ended(directory: Path, fingerprint: str) -> dict[str, Any] | None:
    """status.json of a run that has ended, or None where there is something to train.

    Raises UserError for a directory whose run was begun with another config, source or data, Damaged for one whose
    files were changed.
    """
    if not (directory / STATUS).exists():
        return None
    found = proved(directory)
    if found["fingerprint"] != fingerprint:
        raise UserError(f"{directory} was begun with another config, package source or data, and is not trained again")
    return None if found["state"] == RUNNING else found


def metrics(directory: Path) -> dict[str, float]:
    """The final metrics of a run that is COMPLETE, proved."""
    if proved(directory)["state"] != COMPLETE:
        raise UserError(f"{directory} is not {COMPLETE}")
    return read_json(directory / METRICS)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file of a run. Raises Damaged when it cannot be read, UserError when it is missing."""
    try:
        value = json.loads(path.read_text())
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except (OSError, ValueError) as error:
        raise Damaged(path, f"damaged: {error}") from None
    if not isinstance(value, dict):
        raise Damaged(path, "damaged: it does not hold a JSON object")
    return value


def description(sweep: Path) -> dict[str, Any]:
    """sweep.json of a sweep directory. Raises UserError where there is none, Damaged where it cannot be read."""
    found = read_json(sweep / SWEEP)
    lacks = [key for key in ("swept", "objective", "overrides", "command") if key not in found]
    if lacks or not ("jobs" in found or {"trials", "search"} <= found.keys()):
        raise Damaged(sweep / SWEEP, f"damaged: it has no {lacks[0] if lacks else 'jobs'}")
    return found


def write_history(directory: Path, history: History) -> None:
    """history.csv: epoch, then the metric names, one row a log point."""
    names = list(history[0][1]) if history else []
    rows = [{"epoch": epoch, **row} for epoch, row in history]
    write_csv(directory / HISTORY, ["epoch", *names], rows)


def read_history(directory: Path) -> list[tuple[int, dict[str, float]]]:
    """history.csv: (epoch, metrics) of every log point."""
    rows = csv.DictReader(io.StringIO((directory / HISTORY).read_text()))
    return [(int(row.pop("epoch")), {name: float(value) for name, value in row.items()}) for row in rows]


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


def _write_status(directory: Path, value: dict[str, Any]) -> None:
    write_json(directory / STATUS, {**value, "seal": _seal(value)})


def _seal(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def _digests(directory: Path, names: Sequence[str]) -> dict[str, str]:
    return {name: _digest(directory / name) for name in names if (directory / name).exists()}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
