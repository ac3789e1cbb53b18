"""hydra/sweeper=optuna: lets Optuna choose which runs to train."""

from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from neuronsweep.config.schemas.search import SearchOptions

node = OmegaConf.structured(SearchOptions)
for name in ("params", "sampler_options", "pruner_options"):
    OmegaConf.set_struct(node[name], False)  # their keys are anybody's
ConfigStore.instance().store(group="hydra/sweeper", name="optuna", node=node, provider="neuronsweep")


class OptunaSweeper(Sweeper):
    def __init__(self, **options: Any) -> None:
        """The options are read where they lie, under hydra.sweeper."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context: HydraContext = hydra_context
        self.config: DictConfig = config
        self.task_function = task_function

    def sweep(self, arguments: list[str]) -> None:
        from neuronsweep.search.run import sweep

        sweep(self.hydra_context, self.config, self.task_function, arguments)
