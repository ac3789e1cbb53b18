"""What happens before a run or sweep starts: its jobs are checked, and its directory is made and locked."""

import json
import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from neuronsweep import console
from neuronsweep.cli import explain
from neuronsweep.config import targets
from neuronsweep.config.check import check, described, known_metrics, nearest, plain, run_config
from neuronsweep.config.metric_names import at_the_end, is_of_split
from neuronsweep.config.schemas.config import MODULES
from neuronsweep.config.secret_values import without_secrets
from neuronsweep.errors import Unwritable, UserError, stop, unwritable
from neuronsweep.launch.jobs import Composer
from neuronsweep.launch.numbering import check_shard, numbered
from neuronsweep.launch.resume import prepare
from neuronsweep.runs import contents, files, lock, record
from neuronsweep.runs.results import Results
from neuronsweep.runs.run import COMPLETE, FAILED, PRUNED, RUNNING, Run
from neuronsweep.runs.sweep import check_sweep_place, numbers, run_directory
from neuronsweep.runs.words import anywhere, config_words, resume_command, typed

# Words that say how this command continues, not what the sweep is.
OF_THIS_COMMAND = ("hydra.sweep.dir=", "hydra.sweeper.retry_failed=", "hydra.sweeper.accept_changes=")
# Keys of sweep.json that have words of the command line.
RECORDED_WORDS = ("overrides", "hydra_overrides", "config_words")
Jobs = Sequence[Sequence[str]]

# Where the directory of a run lies in its sweep's.
SUBDIR = "${job_dir:${hydra.job.num}}"
# An override that only says which replicate a job is.
SEED = re.compile(r"seed=\d{1,9}")
# Launchers that train a run in processes of its own where it wants several devices.
OF_SEVERAL_DEVICES = ("native", "process")


def begin_sweep(loader: ConfigLoader, config: DictConfig, jobs: Jobs, swept: Sequence[str]) -> dict[int, list[str]]:
    """Check every job, then make and own the sweep directory, or make what is in it ready to go on.

    Returns the jobs to train by their numbers: all, or those of the shard that the command asks for.

    Raises UserError before anything is written, and for a directory that cannot continue.
    """
    compose = Composer(loader, config)
    directory = Path(config.hydra.sweep.dir)
    sweeper = config.hydra.sweeper
    check_shard(sweeper.shard, typed(config.hydra.overrides.task))
    check_jobs(compose, jobs, directory)
    if Run(directory).has_begun:
        raise UserError(f"cannot use {directory} as output directory: it contains a single run")
    check_sweep_place(directory)
    make_directory(directory)
    lock.take(directory)
    jobs = numbered(directory, jobs, sweeper.shard)
    begun = [number for number in range(len(jobs)) if run_directory(directory, number).exists()]
    configs = (
        (number, run_config(compose.job(number, jobs[number], run_directory(directory, number)))) for number in begun
    )
    prepare(directory, configs, sweeper.retry_failed, sweeper.accept_changes)
    described: dict[str, Any] = {"swept": list(swept), "jobs": [list(job) for job in jobs]}
    if sweeper.shard:
        described["shard"] = sweeper.shard
    describe(directory, config, described)
    return {number: list(jobs[number]) for number in numbers(described)}


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
    has = _metrics_of(*(json.dumps(plain(cfg[group]), sort_keys=True) for group in ("data", "model", "loss")))
    if metric not in has:
        raise UserError(
            f"objective.metric={metric} is not allowed: with this data and network it is one of "
            f"{', '.join(has)}{nearest(metric, has)}"
        )


@cache
def _metrics_of(data: str, model: str, loss: str) -> tuple[str, ...]:
    """All metrics that a run has at the end, of its data, model and loss as JSON: those of an untrained network."""
    from neuronsweep.analysis.fit import analyse  # late: most sweeps begin without torch
    from neuronsweep.data.build import build_dataset
    from neuronsweep.models.mlp import MLP

    dataset = build_dataset(json.loads(data))
    sizes = {name: len(split.x) for name, split in dataset.splits.items()}
    names = [
        name for name in at_the_end(sizes, dataset.task, json.loads(loss)["name"]) if name.rpartition("/")[0] in sizes
    ]
    names = [name for name in names if not (name.endswith("/r2") and sizes[name.rpartition("/")[0]] == 1)]
    return (*names, *analyse(MLP(dataset.inputs, dataset.outputs, **json.loads(model)), dataset, json.loads(loss)))


def describe(directory: Path, config: DictConfig, jobs: dict[str, Any]) -> None:
    """Write sweep.json: the command, and in ``jobs`` what the command means."""
    choices, overrides = config.hydra.runtime.choices, config.hydra.overrides
    description = {
        "config_words": config_words(config),
        "state": RUNNING,
        "begun": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "objective": OmegaConf.to_container(config.objective, resolve=True),
        **without_secrets(jobs),
        "overrides": without_secrets(typed(overrides.task)),
        "hydra_overrides": without_secrets(
            [anywhere(word) for word in typed(overrides.hydra) if not word.startswith(OF_THIS_COMMAND)]
        ),
        "launcher": choices["hydra/launcher"],
        "sweeper": choices["hydra/sweeper"],
        **record.origin(config.threads, config.trainer.accelerator),
    }
    targets.grant_words([word for key in RECORDED_WORDS for word in description[key]])
    contents.remove(directory / contents.PARQUET)  # of what was there before; the end writes it anew
    files.write_json(directory / contents.SWEEP, description, durable=True)


def end_sweep(sweep: Path, failed: Sequence[int]) -> None:
    """Mark a sweep whose runs have all been tried: COMPLETE where they all are, else FAILED."""
    description = files.read_json(sweep / contents.SWEEP)
    files.write_json(sweep / contents.SWEEP, {**description, "state": FAILED if failed else COMPLETE}, durable=True)


def stopped(sweep: Path) -> None:
    """Say how an interrupted sweep continues."""
    results = Results(sweep)
    rows = results.rows()
    done = sum(row["state"] in (COMPLETE, PRUNED) for row in rows)
    again = resume_command(sweep)
    console.say_last(f"\nstopped with {done} of {results.jobs} runs complete; continue with: {again}")
    results.write(rows)


def no_room(error: Unwritable | OSError, directory: Path) -> NoReturn:
    """End a command whose files cannot be written: nothing failed, and all of it can continue.

    An OSError is one of Hydra's, who writes into run directories, too; of anything but a full disk it is raised again.
    """
    if isinstance(error, OSError):
        error = unwritable(error)
    stop(f"{error}; when there is room, continue with: {resume_command(directory)}", status=1)


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


def make_directory(directory: Path) -> None:
    """Make an output directory. Raises UserError where it cannot be written, and where libraries cannot name it."""
    try:
        str(directory.resolve()).encode()
    except UnicodeEncodeError:
        name = str(directory.resolve()).encode(errors="backslashreplace").decode()
        raise UserError(
            f"{name} cannot be used as output directory: its name is not UTF-8, or the locale is not one of UTF-8 "
            "(LC_ALL=C.UTF-8)"
        ) from None
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot use {directory} as output directory: {error.strerror}") from None


def begin_single(config: DictConfig) -> None:
    """Make and own the directory of a single run, which may hold the same run, interrupted.

    Raises UserError for a directory that holds anything else.
    """
    directory = Path(config.hydra.run.dir)
    if (directory / contents.SWEEP).exists():
        raise UserError(f"cannot use {directory} as output directory: it contains a sweep")
    of_sweep = (directory.absolute().parent / contents.SWEEP).exists()  # a run moved elsewhere has a link in its sweep
    Run(directory).check_place(of_sweep)
    from neuronsweep.data.build import build_dataset, check_dataset  # late: the checks before need no torch

    check_metric(config)
    dataset = build_dataset(config.data)
    check_dataset(config, dataset)
    make_directory(directory)
    lock.take(directory)
    if Run(directory).has_begun:
        state = Run(directory).verified()["state"]
        if state != RUNNING:
            raise UserError(f"cannot use {directory} as output directory: it contains a run that is {state}")
    elif not (directory / contents.RECORD).exists() or of_sweep:  # a sweep has compared its runs itself
        return
    begun = Run(directory).record()
    differences = record.differences(begun, run_config(config), dataset.digest)
    if differences:
        raise UserError(f"cannot use {directory} as output directory: it contains another run: {differences[0]}")
