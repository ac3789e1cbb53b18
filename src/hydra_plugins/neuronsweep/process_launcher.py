"""hydra/launcher=process: starts a new ``python train.py`` for each run of a sweep, several at a time."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

ConfigStore.instance().store(
    group="hydra/launcher",
    name="process",
    node={
        "_target_": f"{__name__}.ProcessLauncher",
        # how many CPU cores or GPUs the jobs share, of which each takes trainer.devices; null: all there are
        "slots": None,
        # how often a job is started again that died, or failed for another reason than its numbers
        "retries": 0,
    },
)


class ProcessLauncher(Launcher):
    def __init__(self, slots: int | None, retries: int):
        self.slots, self.retries = slots, retries

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.given = hydra_context, config, task_function

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        return self.launch_numbered(dict(enumerate(job_overrides, initial_job_idx)))

    def launch_numbered(self, jobs: Mapping[int, Sequence[str]]) -> list[JobReturn]:
        from neuronsweep.launch.processes import Processes

        Path(self.given[1].hydra.sweep.dir).mkdir(parents=True, exist_ok=True)
        return list(
            Processes(*self.given, slots=self.slots, retries=self.retries)
            .launch({number: list(overrides) for number, overrides in jobs.items()})
            .values()
        )
