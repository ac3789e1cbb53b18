"""Whether the runs of a command can be trained: what their configs, their data and this machine allow."""

import json
import os
import re
from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from neuronsweep import console
from neuronsweep.cli import explain
from neuronsweep.config import targets
from neuronsweep.config.check import check, described, known_metrics, nearest, plain, run_config
from neuronsweep.config.metric_names import at_the_end, is_of_split
from neuronsweep.config.schemas.config import MODULES
from neuronsweep.errors import UserError
from neuronsweep.launch.jobs import Composer
from neuronsweep.runs.sweep import run_directory

if TYPE_CHECKING:
    from neuronsweep.data.dataset import Dataset

Jobs = Sequence[Sequence[str]]

# Where the directory of a run lies in its sweep's.
SUBDIR = "${job_dir:${hydra.job.num}}"
# An override that only says which replicate a job is.
SEED = re.compile(r"seed=\d{1,9}")
# Launchers that train a run in processes of its own where it wants several devices.
OF_SEVERAL_DEVICES = ("native", "process")


def check_jobs(compose: Composer, jobs: Jobs, directory: Path) -> None:
    """Raise UserError for the first job whose config is not allowed or wants another machine; it is named."""
    allowed: set[tuple[str, ...]] = set()
    for number, job in enumerate(jobs):
        others = tuple(word for word in job if not SEED.fullmatch(word))
        if len(others) < len(job) and others in allowed:  # any seed is allowed where one is
            continue
        try:
            cfg = compose.job(number, job, run_directory(directory, number))
            check_job(cfg, compose.config)
            if "seed}" not in str(run_config(cfg, resolve=False)):  # unless something else reads it
                allowed.add(others)
        except UserError as error:
            raise UserError(f"job {number} ({' '.join(job)}): {error}") from None
        except OmegaConfBaseException as error:  # an interpolation that leads nowhere
            raise UserError(f"job {number} ({' '.join(job)}): {explain(error)}") from None


def check_job(cfg: DictConfig, config: DictConfig) -> None:
    """Raise UserError for a job whose config is not allowed, or wants another machine or sweep than the command's."""
    check(cfg)
    say_notes(cfg)
    check_metric(cfg)
    check_samples(cfg)
    check_hydra(cfg)
    launcher = config.hydra.runtime.choices["hydra/launcher"]
    if (own := cfg.hydra.runtime.choices["hydra/launcher"]) != launcher:
        raise UserError(
            f"hydra/launcher={own} is not allowed for some runs of a sweep: all have one launcher, here {launcher}"
        )
    if cfg.hydra.sweep.dir != config.hydra.sweep.dir:
        raise UserError(
            f"hydra.sweep.dir={cfg.hydra.sweep.dir} is not allowed: all runs of a sweep are in {config.hydra.sweep.dir}"
        )
    targets.grant(cfg)
    check_machine(cfg.trainer.accelerator, cfg.trainer.devices)
    if cfg.trainer.devices > 1 and launcher not in OF_SEVERAL_DEVICES:
        raise UserError(
            f"trainer.devices={cfg.trainer.devices} is not allowed with hydra/launcher={launcher}, where every "
            f"process of a run would start the sweep again: hydra/launcher is {' or '.join(OF_SEVERAL_DEVICES)}"
        )


def say_notes(cfg: DictConfig) -> None:
    """Say what is odd about a table, each line once a process."""
    if data := described(cfg):
        for line in data.notes:
            _say(line)


@cache
def _say(line: str) -> None:
    console.say(line)


def check_hydra(cfg: DictConfig) -> None:
    """Raise UserError for what Hydra could do with a run's directory and this project does not."""
    if cfg.hydra.job.chdir:
        raise UserError(
            "hydra.job.chdir=true is not allowed: the runs of a sweep share a process, so a relative path must mean "
            "the same file in all of them; a file in the directory of a run is ${hydra:runtime.output_dir}/NAME"
        )
    subdir = OmegaConf.to_container(cfg.hydra.sweep, resolve=False)["subdir"]  # type: ignore[index, call-overload]
    if subdir != SUBDIR:
        raise UserError(
            f"hydra.sweep.subdir={subdir} is not allowed: the runs of a sweep are in 0000, 0001, ..., and results.csv "
            "has the values of each"
        )


def check_metric(cfg: DictConfig) -> None:
    """Raise UserError for an objective that runs of this config will not have, where its name alone does not tell.

    That is what depends on the network or on how many samples there are, and all metrics of data of the user's own.
    """
    metric = cfg.objective.metric
    certain = metric == "params" or (is_of_split(metric) and not metric.endswith("/r2"))
    if cfg.module._target_ not in MODULES or (certain and known_metrics(cfg)):
        return
    has = _metrics_of(*(_as_json(cfg[group]) for group in ("data", "model", "loss")))
    if metric not in has:
        raise UserError(
            f"objective.metric={metric} is not allowed: with this data and network it is one of "
            f"{', '.join(has)}{nearest(metric, has)}"
        )


def check_samples(cfg: DictConfig) -> None:
    """Raise UserError for a run that cannot be trained on its data, where only their samples tell.

    That is how many samples the last batch has, where statistics of batches are taken, and all of a user's own data.
    """
    if cfg.model.norm == "batch" or described(cfg) is None:
        data, loss = (_as_json(cfg[group]) for group in ("data", "loss"))
        _check_samples(data, loss, cfg.model.norm, cfg.batch_size)


@cache
def _check_samples(data: str, loss: str, norm: str, batch_size: int | str) -> None:
    from neuronsweep.data.build import check_dataset  # late: most sweeps begin without torch

    config = {"loss": json.loads(loss), "model": {"norm": norm}, "batch_size": batch_size}
    check_dataset(config, _dataset(data))


def _as_json(group: DictConfig) -> str:
    return json.dumps(plain(group), sort_keys=True)


@lru_cache(maxsize=4)  # neighbouring jobs mostly share their data
def _dataset(data: str) -> "Dataset":
    from neuronsweep.data.build import build_dataset  # late: most sweeps begin without torch

    return build_dataset(json.loads(data))


@cache
def _metrics_of(data: str, model: str, loss: str) -> tuple[str, ...]:
    """All metrics that a run has at the end, of its data, model and loss as JSON: those of an untrained network."""
    from neuronsweep.analysis.fit import analyse  # late: most sweeps begin without torch
    from neuronsweep.models.mlp import MLP

    dataset = _dataset(data)
    sizes = {name: len(split.x) for name, split in dataset.splits.items()}
    names = [
        name for name in at_the_end(sizes, dataset.task, json.loads(loss)["name"]) if name.rpartition("/")[0] in sizes
    ]
    names = [name for name in names if not (name.endswith("/r2") and sizes[name.rpartition("/")[0]] == 1)]
    return (*names, *analyse(MLP(dataset.inputs, dataset.outputs, **json.loads(model)), dataset, json.loads(loss)))


@cache
def check_machine(accelerator: str, devices: int) -> None:
    """Raise UserError for a trainer that this machine, or the Slurm step that this process is of, cannot give."""
    tasks = os.environ.get("SLURM_STEP_NUM_TASKS", "1")
    if devices > 1 and tasks not in ("", "1"):
        raise UserError(
            f"trainer.devices={devices} is not allowed in {tasks} tasks of Slurm's: a run starts its processes itself, "
            f"in one task with as many cores or GPUs: srun --ntasks=1 --cpus-per-task={devices}"
        )
    if accelerator == "cpu":
        return
    import torch

    found = torch.cuda.device_count()
    if found < devices:
        raise UserError(
            f"trainer.accelerator={accelerator} with trainer.devices={devices} is not allowed: "
            f"this machine has {found} CUDA devices; trainer=cpu always works"
        )
