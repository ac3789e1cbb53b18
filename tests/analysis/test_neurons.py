"""analysis/neurons.py: what each unit does, the sum of contributions, and how many neurons a fit needs."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from neuronsweep.analysis.neurons import contributions, enough, hidden_layers, neurons, neurons_kept
from neuronsweep.data import curves, planes
from neuronsweep.models.mlp import ACTIVATIONS, MLP

SINE, MOONS, SPIRALS = curves.sine(), planes.moons(n=80), planes.spirals(n=60)


def with_weights(network: MLP, *weights: list) -> MLP:
    """The network with these values as its parameters, in order."""
    for parameter, values in zip(network.parameters(), weights, strict=True):
        parameter.data = torch.tensor(values, dtype=torch.float32).reshape(parameter.shape)
    return network


@pytest.mark.parametrize("act", ACTIVATIONS)
@pytest.mark.parametrize(
    "shape",
    [{}, {"depth": 3, "skip": True}, {"norm": "batch"}, {"depth": 2, "norm": "layer", "bias": False}, {"depth": 0}],
    ids=str,
)
def test_the_contributions_and_the_bias_are_the_output(act, shape):
    network = MLP(2, 3, hidden=5, act=act, seed=3, **shape).train()
    x_ND = np.random.default_rng(0).normal(size=(50, 2))
    each_NHK, bias_K = contributions(network, x_ND)
    assert network.training
    with torch.no_grad():
        expected = network.double().eval()(torch.from_numpy(x_ND)).numpy()
    np.testing.assert_allclose(bias_K + each_NHK.sum(axis=1), expected, rtol=1e-12, atol=1e-13)


def test_relu_units_say_where_they_are_on():
    network = with_weights(MLP(1, 1, hidden=4), [1, -2, 1, 3], [-1, 1, -99, -3], [2, -1, 5, 0.5], [7])
    on, off, dead, twin = neurons(network, SINE)
    low, high = -3.5, 4.5
    assert on.bends == pytest.approx([1])
    assert on.on == (pytest.approx((1, high), abs=0.02),)
    assert (off.bends, off.on) == (pytest.approx([0.5]), (pytest.approx((low, 0.5), abs=0.02),))
    assert off.on[0][1] == off.bends[0]
    assert [one.dead for one in (on, off, dead, twin)] == [False, False, True, False]
    assert (dead.on, dead.bends, dead.share_on) == ((), (), 0)
    assert [one.duplicate_of for one in (on, off, dead, twin)] == [None, None, None, 0]
    assert [one.out_K for one in (on, off, dead, twin)] == [(2,), (-1,), (5,), (0.5,)]
    x = SINE.splits["train"].x
    assert on.share_on == pytest.approx((x > 1).double().mean().item())


def test_units_that_bend_smoothly_have_a_centre_and_hardtanh_two_kinks():
    steep, flat = neurons(with_weights(MLP(1, 1, hidden=2, act="tanh"), [50, 0.1], [-25, 9], [1, 1], [0]), SINE)
    assert steep.bends == pytest.approx([0.5])
    assert (steep.saturated, flat.saturated) == (True, True)
    (start, end) = steep.on[0]
    assert start < 0.5 < end < start + 0.2
    (hard,) = neurons(with_weights(MLP(1, 1, hidden=1, act="hardtanh"), [2], [0], [1], [0]), SINE)
    assert hard.bends == pytest.approx([-0.5, 0.5])
    assert hard.on == (pytest.approx((-0.5, 0.5)),)


def test_every_layer_of_a_deep_network_has_its_units_and_only_the_last_weights_into_the_output():
    network = MLP(1, 1, hidden=[4, 3], depth=2, seed=1)
    found = neurons(network, SINE)
    assert [(one.layer, one.number) for one in found] == [(0, i) for i in range(4)] + [(1, i) for i in range(3)]
    assert [len(one.out_K) for one in found] == [0] * 4 + [1] * 3
    for one in found:
        for bend in one.bends:  # second layers' inputs are straight between the kinks of the first
            z = hidden_layers(network, torch.tensor([[bend]], dtype=torch.float64))[one.layer][0][0, one.number]
            assert abs(z.item()) < (1e-9 if one.layer == 0 else 1e-3)


def test_units_of_several_inputs_have_no_places():
    assert all((one.bends, one.on) == ((), ()) for one in neurons(MLP(2, 1, hidden=6, seed=2), MOONS))


@pytest.mark.parametrize("dataset", [SINE, MOONS, SPIRALS], ids=["sine", "moons", "spirals"])
@pytest.mark.parametrize("act", ["relu", "tanh"])
def test_fewer_neurons_have_a_greater_loss_and_all_of_them_the_least(dataset, act):
    network = MLP(dataset.inputs, dataset.outputs, hidden=8, act=act, seed=1)
    found = neurons_kept(network, dataset)
    assert found
    losses = [loss for loss, _ in found]
    assert [len(kept) for _, kept in found] == list(range(9))
    assert all(set(fewer) < set(more) for (_, fewer), (_, more) in pairwise(found))
    assert all(fewer >= more - 1e-5 for fewer, more in pairwise(losses))
    y = dataset.splits["train"].y
    if dataset.classes:
        shares = np.bincount(y.numpy()) / len(y)
        assert losses[0] == pytest.approx(-(shares * np.log(shares)).sum(), rel=1e-6)
    else:
        assert losses[0] == pytest.approx(y.double().var(correction=0).item(), rel=1e-6)


def test_the_unit_that_is_removed_first_is_that_whose_loss_rises_least():
    network = MLP(1, 1, hidden=6, act="tanh", seed=4)
    found = neurons_kept(network, SINE)
    assert found
    h_NH, y_N = hidden_layers(network, SINE.splits["train"].x)[-1][1].numpy(), SINE.splits["train"].y[:, 0].numpy()

    def loss(units):
        x_NF = np.column_stack([np.ones(len(y_N)), h_NH[:, units]])
        return np.mean((y_N - x_NF @ np.linalg.lstsq(x_NF, y_N, rcond=None)[0]) ** 2)

    for count in range(6):
        rest = found[count + 1][1]
        best = min(([unit for unit in rest if unit != out] for out in rest), key=loss)
        assert loss(list(found[count][1])) == pytest.approx(loss(best), rel=1e-4)
        assert found[count][0] == pytest.approx(loss(list(found[count][1])), rel=1e-9)


def test_dead_and_duplicate_neurons_are_not_needed():
    network = with_weights(MLP(1, 1, hidden=4), [1, 1, 1, 2], [0, 0, -99, 0], [1, 1, 1, 1], [0])
    found = neurons_kept(network, SINE)
    assert found
    assert enough(found, found[-1][0]) == 1
    assert neurons_kept(MLP(1, 1, depth=0), SINE) is None
    assert neurons_kept(MLP(1, 1, out_act="relu"), SINE) is None
