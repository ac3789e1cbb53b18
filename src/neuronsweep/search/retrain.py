"""Trains the runs of finished trials again whose files are damaged or missing."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from optuna.trial import FrozenTrial, TrialState

from neuronsweep import console
from neuronsweep.runs import files
from neuronsweep.runs.run import Run
from neuronsweep.runs.sweep import run_directory
from neuronsweep.search.outcomes import ORIGINAL
from neuronsweep.search.replicates import Replicates
from neuronsweep.search.study import Study


class AsBefore:
    """Stands for a pruner: stops runs after the epochs at which they were stopped, and no others."""

    def __init__(self, metric: str, trials: Sequence[FrozenTrial], replicates: int = 1):
        self.metric, self.replicates = metric, replicates
        self.ends: Mapping[int, int | None] = {
            trial.number: trial.last_step for trial in trials if trial.state == TrialState.PRUNED
        }

    def report(self, number: int, epoch: int, value: float) -> bool:
        """Whether a run ends here."""
        return epoch >= (self.ends.get(number) or math.inf)

    def publish(self) -> None:
        """The study has all values already."""


def discard_damaged(study: Study, sweep: Path, alone: bool, replicates: Replicates) -> list[FrozenTrial]:
    """Remove runs of finished trials that are not what was written; returns their trials.

    Args:
        alone: whether all runs of the study are in this sweep directory, so that one that is missing is gone.
    """
    found = []
    for trial in study.trials(TrialState.COMPLETE, TrialState.PRUNED):
        if ORIGINAL in trial.user_attrs:
            continue
        runs = [run_directory(sweep, number) for number in replicates.runs(trial.number)]
        whole = [_is_whole(run, trial, alone) for run in runs]
        if not all(whole):
            found.append(trial)
    return found


def _is_whole(run: Path, trial: FrozenTrial, alone: bool) -> bool:
    """Whether a run of a trial is what was written; what is left of one that is not is removed."""
    try:
        if Run(run).has_begun:
            Run(run).verified()
        elif alone:
            raise files.Damaged(run, "gone")
    except files.Damaged as error:
        console.say(f"#{trial.number} is trained again: {error}")
        if run.exists():
            Run(run).discard()
        return False
    return True
