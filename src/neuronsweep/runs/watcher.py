"""How far a run or sweep is, read from its directory alone: by whoever sees it, whoever trains it, wherever."""

import contextlib
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from neuronsweep.config.metric_names import mode_of
from neuronsweep.errors import UserError
from neuronsweep.runs import contents, files, lock
from neuronsweep.runs.progress import InTraining, Progress
from neuronsweep.runs.run import COMPLETE, DAMAGED, FAILED, RUNNING, Run
from neuronsweep.runs.sweep import numbers, read_description, run_directory, run_numbers

# So many of the last runs that ended say how fast a sweep is.
LATEST = 200
# An epoch of a history is found in so many bytes at its end.
TAIL = 4096


@dataclass
class _Ended:
    state: str
    ended: float
    epochs: int
    value: float | None
    error: str


@dataclass
class Watcher:
    """Looks at a directory again and again; runs that have ended are read once.

    Raises UserError for a directory that holds neither a run nor a sweep.
    """

    directory: Path
    _known: dict[int, _Ended] = field(default_factory=dict)
    _swept: Sequence[str] = ()
    _begun: dict[int, tuple[list[str], int]] = field(default_factory=dict)

    def look(self) -> Progress:
        """How far it is now."""
        if (self.directory / contents.SWEEP).exists():
            return self._sweep()
        if not Run(self.directory).has_begun:
            raise UserError(
                f"{self.directory} is neither a run nor a sweep directory: it has no {contents.STATUS} and no "
                f"{contents.SWEEP}"
            )
        return self._run()

    def _sweep(self) -> Progress:
        description = read_description(self.directory)
        self._swept = description["swept"]
        jobs: list[list[str]] | None = description.get("jobs")
        goal = description["objective"]
        metric, mode = goal["metric"], mode_of(goal["metric"]) or goal["mode"]
        own = numbers(description)  # of a shard not all
        total = len(own)
        owner, killed = self._owner()
        training: dict[int, InTraining] = {}
        begun = [number for number, _ in run_numbers(self.directory) if number in own]
        for number in begun:
            if number not in self._known and (found := self._read(number, metric)):
                training[number] = found
        for number in self._known.keys() - set(begun):  # begun anew
            del self._known[number]
        ended = {number: one for number, one in self._known.items() if number not in training}
        states = Counter(one.state for one in ended.values())
        states[RUNNING] = len(training)
        horizon = min(training, default=max(begun, default=-1) + 1)
        without = len(set(range(horizon)) - set(begun)) if jobs is None else 0
        over = description.get("state", RUNNING) != RUNNING and not owner
        if over and jobs is None:
            without = total - len(begun)
        rate = _rate([one.ended for one in ended.values()], description.get("begun"))
        left = total - len(ended) - without - sum(run.share for run in training.values())
        return Progress(
            directory=self.directory,
            kind="search" if jobs is None else "sweep",
            owner=owner,
            killed=killed,
            state=description.get("state", RUNNING),
            runs=total,
            states=states,
            without_run=without,
            epochs=sum(one.epochs for one in ended.values()) + sum(run.epoch for run in training.values()),
            metric=metric,
            best=self._best(ended, jobs, mode),
            per_second=rate if owner or over else None,
            seconds_left=_left(left, rate, list(training.values())) if owner and not over and left > 0 else None,
            training=[training[number] for number in sorted(training)],
            failures=[
                (self._name(number, jobs), one.error)
                for number, one in sorted(ended.items(), key=lambda item: -item[1].ended)
                if one.state in (FAILED, DAMAGED)
            ],
        )

    def _run(self) -> Progress:
        config = Run(self.directory).record()["config"]
        metric = config["objective"]["metric"]
        run = self._read(0, metric)
        known = self._known.get(0)
        owner, killed = self._owner()
        state = known.state if known else RUNNING
        return Progress(
            directory=self.directory,
            kind="run",
            owner=owner,
            killed=killed,
            state=state,
            runs=1,
            states={state: 1},
            without_run=0,
            epochs=run.epoch if run else known.epochs if known else 0,
            metric=metric,
            best=(known.value, "at the end") if known and known.value is not None else None,
            per_second=None,
            seconds_left=run.seconds_left if run and owner else None,
            training=[run] if run else [],
            failures=[("the run", known.error)] if known and known.state == FAILED else [],
        )

    def _owner(self) -> tuple[str | None, bool]:
        """Who trains, and whether the last owner was killed: one that ends by itself removes its lock."""
        owner = lock.owner(self.directory)
        return owner, owner is None and contents.is_file(self.directory / contents.LOCK)

    def _read(self, number: int, metric: str) -> InTraining | None:
        """A run that has not ended; one that has is known from now on."""
        run = self._place(number)
        try:
            status = Run(run).status()
            if status["state"] == RUNNING:
                return self._in_training(number, status, metric)
            complete = status["state"] == COMPLETE
            value = files.read_json(run / contents.METRICS).get(metric) if complete else None
            error = (status["error"] or "").strip().splitlines()[-1:]
            at = datetime.fromisoformat(status["ended"]).timestamp()
            self._known[number] = _Ended(status["state"], at, _last_epoch(run), value, "".join(error).strip())
        except UserError as error:
            if Run(run).has_begun:  # else it is begun anew just now
                self._known[number] = _Ended(DAMAGED, 0.0, 0, None, str(error))
        return None

    def _in_training(self, number: int, status: Mapping[str, Any], metric: str) -> InTraining:
        run = self._place(number)
        if number not in self._begun:
            record = Run(run).record()
            self._begun[number] = record["overrides"], record["config"]["epochs"]
        words, epochs = self._begun[number]
        epoch, row = 0, dict[str, float]()
        with contextlib.suppress(OSError, ValueError, LookupError):  # none yet
            epoch, row = Run(run).history()[-1]
        process = status["host"], status["pid"]
        return InTraining(self._named(number, words), epoch, epochs, row.get(metric), status["seconds"], process)

    def _place(self, number: int) -> Path:
        of_sweep = (self.directory / contents.SWEEP).exists()
        return run_directory(self.directory, number) if of_sweep else self.directory

    def _name(self, number: int, jobs: Sequence[Sequence[str]] | None) -> str:
        try:
            words = jobs[number] if jobs is not None else Run(self._place(number)).record()["overrides"]
        except UserError:
            words = []
        return self._named(number, words)

    def _named(self, number: int, words: Sequence[str]) -> str:
        varied = [word for word in words if word.lstrip("+").partition("=")[0] in self._swept]
        return " ".join([f"#{number}", *varied])

    def _best(
        self, ended: Mapping[int, _Ended], jobs: Sequence[Sequence[str]] | None, mode: str
    ) -> tuple[float, str] | None:
        values = {number: one.value for number, one in ended.items() if one.value is not None}
        if not values:
            return None
        sign = -1 if mode == "max" else 1
        number = min(values, key=lambda number: (sign * values[number], number))
        return values[number], self._name(number, jobs)


def _rate(ended: Sequence[float], begun: str | None) -> float | None:
    """Runs a second: of the latest that ended since the command began, which may have gone on after a pause."""
    start = datetime.fromisoformat(begun).timestamp() if begun else min(ended, default=0.0)
    times = sorted(at for at in ended if at >= start)
    if not times:
        return None
    latest = times[-LATEST:]
    since = times[-LATEST - 1] if len(times) > LATEST else start
    seconds = max(time.time(), times[-1]) - since
    return len(latest) / seconds if seconds > 0 else None


def _left(runs: float, rate: float | None, training: Sequence[InTraining]) -> float | None:
    """Seconds until so many runs have ended; before the first has ended what those in training say of themselves."""
    if rate:
        return runs / rate
    told = [run.seconds / run.share for run in training if run.share]
    return sum(told) / len(told) * runs / len(training) if told else None


def _last_epoch(run: Path) -> int:
    """The last log epoch of a run's history, 0 where it has none."""
    try:
        with (run / contents.HISTORY).open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - TAIL))
            return int(file.read().rstrip().rpartition(b"\n")[2].partition(b",")[0])
    except (OSError, ValueError):
        return 0
