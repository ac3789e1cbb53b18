"""conf/data: the data sets and their arguments."""

from dataclasses import dataclass
from typing import ClassVar

from neuronsweep.config.allowed import FINITE, FRACTION, NOT_NEGATIVE, SEED, key, whole


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
    seed: int = key(42, SEED)
    n: int = key(1000, whole(1))
    noise: float = key(0.1, NOT_NEGATIVE)
    low: float = key(-1.5, FINITE)
    high: float = key(2.5, FINITE)


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
    seed: int = key(42, SEED)
    side: int = key(30, whole(2))
    noise: float = key(0.2, NOT_NEGATIVE)


@dataclass
class Moons:
    task: ClassVar[str] = "classification"
    splits: ClassVar[tuple[str, ...]] = ("train", "val")
    _target_: str = "neuronsweep.data.planes.moons"
    seed: int = key(42, SEED)
    n: int = key(200, whole(4))
    noise: float = key(0.2, NOT_NEGATIVE)
    val_seed: int = key(7, SEED)
    n_val: int = key(1000, whole(4))


@dataclass
class Circles(Moons):
    _target_: str = "neuronsweep.data.planes.circles"
    noise: float = key(0.1, NOT_NEGATIVE)
    factor: float = key(0.5, FRACTION)


@dataclass
class Spirals(Moons):
    _target_: str = "neuronsweep.data.planes.spirals"
    n: int = key(300, whole(4))
    noise: float = key(0.1, NOT_NEGATIVE)
    classes: int = key(3, whole(2))
