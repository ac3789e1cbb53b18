"""Worker processes that train populations: one thread each, so that a member's bits do not depend on their number."""

import contextlib
import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch

from neuronsweep.errors import Diverged, Unwritable, WorkerError
from neuronsweep.population.engine import Interrupted, Metrics, Result, train
from neuronsweep.sweeps import ledger, lock
from neuronsweep.sweeps.member_run import MemberRun
from neuronsweep.sweeps.rounds import Rounds

# Messages of one population's progress are not sent more often than this.
SECONDS_BETWEEN_NEWS = 0.2
# How long a worker that was asked to stop may take to write its snapshot.
SECONDS_TO_STOP = 4.0


@dataclass(frozen=True)
class Logged:
    """A population has reached an epoch; ``objectives`` are its members' latest."""

    population: int
    epoch: int
    objectives: list[float]


@dataclass(frozen=True)
class Waits:
    """A population waits after an epoch until it is told which of its runs to stop; ``values`` are for the pruner."""

    population: int
    epoch: int
    values: dict[int, float]


@dataclass(frozen=True)
class Ended:
    """A member's run has ended: with an objective, with an error, or with neither, because it was PRUNED."""

    number: int
    objective: float | None
    error: str | None = None
    diverged: bool = False

    def exception(self) -> Exception:
        return (Diverged if self.diverged else WorkerError)(self.error)


@dataclass(frozen=True)
class Done:
    """A worker asks for its next population."""


@dataclass(frozen=True)
class Broken:
    """A worker cannot write its files, and has ended."""

    error: str


Message = Logged | Ended


@dataclass(frozen=True)
class Population:
    """Runs that are trained together, and the file from which that goes on."""

    runs: Sequence[MemberRun]
    snapshot: Path


def train_populations(
    populations: Sequence[Population], devices: Sequence[str], snapshot_seconds: float, rounds: Rounds | None = None
) -> Iterator[Message]:
    """Train populations in one process a device and yield what they report; the workers write the run directories.

    A worker that dies takes the unfinished runs of its population with it, as FAILED, and no other. When the caller
    is interrupted the workers write snapshots and end.

    With ``rounds`` a pruner is asked at every log epoch. Then all populations are in training at the same time, in a
    process each, and there may be more of these than devices.
    """
    if rounds:
        devices = [devices[i % len(devices)] for i in range(len(populations))]
    metric = rounds.pruning.metric if rounds else None
    context = multiprocessing.get_context("fork")
    stop = context.Event()
    workers: dict[Connection, Worker] = {}
    waiting = list(range(len(populations)))
    for device in devices[: len(populations)]:
        here, there = context.Pipe()
        arguments = (populations, device, snapshot_seconds, metric, there, stop, os.getpid())
        process = context.Process(target=_work, args=arguments, daemon=True)
        process.start()
        there.close()
        workers[here] = Worker(process)

    def go_on(decided: Iterator[tuple[int, list[int]]]) -> None:
        for index, stopped in decided:
            for connection, worker in workers.items():
                if worker.population == index:
                    with contextlib.suppress(BrokenPipeError):  # it died: that is heard next
                        connection.send(stopped)

    try:
        while workers:
            lock.beat()
            for connection in wait(list(workers), timeout=lock.SECONDS_BETWEEN_BEATS):
                assert isinstance(connection, Connection)
                worker = workers[connection]
                try:
                    message = connection.recv()
                except EOFError:
                    worker.process.join()
                    del workers[connection]
                    yield from worker.abandon(populations)
                    if rounds and worker.population is not None:
                        go_on(rounds.finish(worker.population))
                    continue
                if isinstance(message, Waits):
                    assert rounds
                    go_on(rounds.reach(message.population, message.epoch, message.values))
                    continue
                if isinstance(message, Done):
                    if rounds and worker.population is not None:
                        go_on(rounds.finish(worker.population))
                    worker.population = waiting.pop(0) if waiting else None
                    connection.send(worker.population)
                    continue
                if isinstance(message, Broken):
                    raise Unwritable(message.error)
                if isinstance(message, Ended):
                    worker.ended.add(message.number)
                yield message
    finally:
        stop.set()
        for worker in workers.values():
            worker.process.join(SECONDS_TO_STOP)
            worker.process.kill()


class Worker:
    """What the parent knows of a worker process."""

    def __init__(self, process: BaseProcess):
        self.process = process
        self.population: int | None = None
        self.ended: set[int] = set()

    def abandon(self, populations: Sequence[Population]) -> Iterator[Ended]:
        """End the runs that a worker left behind when it died."""
        if self.population is None:
            return
        error = f"the worker process died with exit status {self.process.exitcode}"
        for run in populations[self.population].runs:
            if run.before or run.number in self.ended:
                continue
            objective = run.objective()
            if objective is None:  # else it had written all, and died before it could say so
                _fail(run, error)
            yield Ended(run.number, objective, None if objective is not None else error)


def _work(
    populations: Sequence[Population],
    device: str,
    snapshot_seconds: float,
    metric: str | None,
    connection: Connection,
    stop: Any,
    parent: int,
) -> None:
    # Ctrl-C reaches all processes of the terminal: the parent decides, and tells the workers by ``stop``
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    torch.set_num_threads(1)

    def should_stop() -> bool:
        return stop.is_set() or os.getppid() != parent

    while not should_stop():
        try:
            connection.send(Done())
            index = _receive(connection, should_stop)
            if index is None:
                return
            _train(populations[index], index, device, snapshot_seconds, metric, connection, should_stop)
        except (Interrupted, BrokenPipeError, EOFError):
            return
        except Unwritable as error:
            connection.send(Broken(str(error)))
            return
        except OSError as error:
            connection.send(Broken(f"{error.filename or populations[index].snapshot}: {error.strerror}"))
            return


def _receive(connection: Connection, should_stop: Any) -> Any:
    """The parent's answer. Raises Interrupted when there will be none: a forked pipe does not tell that it is dead."""
    while not connection.poll(SECONDS_BETWEEN_NEWS):
        if should_stop():
            raise Interrupted("stopped while waiting")
    return connection.recv()


def _train(
    population: Population,
    index: int,
    device: str,
    snapshot_seconds: float,
    metric: str | None,
    connection: Connection,
    should_stop: Any,
) -> None:
    runs = population.runs
    start = time.monotonic()
    ended: set[int] = set()
    told = 0.0
    latest: dict[int, float] = {}

    def on_log(epoch: int, metrics: Mapping[int, Metrics]) -> list[int]:
        nonlocal told
        latest.update((i, row[runs[i].member.metric]) for i, row in metrics.items() if runs[i].member.metric in row)
        if time.monotonic() - told >= SECONDS_BETWEEN_NEWS:
            told = time.monotonic()
            connection.send(Logged(index, epoch, list(latest.values())))
        if metric is None:
            return []
        connection.send(Waits(index, epoch, {runs[i].number: row[metric] for i, row in metrics.items()}))
        # interrupted here, it leaves the snapshot of an earlier epoch, and this one's decision is made again
        stopped = set(_receive(connection, should_stop))
        return [i for i in metrics if runs[i].number in stopped]

    def on_result(i: int, result: Result) -> None:
        ended.add(i)
        if runs[i].before:
            return
        share = (time.monotonic() - start) / len(runs)
        try:
            connection.send(Ended(runs[i].number, runs[i].end(result, share)))
        except Diverged as error:
            connection.send(Ended(runs[i].number, None, str(error), diverged=True))
        except (Unwritable, OSError):
            raise
        except Exception:  # of this run alone: the others go on
            trace = traceback.format_exc()
            _fail(runs[i], trace)
            connection.send(Ended(runs[i].number, None, trace))

    try:
        for run in runs:
            if not run.before:
                run.begin()
        train(
            [run.member for run in runs],
            on_log=on_log,
            on_result=on_result,
            snapshot=population.snapshot,
            snapshot_seconds=snapshot_seconds,
            should_stop=should_stop,
            device=device,
        )
        population.snapshot.unlink(missing_ok=True)
    except (Interrupted, Unwritable, EOFError, OSError):  # OSError: a closed pipe, or a full disk below the snapshot
        raise
    except Exception:
        error = traceback.format_exc()
        for i, run in enumerate(runs):
            if i not in ended and not run.before:
                _fail(run, error)
                connection.send(Ended(run.number, None, error))


def _fail(run: MemberRun, error: str) -> None:
    """Mark a run as FAILED as far as its directory can still be written."""
    if (run.directory / ledger.STATUS).exists() and ledger.status(run.directory)["state"] == ledger.RUNNING:
        ledger.end(run.directory, ledger.FAILED, 0.0, error)
