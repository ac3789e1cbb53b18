"""The keys of a config: a dataclass for every file that can be chosen, and which values each key may have."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from omegaconf import MISSING

ACTIVATIONS = ("identity", "relu", "leaky_relu", "elu", "gelu", "silu", "softplus", "sigmoid", "tanh", "hardtanh")
LOGGED = ("loss", "acc")  # computed at log points, not only at the end
METRICS = {"regression": ("loss", "mae", "r2"), "classification": ("loss", "acc", "auroc")}
# what analysis.analyse may find of a trained network
FOUND = {
    "regression": (
        *("params", "dead", "kinks", "slope", "intercept"),
        *("truth/inside", "truth/outside", "truth/outside_over_inside"),
    ),
    "classification": ("params", "dead"),
}


@dataclass(frozen=True)
class Allowed:
    """Which values a key may have, as a test and in words."""

    test: Callable[[Any], bool]
    words: str
    choices: tuple[str, ...] = ()


def _key(default: Any, allowed: Allowed) -> Any:
    return field(default=default, metadata={"allowed": allowed})


def _int(low: int) -> Allowed:
    return Allowed(lambda value: value >= low, f"a whole number >= {low}")


def _one_of(*choices: str) -> Allowed:
    return Allowed(lambda value: value in choices, "one of " + ", ".join(choices), choices)


POSITIVE = Allowed(lambda value: 0 < value < math.inf, "a finite number > 0")
NOT_NEGATIVE = Allowed(lambda value: 0 <= value < math.inf, "a finite number >= 0")
FRACTION = Allowed(lambda value: 0 <= value < 1, "a number >= 0 and < 1")
FINITE = Allowed(math.isfinite, "a finite number")
SEED = Allowed(lambda value: 0 <= value < 2**32, "a whole number >= 0 and < 2**32")
BATCH_SIZE = Allowed(
    lambda value: value == "full" or (type(value) is int and value >= 1), "full or a whole number >= 1"
)
BETAS = Allowed(lambda value: len(value) == 2 and all(0 <= b < 1 for b in value), "two numbers >= 0 and < 1")

BOOL = Allowed(lambda value: True, "true or false")


# data ----------------------------------------------------------------------------------------------------------------


@dataclass
class Line:
    task: ClassVar[str] = "regression"
    splits: ClassVar[tuple[str, ...]] = ("train", "val", "outer")
    _target_: str = "neuronsweep.data.curves.line"


@dataclass
class Quadratic:
    task: ClassVar[str] = "regression"
    splits: ClassVar[tuple[str, ...]] = ("train", "val", "outer")
    _target_: str = "neuronsweep.data.curves.quadratic"


@dataclass
class Sine:
    task: ClassVar[str] = "regression"
    splits: ClassVar[tuple[str, ...]] = ("train", "val", "outer")
    _target_: str = "neuronsweep.data.curves.sine"
    seed: int = _key(42, SEED)
    n: int = _key(1000, _int(1))
    noise: float = _key(0.1, NOT_NEGATIVE)
    low: float = _key(-1.5, FINITE)
    high: float = _key(2.5, FINITE)


@dataclass
class Temperature:
    task: ClassVar[str] = "regression"
    splits: ClassVar[tuple[str, ...]] = ("train", "val")
    _target_: str = "neuronsweep.data.curves.temperature"


@dataclass
class Polynomial:
    task: ClassVar[str] = "regression"
    splits: ClassVar[tuple[str, ...]] = ("train", "val")
    _target_: str = "neuronsweep.data.planes.polynomial"
    seed: int = _key(42, SEED)
    side: int = _key(30, _int(2))
    noise: float = _key(0.2, NOT_NEGATIVE)


@dataclass
class Moons:
    task: ClassVar[str] = "classification"
    splits: ClassVar[tuple[str, ...]] = ("train", "val")
    _target_: str = "neuronsweep.data.planes.moons"
    seed: int = _key(42, SEED)
    n: int = _key(200, _int(4))
    noise: float = _key(0.2, NOT_NEGATIVE)
    val_seed: int = _key(7, SEED)
    n_val: int = _key(1000, _int(4))


@dataclass
class Circles(Moons):
    _target_: str = "neuronsweep.data.planes.circles"
    noise: float = _key(0.1, NOT_NEGATIVE)
    factor: float = _key(0.5, FRACTION)


@dataclass
class Spirals(Moons):
    _target_: str = "neuronsweep.data.planes.spirals"
    n: int = _key(300, _int(4))
    noise: float = _key(0.1, NOT_NEGATIVE)
    classes: int = _key(3, _int(2))


# model, optimizer, scheduler -----------------------------------------------------------------------------------------


@dataclass
class Model:
    hidden: int = _key(8, _int(1))
    depth: int = _key(1, _int(0))
    act: str = _key("relu", _one_of(*ACTIVATIONS))
    out_act: str = _key("identity", _one_of(*ACTIVATIONS))
    init: str = _key("default", _one_of("default", "xavier", "kaiming", "zeros"))
    norm: str = _key("none", _one_of("none", "batch", "layer"))
    dropout: float = _key(0.0, FRACTION)
    skip: bool = False
    bias: bool = True


@dataclass
class Module:
    """``_target_``: null (the module follows the data's task) or a subclass of one of neuronsweep.models.modules."""

    _target_: str | None = None


@dataclass
class SGD:
    _target_: str = "torch.optim.SGD"
    lr: float = _key(0.01, POSITIVE)
    momentum: float = _key(0.0, NOT_NEGATIVE)
    dampening: float = _key(0.0, FINITE)
    weight_decay: float = _key(0.0, NOT_NEGATIVE)
    nesterov: bool = False


@dataclass
class Adam:
    _target_: str = "torch.optim.Adam"
    lr: float = _key(0.01, POSITIVE)
    betas: list[float] = field(default_factory=lambda: [0.9, 0.999], metadata={"allowed": BETAS})
    eps: float = _key(1e-8, NOT_NEGATIVE)
    weight_decay: float = _key(0.0, NOT_NEGATIVE)
    amsgrad: bool = False


@dataclass
class AdamW(Adam):
    _target_: str = "torch.optim.AdamW"
    weight_decay: float = _key(0.01, NOT_NEGATIVE)


@dataclass
class RMSprop:
    _target_: str = "torch.optim.RMSprop"
    lr: float = _key(0.01, POSITIVE)
    alpha: float = _key(0.99, FRACTION)
    eps: float = _key(1e-8, NOT_NEGATIVE)
    weight_decay: float = _key(0.0, NOT_NEGATIVE)
    momentum: float = _key(0.0, NOT_NEGATIVE)
    centered: bool = False


@dataclass
class Adagrad:
    _target_: str = "torch.optim.Adagrad"
    lr: float = _key(0.01, POSITIVE)
    lr_decay: float = _key(0.0, NOT_NEGATIVE)
    weight_decay: float = _key(0.0, NOT_NEGATIVE)
    initial_accumulator_value: float = _key(0.0, NOT_NEGATIVE)
    eps: float = _key(1e-10, NOT_NEGATIVE)


@dataclass
class LBFGS:
    _target_: str = "torch.optim.LBFGS"
    lr: float = _key(1.0, POSITIVE)
    max_iter: int = _key(20, _int(1))
    max_eval: int | None = _key(None, _int(1))
    tolerance_grad: float = _key(1e-7, NOT_NEGATIVE)
    tolerance_change: float = _key(1e-9, NOT_NEGATIVE)
    history_size: int = _key(100, _int(1))
    line_search_fn: str | None = _key("strong_wolfe", _one_of("strong_wolfe"))


@dataclass
class NoScheduler:
    _target_: str | None = None


@dataclass
class Step:
    _target_: str = "torch.optim.lr_scheduler.StepLR"
    step_size: int = _key(500, _int(1))
    gamma: float = _key(0.1, POSITIVE)


@dataclass
class Exponential:
    _target_: str = "torch.optim.lr_scheduler.ExponentialLR"
    gamma: float = _key(0.999, POSITIVE)


@dataclass
class Cosine:
    _target_: str = "torch.optim.lr_scheduler.CosineAnnealingLR"
    T_max: int = _key("${epochs}", _int(1))
    eta_min: float = _key(0.0, NOT_NEGATIVE)


@dataclass
class Plateau:
    """Reads objective.metric; ``patience`` and ``cooldown`` count log points, where that metric is computed."""

    _target_: str = "torch.optim.lr_scheduler.ReduceLROnPlateau"
    mode: str = "${objective.mode}"
    factor: float = _key(0.1, FRACTION)
    patience: int = _key(10, _int(0))
    threshold: float = _key(1e-4, NOT_NEGATIVE)
    cooldown: int = _key(0, _int(0))
    min_lr: float = _key(0.0, NOT_NEGATIVE)


# trainer, logger, the whole ------------------------------------------------------------------------------------------


@dataclass
class EarlyStopping:
    """Stop when objective.metric has not improved by ``min_delta`` for ``patience`` log points; null: never."""

    patience: int | None = _key(None, _int(1))
    min_delta: float = _key(0.0, NOT_NEGATIVE)


@dataclass
class Trainer:
    accelerator: str = _key("cpu", _one_of("cpu", "gpu"))
    devices: int = _key(1, _int(1))
    strategy: str = _key("auto", _one_of("auto", "ddp"))
    precision: str = _key("32-true", _one_of("32-true", "64-true"))
    gradient_clip_val: float | None = _key(None, POSITIVE)
    early_stopping: EarlyStopping = field(default_factory=EarlyStopping)
    # which weights model.ckpt and the final metrics have: the last ones or those with the best objective
    keep: str = _key("last", _one_of("last", "best"))
    # seconds between two checkpoints of a running run
    checkpoint_seconds: float = _key(5.0, NOT_NEGATIVE)


@dataclass
class TensorBoard:
    _target_: str = "lightning.pytorch.loggers.TensorBoardLogger"
    # log points of which there is a picture of the fit, close together at first; the last is always one of them
    pictures: int = _key(1, _int(1))


@dataclass
class NoLogger:
    _target_: str | None = None


@dataclass
class Population:
    """How the runs of a sweep are trained together; changes no number of any of them."""

    max_members: int = _key(512, _int(1))
    # GB that the engine may take for one population
    max_memory_gb: float = _key(2.0, POSITIVE)
    # processes; null: one a core, or one a GPU
    workers: int | None = _key(None, _int(1))
    snapshot_seconds: float = _key(5.0, NOT_NEGATIVE)


@dataclass
class Objective:
    metric: str = "val/loss"
    mode: str = _key("min", _one_of("min", "max"))


@dataclass
class Config:
    """The whole config of one run."""

    data: Any = MISSING
    model: Any = MISSING
    module: Module = field(default_factory=Module)
    optimizer: Any = MISSING
    scheduler: Any = MISSING
    trainer: Any = MISSING
    logger: Any = MISSING
    objective: Objective = field(default_factory=Objective)
    population: Population = field(default_factory=Population)
    seed: int = _key(0, SEED)
    epochs: int = _key(2000, _int(1))
    batch_size: Any = _key("full", BATCH_SIZE)
    log_points: int = _key(100, _int(1))
    # whether history.csv has gradients, updates, dead and saturated units of every layer; changes no other number
    diagnostics: bool = False
    threads: int = _key(1, _int(1))
    # seconds after which a run that is trained by itself FAILs; null: never
    time_limit: float | None = _key(None, POSITIVE)
    # whether a sweep stops at its first failure
    fail_fast: bool = False


SCHEMAS: dict[str, dict[str, type]] = {
    "data": {
        "line": Line,
        "quadratic": Quadratic,
        "sine": Sine,
        "temperature": Temperature,
        "polynomial": Polynomial,
        "moons": Moons,
        "circles": Circles,
        "spirals": Spirals,
    },
    "model": {"mlp": Model},
    "optimizer": {"sgd": SGD, "adam": Adam, "adamw": AdamW, "rmsprop": RMSprop, "adagrad": Adagrad, "lbfgs": LBFGS},
    "scheduler": {"none": NoScheduler, "step": Step, "exponential": Exponential, "cosine": Cosine, "plateau": Plateau},
    "trainer": {"trainer": Trainer},
    "logger": {"tensorboard": TensorBoard, "none": NoLogger},
}
