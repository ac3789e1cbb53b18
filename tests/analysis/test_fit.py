import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from neuronsweep.analysis.fit import analyse, kinks, kinks_among_samples, truth_errors
from neuronsweep.data import curves, planes
from neuronsweep.models.mlp import MLP

SINE = curves.sine()
BENT = ["relu", "leaky_relu", "hardtanh"]


def with_weights(network: MLP, *weights: list) -> MLP:
    """The network with these values as its parameters, in order."""
    for parameter, values in zip(network.parameters(), weights, strict=True):
        parameter.data = torch.tensor(values, dtype=torch.float32).reshape(parameter.shape)
    return network


def kinks_of_a_grid(network: MLP, low: float, high: float, points: int = 200_001) -> np.ndarray:
    """Where the second difference of the network on a fine grid is not 0; neighbouring cells are one kink."""
    x = np.linspace(low, high, points)
    y = network.double()(torch.from_numpy(x)[:, None])[:, 0].detach().numpy()
    network.float()
    bends = np.abs(np.diff(y, 2))
    slope = np.abs(np.diff(y)).max()
    at = x[1:-1][bends > 1e-7 * max(slope, 1e-9)]
    starts = np.append(True, np.diff(at) > 1.5 * (high - low) / (points - 1))
    return at[starts] if len(at) else at


def spread_out(network: MLP, seed: int) -> MLP:
    """Weights large enough for many kinks between -2 and 2."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator)
    return network


# kinks ---------------------------------------------------------------------------------------------------------------


def test_a_relu_unit_bends_where_its_input_is_zero():
    network = with_weights(MLP(1, 1, hidden=3), [1, 2, -1], [0.5, -3, 1], [1, 1, 1], [0])
    assert kinks(network, -2, 2) == [-0.5, 1, 1.5]
    assert kinks(network, -0.5, 1.2) == [1]  # strictly between the bounds


def test_kinks_among_samples_are_those_between_the_samples_of_all_splits():
    network = with_weights(MLP(1, 1, hidden=3), [1, 1, 1], [-1.5, -5, -11], [1, 1, 1], [0])
    assert kinks(network, -20, 20) == [1.5, 5, 11]
    assert kinks_among_samples(network, curves.line()) == [1.5, 5]  # train ends at 3, outer at 10


def test_units_without_effect_are_no_kinks():
    weights = [1, 1, 1, 1], [-1, -1, 0.5, 1]
    silent = with_weights(MLP(1, 1, hidden=4), *weights, [1, -1, 0, 1e-12], [0])
    assert kinks(silent, -2, 2) == []
    together = with_weights(MLP(1, 1, hidden=4), *weights, [1, 1, 0, 0], [0])
    assert kinks(together, -2, 2) == [1]


def test_hardtanh_bends_twice_and_the_output_activation_bends_too():
    assert kinks(with_weights(MLP(1, 1, hidden=1, act="hardtanh"), [2], [0], [1], [0]), -2, 2) == [-0.5, 0.5]
    assert kinks(with_weights(MLP(1, 1, depth=0, out_act="relu"), [2], [-1]), -2, 2) == [0.5]
    assert kinks(with_weights(MLP(1, 1, hidden=1, out_act="relu"), [1], [0], [1], [-1]), -2, 2) == [1]


def test_a_constant_network_has_no_kink():
    assert kinks(MLP(1, 1, init="zeros", depth=2), -1, 1) == []


@pytest.mark.parametrize("act", BENT)
@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("skip", [False, True])
def test_kinks_are_where_second_differences_are(act, depth, skip):
    for seed in range(3):
        network = spread_out(MLP(1, 1, hidden=6, depth=depth, act=act, skip=skip), seed)
        found = np.array(kinks(network, -2, 2))
        assert len(found) > 2
        apart = np.diff(found, prepend=-2, append=2)
        seen = kinks_of_a_grid(network, -2, 2)
        # kinks less than a few cells apart are one to the grid
        alone = found[(apart[:-1] > 1e-4) & (apart[1:] > 1e-4)]
        assert all(np.abs(seen - kink).min() < 5e-5 for kink in alone)
        assert all(np.abs(found - kink).min() < 5e-5 for kink in seen)


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 16), st.sampled_from(BENT), st.booleans())
def test_one_hidden_layer_never_has_more_kinks_than_bends(seed, hidden, act, bias):
    network = spread_out(MLP(1, 1, hidden=hidden, act=act, bias=bias), seed)
    found = kinks(network, -3, 3)
    assert len(found) <= hidden * (2 if act == "hardtanh" else 1)
    assert found == sorted(found)
    assert all(-3 < kink < 3 for kink in found)


@pytest.mark.parametrize("model", [{"act": "tanh"}, {"norm": "layer"}, {"out_act": "sigmoid"}])
def test_kinks_of_a_smooth_network_are_refused(model):
    with pytest.raises(ValueError, match="only identity"):
        kinks(MLP(1, 1, **model), -1, 1)


def test_kinks_need_one_input_finite_weights_and_an_interval():
    with pytest.raises(ValueError, match="one input"):
        kinks(MLP(2, 1), -1, 1)
    with pytest.raises(ValueError, match="low"):
        kinks(MLP(1, 1), 1, 1)
    with pytest.raises(ValueError, match="finite"):
        kinks(with_weights(MLP(1, 1, depth=0), [math.nan], [0]), -1, 1)


# analyse -------------------------------------------------------------------------------------------------------------


def test_which_metrics_a_fit_has():
    always, solved = {"params", "optimum/linear"}, {"optimum/loss", "optimum/ratio"}
    truth = {"truth/inside", "truth/outside", "truth/outside_over_inside"}
    line = {"kinks", "slope", "intercept"}
    assert set(analyse(MLP(1, 1), SINE)) == {*always, *solved, "kinks", "dead"} | truth
    assert set(analyse(MLP(1, 1, act="tanh"), SINE)) == always | truth
    assert set(analyse(MLP(1, 1, depth=0), SINE)) == always | solved | line | truth
    assert set(analyse(MLP(1, 1, act="identity", depth=2), SINE)) == always | solved | line | truth
    assert set(analyse(MLP(1, 1, depth=0, out_act="relu"), SINE)) == {*always, *solved, "kinks", "dead"} | truth
    assert set(analyse(MLP(1, 1, depth=2), SINE)) == {*always, "kinks", "dead"} | truth
    assert set(analyse(MLP(1, 1, norm="batch"), SINE)) == {*always, "dead"} | truth
    # eight kinks pass through nine readings: there is no ratio to 0
    assert set(analyse(MLP(1, 1), curves.temperature())) == {*always, "kinks", "dead", "truth/inside", "optimum/loss"}
    assert set(analyse(MLP(2, 1), planes.polynomial())) == {*always, "dead", "truth/inside"}
    assert set(analyse(MLP(2, 1), planes.moons())) == {*always, "dead"}
    assert set(analyse(MLP(2, 1, depth=0), planes.moons())) == always | solved
    assert set(analyse(MLP(2, 3, act="tanh"), planes.spirals())) == always


def test_params_counts_what_is_trained():
    assert analyse(MLP(1, 1, hidden=8), SINE)["params"] == 8 + 8 + 8 + 1
    assert analyse(MLP(2, 3, hidden=4, depth=2, bias=False), planes.spirals())["params"] == 8 + 16 + 12


def test_slope_and_intercept_are_those_of_the_weights():
    line = analyse(with_weights(MLP(1, 1, depth=0), [2], [1]), curves.line())
    assert (line["slope"], line["intercept"], line["kinks"]) == (2, 1, 0)
    deep = with_weights(MLP(1, 1, hidden=2, act="identity"), [1, 2], [3, 4], [5, 6], [7])
    assert analyse(deep, SINE)["slope"] == 1 * 5 + 2 * 6
    assert analyse(deep, SINE)["intercept"] == 3 * 5 + 4 * 6 + 7
    skip = spread_out(MLP(1, 1, hidden=4, depth=3, act="identity", skip=True, bias=False), 0)
    assert analyse(skip, SINE)["slope"] == pytest.approx(skip(torch.ones(1, 1)).item(), rel=1e-5)


def test_errors_against_the_truth_are_means_over_x():
    right = with_weights(MLP(1, 1, depth=0), [2], [1])
    found = analyse(right, curves.line())
    assert found["truth/inside"] == found["truth/outside"] == 0
    assert "truth/outside_over_inside" not in found  # 0 / 0
    # off by x: the mean of x^2 over 0..3 is 3, over 3..10 (1000 - 27) / 21
    found = analyse(with_weights(MLP(1, 1, depth=0), [3], [1]), curves.line())
    assert found["truth/inside"] == pytest.approx(3, rel=2e-3)
    assert found["truth/outside"] == pytest.approx(973 / 21, rel=2e-3)
    assert found["truth/outside_over_inside"] == pytest.approx(973 / 63, rel=4e-3)


def test_with_more_inputs_errors_against_the_truth_are_means_over_the_samples():
    data = planes.polynomial()
    x, _ = data.splits["train"]
    zero = MLP(2, 1, init="zeros")
    assert data.truth is not None
    expected = (data.truth(x.double()) ** 2).mean().item()
    assert analyse(zero, data)["truth/inside"] == pytest.approx(expected, rel=1e-12)


def test_a_line_fitted_to_the_sine_is_55_times_as_wrong_outside():
    network = MLP(1, 1, depth=0)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    x, y = SINE.splits["train"]
    for _ in range(1000):
        optimizer.zero_grad()
        F.mse_loss(network(x), y).backward()
        optimizer.step()
    inside, outside = truth_errors(network, torch.sin, (-1.5, 2.5), (-3.5, 4.5))
    assert 55.1 <= outside / inside <= 55.3
    found = analyse(network, SINE)
    assert 0.572 <= found["slope"] <= 0.577
    assert found["truth/outside_over_inside"] == pytest.approx(outside / inside, rel=0.02)


def test_dead_units_are_zero_on_every_training_sample():
    x = SINE.splits["train"].x
    low, high = x.min().item(), x.max().item()
    biases = [-high - 0.01, -high + 0.01, 5, low - 0.01]
    network = with_weights(MLP(1, 1, hidden=4), [1, 1, 1, -1], biases, [1, 1, 1, 1], [0])
    assert analyse(network, SINE)["dead"] == 0.5
    assert analyse(with_weights(MLP(1, 1, depth=0, out_act="relu"), [0], [-1]), SINE)["dead"] == 1
    assert analyse(with_weights(MLP(1, 1, depth=0, out_act="relu"), [1], [0]), SINE)["dead"] == 0
    deep = with_weights(MLP(1, 1, hidden=1, depth=2), [0], [1], [-1], [0], [1], [0])
    assert analyse(deep, SINE)["dead"] == 0.5


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("model", [{}, {"act": "tanh"}, {"depth": 0}, {"depth": 3, "act": "identity"}])
def test_what_is_not_finite_is_left_out(model, value):
    network = MLP(1, 1, **model)
    network.layers[0].weight.data[0] = value
    assert analyse(network, SINE) == {"params": sum(p.numel() for p in network.parameters())}


@pytest.mark.filterwarnings("error")
def test_weights_that_overflow_do_no_harm():
    network = MLP(1, 1, depth=12, hidden=4)
    for parameter in network.parameters():
        parameter.data.fill_(1e38)
    assert all(math.isfinite(value) for value in analyse(network, SINE).values())


def test_the_network_is_left_as_it_was():
    network = MLP(1, 1, norm="batch", dropout=0.5).train()
    network.set_dropout(1, 2, range(len(SINE.splits["train"].x)))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    drawn = network.dropouts[0].drawn
    act = network.acts
    first, second = analyse(network, SINE), analyse(network, SINE)
    assert first == second
    assert network.training
    assert network.acts is act
    assert network.dropouts[0].drawn == drawn
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert network.layers[0].weight.dtype == torch.float32


def test_layers_of_different_widths_and_activations():
    for seed in range(3):
        network = spread_out(MLP(1, 1, hidden=[6, 3], act=["relu", "hardtanh"]), seed)
        np.testing.assert_allclose(kinks(network, -2, 2), kinks_of_a_grid(network, -2, 2), atol=1e-4)
    mixed = MLP(1, 1, hidden=[4, 2], act=["tanh", "relu"])
    mixed.layers[1].weight.data.zero_()
    mixed.layers[1].bias.data = torch.tensor([-1.0, 1.0])
    assert analyse(mixed, SINE)["dead"] == 0.5  # of the two ReLU units
    assert "kinks" not in analyse(mixed, SINE)
    assert {"slope", "intercept"} <= set(analyse(MLP(1, 1, hidden=[4, 2], act="identity"), SINE))


@pytest.mark.parametrize("loss", [{"name": "mae"}, {"name": "huber", "delta": 1.0}, {"name": "quantile", "q": 0.5}])
def test_optima_are_of_the_squared_error_alone(loss):
    without = analyse(MLP(1, 1), SINE, loss)
    squared = analyse(MLP(1, 1), SINE, {"name": "mse"})
    assert squared == analyse(MLP(1, 1), SINE)
    assert without == {name: value for name, value in squared.items() if not name.startswith("optimum/")}


def test_optima_of_classes_are_without_weights():
    network = MLP(2, 1, depth=0)
    loss = {"name": "cross_entropy", "class_weights": [1.0, 2.0]}
    assert set(analyse(network, planes.moons(), loss)) == {"params"}
    assert "optimum/ratio" in analyse(network, planes.moons(), {**loss, "class_weights": None})


def test_one_sample_is_enough():
    found = analyse(MLP(1, 1), curves.sine(n=1, low=-3.5, high=4.5))
    assert found["params"] == 25
