"""Objectives, constraints and the metric to prune on of a search, all checked as names of metrics."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig

from neuronsweep.config.check import check_mode, known_metrics, nearest
from neuronsweep.config.metric_names import LOGGED, is_logged, mode_of
from neuronsweep.errors import UserError


@dataclass(frozen=True)
class Constraint:
    """``metric <= bound``, or ``>=`` where ``sign`` is -1."""

    text: str
    metric: str
    sign: int
    bound: float

    def violation(self, metrics: Mapping[str, float]) -> float:
        """How far a run is from satisfying it; 0 or less when it does."""
        return self.sign * (metrics[self.metric] - self.bound)


@dataclass(frozen=True)
class Goals:
    """What a search looks for.

    Attributes:
        objectives: metric and mode (min, max) of each.
        prune_on: metric and mode that a pruner reads at log points, or None where nothing is pruned.
    """

    objectives: tuple[tuple[str, str], ...]
    constraints: tuple[Constraint, ...] = ()
    prune_on: tuple[str, str] | None = None

    @property
    def directions(self) -> list[str]:
        return ["minimize" if mode == "min" else "maximize" for _, mode in self.objectives]

    def values(self, metrics: Mapping[str, float]) -> list[float]:
        """The objectives of a run. Raises ValueError for one that the run does not have or that is not finite."""
        for metric in [metric for metric, _ in self.objectives] + [c.metric for c in self.constraints]:
            if metric not in metrics:
                raise ValueError(f"the run has no {metric}")
            if not math.isfinite(metrics[metric]):
                raise ValueError(f"{metric} is {metrics[metric]}")
        return [metrics[metric] for metric, _ in self.objectives]

    def satisfied(self, metrics: Mapping[str, float]) -> bool:
        """Whether a run has all objectives, finite, and keeps to all constraints."""
        try:
            self.values(metrics)
        except ValueError:
            return False
        return all(constraint.violation(metrics) <= 0 for constraint in self.constraints)

    def best(self, values: Mapping[int, Sequence[float]], most: int = 1) -> list[int]:
        """Numbers of the best trials: ``most``, or with several objectives the front.

        The best comes first, the front in the order of its first objective; of equal trials the first stands for all.

        Args:
            values: the objectives of each trial that may be among them, by its number.
        """
        signs = [1 if mode == "min" else -1 for _, mode in self.objectives]
        found: dict[tuple[float, ...], int] = {}
        for number, trial in values.items():
            found.setdefault(tuple(sign * value for sign, value in zip(signs, trial, strict=True)), number)
        if len(signs) == 1:
            return [found[trial] for trial in sorted(found)[:most]]
        front: list[tuple[float, ...]] = []
        for trial in sorted(found):
            # in this order only one before it can be better in all, and then one of the front is
            if not any(all(a <= b for a, b in zip(other, trial, strict=True)) for other in front):
                front.append(trial)
        return [found[trial] for trial in front]


def read(config: DictConfig) -> Goals:
    """The goals of a config's search. Raises UserError for what cannot be one."""
    options = config.hydra.sweeper
    objectives = tuple((one.metric, one.mode) for one in options.objectives or [config.objective])
    names = [metric for metric, _ in objectives]
    if len(set(names)) < len(names):
        raise UserError(f"hydra.sweeper.objectives is not allowed: {max(names, key=names.count)} is in it twice")
    return Goals(objectives, tuple(map(constraint, options.constraints)), _prune_on(options, objectives))


def recorded(search: Mapping[str, Any]) -> Goals:
    """The goals that sweep.json says a search has; pruning is none of a report's."""
    objectives = tuple((metric, mode_of(metric) or mode) for metric, mode in search["objectives"])
    return Goals(objectives, tuple(map(constraint, search["constraints"])))


def check(goals: Goals, cfg: DictConfig) -> None:
    """Raise UserError for a metric that the runs of this config do not have, and for a mode that is not its own.

    As far as either is known before the first run.
    """
    known = known_metrics(cfg)
    named = {metric: "hydra.sweeper.objectives" for metric, _ in goals.objectives}
    named |= {constraint.metric: "hydra.sweeper.constraints" for constraint in goals.constraints}
    if goals.prune_on:
        named[goals.prune_on[0]] = "hydra.sweeper.prune_on"
    for metric, key in named.items():
        if known and metric not in known:
            raise UserError(
                f"{key} is not allowed with the metric {metric}: with this data there are "
                f"{', '.join(known)}{nearest(metric, known)}"
            )
    for metric, mode in goals.objectives:
        check_mode("hydra.sweeper.objectives: mode", metric, mode)


def constraint(text: str) -> Constraint:
    """``METRIC <= NUMBER`` or ``>=``. Raises UserError for anything else."""
    found = re.fullmatch(r"\s*(\S+?)\s*(<=|>=)\s*(\S+)\s*", text)
    try:
        if not found:
            raise ValueError
        metric, sign, bound = found.groups()
        return Constraint(text, metric, 1 if sign == "<=" else -1, _finite(bound))
    except ValueError:
        raise UserError(f"hydra.sweeper.constraints={text} is not allowed: it is METRIC <= NUMBER or >=") from None


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError
    return value


def _prune_on(options: Any, objectives: Sequence[tuple[str, str]]) -> tuple[str, str] | None:
    if options.pruner == "none":
        for key in ("prune_on", "pruner_options"):
            if options[key]:
                raise UserError(f"hydra.sweeper.{key} is not allowed with hydra.sweeper.pruner=none")
        return None
    if options.prune_on is None and len(objectives) > 1:
        raise UserError(
            f"hydra.sweeper.pruner={options.pruner} is not allowed with several objectives: "
            "hydra.sweeper.prune_on must name the metric to prune on"
        )
    metric = options.prune_on or objectives[0][0]
    if not is_logged(metric):
        raise UserError(
            f"hydra.sweeper.pruner={options.pruner} is not allowed with {metric}, which is not computed at log points, "
            f"where only {' and '.join(LOGGED)} are; hydra.sweeper.prune_on may name one of these"
        )
    return metric, mode_of(metric) or "min"
