"""Data sets with one input: line, quadratic, sine, temperature."""

from dataclasses import replace

import numpy as np
import torch

from neuronsweep.data.dataset import Dataset, regression
from neuronsweep.errors import UserError

# Four points to learn, three between them, and the articles' far point.
POINTS = np.array([0.0, 1.0, 2.0, 3.0])
BETWEEN = np.array([0.5, 1.5, 2.5])
BEYOND = np.array([10.0])

# The interval all sine samples come from; the training range [low, high] is a part of it.
SINE_RANGE = (-3.5, 4.5)

# Deep Learning with PyTorch (Stevens, Antiga, Viehmann), chapter 5: one thermometer in Celsius, one in unknown units.
CELSIUS = np.array([0.5, 14.0, 15.0, 28.0, 11.0, 8.0, 3.0, -4.0, 6.0, 13.0, 21.0])
UNKNOWN = np.array([35.7, 55.9, 58.2, 81.9, 56.3, 48.9, 33.9, 21.8, 48.4, 60.4, 68.4])
HELD_OUT = [7, 10]


def line() -> Dataset:
    """y = 2x + 1 at x = 0, 1, 2, 3."""
    return _exact(lambda x: 2 * x + 1)


def quadratic() -> Dataset:
    """y = 3x^2 + 2x + 1 at x = 0, 1, 2, 3."""
    return _exact(lambda x: 3 * x**2 + 2 * x + 1)


def sine(seed: int = 42, n: int = 1000, noise: float = 0.1, low: float = -1.5, high: float = 2.5) -> Dataset:
    """y = sin x + noise * N(0, 1), x uniform on SINE_RANGE.

    ``train`` holds the samples with low <= x <= high and ``outer`` the others; ``val`` is a draw of train's size on
    [low, high] from seed + 1.
    """
    rng = np.random.default_rng(seed)
    x = rng.uniform(*SINE_RANGE, n)
    y = np.sin(x) + noise * rng.normal(size=n)
    inside = (x >= low) & (x <= high)
    if not inside.any():
        raise UserError(f"data.low={low} data.high={high} is not allowed: none of the {n} samples lies between them")
    rng = np.random.default_rng(seed + 1)
    x_val = rng.uniform(low, high, int(inside.sum()))
    y_val = np.sin(x_val) + noise * rng.normal(size=len(x_val))
    outer = None if inside.all() else (x[~inside], y[~inside])
    dataset = regression((x[inside], y[inside]), (x_val, y_val), outer, torch.sin)
    return replace(dataset, training_range=(low, high), whole_range=SINE_RANGE)


def temperature() -> Dataset:
    """Celsius from a tenth of the reading of a thermometer in unknown units (Fahrenheit, read badly)."""
    x, y = 0.1 * UNKNOWN, CELSIUS
    held_out = np.isin(np.arange(len(x)), HELD_OUT)
    return regression((x[~held_out], y[~held_out]), (x[held_out], y[held_out]), truth=lambda x: (10 * x - 32) * 5 / 9)


def _exact(f) -> Dataset:
    return regression((POINTS, f(POINTS)), (BETWEEN, f(BETWEEN)), (BEYOND, f(BEYOND)), truth=f)
