"""Data sets of any formula: a curve or a surface, drawn as the sine is, or classes by conditions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuronsweep.config.schemas.data import Description
from neuronsweep.data.expression import Expression, read
from neuronsweep.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from neuronsweep.data.dataset import Dataset

Array = NDArray[Any]

# Where a formula has to be finite, besides at the samples: points of a line, and to a side of a square.
LINE, SIDE = 1601, 81


@dataclass(frozen=True)
class Formulas:
    """Formulas of the same inputs: one a target, or one a class but the first, which is where none of them holds."""

    each: tuple[Expression, ...]
    is_classes: bool

    @property
    def inputs(self) -> int:
        return 2 if any(names & {"x1", "x2"} for names in (one.names for one in self.each)) else 1

    def values(self, x_ND: Array) -> Array:
        """Targets (N, K) in float64, or class numbers (N,): a sample is of the first condition that holds."""
        names = ["x"] if self.inputs == 1 else ["x1", "x2"]
        columns = {name: x_ND[:, i] for i, name in enumerate(names)}
        found = [one(columns) for one in self.each]
        if self.is_classes:
            return np.select(found, range(1, len(found) + 1), 0).astype(np.int64)
        return np.stack(found, axis=1).astype(np.float64)

    def key(self, i: int) -> str:
        """The key of the config that has one of them."""
        return ("data.inside" if self.is_classes else "data.y") + (f"[{i}]" if len(self.each) > 1 else "")


def describe(config: Mapping[str, Any]) -> Description:
    """What the data of a formula are. Raises UserError for one that is wrong, or not finite where it is drawn."""
    formulas = _formulas(config["y"], config["inside"])
    keys = {key: value for key, value in config.items() if key not in ("_target_", "y", "inside")}
    splits = _draw(formulas, **keys)
    return Description(
        "classification" if formulas.is_classes else "regression",
        len(formulas.each) + 1 if formulas.is_classes else 0,
        tuple(splits),
    )


def formula(
    y: str | Sequence[str] | None = None,
    inside: str | Sequence[str] | None = None,
    low: float = -1.5,
    high: float = 2.5,
    outer: Sequence[float] | None = (-3.5, 4.5),
    n: int = 1000,
    noise: float = 0.1,
    sampling: str = "uniform",
    seed: int = 42,
) -> "Dataset":
    """y = formula + noise * N(0, 1), or the classes of conditions at inputs that noise * N(0, 1) has blurred.

    Of n samples on ``outer``, in both directions for two inputs, ``train`` has those with low <= x <= high and the
    split ``outer`` the others; ``val`` is a uniform draw of train's size on [low, high] from seed + 1. Classes, and
    formulas without ``outer``, are drawn on [low, high] alone.

    Args:
        y: a formula of x, or of x1 and x2; of several, each is a target.
        inside: a condition: class 1 is where it holds; of several, class k is where the k-th holds first.
        sampling: ``uniform``, or ``grid`` for equal distances.
    """
    import torch  # late: checks need none of it

    from neuronsweep.data.dataset import Dataset, Split

    formulas = _formulas(y, inside)
    drawn = _draw(formulas, low, high, outer, n, noise, sampling, seed)
    kind = np.int64 if formulas.is_classes else np.float32
    splits = {
        name: Split(torch.from_numpy(x_ND.astype(np.float32)), torch.from_numpy(y.astype(kind)))
        for name, (x_ND, y) in drawn.items()
    }
    if formulas.is_classes:
        return Dataset(splits, classes=len(formulas.each) + 1)

    def truth(x_ND: "Tensor") -> "Tensor":
        return torch.from_numpy(formulas.values(x_ND.detach().double().numpy()))

    dataset = Dataset(splits, truth)
    if formulas.inputs > 1:
        return dataset
    return replace(dataset, training_range=(low, high), whole_range=_whole(low, high, outer))


def _formulas(y: Any, inside: Any) -> Formulas:
    if (y is None) == (inside is None):
        told = "data.y is a formula of x, or of x1 and x2; data.inside is a condition, for classes"
        raise UserError(f"data=formula needs data.y or data.inside, and not both: {told}")
    texts, key = (y, "data.y") if inside is None else (inside, "data.inside")
    one = isinstance(texts, str) or not isinstance(texts, Sequence)
    each = tuple(read(key if one else f"{key}[{i}]", str(text)) for i, text in enumerate([texts] if one else texts))
    if not each:
        raise UserError(f"{key}=[] is not allowed: it is a formula, or a list of them")
    names = frozenset().union(*(one.names for one in each))
    if "x" in names and len(names) > 1:
        raise UserError(f"{key} is not allowed: one of its formulas has x, another {max(names)}")
    if inside is not None and (wrong := next((one for one in each if not one.is_condition), None)):
        raise UserError(f"{key}={wrong.text} is not allowed: it is a condition, such as x1**2 + x2**2 < 1")
    return Formulas(each, inside is not None)


def _whole(low: float, high: float, outer: Sequence[float] | None) -> tuple[float, float]:
    return (low, high) if outer is None else (min(low, outer[0]), max(high, outer[1]))


def _draw(
    formulas: Formulas,
    low: float,
    high: float,
    outer: Sequence[float] | None,
    n: int,
    noise: float,
    sampling: str,
    seed: int,
) -> dict[str, tuple[Array, Array]]:
    """Inputs (N, D) and targets of train, val and, of targets on more than [low, high], outer."""
    whole = (low, high) if formulas.is_classes else _whole(low, high, outer)
    _check_finite(formulas, _even(whole, LINE if formulas.inputs == 1 else SIDE, formulas.inputs))
    rng = np.random.default_rng(seed)
    if sampling == "grid":
        side = n if formulas.inputs == 1 else max(1, round(n**0.5))
        x_ND = _even(whole, side, formulas.inputs)
    else:
        x_ND = rng.uniform(*whole, (n, formulas.inputs))
    inside = ((x_ND >= low) & (x_ND <= high)).all(axis=1)
    if not inside.any():
        raise UserError(
            f"data.low={low} data.high={high} is not allowed: none of the {len(x_ND)} samples lies between them"
        )
    drawn = _noisy(formulas, x_ND, noise, rng)
    found = {"train": tuple(one[inside] for one in drawn)}
    rng = np.random.default_rng(seed + 1)
    found["val"] = _noisy(formulas, rng.uniform(low, high, (int(inside.sum()), formulas.inputs)), noise, rng)
    if not inside.all():
        found["outer"] = tuple(one[~inside] for one in drawn)
    if formulas.is_classes:
        for name, (_, classes) in found.items():
            lacks = {*range(len(formulas.each) + 1)} - {*classes.tolist()}
            if lacks:
                raise UserError(
                    f"data.inside is not allowed: none of the {len(classes)} {name} samples between data.low={low} and "
                    f"data.high={high} is of class {min(lacks)}"
                )
    return found  # type: ignore[return-value]


def _noisy(formulas: Formulas, x_ND: Array, noise: float, rng: np.random.Generator) -> tuple[Array, Array]:
    values = formulas.values(x_ND)
    if formulas.is_classes:
        return x_ND + noise * rng.normal(size=x_ND.shape), values
    _check_finite(formulas, x_ND)
    return x_ND, values + noise * rng.normal(size=values.shape)


def _even(ends: tuple[float, float], side: int, inputs: int) -> Array:
    ticks = np.linspace(*ends, side)
    return ticks[:, None] if inputs == 1 else np.stack(np.meshgrid(ticks, ticks, indexing="ij"), -1).reshape(-1, 2)


def _check_finite(formulas: Formulas, x_ND: Array) -> None:
    """Raise UserError with the first inputs at which a formula is not finite in single precision."""
    if formulas.is_classes:
        return
    with np.errstate(over="ignore"):
        finite = np.isfinite(formulas.values(x_ND).astype(np.float32))
    if not finite.all():
        row, i = np.argwhere(~finite)[0].tolist()
        names = ["x"] if formulas.inputs == 1 else ["x1", "x2"]
        where = ", ".join(f"{name} = {value:.6g}" for name, value in zip(names, x_ND[row].tolist(), strict=True))
        raise UserError(
            f"{formulas.key(i)}={formulas.each[i].text} is not allowed: it is not finite at {where}; data.low, "
            "data.high and data.outer say where the samples lie"
        )
