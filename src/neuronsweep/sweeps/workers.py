"""Has populations trained by worker processes, hears what they report, and ends the runs of one that dies."""

import contextlib
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from neuronsweep.errors import Unwritable
from neuronsweep.sweeps import lock
from neuronsweep.sweeps.rounds import Rounds
from neuronsweep.sweeps.worker_process import Broken, Done, Ended, Message, Population, Waits, fail, work

# How long a worker that was asked to stop may take to write its snapshot.
SECONDS_TO_STOP = 4.0


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
        process = context.Process(target=work, args=arguments, daemon=True)
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
                fail(run, error)
            yield Ended(run.number, objective, None if objective is not None else error)
