"""The best possible fits: least squares, logistic regression, one ReLU neuron, and k kinks where they help most.

What is solved here is what a network of a shape could reach on its training data at best, whatever its optimiser does.
Solutions are kept in memory by the data's digest, so that the runs of a sweep ask for each once a process.

Shape suffixes: N samples, D inputs, C classes.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from neuronsweep.analysis.free_knots import Knots, running_sums
from neuronsweep.data.dataset import Dataset

Array = NDArray[np.float64]

# A loss below this share of the targets' variance is rounding, and 0.
ROUNDING = 1e-12

# Newton's method on logistic regression: steps at most, and the loss below which classes count as separable (then no
# best weights exist, and the infimum of the loss is 0).
NEWTON_STEPS, SEPARATED = 100, 1e-6

_solved: dict[tuple[str, str, int], float] = {}


def linear(dataset: Dataset) -> float:
    """Least train loss of a linear model: mean squared error of least squares, cross-entropy of logistic regression."""
    return _once(dataset, "linear", 0, lambda: _linear(dataset))


def relu_neuron(dataset: Dataset) -> float:
    """Least mean squared error of y = relu(w x + b) on the train samples of a curve."""
    return _once(dataset, "relu neuron", 0, lambda: _relu_neuron(*_curve(dataset)))


def kinks(dataset: Dataset, count: int) -> float:
    """Least mean squared error found of a continuous piecewise-linear function with ``count`` kinks on a curve's train.

    A network with one hidden layer of ``count`` ReLU units is such a function, so it cannot do better. By variable
    projection (Golub and Pereyra 1973, with Kaufman's step) from many seeded starts: an upper bound of the infimum.
    """
    return _once(dataset, "kinks", count, lambda: _zero_or(*_with_variance(dataset, count)))


def _once(dataset: Dataset, what: str, count: int, solve: Callable[[], float]) -> float:
    key = dataset.digest, what, count
    if key not in _solved:
        _solved[key] = solve()
    return _solved[key]


def _with_variance(dataset: Dataset, count: int) -> tuple[float, float]:
    x_N, y_N = _curve(dataset)
    return Knots(x_N, y_N).best(count)[0], float(y_N.var())


def _zero_or(loss: float, variance: float) -> float:
    return loss if loss > ROUNDING * variance else 0.0


def _curve(dataset: Dataset) -> tuple[Array, Array]:
    x, y = dataset.splits["train"]
    if x.shape[1] != 1 or y.shape[1:] != (1,):
        raise ValueError("kinks and ReLU neurons are solved for regression with one input and one target")
    return x[:, 0].double().numpy(), y[:, 0].double().numpy()


# Linear models -------------------------------------------------------------------------------------------------------


def _linear(dataset: Dataset) -> float:
    x, y = dataset.splits["train"]
    x_ND = np.column_stack([np.ones(len(x)), x.double().numpy()])
    if not dataset.classes:
        y_NK = y.double().numpy()
        residual = y_NK - x_ND @ np.linalg.lstsq(x_ND, y_NK, rcond=None)[0]
        return _zero_or(float(np.mean(residual**2)), float(y_NK.var(axis=0).mean()))
    return _logistic(x_ND, np.eye(dataset.classes)[y.numpy()])


def _logistic(x_ND: Array, y_NC: Array) -> float:
    """Cross-entropy of multinomial logistic regression, by Newton's method with step halving."""
    n, classes = y_NC.shape
    # the first class's weights are 0, because only differences count; a little noise of rounding needs no ridge
    weight_DC = np.zeros((x_ND.shape[1], classes))
    loss, probability_NC = _cross_entropy(x_ND @ weight_DC, y_NC)
    for _ in range(NEWTON_STEPS):
        gradient = (x_ND.T @ (probability_NC - y_NC))[:, 1:].ravel(order="F") / n
        hessian = np.block(
            [
                [
                    (x_ND * (probability_NC[:, [c]] * ((c == d) - probability_NC[:, [d]]))).T @ x_ND / n
                    for d in range(1, classes)
                ]
                for c in range(1, classes)
            ]
        )
        step = np.linalg.lstsq(hessian, gradient, rcond=None)[0].reshape(-1, classes - 1, order="F")
        size = 1.0
        while size > 1e-10:
            trial = weight_DC.copy()
            trial[:, 1:] -= size * step
            after, probability = _cross_entropy(x_ND @ trial, y_NC)
            if after < loss:
                break
            size /= 2
        else:
            return loss
        done = loss - after < 1e-15 * loss
        weight_DC, loss, probability_NC = trial, after, probability
        if loss < SEPARATED:
            return 0.0
        if done:
            return loss
    return loss


def _cross_entropy(logit_NC: Array, y_NC: Array) -> tuple[float, Array]:
    shifted = logit_NC - logit_NC.max(axis=1, keepdims=True)
    total_N1 = np.exp(shifted).sum(axis=1, keepdims=True)
    return float(np.mean(np.log(total_N1[:, 0]) - (shifted * y_NC).sum(axis=1))), np.exp(shifted) / total_N1


# One ReLU neuron -----------------------------------------------------------------------------------------------------


def _relu_neuron(x_N: Array, y_N: Array) -> float:
    """Exact: for every set of samples that a kink can cut off, least squares on it, or a kink at its first sample."""
    best = float(np.mean(y_N**2))
    for sign in (1, -1):
        order = np.argsort(-sign * x_N, kind="stable")
        x, y = sign * x_N[order], y_N[order]
        n, sx, sy, sxx, sxy = running_sums(x, y)
        with np.errstate(all="ignore"):
            slope = (n * sxy - sx * sy) / (n * sxx - sx**2)
            start = sx / n - sy / n / slope
            # between the first sample that is not active and the last that is
            beyond = np.append(x[1:], -np.inf)
            gain = sy**2 / n + slope * (sxy - sx * sy / n)
            free = gain[(slope > 0) & (start <= x) & (start >= beyond)]
            # through zero at the next sample
            along, across = sxy - beyond * sy, sxx - 2 * beyond * sx + n * beyond**2
            pinned = (along**2 / across)[(along > 0) & np.isfinite(across) & (across > 0)]
        best = min([best, *(np.mean(y_N**2) - np.concatenate([free, pinned]) / len(y_N))])
        # all active and positive
        if slope[-1] > 0 and start[-1] <= x[-1]:
            best = min(best, float(np.mean(y_N**2) - gain[-1] / len(y_N)))
    constant = max(float(y_N.mean()), 0.0)
    return _zero_or(min(best, float(np.mean((y_N - constant) ** 2))), float(y_N.var()))
