"""One member's run in training: from the making of its directory, or from where it was left, to its results."""

import ctypes
import io
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from neuronsweep import console
from neuronsweep.engine.train import Samples, Training
from neuronsweep.errors import Diverged, TookTooLong, WorkerError
from neuronsweep.launch.member_run import MemberRun
from neuronsweep.models.checkpoint import readable
from neuronsweep.runs import contents, files
from neuronsweep.runs.run import FAILED, RUNNING, Run

# Seconds that a member is trained for at most before somebody looks at the clock, the disk and the bar.
SLICE = 0.5


@dataclass(frozen=True)
class Advanced:
    """A member has reached an epoch; ``objective`` is its latest."""

    number: int
    epoch: int
    objective: float | None


@dataclass(frozen=True)
class Ended:
    """A member's run has ended: with an objective, with an error, or with neither, because it was PRUNED."""

    number: int
    objective: float | None
    error: str | None = None
    diverged: bool = False

    def result(self) -> float | None:
        """What the run's job returns. Raises what it failed with."""
        if self.error is not None:
            raise (Diverged if self.diverged else WorkerError)(self.error)
        return self.objective


Message = Advanced | Ended


class Interrupted(Exception):
    """Training was asked to stop; what it goes on from is written."""


class Trainee:
    """A run in training, from the making of its directory to its results.

    Args:
        samples: of its data set, shared with others.
        stop: not 0 when all training shall stop.
        snapshot_seconds: how often what it goes on from is written.
    """

    def __init__(self, run: MemberRun, samples: Samples, stop: ctypes.c_int32, snapshot_seconds: float):
        self.run, self.stop, self.snapshot_seconds = run, stop, snapshot_seconds
        # a short run is written when it ends, all at once
        self.announced, self.earlier = Run(run.directory).has_begun, 0.0
        self.training = Training(run.member, samples)
        self.trained = 0.0
        self.saved = time.monotonic()
        self.reported = 0  # log points that a pruner knows
        if self.announced:
            run.begin()
            self.earlier = Run(run.directory).status()["seconds"]
            self._go_on()

    @property
    def number(self) -> int:
        return self.run.number

    def advance(self, log_point: bool = False) -> Iterator[Advanced]:
        """Train to the end, or to the next log point; yields where it is about twice a second.

        Raises Interrupted when asked to stop, TookTooLong beyond the run's time limit.
        """
        logged = self.training.count("logged")
        while not self.training.over:
            start = time.monotonic()
            self.training.advance(self.stop, SLICE, log_point)
            self.trained += time.monotonic() - start
            if self.stop.value and not self.training.over:
                self.save()
                raise Interrupted(f"stopped after epoch {self.training.count('epoch')}")
            limit = self.run.member.time_limit
            if limit is not None and self.seconds > limit:
                raise TookTooLong(f"it took longer than time_limit={limit:g} seconds")
            if time.monotonic() - self.saved >= self.snapshot_seconds and not self.training.over:
                self.save()
            if log_point and self.training.count("logged") > logged:
                return
            if not self.training.over:
                self.announce()
            yield self.where()

    @property
    def seconds(self) -> float:
        """Seconds of training, those of earlier tries included."""
        return self.earlier + self.trained

    @property
    def is_finished(self) -> bool:
        """Whether it is trained to its end and all of its log points are reported."""
        return self.training.over and self.reported == self.training.count("logged")

    def where(self) -> Advanced:
        """How far it is."""
        logged = self.training.count("logged")
        row = self.training.log_point(logged - 1)[1] if logged else {}
        return Advanced(self.number, self.training.count("epoch"), row.get(self.run.member.metric))

    def announce(self) -> None:
        """Let those who look at its directory know that a run which takes longer is RUNNING."""
        if not self.announced:
            self.run.begin()
            self.announced = True

    def save(self) -> None:
        """Write what training goes on from, and what was logged so far, for whoever looks in from outside."""
        self.announce()
        content = io.BytesIO()
        torch.save(self.training.snapshot(), content)
        files.write(self.run.directory / contents.CHECKPOINT, content.getvalue())
        Run(self.run.directory).write_history(self.training.history)
        Run(self.run.directory).update(seconds=round(self.seconds, 3))
        self.saved = time.monotonic()

    def end(self, pruned: bool = False) -> Ended:
        """Write the results of a run that has been trained."""
        try:
            return Ended(self.number, self.run.end(self.training.result(pruned), self.seconds))
        except Diverged as error:
            return Ended(self.number, None, str(error), diverged=True)

    def _go_on(self) -> None:
        path = self.run.directory / contents.CHECKPOINT
        if not path.exists():
            return
        try:
            if not readable(path):
                raise ValueError("damaged")
            self.training.load(torch.load(path, weights_only=True))
        except (ValueError, AttributeError):  # AttributeError: what is not a snapshot at all
            console.say(f"{path} is damaged or of another run: the run starts again from the beginning")
            contents.remove(path)


def fail(run: MemberRun, error: str) -> None:
    """Mark a run as FAILED as far as its directory can still be written."""
    if not Run(run.directory).has_begun:
        run.begin()
    if Run(run.directory).status()["state"] == RUNNING:
        Run(run.directory).end(FAILED, 0.0, error)
