"""The loop of a search: ask for some trials, have them trained, tell what became of them in order."""

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from optuna.trial import FrozenTrial, TrialState

from neuronsweep.errors import UserError
from neuronsweep.launch.pruning import Prunes
from neuronsweep.search import outcomes
from neuronsweep.search.samplers import Sampling
from neuronsweep.search.study import Outcome, Study

# Seconds between two looks at trials that others train, when there is nothing else to do.
LOOK = 0.5


class Launch(Protocol):
    """Trains jobs by their numbers and returns when they have ended."""

    def __call__(self, jobs: Mapping[int, Sequence[str]], pruning: Prunes | None) -> None: ...


class Asker:
    """Asks a study, has its trials trained and tells it, until no trial is left.

    Args:
        ask: the parameters of a trial, and with them the overrides of its run.
        check: raises UserError for overrides that no run can have.
        outcome: what became of a run, None where it did not end.
        pruning: of the trials with these numbers, or None.
        tell: called when a batch has been told to the study.
        stop: asked between batches; when true, the loop ends.
        blame: whether trials are to blame for the deaths of processes that are seen here.
    """

    def __init__(
        self,
        study: Study,
        batch: int,
        sampling: Sampling,
        ask: Callable[[Any], dict[str, Any]],
        overrides: Callable[[Mapping[str, Any]], list[str]],
        check: Callable[[Sequence[str]], None],
        launch: Launch,
        outcome: Callable[[int], Outcome | None],
        pruning: Callable[[Sequence[int]], Prunes | None],
        tell: Callable[[], None] = lambda: None,
        stop: Callable[[], bool] = lambda: False,
        blame: bool = False,
    ):
        self.study, self.batch, self.sampling = study, batch, sampling
        self.ask, self.overrides, self.check = ask, overrides, check
        self.launch, self.outcome, self.pruning, self.news, self.stop = launch, outcome, pruning, tell, stop
        self.blame = blame
        self.held: dict[int, int] = {}  # trials that wait for the result of another one with the same parameters
        self.known: dict[int, tuple[str, ...]] = {}  # overrides of the trials that have ended

    def run(self) -> None:
        """Go on until all trials of the study have ended, those that other processes train included."""
        self.study.reclaim(self.blame)
        while not self.stop():
            numbers = self.study.claim(self.batch)
            if numbers:
                try:
                    self._train(numbers)
                except BaseException:  # stopped, or nothing can be written: nobody is to blame
                    self._give_back(numbers)
                    raise
                self.news()
            elif not self._tell_held():
                if not self.study.unfinished():
                    return
                if not self.study.reclaim(self.blame):
                    time.sleep(LOOK)

    def _train(self, numbers: Sequence[int]) -> None:
        jobs: dict[int, list[str]] = {}
        impossible: dict[int, str] = {}
        originals = self._originals(numbers)
        for number in numbers:
            try:
                overrides = self.overrides(self.study.suggest(number, self.sampling(number), self.ask))
                original = originals.setdefault(tuple(overrides), number)
                if original != number:
                    self.held[number] = original
                    continue
                self.check(overrides)
                jobs[number] = overrides
            except UserError as error:  # values that are allowed alone only, or a space that cannot be asked
                impossible[number] = str(error)
        if jobs:
            self.launch(jobs, self.pruning(list(jobs)))
        for number in numbers:
            if number in impossible:
                self.study.tell(number, Outcome(TrialState.FAIL, error=impossible[number]))
            elif number in jobs:
                outcome = self.outcome(number)
                if outcome:
                    self.study.tell(number, outcome)
                else:  # whoever trained it died
                    self.study.release(number, blame=True)
            self._tell_held()

    def _give_back(self, numbers: Sequence[int]) -> None:
        for number in {*numbers, *self.held}:
            self.held.pop(number, None)
            with contextlib.suppress(Exception):
                self.study.release(number)

    def _originals(self, numbers: Sequence[int]) -> dict[tuple[str, ...], int]:
        """By its overrides, the first trial that has ended, or that others train and that comes before these."""
        found: dict[tuple[str, ...], int] = {}
        for trial in self.study.trials():
            trained = trial.state == TrialState.RUNNING and trial.number < numbers[0]
            if trial.params and (trial.state.is_finished() or trained):
                found.setdefault(self._key(trial), trial.number)
        return found

    def _key(self, trial: FrozenTrial) -> tuple[str, ...]:
        if trial.number in self.known:
            return self.known[trial.number]
        key = tuple(self.overrides(trial.params))
        if trial.state.is_finished():
            self.known[trial.number] = key
        return key

    def _tell_held(self) -> bool:
        """Tell the results of others again as far as they are known; returns whether there was one."""
        if not self.held:
            return False
        trials = self.study.trials()
        ready = [number for number, original in self.held.items() if trials[original].state.is_finished()]
        for number in ready:
            original = trials[self.held.pop(number)]
            for epoch, value in original.intermediate_values.items():
                self.study.report(number, epoch, value)
            self.study.tell(number, outcomes.again(original))
        return bool(ready)
