"""The Run class: reads and writes everything in a run directory."""

import csv
import hashlib
import io
import json
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from neuronsweep.config import targets
from neuronsweep.errors import Diverged, UserError, WorkerError
from neuronsweep.runs import contents, files
from neuronsweep.runs.contents import CHECKPOINT, EVENTS, FIGURE, HISTORY, METRICS, MODEL, PATCH, RECORD, STATUS, SWEEP
from neuronsweep.runs.files import Damaged

# Files whose digests status.json keeps, from the beginning and from the end of a run; the others are derived from them.
BEGUN, ENDED = (RECORD, PATCH), (METRICS, HISTORY, MODEL)

# Nodes of a config that a record has had from the first on.
NODES = ("data", "model", "optimizer", "scheduler", "trainer", "logger", "module")

History = Sequence[tuple[int, Mapping[str, float]]]

RUNNING, COMPLETE, FAILED, PRUNED = "RUNNING", "COMPLETE", "FAILED", "PRUNED"
# What tables show of a run whose files are not those it ended with; never written into its directory.
DAMAGED = "DAMAGED"


@dataclass(frozen=True)
class Begun:
    """How a run began, as long as nothing of it is written: see ``Run.begin``. ``at`` is when."""

    engine: str
    fingerprint: str
    record: Mapping[str, Any]
    patch: str
    at: str


class Run:
    """A run directory, of a run that has begun or not. Every method reads the files again."""

    def __init__(self, directory: Path):
        self.directory = directory

    @property
    def has_begun(self) -> bool:
        """Whether there is a status.json, which may be damaged."""
        return (self.directory / STATUS).exists()

    @property
    def state(self) -> str | None:
        """Its state, after its files were verified; None where it has not begun. Raises Damaged."""
        return self.verified()["state"] if self.has_begun else None

    def is_run(self) -> bool:
        """Whether the directory contains a run: an undamaged status or record."""
        for read in (self.status, self.record):
            try:
                read()
            except targets.Untrusted:  # of a user's own classes, and a record
                return True
            except UserError:
                continue
            return True
        return False

    def status(self) -> dict[str, Any]:
        """The content of status.json. Raises UserError where there is none, Damaged where it was changed by hand."""
        if not (self.directory / STATUS).is_file():
            raise UserError(f"{self.directory} is not a run directory: it has no {STATUS}")
        found = files.read_json(self.directory / STATUS)
        if found.pop("seal", None) != _seal(found):  # a digest of the others: nobody has to list what a status has
            raise Damaged(self.directory / STATUS, "damaged: it is not what was written")
        return found

    def verified(self) -> dict[str, Any]:
        """The status of a run whose files are those that it names. Raises Damaged for the first one that is not."""
        found = self.status()
        for name, digest in found["files"].items():
            path = self.directory / name
            if not path.is_file():
                raise Damaged(path, "missing")
            if files.digest(path) != digest:
                raise Damaged(path, "damaged: it is not what was written")
        return found

    def ended(self, fingerprint: str) -> dict[str, Any] | None:
        """The status of a run that has ended, or None where there is something to train.

        Raises UserError for a directory whose run was begun with another config, source or data, Damaged for one whose
        files were changed.
        """
        if not self.has_begun:
            return None
        found = self.verified()
        if found["fingerprint"] != fingerprint:
            raise UserError(
                f"{self.directory} was begun with another config, package source or data, and is not trained again"
            )
        return None if found["state"] == RUNNING else found

    def metrics(self) -> dict[str, float]:
        """The final metrics of a run that is COMPLETE, after its files were verified."""
        if self.verified()["state"] != COMPLETE:
            raise UserError(f"{self.directory} is not {COMPLETE}")
        return files.read_json(self.directory / METRICS)

    def result(self, metric: str) -> float | None:
        """The final value of a metric of a run that has ended, None of one that was PRUNED.

        Raises what one that FAILED has failed with: Diverged or, where a traceback was kept, WorkerError.
        """
        found = self.verified()
        if found["state"] == PRUNED:
            return None
        if found["state"] == FAILED:
            raise (Diverged if len(found["error"].splitlines()) == 1 else WorkerError)(found["error"])
        return files.read_json(self.directory / METRICS)[metric]

    def history(self) -> list[tuple[int, dict[str, float]]]:
        """The rows of history.csv: (epoch, metrics) of every log point."""
        rows = csv.reader(io.StringIO((self.directory / HISTORY).read_text()))
        _, *names = next(rows, [""])
        return [(int(epoch), dict(zip(names, map(float, values), strict=True))) for epoch, *values in rows]

    def record(self) -> dict[str, Any]:
        """The content of record.json, of which this process may build what it names.

        Raises UserError where there is none, Damaged where it is no record, Untrusted where it names what a directory
        of somebody else's may not have built.
        """
        found = files.read_json(self.directory / RECORD)
        kinds: dict[str, type | tuple[type, ...]] = {"overrides": list, "config": dict, "data_digest": str}
        kinds |= {"source_digest": str, "environment": dict, "command": str}
        lacks = [key for key, kind in kinds.items() if not isinstance(found.get(key), kind)]
        lacks = lacks or [key for key in NODES if not isinstance(found["config"].get(key), dict)]
        if lacks or not all(isinstance(word, str) for word in found["overrides"]):
            raise Damaged(self.directory / RECORD, f"damaged: it has no {lacks[0] if lacks else 'overrides'}")
        targets.check_config(found["config"], self.directory)
        return found

    def begin(self, engine: str, fingerprint: str, record: Mapping[str, Any], patch: str) -> None:
        """Make the run RUNNING.

        A new run gets record.json and, where changes are not committed, record.patch. A run that continues keeps its
        own and its seconds; where it is continued from is added to ``continued`` of status.json.
        """
        self.check_place(of_sweep=True)  # for whoever has not looked before
        contents.remove_temporary(self.directory)
        time = now()
        if self.has_begun:
            before = self.status()
            if before["state"] != RUNNING or before["fingerprint"] != fingerprint:
                raise UserError(
                    f"{self.directory} contains another run, or one that is {before['state']}: it is not overwritten"
                )
            again = {"at": time, **{key: record.get(key) for key in ("command", "git_sha", "environment")}}
            before["continued"] = [*before["continued"], again]
        else:  # also of a run whose status is lost
            contents.remove_run(self.directory, keep=(contents.HYDRA, contents.OUTPUT, RECORD))
            files.write_json(self.directory / RECORD, record)  # first, for it says that what follows is a run's
            if patch:
                self._write_patch(patch)
            before = {"started": time, "seconds": 0.0, "continued": []}
        digests = files.digests(self.directory, BEGUN)
        running = {"state": RUNNING, "ended": None, "heartbeat": time, "error": None, "files": digests}
        self._write_status({**before, **running, **_owner(engine, fingerprint)})

    def write_ended(
        self, begun: Begun, results: Mapping[str, bytes], state: str, seconds: float, error: str | None
    ) -> None:
        """Write a run that has ended already, in a directory that holds nothing else but Hydra's files.

        Args:
            results: contents of its files METRICS, HISTORY and MODEL, of those that it has.
        """
        written = {RECORD: files.as_json(begun.record).encode(), **results}
        for name, content in written.items():
            files.write(self.directory / name, content)
        if begun.patch:
            self._write_patch(begun.patch)
            written[PATCH] = begun.patch.encode()
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in written.items()}
        time = now()
        status = {"started": begun.at, "seconds": round(seconds, 3), "continued": [], "state": state, "ended": time}
        status |= {"heartbeat": time, "error": error, "files": digests}
        self._write_status({**status, **_owner(begun.engine, begun.fingerprint)})

    def update(self, **changes: Any) -> None:
        """Change keys of status.json and renew its heartbeat."""
        self._write_status({**self.status(), **changes, "heartbeat": now()})

    def end(self, state: str, seconds: float, error: str | None = None) -> None:
        """Make the run COMPLETE, FAILED or PRUNED after so many seconds of training."""
        digests = files.digests(self.directory, (*BEGUN, *ENDED))
        self.update(state=state, ended=now(), seconds=round(seconds, 3), error=error, files=digests)

    def complete(
        self, history: History, metrics: Mapping[str, float], model: bytes, figure: bytes | None, seconds: float
    ) -> None:
        """Write the results of the run, and only then that it is COMPLETE."""
        self.write_history(history)
        files.write_json(self.directory / METRICS, metrics)
        files.write(self.directory / MODEL, model)
        if figure is not None:
            files.write(self.directory / FIGURE, figure)
        self.end(COMPLETE, seconds)
        contents.remove(self.directory / CHECKPOINT)

    def write_history(self, history: History) -> None:
        """Write history.csv: epoch, then the metric names, one row a log point."""
        files.write(self.directory / HISTORY, history_text(history))

    def discard(self) -> None:
        """Remove what the run wrote, so that it can start again; what else lies in its directory stays.

        Killed in the middle it reads as not begun. Raises UserError where something else has a name of the run's.
        """
        self.check_kinds()
        contents.remove_run(self.directory)

    def begin_anew(self) -> None:
        """Remove what the run wrote but for Hydra's files and, until it is written again, its record.

        Raises UserError where something else has a name of the run's.
        """
        self.check_kinds()
        contents.remove_run(self.directory, keep=(contents.HYDRA, RECORD))

    def check_kinds(self) -> None:
        """Raise UserError where something that is no regular file has the name of one that a run writes."""
        if other := contents.in_the_way(self.directory):
            kind = "a link" if other.is_symlink() else "a directory" if other.is_dir() else "not a regular file"
            raise UserError(f"{other} is {kind}, so no run wrote it and none replaces it: move it away")

    def check_place(self, of_sweep: bool = False) -> None:
        """Raise UserError where the run would begin among files that no run of neuronsweep wrote.

        Args:
            of_sweep: the directory is one of a sweep's, which has given it to the run: what else lies there stays
                there, and only results that are nobody's are in the way.
        """
        self.check_kinds()
        if self.is_run():
            return
        if of_sweep and any((self.directory / name).exists() for name in (STATUS, RECORD, contents.HYDRA)):
            return  # in a directory that a sweep has given, what is there is a run's, if a power failure has cut it
        results = [name for name in contents.CAME_TO if contents.has_content(self.directory / name)]
        # others' events that are not named as a run's are not in its way
        events = sorted(path.name for path in self.directory.glob(f"{EVENTS}*") if contents.is_ours(path))
        found = [*results, *events] if of_sweep else list(contents.others(self.directory))
        if found:
            raise UserError(
                f"cannot use {self.directory} as output directory: it contains {found[0]}, which no run of "
                "neuronsweep wrote; choose a directory that is new or empty"
            )

    def _write_patch(self, patch: str) -> None:
        """Write record.patch; the runs of a sweep have one file, and each a link to it."""
        sweep = self.directory.parent
        if (sweep / SWEEP).exists():
            files.write_shared(self.directory / PATCH, patch, sweep / PATCH)
        else:
            files.write(self.directory / PATCH, patch)

    def _write_status(self, value: dict[str, Any]) -> None:
        files.write_json(self.directory / STATUS, {**value, "seal": _seal(value)})


def history_text(history: History) -> str:
    """The text of history.csv: epoch, then the metric names, one row a log point."""
    names = list(history[0][1]) if history else []
    return files.as_csv(["epoch", *names], ({"epoch": epoch, **row} for epoch, row in history))


def _owner(engine: str, fingerprint: str) -> dict[str, Any]:
    return {"host": _host(), "pid": os.getpid(), "engine": engine, "fingerprint": fingerprint}


@cache
def _host() -> str:
    return socket.gethostname()


def _seal(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def now() -> str:
    """The time as a status has it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
