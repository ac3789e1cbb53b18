"""figures/neurons.py and analysis/parts.py: neurons add up to the fit; pictures in three formats, light and dark."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from neuronsweep.analysis.parts import described, parts_of, values
from neuronsweep.data import curves, planes
from neuronsweep.figures.neurons import PAPER, Look, fit_picture, neurons_picture
from neuronsweep.models.mlp import MLP

MAGIC = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}
DATA = {
    "sine": curves.sine(n=40),
    "moons": planes.moons(n=40),
    "spirals": planes.spirals(n=60),
    "polynomial": planes.polynomial(),
}


def network_for(name: str, hidden: int = 4, **keys) -> MLP:
    dataset = DATA[name]
    return MLP(dataset.inputs, dataset.outputs, hidden=hidden, act="tanh", seed=1, **keys).double()


def picture(name: str, network: MLP, look: Look, output: int = 0) -> bytes:
    parts = parts_of(network, DATA[name], output)
    titles = [(part.name, part.title) for part in parts]
    return neurons_picture(network, DATA[name], titles, lambda x_ND: values(network, parts, output, x_ND), look)


@pytest.mark.parametrize(("hidden", "count"), [(1, 1), (4, 4), (8, 8), (9, 8), (20, 8)])
@pytest.mark.parametrize("name", ["sine", "spirals"])
def test_the_parts_and_the_bias_are_the_output(name, hidden, count):
    network, output = network_for(name, hidden), DATA[name].outputs - 1
    parts = parts_of(network, DATA[name], output)
    assert [part.name for part in parts] == list("ABCDEFGH"[:count])
    assert sorted(unit for part in parts for unit in part.numbers) == list(range(hidden))
    x_ND = np.random.default_rng(0).normal(size=(30, DATA[name].inputs))
    each_NP, bias = values(network, parts, output, x_ND)
    with torch.no_grad():
        expected = network(torch.from_numpy(x_ND))[:, output].numpy()
    np.testing.assert_allclose(each_NP.sum(axis=1) + bias, expected, rtol=1e-12, atol=1e-13)


def test_with_one_input_they_are_in_the_order_of_their_centres():
    network = network_for("sine", 6)
    weight, bias = (one.detach().numpy() for one in (network.layers[0].weight[:, 0], network.layers[0].bias))
    order = [part.numbers[0] for part in parts_of(network, DATA["sine"], 0)]
    assert order == np.argsort(-bias / weight).tolist()


def test_a_table_says_of_each_neuron_what_it_does():
    network = MLP(1, 1, hidden=3, seed=1).double()
    for parameter, numbers in zip(network.parameters(), ([1, 2, 1], [-1, -2, -99], [2, -1, 5], [7]), strict=True):
        parameter.data = torch.tensor(numbers, dtype=torch.float64).reshape(parameter.shape)
    lines = described(network, DATA["sine"], parts_of(network, DATA["sine"], 0), 0, 100.0)
    assert lines[0].split() == ["neuron", "part", "weight", "bends", "at", "on", "remarks"]
    assert lines[1].split()[:4] == ["0", "A", "2", "1"]
    assert lines[2].endswith("duplicate of 0")
    assert lines[3].endswith("dead")
    assert lines[-1] == "neurons that the fit needs, within 1% of its loss: 0 of 3"


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("suffix", MAGIC)
def test_the_same_picture_is_the_same_bytes_in_every_format(name, suffix):
    network, look = network_for(name), Look("a $title$ <&", dpi=40, suffix=suffix, dark=suffix == ".svg")
    for draw in (lambda: picture(name, network, look), lambda: fit_picture(network, DATA[name], look)):
        first = draw()
        assert first.startswith(MAGIC[suffix])
        assert first == draw()


@pytest.mark.parametrize("name", ["sine", "moons"])
def test_size_dots_and_darkness(name):
    network = network_for(name, 9)
    for dark, paper in ((False, "#ffffff"), (True, PAPER)):
        look = Look("", size=(8, 4.5), dpi=50, dark=dark)
        for content in (picture(name, network, look), fit_picture(network, DATA[name], look)):
            image = Image.open(io.BytesIO(content)).convert("RGB")
            assert image.size == (400, 225)
            red, green, blue = image.tobytes()[:3]
            assert f"#{red:02x}{green:02x}{blue:02x}" == paper
