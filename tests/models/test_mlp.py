"""The network: where it starts, what it computes, and one training step derived by hand in NumPy."""

import math
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from neuronsweep.models.mlp import ACTIVATIONS, INITS, MLP, NORMS, Dropout
from neuronsweep.philox import kept


def x_of(n: int = 6, inputs: int = 2, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, inputs)).astype(np.float32))


# the start -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [0, 1, 3])
@pytest.mark.parametrize("bias", [True, False])
def test_the_initial_weights_are_torchs_own(depth, bias):
    torch.manual_seed(5)
    widths = [2, *[7] * depth, 3]
    expected = [nn.Linear(a, b, bias=bias) for a, b in pairwise(widths)]
    network = MLP(2, 3, hidden=7, depth=depth, bias=bias, seed=5)
    assert len(network.layers) == len(expected)
    for ours, theirs in zip(network.layers, expected, strict=True):
        # to a rounding, which torch does once or twice, as the processor can
        torch.testing.assert_close(ours.weight, theirs.weight, rtol=0, atol=1e-7)
        assert ours.bias is None or torch.allclose(ours.bias, theirs.bias, rtol=0, atol=1e-7)
        assert (ours.bias is not None) == bias


@pytest.mark.parametrize("capability", ["default", "avx2"])
def test_the_initial_weights_have_the_same_bits_on_every_processor(capability):
    digests = {"default": "b4f43b22af85", "xavier": "6d0131d6c7db", "kaiming": "65687cbef617"}
    code = f"""
import hashlib
from neuronsweep.models.mlp import initial_weights
for init in {list(digests)}:
    sha = hashlib.sha256()
    for seed in range(50):
        for weight, bias in initial_weights([2, 8, 32, 1], init, True, seed):
            sha.update(weight.numpy().tobytes() + bias.numpy().tobytes())
    print(init, sha.hexdigest()[:12])
"""
    environment = {**os.environ, "ATEN_CPU_CAPABILITY": capability}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert dict(line.split() for line in done.stdout.splitlines()) == digests


def test_the_initial_weights_depend_on_the_seed_alone():
    torch.manual_seed(1)
    plain = MLP(2, 1, depth=2, seed=3)
    torch.manual_seed(2)
    other = MLP(2, 1, depth=2, seed=3, act="tanh", out_act="relu", norm="layer", dropout=0.5, skip=True)
    for a, b in zip(plain.layers, other.layers, strict=True):
        assert torch.equal(a.weight, b.weight)
        assert torch.equal(a.bias, b.bias)
    assert not torch.equal(plain.layers[0].weight, MLP(2, 1, depth=2, seed=4).layers[0].weight)


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("norm", NORMS)
def test_building_and_training_leave_the_global_generator_alone(init, norm):
    state = torch.get_rng_state()
    network = MLP(2, 1, depth=2, init=init, norm=norm, dropout=0.3)
    network.set_dropout(0, 1, range(6))
    network(x_of()).sum().backward()
    assert torch.equal(torch.get_rng_state(), state)


def test_zeros_start_as_the_function_zero():
    network = MLP(2, 3, depth=2, init="zeros")
    assert all(not parameter.any() for parameter in network.parameters())
    assert not network(x_of()).any()


@pytest.mark.parametrize(
    ("init", "std", "bound"),
    [
        ("default", 1 / math.sqrt(3 * 400), 1 / math.sqrt(400)),
        ("xavier", math.sqrt(2 / (400 + 400)), math.sqrt(6 / (400 + 400))),
        ("kaiming", math.sqrt(2 / 400), math.inf),
    ],
)
def test_initial_weights_have_the_spread_of_their_rule(init, std, bound):
    first, hidden, _ = MLP(2, 1, hidden=400, depth=2, init=init, seed=1).layers
    weight = hidden.weight.detach()
    assert weight.mean().abs() < 4 * std / 400
    assert weight.std().item() == pytest.approx(std, rel=0.01)
    assert weight.abs().max() <= bound
    assert math.isinf(bound) or weight.abs().max() > 0.99 * bound
    if init == "default":
        assert first.bias.abs().max() <= 1 / math.sqrt(2)
        assert first.bias.std().item() == pytest.approx(1 / math.sqrt(3 * 2), rel=0.1)
    else:
        assert not first.bias.any()
        assert not hidden.bias.any()


# the function --------------------------------------------------------------------------------------------------------


def erf(x: np.ndarray) -> np.ndarray:
    return np.vectorize(math.erf)(x)


FORMULAS: dict[str, Callable[[Any], Any]] = {
    "identity": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "elu": lambda x: np.where(x > 0, x, np.exp(x) - 1),
    "gelu": lambda x: x * (1 + erf(x / math.sqrt(2))) / 2,
    "silu": lambda x: x / (1 + np.exp(-x)),
    "softplus": lambda x: np.log(1 + np.exp(x)),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "hardtanh": lambda x: np.clip(x, -1, 1),
}


def test_every_activation_has_a_formula_here():
    assert set(FORMULAS) == set(ACTIVATIONS)


@pytest.mark.parametrize("act", FORMULAS)
def test_activations(act):
    x = np.linspace(-5, 5, 201)
    np.testing.assert_allclose(ACTIVATIONS[act](torch.from_numpy(x)).numpy(), FORMULAS[act](x), atol=1e-12)


@pytest.mark.parametrize("act", FORMULAS)
@pytest.mark.parametrize("skip", [False, True])
def test_the_forward_pass(act, skip):
    network = MLP(2, 3, hidden=5, depth=3, act=act, out_act="tanh", skip=skip, seed=1).double()
    x = x_of().double()
    parts = [(layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in network.layers]
    h = x.numpy()
    for i, (weight, bias) in enumerate(parts[:-1]):
        new = FORMULAS[act](h @ weight.T + bias)
        h = h + new if skip and i > 0 else new  # the first layer changes the width, so it has nothing to add to
    weight, bias = parts[-1]
    np.testing.assert_allclose(network(x).detach().numpy(), np.tanh(h @ weight.T + bias), atol=1e-12)


def test_depth_0_is_a_linear_model_whatever_the_hidden_options():
    network = MLP(2, 3, depth=0, hidden=99, act="sigmoid", norm="batch", skip=True)
    (layer,) = network.layers
    x = x_of()
    torch.testing.assert_close(network(x), x @ layer.weight.T + layer.bias)
    assert sum(parameter.numel() for parameter in network.parameters()) == 9


def test_depth_0_with_a_relu_output_is_the_single_relu_neuron():
    network = MLP(1, 1, depth=0, out_act="relu", seed=2)
    x = torch.linspace(-3, 3, 13)[:, None]
    y = network(x)
    torch.testing.assert_close(y, (x * network.layers[0].weight + network.layers[0].bias).clamp(min=0))
    assert (y == 0).any()
    assert (y > 0).any()


@pytest.mark.parametrize("act", [act for act, formula in FORMULAS.items() if formula(0.0) == 0])
def test_without_biases_zero_stays_zero(act):
    assert MLP(2, 1, depth=2, act=act, bias=False)(torch.zeros(1, 2)).item() == 0


def test_layer_norm_acts_on_each_sample_before_the_activation():
    network = MLP(2, 1, hidden=5, norm="layer", act="tanh", seed=1)
    x = x_of()
    h = network.layers[0](x)
    h = (h - h.mean(1, keepdim=True)) / torch.sqrt(h.var(1, unbiased=False, keepdim=True) + 1e-5)
    torch.testing.assert_close(network(x), network.layers[1](torch.tanh(h)))


def test_batch_norm_uses_the_batch_in_training_and_running_statistics_after_it():
    network = MLP(2, 1, hidden=5, norm="batch", act="tanh", seed=1)
    x = x_of()
    z = network.layers[0](x)
    h = (z - z.mean(0)) / torch.sqrt(z.var(0, unbiased=False) + 1e-5)
    torch.testing.assert_close(network(x), network.layers[1](torch.tanh(h)))
    network.eval()
    mean, var = 0.1 * z.mean(0), 0.9 + 0.1 * z.var(0)  # one step from 0 and 1 with momentum 0.1
    torch.testing.assert_close(network(x), network.layers[1](torch.tanh((z - mean) / torch.sqrt(var + 1e-5))))


@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_every_hidden_layer_has_a_norm_of_its_own(norm):
    network = MLP(2, 1, hidden=5, depth=3, norm=norm)
    assert len({id(part) for part in network.norms}) == 3


# a width and an activation a layer -----------------------------------------------------------------------------------


def test_a_list_of_widths_is_the_depth_and_starts_with_torchs_own_weights():
    torch.manual_seed(5)
    expected = [nn.Linear(a, b) for a, b in pairwise([2, 7, 3, 1])]
    for network in (MLP(2, 1, hidden=[7, 3], seed=5), MLP(2, 1, hidden=[7, 3], depth=2, seed=5)):
        assert [part.num_features for part in MLP(2, 1, hidden=[7, 3], norm="batch").norms] == [7, 3]
        for ours, theirs in zip(network.layers, expected, strict=True):
            torch.testing.assert_close(ours.weight, theirs.weight, rtol=0, atol=1e-7)
            torch.testing.assert_close(ours.bias, theirs.bias, rtol=0, atol=1e-7)


def test_lists_of_equal_values_are_what_one_value_is():
    options: dict[str, Any] = {"norm": "layer", "skip": True, "seed": 3}
    one = MLP(2, 1, hidden=5, depth=3, act="tanh", **options)
    lists = MLP(2, 1, hidden=[5, 5, 5], act=["tanh"] * 3, **options)
    assert list(lists.state_dict()) == list(one.state_dict())
    assert all(torch.equal(lists.state_dict()[name], value) for name, value in one.state_dict().items())
    assert torch.equal(lists(x_of()), one(x_of()))


def test_every_layer_has_its_own_activation():
    acts = ["relu", "tanh", "gelu"]
    network = MLP(2, 1, hidden=[5, 4, 3], act=acts, seed=1).double()
    h = x_of().double().numpy()
    *hidden, out = [(layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in network.layers]
    for (weight, bias), act in zip(hidden, acts, strict=True):
        h = FORMULAS[act](h @ weight.T + bias)
    np.testing.assert_allclose(network(x_of().double()).detach().numpy(), h @ out[0].T + out[1], atol=1e-12)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"hidden": [5, 4], "depth": 3}, "a list of widths is the depth"),
        ({"hidden": [5, 4], "depth": 0}, "a list of widths is the depth"),
        ({"act": ["relu", "tanh"]}, "2 activations for 1 hidden layers"),
        ({"hidden": [5, 4], "act": ["relu"]}, "1 activations for 2 hidden layers"),
        ({"hidden": [5, 4], "skip": True}, "skip"),
    ],
)
def test_lists_that_do_not_fit_are_refused(options, what):
    with pytest.raises(ValueError, match=what):
        MLP(2, 1, **options)


# dropout -------------------------------------------------------------------------------------------------------------


def test_dropout_masks_come_from_the_numbers_given():
    network = MLP(2, 1, hidden=32, depth=2, dropout=0.5)
    x = x_of(50)

    def draw(seed, epoch, first):
        network.set_dropout(seed, epoch, range(first, first + 50))
        return network(x)

    first = draw(0, 1, 0)
    torch.rand(10)  # the global generator plays no part
    assert torch.equal(draw(0, 1, 0), first)
    for numbers in [(1, 1, 0), (0, 2, 0), (0, 1, 50), (1, 0, 0)]:
        assert not torch.equal(draw(*numbers), first)


def test_a_part_of_a_batch_is_trained_with_its_part_of_the_masks():
    network = MLP(2, 1, hidden=[32, 6], dropout=0.5).double()
    x = x_of(50).double()
    network.set_dropout(0, 1, range(100, 150))
    whole = network(x)
    for rank in range(3):
        network.set_dropout(0, 1, range(100, 150)[rank::3])
        torch.testing.assert_close(network(x[rank::3]), whole[rank::3], rtol=1e-14, atol=1e-14)


def test_a_hidden_layer_is_multiplied_by_its_own_masks():
    network = MLP(2, 1, hidden=[5, 3], act="tanh", dropout=0.25, seed=1).double()
    network.set_dropout(7, 3, range(6))
    h = x_of(6).double()
    for i, layer in enumerate(network.layers[:2]):
        h = torch.tanh(layer(h)) * torch.from_numpy(kept(0.25, 7, 3, range(6), i, layer.out_features)) * (1 / 0.75)
    assert torch.equal(network(x_of(6).double()), network.layers[2](h))


def test_dropout_zeroes_its_share_and_scales_the_rest():
    layer = Dropout(0.3, 0)
    layer.drawn = 0, 1, range(400)
    y = layer(torch.ones(400, 400))
    assert y.unique().tolist() == pytest.approx([0, 1 / 0.7])
    assert (y == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)
    assert y.mean().item() == pytest.approx(1, abs=0.01)


def test_dropout_is_unbiased_and_absent_after_training():
    network = MLP(2, 1, hidden=8, act="tanh", dropout=0.4, seed=1)
    x = x_of(3)
    network.set_dropout(0, 1, range(60_000))
    with torch.no_grad():
        mean = network(x.repeat(20_000, 1)).reshape(20_000, 3).mean(0)
        network.eval()
        exact = network(x)
        without = MLP(2, 1, hidden=8, act="tanh", seed=1)(x)
    torch.testing.assert_close(mean[:, None], exact, atol=0.02, rtol=0)
    assert torch.equal(exact, without)


def test_masks_of_other_samples_are_refused():
    network = MLP(2, 1, dropout=0.5)
    network.set_dropout(0, 1, range(7))
    with pytest.raises(ValueError, match="masks for 7 samples, not for 6"):
        network(x_of(6))


def test_a_loop_that_says_nothing_of_samples_gets_torchs_masks():
    network = MLP(2, 1, hidden=32, dropout=0.5)
    assert not torch.equal(network(x_of()), network(x_of()))


def test_without_dropout_there_are_no_masks():
    network = MLP(2, 1)
    network.set_dropout(0, 1, range(6))
    assert torch.equal(network(x_of()), network(x_of()))


# the file ------------------------------------------------------------------------------------------------------------


def test_parameter_names_are_those_of_the_checkpoints():
    assert list(MLP(1, 1, depth=2, dropout=0.5).state_dict()) == [
        "layers.0.weight",
        "layers.0.bias",
        "layers.1.weight",
        "layers.1.bias",
        "layers.2.weight",
        "layers.2.bias",
    ]
    assert list(MLP(1, 1, depth=0, bias=False).state_dict()) == ["layers.0.weight"]
    assert [name for name in MLP(1, 1, norm="layer").state_dict() if name.startswith("norms")] == [
        "norms.0.weight",
        "norms.0.bias",
    ]
    assert [name for name in MLP(1, 1, norm="batch").state_dict() if name.startswith("norms")] == [
        "norms.0.weight",
        "norms.0.bias",
        "norms.0.running_mean",
        "norms.0.running_var",
        "norms.0.num_batches_tracked",
    ]


# one training step, by hand ------------------------------------------------------------------------------------------
# A network of one hidden layer in NumPy: z = x W1' + b1, h = act(z), o = h W2' + b2, and dL/do of each loss on paper.

X = np.array([[0.5, -1.0], [1.5, 0.25], [-0.75, 2.0], [-1.25, -0.5]])
SLOPES = {
    "tanh": lambda z: 1 - np.tanh(z) ** 2,
    "relu": lambda z: (z > 0).astype(float),
    "sigmoid": lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2,
}


def mse(o, y):
    return np.mean((o - y) ** 2), 2 * (o - y) / o.size


def bce(o, y):
    p = 1 / (1 + np.exp(-o))
    return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)), (p - y) / o.size


def cross_entropy(o, y):
    p = np.exp(o) / np.exp(o).sum(axis=1, keepdims=True)
    rows = np.arange(len(y))
    slope = p.copy()
    slope[rows, y] -= 1
    return -np.mean(np.log(p[rows, y])), slope / len(y)


def step_by_hand(weights, act, loss, y, lr):
    """Loss before the step and (W1, b1, W2, b2) after one step of gradient descent."""
    w1, b1, w2, b2 = weights
    z = X @ w1.T + b1
    h = FORMULAS[act](z)
    value, slope_o = loss(h @ w2.T + b2, y)
    slope_z = (slope_o @ w2) * SLOPES[act](z)
    gradients = slope_z.T @ X, slope_z.sum(0), slope_o.T @ h, slope_o.sum(0)
    return value, gradients, [weight - lr * gradient for weight, gradient in zip(weights, gradients, strict=True)]


STEPS = [
    ("regression", 1, F.mse_loss, mse, np.array([[1.0], [-2.0], [0.5], [3.0]])),
    ("binary", 1, F.binary_cross_entropy_with_logits, bce, np.array([[1.0], [0.0], [0.0], [1.0]])),
    ("classes", 3, F.cross_entropy, cross_entropy, np.array([2, 0, 1, 1])),
]


@pytest.mark.parametrize("act", SLOPES)
@pytest.mark.parametrize(("outputs", "torch_loss", "loss", "y"), [s[1:] for s in STEPS], ids=[s[0] for s in STEPS])
def test_one_step_of_gradient_descent(act, outputs, torch_loss, loss, y):
    network = MLP(2, outputs, hidden=3, act=act, seed=7)
    before = [parameter.detach().double().numpy().copy() for parameter in network.parameters()]
    value, gradients, after = step_by_hand(before, act, loss, y, lr=0.5)

    optimizer = torch.optim.SGD(network.parameters(), lr=0.5)
    x = torch.tensor(X, dtype=torch.float32)
    got = torch_loss(network(x), torch.from_numpy(y) if y.dtype == int else torch.tensor(y, dtype=torch.float32))
    got.backward()
    optimizer.step()

    assert got.item() == pytest.approx(value, abs=1e-6)
    for parameter, gradient, expected in zip(network.parameters(), gradients, after, strict=True):
        assert parameter.grad is not None
        np.testing.assert_allclose(parameter.grad.numpy(), gradient, atol=1e-6)
        np.testing.assert_allclose(parameter.detach().numpy(), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("loss", "y", "expected"),
    # a zero network: MSE is the mean square of y, BCE log 2, cross-entropy log 3
    [(mse, STEPS[0][4], 14.25 / 4), (bce, STEPS[1][4], math.log(2)), (cross_entropy, STEPS[2][4], math.log(3))],
    ids=["regression", "binary", "classes"],
)
def test_the_hand_written_losses_know_the_values_everybody_knows(loss, y, expected):
    assert loss(np.zeros((4, 3 if loss is cross_entropy else 1)), y)[0] == pytest.approx(expected)
