"""conf/scheduler: how the learning rate changes."""

from dataclasses import dataclass

from neuronsweep.allowed import FRACTION, NOT_NEGATIVE, POSITIVE, key, whole


@dataclass
class NoScheduler:
    _target_: str | None = None


@dataclass
class Step:
    _target_: str = "torch.optim.lr_scheduler.StepLR"
    step_size: int = key(500, whole(1))
    gamma: float = key(0.1, POSITIVE)


@dataclass
class Exponential:
    _target_: str = "torch.optim.lr_scheduler.ExponentialLR"
    gamma: float = key(0.999, POSITIVE)


@dataclass
class Cosine:
    _target_: str = "torch.optim.lr_scheduler.CosineAnnealingLR"
    T_max: int = key("${epochs}", whole(1))
    eta_min: float = key(0.0, NOT_NEGATIVE)


@dataclass
class Plateau:
    """Reads objective.metric; ``patience`` and ``cooldown`` count log points, where that metric is computed."""

    _target_: str = "torch.optim.lr_scheduler.ReduceLROnPlateau"
    mode: str = "${objective.mode}"
    factor: float = key(0.1, FRACTION)
    patience: int = key(10, whole(0))
    threshold: float = key(1e-4, NOT_NEGATIVE)
    cooldown: int = key(0, whole(0))
    min_lr: float = key(0.0, NOT_NEGATIVE)
