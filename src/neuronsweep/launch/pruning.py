"""What a trial needs to report a metric to its pruner, in this process or another one; imports nothing of search."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from omegaconf import OmegaConf

from neuronsweep.runs.sweep import study_storage

# The environment variable that says which trial a process trains.
ASKED = "NEURONSWEEP_TRIAL"


class Prunes(Protocol):
    """Says of trials that report a metric at log points whether they shall stop.

    Attributes:
        replicates: how many runs a trial has, whose mean is reported; those of trial t are t * replicates and the next.
    """

    metric: str
    replicates: int

    def report(self, number: int, epoch: int, value: float) -> bool: ...
    def publish(self) -> None: ...


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

    def environment(self) -> dict[str, str]:
        """What a process finds it by that is started for this run."""
        return {ASKED: json.dumps(asdict(self))}


def asked(hydra: Any, number: int) -> Asked | None:
    """A Hydra job as a run that Optuna may prune, None where it is no such run."""
    options = hydra.sweeper
    if options.get("pruner", "none") == "none" or "n_trials" not in options or options.get("replicates"):
        return None
    where = study_storage(options.storage, Path(hydra.sweep.dir))
    own = OmegaConf.to_container(options.pruner_options, resolve=True)
    assert isinstance(own, dict)
    return Asked(
        number, where, options.study_name, options.n_trials, options.pruner, {str(k): v for k, v in own.items()}
    )


def asked_of_process() -> Asked | None:
    """The run that this process was started for, where Optuna may prune it."""
    return Asked(**json.loads(os.environ[ASKED])) if ASKED in os.environ else None
