"""What a sweep does before its first run and after each: all jobs composed and checked, results kept as runs end."""

import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from neuronsweep import console, record
from neuronsweep.config import check
from neuronsweep.errors import Diverged, UserError, WorkerError, stop
from neuronsweep.sweeps import ledger
from neuronsweep.sweeps.compose import Composer

# A sweep of up to so many runs tells of each as it ends; a larger one of failures only.
TOLD = 20


def begin_sweep(loader: ConfigLoader, config: DictConfig, jobs: Sequence[Sequence[str]], swept: Sequence[str]) -> None:
    """Check every job, then make the sweep directory, or find in it the same jobs to go on with.

    Raises UserError before anything is written.
    """
    machines = set()
    compose = Composer(loader, config)
    for number, job in enumerate(jobs):
        try:
            cfg = compose(job)
            check(cfg)
            machine = (cfg.trainer.accelerator, cfg.trainer.devices)
            if machine not in machines:
                check_machine(*machine)
                machines.add(machine)
            if cfg.trainer.devices > 1:
                raise UserError("several devices are for a single run: under -m each of their processes would sweep")
        except UserError as error:
            raise UserError(f"job {number} ({' '.join(jobs[number])}): {error}") from None
    description = {"swept": list(swept), "jobs": [list(job) for job in jobs]}
    directory = Path(config.hydra.sweep.dir)
    if (directory / ledger.SWEEP).exists():
        before = ledger.read_json(directory / ledger.SWEEP)
        if any(before[key] != value for key, value in description.items()):
            was = " ".join(before["overrides"])
            raise UserError(f"{directory} is not allowed as output directory: it holds the sweep {was}")
    else:
        make_directory(config.hydra.sweep.dir, ledger.SWEEP)
    choices, overrides = config.hydra.runtime.choices, config.hydra.overrides
    description |= {
        "state": ledger.RUNNING,
        "objective": OmegaConf.to_container(config.objective),
        "overrides": list(overrides.task),
        "hydra_overrides": [word for word in overrides.hydra if not word.startswith("hydra.sweep.dir=")],
        "launcher": choices["hydra/launcher"],
        "sweeper": choices["hydra/sweeper"],
        **record.origin(config.threads, config.trainer.accelerator),
    }
    ledger.write_json(directory / ledger.SWEEP, description)


def stopped(sweep: Path) -> None:
    """Say how a sweep that somebody interrupted goes on."""
    results = ledger.Results(sweep)
    done = sum(row["state"] == ledger.COMPLETE for row in results.write())
    name = console.directory_name(sweep)
    console.say(f"\nstopped with {done} of {results.jobs} runs complete; go on with: python scripts/resume.py {name}")


def check_machine(accelerator: str, devices: int) -> None:
    """Raise UserError for a trainer that this machine cannot give."""
    if accelerator == "cpu":
        return
    import torch

    found = torch.cuda.device_count()
    if found < devices:
        raise UserError(
            f"trainer.accelerator={accelerator} with trainer.devices={devices} is not allowed: "
            f"this machine has {found} CUDA devices; trainer=cpu always works"
        )


def make_directory(name: str, mark: str) -> Path:
    """Make an output directory. Raises UserError where it cannot be written or holds an earlier command's results."""
    directory = Path(name)
    if (directory / mark).exists():
        raise UserError(f"{directory} is not allowed as output directory: it holds results already")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / ".probe").touch()
        (directory / ".probe").unlink()
    except OSError as error:
        raise UserError(f"{directory} is not allowed as output directory: {error.strerror}") from None
    return directory


class Bookkeeper(Callback):
    """Hydra's hooks: checks a single run before it is made; keeps results.csv of a sweep and tells of its runs."""

    def __init__(self) -> None:
        self.results: ledger.Results | None = None

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        # Hydra turns exceptions of callbacks into warnings, so this one ends the process itself
        try:
            check(config)
            check_machine(config.trainer.accelerator, config.trainer.devices)
            if "LOCAL_RANK" not in os.environ:  # the further processes of a DDP run share the directory of the first
                make_directory(config.hydra.run.dir, ledger.STATUS)
        except (UserError, OmegaConfBaseException) as error:
            stop(str(error))

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        if config.hydra.mode != RunMode.MULTIRUN:
            _end_single(job_return)
            return
        results = self._results(config)
        name = f"#{config.hydra.job.num} {' '.join(config.hydra.overrides.task)}"
        if job_return.status is JobStatus.FAILED:
            print(f"{name}  FAILED: {_tell(job_return._return_value)}", file=sys.stderr, flush=True)
        elif results.jobs <= TOLD:
            console.say(f"{name}  {config.objective.metric} {console.number(job_return.return_value)}")
        results.write_now_and_then()

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        results = self._results(config)
        rows = results.write()
        ledger.end_sweep(results.sweep)
        console.say(f"sweep directory: {console.directory_name(results.sweep)}")
        _illustrate(results)
        complete = {row["run"] for row in rows if row["state"] == ledger.COMPLETE}
        failed = [number for number in range(results.jobs) if number not in complete]
        if failed:
            numbers = ", ".join(map(str, failed[:20])) + (", ..." if len(failed) > 20 else "")
            again = f"python scripts/resume.py {console.directory_name(results.sweep)} --retry-failed"
            stop(
                f"{len(failed)} of {results.jobs} runs did not complete: {numbers}; to try them again: {again}",
                status=1,
            )

    def _results(self, config: DictConfig) -> ledger.Results:
        if self.results is None:
            self.results = ledger.Results(Path(config.hydra.sweep.dir))
        return self.results


def _illustrate(results: ledger.Results) -> None:
    """Draw the pictures that are missing; whoever does not want to wait stops the command: all results are there."""
    from neuronsweep.sweeps.illustrate import illustrate, unillustrated  # late: needs torch

    missing = unillustrated([ledger.run_directory(results.sweep, number) for number in range(results.jobs)])
    if not missing:
        return
    bar = console.Bar("pictures", len(missing))
    try:
        for done in illustrate(missing, workers=len(os.sched_getaffinity(0))):
            bar.advance_to(done, "")
    finally:
        bar.close()


def _end_single(job_return: JobReturn) -> None:
    """End a single run that failed here, before Hydra adds lines of its own."""
    if job_return.status is JobStatus.FAILED:
        error = job_return._return_value
        if isinstance(error, UserError):
            stop(str(error))
        stop(f"the run failed: {_tell(error)}", status=1)


def _tell(error: Exception) -> str:
    """What to say of a failed run in a line; its traceback is printed first, unless the line says all."""
    if not isinstance(error, Diverged | UserError):
        trace = str(error) if isinstance(error, WorkerError) else "".join(traceback.format_exception(error))
        print(trace.rstrip(), file=sys.stderr)
    return (str(error).strip() or type(error).__name__).splitlines()[-1]
