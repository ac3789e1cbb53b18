"""conf/scheduler: the schedules of the learning rate."""

from dataclasses import dataclass

from neuronsweep.config.allowed import (
    END_FACTOR,
    FRACTION,
    NOT_NEGATIVE,
    POSITIVE,
    START_FACTOR,
    Allowed,
    key,
    one_of,
    whole,
)


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
class Warmup:
    """From ``start_factor`` to ``end_factor`` times the learning rate in ``total_iters`` epochs, then as it is."""

    _target_: str = "torch.optim.lr_scheduler.LinearLR"
    start_factor: float = key(0.1, START_FACTOR)
    end_factor: float = key(1.0, END_FACTOR)
    total_iters: int = key(100, whole(1))


@dataclass
class OneCycle:
    """Up to ``max_lr`` in ``pct_start`` of the epochs, then far down; it steps after every epoch, not every batch.

    It leaves the momentum alone.
    """

    _target_: str = "torch.optim.lr_scheduler.OneCycleLR"
    max_lr: float = key("${optimizer.lr}", POSITIVE)
    total_steps: int = key("${epochs}", whole(1))
    pct_start: float = key(0.3, FRACTION)
    anneal_strategy: str = key("cos", one_of("cos", "linear"))
    cycle_momentum: bool = key(False, Allowed(lambda value: value is False, "false: the optimiser keeps its momentum"))
    div_factor: float = key(25.0, POSITIVE)
    final_div_factor: float = key(1e4, POSITIVE)


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
