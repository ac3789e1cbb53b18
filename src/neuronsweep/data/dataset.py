"""The Dataset class: named splits of tensors, and the true function behind them where it is known."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Split(NamedTuple):
    """Samples: x (N, D) float32; y (N, 1) float32 for regression, (N,) int64 class numbers for classification."""

    x: Tensor
    y: Tensor


@dataclass(frozen=True)
class Dataset:
    """The splits ``train``, ``val`` (same distribution) and, where there is one, ``outer`` (beyond the training range).

    ``truth`` maps x (N, D) to the noiseless y (N, 1), or is None where no such function exists.
    ``classes`` is the number of classes, 0 for regression. ``training_range`` and ``whole_range`` bound the one input
    of a curve where it was drawn from intervals; without them they are the extent of train and of all samples.
    """

    splits: Mapping[str, Split]
    truth: Callable[[Tensor], Tensor] | None = None
    classes: int = 0
    training_range: tuple[float, float] | None = None
    whole_range: tuple[float, float] | None = None

    @property
    def task(self) -> str:
        return "classification" if self.classes else "regression"

    @property
    def inputs(self) -> int:
        return self.splits["train"].x.shape[1]

    @property
    def outputs(self) -> int:
        """Width of the network's output: one number, one logit for two classes, else one logit a class."""
        return self.classes if self.classes > 2 else 1

    @cached_property
    def digest(self) -> str:
        """SHA-256 of every split's name, dtype, shape and bytes."""
        sha = hashlib.sha256()
        for name, split in self.splits.items():
            for tensor in split:
                array = tensor.contiguous().numpy()
                sha.update(f"{name} {array.dtype.str} {array.shape};".encode())
                sha.update(array.tobytes())
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
