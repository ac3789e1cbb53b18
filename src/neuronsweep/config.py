"""The config: a dataclass schema for every group, and which values are allowed. Imports neither torch nor lightning."""

import difflib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, ClassVar

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf

from neuronsweep.errors import UserError

ACTIVATIONS = ("identity", "relu", "leaky_relu", "elu", "gelu", "silu", "softplus", "sigmoid", "tanh", "hardtanh")
LOGGED = ("loss", "acc")  # computed at log points, not only at the end
METRICS = {"regression": ("loss", "mae", "r2"), "classification": ("loss", "acc", "auroc")}


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
    threads: int = _key(1, _int(1))


# Packages whose classes may be built from a directory that somebody else wrote.
TRUSTED = ("neuronsweep.", "torch.optim.", "torch.nn.", "lightning.")

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


def register() -> None:
    """Store every schema, so that a YAML file of its group can name it: ``defaults: [schema_adam]``."""
    store = ConfigStore.instance()
    store.store(name="schema", node=Config)
    OmegaConf.register_new_resolver("job_dir", lambda number: f"{number:04d}", replace=True)
    for group, schemas in SCHEMAS.items():
        for name, node in schemas.items():
            store.store(group=group, name=f"schema_{name}", node=node)


def check(cfg: DictConfig) -> None:
    """Raise UserError for the first value that is not allowed; the message names key, value and what is allowed."""
    added = _added(cfg)
    if added:
        raise UserError(f"+{added} is not allowed: the config has no key {added}, and nothing would read it")
    for key, value, allowed in _constrained(cfg):
        if value is not None and not allowed.test(value):
            near = nearest(str(value), allowed.choices)
            raise UserError(f"{key}={value} is not allowed: {key} is {allowed.words}{near}")
    _check_together(cfg)


def nearest(word: str, words: Iterable[str]) -> str:
    """``; did you mean X?`` for the word that is most like this one, or nothing."""
    match = difflib.get_close_matches(word, list(words), n=1, cutoff=0.5)
    return f"; did you mean {match[0]}?" if match else ""


def known_keys() -> list[tuple[str, Any, Allowed | None]]:
    """Every dotted key that some config has, with its type and what is allowed; sorted by name."""
    keys = list(_dotted(Config))
    for group, schemas in SCHEMAS.items():
        for schema in schemas.values():
            keys += _dotted(schema, f"{group}.")
    named = {key: (key, kind, allowed) for key, kind, allowed in keys if key not in SCHEMAS}
    return [named[key] for key in sorted(named)]


def _dotted(schema: type, prefix: str = "") -> Iterator[tuple[str, Any, Allowed | None]]:
    for item in fields(schema):
        if is_dataclass(item.type):
            yield from _dotted(item.type, f"{prefix}{item.name}.")  # type: ignore[arg-type]
        else:
            yield prefix + item.name, item.type, BOOL if item.type is bool else item.metadata.get("allowed")


def plain(cfg: DictConfig, resolve: bool = True) -> dict[str, Any]:
    """A config as nested dictionaries."""
    container = OmegaConf.to_container(cfg, resolve=resolve, enum_to_str=True)
    assert isinstance(container, dict)
    return container  # type: ignore[return-value]


def check_targets(config: Mapping[str, Any]) -> None:
    """Raise UserError when a config names a class or function that is not of the trusted packages."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            check_targets(value)
        elif key == "_target_" and value and not str(value).startswith(TRUSTED):
            raise UserError(
                f"_target_={value} is not one of {', '.join(name + '*' for name in TRUSTED)}; "
                "--trust runs it all the same: only with a directory whose author you trust"
            )


def _added(cfg: DictConfig, prefix: str = "") -> str | None:
    """A key that somebody added to a config with a schema, or None."""
    schema = OmegaConf.get_type(cfg)
    if not is_dataclass(schema):
        return None
    names = {item.name for item in fields(schema)}
    for name, value in cfg.items_ex(resolve=False):
        key = f"{prefix}{name!s}"
        if key == "hydra":
            continue
        if name not in names:
            return key
        if isinstance(value, DictConfig) and (found := _added(value, f"{key}.")):
            return found
    return None


def _constrained(cfg: DictConfig, prefix: str = "") -> Iterator[tuple[str, Any, Allowed]]:
    schema = OmegaConf.get_type(cfg)
    if not is_dataclass(schema):
        return
    for item in fields(schema):
        value = cfg[item.name]
        if isinstance(value, DictConfig):
            yield from _constrained(value, f"{prefix}{item.name}.")
        elif "allowed" in item.metadata:
            yield prefix + item.name, value, item.metadata["allowed"]


def _check_together(cfg: DictConfig) -> None:
    data, optimizer, trainer = cfg.data, cfg.optimizer, cfg.trainer
    if "low" in data and not data.low < data.high:
        raise UserError(f"data.low={data.low} is not allowed: data.low is a number < data.high, which is {data.high}")
    if optimizer.get("nesterov") and not (optimizer.momentum > 0 and optimizer.dampening == 0):
        raise UserError("optimizer.nesterov=true is not allowed: it needs optimizer.momentum > 0 and dampening 0")
    if cfg.model.norm == "batch" and cfg.batch_size == 1:
        raise UserError("model.norm=batch is not allowed with batch_size=1: a batch's statistics need 2 samples")
    if trainer.devices > 1 and trainer.strategy != "ddp":
        raise UserError(
            f"trainer.devices={trainer.devices} is not allowed with trainer.strategy={trainer.strategy}: "
            "several devices are trainer=ddp or trainer=ddp_cpu"
        )
    if trainer.devices > 1 and cfg.model.norm == "batch":
        raise UserError(
            "model.norm=batch is not allowed with several devices: each would normalise its own part of a batch"
        )
    if trainer.devices > 1 and OmegaConf.get_type(optimizer) is LBFGS:
        raise UserError("optimizer=lbfgs is not allowed with several devices: each would search along its own loss")
    _check_objective(cfg)


def _check_objective(cfg: DictConfig) -> None:
    metric, trainer = cfg.objective.metric, cfg.trainer
    readers = {
        "trainer.keep=best": trainer.keep == "best",
        "trainer.early_stopping": trainer.early_stopping.patience is not None,
        "scheduler=plateau": OmegaConf.get_type(cfg.scheduler) is Plateau,
    }
    for reader, reads in readers.items():
        if reads and metric.rpartition("/")[2] not in LOGGED:
            raise UserError(
                f"objective.metric={metric} is not allowed with {reader}, which reads it at every log point: "
                f"computed there are {' and '.join(LOGGED)}"
            )
    schema = OmegaConf.get_type(cfg.data)
    if not isinstance(schema, type) or not hasattr(schema, "task"):  # a user's own data: known when it is built
        return
    metrics = [f"{split}/{metric}" for split in schema.splits for metric in METRICS[schema.task]]
    if cfg.objective.metric not in metrics:
        raise UserError(
            f"objective.metric={cfg.objective.metric} is not allowed: with this data it is one of "
            f"{', '.join(metrics)}{nearest(cfg.objective.metric, metrics)}"
        )
