"""A study that survives its processes: a fixed number of trials, each given to one process and reported once."""

import contextlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.exceptions import DuplicatedStudyError, UpdateFinishedTrialError
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from neuronsweep import console
from neuronsweep.errors import UserError
from neuronsweep.search import heartbeat
from neuronsweep.search.storage import together

# Attributes of ours: what a study searches, how it prunes, that its trials have been made; whose a trial is and how
# many processes died of it.
SEARCH, PRUNING, FILLED, OWNER, TRIES = "search", "pruning", "filled", "owner", "tries"
# A trial whose process died so often is FAIL: it may be the one that kills them.
MOST_TRIES = 3
# Seconds within which a process that has claimed a trial has put its name on it.
CLAIMING = 5.0
# Seconds without a new trial until a process that fills a study is taken for dead.
FILLING = 5.0


@dataclass(frozen=True)
class Outcome:
    """The outcome of a trial.

    Attributes:
        state: COMPLETE with ``values``, PRUNED, or FAIL with ``error``.
        violations: of each constraint by its text; 0 or less where it is satisfied.
        attrs: further user attributes, such as the run directory.
    """

    state: TrialState
    values: Sequence[float] | None = None
    violations: Mapping[str, float] = field(default_factory=dict)
    error: str | None = None
    attrs: Mapping[str, Any] = field(default_factory=dict)


class Ranked(optuna.Study):
    """A study with several objectives in which TPE can rank pruned trials: by the metric that they were pruned on.

    Optuna's own raises that it has no direction, and TPE, which reads one once a trial is PRUNED, fails with that.
    """

    @property
    def direction(self) -> StudyDirection:
        if len(self.directions) == 1:
            return super().direction
        mode = self.user_attrs.get(PRUNING, {}).get("mode")
        return StudyDirection.MAXIMIZE if mode == "max" else StudyDirection.MINIMIZE


class Study:
    """An Optuna study with a budget.

    Its ``total`` trials exist from the start, as WAITING ones: whoever wants to train claims the first of them, which
    storages grant to one process only. So the total is never overshot, and numbers have no holes.
    """

    def __init__(self, storage: BaseStorage, name: str, total: int):
        # of a database with Optuna's cache of what cannot change any more, which a trial of it must have passed through
        self.storage, self.name, self.total = optuna.storages.get_storage(storage), name, total
        self.optuna = Ranked(study_name=name, storage=self.storage, sampler=optuna.samplers.RandomSampler(0))
        self.id = self.storage.get_study_id_from_name(name)
        self.me = heartbeat.identity()

    def trials(self, *states: TrialState) -> list[FrozenTrial]:
        """The trials that belong to the total, of these states or all; not to be changed."""
        found = self.storage.get_all_trials(self.id, deepcopy=False, states=states or None)
        return [trial for trial in found if trial.number < self.total]

    def unfinished(self) -> int:
        return len(self.trials(TrialState.WAITING, TrialState.RUNNING))

    def reclaim(self, blame: bool = False) -> int:
        """Release the trials of dead processes, so that others train them under their numbers; returns how many.

        Args:
            blame: a trial may be why its process died; one that has died too often is ended. Else somebody ended it.
        """
        attrs = self.optuna.user_attrs
        stale = [trial for trial in self.trials(TrialState.RUNNING) if self._is_stale(trial, attrs)]
        for trial in stale:
            self.release(trial.number, blame)
        return len(stale)

    def release(self, number: int, blame: bool = False) -> None:
        """Release a RUNNING trial, or end it when it is to ``blame`` for too many deaths.

        Two processes may release the same trial at once, and it may then be trained twice, to the same bits; the
        second to tell is not heard.
        """
        trial = self._frozen(number)
        if trial.state != TrialState.RUNNING:
            return
        tries = trial.user_attrs.get(TRIES, 0) + blame
        if tries >= MOST_TRIES:
            self.tell(number, Outcome(TrialState.FAIL, error=f"its process died {tries} times"))
            return
        with contextlib.suppress(UpdateFinishedTrialError):
            self.storage.set_trial_user_attr(self._trial_id(number), TRIES, tries)
            self.storage.set_trial_user_attr(self._trial_id(number), OWNER, None)
            self.storage.set_trial_state_values(self._trial_id(number), TrialState.WAITING)

    def claim(self, batch: int) -> list[int]:
        """Numbers of the next trials, now RUNNING and this process's: up to the next multiple of ``batch``.

        So a sweep that continues has the batches of one that was not interrupted. Where another process was faster, the
        rest of its batch is left to it: many workers that fight for each trial would keep a database from its work.
        """
        claimed: list[int] = []
        left: int | None = None
        for trial in self.trials(TrialState.WAITING):
            if claimed and trial.number // batch != claimed[0] // batch:
                break
            if trial.number // batch == left:
                continue
            left = trial.number // batch
            with contextlib.suppress(UpdateFinishedTrialError):
                if self.storage.set_trial_state_values(self._trial_id(trial.number), TrialState.RUNNING):
                    self.storage.set_trial_user_attr(self._trial_id(trial.number), OWNER, self.me)
                    claimed.append(trial.number)
                    left = None
        return claimed

    def suggest(self, number: int, sampler: BaseSampler, ask: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        """Parameters of a claimed trial; one that was released keeps those it had."""
        self.optuna.sampler = sampler
        trial = Trial(self.optuna, self._trial_id(number))  # apart: samplers note here what they read below
        with together(self.storage):
            return ask(trial)

    def tell(self, number: int, outcome: Outcome) -> None:
        """End a trial; ignored where another process has done so."""
        trial_id = self._trial_id(number)
        try:
            with together(self.storage):
                for key, value in outcome.attrs.items():
                    self.storage.set_trial_user_attr(trial_id, key, value)
                if outcome.error:
                    self.storage.set_trial_user_attr(trial_id, "error", outcome.error)
                for text, violation in outcome.violations.items():
                    self.storage.set_trial_system_attr(trial_id, f"constraints:{text}", violation)
            self.optuna.tell(number, outcome.values, state=outcome.state)
        except (ValueError, RuntimeError):
            # Optuna says so of a trial that is not RUNNING any more, and when an exhaustive sampler has seen everything
            if self._frozen(number).state == TrialState.RUNNING:
                raise

    def report(self, number: int, epoch: int, value: float) -> None:
        """Store a value at a log epoch; Optuna's own way refuses where there are several objectives."""
        with contextlib.suppress(UpdateFinishedTrialError):
            self.storage.set_trial_intermediate_value(self._trial_id(number), epoch, value)

    def note(self, number: int, attrs: Mapping[str, Any]) -> None:
        """Store system attributes of a trial, such as a pruner's."""
        with contextlib.suppress(UpdateFinishedTrialError):
            for key, value in attrs.items():
                self.storage.set_trial_system_attr(self._trial_id(number), key, value)

    def _is_stale(self, trial: FrozenTrial, attrs: Mapping[str, Any]) -> bool:
        owner = trial.user_attrs.get(OWNER)
        if owner is None:
            what = f"{self.storage} {trial._trial_id} without an owner"
            return heartbeat.seconds_unchanged(what, trial.datetime_start) > CLAIMING
        return owner != self.me and not heartbeat.is_alive(owner, attrs)

    def _frozen(self, number: int) -> FrozenTrial:
        return self.storage.get_trial(self._trial_id(number))

    def _trial_id(self, number: int) -> int:
        return self.storage.get_trial_id_from_study_id_trial_number(self.id, number)


def changed_search(before: Mapping[str, Any], now: Mapping[str, Any], accept: bool) -> str | None:
    """What makes a search another one, or None; other source does unless that is to be accepted."""
    now = json.loads(json.dumps(now))
    for key, value in now.items():
        was = before.get(key)
        if was == value or (key == "source" and accept):
            continue
        if key == "source":
            return "by another source of the package; to go on with this one: --accept-changes"
        if isinstance(value, dict) and isinstance(was, dict):
            key = next(name for name in sorted(was.keys() | value.keys()) if was.get(name) != value.get(name))
            was = was.get(key)
        return f"whose {key} was {console.brief(was)}"
    return None


def check_search(storage: BaseStorage, name: str, search: Mapping[str, Any], accept: bool) -> bool:
    """Whether a study of this name exists. Raises UserError where it searches something else.

    ``accept``: continue with a study that other source of the package has begun.
    """
    try:
        study_id = storage.get_study_id_from_name(name)
    except KeyError:
        return False
    before = storage.get_study_user_attrs(study_id).get(SEARCH)
    if before is None and not storage.get_all_trials(study_id, deepcopy=False):
        return True  # killed, or not yet there, between its making and its first words
    if before is None:
        raise UserError(f"hydra.sweeper.study_name={name} is not allowed: another program's study has this name")
    if told := changed_search(before, search, accept):
        raise UserError(f"hydra.sweeper.study_name={name} is not allowed: it belongs to another search, {told}")
    return True


def create(storage: BaseStorage, name: str, search: Mapping[str, Any], accept: bool, directions: Sequence[Any]) -> None:
    """Make a study without trials, or find the one that has the name: see ``check_search``."""
    try:
        made = optuna.create_study(storage=storage, study_name=name, directions=directions)
    except DuplicatedStudyError:
        check_search(storage, name, search, accept)
        _wait_until_filled(storage, name)
        made = optuna.load_study(storage=storage, study_name=name)
    made.set_user_attr(SEARCH, dict(search))  # before its trials, so that whoever comes sees whose the study is


def fill(storage: BaseStorage, name: str, total: int, guesses: Sequence[Mapping[str, Any]]) -> Study:
    """A study that exists, with what it lacks of ``total`` trials and of its first guesses."""
    study = Study(storage, name, total)
    for guess in guesses:
        if len(study.trials()) < total:
            study.optuna.enqueue_trial(dict(guess), skip_if_exists=True)
    for _ in range(total - len(study.trials())):
        study.optuna.add_trial(create_trial(state=TrialState.WAITING))
    study.optuna.set_user_attr(FILLED, True)
    return study


def _wait_until_filled(storage: BaseStorage, name: str) -> None:
    """One process makes the trials: two that do it at once would make too many."""
    study_id = storage.get_study_id_from_name(name)
    count, since = -1, time.monotonic()
    while FILLED not in storage.get_study_user_attrs(study_id) and time.monotonic() - since < FILLING:
        if (now := storage.get_n_trials(study_id)) != count:
            count, since = now, time.monotonic()
        time.sleep(0.1)
