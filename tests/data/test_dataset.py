"""Every data set is the one that was defined: against scikit-learn, or formulas written again here."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.datasets import make_circles, make_moons

from neuronsweep.data import curves, planes
from neuronsweep.data.dataset import Dataset, Split, classification, regression

REGRESSION: dict[str, Callable[..., Dataset]] = {
    f.__name__: f for f in (curves.line, curves.quadratic, curves.sine, curves.temperature, planes.polynomial)
}
CLASSIFICATION: dict[str, Callable[..., Dataset]] = {
    f.__name__: f for f in (planes.moons, planes.circles, planes.spirals)
}
SEEDED = [curves.sine, planes.polynomial, planes.moons, planes.circles, planes.spirals]

DIGESTS = {
    "line": "e5e4a2254f02188e7bc941cbd9adeef6a06707eaa5d7b5ebad0d1841d0fd719e",
    "quadratic": "50fab3eff941bab92a27916006f11ad5304f234b2960a88c59a87debbe8db742",
    "sine": "25813749d7cbb862eb3b8633ba1ae88517ace642460ef67f001aae02f5cd675e",
    "temperature": "57fd55c183c67b533b32c854445d901e82f0de2b6e2d64b2a222018691fc84f7",
    "polynomial": "0099521e74a481264a71a4b9943f725ea7b2d5ce76587459bd408c31d86519d9",
    "moons": "ff2f9a5fe9af32027b4aeaa0f32130644508ff735526a17fb383541cf367ae39",
    "circles": "dccc5904840d9cc26a6d5eaa94631ba1943cd6b8ec1dbedab7c56059e349b501",
    "spirals": "cdc94beab1914aa7250400625133608d7bd0aeb5bc42a3d7d704529e5e419267",
}


def column(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32)[:, None]


def assert_split(split: Split, x, y):
    torch.testing.assert_close(split.x, torch.as_tensor(np.asarray(x, np.float32).reshape(len(x), -1)))
    if split.y.dtype == torch.int64:
        assert split.y.tolist() == list(y)
    else:
        torch.testing.assert_close(split.y, column(list(y)))


# what holds for all of them ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REGRESSION | CLASSIFICATION)
def test_splits_are_tensors_of_the_agreed_shapes(name):
    data = (REGRESSION | CLASSIFICATION)[name]()
    assert list(data.splits)[:2] == ["train", "val"]
    for x, y in data.splits.values():
        assert x.dtype == torch.float32
        assert x.shape == (len(y), data.inputs)
        assert x.is_contiguous()
        if name in REGRESSION:
            assert (y.dtype, y.shape) == (torch.float32, (len(x), 1))
            assert (data.task, data.classes, data.outputs) == ("regression", 0, 1)
        else:
            assert (y.dtype, y.shape) == (torch.int64, (len(x),))
            assert set(y.tolist()) == set(range(data.classes))
            assert data.task == "classification"


@pytest.mark.parametrize("name", REGRESSION | CLASSIFICATION)
def test_the_tensors_are_the_same_bits_everywhere(name):
    assert (REGRESSION | CLASSIFICATION)[name]().digest == DIGESTS[name]


@pytest.mark.parametrize("make", SEEDED)
def test_a_seed_gives_the_same_data_again_and_another_seed_other_data(make):
    assert make(seed=3).digest == make(seed=3).digest != make(seed=4).digest


@pytest.mark.parametrize("make", SEEDED)
def test_drawing_data_leaves_the_global_generators_alone(make):
    torch_state, numpy_state = torch.get_rng_state(), repr(np.random.get_state())
    make()
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert repr(np.random.get_state()) == numpy_state


@pytest.mark.parametrize("name", ["line", "quadratic"])
def test_truth_goes_through_noiseless_samples(name):
    data = REGRESSION[name]()
    assert data.truth is not None
    for x, y in data.splits.values():
        torch.testing.assert_close(data.truth(x), y)


@pytest.mark.parametrize("make", [curves.sine, planes.polynomial])
def test_truth_goes_through_samples_drawn_without_noise(make):
    data = make(noise=0)
    for x, y in data.splits.values():
        torch.testing.assert_close(data.truth(x), y, atol=2e-6, rtol=1e-6)


@pytest.mark.parametrize(("make", "noise"), [(curves.sine, 0.1), (planes.polynomial, 0.2)])
def test_samples_scatter_around_the_truth_by_the_noise(make, noise):
    for x, y in make().splits.values():
        rest = (y - make().truth(x)).numpy()
        error = noise / math.sqrt(len(rest))
        assert abs(rest.mean()) < 4 * error
        assert abs(rest.std() - noise) < 4 * error


# one by one ----------------------------------------------------------------------------------------------------------


def test_line():
    splits = curves.line().splits
    assert_split(splits["train"], [0, 1, 2, 3], [1, 3, 5, 7])
    assert_split(splits["val"], [0.5, 1.5, 2.5], [2, 4, 6])
    assert_split(splits["outer"], [10], [21])


def test_quadratic():
    splits = curves.quadratic().splits
    assert_split(splits["train"], [0, 1, 2, 3], [1, 6, 17, 34])
    assert_split(splits["val"], [0.5, 1.5, 2.5], [2.75, 10.75, 24.75])
    assert_split(splits["outer"], [10], [321])


@pytest.mark.parametrize(("low", "high", "inside"), [(-1.5, 2.5, 480), (-1, 3.5, 556)])
def test_sine(low, high, inside):
    splits = curves.sine(low=low, high=high).splits
    rng = np.random.default_rng(42)
    x = -3.5 + 8 * rng.random(1000)
    samples = [(a, math.sin(a) + 0.1 * e) for a, e in zip(x, rng.standard_normal(1000), strict=True)]
    assert_split(splits["train"], *zip(*[(a, b) for a, b in samples if low <= a <= high], strict=True))
    assert_split(splits["outer"], *zip(*[(a, b) for a, b in samples if not low <= a <= high], strict=True))
    rng = np.random.default_rng(43)
    x = low + (high - low) * rng.random(inside)
    assert_split(splits["val"], x, np.sin(x) + 0.1 * rng.standard_normal(inside))
    assert len(splits["train"].x) == inside


def test_sine_without_anything_outside_has_no_outer_split():
    assert set(curves.sine(low=-3.5, high=4.5).splits) == {"train", "val"}


def test_temperature():
    celsius = [0.5, 14, 15, 28, 11, 8, 3, -4, 6, 13, 21]
    unknown = [35.7, 55.9, 58.2, 81.9, 56.3, 48.9, 33.9, 21.8, 48.4, 60.4, 68.4]
    data = curves.temperature()
    kept = [i for i in range(11) if i not in (7, 10)]
    assert_split(data.splits["train"], [unknown[i] / 10 for i in kept], [celsius[i] for i in kept])
    assert_split(data.splits["val"], [2.18, 6.84], [-4, 21])
    assert "outer" not in data.splits


def test_temperatures_truth_is_fahrenheit_to_celsius():
    truth = curves.temperature().truth
    assert truth is not None
    torch.testing.assert_close(truth(column([3.2, 21.2, -4.0])), column([0.0, 100.0, -40.0]))


@pytest.mark.parametrize("side", [30, 5])
def test_polynomial(side):
    data = planes.polynomial(side=side)
    ticks = [-2 + 4 * i / (side - 1) for i in range(side)]
    grid = [(a, b) for a in ticks for b in ticks]
    noise = 0.2 * np.random.default_rng(42).standard_normal(len(grid))
    y = [1.5 * a**2 - 0.5 * a - b + 2 + e for (a, b), e in zip(grid, noise, strict=True)]
    assert_split(data.splits["train"], grid, y)
    assert data.splits["val"].x.shape == (side**2, 2)
    assert data.splits["val"].x.abs().max() <= 2


@pytest.mark.parametrize(("n", "seed"), [(200, 42), (7, 1), (4, 0)])
@pytest.mark.parametrize("noise", [0.2, 0.0])
def test_moons_are_scikit_learns(n, seed, noise):
    splits = planes.moons(n=n, seed=seed, noise=noise).splits
    assert_split(splits["train"], *make_moons(n, noise=noise or None, random_state=seed))
    assert_split(splits["val"], *make_moons(1000, noise=noise or None, random_state=7))


@pytest.mark.parametrize(("n", "seed"), [(200, 42), (7, 1), (4, 0)])
@pytest.mark.parametrize("factor", [0.5, 0.0])
def test_circles_are_scikit_learns(n, seed, factor):
    splits = planes.circles(n=n, seed=seed, factor=factor, n_val=50, val_seed=3).splits
    assert_split(splits["train"], *make_circles(n, noise=0.1, factor=factor, random_state=seed))
    assert_split(splits["val"], *make_circles(50, noise=0.1, factor=factor, random_state=3))


@pytest.mark.parametrize(("classes", "outputs"), [(2, 1), (3, 3), (5, 5)])
def test_spirals_have_one_arm_a_class_from_the_centre_to_radius_one(classes, outputs):
    data = planes.spirals(classes=classes, n=40 * classes, noise=0)
    x, y = (tensor.numpy() for tensor in data.splits["train"])
    assert data.outputs == outputs
    for k in range(classes):
        arm = x[y == k]
        assert len(arm) == 40
        for i, (a, b) in enumerate(arm, start=1):
            turn = 2 * math.pi * (k / classes + 0.75 * i / 40)
            assert (a, b) == pytest.approx((i / 40 * math.cos(turn), i / 40 * math.sin(turn)), abs=1e-6)


def test_noise_turns_a_spirals_points_and_keeps_their_radius():
    straight, noisy = (planes.spirals(noise=noise).splits["train"].x for noise in (0, 0.1))
    torch.testing.assert_close(straight.norm(dim=1), noisy.norm(dim=1))
    turns = torch.atan2(
        straight[:, 0] * noisy[:, 1] - straight[:, 1] * noisy[:, 0], (straight * noisy).sum(dim=1)
    )  # angle from one to the other
    assert turns.std().item() == pytest.approx(0.1, rel=0.15)


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_spirals_with_a_number_of_samples_that_classes_do_not_divide(classes):
    y = planes.spirals(classes=classes, n=classes * 10 + 1).splits["train"].y
    assert torch.bincount(y).tolist() == [11] + [10] * (classes - 1)


# the digest ----------------------------------------------------------------------------------------------------------


def small(x=(0.0, 1.0), y=(2.0, 3.0), val=((4.0,), (5.0,)), outer=None) -> Dataset:
    return regression((x, y), val, outer)


@pytest.mark.parametrize(
    "other",
    [
        small(x=(0.0, 1.5)),
        small(y=(2.0, 3.5)),
        small(x=(1.0, 0.0), y=(3.0, 2.0)),
        small(val=((4.0,), (5.5,))),
        small(outer=((9.0,), (9.0,))),
        classification(((0.0, 1.0), (2, 3)), ((4.0,), (5,)), classes=6),
    ],
    ids=["x", "y", "order", "val", "outer", "dtype"],
)
def test_the_digest_sees_every_change(other):
    assert other.digest != small().digest


def test_the_digest_does_not_depend_on_the_truth():
    assert regression(((0.0, 1.0), (2.0, 3.0)), ((4.0,), (5.0,)), truth=torch.sin).digest == small().digest


def test_samples_that_are_given_are_copied():
    x = np.zeros((3, 1), np.float32)
    data = regression((x, np.zeros(3)), (x, np.zeros(3)))
    x[0] = 1
    assert data.splits["train"].x.sum() == 0
