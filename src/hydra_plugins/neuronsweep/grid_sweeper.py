"""hydra/sweeper=grid: trains every combination of the swept values, after all of them have been checked."""

from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore

ConfigStore.instance().store(
    group="hydra/sweeper",
    name="grid",
    node={
        "_target_": f"{__name__}.GridSweeper",
        "max_batch_size": None,
        "params": None,
        # of a sweep that continues in its directory: train FAILED runs again; those of another config, source or data
        "retry_failed": False,
        "accept_changes": False,
        # I/N: train every Nth run, from the Ith on; the other shards are other commands'
        "shard": None,
    },
)


class GridSweeper(BasicSweeper):
    def __init__(self, max_batch_size: int | None, params: Any, **options: Any):
        # begin_sweep reads the others from the config
        super().__init__(max_batch_size, params)

    def sweep(self, arguments: list[str]) -> list:
        from neuronsweep import console
        from neuronsweep.errors import Unwritable
        from neuronsweep.launch.begin import begin_sweep, no_room, stopped
        from neuronsweep.launch.jobs import expand, launch
        from neuronsweep.runs.words import resume_command
        from neuronsweep.stopping import heeded

        assert self.config is not None
        assert self.hydra_context is not None
        loader = self.hydra_context.config_loader
        jobs, swept = expand(loader, [*self._parse_config(), *arguments])
        begun = begin_sweep(loader, self.config, jobs, swept)
        assert self.launcher is not None
        directory = Path(self.config.hydra.sweep.dir)
        try:
            with heeded():
                console.say(f"if this stops: {resume_command(directory)}")
                return [launch(self.launcher, begun)]
        except KeyboardInterrupt:
            stopped(directory)
            raise KeyboardInterrupt("told") from None
        except (Unwritable, OSError) as error:
            no_room(error, directory)
