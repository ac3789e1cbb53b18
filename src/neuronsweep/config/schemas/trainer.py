"""conf/trainer and conf/logger: how Lightning trains, and which logger it has."""

from dataclasses import dataclass, field
from typing import Any

from neuronsweep.config.allowed import NOT_NEGATIVE, PICTURES, POSITIVE, key, one_of, whole


@dataclass
class EarlyStopping:
    """Stop when objective.metric has not improved by ``min_delta`` for ``patience`` log points; null: never."""

    patience: int | None = key(None, whole(1))
    min_delta: float = key(0.0, NOT_NEGATIVE)


@dataclass
class Trainer:
    accelerator: str = key("cpu", one_of("cpu", "gpu"))
    devices: int = key(1, whole(1))
    strategy: str = key("auto", one_of("auto", "ddp"))
    precision: str = key("32-true", one_of("32-true", "64-true"))
    # largest norm of the gradient
    gradient_clip_val: float | None = key(None, POSITIVE)
    # largest size of each number of the gradient; with both, numbers are clipped first, then the norm
    gradient_clip_value: float | None = key(None, POSITIVE)
    early_stopping: EarlyStopping = field(default_factory=EarlyStopping)
    # which weights model.ckpt and the final metrics have: the last ones or those with the best objective
    keep: str = key("last", one_of("last", "best"))
    # seconds between two checkpoints of a running run
    checkpoint_seconds: float = key(5.0, NOT_NEGATIVE)


@dataclass
class TensorBoard:
    _target_: str = "lightning.pytorch.loggers.TensorBoardLogger"
    # log points of which there is a picture of the fit, close together at first; the last is one of them. Of a large
    # sweep only the runs that its report shows have pictures: all says that every run has one
    pictures: Any = key(1, PICTURES)


@dataclass
class NoLogger:
    _target_: str | None = None
    # 0: no picture; 1: one of every fit, of a large sweep of those that its report shows; all: of every fit
    pictures: Any = key(1, PICTURES)
