"""conf/loss: the losses. Each has a dataclass, which its ``name`` identifies."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from neuronsweep.config.allowed import CLASS_WEIGHTS, POSITIVE, QUANTILE, key, only
from neuronsweep.errors import UserError

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
    """In nats; ``class_weights``: how much a sample of each class counts, null: all the same.

    ``balanced``: as much as makes all classes count the same: n / (classes * samples of the class), of train.
    """

    tasks: ClassVar[tuple[str, ...]] = (CLASSIFICATION,)
    name: str = key("cross_entropy", only("cross_entropy"))
    class_weights: Any = key(None, CLASS_WEIGHTS)


LOSSES: dict[str, type] = {
    "auto": Auto,
    "mse": MSE,
    "mae": MAE,
    "huber": Huber,
    "quantile": Quantile,
    "cross_entropy": CrossEntropy,
}


def check_loss(loss: Mapping[str, Any], task: str, classes: int) -> None:
    """Raise UserError for a loss that does not fit data of this task with so many classes.

    Args:
        loss: the config's ``loss``.
    """
    fitting = [name for name, schema in LOSSES.items() if task in schema.tasks]  # type: ignore[attr-defined]
    if loss["name"] not in fitting:
        raise UserError(
            f"loss={loss['name']} is not allowed: with this data, of {task}, it is one of {', '.join(fitting)}"
        )
    weights = loss.get("class_weights")
    if weights not in (None, "balanced") and len(weights) != classes:
        raise UserError(
            f"loss.class_weights=[{','.join(map(str, weights))}] is not allowed: this data has {classes} classes, "
            "each with a weight of its own"
        )
