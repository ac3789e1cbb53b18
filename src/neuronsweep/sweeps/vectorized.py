"""Trains the jobs of a sweep as populations, and what cannot be a member one by one."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from neuronsweep import console, record
from neuronsweep.config import plain, run_config
from neuronsweep.data.build import build_dataset, check_dataset
from neuronsweep.data.dataset import Dataset
from neuronsweep.errors import UserError
from neuronsweep.models.checkpoint import readable
from neuronsweep.population.plan import Limits, member, outside, plan
from neuronsweep.sweeps import ledger
from neuronsweep.sweeps.compose import Composer
from neuronsweep.sweeps.member_run import MemberRun
from neuronsweep.sweeps.pruning import Prunes
from neuronsweep.sweeps.rounds import Rounds
from neuronsweep.sweeps.worker_process import Ended, Message, Population
from neuronsweep.sweeps.workers import train_populations


class Progress:
    """One live bar for all populations: members trained, epoch, the best objective so far, seconds left."""

    def __init__(self, populations: Sequence[Population]):
        self.epochs = [[run.member.epochs for run in population.runs] for population in populations]
        self.members = sum(map(len, self.epochs))
        objective = populations[0].runs[0].config["objective"]
        self.metric, self.best_of = objective["metric"], min if objective["mode"] == "min" else max
        self.reached = [0] * len(populations)
        self.ended = 0
        self.best: float | None = None

    def __enter__(self) -> "Progress":
        self.bar = console.Bar("member epochs", sum(map(sum, self.epochs)))
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def show(self, message: Message) -> None:
        """Move the bar on."""
        if isinstance(message, Ended):
            self.ended += 1
            seen = [] if message.objective is None else [message.objective]
        else:
            self.reached[message.population] = message.epoch
            seen = message.objectives
        self.best = self.best_of([*seen, *([] if self.best is None else [self.best])], default=None)
        pairs = zip(self.epochs, self.reached, strict=True)
        done = sum(min(epochs, reached) for population, reached in pairs for epochs in population)
        text = f"{self.ended}/{self.members} runs  epoch {max(self.reached)}"
        self.bar.advance_to(done, f"best {self.metric} {console.number(self.best)}  {text}")


class Sweep:
    """One launch of Hydra's: its jobs, which of them are members, and what each returned.

    Args:
        context, config, task: what Hydra gives a launcher.
        one_by_one: runs a single job as Hydra's basic launcher does, with its number.
        processes: runs jobs by number as the process launcher does; those that want several devices.
        quiet: does not tell how the jobs are trained.
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
        self.options, self.quiet = config.population, quiet
        self.returns: dict[int, JobReturn] = {}

    def launch(self, numbered: Mapping[int, Sequence[str]], pruning: Prunes | None = None) -> list[JobReturn]:
        """Train jobs by their numbers, and return what Hydra's sweepers expect, in their order."""
        jobs = {number: list(overrides) for number, overrides in numbered.items()}
        runs, alone = self._sort(jobs)
        for device, numbers in _by_device(runs).items():
            members = {number: runs[number].member for number in numbers}
            limits = Limits(self.options.max_members, self.options.max_memory_gb * 1e9)
            devices = self._devices(device)
            populations, reasons = plan(members, limits, len(devices))
            alone |= reasons
            for number in {number for population in populations for number in population}:
                if runs[number].before:
                    self._return(number, jobs[number], _ended_before(runs[number]))
            pending = [self._population([runs[number] for number in population]) for population in populations]
            pending = [population for population in pending if population.runs]
            rounds = self._rounds(pruning, pending, {number: runs[number] for number in numbers})
            if pending:
                self._train(pending, devices, jobs, rounds)
            elif rounds:
                rounds.end()
        if pruning:
            pruning.publish()
        apart = {number: jobs[number] for number in sorted(alone) if self.compose(jobs[number]).trainer.devices > 1}
        for number, reason in sorted(alone.items()):
            where = " in processes of its own" if number in apart else ""
            console.say(f"#{number} {' '.join(jobs[number])} is trained by Lightning{where}: {reason}")
        for number in sorted(alone.keys() - apart.keys()):
            self.returns[number] = self.one_by_one(jobs[number], number)
        if apart:
            self.returns |= self.processes(apart)
        return [self.returns[number] for number in jobs]

    def _sort(self, jobs: dict[int, list[str]]) -> tuple[dict[int, MemberRun], dict[int, str]]:
        """The runs that may become members, and why the others may not."""
        runs: dict[int, MemberRun] = {}
        alone: dict[int, str] = {}
        datasets: dict[str, Dataset] = {}
        shape, hydra = None, {}
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
            directory = ledger.run_directory(self.directory, number)
            dataset = datasets[key]
            resumed = (directory / ledger.STATUS).exists()
            runs[number] = MemberRun(
                number=number,
                directory=directory,
                overrides=overrides,
                config=config,
                raw=raw,
                hydra={**hydra, **own},
                member=member(config, dataset),
                before=ledger.ended(directory, record.fingerprint(config, dataset.digest)) if resumed else None,
            )
        return runs, alone

    def _config(self, number: int, overrides: Sequence[str]) -> DictConfig:
        return self.compose.job(number, overrides, ledger.run_directory(self.directory, number))

    def _devices(self, accelerator: str) -> list[str]:
        """One device for each worker process."""
        if accelerator == "gpu":
            found = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
        else:
            found = ["cpu"] * len(os.sched_getaffinity(0))
        workers = self.options.workers or len(found)
        return [found[i % len(found)] for i in range(workers)]

    def _population(self, runs: Sequence[MemberRun]) -> Population:
        """What is to be trained of a population: all of it from a snapshot, else the runs that have not ended."""
        pending = [run for run in runs if not run.before]
        snapshot = ledger.population_snapshot(self.directory, " ".join(run.fingerprint() for run in runs))
        if pending and snapshot.exists() and not readable(snapshot):
            console.say(f"{snapshot} is damaged: its runs begin anew")
            snapshot.unlink()
        return Population(runs if pending and snapshot.exists() else pending, snapshot)

    def _rounds(
        self, pruning: Prunes | None, populations: Sequence[Population], runs: Mapping[int, MemberRun]
    ) -> Rounds | None:
        if pruning is None:
            return None
        training = {run.number for population in populations for run in population.runs}
        past = {
            number: [(epoch, row[pruning.metric]) for epoch, row in ledger.read_history(run.directory)]
            for number, run in runs.items()
            if run.before and number not in training
        }
        return Rounds(pruning, len(populations), past)

    def _train(
        self,
        populations: Sequence[Population],
        devices: list[str],
        jobs: dict[int, list[str]],
        rounds: Rounds | None,
    ) -> None:
        count = sum(len(population.runs) for population in populations)
        if not self.quiet:
            console.say(_sentence(count, len(populations), min(len(devices), len(populations))))
        with Progress(populations) as progress:
            for message in train_populations(populations, devices, self.options.snapshot_seconds, rounds):
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
    if run.before["state"] == ledger.FAILED:
        return Ended(run.number, None, run.before["error"], diverged=True)
    if run.before["state"] == ledger.PRUNED:
        return Ended(run.number, None)
    return Ended(run.number, ledger.metrics(run.directory)[run.member.metric])


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


def _by_device(runs: Mapping[int, MemberRun]) -> dict[str, list[int]]:
    devices: dict[str, list[int]] = {}
    for number, run in runs.items():
        devices.setdefault(run.config["trainer"]["accelerator"], []).append(number)
    return devices


def _sentence(runs: int, populations: int, workers: int) -> str:
    def count(n: int, what: str, many: str) -> str:
        return f"{n} {what if n == 1 else many}"

    together = count(populations, "population", "populations")
    return f"training {count(runs, 'run', 'runs')} in {together} on {count(workers, 'process', 'processes')}"
