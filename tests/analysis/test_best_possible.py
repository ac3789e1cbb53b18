"""The best possible fits against values found by exact or global search elsewhere, by scikit-learn, and by hand."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression, LogisticRegression

from neuronsweep.analysis import best_possible
from neuronsweep.analysis.fit import MOST_KINKS, analyse, optimum
from neuronsweep.data import curves, planes
from neuronsweep.data.dataset import Dataset, classification, regression
from neuronsweep.models.mlp import MLP


def clean(low: float, high: float, n: int) -> Dataset:
    x = np.linspace(low, high, n)
    return regression((x, np.sin(x)), (x, np.sin(x)))


DATA = {
    "sine": curves.sine(),
    "sine on [-1, 3.5]": curves.sine(low=-1, high=3.5),
    "no noise": clean(-1.5, 2.5, 801),
    "no noise on [-1, 3.5]": clean(-1, 3.5, 901),
}
# the least losses of two searches, one over networks with so many ReLU units, one over free knots
KINKS = {
    "sine": {1: 0.014401637, 2: 0.0116214637, 3: 0.01053044805, 4: 0.01035142948, 8: 0.00990055746, 16: 0.00942908815},
    "sine on [-1, 3.5]": {1: 0.016868511569, 2: 0.011061033661},
    "no noise": {
        1: 3.870401928e-3,
        2: 1.7932016934e-3,
        3: 3.37490003e-4,
        4: 1.549977e-4,
        8: 1.754397e-5,
        16: 1.500135e-6,
    },
    "no noise on [-1, 3.5]": {1: 5.759586558534e-3, 2: 8.607983846e-4},
}
LINES = {
    "sine": 0.08032872135896,
    "sine on [-1, 3.5]": 0.2639634586,
    "no noise": 0.06589363358,
    "no noise on [-1, 3.5]": 0.25009653841,
}
CASES = [(name, count) for name, values in KINKS.items() for count in values]


@pytest.mark.parametrize(("name", "count"), CASES)
def test_kinks_are_as_good_as_the_best_known(name, count):
    assert best_possible.kinks(DATA[name], count) <= KINKS[name][count] * 1.005


@pytest.mark.parametrize(("name", "count"), [case for case in CASES if case[1] <= 4])
def test_few_kinks_are_the_global_optimum(name, count):
    assert best_possible.kinks(DATA[name], count) == pytest.approx(KINKS[name][count], rel=4e-4)


def test_more_kinks_are_never_worse():
    for name in KINKS:
        losses = [
            best_possible.linear(DATA[name]),
            *(best_possible.kinks(DATA[name], count) for count in (1, 2, 4, 8, 16, 32)),
        ]
        assert losses == sorted(losses, reverse=True)


def test_as_many_kinks_as_inner_samples_pass_through_all():
    assert best_possible.kinks(curves.temperature(), 7) == 0
    assert best_possible.kinks(curves.quadratic(), 2) == best_possible.kinks(curves.quadratic(), 10) == 0
    twice = regression((np.array([0, 1, 1, 2]), np.array([0, 1, 2, 3])), ([0], [0]))
    assert best_possible.kinks(twice, 5) == pytest.approx(0.5**2 * 2 / 4)


def test_one_sample_or_one_place_is_a_constant():
    assert best_possible.kinks(curves.sine(n=1, low=-3.5, high=4.5), 3) == 0
    assert best_possible.kinks(regression((np.ones(4), np.arange(4)), ([0], [0])), 3) == pytest.approx(1.25)


@pytest.mark.parametrize("name", LINES)
def test_lines_are_least_squares(name):
    x, y = DATA[name].splits["train"]
    line = LinearRegression().fit(x.double(), y.double())
    assert best_possible.linear(DATA[name]) == pytest.approx(LINES[name], rel=1e-8)
    assert best_possible.linear(DATA[name]) == pytest.approx(
        np.mean((line.predict(x.double()) - y.numpy()) ** 2), rel=1e-9
    )


def test_the_article_s_lines():
    assert best_possible.linear(curves.line()) == 0
    assert best_possible.linear(curves.quadratic()) == pytest.approx(9)
    assert best_possible.linear(curves.temperature()) == pytest.approx(2.838557, abs=1e-6)


@pytest.mark.parametrize("dataset", [planes.moons(), planes.spirals(), planes.circles(), planes.spirals(classes=5)])
def test_logistic_regression_is_scikit_learn_s_without_its_penalty(dataset):
    x, y = (tensor.double().numpy() for tensor in dataset.splits["train"])
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000).fit(x, y)
    chosen = model.predict_proba(x)[np.arange(len(y)), y.astype(int)]
    assert best_possible.linear(dataset) == pytest.approx(-np.log(chosen).mean(), rel=1e-8)


def test_the_moons_optimum():
    assert best_possible.linear(planes.moons()) == pytest.approx(0.311303, abs=1e-6)


def test_separable_classes_have_no_best_weights_and_an_infimum_of_0():
    x = np.array([-2.0, -1, 1, 2])
    assert best_possible.linear(classification((x, x > 0), (x, x > 0), 2)) == 0


@pytest.mark.parametrize(("name", "loss"), [("sine", 0.2249396223), ("no noise", 0.2145004411)])
def test_one_relu_neuron(name, loss):
    assert best_possible.relu_neuron(DATA[name]) == pytest.approx(loss, rel=1e-7)


def test_one_relu_neuron_is_what_a_fine_grid_of_kinks_finds():
    rng = np.random.default_rng(0)
    for _ in range(12):
        x, y = rng.uniform(-2, 2, 12), rng.normal(0.3, 1, 12)
        best = [np.mean(y**2), np.mean((y - max(y.mean(), 0)) ** 2)]
        for sign in (1, -1):
            # far away stands for a line that is positive everywhere
            for kink in np.concatenate([np.linspace(-2.5, 2.5, 20_001), [-1e4, 1e4]]):
                h = np.maximum(sign * (x - kink), 0)
                if h.any():
                    best.append(np.mean((max(h @ y / (h @ h), 0) * h - y) ** 2))
        found = best_possible.relu_neuron(regression((x, y), (x, y)))
        assert found == pytest.approx(min(best), rel=1e-3)
        assert found <= min(best) * (1 + 1e-5)


def test_kinks_are_for_one_input():
    with pytest.raises(ValueError, match="one input"):
        best_possible.kinks(planes.polynomial(), 3)


def test_each_is_solved_once_a_data_set(monkeypatch):
    first = best_possible.kinks(DATA["sine"], 3)
    monkeypatch.setattr(best_possible, "Knots", None)
    assert best_possible.kinks(curves.sine(), 3) == first
    with pytest.raises(TypeError):
        best_possible.kinks(curves.sine(seed=1), 3)


# which optimum belongs to a network --------------------------------------------------------------------------------


def test_the_optimum_of_a_network_is_that_of_its_kind():
    sine, moons = DATA["sine"], planes.moons()
    assert (
        optimum(MLP(1, 1, depth=0), sine)
        == optimum(MLP(1, 1, act="identity", depth=3), sine)
        == best_possible.linear(sine)
    )
    assert optimum(MLP(2, 1, depth=0), moons) == best_possible.linear(moons)
    assert optimum(MLP(1, 1, depth=0, out_act="relu"), sine) == best_possible.relu_neuron(sine)
    assert optimum(MLP(1, 1, hidden=3), sine) == best_possible.kinks(sine, 3)
    assert optimum(MLP(1, 1, hidden=2, act="hardtanh"), sine) == best_possible.kinks(sine, 4)


@pytest.mark.parametrize(
    "model", [{"act": "tanh"}, {"depth": 2}, {"norm": "layer"}, {"out_act": "relu"}, {"hidden": MOST_KINKS + 1}]
)
def test_of_others_none_is_known(model):
    assert optimum(MLP(1, 1, **model), DATA["sine"]) is None
    assert optimum(MLP(2, 1), planes.moons()) is None


def test_no_network_is_better_than_its_optimum():
    dataset = DATA["sine"]
    x, y = dataset.splits["train"]
    network = MLP(1, 1, hidden=4, seed=1)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.03)
    for _ in range(600):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(network(x), y)
        loss.backward()
        optimizer.step()
    found = analyse(network, dataset)
    assert 1 <= found["optimum/ratio"] < 10
    assert found["optimum/ratio"] * found["optimum/loss"] == pytest.approx(loss.item(), rel=0.01)
    assert found["optimum/linear"] == best_possible.linear(dataset)
