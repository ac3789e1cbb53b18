"""hydra.sweeper of hydra/sweeper=optuna: the keys of a search, their defaults and allowed values."""

from dataclasses import dataclass, field
from typing import Any

from neuronsweep.config.allowed import SEED, key, one_of, whole
from neuronsweep.config.schemas.config import Objective

SAMPLERS = ("tpe", "random", "cmaes", "gp", "nsgaii", "qmc", "grid", "brute")
PRUNERS = ("none", "median", "percentile", "halving", "hyperband", "wilcoxon", "patient")


@dataclass
class SearchOptions:
    """hydra/sweeper=optuna."""

    _target_: str = "hydra_plugins.neuronsweep.optuna_sweeper.OptunaSweeper"
    # the study's total, trials of earlier commands included
    n_trials: int = key(100, whole(1))
    # trials proposed at once and trained together; null: 32, or 1 where runs are trained one by one
    batch: int | None = key(None, whole(1))
    # key -> choice(...), range(...), interval(...); the command line adds to it and goes before it
    params: dict[str, Any] = field(default_factory=dict)
    # package.function(trial), which calls trial.suggest_* for further keys, some perhaps only for some values of others
    space: str | None = None
    # KEY=VALUES, as data.fold=range(5): each trial has a run for every value, and comes to their mean; null: one run
    replicates: str | None = None
    # first guesses: [{model.hidden: 8, optimizer.lr: 0.01}, ...]
    enqueue: list[Any] = field(default_factory=list)
    sampler: str = key("tpe", one_of(*SAMPLERS))
    sampler_options: dict[str, Any] = field(default_factory=dict)
    seed: int = key(0, SEED)
    pruner: str = key("none", one_of(*PRUNERS))
    pruner_options: dict[str, Any] = field(default_factory=dict)
    # the metric that the pruner reads at log points; null: the objective, where there is one
    prune_on: str | None = None
    # what is searched for; empty: the objective of the config
    objectives: list[Objective] = field(default_factory=list)
    # what the best must satisfy besides: ["params <= 200", "dead <= 0.5"]
    constraints: list[str] = field(default_factory=list)
    # an Optuna URL or the path of a journal; null: optuna.journal in the sweep directory
    storage: str | None = None
    study_name: str = "sweep"
    # of a search that continues in its directory: train runs of another config, source or data again
    accept_changes: bool = False
    retry_failed: bool = False
    # processes that share the study, started by the launcher
    workers: int = key(1, whole(1))
