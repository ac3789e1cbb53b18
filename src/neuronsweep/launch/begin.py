"""What happens before a run or sweep starts: its jobs are checked, and its directory is made and locked."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf

from neuronsweep import console
from neuronsweep.config import targets
from neuronsweep.config.check import run_config
from neuronsweep.config.secret_values import without_secrets
from neuronsweep.errors import Unwritable, UserError, stop, unwritable
from neuronsweep.launch.checks import Jobs, check_jobs, check_metric
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
