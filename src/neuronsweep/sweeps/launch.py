"""What a sweep does before its first run and after each: all jobs composed and checked, results kept as runs end."""

import itertools
import os
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import ConfigCompositionException
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from neuronsweep import console, record
from neuronsweep.config import check
from neuronsweep.errors import Diverged, UserError, stop
from neuronsweep.sweeps import ledger


def expand(loader: ConfigLoader, arguments: Sequence[str]) -> tuple[list[list[str]], list[str]]:
    """The overrides of every job of a sweep, in the order of the grid, and the swept keys.

    Raises UserError for a sweep over an interval, which only a sweeper that samples can do.
    """
    values: dict[str, list[str]] = {}
    swept: list[str] = []
    for override in OverridesParser.create(config_loader=loader).parse_overrides(list(arguments)):
        key = override.get_key_element()
        if not override.is_sweep_override():
            values[key] = [f"{key}={override.get_value_element_as_str()}"]
        elif override.is_discrete_sweep():
            values[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
            swept.append(key.lstrip("+"))
        else:
            raise UserError(f"{override.input_line} is not allowed: a grid sweeps over lists and ranges of values")
    return [list(job) for job in itertools.product(*values.values())], swept


def compose(loader: ConfigLoader, config: DictConfig, jobs: Sequence[Sequence[str]]) -> Iterator[DictConfig]:
    """The config of each job; the one yielded is changed in place for the next.

    A job that differs from the one before in plain values only is not composed by Hydra again, which takes 80 ms.
    """
    parser = OverridesParser.create(config_loader=loader)
    cfg, before = DictConfig({}), None
    for job in jobs:
        overrides = parser.parse_overrides(list(job))
        values = [override for override in overrides if _sets_value(loader, override)]
        shape = [o.key_or_group if o in values else o.input_line for o in overrides]
        if shape != before:
            cfg, before = loader.load_sweep_config(config, list(job)), shape
        for override in values:
            _set(cfg, override)
        yield cfg


def _sets_value(loader: ConfigLoader, override: Override) -> bool:
    plain = not (override.is_delete() or override.is_add() or override.is_force_add())
    is_group = loader.get_group_options(override.key_or_group) != []
    return plain and not is_group and not isinstance(override.value(), dict)


def _set(cfg: DictConfig, override: Override) -> None:
    try:
        OmegaConf.update(cfg, override.key_or_group, override.value(), merge=True)
    except OmegaConfBaseException as error:
        raise ConfigCompositionException(f"Error merging override {override.input_line}") from error


def begin_sweep(loader: ConfigLoader, config: DictConfig, jobs: Sequence[Sequence[str]], swept: Sequence[str]) -> None:
    """Check every job, then make the sweep directory. Raises UserError before anything is written."""
    machines = set()
    for number, cfg in enumerate(compose(loader, config, jobs)):
        try:
            check(cfg)
            machine = (cfg.trainer.accelerator, cfg.trainer.devices)
            if machine not in machines:
                check_machine(*machine)
                machines.add(machine)
            if cfg.trainer.devices > 1:
                raise UserError("several devices are for a single run: under -m each of their processes would sweep")
        except UserError as error:
            raise UserError(f"job {number} ({' '.join(jobs[number])}): {error}") from None
    directory = make_directory(config.hydra.sweep.dir, ledger.SWEEP)
    choices = config.hydra.runtime.choices
    ledger.write_json(
        directory / ledger.SWEEP,
        {
            "state": ledger.RUNNING,
            "objective": OmegaConf.to_container(config.objective),
            "swept": list(swept),
            "jobs": [list(job) for job in jobs],
            "overrides": list(config.hydra.overrides.task),
            "launcher": choices["hydra/launcher"],
            "sweeper": choices["hydra/sweeper"],
            **record.origin(config.threads, config.trainer.accelerator),
        },
    )


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
        self.written = 0.0

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
        name = f"#{config.hydra.job.num} {' '.join(config.hydra.overrides.task)}"
        if job_return.status is JobStatus.COMPLETED:
            console.say(f"{name}  {config.objective.metric} {console.number(job_return.return_value)}")
        else:
            print(f"{name}  FAILED: {_tell(job_return)}", file=sys.stderr, flush=True)
        if time.monotonic() - self.written > 1:  # of hundreds of short runs, not each rewrites the table
            ledger.write_results(Path(config.hydra.sweep.dir))
            self.written = time.monotonic()

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        directory = Path(config.hydra.sweep.dir)
        rows = ledger.write_results(directory)
        failed = [row["run"] for row in rows if row["state"] != ledger.COMPLETE]
        ledger.end_sweep(directory)
        console.say(f"sweep directory: {console.directory_name(directory)}")
        if failed:
            numbers = ", ".join(map(str, failed[:20])) + (", ..." if len(failed) > 20 else "")
            stop(f"{len(failed)} of {len(rows)} runs did not complete: {numbers}", status=1)


def _end_single(job_return: JobReturn) -> None:
    """End a single run that failed here, before Hydra adds lines of its own."""
    if job_return.status is JobStatus.FAILED:
        error = _tell(job_return)
        if isinstance(error, UserError):
            stop(str(error))
        stop(f"the run failed: {error}", status=1)


def _tell(job_return: JobReturn) -> Exception:
    """The error of a failed job; printed with its traceback unless its message says all."""
    error = job_return._return_value
    if not isinstance(error, Diverged | UserError):
        traceback.print_exception(error)
    return error
