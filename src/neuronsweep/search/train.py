"""Trains the trials of a search: natively in this process, by another launcher, or in worker processes."""

import copy
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from multiprocessing.connection import wait

from hydra.core.plugins import Plugins
from optuna.trial import TrialState

from neuronsweep import console, stopping
from neuronsweep.errors import Unwritable, UserError
from neuronsweep.launch.jobs import launch
from neuronsweep.launch.pruning import Prunes
from neuronsweep.launch.train_members import cores
from neuronsweep.runs import lock
from neuronsweep.runs.sweep import run_directory, study_storage
from neuronsweep.search import outcomes
from neuronsweep.search.ask_tell import LOOK, Asker
from neuronsweep.search.definition import Search
from neuronsweep.search.heartbeat import Heart
from neuronsweep.search.pruner import of_study
from neuronsweep.search.retrain import AsBefore, discard_damaged
from neuronsweep.search.storage import open_storage
from neuronsweep.search.study import Outcome, Study

# Workers are started again when some died; not more often than this without one trial trained.
FRUITLESS = 3
# Progress is not printed more often than this.
SECONDS_BETWEEN_NEWS = 1.0


def train(search: Search, study: Study) -> None:
    """Have all trials of a study trained."""
    with Heart(study.optuna, lock.beat):
        _repair(search, study)
        if search.options.workers > 1:
            _employ(search, study)
        else:
            Asker(study, search, Trainer(search, study)).run()


def _repair(search: Search, study: Study) -> None:
    damaged = discard_damaged(study, search.directory, not search.options.storage, search.replicates)
    if damaged:
        jobs = {trial.number: search.overrides(trial.params) for trial in damaged}
        prune_on = search.goals.prune_on
        pruning = AsBefore(prune_on[0], damaged, search.replicates.count) if prune_on and search.native else None
        Trainer(search, study).launch(search.replicates.jobs(jobs), pruning)


class Trainer:
    """Trains the trials of a search by the launcher that the command chose."""

    def __init__(self, search: Search, study: Study):
        self.search, self.study = search, study
        self.shown = 0.0
        given = search.context, search.task, search.config
        self.launcher = None if search.native else Plugins.instance().instantiate_launcher(*given)

    def train(self, jobs: Mapping[int, Sequence[str]]) -> None:
        # runs of other launchers open the study themselves
        prunes = self.search.native and self.search.goals.prune_on
        pruning = of_study(self.study, self.search.options, jobs.keys()) if prunes else None
        if pruning:
            pruning.replicates = self.search.replicates.count
        self.launch(self.search.replicates.jobs(jobs), pruning)

    def launch(self, jobs: Mapping[int, Sequence[str]], pruning: Prunes | None) -> None:
        """Train jobs, in native code with a pruner where there is one."""
        if self.launcher is None:
            from neuronsweep.launch.native import NativeLauncher  # late: needs torch

            given = self.search.context, self.search.config, self.search.task
            NativeLauncher(*given, quiet=True).launch(jobs, pruning)
            return
        try:
            launch(self.launcher, jobs)
        except (UserError, Unwritable):
            raise
        except Exception as error:  # a process died, and the launcher with it: runs that did not end go back
            stopping.look()
            console.say(f"hydra/launcher={self.search.launcher} ended early: {error}")

    def outcome(self, number: int) -> Outcome | None:
        runs = self.search.replicates.runs(number)
        return outcomes.of_trial([run_directory(self.search.directory, run) for run in runs], self.search.goals)

    def show_progress(self) -> None:
        """Print how many trials have ended and the best, now and then."""
        if time.monotonic() - self.shown < SECONDS_BETWEEN_NEWS:
            return
        self.shown = time.monotonic()
        trials, goals = self.study.trials(), self.search.goals
        ended = sum(trial.state.is_finished() for trial in trials)
        best = outcomes.best(trials, goals)
        values = dict(zip(goals.objectives, best[0].values, strict=True)) if len(best) == 1 else {}
        words = [f"{metric} {console.number(value)} (#{best[0].number})" for (metric, _), value in values.items()]
        console.say(f"{ended}/{self.study.total} trials" + (f"  best {', '.join(words)}" if words else ""))


class Worker:
    """What a worker process does: it trains trials of a shared study until none is left.

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
        try:
            search = Search(self.context, self.config, self.task, self.arguments)
            study = Study(open_storage(self.where), search.options.study_name, search.total)
            with Heart(study.optuna):
                Asker(study, search, Trainer(search, study), employer).run()
        except KeyboardInterrupt:  # the employer says how the search goes on
            sys.exit(stopping.status())
        except (UserError, Unwritable) as error:
            sys.exit(f"error: {error}")


def _employ(search: Search, study: Study) -> None:
    """Start workers, and again while there is work that nobody does."""
    from neuronsweep.launch.native import say_missing_engine  # late: needs torch

    context = multiprocessing.get_context("fork")
    console.say(f"{study.unfinished()} trials for {search.options.workers} workers")
    say_missing_engine(search.config.trainer.precision)  # else each worker would say it
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
            console.say(f"{len(dead)} workers died, and their trials are given to others; exit status {dead[0]}")
        fruitless = fruitless + 1 if study.unfinished() == left else 0
        if fruitless == FRUITLESS:
            raise UserError("no worker of this search can train; their messages are above")
