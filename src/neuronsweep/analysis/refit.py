"""An output layer fitted again to fewer and fewer hidden units, by least squares or Newton's method.

Shape suffixes: N samples, F features (the constant 1 and the units), K outputs.
"""

import numpy as np
from numpy.typing import NDArray

from neuronsweep.analysis.best_possible import ROUNDING

Array = NDArray[np.float64]

# What is added to the curvature, as a share of its mean: units that are sums of others have none of their own.
RIDGE = 1e-10
# The same for classes, where it also keeps weights of separable classes finite.
CLASS_RIDGE = 1e-8
# Newton steps after each removal, from the weights before it.
STEPS = 25


class Refit:
    """The best output layers over subsets of hidden units.

    Args:
        h_NH: values of the units on the training samples.
        y: targets (N, K) of a regression, or class numbers (N,).
        classes: their number, 0 for a regression.
    """

    def __init__(self, h_NH: Array, y: NDArray, classes: int):
        largest_H = np.abs(h_NH).max(axis=0)
        self.feature_NF = np.column_stack([np.ones(len(h_NH)), h_NH / np.where(largest_H > 0, largest_H, 1)])
        self.y_NK = np.eye(classes)[y][:, 1:] if classes else y.astype(np.float64)
        self.classes = classes

    def elimination(self) -> list[tuple[float, tuple[int, ...]]]:
        """Least loss and which units are kept, for 0, 1, ..., all units."""
        kept = list(range(self.feature_NF.shape[1]))
        weight_FK = np.zeros((len(kept), self.y_NK.shape[1]))
        found = []
        while True:
            weight_FK, loss, inverse = self._fit(kept, weight_FK)
            found.append((loss, tuple(unit - 1 for unit in kept[1:])))
            if len(kept) == 1:
                return found[::-1]
            out = 1 + int(np.argmin([self._rise(weight_FK, inverse, i) for i in range(1, len(kept))]))
            if self.classes:  # least squares starts nowhere
                weight_FK = self._without(weight_FK, inverse, out)
            del kept[out]

    def _rise(self, weight_FK: Array, inverse: Array, i: int) -> float:
        """How much the loss rises without the i-th feature, to second order: twice that, which orders alike."""
        if not self.classes:  # one curvature for all outputs
            return float(weight_FK[i] @ weight_FK[i] / inverse[i, i])
        places = i + len(weight_FK) * np.arange(weight_FK.shape[1])
        return float(weight_FK[i] @ np.linalg.solve(inverse[np.ix_(places, places)], weight_FK[i]))

    def _without(self, weight_FK: Array, inverse: Array, i: int) -> Array:
        """The other features' weights that are best without the i-th, to second order (Hassibi and Stork 1993)."""
        places = i + len(weight_FK) * np.arange(weight_FK.shape[1])
        change = inverse[:, places] @ np.linalg.solve(inverse[np.ix_(places, places)], weight_FK[i])
        return np.delete(weight_FK - change.reshape(weight_FK.shape, order="F"), i, axis=0)

    def _fit(self, kept: list[int], start_FK: Array) -> tuple[Array, float, Array]:
        """Weights, loss and the inverse curvature on these features."""
        x_NF = self.feature_NF[:, kept]
        if not self.classes:
            weight_FK = np.linalg.lstsq(x_NF, self.y_NK, rcond=None)[0]
            gram = x_NF.T @ x_NF / len(x_NF)
            inverse = np.linalg.inv(gram + RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram)))
            loss = float(np.mean((x_NF @ weight_FK - self.y_NK) ** 2))
            return weight_FK, loss if loss > ROUNDING * self.y_NK.var() else 0.0, inverse
        nothing_FK = np.zeros_like(start_FK)
        starts = sorted((start_FK, nothing_FK), key=lambda weight_FK: self._cross_entropy(x_NF @ weight_FK)[0])
        return self._newton(x_NF, starts[0])

    def _newton(self, x_NF: Array, weight_FK: Array) -> tuple[Array, float, Array]:
        ridge = CLASS_RIDGE
        n, outputs = len(x_NF), weight_FK.shape[1]
        loss, p_NK = self._cross_entropy(x_NF @ weight_FK)
        value = loss + ridge * (weight_FK**2).sum() / 2
        for step in range(STEPS + 1):
            blocks = [
                [(x_NF * (p_NK[:, [k]] * ((k == m) - p_NK[:, [m]]))).T @ x_NF / n for m in range(outputs)]
                for k in range(outputs)
            ]
            curvature = np.block(blocks) + ridge * np.eye(weight_FK.size)
            inverse = np.asarray(np.linalg.inv(curvature), np.float64)
            if step == STEPS:
                break
            gradient = x_NF.T @ (p_NK - self.y_NK) / n + ridge * weight_FK
            direction_FK = (inverse @ gradient.ravel(order="F")).reshape(weight_FK.shape, order="F")
            size = 1.0
            while size > 1e-4:
                trial_FK = weight_FK - size * direction_FK
                trial_loss, trial_p_NK = self._cross_entropy(x_NF @ trial_FK)
                if (trial := trial_loss + ridge * (trial_FK**2).sum() / 2) < value:
                    break
                size /= 2
            else:
                break
            done = value - trial < 1e-9 * value
            weight_FK, loss, p_NK, value = trial_FK, trial_loss, trial_p_NK, trial
            if done:
                break
        return weight_FK, loss, inverse

    def _cross_entropy(self, logit_NK: Array) -> tuple[float, Array]:
        """Of the logits of all classes but the first, whose logit is 0; and the probabilities (N, K)."""
        most_N1 = np.maximum(logit_NK.max(axis=1, keepdims=True), 0)
        e_NK, e_N1 = np.exp(logit_NK - most_N1), np.exp(-most_N1)
        total_N1 = e_NK.sum(axis=1, keepdims=True) + e_N1
        loss_N = (np.log(total_N1) + most_N1)[:, 0] - (logit_NK * self.y_NK).sum(axis=1)
        return float(loss_N.mean()), e_NK / total_N1
