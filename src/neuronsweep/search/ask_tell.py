"""The loop of a search: propose trials, have them trained, and report their results to the study in order."""

import contextlib
import os
import time
from collections.abc import Mapping, Sequence
from typing import Protocol

from optuna.trial import FrozenTrial, TrialState

from neuronsweep import stopping
from neuronsweep.errors import UserError
from neuronsweep.search import outcomes
from neuronsweep.search.definition import Search
from neuronsweep.search.study import Outcome, Study

# Seconds between two looks at trials that others train, when there is nothing else to do.
LOOK = 0.5


class Trainer(Protocol):
    """Trains the runs of trials, and says what became of them."""

    def train(self, jobs: Mapping[int, Sequence[str]]) -> object:
        """Train jobs by their numbers; returns when they have ended."""

    def outcome(self, number: int) -> Outcome | None:
        """What became of a run, None where it did not end."""

    def show_progress(self) -> object:
        """Called when the results of a batch are in the study."""


class Asker:
    """Asks a study, has its trials trained and gives it the results, until no trial is left.

    Args:
        employer: the process whose worker this one is, which ends with it: trials may be to blame for deaths that are
            seen here. None where it works for itself.
    """

    def __init__(self, study: Study, search: Search, trainer: Trainer, employer: int | None = None):
        self.study, self.search, self.trainer, self.employer = study, search, trainer, employer
        self.held: dict[int, int] = {}  # trials that wait for the result of another one with the same parameters
        self.known: dict[int, tuple[str, ...]] = {}  # overrides of the trials that have ended

    def run(self) -> None:
        """Go on until all trials of the study have ended, those that other processes train included."""
        blame = self.employer is not None
        self.study.reclaim(blame)
        while not self._is_orphaned():
            numbers = self.study.claim(self.search.batch)
            if numbers:
                try:
                    self._train(numbers)
                except BaseException:  # stopped, or nothing can be written: nobody is to blame
                    self._give_back(numbers)
                    raise
                self.trainer.show_progress()
            elif not self._tell_held():
                if not self.study.unfinished():
                    return
                if not self.study.reclaim(blame):
                    time.sleep(LOOK)

    def _is_orphaned(self) -> bool:
        stopping.look()
        return self.employer is not None and os.getppid() != self.employer

    def _train(self, numbers: Sequence[int]) -> None:
        jobs: dict[int, list[str]] = {}
        impossible: dict[int, str] = {}
        originals = self._originals(numbers)
        for number in numbers:
            try:
                sampler, space = self.search.sampling(number), self.search.space
                overrides = self.search.overrides(self.study.suggest(number, sampler, space.suggest))
                original = originals.setdefault(tuple(overrides), number)
                if original != number:
                    self.held[number] = original
                    continue
                self.search.check_overrides(overrides)
                jobs[number] = overrides
            except UserError as error:  # values that are allowed alone only, or a space whose function fails
                impossible[number] = str(error)
        if jobs:
            self.trainer.train(jobs)
        for number in numbers:
            if number in impossible:
                self.study.tell(number, Outcome(TrialState.FAIL, error=impossible[number]))
            elif number in jobs:
                outcome = self.trainer.outcome(number)
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
        key = tuple(self.search.overrides(trial.params))
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
