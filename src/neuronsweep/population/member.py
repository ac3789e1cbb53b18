"""One member of a population: what its run would be, in plain values, and what members must share to train together."""

import inspect
import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from neuronsweep.data.batches import sizes
from neuronsweep.data.dataset import Dataset
from neuronsweep.models.mlp import ACTIVATIONS, INITS

# The numbers of each optimiser and scheduler that the engine knows; anything else is for Lightning.
OPTIMIZERS: dict[str, tuple[str, ...]] = {
    "torch.optim.SGD": ("lr", "momentum", "dampening", "weight_decay", "nesterov"),
    "torch.optim.Adam": ("lr", "betas", "eps", "weight_decay", "amsgrad"),
    "torch.optim.AdamW": ("lr", "betas", "eps", "weight_decay", "amsgrad"),
    "torch.optim.RMSprop": ("lr", "alpha", "eps", "weight_decay", "momentum", "centered"),
    "torch.optim.Adagrad": ("lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps"),
}
SCHEDULERS: dict[str, tuple[str, ...]] = {
    "torch.optim.lr_scheduler.StepLR": ("step_size", "gamma"),
    "torch.optim.lr_scheduler.ExponentialLR": ("gamma",),
    "torch.optim.lr_scheduler.CosineAnnealingLR": ("T_max", "eta_min"),
    "torch.optim.lr_scheduler.ReduceLROnPlateau": (
        "mode",
        "factor",
        "patience",
        "threshold",
        "cooldown",
        "min_lr",
        "eps",
    ),
}
NETWORK = {
    "hidden": 8,
    "depth": 1,
    "act": "relu",
    "out_act": "identity",
    "init": "default",
    "norm": "none",
    "dropout": 0.0,
    "skip": False,
    "bias": True,
}


@dataclass(frozen=True, eq=False)
class Member:
    """Everything one member needs, as plain values.

    Attributes:
        dataset: members that share data share the object or its digest.
        network: keyword arguments of ``MLP`` other than inputs, outputs and seed.
        seed: of the initial weights and of the order of batches.
        optimizer, scheduler: ``_target_`` and numbers of a torch.optim class. ReduceLROnPlateau steps at log epochs
            with ``metric``, the others after every epoch.
        epochs: passes over the training data.
        batch_size: samples a step, or ``"full"``.
        log_points: number of log epochs, spread over training.
        clip: largest norm of the member's gradient.
        patience, min_delta: stop when ``metric`` has not improved by ``min_delta`` for ``patience`` log points.
        metric, mode: the objective, such as ``val/loss`` and ``min``.
        keep: whose weights the result has, those of the ``last`` epoch or of the ``best`` log epoch.
        dtype: float32 or float64.
        diagnostics: whether its history has the values of ``models.diagnostics``.
        pictures: of how many log epochs its weights are wanted, the last included.
    """

    dataset: Dataset
    network: Mapping[str, Any]
    seed: int
    optimizer: Mapping[str, Any]
    scheduler: Mapping[str, Any] | None = None
    epochs: int = 2000
    batch_size: int | str = "full"
    log_points: int = 100
    clip: float | None = None
    patience: int | None = None
    min_delta: float = 0.0
    metric: str = "val/loss"
    mode: str = "min"
    keep: str = "last"
    dtype: torch.dtype = torch.float32
    diagnostics: bool = False
    pictures: int = 1

    def option(self, name: str) -> Any:
        """An argument of the network, its default included."""
        return self.network.get(name, NETWORK[name])

    def number(self, name: str) -> Any:
        """A number of the optimiser, torch's default included."""
        return _number(self.optimizer, name)

    def schedule_number(self, name: str) -> Any:
        """A number of the scheduler, torch's default included."""
        assert self.scheduler is not None
        return _number(self.scheduler, name)

    @property
    def task(self) -> str:
        """``regression``, ``binary`` (one logit) or ``multiclass`` (k logits)."""
        if not self.dataset.classes:
            return "regression"
        return "multiclass" if self.dataset.outputs > 1 else "binary"

    @property
    def steps_per_epoch(self) -> int:
        return len(sizes(len(self.dataset.splits["train"].x), self.batch_size))


def group_key(member: Member) -> Hashable:
    """What members of one population share: task, shapes of the data, batch size, optimiser class and dtype."""
    splits = member.dataset.splits
    shapes = tuple((name, tuple(split.x.shape)) for name, split in splits.items())
    batch = "full" if member.steps_per_epoch == 1 else member.batch_size
    return (
        member.task,
        member.dataset.inputs,
        member.dataset.outputs,
        shapes,
        batch,
        member.optimizer["_target_"],
        member.dtype,
    )


def variant(member: Member) -> tuple[bool, ...]:
    """Which branches of its optimiser's formula a member takes; the operations of a step are a function of it."""
    target = member.optimizer["_target_"]
    decay = member.number("weight_decay") != 0
    clip = member.clip is not None
    if target == "torch.optim.SGD":
        return clip, decay, member.number("momentum") != 0, bool(member.number("nesterov"))
    if target == "torch.optim.RMSprop":
        return clip, decay, member.number("momentum") > 0, bool(member.number("centered"))
    if target == "torch.optim.Adagrad":
        return clip, decay
    return clip, decay, bool(member.number("amsgrad"))


def unsupported(member: Member) -> str | None:
    """Why the engine cannot train this member, in a few words, or None when it can."""
    unknown = sorted(set(member.network) - set(NETWORK))
    if unknown:
        return f"model.{unknown[0]} is not known to the population engine"
    if member.option("dropout"):
        return f"model.dropout={member.option('dropout')}"
    if member.option("norm") not in ("none", "layer"):
        return f"model.norm={member.option('norm')}"
    for key in ("hidden", "act"):
        if not isinstance(member.option(key), int | str):
            return f"model.{key}={member.option(key)}, one a layer"
    for key, known in (("act", ACTIVATIONS), ("out_act", ACTIVATIONS), ("init", INITS)):
        if member.option(key) not in known:
            return f"model.{key}={member.option(key)} is not known to the population engine"
    if member.dtype not in (torch.float32, torch.float64):
        return f"dtype {member.dtype}"
    return (
        _unknown("optimizer", member.optimizer, OPTIMIZERS)
        or (_unknown("scheduler", member.scheduler, SCHEDULERS) if member.scheduler else None)
        or _monitored(member)
    )


def log_metrics(member: Member) -> list[str]:
    """Names of the metrics computed at log epochs, losses first."""
    names = ["loss"] if member.task == "regression" else ["loss", "acc"]
    return [f"{split}/{name}" for name in names for split in member.dataset.splits]


def _monitored(member: Member) -> str | None:
    plateau = member.scheduler is not None and member.scheduler["_target_"].endswith("ReduceLROnPlateau")
    watched = plateau or member.patience is not None or member.keep == "best"
    if watched and member.metric not in log_metrics(member):
        return f"objective.metric={member.metric} is not computed at log points"
    return None


def _unknown(group: str, spec: Mapping[str, Any], known: Mapping[str, tuple[str, ...]]) -> str | None:
    target = spec["_target_"]
    if target not in known:
        return f"{group}._target_={target} is not known to the population engine"
    for name, value in spec.items():
        if name == "_target_":
            continue
        if name not in known[target]:
            return f"{group}.{name} is not known to the population engine"
        numbers = value if name == "betas" and isinstance(value, list | tuple) and len(value) == 2 else [value]
        if name != "mode" and not all(isinstance(n, int | float) and math.isfinite(n) for n in numbers):
            return f"{group}.{name}={value} is not what the population engine knows there"
    return None


def _number(spec: Mapping[str, Any], name: str) -> Any:
    return spec[name] if name in spec else _defaults(spec["_target_"])[name].default


@cache
def _defaults(target: str) -> Mapping[str, inspect.Parameter]:
    module, _, name = target.rpartition(".")
    owner = torch.optim.lr_scheduler if module.endswith("lr_scheduler") else torch.optim
    return inspect.signature(getattr(owner, name)).parameters
