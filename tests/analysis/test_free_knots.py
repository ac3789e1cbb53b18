"""Free knots: what the search returns is a function with these knots, and kinks that are there are found."""

import numpy as np
import pytest

from neuronsweep.analysis.free_knots import Knots
from neuronsweep.data import curves


def test_the_loss_is_that_of_a_function_with_these_knots():
    x, y = (split[:, 0].double().numpy() for split in curves.sine().splits["train"])
    loss, knots = Knots(x, y).best(5)
    assert len(knots) == 5
    assert np.all((x.min() < knots) & (knots < x.max()))
    basis = np.column_stack([np.ones_like(x), x, *(np.maximum(x - knot, 0) for knot in knots)])
    residual = y - basis @ np.linalg.lstsq(basis, y, rcond=None)[0]
    assert loss == pytest.approx(np.mean(residual**2), rel=1e-6)


def test_kinks_that_are_there_are_found():
    x = np.linspace(-3, 3, 200)
    y = np.interp(x, [-3, -1.234, 0.5, 3], [0, 2, -1, 4])
    loss, knots = Knots(x, y).best(2)
    assert loss == pytest.approx(0, abs=1e-12)
    assert knots == pytest.approx([-1.234, 0.5], abs=1e-4)
