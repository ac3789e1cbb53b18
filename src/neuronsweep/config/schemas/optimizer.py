"""conf/optimizer: the optimisers of torch.optim, each with its own arguments."""

from dataclasses import dataclass, field

from neuronsweep.config.allowed import BETAS, FINITE, FRACTION, NOT_NEGATIVE, POSITIVE, key, one_of, whole


@dataclass
class SGD:
    _target_: str = "torch.optim.SGD"
    lr: float = key(0.01, POSITIVE)
    momentum: float = key(0.0, NOT_NEGATIVE)
    dampening: float = key(0.0, FINITE)
    weight_decay: float = key(0.0, NOT_NEGATIVE)
    nesterov: bool = False


@dataclass
class Adam:
    _target_: str = "torch.optim.Adam"
    lr: float = key(0.01, POSITIVE)
    betas: list[float] = field(default_factory=lambda: [0.9, 0.999], metadata={"allowed": BETAS})
    eps: float = key(1e-8, NOT_NEGATIVE)
    weight_decay: float = key(0.0, NOT_NEGATIVE)
    amsgrad: bool = False


@dataclass
class AdamW(Adam):
    _target_: str = "torch.optim.AdamW"
    weight_decay: float = key(0.01, NOT_NEGATIVE)


@dataclass
class RMSprop:
    _target_: str = "torch.optim.RMSprop"
    lr: float = key(0.01, POSITIVE)
    alpha: float = key(0.99, FRACTION)
    eps: float = key(1e-8, NOT_NEGATIVE)
    weight_decay: float = key(0.0, NOT_NEGATIVE)
    momentum: float = key(0.0, NOT_NEGATIVE)
    centered: bool = False


@dataclass
class Adagrad:
    _target_: str = "torch.optim.Adagrad"
    lr: float = key(0.01, POSITIVE)
    lr_decay: float = key(0.0, NOT_NEGATIVE)
    weight_decay: float = key(0.0, NOT_NEGATIVE)
    initial_accumulator_value: float = key(0.0, NOT_NEGATIVE)
    eps: float = key(1e-10, NOT_NEGATIVE)


@dataclass
class NAdam:
    _target_: str = "torch.optim.NAdam"
    lr: float = key(0.01, POSITIVE)
    betas: list[float] = field(default_factory=lambda: [0.9, 0.999], metadata={"allowed": BETAS})
    eps: float = key(1e-8, NOT_NEGATIVE)
    weight_decay: float = key(0.0, NOT_NEGATIVE)
    momentum_decay: float = key(4e-3, NOT_NEGATIVE)
    decoupled_weight_decay: bool = False


@dataclass
class RAdam:
    _target_: str = "torch.optim.RAdam"
    lr: float = key(0.01, POSITIVE)
    betas: list[float] = field(default_factory=lambda: [0.9, 0.999], metadata={"allowed": BETAS})
    eps: float = key(1e-8, NOT_NEGATIVE)
    weight_decay: float = key(0.0, NOT_NEGATIVE)
    decoupled_weight_decay: bool = False


@dataclass
class LBFGS:
    _target_: str = "torch.optim.LBFGS"
    lr: float = key(1.0, POSITIVE)
    max_iter: int = key(20, whole(1))
    max_eval: int | None = key(None, whole(1))
    tolerance_grad: float = key(1e-7, NOT_NEGATIVE)
    tolerance_change: float = key(1e-9, NOT_NEGATIVE)
    history_size: int = key(100, whole(1))
    line_search_fn: str | None = key("strong_wolfe", one_of("strong_wolfe"))
