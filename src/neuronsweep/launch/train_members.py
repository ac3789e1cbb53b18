"""Trains the members of a sweep in threads of this process, and writes their run directories.

Native code lets go of Python's lock, so that one thread trains while another writes results. A member that takes long
writes the snapshot from which it continues into its own run directory.
"""

import contextlib
import ctypes
import os
import queue
import statistics
import traceback
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TypeVar

import torch

from neuronsweep.data.dataset import Dataset
from neuronsweep.engine.train import Samples
from neuronsweep.errors import TookTooLong, Unwritable
from neuronsweep.launch.member_run import MemberRun
from neuronsweep.launch.pruning import Prunes
from neuronsweep.launch.trainee import Ended, Interrupted, Message, Trainee, fail
from neuronsweep.runs import lock

Reports = Sequence[tuple[int, float]]
T = TypeVar("T")


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


class Crew:
    """Threads that train members side by side.

    Args:
        threads: how many.
        snapshot_seconds: how often a member writes its snapshot.
    """

    def __init__(self, threads: int, snapshot_seconds: float):
        self.threads, self.snapshot_seconds = threads, snapshot_seconds
        self.stop = ctypes.c_int32(0)
        self.news: queue.SimpleQueue[Message | BaseException | None] = queue.SimpleQueue()

    def train(self, runs: Sequence[MemberRun]) -> Generator[Message, None, None]:
        """Train every run to its end; yields what happens. Interrupted, every member writes its snapshot.

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
