"""What a worker process does: it trains populations, one after the other, writes their runs and reports.

It has one thread, so that a member's bits do not depend on how many workers there are.
"""

import os
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from neuronsweep import stopping
from neuronsweep.errors import Diverged, Unwritable, WorkerError
from neuronsweep.population.engine import Interrupted, Metrics, Result, refused, train
from neuronsweep.sweeps import ledger
from neuronsweep.sweeps.member_run import MemberRun

# Messages of one population's progress are not sent more often than this.
SECONDS_BETWEEN_NEWS = 0.2


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


def work(
    populations: Sequence[Population],
    device: str,
    snapshot_seconds: float,
    metric: str | None,
    connection: Connection,
    stop: Any,
    parent: int,
) -> None:
    """Train populations until there is none left, ``stop`` is set or the parent is dead.

    Args:
        device: where to train.
        metric: what a pruner is told at every log epoch, None where there is none.
        connection: takes the messages above; answers Done with the index of a population, and Waits with run numbers.
        stop: an event; whoever is interrupted by it leaves a snapshot.
        parent: its process id.
    """
    stopping.leave_to_parent()  # which tells the workers by ``stop``
    torch.set_num_threads(1)

    def should_stop() -> bool:
        return stop.is_set() or os.getppid() != parent

    while not should_stop():
        try:
            connection.send(Done())
            index = _receive(connection, should_stop)
            if index is None:
                return
            train_begun = partial(
                _train_begun,
                index=index,
                device=device,
                snapshot_seconds=snapshot_seconds,
                metric=metric,
                connection=connection,
                should_stop=should_stop,
            )
            _train(populations[index], train_begun)
        except (Interrupted, BrokenPipeError, EOFError):
            return
        except Unwritable as error:
            connection.send(Broken(str(error)))
            return
        except OSError as error:
            connection.send(Broken(f"{error.filename or populations[index].snapshot}: {error.strerror}"))
            return


def _receive(connection: Connection, should_stop: Callable[[], bool]) -> Any:
    """The parent's answer. Raises Interrupted when there will be none: a forked pipe does not tell that it is dead."""
    while not connection.poll(SECONDS_BETWEEN_NEWS):
        if should_stop():
            raise Interrupted("stopped while waiting")
    return connection.recv()


def _train(population: Population, train_begun: Callable[[Population], set[int]]) -> None:
    for run in population.runs:
        if not run.before:
            run.begin()
    wrong = train_begun(population)
    if wrong:  # as each would be alone; the others begin again without them
        rest = [run for i, run in enumerate(population.runs) if i not in wrong]
        train_begun(Population(rest, population.snapshot))


def _train_begun(
    population: Population,
    index: int,
    device: str,
    snapshot_seconds: float,
    metric: str | None,
    connection: Connection,
    should_stop: Callable[[], bool],
) -> set[int]:
    """Train runs that have begun; returns those (by position) for which it could not begin, where others can."""
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
            fail(runs[i], trace)
            connection.send(Ended(runs[i].number, None, trace))

    members = [run.member for run in runs]
    try:
        train(
            members,
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
        wrong = refused(members, device) if not ended else {}
        for i, run in enumerate(runs):
            if i not in ended and not run.before and (i in wrong or not wrong):
                trace = "".join(traceback.format_exception(wrong[i])) if wrong else error
                fail(run, trace)
                connection.send(Ended(run.number, None, trace))
        return set(wrong) if len(wrong) < len(runs) else set()
    return set()


def fail(run: MemberRun, error: str) -> None:
    """Mark a run as FAILED as far as its directory can still be written."""
    if (run.directory / ledger.STATUS).exists() and ledger.status(run.directory)["state"] == ledger.RUNNING:
        ledger.end(run.directory, ledger.FAILED, 0.0, error)
