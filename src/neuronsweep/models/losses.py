"""The losses that the config's ``loss`` names, as functions of predictions and targets."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from neuronsweep.config.metric_names import SQUARED
from neuronsweep.data.dataset import Dataset

Loss = Callable[[Tensor, Tensor], Tensor]

AUTO: Mapping[str, Any] = {"name": "auto"}


def quantile(prediction: Tensor, y: Tensor, q: float = 0.5) -> Tensor:
    """Mean pinball loss: q (y - f) where the target y lies above the prediction f, (1 - q) (f - y) below.

    Koenker and Bassett, Regression quantiles, Econometrica 46 (1978). Where y = f its gradient by f is (1 - 2q) / 2.
    """
    above = y - prediction
    return torch.maximum(q * above, (q - 1) * above).mean()


def binary_cross_entropy(logits_N1: Tensor, y_N: Tensor, class_weights: list[float] | None = None) -> Tensor:
    """Cross-entropy of one logit for two classes, in nats; with weights w sum(w_i l_i) / sum(w_i)."""
    logits_N, target_N = logits_N1[:, 0], y_N.to(logits_N1.dtype)
    if class_weights is None:
        return F.binary_cross_entropy_with_logits(logits_N, target_N)
    weight_N = weights_of(class_weights, logits_N1)[y_N]
    return (weight_N * F.binary_cross_entropy_with_logits(logits_N, target_N, reduction="none")).sum() / weight_N.sum()


def cross_entropy(logits: Tensor, y_N: Tensor, class_weights: list[float] | None = None) -> Tensor:
    """Cross-entropy of one logit (N, 1) for two classes or k logits (N, k), in nats, weighted as the binary one."""
    if logits.shape[1] == 1:
        return binary_cross_entropy(logits, y_N, class_weights)
    return F.cross_entropy(logits, y_N, None if class_weights is None else weights_of(class_weights, logits))


def of_dataset(loss: Mapping[str, Any] | None, dataset: Dataset) -> Mapping[str, Any] | None:
    """A config's ``loss`` for one data set: balanced class weights as numbers."""
    if not loss or loss.get("class_weights") != "balanced":
        return loss
    counts = torch.bincount(dataset.splits["train"].y, minlength=dataset.classes)
    weights = [len(dataset.splits["train"].y) / (dataset.classes * max(1, count)) for count in counts.tolist()]
    return {**loss, "class_weights": weights}


def weights_of(class_weights: list[float], like: Tensor) -> Tensor:
    """The classes' weights (k,) in a tensor's dtype and on its device."""
    return torch.tensor(class_weights, dtype=like.dtype, device=like.device)


REGRESSION: dict[str, Callable[..., Tensor]] = {
    "auto": F.mse_loss,
    "mse": F.mse_loss,
    "mae": F.l1_loss,
    "huber": F.huber_loss,
    "quantile": quantile,
}
CLASSIFICATION: dict[str, Callable[..., Tensor]] = {"auto": cross_entropy, "cross_entropy": cross_entropy}


def loss_function(loss: Mapping[str, Any] | None, task: str) -> Loss:
    """The function that a ``loss`` names for a task: the mean over all samples (and outputs) given to it.

    Args:
        loss: ``name`` and the loss's own numbers as plain values; None: ``auto``.
    """
    named = dict(loss or AUTO)
    function = (REGRESSION if task == "regression" else CLASSIFICATION)[named.pop("name")]
    return partial(function, **named) if named else function


def is_least_squares_or_logistic(loss: Mapping[str, Any] | None) -> bool:
    """Whether a loss is the mean squared error or the unweighted cross-entropy, whose best fits are known."""
    named = loss or AUTO
    return named["name"] in SQUARED or (named["name"] == "cross_entropy" and not named.get("class_weights"))
