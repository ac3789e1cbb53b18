"""What a run or sweep does before it begins and when it ends: everything checked, its directory made and owned."""

import json
import os
from collections.abc import Sequence
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
from neuronsweep.launch.resume import difference, prepare
from neuronsweep.runs import contents, files, lock, record
from neuronsweep.runs.results import Results
from neuronsweep.runs.run import COMPLETE, FAILED, PRUNED, RUNNING, Run
from neuronsweep.runs.sweep import check_sweep_place, run_directory
from neuronsweep.runs.words import anywhere, config_words, resume_command, typed

# Words that say how this command goes on, not what the sweep is.
OF_THIS_COMMAND = ("hydra.sweep.dir=", "hydra.sweeper.retry_failed=", "hydra.sweeper.accept_changes=")
# Keys of sweep.json that have words of the command line.
RECORDED_WORDS = ("overrides", "hydra_overrides", "config_words")
Jobs = Sequence[Sequence[str]]

# Where the directory of a run lies in its sweep's.
SUBDIR = "${job_dir:${hydra.job.num}}"
# Launchers that train a run in processes of its own where it wants several devices.
OF_SEVERAL_DEVICES = ("native", "process")


def begin_sweep(loader: ConfigLoader, config: DictConfig, jobs: Jobs, swept: Sequence[str]) -> Jobs:
    """Check every job, then make and own the sweep directory, or make what is in it ready to go on.

    Returns the jobs: of a sweep that goes on those that it has, which were shuffled once.

    Raises UserError before anything is written, and for a directory that cannot go on.
    """
    compose = Composer(loader, config)
    directory = Path(config.hydra.sweep.dir)
    check_jobs(compose, jobs, directory)
    if Run(directory).has_begun:
        raise UserError(f"{directory} is not allowed as output directory: it holds a single run")
    check_sweep_place(directory)
    make_directory(directory)
    lock.take(directory)
    jobs = _recorded(directory, jobs, config)
    sweeper = config.hydra.sweeper
    begun = [number for number in range(len(jobs)) if run_directory(directory, number).exists()]
    configs = (
        (number, run_config(compose.job(number, jobs[number], run_directory(directory, number)))) for number in begun
    )
    prepare(directory, configs, sweeper.retry_failed, sweeper.accept_changes)
    describe(directory, config, {"swept": list(swept), "jobs": [list(job) for job in jobs]})
    return jobs


def check_jobs(compose: Composer, jobs: Jobs, directory: Path) -> None:
    """Raise UserError for the first job whose config is not allowed or wants another machine; it is named."""
    for number, job in enumerate(jobs):
        try:
            check_job(compose.job(number, job, run_directory(directory, number)), compose.config)
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
            f"hydra/launcher={own} is not allowed in what a sweep varies: all its runs have one launcher, "
            f"here {launcher}"
        )
    if cfg.hydra.sweep.dir != config.hydra.sweep.dir:
        raise UserError(
            f"hydra.sweep.dir={cfg.hydra.sweep.dir} is not allowed for one run of a sweep: all are in "
            f"{config.hydra.sweep.dir}"
        )
    targets.grant(cfg)
    check_machine(cfg.trainer.accelerator, cfg.trainer.devices)
    if cfg.trainer.devices > 1 and launcher not in OF_SEVERAL_DEVICES:
        raise UserError(
            f"trainer.devices={cfg.trainer.devices} is not allowed with hydra/launcher={launcher}, where each "
            f"process of a run would sweep: hydra/launcher is {' or '.join(OF_SEVERAL_DEVICES)}"
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
            "hydra.job.chdir=true is not allowed: the runs of a sweep share a process, and files that the config names "
            "would be others in each run; a file of a run's own is ${hydra:runtime.output_dir}/NAME"
        )
    subdir = OmegaConf.to_container(cfg.hydra.sweep, resolve=False)["subdir"]  # type: ignore[index, call-overload]
    if subdir != SUBDIR:
        raise UserError(
            f"hydra.sweep.subdir={subdir} is not allowed: the runs of a sweep are in 0000, 0001, ..., and results.csv "
            "says what each is"
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
    """Write sweep.json: what was asked for, and ``jobs``, what that means."""
    choices, overrides = config.hydra.runtime.choices, config.hydra.overrides
    description = {
        "config_words": config_words(config),
        "state": RUNNING,
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
    files.write_json(directory / contents.SWEEP, description)


def _recorded(directory: Path, jobs: Jobs, config: DictConfig) -> Jobs:
    """The jobs of the sweep that the directory holds, these where it holds none.

    They are these in the same order or, where the same words shuffle values, in that of the first time.
    Raises UserError where it holds another sweep.
    """
    before = _jobs(directory)
    if before is None or before == [list(job) for job in jobs]:
        return jobs
    shuffled = any("shuffle(" in word for word in typed(config.hydra.overrides.task))
    if shuffled and sorted(before) == sorted(map(list, jobs)):
        return before
    told = difference(before, jobs)
    raise UserError(f"{directory} is not allowed as output directory: it holds another sweep: {told}")


def _jobs(directory: Path) -> list[list[str]] | None:
    """The jobs that a directory's sweep has, as far as its sweep.json can be read: its runs know what they are."""
    if not (directory / contents.SWEEP).exists():
        return None
    try:
        description = files.read_json(directory / contents.SWEEP)
        if "trials" in description:
            raise UserError(f"{directory} is not allowed as output directory: it holds a search")
        return description["jobs"]
    except (files.Damaged, KeyError):
        console.say(f"{directory / contents.SWEEP} is damaged: it is written anew")
        return None


def end_sweep(sweep: Path, failed: Sequence[int]) -> None:
    """Mark a sweep whose runs have all been tried: COMPLETE where they all are, else FAILED."""
    description = files.read_json(sweep / contents.SWEEP)
    files.write_json(sweep / contents.SWEEP, {**description, "state": FAILED if failed else COMPLETE})


def stopped(sweep: Path) -> None:
    """Say how a sweep that somebody interrupted goes on."""
    results = Results(sweep)
    rows = results.rows()
    done = sum(row["state"] in (COMPLETE, PRUNED) for row in rows)
    again = resume_command(sweep)
    console.say_last(f"\nstopped with {done} of {results.jobs} runs complete; go on with: {again}")
    results.write(rows)


def no_room(error: Unwritable | OSError, directory: Path) -> NoReturn:
    """End a command whose files cannot be written: nothing failed, and all of it can go on.

    An OSError is one of Hydra's, who writes into run directories, too; of anything but a full disk it is raised again.
    """
    if isinstance(error, OSError):
        error = unwritable(error)
    stop(f"{error}; when there is room, go on with: {resume_command(directory)}", status=1)


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
            f"{name} is not allowed as output directory: its name is not UTF-8, or the locale is none of UTF-8 "
            "(LC_ALL=C.UTF-8)"
        ) from None
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{directory} is not allowed as output directory: {error.strerror}") from None


def begin_single(config: DictConfig) -> None:
    """Make and own the directory of a single run, which may hold the same run, interrupted.

    Raises UserError for a directory that holds anything else.
    """
    directory = Path(config.hydra.run.dir)
    if (directory / contents.SWEEP).exists():
        raise UserError(f"{directory} is not allowed as output directory: it holds a sweep")
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
            raise UserError(f"{directory} is not allowed as output directory: it holds a run that is {state}")
    elif not (directory / contents.RECORD).exists() or of_sweep:  # a sweep has compared its runs itself
        return
    begun = Run(directory).record()
    differences = record.differences(begun, run_config(config), dataset.digest)
    if differences:
        raise UserError(f"{directory} is not allowed as output directory: it holds another run: {differences[0]}")
