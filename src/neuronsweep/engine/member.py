"""Describes a run for the native engine (a member), or gives the reason why the engine cannot train it."""

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import torch

from neuronsweep.config.schemas.config import MODULES
from neuronsweep.config.schemas.model import activations, widths
from neuronsweep.data.batches import sizes
from neuronsweep.data.dataset import Dataset
from neuronsweep.engine.layout import ACTIVATIONS, LOSSES, NORMS, OPTIMIZERS, SCHEDULERS
from neuronsweep.models.losses import of_dataset

DTYPES = {"32-true": torch.float32, "64-true": torch.float64}
LOGGERS = (None, "lightning.pytorch.loggers.TensorBoardLogger")
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
# Words of a specification that are no number of the formula.
NOT_NUMBERS = {"_target_", "lr", "betas", "mode", "anneal_strategy", "cycle_momentum", "three_phase"}


@dataclass(frozen=True, eq=False)
class Member:
    """Everything one member needs, as plain values.

    Attributes:
        dataset: the splits.
        network: keyword arguments of ``MLP`` other than inputs, outputs and seed.
        seed: of the initial weights, the order of batches and dropout.
        optimizer, scheduler: ``_target_`` and numbers of a torch.optim class. ReduceLROnPlateau steps at log epochs
            with ``metric``, the others after every epoch.
        loss: ``name`` and numbers of a loss; ``auto`` follows the data's task.
        epochs: passes over the training data.
        batch_size: samples a step, or ``"full"``.
        log_points: number of log epochs, spread over training.
        clip, clip_value: largest norm of the gradient, largest size of each of its numbers.
        patience, min_delta: stop when ``metric`` has not improved by ``min_delta`` for ``patience`` log points.
        metric, mode: the objective, such as ``val/loss`` and ``min``.
        keep: whose weights the result has, those of the ``last`` epoch or of the ``best`` log epoch.
        dtype: float32 or float64.
        diagnostics: whether its history has the values of ``models.diagnostics``.
        pictures: of how many log epochs its weights are wanted, the last included.
        time_limit: seconds of training after which it FAILs, or None.
    """

    dataset: Dataset
    network: Mapping[str, Any]
    seed: int
    optimizer: Mapping[str, Any]
    scheduler: Mapping[str, Any] | None = None
    loss: Mapping[str, Any] | None = None
    epochs: int = 2000
    batch_size: int | str = "full"
    log_points: int = 100
    clip: float | None = None
    clip_value: float | None = None
    patience: int | None = None
    min_delta: float = 0.0
    metric: str = "val/loss"
    mode: str = "min"
    keep: str = "last"
    dtype: torch.dtype = torch.float32
    diagnostics: bool = False
    pictures: int | str = 1
    time_limit: float | None = None

    def option(self, name: str) -> Any:
        """An argument of the network, its default included."""
        return self.network.get(name, NETWORK[name])

    @cached_property
    def widths(self) -> list[int]:
        """Inputs, units of each hidden layer, outputs."""
        return [self.dataset.inputs, *widths(self.option("hidden"), self.option("depth")), self.dataset.outputs]

    @cached_property
    def acts(self) -> list[str]:
        """The activation of each hidden layer, then ``out_act``."""
        return [*activations(self.option("act"), len(self.widths) - 2), self.option("out_act")]

    @property
    def bits(self) -> int:
        """Of its real numbers."""
        return 64 if self.dtype == torch.float64 else 32

    @cached_property
    def loss_name(self) -> str:
        """One of engine.layout.LOSSES: ``binary`` is cross-entropy of one logit, ``multiclass`` of k logits."""
        if self.dataset.classes:
            return "multiclass" if self.dataset.outputs > 1 else "binary"
        name = (self.loss or {}).get("name", "auto")
        return "mse" if name == "auto" else name

    def own_units(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """Metrics of its tensors in the units of a table's target."""
        return self.dataset.own_units(metrics, self.loss_name)

    @property
    def steps_per_epoch(self) -> int:
        return len(sizes(len(self.dataset.splits["train"].x), self.batch_size))


def outside(config: Mapping[str, Any]) -> str | None:
    """Why a run cannot be a member whatever its network is, as far as its resolved config shows, or None."""
    module, logger = config["module"]["_target_"], config["logger"]["_target_"]
    if module not in MODULES:
        return f"the native engine does not know module._target_={module}"
    if logger not in LOGGERS:
        return f"logger._target_={logger} needs a Lightning Trainer"
    trainer = config["trainer"]
    if trainer["accelerator"] != "cpu":
        return f"trainer.accelerator={trainer['accelerator']}"
    if trainer["devices"] > 1:
        return f"trainer.devices={trainer['devices']}"
    if trainer["precision"] not in DTYPES:
        return f"trainer.precision={trainer['precision']}"
    if config["threads"] != 1:
        return f"threads={config['threads']} (a member is trained by one thread)"
    return None


def member(config: Mapping[str, Any], dataset: Dataset) -> Member:
    """The member that a run with this resolved config would be."""
    trainer, objective = config["trainer"], config["objective"]
    return Member(
        dataset=dataset,
        network=config["model"],
        seed=config["seed"],
        optimizer=config["optimizer"],
        scheduler=config["scheduler"] if config["scheduler"]["_target_"] else None,
        loss=of_dataset(config.get("loss"), dataset),  # absent from configs of earlier versions
        epochs=config["epochs"],
        batch_size=config["batch_size"],
        log_points=config["log_points"],
        clip=trainer["gradient_clip_val"],
        clip_value=trainer.get("gradient_clip_value"),
        patience=trainer["early_stopping"]["patience"],
        min_delta=trainer["early_stopping"]["min_delta"],
        metric=objective["metric"],
        mode=objective["mode"],
        keep=trainer["keep"],
        dtype=DTYPES[trainer["precision"]],
        diagnostics=config["diagnostics"],
        pictures=config["logger"].get("pictures", 1),
        time_limit=config["time_limit"],
    )


def unsupported(member: Member) -> str | None:
    """Why the native engine cannot train this member, in a few words, or None when it can."""
    unknown = sorted(set(member.network) - set(NETWORK))
    if unknown:
        return f"model.{unknown[0]} is not known to the native engine"
    named = [("act", act) for act in member.acts[:-1]] + [("out_act", member.acts[-1])]
    for key, act in named:
        if act not in ACTIVATIONS:
            return f"model.{key}={act} is not known to the native engine"
    if member.option("norm") not in NORMS:
        return f"model.norm={member.option('norm')} is not known to the native engine"
    if member.option("norm") == "batch" and 1 in sizes(len(member.dataset.splits["train"].x), member.batch_size):
        return "model.norm=batch has no statistics of a batch of one sample"  # Lightning's error says so, too
    if member.loss_name not in LOSSES:
        return f"loss.name={member.loss_name} is not known to the native engine"
    if member.dtype not in DTYPES.values():
        return f"dtype {member.dtype}"
    return (
        _unknown("optimizer", member.optimizer, OPTIMIZERS[member.optimizer["_target_"]])
        if member.optimizer["_target_"] in OPTIMIZERS
        else f"optimizer._target_={member.optimizer['_target_']} is not known to the native engine"
    ) or _schedule_unsupported(member)


def _schedule_unsupported(member: Member) -> str | None:
    if member.scheduler is None:
        return _monitored(member, False)
    target = member.scheduler["_target_"]
    if target not in SCHEDULERS:
        return f"scheduler._target_={target} is not known to the native engine"
    if member.scheduler.get("mode", member.mode) != member.mode:
        return f"scheduler.mode={member.scheduler['mode']} is not objective.mode"
    for name in ("cycle_momentum", "three_phase"):
        if member.scheduler.get(name):
            return f"scheduler.{name}=true is not known to the native engine"
    names = ("lr", *SCHEDULERS[target])
    return _unknown("scheduler", member.scheduler, names) or _monitored(member, target.endswith("Plateau"))


def _monitored(member: Member, plateau: bool) -> str | None:
    watched = plateau or member.patience is not None or member.keep == "best"
    if watched and member.metric not in log_metrics(member):
        return f"objective.metric={member.metric} is not computed at log points"
    return None


def _unknown(group: str, spec: Mapping[str, Any], known: tuple[str, ...]) -> str | None:
    for name, value in spec.items():
        if name not in known and name not in NOT_NUMBERS:
            return f"{group}.{name} is not known to the native engine"
        numbers = value if name == "betas" and isinstance(value, list | tuple) and len(value) == 2 else [value]
        is_number = all(isinstance(n, int | float) and math.isfinite(n) for n in numbers)
        if not is_number and name in (*known, "lr", "betas"):
            return f"{group}.{name}={value} is not what the native engine knows there"
    return None


def log_metrics(member: Member) -> list[str]:
    """Names of the metrics computed at log epochs, losses first."""
    names = ["loss", "acc"] if member.dataset.classes else ["loss"]
    return [f"{split}/{name}" for name in names for split in member.dataset.splits]


def final_metrics(member: Member) -> list[tuple[int, str]]:
    """Position and name of each metric of a split at the end of a run, as native/evaluate.h orders them."""
    if member.dataset.classes:
        return [(0, "loss"), (1, "acc"), (2, "auroc")]
    found = [(0, "loss"), (1, "mse"), (2, "mae"), (3, "r2")]
    return [pair for pair in found if pair[1] != "mse" or member.loss_name != "mse"]


def numbers(spec: Mapping[str, Any], names: tuple[str, ...]) -> list[float]:
    """Numbers of an optimiser or a scheduler by their names, torch's defaults included."""
    return [0.0 if not name else _number(spec, name) for name in names]


def _number(spec: Mapping[str, Any], name: str) -> float:
    if name in ("beta1", "beta2"):
        betas = spec["betas"] if "betas" in spec else _defaults(spec["_target_"])["betas"].default
        return float(betas[0 if name == "beta1" else 1])
    if name == "linear":
        return float(spec.get("anneal_strategy", "cos") == "linear")
    return float(spec[name] if name in spec else _defaults(spec["_target_"])[name].default)


@cache
def _defaults(target: str) -> Mapping[str, inspect.Parameter]:
    module, _, name = target.rpartition(".")
    owner = torch.optim.lr_scheduler if module.endswith("lr_scheduler") else torch.optim
    return inspect.signature(getattr(owner, name)).parameters
