"""Pictures for print and talks: a fit, or how its neurons add up to it; as PNG, SVG or PDF, light or dark."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from neuronsweep.data.dataset import Dataset
from neuronsweep.figures.multiples import LEGEND_STYLE, extent_of
from neuronsweep.figures.panels import POINTS, Extent, Panel, curve_panel, legend_entries, region_panel
from neuronsweep.figures.plane import heat_maps
from neuronsweep.figures.style import BLUE, FONT, HEAT, SIZE, SKY, VERMILION, Array, blank, dress, grid, predictor, span
from neuronsweep.figures.targets import Frame, against_targets

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg", ".pdf")
COLUMNS, PANEL_SIZE = 4, (2.6, 2.1)  # inches
PAPER, INK = "#16181d", "#e8e8e8"  # of a dark picture


@dataclass(frozen=True)
class Look:
    """How a picture looks.

    Attributes:
        size: width and height in inches; None: as large as its panels need.
        suffix: one of SUFFIXES.
    """

    title: str
    size: tuple[float, float] | None = None
    dpi: int = 150
    dark: bool = False
    suffix: str = ".png"


def fit_picture(network: Callable[[Tensor], Tensor], dataset: Dataset, look: Look) -> bytes:
    """What a network has learnt; see ``figures.fit.fit_png``."""
    panel = Panel("", dataset, [network], 0)
    if dataset.inputs == 1 and not dataset.classes and dataset.outputs == 1:
        figure, draw = blank(look.size or SIZE, layout="constrained"), curve_panel
    elif dataset.inputs == 2 and dataset.classes:
        figure, draw = blank(look.size or SIZE, layout="constrained"), region_panel
    else:
        figure = blank(look.size or SIZE)
        if dataset.inputs == 2 and dataset.outputs == 1:
            heat_maps(figure, predictor(network), dataset)
        else:
            against_targets(Frame.of(dataset).prepare(figure), predictor(network), dataset)
            for artist in figure.findobj():
                artist.set_animated(False)  # or it is left out of a file
        figure.text(0.5, 0.985, look.title, fontsize=FONT, ha="center", va="top", parse_math=False)
        return saved(figure, look)
    draw(figure.add_subplot(), panel, extent_of(dataset))
    _heading(figure, look, *legend_entries([panel]))
    return saved(figure, look)


def neurons_picture(
    network: Callable[[Tensor], Tensor],
    dataset: Dataset,
    names: Sequence[tuple[str, str]],
    values: Callable[[Array], tuple[Array, float]],
    look: Look,
) -> bytes:
    """The contributions of neurons, their sums two by two, and the sum of all with the bias, which is the fit.

    Args:
        dataset: of one or two inputs.
        names: of each part its letter and its title.
        values: from x (N, D) to what each part adds, (N, parts), and the bias.
    """
    count, pairs = len(names), len(names) // 2 if len(names) > 2 else 0
    columns = min(COLUMNS, max(count, 2))
    rows = ceil(count / columns) + ceil(pairs / columns)
    size = look.size or (columns * PANEL_SIZE[0], (rows + 1.3) * PANEL_SIZE[1] + 0.6)
    figure = blank(size, layout="constrained")
    places = figure.add_gridspec(rows + 1, columns, height_ratios=[1.0] * rows + [1.3])
    sums = [(f"{names[2 * i][0]} + {names[2 * i + 1][0]}", [2 * i, 2 * i + 1]) for i in range(pairs)]
    shown = [(title, [i]) for i, (_, title) in enumerate(names)]
    extent = extent_of(dataset)
    draw = _curves if dataset.inputs == 1 else _maps
    below = ceil(count / columns)
    wide = max(1, columns // max(pairs, 1))  # of a row of few sums, so that it is full
    axes = [figure.add_subplot(places[i // columns, i % columns]) for i in range(count)]
    for i in range(pairs):
        start = i * wide % columns
        axes.append(figure.add_subplot(places[below + i * wide // columns, start : start + wide]))
    draw(axes, [members for _, members in [*shown, *sums]], values, extent)
    for one, (title, _) in zip(axes, [*shown, *sums], strict=True):
        one.set_title(title, fontsize=FONT - 1, pad=3, parse_math=False)
    last = figure.add_subplot(places[rows, :])
    panel = Panel("", dataset, [network], 0)
    bias = values(np.zeros((1, dataset.inputs)))[1]
    letters = " + ".join(name for name, _ in names)
    if dataset.inputs == 1 and not dataset.classes and dataset.outputs == 1:
        curve_panel(last, panel, extent)
    elif dataset.inputs == 2 and dataset.classes:
        region_panel(last, panel, extent)
    else:
        _maps([last], [list(range(count))], values, extent, bias)
    last.set_title(f"{letters} {'-' if bias < 0 else '+'} {abs(bias):.4g}", fontsize=FONT, pad=4)
    _heading(figure, look, *(legend_entries([panel]) if dataset.inputs == 1 or dataset.classes else ([], [])))
    return saved(figure, look)


def _heading(figure: "Figure", look: Look, handles: Sequence[Any], labels: Sequence[str]) -> None:
    if look.title:
        figure.suptitle(look.title, fontsize=FONT + 1, parse_math=False)
    if look.dark:  # it stays black, for what it is drawn on stays light
        from matplotlib.patheffects import withStroke

        for handle, label in zip(handles, labels, strict=True):
            if label.startswith("boundary"):
                handle.set_path_effects([withStroke(linewidth=4, foreground=INK)])
    if labels:
        most = max(1, int(figure.get_figwidth() / 1.25))
        figure.legend(handles, labels, loc="outside lower center", ncols=min(most, len(labels)), **LEGEND_STYLE)


def _curves(axes: Sequence["Axes"], members: Sequence[Sequence[int]], values: Any, extent: Extent) -> None:
    """Contributions as functions of the one input, all on one scale."""
    left, right = extent[:2]
    x = np.linspace(left, right, POINTS)
    each_NP = values(x[:, None])[0]
    curves = [each_NP[:, list(some)].sum(axis=1) for some in members]
    low, high = span(np.concatenate(curves), 0.08)
    for one, y in zip(axes, curves, strict=True):
        one.axhline(0, color="#999999", linewidth=0.8)
        one.plot(x, y, color=VERMILION, linewidth=1.8)
        dress(one, "", "", (left, right, low, high))
        one.tick_params(labelsize=FONT - 3)


def _maps(
    axes: Sequence["Axes"], members: Sequence[Sequence[int]], values: Any, extent: Extent, more: float = 0.0
) -> None:
    """Contributions as functions of two inputs: blue below 0, red above, all on one scale."""
    grid_ND = grid(np.linspace(*extent[:2], HEAT), np.linspace(*extent[2:], HEAT))
    each_NP = values(grid_ND)[0]
    maps = [each_NP[:, list(some)].sum(axis=1).reshape(HEAT, HEAT) + more for some in members]
    most = max(float(np.abs(one).max()) for one in maps) or 1.0
    for one, values_HW in zip(axes, maps, strict=True):
        image = one.imshow(
            values_HW, origin="lower", extent=extent, aspect="auto", cmap="RdBu_r", vmin=-most, vmax=most
        )
        dress(one, "", "", extent)
        one.tick_params(labelsize=FONT - 3)
    bar = axes[0].get_figure(root=True).colorbar(image, ax=list(axes), fraction=0.03)  # type: ignore[union-attr]
    bar.ax.tick_params(labelsize=FONT - 3)


def saved(figure: "Figure", look: Look) -> bytes:
    """The content of a file; the same picture gives the same bytes."""
    from matplotlib import rc_context

    if look.dark:
        darken(figure)
    nobody: dict[str, Any] = {"Date": None} if look.suffix == ".svg" else {"CreationDate": None}
    buffer = io.BytesIO()
    with rc_context({"svg.hashsalt": "neuronsweep"}):
        figure.savefig(
            buffer,
            format=look.suffix[1:],
            dpi=look.dpi,
            facecolor=figure.get_facecolor(),
            metadata=None if look.suffix == ".png" else nobody,
        )
    return buffer.getvalue()


def darken(figure: "Figure") -> None:
    """Light ink on dark paper: black becomes light and blue points sky-blue, the paper of figure and axes dark."""
    from matplotlib.collections import PathCollection
    from matplotlib.colors import to_hex, to_rgb
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle
    from matplotlib.spines import Spine
    from matplotlib.text import Text

    figure.set_facecolor(PAPER)
    for axes in figure.axes:
        if to_hex(axes.get_facecolor()) == "#ffffff":
            axes.set_facecolor(PAPER)
        axes.tick_params(colors=INK)
        for name in ("title", "_left_title", "_right_title"):
            getattr(axes, name).set_color(INK)
    for artist in figure.findobj():
        if isinstance(artist, Spine):
            artist.set_edgecolor(INK)
        elif isinstance(artist, (Text, Line2D)) and to_hex(artist.get_color(), True) == "#000000ff":
            if not artist.get_path_effects():
                artist.set_color(INK)
        elif isinstance(artist, PathCollection):
            colour_N4 = np.array(artist.get_facecolor())
            blue_N = (np.abs(colour_N4[:, :3] - to_rgb(BLUE)) < 1e-6).all(axis=1)
            colour_N4[blue_N, :3] = to_rgb(SKY)
            artist.set_facecolor([(r, g, b, a) for r, g, b, a in colour_N4.tolist()])
    for artist in figure.findobj(Rectangle):
        if to_hex(artist.get_edgecolor(), True) == "#000000ff" and not artist.get_fill():
            artist.set_edgecolor(INK)
