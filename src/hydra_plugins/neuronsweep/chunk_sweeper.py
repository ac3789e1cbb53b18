"""hydra/sweeper=chunk: what a chunk of a sweep on another machine runs; nobody has to type it."""

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
        from neuronsweep.sweeps.chunks import jobs_of, keep_errors

        jobs = jobs_of(self.file)
        assert self.launcher is not None
        returns: dict[int, Any] = {}
        for numbers in neighbours(list(jobs)):  # what has ended before lies between the others
            found = self.launcher.launch([jobs[number] for number in numbers], numbers[0])
            returns |= dict(zip(numbers, found, strict=True))
        keep_errors(self.file, self.sweep_directory, returns)
        return [list(returns.values())]


def neighbours(numbers: list[int]) -> list[list[int]]:
    """Numbers in runs without a gap."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return runs
