"""hydra/launcher=native: trains the runs of a sweep with the native engine, or else one by one with Lightning."""

from collections.abc import Mapping, Sequence

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn

ConfigStore.instance().store(group="hydra/launcher", name="native", node={"_target_": f"{__name__}.NativeLauncher"})


class NativeLauncher(BasicLauncher):
    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        return self.launch_numbered(dict(enumerate(job_overrides, initial_job_idx)))

    def launch_numbered(self, jobs: Mapping[int, Sequence[str]]) -> list[JobReturn]:
        from neuronsweep.launch import native
        from neuronsweep.launch.jobs import stretches

        if not getattr(self.task_function, "trains_runs", False):
            return [found for first, stretch in stretches(jobs) for found in BasicLauncher.launch(self, stretch, first)]
        assert self.hydra_context is not None
        assert self.config is not None
        assert self.task_function is not None
        return native.NativeLauncher(self.hydra_context, self.config, self.task_function).launch(jobs)
