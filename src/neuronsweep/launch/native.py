"""Trains the jobs of a sweep with the native engine, and with Lightning those that it cannot train."""

import contextlib
import json
import marshal
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.utils import JobReturn
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from neuronsweep import console
from neuronsweep.config.check import plain, run_config
from neuronsweep.data.build import build_dataset, check_dataset
from neuronsweep.data.dataset import Dataset
from neuronsweep.engine.library import missing
from neuronsweep.engine.member import DTYPES, member, outside, unsupported
from neuronsweep.errors import UserError
from neuronsweep.launch.jobs import Composer, job_return
from neuronsweep.launch.member_run import MemberRun
from neuronsweep.launch.processes import Processes
from neuronsweep.launch.pruning import Prunes
from neuronsweep.launch.train_members import Crew, Reports, cores
from neuronsweep.launch.trainee import Ended, Message
from neuronsweep.runs import contents, files, record
from neuronsweep.runs.run import Run
from neuronsweep.runs.sweep import run_directory

# Reasons that this process has given, or the one that forked it: a search of many batches gives each of them once.
_said: set[str] = set()


def say_once(reason: str, what: str) -> None:
    """Print what is done and the reason for it, the first time that this is the reason."""
    if reason not in _said:
        _said.add(reason)
        console.say(f"{what}: {reason}")


def say_missing_engine(precision: str) -> None:
    """Print that there is no native engine for members of this ``trainer.precision``, where there is none."""
    if precision in DTYPES and (reason := missing(DTYPES[precision].itemsize * 8)):
        say_once(reason, "runs are trained by Lightning")


class Progress:
    """One live bar for all members: runs that ended, epochs trained, the best objective so far, seconds left."""

    def __init__(self, runs: Sequence[MemberRun], quiet: bool = False):
        self.quiet = quiet
        self.epochs = {run.number: run.member.epochs for run in runs}
        objective = runs[0].config["objective"]
        self.metric, self.best_of = objective["metric"], min if objective["mode"] == "min" else max
        self.reached = dict.fromkeys(self.epochs, 0)
        self.done = 0
        self.ended = 0
        self.best: float | None = None

    def __enter__(self) -> "Progress":
        self.bar = console.Bar("member epochs", sum(self.epochs.values()), lines=not self.quiet)
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def show(self, message: Message) -> None:
        """Move the bar on."""
        before = self.reached[message.number]
        if isinstance(message, Ended):
            self.ended += 1
            self.reached[message.number] = self.epochs[message.number]
        else:
            self.reached[message.number] = message.epoch
        self.done += self.reached[message.number] - before
        seen = [value for value in (message.objective, self.best) if value is not None]
        self.best = self.best_of(seen, default=None)
        text = f"best {self.metric} {console.number(self.best)}  {self.ended}/{len(self.epochs)} runs"
        self.bar.advance_to(self.done, text)


class NativeLauncher:
    """One launch of Hydra's: its jobs, which of them are members, and what each returned.

    Args:
        context, config, task: what Hydra gives a launcher.
        quiet: does not say how the jobs are trained: they are a part of a search, which does.
    """

    def __init__(
        self,
        context: HydraContext,
        config: DictConfig,
        task: TaskFunction,
        quiet: bool = False,
    ):
        self.context, self.config, self.task, self.callbacks = context, config, task, context.callbacks
        self.compose = Composer(context.config_loader, config)
        self.directory = Path(config.hydra.sweep.dir)
        self.hydra = plain(config.hydra, resolve=False)
        self.options, self.quiet = config.engine, quiet
        self.returns: dict[int, JobReturn] = {}

    def launch(self, numbered: Mapping[int, Sequence[str]], pruning: Prunes | None = None) -> list[JobReturn]:
        """Train jobs by their numbers, and return what Hydra's sweepers expect, in their order."""
        jobs = {number: list(overrides) for number, overrides in numbered.items()}
        runs, alone = self._sort(jobs)
        for number, run in runs.items():
            if run.before:  # in an earlier try of its sweep
                result = partial(Run(run.directory).result, run.member.metric)
                self.returns[number] = job_return(self.compose.cfg, jobs[number], result)
        if runs and not (self.directory / contents.HYDRA_NODE).exists():
            files.write(self.directory / contents.HYDRA_NODE, files.as_yaml({"hydra": self.hydra}))
        pending = [run for run in runs.values() if not run.before]
        if pending or (runs and pruning):
            self._train(pending, jobs, pruning, _past(runs.values(), pruning) if pruning else {})
        if pruning:
            pruning.publish()
        apart = {number: jobs[number] for number in sorted(alone) if self._wants_processes(jobs[number])}
        for reason in dict.fromkeys(alone[number] for number in sorted(alone)):
            numbers = [number for number in sorted(alone) if alone[number] == reason]
            who = f"#{numbers[0]} {' '.join(jobs[numbers[0]])} is"
            if len(numbers) > 1:
                who = f"{len(numbers)} runs ({console.numbers(numbers)}) are"
            say_once(reason, f"{who} trained by Lightning{' in processes' if numbers[0] in apart else ''}")
        for number in sorted(alone.keys() - apart.keys()):
            basic = BasicLauncher()
            basic.setup(hydra_context=self.context, task_function=self.task, config=self.config)
            (self.returns[number],) = basic.launch([jobs[number]], number)
        if apart:
            self.returns |= Processes(self.context, self.config, self.task).launch(apart)
        return [self.returns[number] for number in jobs]

    def _wants_processes(self, overrides: Sequence[str]) -> bool:
        trainer = self.compose(overrides).trainer
        return trainer.devices > 1 or trainer.accelerator != "cpu"

    def _sort(self, jobs: dict[int, list[str]]) -> tuple[dict[int, MemberRun], dict[int, str]]:
        """The runs that may become members, and why the others may not."""
        runs: dict[int, MemberRun] = {}
        alone: dict[int, str] = {}
        datasets: dict[str, Dataset] = {}
        groups: dict[bytes, Any] = {}

        def shared(group: Any) -> Any:
            """One object for what many configs have: of 100 000 runs every one would take gigabytes."""
            return groups.setdefault(marshal.dumps(group), group) if isinstance(group, dict) else group

        for number, overrides in jobs.items():
            cfg = self._config(number, overrides)
            raw = run_config(cfg, resolve=False)
            config = {name: shared(value) for name, value in _resolved(raw, cfg).items()}
            raw = {name: shared(value) for name, value in raw.items()}
            if reason := outside(config):
                alone[number] = reason
                continue
            key = json.dumps(config["data"], sort_keys=True)
            try:
                if key not in datasets:
                    datasets[key] = build_dataset(config["data"])
                check_dataset(config, datasets[key])
            except UserError as error:
                self._end(overrides, Ended(number, None, str(error), diverged=True))
                continue
            directory = run_directory(self.directory, number)
            dataset = datasets[key]
            described = member(config, dataset)
            if reason := unsupported(described) or missing(described.bits):
                alone[number] = reason
                continue
            resumed = Run(directory).has_begun
            runs[number] = MemberRun(
                number=number,
                directory=directory,
                overrides=overrides,
                config=config,
                raw=raw,
                member=described,
                before=Run(directory).ended(record.fingerprint(config, dataset.digest)) if resumed else None,
            )
        return runs, alone

    def _config(self, number: int, overrides: Sequence[str]) -> DictConfig:
        return self.compose.job(number, overrides, run_directory(self.directory, number))

    def _train(
        self,
        runs: Sequence[MemberRun],
        jobs: dict[int, list[str]],
        pruning: Prunes | None,
        past: Mapping[int, Reports],
    ) -> None:
        threads = min(self.options.threads or cores(), max(1, len(runs)))
        if runs and not self.quiet:
            console.say(f"training {counted(len(runs), 'run')} natively on {counted(threads, 'thread')}")
        crew = Crew(threads, self.options.snapshot_seconds)
        messages = crew.train_in_rounds(runs, pruning, past) if pruning else crew.train(runs)
        if not runs:  # reports what is left of the past
            list(messages)
            return
        with Progress(runs, self.quiet) as progress, contextlib.closing(messages):
            for message in messages:
                if isinstance(message, Ended):
                    self._end(jobs[message.number], message)
                progress.show(message)

    def _end(self, overrides: list[str], ended: Ended) -> None:
        """Tell Hydra's callbacks of a member's run as of any job."""
        cfg = self._config(ended.number, overrides)
        self.callbacks.on_job_start(config=cfg, task_function=self.task)
        self.returns[ended.number] = job_return(cfg, overrides, ended.result)
        self.callbacks.on_job_end(config=cfg, job_return=self.returns[ended.number])


def _resolved(raw: Mapping[str, Any], cfg: DictConfig, prefix: str = "") -> dict[str, Any]:
    """The unresolved values of a config with its interpolations, which are few, replaced by what they stand for."""
    values: dict[str, Any] = {}
    for name, value in raw.items():
        if isinstance(value, dict):
            values[name] = _resolved(value, cfg, f"{prefix}{name}.")
        elif isinstance(value, str | list) and "${" in str(value):
            found = OmegaConf.select(cfg, f"{prefix}{name}")
            values[name] = OmegaConf.to_container(found, resolve=True) if OmegaConf.is_config(found) else found
        else:
            values[name] = value
    return values


def _past(runs: Iterable[MemberRun], pruning: Prunes) -> dict[int, Reports]:
    """What runs that ended in an earlier try have reported to a pruner."""
    return {
        run.number: [(epoch, row[pruning.metric]) for epoch, row in Run(run.directory).history()]
        for run in runs
        if run.before and (run.directory / contents.HISTORY).exists()  # one whose time was over has none
    }


def counted(n: int, what: str) -> str:
    """``1 run``, ``6 runs``."""
    return f"{n} {what}" if n == 1 else f"{n} {what}s"
