"""How many workers can share one study in PostgreSQL, measured with trials that take no time.

python benchmarks/postgres_workers.py [--workers 1 10 50 100 200] [--trials 2000] [--batch 8] [--storage URL]
python benchmarks/postgres_workers.py --quick    # that it works, in seconds: 1 and 2 workers, 16 trials

Every worker is a process with a connection of its own, as on another machine, but all of them and the server share the
cores of this one. So it shows that nothing is lost or doubled, and how many requests a server has; not how fast it is.
"""

import argparse
import multiprocessing
import os
import pwd
import resource
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from optuna.trial import TrialState

from neuronsweep.search import samplers, study
from neuronsweep.search.ask_tell import Asker
from neuronsweep.search.heartbeat import Heart
from neuronsweep.search.objectives import Goals
from neuronsweep.search.parameters import Choice, Numbers
from neuronsweep.search.space import Space
from neuronsweep.search.storage import open_storage
from neuronsweep.search.study import Outcome, Study

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))

GOALS = Goals((("val/loss", "min"),))
SPACE = Space(
    (
        Numbers("model.hidden", 2, 64, 1, True, True),
        Numbers("optimizer.lr", 1e-4, 1e-1, None, True, False),
        Choice("model.act", ("relu", "tanh"), ("relu", "tanh")),
    ),
    None,
    None,
    ("model.hidden", "optimizer.lr", "model.act"),
)


class Server:
    """A PostgreSQL of one's own on the loopback device, in a temporary directory; as root it runs as user postgres."""

    def __init__(self, connections: int = 100):
        self.directory = Path(tempfile.mkdtemp(prefix="postgres-"))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.other = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        if self.other:
            user = pwd.getpwnam("postgres")
            os.chown(self.directory, user.pw_uid, user.pw_gid)
        self.url = f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres"
        self.options = f"-p {port} -k {self.directory} -c listen_addresses=127.0.0.1 -c max_connections={connections}"
        self._run("initdb", "--auth=trust", "--username=postgres", "--no-sync")

    def start(self) -> None:
        log = str(self.directory / "log")
        self._run("pg_ctl", "--wait", "--log", log, "-o", f"{self.options} -c fsync=off", "start")

    def stop(self) -> None:
        """End it as a crash would: nobody is waited for."""
        self._run("pg_ctl", "--wait", "--mode=immediate", "stop")

    def remove(self) -> None:
        shutil.rmtree(self.directory)

    def _run(self, program: str, *words: str) -> None:
        command = [*self.other, str(PROGRAMS[-1] / program), "-D", str(self.directory / "data"), *words]
        subprocess.run(command, check=True, cwd=self.directory, stdout=subprocess.DEVNULL)


@contextmanager
def server(connections: int = 100) -> Iterator[Server]:
    """A server that runs inside the block."""
    found = Server(connections)
    found.start()
    try:
        yield found
    finally:
        found.stop()
        found.remove()


@dataclass(frozen=True)
class Found:
    """What a simulation saw.

    Attributes:
        seconds: from the first claim to the last answer.
        trained: how often each trial was trained.
        told: the states of the study's trials, by number.
        waits: seconds a worker spent on a trial, all of it the study's.
        processor: seconds of processor time of the workers.
    """

    seconds: float
    trained: Counter[int]
    told: list[TrialState]
    waits: list[float]
    processor: float


def simulate(url: str, name: str, workers: int, trials: int, batch: int) -> Found:
    """Have workers ask for, "train" and tell all trials of a new study."""
    study.create(open_storage(url), name, {}, False, ("minimize",))
    study.fill(open_storage(url), name, trials, [])
    context = multiprocessing.get_context("fork")
    ready, said = context.Barrier(workers + 1), context.SimpleQueue()
    processes = [context.Process(target=_work, args=(url, name, trials, batch, ready, said)) for _ in range(workers)]
    for process in processes:
        process.start()
    ready.wait()
    start = time.monotonic()
    answers = [said.get() for _ in processes]
    seconds = time.monotonic() - start
    if errors := [answer for answer in answers if isinstance(answer, str)]:
        raise RuntimeError(f"{len(errors)} workers ended early: {errors[0]}")
    for process in processes:
        process.join()
    found = Study(open_storage(url), name, trials)
    return Found(
        seconds,
        Counter(number for numbers, _, _ in answers for number in numbers),
        [trial.state for trial in found.trials()],
        [wait for _, waits, _ in answers for wait in waits],
        sum(used for _, _, used in answers),
    )


def _work(url: str, name: str, trials: int, batch: int, ready: Any, said: Any) -> None:
    try:
        said.put(_trained(url, name, trials, batch, ready))
    except BaseException as error:
        ready.abort()
        said.put(repr(error))
        raise


def _trained(url: str, name: str, trials: int, batch: int, ready: Any) -> tuple[list[int], list[float], float]:
    """The trials that this worker had, its waits, and its processor time."""
    open_storage.cache_clear()
    found = Study(open_storage(url), name, trials)
    numbers: list[int] = []
    waits: list[float] = []
    values: dict[int, float] = {}

    since = 0.0

    class Trainer:
        def train(self, jobs: Mapping[int, Sequence[str]]) -> None:
            numbers.extend(jobs)
            values.update((number, (number * 7919 % 1009) / 1009) for number in jobs)

        def outcome(self, number: int) -> Outcome:
            return Outcome(TrialState.COMPLETE, [values[number]])

        def show_progress(self) -> None:
            nonlocal since
            now = time.monotonic()
            waits.append((now - since) / batch)
            since = now

    with Heart(found.optuna):
        ready.wait()
        since = time.monotonic()
        search: Any = SimpleNamespace(
            batch=batch,
            sampling=samplers.sampling("random", {}, 0, SPACE, GOALS),
            space=SPACE,
            overrides=SPACE.overrides,
            check_overrides=lambda overrides: None,
        )
        Asker(found, search, Trainer()).run()
    used = resource.getrusage(resource.RUSAGE_SELF)
    return numbers, waits, used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 10, 50, 100, 200])
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=8, help="trials a worker claims at once (hydra.sweeper.batch)")
    parser.add_argument("--storage", help="an Optuna URL; without one a server is started on this machine")
    parser.add_argument("--quick", action="store_true", help="1 and 2 workers, 16 trials, to see that it works")
    given = parser.parse_args()
    if given.quick:
        given.workers, given.trials = [1, 2], 16
    if not (given.storage or PROGRAMS):
        parser.error("PostgreSQL is not installed: apt-get install postgresql, or give --storage")
    print("workers  trials/s  ms a trial: median, 95%  processor ms a trial  lost  doubled", flush=True)

    def measure(url: str) -> None:
        for workers in given.workers:
            name = f"benchmark {workers} {os.getpid()} {time.time():.0f}"
            found = simulate(url, name, workers, given.trials, given.batch)
            waits = sorted(found.waits)
            lost = sum(state != TrialState.COMPLETE for state in found.told) + given.trials - len(found.told)
            doubled = sum(count - 1 for count in found.trained.values())
            print(
                f"{workers:7d}  {given.trials / found.seconds:8.1f}  "
                f"{1000 * statistics.median(waits):18.0f}, {1000 * waits[int(0.95 * len(waits))]:4.0f}  "
                f"{1000 * found.processor / given.trials:20.1f}  {lost:4d}  {doubled:7d}",
                flush=True,
            )

    if given.storage:
        measure(given.storage)
        return
    with server(connections=2 * max(given.workers) + 20) as own:
        measure(own.url)


if __name__ == "__main__":
    main()
