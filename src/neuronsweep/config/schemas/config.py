"""conf/train.yaml: the config of one run, and the nodes that have no files to choose from."""

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from neuronsweep.config.allowed import BATCH_SIZE, NOT_NEGATIVE, POSITIVE, SEED, key, one_of, whole

# The modules that are neuronsweep's own: null is the one of the data's task.
MODULES = (
    None,
    "neuronsweep.models.modules.RegressionModule",
    "neuronsweep.models.modules.ClassificationModule",
)


@dataclass
class Module:
    """``_target_``: null (the module follows the data's task) or a subclass of one of neuronsweep.models.modules."""

    _target_: str | None = None


@dataclass
class Engine:
    """How the runs of a sweep are trained side by side; changes no number of any of them."""

    # null: one for each core
    threads: int | None = key(None, whole(1))
    # how often a long run writes the snapshot from which it continues
    snapshot_seconds: float = key(5.0, NOT_NEGATIVE)


@dataclass
class Objective:
    """The metric by which runs are ranked; ``mode`` must be given only where that of the metric is not known."""

    metric: str = "val/loss"
    mode: str = key("${mode_of:${.metric}}", one_of("min", "max"))


@dataclass
class Config:
    """The config of one run."""

    data: Any = MISSING
    model: Any = MISSING
    module: Module = field(default_factory=Module)
    loss: Any = MISSING
    optimizer: Any = MISSING
    scheduler: Any = MISSING
    trainer: Any = MISSING
    logger: Any = MISSING
    objective: Objective = field(default_factory=Objective)
    engine: Engine = field(default_factory=Engine)
    seed: int = key(0, SEED)
    epochs: int = key(2000, whole(1))
    batch_size: Any = key("full", BATCH_SIZE)
    log_points: int = key(100, whole(1))
    # whether history.csv has gradients, updates, dead and saturated units of every layer; changes no other number
    diagnostics: bool = False
    threads: int = key(1, whole(1))
    # seconds after which a run FAILs; null: never
    time_limit: float | None = key(None, POSITIVE)
    # whether a sweep stops at its first failure
    fail_fast: bool = False
