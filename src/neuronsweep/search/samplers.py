"""Optuna's samplers and pruners by name, with their options checked and their seeds set."""

import importlib.util
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import optuna
from optuna import pruners, samplers
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler

from neuronsweep.config.check import nearest
from neuronsweep.errors import UserError
from neuronsweep.search.objectives import Goals
from neuronsweep.search.space import Space

SAMPLERS: dict[str, type[BaseSampler]] = {
    "tpe": samplers.TPESampler,
    "random": samplers.RandomSampler,
    "cmaes": samplers.CmaEsSampler,
    "gp": samplers.GPSampler,
    "nsgaii": samplers.NSGAIISampler,
    "qmc": samplers.QMCSampler,
    "grid": samplers.GridSampler,
    "brute": samplers.BruteForceSampler,
}
PRUNERS: dict[str, type[BasePruner]] = {
    "median": pruners.MedianPruner,
    "percentile": pruners.PercentilePruner,
    "halving": pruners.SuccessiveHalvingPruner,
    "hyperband": pruners.HyperbandPruner,
    "wilcoxon": pruners.WilcoxonPruner,
    "patient": pruners.PatientPruner,
}
# What the search sets itself.
OURS = {"seed", "search_space", "independent_sampler", "constraints_func", "wrapped_pruner", "source_trials"}

# Trials of a study that tries options: more than samplers begin with at random.
TRIED = 12

Sampling = Callable[[int], BaseSampler]


def sampling(name: str, options: Mapping[str, Any], seed: int, space: Space, goals: Goals) -> Sampling:
    """The sampler of each trial, seeded by ``seed`` and the trial's number.

    So a trial's parameters depend on the trials reported before it, and not on the process that proposes it or on
    what that proposed before. Raises UserError for what the sampler cannot do.
    """
    kind = SAMPLERS[name]
    _check_options("sampler", name, kind, options)
    if name in ("grid", "brute") and space.size(1) is None:
        raise UserError(f"hydra.sweeper.sampler={name} is not allowed: it needs a space of choices and ranges only")
    if name == "grid" and space.function:
        raise UserError("hydra.sweeper.sampler=grid is not allowed with hydra.sweeper.space; brute supports conditions")
    if name == "cmaes" and len(goals.objectives) > 1:
        raise UserError(
            "hydra.sweeper.sampler=cmaes is not allowed with several objectives; tpe and nsgaii support them"
        )
    if name == "cmaes" and importlib.util.find_spec("cmaes") is None:
        raise UserError("hydra.sweeper.sampler=cmaes needs a package: pip install cmaes")
    arguments = dict(options)
    if name == "grid":
        arguments["search_space"] = {dimension.key: list(dimension.all() or ()) for dimension in space.dimensions}
    # of what the search does by design; None where Optuna has nothing more to propose
    warns = [key for key, one in inspect.signature(kind).parameters.items() if key.startswith("warn_") and one.default]
    arguments |= dict.fromkeys(warns, False)

    def sampler(number: int) -> BaseSampler:
        own = int(np.random.SeedSequence((seed, number)).generate_state(1)[0])
        if name == "qmc":  # one sequence for the whole study; only what is not in it is drawn
            return kind(seed=seed, independent_sampler=samplers.RandomSampler(own), **arguments)  # type: ignore[call-arg]
        return kind(seed=seed if name == "grid" else own, **arguments)  # type: ignore[call-arg]

    made = _built("sampler", name, lambda: sampler(0))
    if options and name not in ("grid", "brute"):
        _built("sampler", name, lambda: _try(made, None))
    return sampler


def pruner(name: str, options: Mapping[str, Any], epochs: int) -> BasePruner | None:
    """A pruner whose steps are epochs, of at most ``epochs``; None for ``none``."""
    if name == "none":
        return None
    kind = PRUNERS[name]
    wrapped = options.get("wrapped", "none")
    given = {key: value for key, value in options.items() if not (name == "patient" and key == "wrapped")}
    _check_options("pruner", name, kind, given)
    defaults: dict[str, dict[str, Any]] = {
        "percentile": {"percentile": 25.0},
        "halving": {"min_resource": max(1, epochs // 16)},
        "hyperband": {"max_resource": epochs, "min_resource": max(1, epochs // 81)},
        "patient": {"patience": 5},
    }
    arguments = {**defaults.get(name, {}), **given}
    if name == "patient":
        if wrapped not in (*PRUNERS, "none") or wrapped == "patient":
            raise UserError(f"hydra.sweeper.pruner_options.wrapped={wrapped} is not allowed: it names another pruner")
        arguments["wrapped_pruner"] = pruner(wrapped, {}, epochs)
    made = _built("pruner", name, lambda: kind(**arguments))
    if options:
        _built("pruner", name, lambda: _try(samplers.RandomSampler(0), made))
    return made


def _try(sampler: BaseSampler, pruner: BasePruner | None) -> None:
    """Search a little with both: Optuna looks at some of their options only when it uses them."""
    study = optuna.create_study(sampler=sampler, pruner=pruner)
    for _ in range(TRIED):
        trial = study.ask()
        value = trial.suggest_float("x", 0.0, 1.0)
        for epoch in range(1, TRIED + 1) if pruner else ():
            trial.report(value, epoch)
            trial.should_prune()
        study.tell(trial, value)


def _check_options(what: str, name: str, kind: type, options: Mapping[str, Any]) -> None:
    known = [key for key in inspect.signature(kind).parameters if key not in OURS]
    for key in options:
        if key not in known:
            raise UserError(
                f"hydra.sweeper.{what}_options.{key} is not allowed: {what}={name} has {', '.join(known) or 'none'}"
                f"{nearest(key, known)}"
            )


def _built(what: str, name: str, build: Callable[[], Any]) -> Any:
    try:
        return build()
    except Exception as error:  # whatever Optuna says of what it cannot use
        raise UserError(f"hydra.sweeper.{what}_options is not allowed for {what}={name}: {error}") from None
