"""conf/loss: what training makes small. A class for each, told from the others by its ``name``."""

from dataclasses import dataclass
from typing import ClassVar

from neuronsweep.allowed import CLASS_WEIGHTS, POSITIVE, QUANTILE, key, only

REGRESSION, CLASSIFICATION = "regression", "classification"


@dataclass
class Auto:
    """The mean squared error for regression, the cross-entropy for classes."""

    tasks: ClassVar[tuple[str, ...]] = (REGRESSION, CLASSIFICATION)
    name: str = key("auto", only("auto"))


@dataclass
class MSE:
    tasks: ClassVar[tuple[str, ...]] = (REGRESSION,)
    name: str = key("mse", only("mse"))


@dataclass
class MAE:
    tasks: ClassVar[tuple[str, ...]] = (REGRESSION,)
    name: str = key("mae", only("mae"))


@dataclass
class Huber:
    """Half the squared error up to ``delta``, beyond it linear: torch.nn.functional.huber_loss."""

    tasks: ClassVar[tuple[str, ...]] = (REGRESSION,)
    name: str = key("huber", only("huber"))
    delta: float = key(1.0, POSITIVE)


@dataclass
class Quantile:
    """The pinball loss, which is least where a share ``q`` of the targets lies below the prediction."""

    tasks: ClassVar[tuple[str, ...]] = (REGRESSION,)
    name: str = key("quantile", only("quantile"))
    q: float = key(0.5, QUANTILE)


@dataclass
class CrossEntropy:
    """In nats; ``class_weights``: how much a sample of each class counts, null: all the same."""

    tasks: ClassVar[tuple[str, ...]] = (CLASSIFICATION,)
    name: str = key("cross_entropy", only("cross_entropy"))
    class_weights: list[float] | None = key(None, CLASS_WEIGHTS)
