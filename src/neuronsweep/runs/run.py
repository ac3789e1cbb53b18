"""What is kept of one run: its states, results and record, and the only code that reads and writes them."""

import csv
import hashlib
import io
import json
import os
import socket
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from neuronsweep.config import targets
from neuronsweep.errors import UserError
from neuronsweep.runs import contents, files
from neuronsweep.runs.contents import CHECKPOINT, EVENTS, FIGURE, HISTORY, METRICS, MODEL, PATCH, RECORD, STATUS
from neuronsweep.runs.files import Damaged

# Files whose digests status.json keeps, from the beginning and from the end of a run; the others are derived from them.
BEGUN, ENDED = (RECORD, PATCH), (METRICS, HISTORY, MODEL)

# Nodes of a config that a record has had from the first on.
NODES = ("data", "model", "optimizer", "scheduler", "trainer", "logger", "module")

History = Sequence[tuple[int, Mapping[str, float]]]

RUNNING, COMPLETE, FAILED, PRUNED = "RUNNING", "COMPLETE", "FAILED", "PRUNED"
# What tables show of a run whose files are not those it ended with; never written into its directory.
DAMAGED = "DAMAGED"


class Run:
    """A run directory, of a run that has begun or not. Every method looks at the files anew."""

    def __init__(self, directory: Path):
        self.directory = directory

    @property
    def has_begun(self) -> bool:
        """Whether there is a status.json, which may be damaged."""
        return (self.directory / STATUS).exists()

    def is_run(self) -> bool:
        """Whether this holds a run: its status, or the record that it was begun with, is there and is whole."""
        for read in (self.status, self.record):
            try:
                read()
            except targets.Untrusted:  # of somebody else's classes, and a record
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

    def history(self) -> list[tuple[int, dict[str, float]]]:
        """The rows of history.csv: (epoch, metrics) of every log point."""
        rows = csv.DictReader(io.StringIO((self.directory / HISTORY).read_text()))
        return [(int(row.pop("epoch")), {name: float(value) for name, value in row.items()}) for row in rows]

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

        A new run gets record.json and, where there are uncommitted changes, record.patch. A run that goes on keeps its
        own and its seconds; where it is continued from is added to ``continued`` of status.json.
        """
        self.check_place(of_sweep=True)  # for whoever has not looked before
        contents.remove_temporary(self.directory)
        now = _now()
        if self.has_begun:
            before = self.status()
            if before["state"] != RUNNING or before["fingerprint"] != fingerprint:
                raise UserError(
                    f"{self.directory} holds another run, or one that is {before['state']}: it is not overwritten"
                )
            again = {"at": now, **{key: record.get(key) for key in ("command", "git_sha", "environment")}}
            before["continued"] = [*before["continued"], again]
        else:  # also of a run whose status is lost
            contents.remove_run(self.directory, keep=(contents.HYDRA, contents.OUTPUT, RECORD))
            files.write_json(self.directory / RECORD, record)  # first, for it says that what follows is a run's
            if patch:
                files.write(self.directory / PATCH, patch)
            before = {"started": now, "seconds": 0.0, "continued": []}
        owner = {"host": socket.gethostname(), "pid": os.getpid(), "engine": engine, "fingerprint": fingerprint}
        digests = files.digests(self.directory, BEGUN)
        running = {"state": RUNNING, "ended": None, "heartbeat": now, "error": None, "files": digests}
        self._write_status({**before, **running, **owner})

    def update(self, **changes: Any) -> None:
        """Change keys of status.json and renew its heartbeat."""
        self._write_status({**self.status(), **changes, "heartbeat": _now()})

    def end(self, state: str, seconds: float, error: str | None = None) -> None:
        """Make the run COMPLETE, FAILED or PRUNED after so many seconds of training."""
        digests = files.digests(self.directory, (*BEGUN, *ENDED))
        self.update(state=state, ended=_now(), seconds=round(seconds, 3), error=error, files=digests)

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
        names = list(history[0][1]) if history else []
        rows = [{"epoch": epoch, **row} for epoch, row in history]
        files.write_csv(self.directory / HISTORY, ["epoch", *names], rows)

    def discard(self) -> None:
        """Remove what the run wrote, so that it is begun anew; what else lies in its directory stays.

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
            kind = "a link" if other.is_symlink() else "a directory" if other.is_dir() else "no regular file"
            raise UserError(f"{other} is {kind}, which no run wrote and none replaces: move it away")

    def check_place(self, of_sweep: bool = False) -> None:
        """Raise UserError where the run would begin among files that no run of neuronsweep wrote.

        Args:
            of_sweep: the directory is one of a sweep's, which has given it to the run: what else lies there stays
                there, and only results that are nobody's are in the way.
        """
        self.check_kinds()
        if self.is_run():
            return
        results = [name for name in (*contents.CAME_TO, STATUS, RECORD) if (self.directory / name).exists()]
        # others' events that are not named as a run's are not in its way
        events = sorted(path.name for path in self.directory.glob(f"{EVENTS}*") if contents.is_ours(path))
        found = [*results, *events] if of_sweep else list(contents.others(self.directory))
        if found:
            raise UserError(
                f"{self.directory} is not allowed as output directory: it holds {found[0]}, which no run of "
                "neuronsweep wrote; give it a directory of its own, which is new or empty"
            )

    def _write_status(self, value: dict[str, Any]) -> None:
        files.write_json(self.directory / STATUS, {**value, "seal": _seal(value)})


def _seal(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
