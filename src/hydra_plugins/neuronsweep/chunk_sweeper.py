"""hydra/sweeper=chunk, which trains one chunk of a sweep; chunk launchers start it, and no user types it."""

from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

ConfigStore.instance().store(
    group="hydra/sweeper", name="chunk", node={"_target_": f"{__name__}.ChunkSweeper", "file": "???"}
)


class ChunkSweeper(Sweeper):
    def __init__(self, file: str):
        self.file = Path(file)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        from hydra.core.plugins import Plugins

        self.sweep_directory = Path(config.hydra.sweep.dir)
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        from neuronsweep.launch.chunks import jobs_of, keep_errors
        from neuronsweep.launch.jobs import launch

        assert self.launcher is not None
        jobs = jobs_of(self.file)
        returns = dict(zip(jobs, launch(self.launcher, jobs), strict=True))
        keep_errors(self.file, self.sweep_directory, returns)
        return [list(returns.values())]
