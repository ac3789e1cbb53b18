"""The Dataset class: named splits of tensors, what they are called, and the true function where it is known."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from neuronsweep.config.metric_names import unit
from neuronsweep.data.preparation import Preparation


class Split(NamedTuple):
    """Samples: x (N, D) float32; y (N, K) float32 for regression, (N,) int64 class numbers for classification."""

    x: Tensor
    y: Tensor


@dataclass(frozen=True)
class Dataset:
    """The splits ``train``, ``val`` (same distribution) and, where there is one, ``outer`` (beyond the training range).

    ``truth`` maps x (N, D) to the noiseless y (N, K), or is None where no such function exists.
    ``classes`` is the number of classes, 0 for regression. ``training_range`` and ``whole_range`` bound the one input
    of a curve where it was drawn from intervals; without them they are the extent of train and of all samples.
    ``table`` says how the tensors were made of a table's columns, where they were.
    """

    splits: Mapping[str, Split]
    truth: Callable[[Tensor], Tensor] | None = None
    classes: int = 0
    training_range: tuple[float, float] | None = None
    whole_range: tuple[float, float] | None = None
    table: Preparation | None = None

    @property
    def task(self) -> str:
        return "classification" if self.classes else "regression"

    @property
    def inputs(self) -> int:
        return self.splits["train"].x.shape[1]

    @property
    def outputs(self) -> int:
        """Width of the network's output: a number a target, one logit for two classes, else one logit a class."""
        if not self.classes:
            return self.splits["train"].y.shape[1]
        return self.classes if self.classes > 2 else 1

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of x's columns."""
        if self.table:
            return self.table.inputs
        return ("x",) if self.inputs == 1 else tuple(f"x{i + 1}" for i in range(self.inputs))

    @property
    def target_names(self) -> tuple[str, ...]:
        """Names of y's columns, one where y is a class."""
        if self.table:
            return self.table.targets
        count = 1 if self.classes else self.outputs
        return ("y",) if count == 1 else tuple(f"y{i + 1}" for i in range(count))

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes in the order of their numbers."""
        return self.table.classes if self.table else tuple(map(str, range(self.classes)))

    def own_units(self, metrics: Mapping[str, float], loss: str) -> dict[str, float]:
        """Metrics of the tensors in the units of a table's target; those of several targets stay as they are.

        Args:
            loss: the name of the loss that ``loss`` is.
        """
        scale = self.table.scale if self.table else ()
        if len(scale) != 1:
            return dict(metrics)
        return {name: value * scale[0] ** unit(name, loss) for name, value in metrics.items()}

    @property
    def prepared(self) -> dict[str, Any] | None:
        """How a table became tensors, in plain values for the record; None of other data."""
        return self.table.as_json() if self.table else None

    @cached_property
    def digest(self) -> str:
        """SHA-256 of every split's name, dtype, shape and bytes, and of the file that they are of."""
        sha = hashlib.sha256()
        for name, split in self.splits.items():
            for tensor in split:
                array = tensor.contiguous().numpy()
                sha.update(f"{name} {array.dtype.str} {array.shape};".encode())
                sha.update(array.data)
        if self.table:
            sha.update(self.table.source["sha256"].encode())
        return sha.hexdigest()


def regression(
    train: tuple, val: tuple, outer: tuple | None = None, truth: Callable[[Tensor], Tensor] | None = None
) -> Dataset:
    """Data set from pairs of arrays x (N,) or (N, D) and y (N,)."""
    pairs = {"train": train, "val": val, "outer": outer}
    splits = {name: Split(_columns(pair[0]), _columns(pair[1])) for name, pair in pairs.items() if pair is not None}
    return Dataset(splits, truth)


def classification(train: tuple, val: tuple, classes: int) -> Dataset:
    """Data set from pairs of arrays x (N, D) and class numbers y (N,)."""
    pairs = {"train": train, "val": val}
    splits = {
        name: Split(_columns(x), torch.from_numpy(np.asarray(y, dtype=np.int64))) for name, (x, y) in pairs.items()
    }
    return Dataset(splits, classes=classes)


def _columns(values) -> Tensor:
    array = np.asarray(values, dtype=np.float32)
    return torch.from_numpy(array.reshape(len(array), -1).copy())
