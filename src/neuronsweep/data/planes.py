"""Data sets with two inputs: polynomial (regression), moons, circles and spirals (classes).

Moons and circles are scikit-learn's, number for number (tests compare them); drawn here because importing
scikit-learn would cost every command more than a second.
"""

import numpy as np

from neuronsweep.data.dataset import Dataset, classification, regression


def polynomial(seed: int = 42, side: int = 30, noise: float = 0.2) -> Dataset:
    """y = 1.5 x1^2 - 0.5 x1 - x2 + 2 + noise * N(0, 1) on a side x side grid of [-2, 2]^2.

    ``val`` is a uniform draw of the same size on the same square from seed + 1.
    """

    def truth(x):
        return (1.5 * x[:, 0] ** 2 - 0.5 * x[:, 0] - x[:, 1] + 2)[:, None]

    ticks = np.linspace(-2, 2, side)
    grid = np.stack(np.meshgrid(ticks, ticks, indexing="ij"), axis=-1).reshape(-1, 2)
    draw = np.random.default_rng(seed + 1)
    uniform = draw.uniform(-2, 2, grid.shape)

    def noisy(x, rng):
        return x, truth(x)[:, 0] + noise * rng.normal(size=len(x))

    return regression(noisy(grid, np.random.default_rng(seed)), noisy(uniform, draw), truth=truth)


def moons(seed: int = 42, n: int = 200, noise: float = 0.2, val_seed: int = 7, n_val: int = 1000) -> Dataset:
    """Two interleaving half circles: sklearn.datasets.make_moons(n, noise=noise, random_state=seed)."""

    def draw(n: int, seed: int):
        upper = np.linspace(0, np.pi, n // 2)
        lower = np.linspace(0, np.pi, n - n // 2)
        x = np.append(np.cos(upper), 1 - np.cos(lower)), np.append(np.sin(upper), 1 - np.sin(lower) - 0.5)
        return _shuffled(np.stack(x, axis=1), n // 2, noise, seed)

    return classification(draw(n, seed), draw(n_val, val_seed), classes=2)


def circles(
    seed: int = 42, n: int = 200, noise: float = 0.1, factor: float = 0.5, val_seed: int = 7, n_val: int = 1000
) -> Dataset:
    """A circle inside a circle: sklearn.datasets.make_circles(n, noise=noise, factor=factor, random_state=seed)."""

    def draw(n: int, seed: int):
        outer = np.linspace(0, 2 * np.pi, n // 2, endpoint=False)
        inner = np.linspace(0, 2 * np.pi, n - n // 2, endpoint=False)
        x = np.append(np.cos(outer), np.cos(inner) * factor), np.append(np.sin(outer), np.sin(inner) * factor)
        return _shuffled(np.stack(x, axis=1), n // 2, noise, seed)

    return classification(draw(n, seed), draw(n_val, val_seed), classes=2)


def spirals(
    seed: int = 42, n: int = 300, noise: float = 0.1, classes: int = 3, val_seed: int = 7, n_val: int = 1000
) -> Dataset:
    """One arm a class: angle 2 pi (k / classes + 3/4 t) + noise * N(0, 1) radians at radius t, 0 < t <= 1."""

    def draw(n: int, seed: int):
        rng = np.random.default_rng(seed)
        label = np.arange(n) % classes
        radius = (np.arange(n) // classes + 1) / -(-n // classes)
        angle = 2 * np.pi * (label / classes + 0.75 * radius) + noise * rng.normal(size=n)
        return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1), label

    return classification(draw(n, seed), draw(n_val, val_seed), classes)


def _shuffled(x: np.ndarray, zeros: int, noise: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Shuffle and blur as scikit-learn does (its generator is the legacy RandomState)."""
    rng = np.random.RandomState(seed)
    order = np.arange(len(x))
    rng.shuffle(order)
    label = (order >= zeros).astype(np.int64)
    return x[order] + rng.normal(scale=noise, size=x.shape), label
