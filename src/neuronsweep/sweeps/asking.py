"""The loop of a search: ask for some trials, have them trained, tell what became of them in order."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from optuna.trial import FrozenTrial, TrialState

from neuronsweep.errors import UserError
from neuronsweep.sweeps import outcomes
from neuronsweep.sweeps.pruning import Pruning
from neuronsweep.sweeps.samplers import Sampling
from neuronsweep.sweeps.study import Outcome, Study

# Seconds between two looks at trials that others train, when there is nothing else to do.
LOOK = 0.5


class Launch(Protocol):
    """Trains jobs by their numbers and returns when they have ended."""

    def __call__(self, jobs: Mapping[int, Sequence[str]], pruning: Pruning | None) -> None: ...


class Asker:
    """Asks a study, has its trials trained and tells it, until no trial is left.

    Args:
        ask: the parameters of a trial, and with them the overrides of its run.
        check: raises UserError for overrides that no run can have.
        outcome: what became of a run, None where it did not end.
        pruning: of the trials with these numbers, or None.
        tell: called when a batch has been told to the study.
        stop: asked between batches; when true, the loop ends.
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
        pruning: Callable[[Sequence[int]], Pruning | None],
        tell: Callable[[], None] = lambda: None,
        stop: Callable[[], bool] = lambda: False,
    ):
        self.study, self.batch, self.sampling = study, batch, sampling
        self.ask, self.overrides, self.check = ask, overrides, check
        self.launch, self.outcome, self.pruning, self.news, self.stop = launch, outcome, pruning, tell, stop
        self.held: dict[int, int] = {}  # trials that wait for the result of another one with the same parameters
        self.known: dict[int, tuple[str, ...]] = {}  # overrides of the trials that have ended

    def run(self) -> None:
        """Go on until all trials of the study have ended, those that other processes train included."""
        while self.study.unfinished() and not self.stop():
            self.study.reclaim()
            numbers = self.study.claim(self.batch)
            if numbers:
                self._train(numbers)
                self.news()
            elif not self._tell_held():
                time.sleep(LOOK)

    def _train(self, numbers: Sequence[int]) -> None:
        jobs: dict[int, list[str]] = {}
        impossible: dict[int, str] = {}
        for number in numbers:
            params = self.study.suggest(number, self.sampling(number), self.ask)
            overrides = self.overrides(params)
            original = self._original(number, overrides)
            if original is not None:
                self.held[number] = original
                continue
            try:
                self.check(overrides)
                jobs[number] = overrides
            except UserError as error:  # values that are allowed alone and not together
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
                    self.study.release(number)
            self._tell_held()

    def _original(self, number: int, overrides: Sequence[str]) -> int | None:
        """A trial with the same parameters that has ended, or an earlier one that is being trained."""
        key = tuple(overrides)
        for trial in self.study.trials():
            if trial.number == number or trial.state == TrialState.WAITING or not trial.params:
                continue
            ended = trial.state.is_finished()
            if (ended or trial.number < number) and self._key(trial) == key:
                return trial.number
        return None

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
