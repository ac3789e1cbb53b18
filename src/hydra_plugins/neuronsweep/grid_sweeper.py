"""hydra/sweeper=grid: every combination of the swept values, all checked before the first is trained."""

from pathlib import Path

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore

ConfigStore.instance().store(
    group="hydra/sweeper",
    name="grid",
    node={"_target_": f"{__name__}.GridSweeper", "max_batch_size": None, "params": None},
)


class GridSweeper(BasicSweeper):
    def sweep(self, arguments: list[str]) -> list:
        from neuronsweep.sweeps.compose import expand
        from neuronsweep.sweeps.launch import begin_sweep, stopped

        assert self.config is not None
        assert self.hydra_context is not None
        loader = self.hydra_context.config_loader
        jobs, swept = expand(loader, [*self._parse_config(), *arguments])
        begin_sweep(loader, self.config, jobs, swept)
        assert self.launcher is not None
        try:
            return [self.launcher.launch(jobs, initial_job_idx=0)]
        except KeyboardInterrupt:
            stopped(Path(self.config.hydra.sweep.dir))
            raise
