"""Metrics of a split that are computed once, at the end of a run, for both engines by this one function."""

import copy
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from neuronsweep.config.metric_names import SQUARED
from neuronsweep.data.dataset import Dataset
from neuronsweep.models.losses import loss_function

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
    fixed = _fixed(network) if dataset.classes else network
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


def _fixed(network: nn.Module) -> nn.Module:
    """The network in float64 and evaluation mode on the CPU: itself if it is, for a copy takes long."""
    is_fixed = not any(module.training for module in network.modules()) and all(
        one.dtype == torch.float64 and one.device.type == "cpu" for one in (*network.parameters(), *network.buffers())
    )
    return network if is_fixed else copy.deepcopy(network).to("cpu", torch.float64).eval()


@torch.no_grad()
def outputs(network: nn.Module, x_ND: Tensor) -> Tensor:
    """What a network in float64 makes of inputs, (N, K)."""
    return torch.cat([network(rows.double()) for rows in x_ND.split(ROWS)])


def probabilities(network: nn.Module, x_ND: Tensor) -> Probabilities:
    """The probability of every class (N, C), by a network in float64 with one logit for two classes or one a class."""
    return of_logits(outputs(network, x_ND))


def of_logits(logits: Tensor) -> Probabilities:
    """The probability of every class (N, C), of one logit for two classes or one a class."""
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


def value(metric: str, out_NK: Tensor, y: Tensor, loss: Mapping[str, Any] | None) -> float:
    """A metric of predictions or logits in float64, by its name without a split; nan where it has none.

    Args:
        y: (N, K) float64 for regression, (N,) class numbers.
        loss: the config's ``loss`` with its numbers, which ``loss`` and ``pinball`` are.
    """
    task = "classification" if y.ndim == 1 else "regression"
    if metric in ("loss", "pinball"):
        return loss_function(loss, task)(out_NK, y).item()
    if task == "classification":
        p_NC, y_N = of_logits(out_NK), y.numpy()
        if metric == "acc":
            return float((p_NC.argmax(1) == y_N).mean())
        return roc_area(p_NC, y_N) if metric == "auroc" else of_classes(p_NC, y_N).get(metric, math.nan)
    error_NK = (out_NK - y).numpy()
    if metric == "r2":
        centred_NK = (y - y.mean(0)).numpy()
        return float((1 - (error_NK**2).sum(0) / (centred_NK**2).sum(0)).mean())
    means = {"mae": np.abs(error_NK).mean(), "mse": (error_NK**2).mean(), "rmse": math.sqrt((error_NK**2).mean())}
    return float(means.get(metric, math.nan))


def roc_area(p_NC: Probabilities, y_N: NDArray[np.int64]) -> float:
    """The area under the ROC curve, of more than two classes the mean of each against the others; 0 of one alone."""
    from scipy.stats import rankdata

    areas = []
    for k in range(p_NC.shape[1]) if p_NC.shape[1] > 2 else (1,):
        positive = y_N == k
        pairs = int(positive.sum()) * int((~positive).sum())
        above = rankdata(p_NC[:, k])[positive].sum() - positive.sum() * (positive.sum() + 1) / 2
        areas.append(above / pairs if pairs else 0.0)
    return float(np.mean(areas))
