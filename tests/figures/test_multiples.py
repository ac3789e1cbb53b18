"""Small multiples: whole, legible, the same bytes for the same fits."""

import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from neuronsweep.data import curves, planes
from neuronsweep.figures import multiples
from neuronsweep.figures.charts import charts, label, seeds
from neuronsweep.figures.multiples import Panel, alike, extent_of, png, small_multiples
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

NAMED = {"sine": curves.sine(), "line": curves.line(), "moons": planes.moons(), "spirals": planes.spirals()}
HUGE = curves.sine(noise=1e7)


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


def test_scales_of_one_size_are_alike():
    x, y = ([extent_of(dataset)[i : i + 2] for dataset in (curves.line(), curves.quadratic())] for i in (0, 2))
    assert alike(x)
    assert not alike(y)
    assert alike([(0, 1), (0.05, 1.05)])
    assert not alike([(0, 1), (0, 1.2)])


@pytest.fixture
def drawn(monkeypatch):
    """The figure of a call of small_multiples: drawn(panels, columns)."""
    kept: list[Figure] = []

    def png(figure: Figure) -> bytes:
        kept.append(figure)
        return b""

    monkeypatch.setattr(multiples, "png", png)

    def drawn(places, columns=4):
        small_multiples(places, columns)
        kept[-1].canvas.draw()
        return kept[-1]

    return drawn


def labelled(figure, axis: str) -> list[bool]:
    return [any(t.label1.get_visible() for t in getattr(axes, f"{axis}axis").get_major_ticks()) for axes in figure.axes]


def test_panels_share_the_labels_of_an_axis_only_where_they_share_its_scale(drawn):
    sine, line, moons, spirals = (Panel(n, d, [MLP(d.inputs, d.outputs)], 0) for n, d in NAMED.items())
    figure = drawn([sine, sine, line, line], 2)
    assert labelled(figure, "x") == [True] * 4
    assert labelled(figure, "y") == [True, False] * 2
    figure = drawn([sine, line, sine, line], 2)
    assert labelled(figure, "x") == [False, False, True, True]
    assert labelled(figure, "y") == [True] * 4
    assert labelled(drawn([moons, spirals], 2), "y") == [True, True]
    other = planes.moons(seed=3)
    figure = drawn([moons, Panel("other draw", other, [MLP(2, 1)], 0)], 1)
    assert labelled(figure, "x") == [False, True]
    assert figure.axes[0].get_xlim() == figure.axes[1].get_xlim()
    assert labelled(drawn([sine, None, None, line], 2), "x") == [True, True]


@pytest.mark.parametrize(
    ("dataset", "columns"),
    [(curves.sine(), 1), (curves.line(), 1), (planes.spirals(), 2), (planes.spirals(classes=9), 1), (HUGE, 2)],
)
def test_nothing_leaves_the_picture_or_covers_another_panel(drawn, dataset, columns):
    networks = [MLP(dataset.inputs, dataset.outputs, seed=seed) for seed in range(20)]
    panels = [Panel("20 seeds", dataset, networks, 0, (0.5,) if dataset.inputs == 1 else ())] * columns * 2
    figure = drawn(panels, columns)
    renderer = figure.canvas.get_renderer()
    boxes = [axes.get_tightbbox(renderer) for axes in figure.axes]
    legend = figure.legends[0].get_window_extent(renderer)
    for box in (*boxes, legend):
        assert min(box.x0, box.y0) >= 0
        assert box.x1 <= figure.bbox.width
        assert box.y1 <= figure.bbox.height
    assert not any(a.overlaps(b) for i, a in enumerate([*boxes, legend]) for b in boxes[:i])


def test_a_legend_names_what_any_panel_has():
    panels = [Panel(name, d, [MLP(d.inputs, d.outputs)], 0) for name, d in NAMED.items()]
    sine, line, moons, spirals = panels
    assert {"val", "outer", "truth"} <= set(multiples.legend_entries([sine, line])[1])
    assert multiples.legend_entries([moons, spirals])[1] == ["class 0", "class 1", "class 2", "boundary"]


def test_a_network_that_leaves_the_picture_is_drawn_as_far_as_it_goes():
    steep = MLP(1, 1, depth=0)
    steep.layers[0].weight.data.fill_(1e30)
    small_multiples([Panel("steep", DATASETS["sine"], [steep], 0)])


def test_charts_show_median_and_range_of_seeds():
    figure, (left, right) = charts(2)
    seeds(left, [1, 2, 3], [[1, 2, 3], [3, 2, 1], [2, 2, 2]], "three seeds", 1)
    assert list(np.asarray(left.lines[0].get_ydata())) == [2, 2, 2]
    assert left.collections[0].get_datalim(left.transData).intervaly.tolist() == [1, 3]
    label(left, "x", "y", "title")
    label(right, "x", "y", legend=False)
    assert png(figure).startswith(b"\x89PNG")
