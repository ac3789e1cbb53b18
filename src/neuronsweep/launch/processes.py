"""Trains each job of a sweep in a process of its own: ``python train.py OVERRIDES hydra.run.dir=DIR``."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from neuronsweep import cli
from neuronsweep.errors import TookTooLong, UserError, WorkerError
from neuronsweep.launch import pruning
from neuronsweep.launch.jobs import Composer, job_return, quoted
from neuronsweep.launch.subprocesses import Command, Exit, supervise
from neuronsweep.runs import contents, files, lock
from neuronsweep.runs.contents import OUTPUT, RETURNED
from neuronsweep.runs.run import FAILED, RUNNING, Run
from neuronsweep.runs.sweep import run_directory
from neuronsweep.runs.words import config_words, typed

# How many lines of its output are shown of a job that died without a message.
LINES_SHOWN = 30
# A job ends itself when its time_limit is over; this is how much later it is ended, start of Python included.
SECONDS_OF_GRACE = 30.0
# Where a process of a distributed program keeps who it is: a job must not take itself for one of another program.
RANKS = (
    *("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE", "RANK", "PL_GLOBAL_SEED"),
    *("SLURM_NTASKS", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID"),
)
# Hydra's words of a sweep's command that mean nothing to one of its runs.
OF_THE_SWEEP = ("hydra/launcher", "hydra/sweeper", "hydra.launcher.", "hydra.sweeper.", "hydra.sweep.", "hydra.mode=")


class Processes:
    """One launch of Hydra's, each job in a process of its own.

    Args:
        context, config, task: what Hydra gives a launcher.
        slots: how many CPU cores or GPUs the jobs share, of which one takes ``trainer.devices``; None: all there are.
        retries: how often a job is started again that died, or failed for another reason than its numbers.
    """

    def __init__(
        self,
        context: HydraContext,
        config: DictConfig,
        task: TaskFunction,
        slots: int | None = None,
        retries: int = 0,
    ):
        self.callbacks, self.config, self.task = context.callbacks, config, task
        self.compose = Composer(context.config_loader, config)
        self.sweep = Path(config.hydra.sweep.dir)
        self.slots, self.retries = slots, retries
        self.ours = getattr(task, "trains_runs", False)
        self.script = _script(task)
        self.returns: dict[int, JobReturn] = {}

    def launch(self, jobs: dict[int, list[str]]) -> dict[int, JobReturn]:
        """Train jobs by number and return what Hydra's sweepers expect of each."""
        pending: dict[str, list[int]] = {}
        for number, overrides in jobs.items():
            if self._run(number).state in (None, RUNNING):
                accelerator = self.compose(overrides).trainer.accelerator if self.ours else "cpu"
                pending.setdefault(accelerator, []).append(number)
            else:
                self._return(number, overrides, Exit(0))
        for accelerator, numbers in pending.items():
            self._train(accelerator, numbers, jobs)
        return {number: self.returns[number] for number in jobs}

    def _train(self, accelerator: str, numbers: Sequence[int], jobs: dict[int, list[str]]) -> None:
        gpus = visible_gpus() if accelerator == "gpu" else []
        slots = self.slots or len(gpus) or len(os.sched_getaffinity(0))

        def slot_environment(held: Sequence[int]) -> dict[str, str]:
            return {"CUDA_VISIBLE_DEVICES": ",".join(gpus[slot % len(gpus)] for slot in held)} if gpus else {}

        tries = dict.fromkeys(numbers, 0)

        def again(index: int, found: Exit) -> bool:
            number = numbers[index]
            if found.status == 0 or tries[number] >= self.retries or self._failed_for_good(number):
                return False
            tries[number] += 1
            if self._run(number).state == FAILED:
                contents.remove(self._directory(number) / contents.STATUS)
            return True

        commands = [self._command(number, jobs[number]) for number in numbers]
        for index, found in supervise(commands, slots, slot_environment, lock.beat, again, len(gpus) or None):
            self._end(numbers[index], jobs[numbers[index]], found)

    def _command(self, number: int, overrides: list[str]) -> Command:
        cfg = self._config(number, overrides)
        directory = self._directory(number)
        hydra = self.config.hydra
        # options first: to the words of a process Lightning adds overrides for the further ones
        words = ["--config-name", hydra.job.config_name, *config_words(self.config)]
        words += [word for word in typed(hydra.overrides.hydra) if not word.startswith(OF_THE_SWEEP)]
        words += [*overrides, f"hydra.run.dir={quoted(str(directory.absolute()))}"]
        if not self.ours:
            words.append(f"+hydra.callbacks.returned._target_={KeepReturned.__module__}.{KeepReturned.__name__}")
        environment = {name: value for name, value in os.environ.items() if name not in RANKS}
        if not cli.TRACEBACK_WANTED:  # this process's command() has set it for itself
            environment.pop("HYDRA_FULL_ERROR", None)
        threads, limit, devices = (cfg.threads, cfg.time_limit, cfg.trainer.devices) if self.ours else (1, None, 1)
        environment |= {"OMP_NUM_THREADS": str(threads), "PYTHONUNBUFFERED": "1"}
        if asked := pruning.asked(hydra, number):
            environment |= asked.environment()
        return Command(
            words=[sys.executable, str(self.script), *words],
            environment=environment,
            log=directory / OUTPUT,
            slots=devices,
            seconds=None if limit is None else limit + SECONDS_OF_GRACE,
        )

    def _config(self, number: int, overrides: Sequence[str]) -> DictConfig:
        return self.compose.job(number, overrides, self._directory(number))

    def _directory(self, number: int) -> Path:
        return run_directory(self.sweep, number)

    def _run(self, number: int) -> Run:
        return Run(self._directory(number))

    def _failed_for_good(self, number: int) -> bool:
        """Whether a run has ended with a word of its own, which it would say again."""
        run = self._run(number)
        return run.state == FAILED and len(run.status()["error"].splitlines()) == 1

    def _end(self, number: int, overrides: list[str], found: Exit) -> None:
        """Tell Hydra's callbacks of a job that has ended as of any other."""
        cfg = self._config(number, overrides)
        self.callbacks.on_job_start(config=cfg, task_function=self.task)
        self._return(number, overrides, found)
        self.callbacks.on_job_end(config=cfg, job_return=self.returns[number])

    def _return(self, number: int, overrides: list[str], found: Exit) -> None:
        self.returns[number] = job_return(self.config, overrides, lambda: self._value(number, overrides, found))

    def _value(self, number: int, overrides: list[str], found: Exit) -> Any:
        """What a job returned. Raises what it failed with, and sees to it that its run is FAILED then."""
        directory, run = self._directory(number), self._run(number)
        state = run.state if self.ours else None
        if state not in (None, RUNNING):
            try:
                return run.result(self.compose(overrides).objective.metric)
            except WorkerError as error:
                if self.compose(overrides).trainer.devices == 1:
                    raise
                # of several processes the first tells of the end of another: what that one said is in the output
                raise WorkerError("\n".join([*_last_lines(directory / OUTPUT), str(error)])) from None
        if not self.ours and found.status == 0:
            return json.loads((directory / RETURNED).read_text())
        said = _last_lines(directory / OUTPUT)
        if state is None and found.status == 2 and said:
            raise UserError(said[-1].removeprefix("error: "))
        limit = f"it took longer than time_limit={self.compose(overrides).time_limit:g} seconds" if found.late else ""
        if state == RUNNING:
            run.end(FAILED, run.status()["seconds"], limit or str(found))
        if limit:
            raise TookTooLong(limit)
        raise WorkerError("\n".join([*said, f"{found}; its output is in {directory / OUTPUT}"]))


class KeepReturned(Callback):
    """Writes what a task function returned, for the process that started it."""

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        if job_return.status is JobStatus.COMPLETED:
            path = Path(config.hydra.runtime.output_dir) / RETURNED
            files.write(path, json.dumps(job_return.return_value))


def visible_gpus() -> list[str]:
    """What CUDA_VISIBLE_DEVICES of a job may contain: an entry for each GPU that this process may use."""
    import torch  # late: jobs on CPUs need no torch here

    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    return given.split(",") if given else [str(i) for i in range(torch.cuda.device_count())]


def _script(task: TaskFunction) -> Path:
    """The file of the program that sweeps: the one that was started, or else the task function's own."""
    started = Path(sys.argv[0]).absolute()
    if started.suffix == ".py" and started.is_file():
        return started
    return Path(task.__code__.co_filename).absolute()


def _last_lines(path: Path) -> list[str]:
    return path.read_text(errors="replace").rstrip().splitlines()[-LINES_SHOWN:] if path.exists() else []
