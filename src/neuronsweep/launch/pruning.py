"""The seam between those who train and the pruner: a value at a log epoch goes in, whether to stop comes out."""

import json
import os
import time
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from omegaconf import OmegaConf

if TYPE_CHECKING:
    import optuna

    from neuronsweep.search.study import Study

# Seconds between two looks at what other processes have reported.
LOOK = 1.0
# How a process is told which trial it trains.
ASKED = "NEURONSWEEP_TRIAL"


class Prunes(Protocol):
    """Says of runs that report a metric at log points whether they shall stop."""

    metric: str

    def report(self, number: int, epoch: int, value: float) -> bool: ...
    def publish(self) -> None: ...


class Pruning:
    """Asks one pruner about the runs of a search.

    It asks in a copy of the study in memory: a question costs microseconds, works with any number of objectives, and
    the answer depends only on the trials told before and on the reports in the order in which they come.

    Args:
        study: where trials are told.
        pruner: one of Optuna's; its steps are epochs.
        metric, mode: what is reported, and whether less of it is better.
        own: numbers of the trials that will be reported here. What an interrupted try has stored of them is left
            out, for their reports come again.
        shared: reports are stored at once and those of other processes are looked for; else ``publish`` stores.
    """

    def __init__(
        self,
        study: "Study",
        pruner: "optuna.pruners.BasePruner",
        metric: str,
        mode: str,
        own: Collection[int],
        shared: bool = False,
    ):
        self.study, self.pruner, self.metric, self.mode = study, pruner, metric, mode
        self.own, self.shared = frozenset(own), shared
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
        from neuronsweep.search.storage import together

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
        import optuna
        from optuna.trial import TrialState, create_trial

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

    def _trial(self, number: int) -> "optuna.Trial":
        import optuna

        if number not in self.asked:
            self.asked[number] = optuna.Trial(self.mirror, self._frozen(number)._trial_id)
        return self.asked[number]

    def _frozen(self, number: int) -> "optuna.trial.FrozenTrial":
        return self.mirror.get_trials(deepcopy=False)[number]


@dataclass(frozen=True)
class Asked:
    """A run of a search with pruning that reaches its study through the storage, because another process trains it.

    Attributes:
        number: of its trial.
        storage, study_name, n_trials: where the study is, and its total.
        pruner, pruner_options: as in hydra.sweeper.
    """

    number: int
    storage: str
    study_name: str
    n_trials: int
    pruner: str
    pruner_options: dict[str, Any]

    def open(self) -> Prunes:
        """The pruning of this run alone; one of a trial that has ended is trained again, and ends where it did."""
        from neuronsweep.search.retrain import AsBefore
        from neuronsweep.search.storage import open_storage
        from neuronsweep.search.study import PRUNING, Study

        study = Study(open_storage(self.storage), self.study_name, self.n_trials)
        trial = study.trials()[self.number]
        if trial.state.is_finished():
            return AsBefore(study.optuna.user_attrs[PRUNING]["metric"], [trial])
        found = of_study(study, self, own=[self.number], shared=True)
        assert found
        return found

    def environment(self) -> dict[str, str]:
        """What a process finds it by that is started for this run."""
        return {ASKED: json.dumps(asdict(self))}


def asked(hydra: Any, number: int) -> Asked | None:
    """A Hydra job as a run that Optuna may prune, None where it is no such run."""
    options = hydra.sweeper
    if options.get("pruner", "none") == "none" or "n_trials" not in options:
        return None
    from neuronsweep.search.storage import place

    where = place(options.storage, Path(hydra.sweep.dir))
    own = OmegaConf.to_container(options.pruner_options, resolve=True)
    assert isinstance(own, dict)
    return Asked(
        number, where, options.study_name, options.n_trials, options.pruner, {str(k): v for k, v in own.items()}
    )


def asked_of_process() -> Asked | None:
    """The run that this process was started for, where Optuna may prune it."""
    return Asked(**json.loads(os.environ[ASKED])) if ASKED in os.environ else None


def of_study(study: "Study", options: Any, own: Collection[int], shared: bool = False) -> Pruning | None:
    """The pruning that hydra.sweeper asks for in a study that has begun, or None."""
    from neuronsweep.search import samplers
    from neuronsweep.search.study import PRUNING

    attrs = study.optuna.user_attrs[PRUNING]
    found = samplers.pruner(options.pruner, options.pruner_options, attrs["epochs"])
    return Pruning(study, found, attrs["metric"], attrs["mode"], own, shared) if found else None
