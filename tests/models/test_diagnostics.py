"""Diagnostics of one network against what they are by definition."""

import math

import pytest
import torch
import torch.nn.functional as F

from neuronsweep.data import curves
from neuronsweep.data.dataset import Split
from neuronsweep.models.diagnostics import diagnose, stopped
from neuronsweep.models.mlp import ACTIVATIONS, MLP

TRAIN = curves.sine(n=60).splits["train"]


def state(network: MLP) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in network.named_parameters()}


def gradients_of(network: MLP) -> list[torch.Tensor]:
    found = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    assert len(found) == len(list(network.parameters()))
    return found


def test_gradients_are_those_of_the_loss_on_all_samples():
    network = MLP(1, 1, hidden=5, depth=2, act="tanh")
    found = diagnose(network, F.mse_loss, TRAIN, state(network))
    F.mse_loss(network(TRAIN.x), TRAIN.y).backward()
    for i, layer in enumerate(network.layers):
        assert layer.weight.grad is not None
        assert layer.bias.grad is not None
        norm = math.sqrt((layer.weight.grad**2).sum() + (layer.bias.grad**2).sum())
        assert found[f"gradient/layers.{i}"] == pytest.approx(norm, rel=1e-6)


def test_an_update_is_what_the_last_step_changed_beside_what_is_there():
    network = MLP(1, 1, hidden=5, depth=1)
    before = state(network)
    assert [diagnose(network, F.mse_loss, TRAIN, before)[f"update/layers.{i}"] for i in range(2)] == [0, 0]
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1.25)
    found = diagnose(network, F.mse_loss, TRAIN, before)
    assert [found[f"update/layers.{i}"] for i in range(2)] == pytest.approx([0.2, 0.2], rel=1e-6)


def test_weights_that_were_zero_and_weights_that_are_zero():
    network = MLP(1, 1, init="zeros")
    assert diagnose(network, F.mse_loss, TRAIN, state(network))["update/layers.0"] == 0
    before = state(network)
    network.layers[1].bias.data.fill_(3)
    assert diagnose(network, F.mse_loss, TRAIN, before)["update/layers.1"] == 1


def test_a_relu_unit_that_is_zero_on_every_sample_is_dead():
    network = MLP(1, 1, hidden=4, depth=2)
    network.layers[0].weight.data.zero_()
    network.layers[0].bias.data = torch.tensor([-1.0, 0.0, 1.0, 2.0])
    network.layers[1].weight.data.fill_(-1)
    network.layers[1].bias.data = torch.tensor([0.0, 0, 0, 10])
    found = diagnose(network, F.mse_loss, TRAIN, state(network))
    assert (found["dead/layers.0"], found["dead/layers.1"]) == (0.5, 0.75)
    assert not any(name.startswith("saturated") for name in found)
    assert found["gradient/layers.2"] > 0


def test_every_layer_is_seen_by_its_own_activation():
    network = MLP(1, 1, hidden=[4, 3, 2], act=["relu", "gelu", "tanh"])
    found = diagnose(network, F.mse_loss, TRAIN, state(network))
    assert [name for name in found if name.startswith(("dead", "saturated"))] == ["dead/layers.0", "saturated/layers.2"]


@pytest.mark.parametrize(("act", "edge"), [("tanh", 1.8184), ("sigmoid", 3.6369), ("hardtanh", 1.0)])
def test_a_unit_that_is_flat_on_nine_of_ten_samples_is_saturated(act, edge):
    z_NH = torch.zeros(20, 4)
    z_NH[:17, 1] = z_NH[:18, 2] = z_NH[:, 3] = edge + 0.001
    z_NH[:, 0] = edge - 0.001
    found = stopped(act, ACTIVATIONS[act](z_NH))
    assert found is not None
    assert (found[0], found[1].tolist()) == ("saturated", [False, False, True, True])


@pytest.mark.parametrize("act", ["identity", "leaky_relu", "elu", "gelu", "silu", "softplus"])
def test_other_units_neither_die_nor_saturate(act):
    network = MLP(1, 1, act=act, depth=2)
    found = diagnose(network, F.mse_loss, TRAIN, state(network))
    assert list(found) == [f"{what}/layers.{i}" for what in ("gradient", "update") for i in range(3)]


def test_gradients_vanish_in_deep_sigmoid_networks():
    network = MLP(1, 1, hidden=16, depth=6, act="sigmoid")
    found = diagnose(network, F.mse_loss, TRAIN, state(network))
    norms = [found[f"gradient/layers.{i}"] for i in range(7)]
    assert norms == sorted(norms)
    assert norms[0] < 0.01 * norms[-1]


def test_the_network_is_left_as_it_was():
    network = MLP(1, 1, norm="batch", dropout=0.5, depth=2)
    network.set_dropout(1, 1, range(len(TRAIN.x)))
    F.mse_loss(network(TRAIN.x), TRAIN.y).backward()
    act, before = network.acts, {name: tensor.clone() for name, tensor in network.state_dict().items()}
    gradients = [gradient.clone() for gradient in gradients_of(network)]
    drawn = network.dropouts[0].drawn
    with torch.no_grad():
        diagnose(network, F.mse_loss, TRAIN, state(network))
    assert network.training
    assert network.acts is act
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert all(map(torch.equal, gradients_of(network), gradients))
    assert network.dropouts[0].drawn == drawn


def test_a_parameter_the_loss_does_not_read_has_no_gradient():
    network = MLP(1, 1)
    found = diagnose(network, lambda out, y: (out * 0).sum(), Split(TRAIN.x, TRAIN.y), state(network))
    assert found["gradient/layers.0"] == 0
