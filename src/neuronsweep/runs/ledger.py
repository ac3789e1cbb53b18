"""Run state on disk: the only code that reads and writes it. Every file is written whole or not at all."""

import csv
import hashlib
import io
import json
import os
import re
import secrets
import socket
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from neuronsweep.config import targets
from neuronsweep.errors import Unwritable, UserError
from neuronsweep.runs import contents
from neuronsweep.runs.contents import (  # noqa: F401 - the names of the contract are read as ledger.NAME
    CHECKPOINT,
    EVENTS,
    FIGURE,
    HISTORY,
    JOURNAL,
    METRICS,
    MODEL,
    MOMENTS,
    PATCH,
    RECORD,
    RESULTS,
    SEARCH,
    STATUS,
    SWEEP,
    TEMPORARY,
)

# Files whose digests status.json keeps, from the beginning and from the end of a run; the others are derived from them.
BEGUN, ENDED = (RECORD, PATCH), (METRICS, HISTORY, MODEL)

# Nodes of a config that a record has had from the first on.
NODES = ("data", "model", "optimizer", "scheduler", "trainer", "logger", "module")

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
    """Write a file whole or not at all: a temporary file beside it, fsync, rename. Raises Unwritable.

    Who may read it is what the umask says, as of any file.
    """
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY}")
    try:
        with temporary.open("xb") as file:
            file.write(data)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _unwritable(path, error) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    move(temporary, path)


def move(temporary: Path, path: Path) -> None:
    """Put a file that is written in its place: fsync, rename; where that fails it is gone. Raises Unwritable."""
    try:
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        before_rename(path)
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _unwritable(path, error) from error
        raise


def _unwritable(path: Path, error: OSError) -> Unwritable:
    return Unwritable(f"{path} cannot be written: {error.strerror or error}")


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write JSON with one key a line; floats read back to the same bits."""
    write(path, json.dumps(value, indent=1) + "\n")


def clean(directory: Path) -> None:
    """Remove what killed processes left half written. Only the owner of the directory may."""
    contents.remove_temporary(directory)


def discard(directory: Path) -> None:
    """Remove what a run wrote, so that it is begun anew; what else lies in its directory stays.

    Killed in the middle it reads as not begun. Raises UserError where something else has a name of the run's.
    """
    check_kinds(directory)
    contents.remove_run(directory)


def begin_anew(directory: Path) -> None:
    """Remove what a run wrote but for Hydra's files and, until it is written again, its record.

    Raises UserError where something else has a name of the run's.
    """
    check_kinds(directory)
    contents.remove_run(directory, keep=(contents.HYDRA, RECORD))


def check_kinds(directory: Path) -> None:
    """Raise UserError where something that is no regular file has the name of one that a run writes."""
    if other := contents.in_the_way(directory):
        kind = "a link" if other.is_symlink() else "a directory" if other.is_dir() else "no regular file"
        raise UserError(f"{other} is {kind}, which no run wrote and none replaces: move it away")


def is_run(directory: Path) -> bool:
    """Whether a directory holds a run: its status, or the record that it was begun with, is there and is whole."""
    for read in (status, read_record):
        try:
            read(directory)
        except targets.Untrusted:  # of somebody else's classes, and a record
            return True
        except UserError:
            continue
        return True
    return False


def check_place(directory: Path, of_sweep: bool = False) -> None:
    """Raise UserError for a directory in which a run would begin among files that no run of ours wrote.

    Args:
        of_sweep: the directory is one of a sweep's, which has given it to the run: what else lies there stays there,
            and only results that are nobody's are in the way.
    """
    check_kinds(directory)
    if is_run(directory):
        return
    results = [name for name in (*contents.CAME_TO, STATUS, RECORD) if (directory / name).exists()]
    # others' events that are not named as a run's are not in its way
    events = sorted(path.name for path in directory.glob(f"{EVENTS}*") if contents.is_ours(path))
    found = [*results, *events] if of_sweep else list(contents.others(directory))
    if found:
        raise UserError(
            f"{directory} is not allowed as output directory: it holds {found[0]}, which no run of neuronsweep wrote; "
            "give it a directory of its own, which is new or empty"
        )


def check_sweep_place(directory: Path) -> None:
    """Raise UserError for a directory in which a sweep would begin among files that no sweep of ours wrote."""
    sweep = directory / SWEEP
    if sweep.is_symlink() or (sweep.exists() and not contents.is_file(sweep)):
        raise UserError(f"{sweep} is no regular file, which no sweep wrote and none replaces: move it away")
    try:
        description(directory)
        return
    except targets.Untrusted:
        return
    except UserError:  # there is none, or half of one: then runs say whose directory it is
        pass
    found = list(contents.others(directory))
    if any(is_run(directory / name) for name in found if re.fullmatch(r"\d{4,}", name)):
        return
    if found and found != [JOURNAL]:  # a search killed at its beginning has no more; whose it is its study says
        raise UserError(
            f"{directory} is not allowed as output directory: it holds {found[0]}, which no sweep of neuronsweep "
            "wrote; give it a directory of its own, which is new or empty"
        )


def begin(directory: Path, engine: str, fingerprint: str, record: Mapping[str, Any], patch: str) -> None:
    """Make the directory's run RUNNING.

    A new run gets record.json and, where there are uncommitted changes, record.patch. A run that goes on keeps its
    own and its seconds; where it is continued from is added to ``continued`` of status.json.
    """
    check_place(directory, of_sweep=True)  # for whoever has not looked before
    clean(directory)
    now = _now()
    if (directory / STATUS).exists():
        before = status(directory)
        if before["state"] != RUNNING or before["fingerprint"] != fingerprint:
            raise UserError(f"{directory} holds another run, or one that is {before['state']}: it is not overwritten")
        again = {"at": now, **{key: record.get(key) for key in ("command", "git_sha", "environment")}}
        before["continued"] = [*before["continued"], again]
    else:
        contents.remove_run(directory, keep=(contents.HYDRA, contents.OUTPUT, RECORD))  # of one whose status is lost
        write_json(directory / RECORD, record)  # first, for it says that what follows is a run's
        if patch:
            write(directory / PATCH, patch)
        before = {"started": now, "seconds": 0.0, "continued": []}
    owner = {"host": socket.gethostname(), "pid": os.getpid(), "engine": engine, "fingerprint": fingerprint}
    running = {"state": RUNNING, "ended": None, "heartbeat": now, "error": None, "files": _digests(directory, BEGUN)}
    _write_status(directory, {**before, **running, **owner})


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
    contents.remove(directory / CHECKPOINT)


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


def read_record(directory: Path) -> dict[str, Any]:
    """record.json of a run, which this process may build.

    Raises UserError where there is none, Damaged where it is no record, Untrusted where it names what a directory of
    somebody else's may not have built.
    """
    found = read_json(directory / RECORD)
    kinds: dict[str, type | tuple[type, ...]] = {"overrides": list, "config": dict, "data_digest": str}
    kinds |= {"source_digest": str, "environment": dict, "command": str}
    lacks = [key for key, kind in kinds.items() if not isinstance(found.get(key), kind)]
    lacks = lacks or [key for key in NODES if not isinstance(found["config"].get(key), dict)]
    if lacks or not all(isinstance(word, str) for word in found["overrides"]):
        raise Damaged(directory / RECORD, f"damaged: it has no {lacks[0] if lacks else 'overrides'}")
    targets.check_config(found["config"], directory)
    return found


def description(sweep: Path) -> dict[str, Any]:
    """sweep.json of a sweep directory.

    Raises UserError where there is none, Damaged where it cannot be read, Untrusted where its words do what a directory
    of somebody else's may not.
    """
    found = read_json(sweep / SWEEP)
    lacks = [key for key in ("swept", "objective", "overrides", "command") if key not in found]
    if lacks or not ("jobs" in found or {"trials", "search"} <= found.keys()):
        raise Damaged(sweep / SWEEP, f"damaged: it has no {lacks[0] if lacks else 'jobs'}")
    for key in ("overrides", "hydra_overrides", "config_words"):
        words = found.get(key, [])
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise Damaged(sweep / SWEEP, f"damaged: its {key} are no words")
    targets.check_words([*found["overrides"], *found.get("hydra_overrides", [])], sweep)
    targets.check_flags(found.get("config_words", []), sweep)
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
