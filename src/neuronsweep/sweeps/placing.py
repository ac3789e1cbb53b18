"""Where the trials of a search are trained: in populations here, by another launcher, or by workers of their own."""

import copy
import os
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra._internal.callbacks import Callbacks
from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext
from omegaconf import DictConfig, open_dict
from optuna.trial import TrialState

from neuronsweep import console
from neuronsweep.errors import Unwritable, UserError
from neuronsweep.sweeps import ledger, lock, outcomes, pruning
from neuronsweep.sweeps.asking import LOOK, Asker, Launch
from neuronsweep.sweeps.liveness import Heart
from neuronsweep.sweeps.pruning import Pruning
from neuronsweep.sweeps.search import Search
from neuronsweep.sweeps.storage import open_storage, place
from neuronsweep.sweeps.study import Study

# Workers are started again when some died; not more often than this without one trial trained.
FRUITLESS = 3
# Progress is not told more often than this.
SECONDS_BETWEEN_NEWS = 1.0


def train(search: Search, study: Study) -> None:
    """Have all trials of a study trained."""
    with Heart(study.optuna, lock.beat):
        if search.options.workers > 1:
            _employ(search, study)
        else:
            launch = in_populations(search) if search.vectorized else by_launcher(search)
            asker(search, study, launch).run()


def asker(search: Search, study: Study, launch: Launch, **options: Any) -> Asker:
    """The loop of a search over a study."""
    told = 0.0

    def tell() -> None:
        nonlocal told
        if time.monotonic() - told < SECONDS_BETWEEN_NEWS:
            return
        told = time.monotonic()
        trials = study.trials()
        ended = sum(trial.state.is_finished() for trial in trials)
        best = outcomes.best(trials, search.goals)
        values = dict(zip(search.goals.objectives, best[0].values, strict=True)) if len(best) == 1 else {}
        words = [f"{metric} {console.number(value)} (#{best[0].number})" for (metric, _), value in values.items()]
        console.say(
            f"{ended}/{study.total} trials  best {', '.join(words)}" if words else f"{ended}/{study.total} trials"
        )

    def prune(numbers: Sequence[int]) -> Pruning | None:
        # runs of other launchers open the study themselves
        ours = search.vectorized or search.options.workers > 1
        return pruning.of_study(study, search.options, numbers) if ours and search.goals.prune_on else None

    return Asker(
        study,
        search.batch,
        search.sampling(),
        ask=search.space.suggest,
        overrides=search.overrides,
        check=search.check_overrides,
        launch=launch,
        outcome=lambda number: outcomes.of_run(ledger.run_directory(search.directory, number), search.goals),
        pruning=prune,
        tell=tell,
        **options,
    )


def in_populations(search: Search) -> Launch:
    """Trains the jobs of a batch together, in this process and its children."""
    from neuronsweep.sweeps.vectorized import Sweep

    def one_by_one(overrides: Sequence[str], number: int) -> JobReturn:
        basic = BasicLauncher()
        basic.setup(hydra_context=search.context, task_function=search.task, config=search.config)
        return basic.launch([overrides], number)[0]

    together = Sweep(search.context, search.config, search.task, one_by_one, quiet=True)

    def launch(jobs: Mapping[int, Sequence[str]], pruning: Pruning | None) -> None:
        together.launch(jobs, pruning)

    return launch


def by_launcher(search: Search) -> Launch:
    """Gives the jobs of a batch to the launcher that the command chose."""
    launcher = Plugins.instance().instantiate_launcher(search.context, search.task, search.config)

    def launch(jobs: Mapping[int, Sequence[str]], pruning: Pruning | None) -> None:
        for first, stretch in _stretches(jobs):
            try:
                launcher.launch(stretch, initial_job_idx=first)
            except (UserError, Unwritable):
                raise
            except Exception as error:  # a process died, and the launcher with it: runs that did not end go back
                console.say(f"hydra/launcher={search.launcher} ended early: {error}")

    return launch


class Worker:
    """A task function for launchers: instead of training one run, it asks a shared study until nothing is left.

    The directory belongs to the command that starts the workers; they take no lock on it.
    """

    def __init__(self, search: Search):
        self.context, self.task, self.arguments = search.context, search.task, search.arguments
        self.config = copy.deepcopy(search.config)
        self.config.population.workers = 1
        self.where = place(search.options.storage, search.directory)

    def __call__(self, _: DictConfig) -> None:
        search = Search(self.context, self.config, self.task, self.arguments)
        study = Study(open_storage(self.where), search.options.study_name, search.total())
        employer = os.getppid()
        with Heart(study.optuna):
            asker(search, study, in_populations(search), stop=lambda: os.getppid() != employer).run()


def _employ(search: Search, study: Study) -> None:
    """Start workers through the launcher, and again while there is work that nobody does."""
    count = search.options.workers
    config = copy.deepcopy(search.config)
    with open_dict(config):
        config.hydra.overrides.hydra += ["hydra.sweep.subdir=.", "hydra.output_subdir=null"]
        if "n_jobs" in config.hydra.launcher:
            config.hydra.launcher.n_jobs = count
    context = HydraContext(config_loader=search.context.config_loader, callbacks=Callbacks())
    console.say(f"{study.unfinished()} trials for {count} workers")
    fruitless, reason = 0, ""
    while left := study.unfinished():
        study.reclaim()
        if not study.trials(TrialState.WAITING):
            time.sleep(LOOK)  # other commands train the last ones
            continue
        launcher = Plugins.instance().instantiate_launcher(context, Worker(search), config)
        try:
            for returned in launcher.launch([search.fixed] * count, initial_job_idx=0):
                _raise_error(returned)
        except (UserError, Unwritable):
            raise
        except Exception as error:
            reason = str(error).strip().splitlines()[0]
            console.say(f"a worker died, its trials are asked again: {reason}")
        fruitless = fruitless + 1 if study.unfinished() == left else 0
        if fruitless == FRUITLESS:
            raise UserError(f"hydra/launcher={search.launcher} does not work here: its workers train nothing: {reason}")


def _raise_error(returned: JobReturn) -> None:
    if returned.status is JobStatus.FAILED:
        error = returned._return_value
        if not isinstance(error, UserError | Unwritable):
            traceback.print_exception(error)
        raise error


def _stretches(jobs: Mapping[int, Sequence[str]]) -> Iterator[tuple[int, list[Sequence[str]]]]:
    """Jobs with consecutive numbers, as Hydra's launchers take them, with the first number."""
    stretch: list[Sequence[str]] = []
    first = 0
    for number in sorted(jobs):
        if stretch and number != first + len(stretch):
            yield first, stretch
            stretch = []
        if not stretch:
            first = number
        stretch.append(jobs[number])
    if stretch:
        yield first, stretch
