"""conf/data: the data sets and their arguments."""

from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

from neuronsweep.config.allowed import (
    COLUMNS,
    FINITE,
    FORMULA,
    FRACTION,
    INTERVAL,
    NOT_NEGATIVE,
    QUANTILE,
    SEED,
    key,
    one_of,
    whole,
)


class Description(NamedTuple):
    """What data are before they are made.

    ``task`` is regression or classification, ``classes`` their number or 0; ``splits`` are the names, ``notes`` lines
    about what is odd in a table.
    """

    task: str
    classes: int
    splits: tuple[str, ...]
    notes: tuple[str, ...] = ()


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


@dataclass
class Formula:
    """A formula of x, or of x1 and x2: ``y`` for targets, ``inside`` for classes."""

    describe: ClassVar[str] = "neuronsweep.data.formula.describe"
    _target_: str = "neuronsweep.data.formula.formula"
    y: Any = key(None, FORMULA)
    inside: Any = key(None, FORMULA)
    low: float = key(-1.5, FINITE)
    high: float = key(2.5, FINITE)
    # the interval that samples come from; null: [low, high]
    outer: list[float] | None = key([-3.5, 4.5], INTERVAL)
    n: int = key(1000, whole(1))
    noise: float = key(0.1, NOT_NEGATIVE)
    sampling: str = key("uniform", one_of("uniform", "grid"))
    seed: int = key(42, SEED)


@dataclass
class Packaged:
    """A table of scikit-learn's, and how the rows of any table are split."""

    # who says what the data of a config are
    describe: ClassVar[str] = "neuronsweep.data.table.describe"
    # the share of the rows that no training run sees; of the others the share that is val ...
    test: float = key(0.0, FRACTION)
    val: float = key(0.2, QUANTILE)
    # ... unless a fold of so many is val
    folds: int = key(5, whole(2))
    fold: int | None = key(None, whole(0))
    seed: int = key(42, SEED)
    # what a report measures the networks by: a line, and with boosting gradient boosted trees as well
    yardstick: str = key("line", one_of("line", "boosting"))


@dataclass
class Iris(Packaged):
    _target_: str = "neuronsweep.data.table.iris"


@dataclass
class Wine(Packaged):
    _target_: str = "neuronsweep.data.table.wine"


@dataclass
class BreastCancer(Packaged):
    _target_: str = "neuronsweep.data.table.breast_cancer"


@dataclass
class Diabetes(Packaged):
    _target_: str = "neuronsweep.data.table.diabetes"


@dataclass
class Digits(Packaged):
    _target_: str = "neuronsweep.data.table.digits"


@dataclass
class Table(Packaged):
    """A file; columns are named as its first line names them."""

    _target_: str = "neuronsweep.data.table.table"
    file: str | None = None
    # one column, or a list of them
    target: Any = key(None, COLUMNS)
    # null: all columns but the target, those of drop, groups and time, and what only numbers the rows
    features: list[str] | None = None
    drop: list[str] = field(default_factory=list)
    # columns of numbers whose values are words all the same
    categories: list[str] = field(default_factory=list)
    task: str = key("auto", one_of("auto", "regression", "classes"))
    missing: str = key("impute", one_of("impute", "refuse", "drop"))
    # columns of which all rows of a value are in one split, and by which later rows are in later splits
    groups: str | None = None
    time: str | None = None
