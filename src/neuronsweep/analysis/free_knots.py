"""Continuous piecewise-linear least squares with free knots: where k kinks help most.

Shape suffixes: N samples, R restarts, K knots.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# The search: starts, steps of Levenberg and Marquardt from each and from the best in the end, how often so
# many knots are exchanged one by one, and at how many places an exchanged knot is tried.
RESTARTS, STEPS, POLISH, EXCHANGES, PLACES = 24, 40, 160, 128, 48
# The smallest distance of two knots, as a share of the range.
APART = 1e-5
# Added to the normal matrix as a share of its size, for pieces without samples.
RIDGE = 1e-11


class Pieces(NamedTuple):
    """Of every piece (R, K + 1) its width and its samples' sums, with u from 0 at its left end to 1 at its right one.

    ``here`` (1 - u)^2, ``both`` u (1 - u), ``next`` u^2, ``y_here`` (1 - u) y, ``y_next`` u y.
    """

    width: Array
    here: Array
    both: Array
    next: Array
    y_here: Array
    y_next: Array


class Knots:
    """Continuous piecewise-linear least squares with free knots; a fit costs O(K), whatever N is, by running sums.

    Inputs are scaled to [0, 1]. Values at the two ends and at the knots are linear parameters and always optimal; only
    the knots are searched for.
    """

    def __init__(self, x_N: Array, y_N: Array):
        order = np.argsort(x_N, kind="stable")
        self.low, self.high = float(x_N.min()), float(x_N.max())
        self.x = (x_N[order] - self.low) / max(self.high - self.low, 1e-300)
        y = y_N[order] - y_N.mean()
        self.n = len(y)
        self.square = float(y @ y)
        self.sums = np.stack([np.insert(total, 0, 0.0) for total in running_sums(self.x, y)])
        self.rng = np.random.default_rng(self.n)

    def best(self, count: int) -> tuple[float, Array]:
        """The least loss found with ``count`` knots, and the knots, ascending, in the units of the inputs."""
        distinct = np.unique(self.x)
        if count > len(distinct) - 2:  # a knot at every sample but the first and the last
            count = max(len(distinct) - 2, 0)
            knots_1K = distinct[None, 1:-1]
            return float(self.losses(knots_1K)[0]), self.low + knots_1K[0] * (self.high - self.low)
        if count == 0:
            return float(self.losses(np.zeros((1, 0)))[0]), np.empty(0)
        starts_RK = np.concatenate([self._even(count, RESTARTS // 2), self._at_random(count, RESTARTS // 2)])
        loss_R, knots_RK = self.descend(starts_RK, STEPS)
        best = int(loss_R.argmin())
        loss, knots_K = float(loss_R[best]), knots_RK[best]
        for _ in range(max(2, EXCHANGES // count)):
            loss_R, knots_RK = self.descend(self._exchanged(knots_K), STEPS)
            best = int(loss_R.argmin())
            if loss_R[best] > loss * (1 - 1e-6):
                break
            loss, knots_K = float(loss_R[best]), knots_RK[best]
        loss_R, knots_RK = self.descend(knots_K[None], POLISH)
        loss, knots_K = float(loss_R[0]), knots_RK[0]
        return loss, self.low + knots_K * (self.high - self.low)

    def _even(self, count: int, restarts: int) -> Array:
        """Knots at equal distances, shifted a little, the first row not at all."""
        even = (np.arange(count) + 0.5) / count
        shift = self.rng.normal(scale=0.5 / count, size=(restarts, count)) * (np.arange(restarts) > 0)[:, None]
        return _apart(even + shift)

    def _at_random(self, count: int, restarts: int) -> Array:
        return _apart(self.rng.uniform(size=(restarts, count)))

    def _exchanged(self, knots_K: Array) -> Array:
        """The best sets that differ from this one in the place of one knot."""
        count = len(knots_K)
        place_P = (np.arange(PLACES) + self.rng.uniform(size=PLACES)) / PLACES
        without = np.stack([np.delete(knots_K, i) for i in range(count)])
        least = np.argsort(self.losses(without))[: max(4, count // 2)]
        pairs = [(i, place) for i in least for place in place_P]
        trial_RK = _apart(np.stack([np.append(without[i], place) for i, place in pairs]))
        loss_R = self.losses(trial_RK)
        return trial_RK[np.argsort(loss_R)[:RESTARTS]]

    def descend(self, knots_RK: Array, steps: int) -> tuple[Array, Array]:
        """Losses (R,) and knots after so many steps of Levenberg and Marquardt on the projected residual."""
        count = knots_RK.shape[1]
        damping_R = np.full(len(knots_RK), 1e-2)
        loss_R, gradient_RK, hessian_RKK = self._fit(knots_RK)
        diagonal = np.arange(count)
        for _ in range(steps):
            scale_RK = np.maximum(hessian_RKK[:, diagonal, diagonal], 1e-12 * self.square)
            damped = hessian_RKK.copy()
            damped[:, diagonal, diagonal] += damping_R[:, None] * scale_RK + 1e-12 * self.square
            step_RK = np.linalg.solve(damped, gradient_RK[:, :, None])[:, :, 0]
            trial_RK = _apart(knots_RK - np.clip(np.nan_to_num(step_RK), -0.1, 0.1))
            after_R, gradient, hessian = self._fit(trial_RK)
            better = after_R < loss_R
            loss_R = np.where(better, after_R, loss_R)
            knots_RK = np.where(better[:, None], trial_RK, knots_RK)
            gradient_RK = np.where(better[:, None], gradient, gradient_RK)
            hessian_RKK = np.where(better[:, None, None], hessian, hessian_RKK)
            damping_R = np.clip(np.where(better, damping_R / 3, damping_R * 4), 1e-9, 1e9)
        return loss_R, knots_RK

    def losses(self, knots_RK: Array) -> Array:
        """Mean squared errors (R,) of the best values at these knots."""
        return self._values(self._pieces(knots_RK))[1]

    def _pieces(self, knots_RK: Array) -> "Pieces":
        restarts = len(knots_RK)
        at = np.hstack([np.zeros((restarts, 1)), knots_RK, np.ones((restarts, 1))])
        index = np.searchsorted(self.x, at, side="right")
        index[:, 0], index[:, -1] = 0, self.n
        n, sx, sy, sxx, sxy = np.diff(self.sums[:, index], axis=2)
        left, width = at[:, :-1], np.diff(at, axis=1)
        su = (sx - left * n) / width
        suu = (sxx - 2 * left * sx + left**2 * n) / width**2
        suy = (sxy - left * sy) / width
        return Pieces(width, n - 2 * su + suu, su - suu, suu, sy - suy, suy)

    def _values(self, pieces: "Pieces") -> tuple[Array, Array, Array]:
        """The best values (R, K + 2) at the ends and knots, their losses (R,), and the inverse of the normal matrix."""
        restarts, count = pieces.width.shape
        i = np.arange(count)
        normal = np.zeros((restarts, count + 1, count + 1))
        normal[:, i, i] += pieces.here
        normal[:, i + 1, i + 1] += pieces.next
        normal[:, i, i + 1] = normal[:, i + 1, i] = pieces.both
        right = np.zeros((restarts, count + 1))
        right[:, :-1] += pieces.y_here
        right[:, 1:] += pieces.y_next
        ridge = RIDGE * self.n * np.eye(count + 1)
        inverse: Array = np.asarray(np.linalg.inv(normal + ridge), dtype=np.float64)
        value: Array = (inverse @ right[:, :, None])[:, :, 0]
        fitted = (value * ((normal @ value[:, :, None])[:, :, 0] - 2 * right)).sum(1)
        loss: Array = np.maximum(self.square + fitted, 0) / self.n
        return value, loss, inverse

    def _fit(self, knots_RK: Array) -> tuple[Array, Array, Array]:
        """Losses (R,) at these knots, and by the knots half their gradient and Hessian, times N.

        Moving a knot changes the function by minus the slope of each of its two pieces times the knot's own share
        there, so all matrices are made of one 2 x 2 Gram matrix a piece. The Hessian is Kaufman's, of the projected
        residual.
        """
        restarts, count = knots_RK.shape
        pieces = self._pieces(knots_RK)
        value, loss, inverse = self._values(pieces)
        slope = np.diff(value, axis=1) / pieces.width
        error_here = pieces.here * value[:, :-1] + pieces.both * value[:, 1:] - pieces.y_here
        error_next = pieces.both * value[:, :-1] + pieces.next * value[:, 1:] - pieces.y_next
        gradient = -(slope * error_next)[:, :-1] - (slope * error_here)[:, 1:]
        k = np.arange(count)
        cross = np.zeros((restarts, count + 2, count))
        cross[:, k, k] = -(slope * pieces.both)[:, :-1]
        cross[:, k + 1, k] = -(slope * pieces.next)[:, :-1] - (slope * pieces.here)[:, 1:]
        cross[:, k + 2, k] = -(slope * pieces.both)[:, 1:]
        hessian = np.zeros((restarts, count, count))
        hessian[:, k, k] = (slope**2 * pieces.next)[:, :-1] + (slope**2 * pieces.here)[:, 1:]
        hessian[:, k[:-1], k[1:]] = hessian[:, k[1:], k[:-1]] = (slope**2 * pieces.both)[:, 1:-1]
        hessian -= cross.transpose(0, 2, 1) @ (inverse @ cross)
        return loss, gradient, hessian


def _apart(knots_RK: Array) -> Array:
    """The knots in order, inside (0, 1), and no two of them at one place."""
    gaps_K = APART * np.arange(1, knots_RK.shape[1] + 1)
    room = 1 - APART * (knots_RK.shape[1] + 1)
    return gaps_K + np.clip(np.maximum.accumulate(np.sort(knots_RK, axis=1) - gaps_K, axis=1), 0, room)


def running_sums(x: Array, y: Array) -> tuple[Array, ...]:
    """Of the first 1, 2, ..., N samples: how many, and the sums of x, y, x^2 and x y."""
    n = np.arange(1, len(x) + 1, dtype=float)
    return n, np.cumsum(x), np.cumsum(y), np.cumsum(x * x), np.cumsum(x * y)
