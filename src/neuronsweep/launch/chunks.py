"""Trains a sweep in chunks: groups of jobs, each trained by one command, perhaps on another machine.

A chunk is a file in the sweep directory, so whatever starts commands on machines that see this directory (Slurm, Ray,
a pool of processes) can train it; nothing of Hydra's travels, and the results are the run directories.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from neuronsweep import cli, console
from neuronsweep.errors import UserError, WorkerError
from neuronsweep.launch import die_with_parent
from neuronsweep.launch.jobs import Composer, job_return, quoted
from neuronsweep.launch.processes import OF_THE_SWEEP, RANKS
from neuronsweep.runs import contents, files
from neuronsweep.runs.contents import CHUNK
from neuronsweep.runs.run import FAILED, RUNNING, Run
from neuronsweep.runs.sweep import run_directory
from neuronsweep.runs.words import config_words, typed

LINES_SHOWN = 30
# How long a chunk may take after SIGTERM to write the snapshots of its runs; it takes less.
SECONDS_TO_STOP = 15.0


@dataclass(frozen=True)
class Chunk:
    """Jobs that are trained by one command, on any machine that sees their sweep directory.

    Calling it trains them, and returns when they have ended; killed and called again it continues.

    Attributes:
        words: the command, without Python.
        directory: where it runs.
        file: its jobs.
    """

    words: tuple[str, ...]
    directory: str
    file: Path

    def __call__(self) -> None:
        environment = {name: value for name, value in os.environ.items() if name not in RANKS}
        if not cli.TRACEBACK_WANTED:
            environment.pop("HYDRA_FULL_ERROR", None)
        command = [sys.executable, "-I", "-S", die_with_parent.__file__, str(os.getpid()), sys.executable, *self.words]
        with self.output.open("ab") as output:
            process = subprocess.Popen(
                command,
                cwd=self.directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            if status := process.wait():
                said = self.output.read_text(errors="replace").rstrip().splitlines()[-LINES_SHOWN:]
                raise WorkerError("\n".join([*said, f"a chunk ended with exit status {status}"]))
        finally:
            _end(process)

    def checkpoint(self) -> Any:
        """What submitit calls when the machine is wanted back: how to continue elsewhere. The command is ended."""
        from submitit.helpers import DelayedSubmission

        # the SystemExit that follows unwinds __call__, which ends its command and waits for it
        return DelayedSubmission(self)

    @property
    def output(self) -> Path:
        """What its command says."""
        return self.file.with_suffix(".log")

    @property
    def errors(self) -> Path:
        """Number and error of each of its jobs that has no run directory."""
        return self.file.with_suffix(".errors")


# Trains chunks, in any order, and yields the position of each as it ends with what it died of, or None.
Pool = Callable[[Sequence[Chunk]], Iterator[tuple[int, str | None]]]


class Chunks:
    """One launch of Hydra's, its jobs in chunks.

    Args:
        context, config, task: what Hydra gives a launcher.
        pool: what trains the chunks.
        chunks: how many there are; a smaller sweep has one for each job.
        cpus: threads of a chunk.
    """

    def __init__(
        self, context: HydraContext, config: DictConfig, task: TaskFunction, pool: Pool, chunks: int, cpus: int
    ):
        self.callbacks, self.config, self.task, self.pool = context.callbacks, config, task, pool
        self.compose = Composer(context.config_loader, config)
        self.sweep = Path(config.hydra.sweep.dir).absolute()
        self.chunks, self.cpus = chunks, cpus

    def launch(self, numbered: Mapping[int, Sequence[str]]) -> list[JobReturn]:
        """Train jobs by their numbers, and return what Hydra's sweepers expect, in their order."""
        if not getattr(self.task, "trains_runs", False):
            raise UserError(
                "this launcher trains runs of neuronsweep only; for another program: hydra/launcher=process"
            )
        jobs = {number: list(overrides) for number, overrides in numbered.items()}
        pending = [number for number in jobs if self._run(number).state in (None, RUNNING)]
        returns = {number: self._return(number, jobs[number], None) for number in jobs.keys() - set(pending)}
        numbers = split(pending, self.chunks)
        chunks = [self._chunk({number: jobs[number] for number in part}) for part in numbers]
        if chunks:
            console.say(f"training {len(pending)} runs in {len(chunks)} chunks")
        for index, error in self.pool(chunks):
            for number in numbers[index]:
                cfg = self.compose.job(number, jobs[number], run_directory(self.sweep, number))
                self.callbacks.on_job_start(config=cfg, task_function=self.task)
                returns[number] = self._return(number, jobs[number], chunks[index], error)
                self.callbacks.on_job_end(config=cfg, job_return=returns[number])
            for path in (chunks[index].file, chunks[index].errors, *([] if error else [chunks[index].output])):
                contents.remove(path)
        return [returns[number] for number in jobs]

    def _chunk(self, jobs: Mapping[int, list[str]]) -> Chunk:
        file = self.sweep / f"{CHUNK}{min(jobs):04d}.json"
        self.sweep.mkdir(parents=True, exist_ok=True)
        files.write_json(file, {str(number): overrides for number, overrides in jobs.items()})
        hydra = self.config.hydra
        words = [word for word in typed(hydra.overrides.hydra) if not word.startswith(OF_THE_SWEEP)]
        words += [word for word in typed(hydra.overrides.task) if word.startswith("engine.")]
        words += [
            f"engine.threads={self.cpus}",
            "hydra/launcher=native",
            "hydra/sweeper=chunk",
            f"hydra.sweeper.file={quoted(str(file))}",
            f"hydra.sweep.dir={quoted(str(self.sweep))}",
            # what is kept of the sweep is its own command's business
            *(f"~hydra.callbacks.{name}" for name in hydra.callbacks),
        ]
        script = str(Path(sys.argv[0]).absolute())
        return Chunk((script, *config_words(self.config), "-m", *words), os.getcwd(), file)

    def _run(self, number: int) -> Run:
        return Run(run_directory(self.sweep, number))

    def _return(self, number: int, overrides: list[str], chunk: Chunk | None, died_of: str | None = None) -> JobReturn:
        cfg = self.compose(overrides)
        return job_return(cfg, overrides, lambda: self._value(number, cfg.objective.metric, chunk, died_of))

    def _value(self, number: int, metric: str, chunk: Chunk | None, died_of: str | None) -> float | None:
        run = self._run(number)
        state = run.state
        if state not in (None, RUNNING):
            return run.result(metric)
        told = json.loads(chunk.errors.read_text()) if chunk and chunk.errors.exists() else {}
        if str(number) in told:
            raise UserError(told[str(number)])
        why = died_of or "its chunk ended without it"
        if state == RUNNING:
            run.end(FAILED, run.status()["seconds"], why)
        raise WorkerError(why)


def split(numbers: Sequence[int], chunks: int) -> list[list[int]]:
    """Numbers in at most so many chunks of neighbours, whose sizes differ by one at most."""
    chunks = min(chunks, len(numbers))
    bounds = [len(numbers) * i // chunks for i in range(chunks + 1)] if chunks else [0]
    return [list(numbers[low:high]) for low, high in pairwise(bounds)]


def jobs_of(file: Path) -> dict[int, list[str]]:
    """The jobs of a chunk by number, which are this process's alone from now on until it ends.

    Waits for one that still trains the chunk: the machine of a chunk that continues elsewhere may not be dead at once.
    """
    handle = os.open(file, os.O_RDWR)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with os.fdopen(os.dup(handle)) as text:
        return {int(number): overrides for number, overrides in json.load(text).items()}


def keep_errors(file: Path, sweep: Path, returns: Mapping[int, JobReturn]) -> None:
    """Write what failed without a run directory, for the command of the sweep to tell."""
    failed = {
        str(number): str(found._return_value)
        for number, found in returns.items()
        if found.status is JobStatus.FAILED and not Run(run_directory(sweep, number)).has_begun
    }
    if failed:
        files.write_json(file.with_suffix(".errors"), failed)


def _end(process: subprocess.Popen) -> None:
    """End a chunk's command: it writes snapshots of its runs; then whatever is left of its group."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
