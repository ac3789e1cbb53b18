"""What a trained network makes of its inputs: which of them it needs, and how its predictions follow them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuronsweep.data.dataset import Dataset
from neuronsweep.data.preparation import Number

Values = NDArray[np.float64]
# Times that a feature is permuted, and rows that are looked at.
REPEATS, ROWS = 5, 2000
# Values of a number that predictions are followed over.
GRID = 25


@dataclass(frozen=True)
class Input:
    """A feature as it was measured.

    Attributes:
        place: its columns of x.
        number: how a number became its column; None of words, whose names are ``levels``.
    """

    name: str
    place: slice
    number: Number | None
    levels: tuple[str, ...]


def inputs_of(dataset: Dataset) -> list[Input]:
    """The features of a table, or the inputs of other data as they are."""
    if dataset.table is None:
        names = enumerate(dataset.feature_names)
        return [Input(name, slice(i, i + 1), Number(name, 0.0, 0.0, 1.0), ()) for i, name in names]
    places = dataset.table.places()
    return [
        Input(one.name, places[one.name], one, ())
        if isinstance(one, Number)
        else Input(one.name, places[one.name], None, tuple(n.removeprefix(f"{one.name}=") for n in one.inputs))
        for one in dataset.table.features
    ]


def permutation_importance(x_ND: Tensor, inputs: Sequence[Input], score: Callable[[Tensor], float]) -> list[float]:
    """By how much a score changes where one input's values are exchanged among the rows: a mean of REPEATS orders.

    Breiman, Random Forests, Machine Learning 45 (2001), section 10. Inputs that say the same share what they matter.

    Args:
        score: of inputs like ``x_ND``.
    """
    random, before = np.random.default_rng(0), score(x_ND)
    orders = [torch.from_numpy(random.permutation(len(x_ND))) for _ in range(REPEATS)]
    found = []
    for one in inputs:
        changed = x_ND.clone()
        scores = []
        for order in orders:
            changed[:, one.place] = x_ND[order, one.place]
            scores.append(score(changed))
        found.append(float(np.mean(scores)) - before)
    return found


def grid_of(one: Input, x_ND: Tensor) -> list[float]:
    """Where a partial dependence is computed: GRID values from an input's 2nd to its 98th percentile, or its levels."""
    if one.number is None:
        return [float(i) for i in range(len(one.levels))]
    column = x_ND[:, one.place.start].double().numpy() * one.number.scale + one.number.mean
    different = np.unique(column)
    if len(different) <= GRID:
        return [float(value) for value in different]
    low, high = np.quantile(column, (0.02, 0.98))
    return [float(value) for value in np.linspace(low, high, GRID)]


def partial_dependence(x_ND: Tensor, one: Input, grid: Sequence[float], predict: Callable[[Tensor], Values]) -> Values:
    """The mean prediction (G, C) where all rows have the same value of an input: Friedman (2001), section 8.2.

    Args:
        grid: values in the input's own units, or places of its levels.
        predict: (N, C) of inputs like ``x_ND``.
    """
    found = []
    for value in grid:
        changed = x_ND.clone()
        if one.number is None:
            changed[:, one.place] = 0
            changed[:, one.place.start + int(value)] = 1
        else:
            changed[:, one.place] = (value - one.number.mean) / one.number.scale
        found.append(predict(changed).mean(0))
    return np.array(found)
