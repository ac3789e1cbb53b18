"""How the columns of a table become a network's inputs and targets: fitted on training rows, kept as plain numbers.

Numbers: blanks are the median of the training rows, then (value - mean) / standard deviation. Words: one column a
level, 1 where the row has it and else 0; a blank is a level of its own; levels of few training rows share one column,
which levels that training has not seen have, too. Fitted by scikit-learn's transformers, applied by numpy alone.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuronsweep.data.columns import Column
from neuronsweep.errors import UserError

Inputs = NDArray[np.float32]

# A level with fewer training rows than this shares a column with the other rare ones.
RARE = 5
# So many values at most are fitted at once: scikit-learn makes copies of them.
VALUES = 4_000_000
# What the columns of a blank and of the rare levels are called behind the feature's name.
BLANK, OTHER = "(blank)", "(other)"


@dataclass(frozen=True)
class Number:
    """A feature of numbers: x = ((value, or the median where it is blank) - mean) / scale."""

    name: str
    median: float
    mean: float
    scale: float

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of its columns of x."""
        return (self.name,)

    def columns(self, column: Column) -> list[NDArray[np.float64]]:
        """Its columns of x, each (N,)."""
        numbers = column.values
        return [(np.where(np.isnan(numbers), self.median, numbers) - self.mean) / self.scale]


@dataclass(frozen=True)
class Category:
    """A feature of words: its levels with a column each, and whether a last column has all others."""

    name: str
    levels: tuple[str, ...]
    blank: bool
    other: bool

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of its columns of x."""
        more = [BLANK] * self.blank + [OTHER] * self.other
        return tuple(f"{self.name}={level}" for level in (*self.levels, *more))

    def columns(self, column: Column) -> list[NDArray[np.float64]]:
        """Its columns of x, each (N,); a value that training did not see has none where no level was rare."""
        words = column.as_words()
        places = {level: i for i, level in enumerate(self.levels)}
        last = len(self.inputs) - 1 if self.other else -1
        of_level = np.array([places.get(level, last) for level in words.levels] + [-1], np.int64)
        of_level[-1] = len(self.levels) if self.blank else last
        place = of_level[words.values]
        return [(place == i).astype(np.float64) for i in range(len(self.inputs))]


Feature = Number | Category


@dataclass(frozen=True)
class Preparation:
    """What was learnt of the training rows of a table, in plain values.

    Attributes:
        features: one an input column of the table, in the order of x's columns.
        targets: names of the target columns.
        source: of the rows: ``file``, its ``sha256``, how many ``rows`` each split has.
        classes: names of the classes, in the order of their numbers; empty for regression.
        centre, scale: of each target of a regression: value = centre + scale * y.
    """

    features: tuple[Feature, ...]
    targets: tuple[str, ...]
    classes: tuple[str, ...] = ()
    centre: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    source: Mapping[str, Any] = field(default_factory=dict)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of x's columns."""
        return tuple(name for feature in self.features for name in feature.inputs)

    def places(self) -> dict[str, slice]:
        """Which columns of x each feature has."""
        found, start = {}, 0
        for feature in self.features:
            found[feature.name] = slice(start, start + len(feature.inputs))
            start += len(feature.inputs)
        return found

    def x(self, columns: Mapping[str, Column]) -> Inputs:
        """Inputs (N, D) of rows with these columns."""
        n = len(columns[self.features[0].name])
        x_ND = np.empty((n, len(self.inputs)), np.float32)
        for feature, place in zip(self.features, self.places().values(), strict=True):
            for i, values in enumerate(feature.columns(columns[feature.name])):
                x_ND[:, place.start + i] = values
        return x_ND

    def y(self, columns: Mapping[str, Column]) -> NDArray[Any]:
        """Targets of rows with these columns: (N, K) float32 in standard deviations, or (N,) class numbers."""
        if self.classes:
            words = columns[self.targets[0]].as_words()
            numbers = {name: i for i, name in enumerate(self.classes)}
            return np.array([numbers[level] for level in words.levels], np.int64)[words.values]
        own = zip(self.targets, self.centre, self.scale, strict=True)
        return np.stack([(columns[name].values - mean) / scale for name, mean, scale in own], 1).astype(np.float32)

    def own_units(self, y_NK: NDArray[np.float64]) -> NDArray[np.float64]:
        """Targets or predictions (N, K) of a regression in the units of the table."""
        return np.asarray(self.centre) + np.asarray(self.scale) * y_NK

    def as_json(self) -> dict[str, Any]:
        """Plain values that ``from_json`` reads back to the same bits."""
        features = [{"kind": type(one).__name__.lower(), **asdict(one)} for one in self.features]
        return {**asdict(self), "features": features}

    @classmethod
    def from_json(cls, value: Any) -> "Preparation":
        """Raises UserError where the values are none of a preparation: a directory may be anybody's."""
        try:
            features = tuple(_feature(one) for one in value["features"])
            targets, classes = (tuple(map(str, value[name])) for name in ("targets", "classes"))
            centre, scale = (tuple(map(float, value[name])) for name in ("centre", "scale"))
            found = cls(features, targets, classes, centre, scale, dict(value["source"]))
            fits = len(found.targets) == 1 if found.classes else len(found.targets) == len(found.scale)
            if not (fits and found.features and len(found.centre) == len(found.scale)):
                raise ValueError
        except (KeyError, TypeError, ValueError, AttributeError):
            raise UserError("what the record has of the table's columns is damaged") from None
        return found


def _feature(value: Mapping[str, Any]) -> Feature:
    name = str(value["name"])
    if value["kind"] == "number":
        number = Number(name, float(value["median"]), float(value["mean"]), float(value["scale"]))
        if not all(map(math.isfinite, (number.median, number.mean, number.scale))) or not number.scale:
            raise ValueError
        return number
    return Category(name, tuple(map(str, value["levels"])), bool(value["blank"]), bool(value["other"]))


def fit(
    columns: Mapping[str, Column], features: Sequence[str], targets: Sequence[str], classes: Sequence[str]
) -> Preparation:
    """Fit to the columns of the training rows alone.

    Args:
        classes: names of the classes, all rows' together; empty for regression.
    """
    numbers = [name for name in features if columns[name].numbers is not None]
    fitted: dict[str, Feature] = {one.name: one for one in _fit_numbers([columns[name] for name in numbers])}
    fitted |= {name: _fit_words(columns[name]) for name in features if name not in fitted}
    ordered = tuple(fitted[name] for name in features)
    if classes:
        return Preparation(ordered, tuple(targets), tuple(classes))
    centre, scale = _standard(np.stack([columns[name].values for name in targets], 1))
    return Preparation(ordered, tuple(targets), (), tuple(centre), tuple(scale))


def _fit_numbers(columns: Sequence[Column]) -> Iterator[Number]:
    from sklearn.impute import SimpleImputer

    together = max(1, VALUES // max(1, len(columns[0]))) if columns else 1
    for start in range(0, len(columns), together):
        some = columns[start : start + together]
        imputer = SimpleImputer(strategy="median")
        means, scales = _standard(imputer.fit_transform(np.stack([one.values for one in some], 1)))
        for one, median, mean, scale in zip(some, imputer.statistics_.tolist(), means, scales, strict=True):
            yield Number(one.name, median, mean, scale)


def _fit_words(column: Column) -> Category:
    from sklearn.preprocessing import OneHotEncoder

    # codes instead of words: the encoder orders numbers faster, and levels are in order already
    codes_N1 = column.values[:, None]
    encoder = OneHotEncoder(min_frequency=RARE, handle_unknown="infrequent_if_exist").fit(codes_N1)
    rare = set() if encoder.infrequent_categories_[0] is None else set(encoder.infrequent_categories_[0].tolist())
    own = [code for code in encoder.categories_[0].tolist() if code not in rare]
    return Category(column.name, tuple(column.levels[code] for code in own if code >= 0), -1 in own, bool(rare))


def _standard(values_NK: NDArray[np.float64]) -> tuple[list[float], list[float]]:
    """Means and standard deviations, 1 where the values are all the same."""
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(values_NK)
    return scaler.mean_.tolist(), scaler.scale_.tolist()
