"""Decides, with Optuna's pruner, which of the runs that report a metric at log points are stopped."""

import time
from collections.abc import Collection, Mapping
from typing import Any

import optuna
from optuna.trial import TrialState, create_trial

from neuronsweep.launch.pruning import Asked, Prunes
from neuronsweep.search import samplers
from neuronsweep.search.retrain import AsBefore
from neuronsweep.search.storage import open_storage, together
from neuronsweep.search.study import PRUNING, Study

# Seconds between two looks at what other processes have reported.
LOOK = 1.0


class Pruning:
    """Decides with one pruner which runs of a search are stopped.

    It uses a copy of the study in memory, which costs microseconds and works with any number of objectives. The
    answer depends only on the trials reported before and on the reports in the order in which they come.

    Args:
        study: the study to which trials are reported.
        pruner: one of Optuna's; its steps are epochs.
        metric, mode: what is reported, and whether less of it is better.
        own: numbers of the trials that will be reported here. What an interrupted try has stored of them is left
            out, for their reports come again.
        shared: reports are stored at once and those of other processes are looked for; else ``publish`` stores.
    """

    def __init__(
        self,
        study: Study,
        pruner: optuna.pruners.BasePruner,
        metric: str,
        mode: str,
        own: Collection[int],
        shared: bool = False,
    ):
        self.study, self.pruner, self.metric, self.mode = study, pruner, metric, mode
        self.own, self.shared = frozenset(own), shared
        self.replicates = 1
        self.reported: dict[int, dict[int, float]] = {}
        self.published: dict[int, int] = {}
        self._copy()

    def report(self, number: int, epoch: int, value: float) -> bool:
        """Report a run's value; returns whether the run should stop. An epoch is reported once only."""
        if epoch in self.reported.get(number, {}):
            return False
        if self.shared and time.monotonic() - self.copied > LOOK:
            self._copy()
        self.reported.setdefault(number, {})[epoch] = value
        trial = self._trial(number)
        trial.report(value, epoch)
        prunes = trial.should_prune()
        if self.shared:
            self.publish()
        return prunes

    def publish(self) -> None:
        """Store what has been reported, and what the pruner noted of it, in the study."""
        with together(self.study.storage):
            for number, values in self.reported.items():
                for epoch in list(values)[self.published.get(number, 0) :]:
                    self.study.report(number, epoch, values[epoch])
                self.published[number] = len(values)
                attrs = self._frozen(number).system_attrs
                self.study.note(number, {key: value for key, value in attrs.items() if key not in self.noted[number]})
                self.noted[number] |= attrs.keys()

    def _copy(self) -> None:
        """Copy the study, with this process's trials as they are known here."""
        mirror = optuna.create_study(
            study_name=self.study.name,  # Hyperband's brackets are drawn from it
            direction="minimize" if self.mode == "min" else "maximize",
            sampler=optuna.samplers.RandomSampler(0),
            pruner=self.pruner,
        )
        noted: dict[int, set[str]] = {}
        for trial in self.study.trials():
            own = trial.number in self.own
            values = self.reported.get(trial.number, {}) if own else trial.intermediate_values
            attrs: Mapping[str, Any] = trial.system_attrs
            if own:
                attrs = self._frozen(trial.number).system_attrs if trial.number in self.reported else {}
            noted[trial.number] = set(attrs) if own else set()
            state, value = trial.state, None
            if state == TrialState.WAITING or own:
                state = TrialState.RUNNING
            elif state == TrialState.COMPLETE:
                several = trial.values is not None and len(trial.values) > 1
                last = values[max(values)] if values else None
                value = last if several or trial.value is None else trial.value
                state = state if value is not None else TrialState.FAIL
            elif state == TrialState.PRUNED:
                value = values[max(values)] if values else None
            mirror.add_trial(
                create_trial(
                    state=state,
                    value=value,
                    intermediate_values=dict(values),
                    system_attrs={key: one for key, one in attrs.items() if key.startswith("completed_rung")},
                )
            )
        self.mirror, self.noted, self.copied = mirror, noted, time.monotonic()
        self.asked: dict[int, optuna.Trial] = {}

    def _trial(self, number: int) -> optuna.Trial:
        if number not in self.asked:
            self.asked[number] = optuna.Trial(self.mirror, self._frozen(number)._trial_id)
        return self.asked[number]

    def _frozen(self, number: int) -> optuna.trial.FrozenTrial:
        return self.mirror.get_trials(deepcopy=False)[number]


def open_pruning(asked: Asked) -> Prunes:
    """The pruning of one run alone; one of a trial that has ended is trained again, and ends where it did."""
    study = Study(open_storage(asked.storage), asked.study_name, asked.n_trials)
    trial = study.trials()[asked.number]
    if trial.state.is_finished():
        return AsBefore(study.optuna.user_attrs[PRUNING]["metric"], [trial])
    found = of_study(study, asked, own=[asked.number], shared=True)
    assert found
    return found


def of_study(study: Study, options: Any, own: Collection[int], shared: bool = False) -> Pruning | None:
    """The pruning that hydra.sweeper configures in a study that has begun, or None."""
    attrs = study.optuna.user_attrs[PRUNING]
    found = samplers.pruner(options.pruner, options.pruner_options, attrs["epochs"])
    return Pruning(study, found, attrs["metric"], attrs["mode"], own, shared) if found else None
