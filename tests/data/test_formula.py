"""Data sets of formulas: drawn as the sine is, with a truth, refused where a formula is not finite."""

import numpy as np
import pytest
import torch

from neuronsweep.config.check import described, plain
from neuronsweep.data.build import build_dataset
from neuronsweep.data.curves import sine
from neuronsweep.data.formula import formula
from neuronsweep.errors import UserError
from tests.data.tables import refusal


def test_the_formula_of_the_sine_is_the_sine():
    ours, theirs = formula("sin(x)"), sine(seed=42, n=1000, noise=0.1, low=-1.5, high=2.5)
    assert list(ours.splits) == ["train", "val", "outer"] == sorted(theirs.splits, key=["train", "val", "outer"].index)
    for name in ("train", "outer"):
        assert torch.equal(ours.splits[name].x, theirs.splits[name].x)
        torch.testing.assert_close(ours.splits[name].y, theirs.splits[name].y, rtol=1e-6, atol=1e-6)
    x = torch.linspace(-3, 3, 50, dtype=torch.float64)[:, None]
    assert ours.truth is not None
    torch.testing.assert_close(ours.truth(x), torch.sin(x))
    assert (ours.training_range, ours.whole_range) == ((-1.5, 2.5), (-3.5, 4.5))


def test_samples_lie_where_the_keys_say():
    dataset = formula("x1*x2", low=0, high=1, outer=[-1, 2], n=400, sampling="grid", noise=0)
    x = dataset.splits["train"].x
    assert dataset.inputs == 2
    assert ((x >= 0) & (x <= 1)).all()
    assert ((dataset.splits["outer"].x < 0) | (dataset.splits["outer"].x > 1)).any(1).all()
    assert len(x) + len(dataset.splits["outer"].x) == 400
    torch.testing.assert_close(dataset.splits["train"].y[:, 0], x[:, 0] * x[:, 1])
    alone = formula("x", outer=None, n=50, sampling="grid")
    assert list(alone.splits) == ["train", "val"]
    assert torch.equal(alone.splits["train"].x[:, 0], torch.linspace(-1.5, 2.5, 50, dtype=torch.float64).float())


def test_several_formulas_are_several_targets():
    dataset = formula(["sin(x)", "x**2"], noise=0)
    assert (dataset.outputs, dataset.target_names) == (2, ("y1", "y2"))
    x = dataset.splits["train"].x
    torch.testing.assert_close(dataset.splits["train"].y, torch.cat([torch.sin(x), x**2], 1))


def test_conditions_are_classes_the_first_that_holds():
    dataset = formula(inside=["x1 < 0", "x2 < 0"], noise=0)
    x, y = dataset.splits["train"]
    assert dataset.classes == 3
    assert torch.equal(y, torch.where(x[:, 0] < 0, 1, torch.where(x[:, 1] < 0, 2, 0)))
    assert formula(inside="x1**2 + x2**2 < 1").outputs == 1


def test_noise_and_seed_draw_the_samples():
    one, other, quiet = formula("x", seed=1), formula("x", seed=2), formula("x", seed=1, noise=0)
    assert not torch.equal(one.splits["train"].x[:9], other.splits["train"].x[:9])
    assert one.digest == formula("x", seed=1).digest != other.digest
    noise = one.splits["train"].y - quiet.splits["train"].y
    assert 0.08 < noise.std() < 0.12


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (['data.y="1/x"', "data.sampling=grid", "data.n=801"], "it is not finite at x = 0;"),
        (['data.y="log(x)"'], "it is not finite at x = -3.5;"),
        (['data.y="1/(x1-x2)"'], "it is not finite at x1 = -3.5, x2 = -3.5;"),
        (['data.y="9**9**9*x"'], "it is not finite at"),
        (['data.y="1e30**2*x"'], "it is not finite at"),
        (['data.y=["x","sqrt(x)"]'], "data.y[1]=sqrt(x) is not allowed: it is not finite at x = -3.5;"),
        ([], "data=formula needs data.y or data.inside"),
        (["data.y=x", 'data.inside="x<0"'], "and not both"),
        (["data.inside=x"], "data.inside=x is not allowed: it is a condition"),
        (['data.inside="x1 > 99"'], "is of class 1"),
        (["data.y=[]"], "data.y=[] is not allowed"),
        (['data.y=["x","x1"]'], "one of its formulas has x, another x1"),
        (["data.y=x", "data.low=3", "data.high=2"], "data.low=3.0 data.high=2.0 is not allowed"),
        (["data.y=x", "data.low=2.4999", "data.n=3"], "none of the 3 samples lies between them"),
        (["data.y=x", "data.outer=[2]"], "data.outer=[2.0] is not allowed"),
        (["data.y=x", "data.n=0"], "data.n=0 is not allowed"),
        (["data.y=x", "data.sampling=even"], "data.sampling=even is not allowed"),
        (['data.y="x.real"'], "data.y=x.real is not allowed at character 1"),
    ],
)
def test_a_wrong_formula_is_refused_before_anything_is_trained(composed, words, said):
    assert said in refusal(composed, "data=formula", *words)


def test_what_a_formula_is_is_known_before_it_is_drawn(composed):
    data = described(composed("data=formula", 'data.inside=["x<0","x>1"]'))
    assert data is not None
    assert (data.task, data.classes, data.splits) == ("classification", 3, ("train", "val"))
    config = plain(composed("data=formula", 'data.y="abs(x)"').data)
    assert build_dataset(config).digest == formula("abs(x)").digest


def test_values_do_not_depend_on_the_other_samples():
    few, many = formula("sin(x)*exp(x)", noise=0), formula("sin(x)*exp(x)", noise=0, n=1001)
    assert few.truth is not None
    assert many.truth is not None
    x = many.splits["train"].x.double()
    whole, each = many.truth(x), torch.cat([few.truth(x[i : i + 1]) for i in range(20)])
    assert torch.equal(whole[:20], each)


def test_an_error_is_one_line_of_the_command(composed):
    with pytest.raises(UserError) as caught:
        formula("x" + "*x" * 100 + "/0")
    assert "\n" not in str(caught.value)
    assert np.isfinite(1.0)
