"""Trains the members of a sweep in threads of this process, each member by itself, and writes their runs.

Native code lets go of Python's lock, so that one thread trains while another writes results. A member that takes long
writes what it goes on from into its own run directory.
"""

import contextlib
import ctypes
import io
import os
import queue
import statistics
import time
import traceback
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import TypeVar

import torch

from neuronsweep import console
from neuronsweep.data.dataset import Dataset
from neuronsweep.engine.train import Samples, Training
from neuronsweep.errors import Diverged, TookTooLong, Unwritable, WorkerError
from neuronsweep.launch.member_run import MemberRun
from neuronsweep.launch.pruning import Prunes
from neuronsweep.models.checkpoint import readable
from neuronsweep.runs import contents, files, lock
from neuronsweep.runs.run import FAILED, RUNNING, Run

# Seconds that a member is trained for at most before somebody looks at the clock, the disk and the bar.
SLICE = 0.5
Reports = Sequence[tuple[int, float]]
T = TypeVar("T")


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

    def exception(self) -> Exception:
        """What the run's job raises."""
        return (Diverged if self.diverged else WorkerError)(self.error)


Message = Advanced | Ended


class Interrupted(Exception):
    """Training was asked to stop; what it goes on from is written."""


class SharedSamples:
    """The samples of each data set in each precision, made once for all threads."""

    def __init__(self) -> None:
        self.made: dict[tuple[str, torch.dtype], Samples] = {}
        self.lock = Lock()

    def __call__(self, dataset: Dataset, dtype: torch.dtype) -> Samples:
        with self.lock:
            key = dataset.digest, dtype
            if key not in self.made:
                self.made[key] = Samples(dataset, dtype)
            return self.made[key]


class Trainee:
    """A run in training, from the making of its directory to its results.

    Args:
        samples: of its data set, shared with others.
        stop: not 0 when all training shall stop.
        snapshot_seconds: how often what it goes on from is written.
    """

    def __init__(self, run: MemberRun, samples: Samples, stop: ctypes.c_int32, snapshot_seconds: float):
        self.run, self.stop, self.snapshot_seconds = run, stop, snapshot_seconds
        run.begin()
        self.training = Training(run.member, samples)
        self.earlier = Run(run.directory).status()["seconds"]
        self.trained = 0.0
        self.saved = time.monotonic()
        self.reported = 0  # log points that a pruner knows
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

    def save(self) -> None:
        """Write what training goes on from, and what was logged so far, for whoever looks in from outside."""
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
            console.say(f"{path} is damaged or of another run: the run begins anew")
            contents.remove(path)


class Crew:
    """Threads that train members side by side.

    Args:
        threads: how many.
        snapshot_seconds: how often a member writes what it goes on from.
    """

    def __init__(self, threads: int, snapshot_seconds: float):
        self.threads, self.snapshot_seconds = threads, snapshot_seconds
        self.stop = ctypes.c_int32(0)
        self.news: queue.SimpleQueue[Message | BaseException | None] = queue.SimpleQueue()

    def train(self, runs: Sequence[MemberRun]) -> Generator[Message, None, None]:
        """Train every run to its end; yields what happens. Interrupted, every member saves what it goes on from.

        Raises Unwritable where results cannot be written.
        """
        samples = SharedSamples()
        waiting = iter(runs)

        def work() -> None:
            torch.set_num_threads(1)  # OpenMP counts for each thread that calls it
            try:
                while not self.stop.value and (run := next(waiting, None)):
                    self._to_the_end(run, samples)
            except BaseException as error:
                self.news.put(error)
            self.news.put(None)

        with self._pool() as pool:
            for _ in range(self.threads):
                pool.submit(work)
            yield from self._listen(self.threads)

    def train_in_rounds(
        self, runs: Sequence[MemberRun], pruning: Prunes, past: Mapping[int, Reports]
    ) -> Generator[Message, None, None]:
        """Train runs log point by log point together and ask a pruner, in the order of epochs and run numbers.

        So what is pruned depends neither on who is faster nor on restarts.

        Args:
            past: (epoch, value) of runs that ended in an earlier try: reported again, for the pruner to compare with.
        """
        samples = SharedSamples()
        reports = sorted((epoch, number, value) for number, rows in past.items() for epoch, value in rows)
        trainees: list[Trainee] = []
        try:
            with self._pool() as pool:
                try:
                    begun = list(pool.map(lambda run: self._guarded(run, lambda: self._trainee(run, samples)), runs))
                    trainees = [one for one in begun if isinstance(one, Trainee)]
                    yield from (one for one in begun if isinstance(one, Ended))
                    while trainees:
                        lock.beat()
                        ended = self._round_of_all(trainees, pool, pruning, reports)
                        trainees = [one for one in trainees if one.number not in ended]
                        yield from ended.values()
                        yield from (one.where() for one in trainees)
                except BaseException:
                    self.stop.value = 1  # the pool waits for its threads, which look at this
                    raise
        except BaseException:
            with contextlib.suppress(Unwritable):
                for one in trainees:
                    one.save()
            raise
        _report(pruning, reports)

    def _round_of_all(
        self,
        trainees: Sequence[Trainee],
        pool: ThreadPoolExecutor,
        pruning: Prunes,
        reports: list[tuple[int, int, float]],
    ) -> dict[int, Ended]:
        """Train to the earliest log epoch that is not reported yet, report it, and end who is stopped or done.

        Reports of the past up to that epoch are made in their places and taken out of ``reports``.
        """
        epoch = min(map(_next_epoch, trainees))
        due = [one for one in trainees if _next_epoch(one) == epoch]
        ended = {one.number: end for one, end in zip(due, pool.map(self._round, due), strict=True) if end}
        logged = [one for one in due if one.number not in ended]
        now = [(epoch, one.number, _value(one, pruning.metric)) for one in logged]
        earlier = [report for report in reports if report[0] <= epoch]
        del reports[: len(earlier)]
        stopped = _report(pruning, earlier + now)
        for one in logged:
            one.reported += 1
        over = [one for one in logged if one.number // pruning.replicates in stopped or one.is_finished]
        calls = [self._end_of(one, pruned=not one.training.over) for one in over]
        return ended | {end.number: end for end in pool.map(lambda call: call(), calls)}

    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.threads, initializer=torch.set_num_threads, initargs=(1,))

    def _listen(self, workers: int) -> Iterator[Message]:
        wrong: BaseException | None = None
        try:
            while workers:
                lock.beat()
                try:
                    message = self.news.get(timeout=lock.SECONDS_BETWEEN_BEATS)
                except queue.Empty:
                    continue
                if message is None:
                    workers -= 1
                elif isinstance(message, BaseException):
                    self.stop.value = 1
                    wrong = wrong or message
                else:
                    yield message
        finally:
            self.stop.value = 1  # whoever leaves early lets the members save and end
        if wrong and not isinstance(wrong, Interrupted):
            raise wrong

    def _trainee(self, run: MemberRun, samples: "SharedSamples") -> Trainee:
        return Trainee(run, samples(run.member.dataset, run.member.dtype), self.stop, self.snapshot_seconds)

    def _to_the_end(self, run: MemberRun, samples: "SharedSamples") -> None:
        def whole() -> Ended:
            trainee = self._trainee(run, samples)
            for message in trainee.advance():
                self.news.put(message)
            return trainee.end()

        self.news.put(self._guarded(run, whole))

    def _round(self, trainee: Trainee) -> Ended | None:
        """Train one member to the log point that is next to be reported, unless it is there; its end if it failed."""

        def one_round() -> None:
            if trainee.reported == trainee.training.count("logged"):
                for _ in trainee.advance(log_point=True):
                    pass

        end = self._guarded(trainee.run, one_round)
        if end is None and trainee.training.error:
            return self._end_of(trainee, pruned=False)()
        return end

    def _end_of(self, trainee: Trainee, pruned: bool) -> Callable[[], Ended]:
        return lambda: self._guarded(trainee.run, lambda: trainee.end(pruned))

    def _guarded(self, run: MemberRun, call: Callable[[], T]) -> T | Ended:
        """What a call returns, or the end of its run where it raises what is of this run alone."""
        try:
            return call()
        except (Interrupted, Unwritable):
            raise
        except OSError as error:
            raise Unwritable(f"{error.filename or run.directory}: {error.strerror}") from error
        except TookTooLong as error:
            fail(run, str(error))
            return Ended(run.number, None, str(error), diverged=True)
        except Exception:
            trace = traceback.format_exc()
            fail(run, trace)
            return Ended(run.number, None, trace)


def fail(run: MemberRun, error: str) -> None:
    """Mark a run as FAILED as far as its directory can still be written."""
    if Run(run.directory).has_begun and Run(run.directory).status()["state"] == RUNNING:
        Run(run.directory).end(FAILED, 0.0, error)


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _next_epoch(trainee: Trainee) -> int:
    """The next log epoch of which a pruner does not know."""
    return trainee.training.log_epochs[trainee.reported]


def _value(trainee: Trainee, metric: str) -> float:
    return trainee.training.log_point(trainee.reported)[1][metric]


def _report(pruning: Prunes, reports: Sequence[tuple[int, int, float]]) -> set[int]:
    """Report (epoch, number, value) of runs, of each trial the mean of its runs; returns the trials that shall stop."""
    of_trials: dict[tuple[int, int], list[float]] = {}
    for epoch, number, value in sorted(reports):
        of_trials.setdefault((epoch, number // pruning.replicates), []).append(value)
    means = {place: statistics.fmean(values) for place, values in of_trials.items()}
    return {trial for (epoch, trial), mean in means.items() if pruning.report(trial, epoch, mean)}
