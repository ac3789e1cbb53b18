"""How far a run or sweep is, in words."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from neuronsweep import console
from neuronsweep.runs.run import DAMAGED, FAILED, RUNNING
from neuronsweep.runs.words import resume_command

# Runs in training, and failures, that are shown one by one.
SHOWN = 8


@dataclass(frozen=True)
class InTraining:
    """A run that somebody trains, or that was interrupted: where it was when it last wrote what it had logged."""

    name: str
    epoch: int
    epochs: int
    value: float | None
    seconds: float
    process: tuple[str, int]

    @property
    def share(self) -> float:
        return min(1.0, self.epoch / self.epochs) if self.epochs else 0.0

    @property
    def seconds_left(self) -> float | None:
        return self.seconds * (1 / self.share - 1) if self.share else None

    def where(self, metric: str) -> str:
        """How far it is, and its ``metric`` there."""
        value = f"{console.GAP}{metric} {console.number(self.value)}" if self.value is not None else ""
        return f"epoch {self.epoch} of {self.epochs} ({self.share:.0%}){value}"


@dataclass(frozen=True)
class Progress:
    """What a directory says of its run or runs now.

    Attributes:
        owner: who trains it, in words, or None.
        killed: nobody trains it, and its last owner had no time to say goodbye.
        state: RUNNING, COMPLETE, FAILED, PRUNED.
        runs: how many there are when all have ended.
        states: how many runs are in which state; RUNNING ones of a directory that nobody trains were interrupted.
        without_run: trials of a search that need no run: they are like an earlier one, or not allowed.
        best: value and run of the best objective so far.
        per_second: runs that ended, lately.
        seconds_left: None where nothing tells.
        failures: run and error of those that FAILED or are DAMAGED, the latest first.
    """

    directory: Path
    kind: str
    owner: str | None
    killed: bool
    state: str
    runs: int
    states: Mapping[str, int]
    without_run: int
    epochs: int
    metric: str
    best: tuple[float, str] | None
    per_second: float | None
    seconds_left: float | None
    training: Sequence[InTraining]
    failures: Sequence[tuple[str, str]]

    @property
    def ended(self) -> int:
        return sum(self.states.values()) - self.states.get(RUNNING, 0) + self.without_run

    def line(self) -> str:
        """All of it in one line."""
        if self.kind == "run":
            parts = [run.where(self.metric) for run in self.training] or [self.state]
        else:
            parts = [f"{self.ended}/{self.runs} {self._runs}"]
            failed = self.states.get(FAILED, 0) + self.states.get(DAMAGED, 0)
            parts += [f"{failed} failed"] if failed else []
            parts += [f"best {self.metric} {console.number(self.best[0])} ({self.best[1]})"] if self.best else []
            parts += [f"{self.per_second:.3g} {self._runs}/s"] if self.per_second else []
        parts += [f"{console.duration(self.seconds_left)} left"] if self.seconds_left is not None else []
        return console.GAP.join(map(console.printable, parts))

    def lines(self) -> list[str]:
        """All of it, a line a subject."""
        return [console.printable(line) for line in self._lines()]

    def _lines(self) -> Iterator[str]:
        yield f"{self.kind} {console.directory_name(self.directory)}: {self._how_it_is()}"
        if self.owner:
            yield f"trained by {self.owner}"
        training = "in training" if self.owner else "interrupted"
        if self.kind != "run":
            named = {**self.states, training: self.states.get(RUNNING, 0)}
            named.pop(RUNNING, None)
            counts = [f"{count} {state}" for state, count in sorted(named.items()) if count]
            counts += [f"{self.without_run} without a run of their own"] if self.without_run else []
            to_come = self.runs - sum(self.states.values()) - self.without_run
            counts += [f"{to_come} to come"] if to_come > 0 else []
            yield f"{self.ended} of {self.runs} {self._runs} ended: {', '.join(counts)}"
        yield f"epochs done: {self.epochs:,}"
        speed = [f"{self.per_second:.3g} {self._runs} a second"] if self.per_second else []
        left = [f"about {console.duration(self.seconds_left)} left"] if self.seconds_left is not None else []
        if speed or left:
            yield ", ".join([*speed, *left])
        if self.best:
            yield f"best {self.metric} so far: {console.number(self.best[0])}, {self.best[1]}"
        for run in self.training[:SHOWN]:
            name = "" if self.kind == "run" else f" {run.name}"
            yield f"{training}:{name}{console.GAP}{run.where(self.metric)}"
        if len(self.training) > SHOWN:
            yield f"... and {len(self.training) - SHOWN} more {training}"
        for name, error in self.failures[:SHOWN]:
            yield f"failed: {name}: {error}"
        if len(self.failures) > SHOWN:
            yield f"... and {len(self.failures) - SHOWN} more failed"

    @property
    def _runs(self) -> str:
        return "trials" if self.kind == "search" else "runs"

    def _how_it_is(self) -> str:
        if self.owner:
            processes = len({run.process for run in self.training})
            machines = len({run.process[0] for run in self.training})
            several = f" in {processes} processes" if processes > 1 else ""
            several += f" on {machines} machines" if machines > 1 else ""
            if self.kind != "run" and self.ended == self.runs:
                return "all runs have ended, pictures and report are being made"
            return f"in training{several}"
        if self.state != RUNNING:
            return self.state
        how = "was killed" if self.killed else "was stopped"
        return f"{how}, nobody trains it; continue with: {resume_command(self.directory)}"
