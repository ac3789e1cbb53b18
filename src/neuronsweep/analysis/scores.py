"""Metrics of a split that are computed once, at the end of a run, for both engines by this one function."""

import copy
import math
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from neuronsweep.config.metric_names import SQUARED
from neuronsweep.data.dataset import Dataset

# Bins of a calibration error, and of a calibration curve; Guo et al. (2017) use as many.
BINS = 15
# Rows that are predicted at once: a table may have millions.
ROWS = 65536

Probabilities = NDArray[np.float64]


def scores(network: nn.Module, dataset: Dataset, metrics: Mapping[str, float], loss: str) -> dict[str, float]:
    """``split/name`` of a trained network; only those that are finite.

    Classes: ``balanced_acc``, ``f1`` (macro), ``ece``. Regression: ``rmse``, and ``pinball`` where that is the loss.

    Args:
        network: maps x to one logit for two classes, or to a logit a class; not used for regression.
        metrics: those of its task, in the units in which the others shall be.
        loss: the name of the loss that ``loss`` is; empty for one of somebody's own.
    """
    found: dict[str, float] = {}
    fixed = copy.deepcopy(network).to("cpu", torch.float64).eval() if dataset.classes else network
    for name, (x, y) in dataset.splits.items():
        if dataset.classes:
            of_split = of_classes(probabilities(fixed, x), y.numpy())
        else:
            squared = metrics.get(f"{name}/loss" if loss in SQUARED else f"{name}/mse", math.nan)
            of_split = {"rmse": math.sqrt(squared) if squared >= 0 else math.nan}
            if loss == "quantile":
                of_split["pinball"] = metrics[f"{name}/loss"]
        found |= {f"{name}/{metric}": value for metric, value in of_split.items()}
    return {name: value for name, value in found.items() if math.isfinite(value)}


@torch.no_grad()
def outputs(network: nn.Module, x_ND: Tensor) -> Tensor:
    """What a network in float64 makes of inputs, (N, K)."""
    return torch.cat([network(rows.double()) for rows in x_ND.split(ROWS)])


def probabilities(network: nn.Module, x_ND: Tensor) -> Probabilities:
    """The probability of every class (N, C), by a network in float64 with one logit for two classes or one a class."""
    logits = outputs(network, x_ND)
    if logits.shape[1] == 1:
        logits = torch.cat([-logits, logits], dim=1) / 2
    found: Probabilities = torch.softmax(logits, dim=1).numpy()
    return found


def of_classes(p_NC: Probabilities, y_N: NDArray[np.int64]) -> dict[str, float]:
    """Metrics of probabilities of classes.

    ``balanced_acc``: the mean over the classes that occur of the share of their samples that is recognised. ``f1``: the
    mean of the classes' F1, of those that occur or are predicted. ``ece``: expected calibration error: by how much the
    probability of the predicted class differs from the share of samples for which it is right, in BINS bins of equal
    width, weighted by their samples (Guo et al., On Calibration of Modern Neural Networks, 2017).
    """
    matrix = confusion(p_NC, y_N)
    right, actual, predicted = np.diag(matrix), matrix.sum(1), matrix.sum(0)
    occurs, known = actual > 0, actual + predicted > 0
    sizes, claimed, share = calibration(p_NC, y_N)
    return {
        "balanced_acc": float((right[occurs] / actual[occurs]).mean()),
        "f1": float((2 * right[known] / (actual + predicted)[known]).mean()),
        "ece": float((sizes * np.abs(claimed - share)).sum() / len(y_N)),
    }


def confusion(p_NC: Probabilities, y_N: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many samples of a class (row) are taken for a class (column), which is the most probable one."""
    classes = p_NC.shape[1]
    return np.bincount(y_N * classes + p_NC.argmax(1), minlength=classes**2).reshape(classes, classes)


def calibration(p_NC: Probabilities, y_N: NDArray[np.int64]) -> tuple[Probabilities, Probabilities, Probabilities]:
    """Of every bin that has samples: how many, the mean probability of their predicted class, how often it is right."""
    claimed = p_NC.max(1)
    right = p_NC.argmax(1) == y_N
    place = np.minimum((claimed * BINS).astype(int), BINS - 1)
    sizes = np.bincount(place, minlength=BINS).astype(float)
    sums = [np.bincount(place, weights=values, minlength=BINS) for values in (claimed, right)]
    used = sizes > 0
    return sizes[used], sums[0][used] / sizes[used], sums[1][used] / sizes[used]
