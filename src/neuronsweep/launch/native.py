"""Trains the jobs of a sweep in native code, and with Lightning, one by one, what native code does not know."""

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from neuronsweep import console
from neuronsweep.config.check import plain, run_config
from neuronsweep.data.build import build_dataset, check_dataset
from neuronsweep.data.dataset import Dataset
from neuronsweep.engine.library import NoLibrary, available, library
from neuronsweep.engine.member import Member, member, outside, unsupported
from neuronsweep.errors import UserError
from neuronsweep.launch.jobs import Composer
from neuronsweep.launch.member_run import MemberRun
from neuronsweep.launch.pruning import Prunes
from neuronsweep.launch.train_members import Crew, Ended, Message, Reports, cores
from neuronsweep.runs import contents, record
from neuronsweep.runs.run import FAILED, PRUNED, Run
from neuronsweep.runs.sweep import run_directory


class Progress:
    """One live bar for all members: runs that ended, epochs trained, the best objective so far, seconds left."""

    def __init__(self, runs: Sequence[MemberRun], quiet: bool = False):
        self.quiet = quiet
        self.epochs = {run.number: run.member.epochs for run in runs}
        objective = runs[0].config["objective"]
        self.metric, self.best_of = objective["metric"], min if objective["mode"] == "min" else max
        self.reached = dict.fromkeys(self.epochs, 0)
        self.ended = 0
        self.best: float | None = None

    def __enter__(self) -> "Progress":
        self.bar = console.Bar("member epochs", sum(self.epochs.values()), lines=not self.quiet)
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def show(self, message: Message) -> None:
        """Move the bar on."""
        if isinstance(message, Ended):
            self.ended += 1
            self.reached[message.number] = self.epochs[message.number]
        else:
            self.reached[message.number] = message.epoch
        seen = [value for value in (message.objective, self.best) if value is not None]
        self.best = self.best_of(seen, default=None)
        text = f"best {self.metric} {console.number(self.best)}  {self.ended}/{len(self.epochs)} runs"
        self.bar.advance_to(sum(self.reached.values()), text)


class NativeLauncher:
    """One launch of Hydra's: its jobs, which of them are members, and what each returned.

    Args:
        context, config, task: what Hydra gives a launcher.
        one_by_one: runs a single job as Hydra's basic launcher does, with its number.
        processes: runs jobs by number as the process launcher does; those that want several devices or a GPU.
        quiet: does not say how the jobs are trained: they are a part of a search, which does.
    """

    def __init__(
        self,
        context: HydraContext,
        config: DictConfig,
        task: TaskFunction,
        one_by_one: Callable[[Sequence[str], int], JobReturn],
        processes: Callable[[dict[int, list[str]]], dict[int, JobReturn]],
        quiet: bool = False,
    ):
        self.callbacks, self.task, self.one_by_one = context.callbacks, task, one_by_one
        self.processes = processes
        self.compose = Composer(context.config_loader, config)
        self.directory = Path(config.hydra.sweep.dir)
        self.options, self.quiet = config.engine, quiet
        self.returns: dict[int, JobReturn] = {}

    def launch(self, numbered: Mapping[int, Sequence[str]], pruning: Prunes | None = None) -> list[JobReturn]:
        """Train jobs by their numbers, and return what Hydra's sweepers expect, in their order."""
        jobs = {number: list(overrides) for number, overrides in numbered.items()}
        runs, alone = self._sort(jobs)
        for number, run in runs.items():
            if run.before:
                self._return(number, jobs[number], _ended_before(run))
        pending = [run for run in runs.values() if not run.before]
        if pending or (runs and pruning):
            self._train(pending, jobs, pruning, _past(runs.values(), pruning) if pruning else {})
        if pruning:
            pruning.publish()
        apart = {number: jobs[number] for number in sorted(alone) if self._wants_processes(jobs[number])}
        for number, reason in sorted(alone.items()):
            where = " in processes of its own" if number in apart else ""
            console.say(f"#{number} {' '.join(jobs[number])} is trained by Lightning{where}: {reason}")
        for number in sorted(alone.keys() - apart.keys()):
            self.returns[number] = self.one_by_one(jobs[number], number)
        if apart:
            self.returns |= self.processes(apart)
        return [self.returns[number] for number in jobs]

    def _wants_processes(self, overrides: Sequence[str]) -> bool:
        trainer = self.compose(overrides).trainer
        return trainer.devices > 1 or trainer.accelerator != "cpu"

    def _sort(self, jobs: dict[int, list[str]]) -> tuple[dict[int, MemberRun], dict[int, str]]:
        """The runs that may become members, and why the others may not."""
        runs: dict[int, MemberRun] = {}
        alone: dict[int, str] = {}
        datasets: dict[str, Dataset] = {}
        shape, hydra = None, {}
        without = available()
        for number, overrides in jobs.items():
            cfg = self._config(number, overrides)
            if self.compose.shape is not shape:
                shape, hydra = self.compose.shape, plain(cfg.hydra, resolve=False)
            raw = run_config(cfg, resolve=False)
            config = _resolved(raw, cfg)
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
            own = {
                "overrides": {**hydra["overrides"], "task": overrides},
                "job": {**hydra["job"], **{name: cfg.hydra.job[name] for name in ("id", "num", "override_dirname")}},
                "runtime": {**hydra["runtime"], "output_dir": cfg.hydra.runtime.output_dir},
            }
            directory = run_directory(self.directory, number)
            dataset = datasets[key]
            described = member(config, dataset)
            if reason := unsupported(described) or without or _no_library(described):
                alone[number] = reason
                continue
            resumed = Run(directory).has_begun
            runs[number] = MemberRun(
                number=number,
                directory=directory,
                overrides=overrides,
                config=config,
                raw=raw,
                hydra={**hydra, **own},
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
        self._return(ended.number, overrides, ended)
        self.callbacks.on_job_end(config=cfg, job_return=self.returns[ended.number])

    def _return(self, number: int, overrides: list[str], ended: Ended) -> None:
        ended_well = ended.error is None
        job_return = JobReturn(overrides=overrides, working_dir=os.getcwd(), task_name=self.compose.cfg.hydra.job.name)
        job_return.status = JobStatus.COMPLETED if ended_well else JobStatus.FAILED
        job_return.return_value = ended.objective if ended_well else ended.exception()
        self.returns[number] = job_return


def _ended_before(run: MemberRun) -> Ended:
    """The end of a run in an earlier try of its sweep."""
    assert run.before is not None
    if run.before["state"] == FAILED:
        return Ended(run.number, None, run.before["error"], diverged=True)
    if run.before["state"] == PRUNED:
        return Ended(run.number, None)
    return Ended(run.number, Run(run.directory).metrics()[run.member.metric])


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


def _no_library(described: Member) -> str | None:
    """Why there is no native engine for a member, or None. Compiles it now, so that no run fails for the want of it."""
    try:
        library(described.bits)
    except NoLibrary as error:
        return str(error)
    return None


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
