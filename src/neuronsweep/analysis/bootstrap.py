"""How sure a metric of predictions is: intervals by the bootstrap over rows (Efron and Tibshirani, 1993)."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuronsweep.analysis.scores import of_logits, value
from neuronsweep.config.metric_names import SQUARED

# Samples of the rows; of metrics that each sample computes anew fewer, where there are many predictions.
DRAWS, LEAST_DRAWS, EVALUATIONS = 1000, 200, 20000
# Numbers of a block of samples that are in memory at once.
BLOCK = 2**24

Values = NDArray[np.float64]
Prediction = tuple[Tensor, Tensor, Mapping[str, Any] | None]


def drawn(metric: str, predictions: Sequence[Prediction]) -> Values:
    """A metric of several predictions on samples of their rows with replacement: (draws, predictions).

    Args:
        predictions: of the same rows, each with its targets and loss, as ``scores.value`` takes them.
    """
    n, random = len(predictions[0][1]), np.random.default_rng(0)
    parts = [_parts(metric, *one) for one in predictions]
    if all(part is not None for part in parts):
        finish = [part[1] for part in parts if part]
        ends = np.cumsum([0, *(part[0].shape[1] for part in parts if part)])
        rows = np.concatenate([part[0] for part in parts if part], axis=1)
        means = np.concatenate([counts @ rows / n for counts in _counts(random, n)])
        return np.stack([end(means[:, a:b]) for end, a, b in zip(finish, ends[:-1], ends[1:], strict=True)], axis=1)
    draws = max(LEAST_DRAWS, min(DRAWS, EVALUATIONS // len(predictions)))
    return np.array(
        [
            [value(metric, out[rows], y[rows], loss) for out, y, loss in predictions]
            for rows in (torch.from_numpy(random.integers(n, size=n)) for _ in range(draws))
        ]
    )


def interval(values: Values) -> tuple[float, float]:
    """The 95% interval of what a sample of the rows comes to: its percentiles."""
    low, high = np.nanquantile(values, (0.025, 0.975)).tolist()
    return low, high


def _counts(random: np.random.Generator, n: int) -> Iterator[Values]:
    """How often a sample has each row: blocks of (draws, n)."""
    each = max(1, BLOCK // n)
    for start in range(0, DRAWS, each):
        yield random.multinomial(n, np.full(n, 1 / n), size=min(each, DRAWS - start)).astype(float)


def _parts(
    metric: str, out_NK: Tensor, y: Tensor, loss: Mapping[str, Any] | None
) -> tuple[Values, Callable[[Values], Values]] | None:
    """Numbers of every row (N, S), and what makes the metric of their means (draws, S); None where nothing does."""
    name = (loss or {}).get("name", "auto")
    if y.ndim == 1:
        p_NC, y_N = of_logits(out_NK), y.numpy()
        if metric == "acc":
            return (p_NC.argmax(1) == y_N).astype(float)[:, None], _only
        if metric == "loss" and not (loss or {}).get("class_weights"):
            return -np.log(np.maximum(p_NC[np.arange(len(y_N)), y_N], 1e-300))[:, None], _only
        return None
    error_NK, y_NK = (out_NK - y).numpy(), y.numpy()
    squares = (error_NK**2).mean(1, keepdims=True)
    if metric == "mse" or (metric == "loss" and name in SQUARED):
        return squares, _only
    if metric == "mae" or (metric == "loss" and name == "mae"):
        return np.abs(error_NK).mean(1, keepdims=True), _only
    if metric == "rmse":
        return squares, lambda means: np.sqrt(means[:, 0])
    if metric == "r2":
        return np.concatenate([error_NK**2, y_NK, y_NK**2], axis=1), _r2
    return None


def _only(means: Values) -> Values:
    return means[:, 0]


def _r2(means: Values) -> Values:
    error, mean, square = np.split(means, 3, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):  # a sample of one row alone has none
        found: Values = (1 - error / (square - mean**2)).mean(1)
    return np.where(np.isfinite(found), found, math.nan)
