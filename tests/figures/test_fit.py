import io
import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from neuronsweep.data import curves, planes, table
from neuronsweep.data.dataset import Dataset, classification, regression
from neuronsweep.figures import Painter, fit_png, title
from neuronsweep.models.mlp import MLP

CONFIG = {"data": {"_target_": "neuronsweep.data.curves.sine"}, "seed": 3}

pytestmark = pytest.mark.filterwarnings("error")


def four_inputs(classes: int = 0) -> Dataset:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 4))
    if classes:
        return classification((x, rng.integers(classes, size=60)), (x, rng.integers(classes, size=60)), classes)
    return regression((x, x.sum(1)), (x, x.sum(1)))


DATASETS = {
    "line": curves.line(),
    "quadratic": curves.quadratic(),
    "sine": curves.sine(),
    "temperature": curves.temperature(),
    "polynomial": planes.polynomial(),
    "moons": planes.moons(),
    "circles": planes.circles(),
    "spirals3": planes.spirals(),
    "spirals5": planes.spirals(classes=5),
    "four inputs": four_inputs(),
    "four inputs, 3 classes": four_inputs(3),
    "two inputs, no truth": Dataset(planes.polynomial().splits),
    "one sample": curves.sine(n=1, low=-3.5, high=4.5),
}


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


@pytest.mark.parametrize("name", DATASETS)
def test_a_picture_is_a_small_png_of_640_by_420(name):
    dataset = DATASETS[name]
    png = fit_png(MLP(dataset.inputs, dataset.outputs), dataset, name)
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert pixels(png).shape == (420, 640, 3)
    assert len(png) < 25_000


@pytest.mark.parametrize("dataset", [DATASETS["spirals3"], DATASETS["polynomial"], curves.sine(noise=1e7)])
def test_the_label_of_the_y_axis_is_whole(dataset):
    shown = pixels(fit_png(MLP(dataset.inputs, dataset.outputs), dataset, "fit"))
    assert (shown[:, 0] == 255).all()
    assert (shown[:, 1:60] < 128).any()


@pytest.mark.parametrize("name", ["sine", "moons", "polynomial"])
def test_the_same_fit_gives_the_same_bytes_and_another_fit_another_picture(name):
    dataset = DATASETS[name]
    png = fit_png(MLP(dataset.inputs, 1, seed=1), dataset, "fit")
    assert fit_png(MLP(dataset.inputs, 1, seed=1), dataset, "fit") == png
    assert fit_png(MLP(dataset.inputs, 1, seed=2), dataset, "fit") != png


@pytest.mark.parametrize("name", DATASETS)
@pytest.mark.parametrize("value", [0.0, math.nan, math.inf, 1e30, -1e300])
def test_any_constant_prediction_can_be_drawn(name, value):
    dataset = DATASETS[name]
    fit_png(lambda x: torch.full((len(x), dataset.outputs), value, dtype=torch.float64), dataset, "constant")


@pytest.mark.parametrize("name", DATASETS)
def test_predictions_that_are_finite_in_places_are_drawn_there(name):
    dataset = DATASETS[name]

    middle = dataset.splits["train"].x[:, 0].median()

    def half(x):
        return torch.where(x[:, :1] > middle, math.nan, x[:, :1]).repeat(1, dataset.outputs)

    drawn = fit_png(half, dataset, "half")
    assert drawn != fit_png(lambda x: torch.full((len(x), dataset.outputs), math.nan), dataset, "half")


@pytest.mark.parametrize(
    "title", ["$", "$x_1", "a_b^c \\frac{", "100 % of {x}", "two\nlines\tand tabs", "", "word " * 80]
)
def test_a_title_is_literal_text(title):
    fit_png(MLP(1, 1), DATASETS["line"], title)


def test_a_title_between_dollars_is_not_typeset():
    assert fit_png(MLP(1, 1), DATASETS["line"], "$x$") != fit_png(MLP(1, 1), DATASETS["line"], "x")


def test_the_network_is_evaluated_in_its_own_dtype_and_left_as_it_was():
    network = nn.Sequential(MLP(2, 4, dropout=0.5), nn.BatchNorm1d(4), nn.Linear(4, 1)).double()
    network[0].eval()
    modes = [module.training for module in network.modules()]
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    png = fit_png(network, DATASETS["moons"], "modes")
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert fit_png(network.eval(), DATASETS["moons"], "modes") == png


def test_a_class_has_one_colour_whether_the_network_gives_one_logit_or_two():
    one = MLP(2, 1, depth=0)

    def two(x):
        return torch.cat([torch.zeros(len(x), 1), one(x)], dim=1)

    assert fit_png(two, DATASETS["moons"], "") == fit_png(one, DATASETS["moons"], "")


def test_the_prediction_is_drawn_over_the_whole_range_of_the_data():
    def columns_of_the_line(network):
        vermilion = np.abs(pixels(fit_png(network, DATASETS["sine"], "")).astype(int) - (213, 94, 0)).sum(axis=2) < 9
        return np.flatnonzero(vermilion[60:].any(axis=0))  # below the legend

    columns = columns_of_the_line(lambda x: 0 * x - 2)  # where no data hides it
    assert columns[0] < 80
    assert columns[-1] > 600
    assert len(columns_of_the_line(lambda x: x * math.nan)) < 250  # the frame of the note at most


@pytest.mark.parametrize("name", ["sine", "moons", "polynomial", "four inputs", "four inputs, 3 classes"])
def test_a_painter_draws_what_a_fresh_one_draws_whatever_it_drew_before(name):
    dataset = DATASETS[name]
    painter, network = Painter(dataset), MLP(dataset.inputs, dataset.outputs, seed=1)
    before = painter.png(network, "one")
    painter.png(MLP(dataset.inputs, dataset.outputs, seed=2), "two")
    painter.png(lambda x: torch.full((len(x), dataset.outputs), math.nan), "none")
    assert painter.png(network, "one") == before == fit_png(network, dataset, "one")


@pytest.mark.parametrize("data", [table.breast_cancer, table.diabetes])
def test_folds_share_what_their_pictures_have_in_common_and_each_has_its_own_samples(data):
    folds = [data(folds=5, fold=fold) for fold in (0, 1)]
    network = MLP(folds[0].inputs, 1, seed=1)
    painters = [Painter(fold) for fold in folds]
    assert painters[0].sheet is painters[1].sheet
    first, second = (painter.png(network, "fit") for painter in painters)
    assert first != second
    assert painters[0].png(network, "fit") == first


def test_importing_figures_does_not_import_matplotlib():
    code = "import sys, neuronsweep.figures; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_drawing_leaves_pyplot_alone():
    code = (
        "import sys, neuronsweep.figures as f, neuronsweep.data.curves as c;"
        "f.fit_png(lambda x: x, c.line(), 'line'); sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"hidden": 8, "depth": 2, "act": "relu"}, "8 - 8 relu"),
        ({"hidden": [64, 16], "depth": 1, "act": "tanh"}, "64 - 16 tanh"),
        ({"hidden": [64, 16], "depth": 2, "act": ["relu", "tanh"]}, "64 relu - 16 tanh"),
        ({"hidden": 8, "depth": 2, "act": ["tanh", "tanh"]}, "8 - 8 tanh"),
        ({"hidden": 8, "depth": 0, "act": "relu"}, "linear"),
    ],
)
def test_titles_name_every_layer(model, words):
    config = {**CONFIG, "model": {**model, "out_act": "identity"}}
    assert title(config, "val/loss", 0.125) == f"sine: {words}, seed 3, val/loss 0.125"
