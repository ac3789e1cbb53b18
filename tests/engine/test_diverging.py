"""Numbers that are not finite fail their member with the epoch named; huge and denormal ones are numbers."""

import random

import numpy as np
import pytest
import torch

from neuronsweep.data.dataset import Dataset, Split
from neuronsweep.engine.member import Member
from neuronsweep.engine.train import Training
from tests.engine.drawn import made, some_member
from tests.engine.reference import ADAM, assert_same_bits, trained

DTYPES = [torch.float32, torch.float64]
SGD = {"_target_": "torch.optim.SGD", "lr": 0.1}


def with_value(value: float, where: str, classes: int = 0) -> Dataset:
    """A data set with this number in one place of train."""
    data = made(0, classes, 2, 33, 9)
    split = data.splits["train"]
    (split.x if where == "x" else split.y)[5, 0] = value
    return data


@pytest.mark.parametrize("batch_size", [7, "full"])
@pytest.mark.parametrize("norm", ["none", "layer", "batch"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("where", ["x", "y"])
def test_data_that_are_not_finite_fail_at_the_first_log_point(where, value, norm, batch_size):
    for act in ("relu", "tanh", "gelu", "hardtanh", "softplus"):
        network = {"hidden": 3, "act": act, "norm": norm}
        one = Member(with_value(value, where), network, 0, ADAM, epochs=6, log_points=3, batch_size=batch_size)
        result = trained(one)
        assert (result.state, result.metrics, result.history) == ("FAILED", {}, [])
        assert result.error in [f"train/loss is {word} after epoch 1" for word in ("nan", "inf")]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_rate_too_large_fails_with_the_epoch_named(dtype):
    for act, rate in (("identity", 1e3), ("relu", 1e30)):
        one = Member(
            made(0, 0, 2, 33, 9),
            {"hidden": 5, "depth": 2, "act": act},
            *(0, {**SGD, "lr": rate}),
            epochs=200,
            log_points=200,
            dtype=dtype,
        )
        result = trained(one)
        assert result.state == "FAILED"
        assert result.error is not None
        column, _, value, _, _, epoch = result.error.split()
        assert value in ("nan", "inf")
        assert int(epoch) == len(result.history) + 1 == result.epoch
        assert column in ("train/loss", "val/loss")
        assert all(np.isfinite(number) for _, row in result.history for number in row.values())


def test_a_member_that_diverged_stays_so():
    one = Member(made(0, 0, 2, 33, 9), {"depth": 1, "act": "identity"}, 0, {**SGD, "lr": 1e3}, epochs=300, log_points=9)
    training = Training(one)
    while not training.advance(log_point=True):
        pass
    assert training.error
    again = Training(one)
    again.load(training.snapshot())
    for each in (training, again):
        assert each.advance()  # and does not go on without an end
    assert_same_bits(again.result(), training.result())


def test_others_do_not_notice():
    rng = random.Random(0)
    good = [some_member(rng) for _ in range(6)]
    alone = [trained(member) for member in good]
    for member, before in zip(good, alone, strict=True):
        bad = Member(with_value(float("nan"), "x"), {"hidden": 3}, 0, ADAM, epochs=3)
        assert trained(bad).state == "FAILED"
        assert_same_bits(trained(member), before)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1e-45, 1e-40, 1e-38, 1e10, 1e18, 3e38])
def test_data_that_are_tiny_or_huge_fail_or_learn(size, dtype):
    drawn = made(0, 0, 2, 33, 9)
    scaled = Dataset({name: Split(x * size, y * size) for name, (x, y) in drawn.splits.items()})
    for act in ("relu", "tanh", "elu", "silu", "gelu", "softplus", "sigmoid"):
        for optimizer in (ADAM, {**SGD, "momentum": 0.9}):
            one = Member(scaled, {"hidden": 3, "act": act}, 0, optimizer, epochs=20, batch_size=7, dtype=dtype)
            result = trained(one)
            assert result.state in ("COMPLETE", "FAILED")
            if size < 1 or (size < 1e19 and optimizer is ADAM):
                assert result.state == "COMPLETE", result.error
            for name, tensor in result.state_dict.items() if result.state == "COMPLETE" else ():
                assert torch.isfinite(tensor).all(), name


@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "RMSprop"])
def test_moments_of_dead_units_end_as_zero_and_not_as_denormal_numbers(optimizer):
    numbers = {"momentum": 0.9} if optimizer != "Adam" else {"betas": [0.9, 0.9]}
    spec = {"_target_": f"torch.optim.{optimizer}", "lr": 0.01, **numbers}
    if optimizer == "RMSprop":
        spec["alpha"] = 0.9
    x = torch.linspace(0.5, 1, 20)[:, None]
    data = Dataset({"train": Split(x, -x), "val": Split(x, -x)})  # a relu at the end can but be zero
    one = Member(data, {"depth": 0, "out_act": "relu"}, 2, spec, epochs=3000, log_points=1)
    training = Training(one)
    training.advance()
    slots = np.abs(training.arrays["slots"])
    assert ((slots == 0) | (slots > 1e-37)).all()
    assert (slots == 0).all()


def test_a_constant_gradient_has_no_negative_variance():
    x = torch.ones(4, 1)
    data = Dataset({"train": Split(x, x * 1e9), "val": Split(x, x * 1e9)})
    spec = {"_target_": "torch.optim.RMSprop", "lr": 0.001, "alpha": 0.9, "centered": True}
    for seed in range(20):
        for dtype in DTYPES:
            one = Member(
                data,
                {"depth": 0},
                seed,
                spec,
                loss={"name": "quantile", "q": 0.3},
                epochs=500,
                log_points=1,
                dtype=dtype,
            )
            assert trained(one).state == "COMPLETE"


def test_a_final_metric_that_is_not_finite_is_named():
    data = made(0, 0, 2, 33, 9)
    data.splits["val"].y[0] = 3e38
    result = trained(Member(data, {"hidden": 3}, 0, ADAM, epochs=3, dtype=torch.float64))
    assert result.state in ("COMPLETE", "FAILED")
    result = trained(Member(data, {"hidden": 3}, 0, ADAM, epochs=3, dtype=torch.float32))
    assert (result.state, result.error) == ("FAILED", "val/loss is inf after epoch 1")
