"""Where the trials of a search are trained: natively here, by another launcher, or by workers of their own."""

import copy
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from multiprocessing.connection import wait
from typing import Any

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from optuna.trial import TrialState

from neuronsweep import console, stopping
from neuronsweep.errors import Unwritable, UserError
from neuronsweep.launch.jobs import launch
from neuronsweep.launch.pruning import Prunes
from neuronsweep.launch.train_members import cores
from neuronsweep.runs import lock
from neuronsweep.runs.sweep import run_directory, study_storage
from neuronsweep.search import outcomes
from neuronsweep.search.ask_tell import LOOK, Asker, Launch
from neuronsweep.search.definition import Search
from neuronsweep.search.heartbeat import Heart
from neuronsweep.search.pruner import of_study
from neuronsweep.search.retrain import AsBefore, discard_damaged
from neuronsweep.search.storage import open_storage
from neuronsweep.search.study import Study

# Workers are started again when some died; not more often than this without one trial trained.
FRUITLESS = 3
# Progress is not told more often than this.
SECONDS_BETWEEN_NEWS = 1.0


def train(search: Search, study: Study) -> None:
    """Have all trials of a study trained."""
    with Heart(study.optuna, lock.beat):
        _repair(search, study)
        if search.options.workers > 1:
            _employ(search, study)
        else:
            asker(search, study, _launch(search)).run()


def _launch(search: Search) -> Launch:
    return natively(search) if search.native else by_launcher(search)


def _repair(search: Search, study: Study) -> None:
    damaged = discard_damaged(study, search.directory, not search.options.storage, search.replicates)
    if damaged:
        jobs = {trial.number: search.overrides(trial.params) for trial in damaged}
        prune_on = search.goals.prune_on
        before = AsBefore(prune_on[0], damaged, search.replicates.count) if prune_on and search.native else None
        _launch(search)(search.replicates.jobs(jobs), before)


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

    def prune(numbers: Sequence[int]) -> Prunes | None:
        # runs of other launchers open the study themselves
        ours = search.native or search.options.workers > 1
        found = of_study(study, search.options, numbers) if ours and search.goals.prune_on else None
        if found:
            found.replicates = search.replicates.count
        return found

    return Asker(
        study,
        search.batch,
        search.sampling,
        ask=search.space.suggest,
        overrides=search.overrides,
        check=search.check_overrides,
        launch=lambda jobs, pruning: launch(search.replicates.jobs(jobs), pruning),
        outcome=lambda number: outcomes.of_trial(
            [run_directory(search.directory, run) for run in search.replicates.runs(number)], search.goals
        ),
        pruning=prune,
        tell=tell,
        **options,
    )


def natively(search: Search) -> Launch:
    """Trains the jobs of a batch in native code, in threads of this process."""
    from neuronsweep.launch.native import NativeLauncher
    from neuronsweep.launch.processes import Processes

    def one_by_one(overrides: Sequence[str], number: int) -> JobReturn:
        basic = BasicLauncher()
        basic.setup(hydra_context=search.context, task_function=search.task, config=search.config)
        return basic.launch([overrides], number)[0]

    given = search.context, search.config, search.task
    together = NativeLauncher(*given, one_by_one, Processes(*given).launch, quiet=True)

    def launch(jobs: Mapping[int, Sequence[str]], pruning: Prunes | None) -> None:
        together.launch(jobs, pruning)

    return launch


def by_launcher(search: Search) -> Launch:
    """Gives the jobs of a batch to the launcher that the command chose."""
    launcher = Plugins.instance().instantiate_launcher(search.context, search.task, search.config)

    def with_it(jobs: Mapping[int, Sequence[str]], pruning: Prunes | None) -> None:
        try:
            launch(launcher, jobs)
        except (UserError, Unwritable):
            raise
        except Exception as error:  # a process died, and the launcher with it: runs that did not end go back
            stopping.look()
            console.say(f"hydra/launcher={search.launcher} ended early: {error}")

    return with_it


class Worker:
    """What a worker process does: it asks a shared study until nothing is left.

    The directory belongs to the command that starts the workers; they take no lock on it.
    """

    def __init__(self, search: Search):
        self.context, self.task, self.arguments = search.context, search.task, search.arguments
        self.config = copy.deepcopy(search.config)
        self.config.engine.threads = max(1, cores() // search.options.workers)
        self.where = study_storage(search.options.storage, search.directory)

    def __call__(self) -> None:
        open_storage.cache_clear()  # what the employer has opened is its own
        employer = os.getppid()

        def orphaned() -> bool:
            stopping.look()
            return os.getppid() != employer

        try:
            search = Search(self.context, self.config, self.task, self.arguments)
            study = Study(open_storage(self.where), search.options.study_name, search.total)
            with Heart(study.optuna):
                asker(search, study, natively(search), stop=orphaned, blame=True).run()
        except KeyboardInterrupt:  # the employer says how the search goes on
            sys.exit(stopping.status())
        except (UserError, Unwritable) as error:
            sys.exit(f"error: {error}")


def _employ(search: Search, study: Study) -> None:
    """Start workers, and again while there is work that nobody does."""
    context = multiprocessing.get_context("fork")
    console.say(f"{study.unfinished()} trials for {search.options.workers} workers")
    fruitless = 0
    while left := study.unfinished():
        study.reclaim()
        if not study.trials(TrialState.WAITING):
            time.sleep(LOOK)  # other commands train the last ones
            continue
        workers = [context.Process(target=Worker(search)) for _ in range(search.options.workers)]
        for worker in workers:
            worker.start()
        try:
            while any(worker.is_alive() for worker in workers):
                lock.beat()
                wait([worker.sentinel for worker in workers if worker.is_alive()], lock.SECONDS_BETWEEN_BEATS)
        finally:
            for worker in workers:
                worker.terminate()
                worker.join()
        # one that ended with a word of its own (1), or because it was stopped, was not killed by its trial
        blameless = (0, 1, 128 + signal.SIGINT, 128 + signal.SIGTERM)
        study.reclaim(blame=any(worker.exitcode not in blameless for worker in workers))
        dead = [worker.exitcode for worker in workers if worker.exitcode]
        if dead:
            console.say(f"{len(dead)} workers died, their trials are asked again: exit status {dead[0]}")
        fruitless = fruitless + 1 if study.unfinished() == left else 0
        if fruitless == FRUITLESS:
            raise UserError("the workers of this search train nothing; what they said is above")
