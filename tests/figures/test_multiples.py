"""Small multiples: whole, legible, the same bytes for the same fits."""

import io

import numpy as np
import pytest
from PIL import Image

from neuronsweep.data import curves, planes
from neuronsweep.figures.charts import charts, label, seeds
from neuronsweep.figures.multiples import Panel, png, share_a_scale, small_multiples
from neuronsweep.figures.style import ORANGE, SKY, VERMILION
from neuronsweep.models.mlp import MLP

pytestmark = pytest.mark.filterwarnings("error")

DATASETS = {
    "sine": curves.sine(),
    "quadratic": curves.quadratic(),
    "temperature": curves.temperature(),
    "moons": planes.moons(),
    "three arms": planes.spirals(),
}


def panels(name: str, count: int = 5, networks: int = 3) -> list[Panel]:
    dataset = DATASETS[name]
    made = [MLP(dataset.inputs, dataset.outputs, seed=seed) for seed in range(networks)]
    return [
        Panel(f"panel {i}\nof $_many", dataset, made, i % networks, (0.5,) * (name == "sine")) for i in range(count)
    ]


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)


def has(content: bytes, colour: str, tolerance: int = 24) -> bool:
    rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return bool((np.abs(pixels(content) - rgb).sum(axis=2) < tolerance).any())


@pytest.mark.parametrize("name", DATASETS)
def test_panels_stand_in_rows_in_a_small_file(name):
    one, many = small_multiples(panels(name, 1)), small_multiples(panels(name, 5), columns=3)
    assert pixels(many).shape[1] > 2.5 * pixels(one).shape[1]
    assert pixels(many).shape[0] > 1.5 * pixels(one).shape[0]
    assert len(many) < 150_000
    assert small_multiples(panels(name, 5), columns=3) == many


def test_few_colours_do_not_lose_those_of_the_legend():
    content = small_multiples(panels("sine", 4))
    assert has(content, VERMILION)
    assert has(content, ORANGE)
    assert not has(small_multiples(panels("moons", 2)), SKY, 8)


def test_a_network_alone_is_a_prediction_and_not_a_median():
    assert small_multiples(panels("sine", 1, networks=1)) != small_multiples(panels("sine", 1, networks=2))


def test_data_of_one_size_share_a_scale():
    assert share_a_scale([curves.sine(), curves.sine(low=-1, high=3.5)])
    assert not share_a_scale([curves.line(), curves.quadratic()])
    assert share_a_scale([planes.moons(), planes.spirals()])


def test_a_network_that_leaves_the_picture_is_drawn_as_far_as_it_goes():
    steep = MLP(1, 1, depth=0)
    steep.layers[0].weight.data.fill_(1e30)
    small_multiples([Panel("steep", DATASETS["sine"], [steep], 0)])


def test_charts_show_median_and_range_of_seeds():
    figure, (left, right) = charts(2)
    seeds(left, [1, 2, 3], [[1, 2, 3], [3, 2, 1], [2, 2, 2]], "three seeds", 1)
    assert left.lines[0].get_ydata().tolist() == [2, 2, 2]
    assert left.collections[0].get_datalim(left.transData).intervaly.tolist() == [1, 3]
    label(left, "x", "y", "title")
    label(right, "x", "y", legend=False)
    assert png(figure).startswith(b"\x89PNG")
