"""hydra/launcher=submitit_slurm, submitit_local, ray: a sweep in chunks, on whatever runs commands."""

import os
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class ChunkLauncher(Launcher):
    """Trains the jobs of a sweep in chunks; what is not said here is in conf/hydra/launcher.

    Args:
        chunks: how many; null: one for each core of this machine.
        cpus: threads of a chunk.
        keys: of the pool that trains them.
    """

    def __init__(self, chunks: int | None, cpus: int, **keys: Any):
        self.chunks, self.cpus, self.keys = chunks or len(os.sched_getaffinity(0)), cpus, keys

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.given = hydra_context, config, task_function

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        return self.launch_numbered(dict(enumerate(job_overrides, initial_job_idx)))

    def launch_numbered(self, jobs: Mapping[int, Sequence[str]]) -> list[JobReturn]:
        from neuronsweep.launch.chunks import Chunks

        return Chunks(*self.given, self.pool(), self.chunks, self.cpus).launch(jobs)

    @abstractmethod
    def pool(self) -> Any:
        """What trains the chunks; see neuronsweep.launch.chunks.Pool."""


class SubmititLauncher(ChunkLauncher):
    def pool(self) -> Any:
        from neuronsweep.launch.clusters import submitit

        folder = Path(self.given[1].hydra.sweep.dir).absolute() / ".submitit"
        parameters = {"cpus_per_task": self.cpus, **self.keys["parameters"]}
        return partial(submitit, cluster=self.keys["cluster"], folder=folder, parameters=parameters)


class RayLauncher(ChunkLauncher):
    def pool(self) -> Any:
        from neuronsweep.launch.clusters import ray

        return partial(ray, cpus=self.cpus, **self.keys)
