"""Small multiples: what several networks have learnt, a panel for each setting, its replicates in one panel."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from neuronsweep.data.dataset import Dataset
from neuronsweep.figures.plane import shades
from neuronsweep.figures.style import (
    BLUE,
    CLASS_COLOURS,
    CLASS_MARKERS,
    FEW,
    FONT,
    GREY,
    NOTHING,
    ORANGE,
    SKY,
    VERMILION,
    Array,
    Style,
    blank,
    class_logits,
    dress,
    grid,
    middles,
    pixels,
    predictor,
    samples_of,
    span,
    truth_at,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches of a panel, of the margins around all of them and of the gaps between.
PANEL, MARGIN, GAP = (2.5, 1.95), (0.66, 0.12, 0.42, 0.46), (0.16, 0.56)
# Inches of an entry of the legend, and of a line of it.
ENTRY, LINE = 1.05, 0.2
TICKS = 0.34  # what a gap grows by where a panel has a scale of its own
LARGE = 100_000  # bytes of a PNG
CELLS = 120  # of decision regions, from left to right
# How much of the data's height a curve's panel shows above and below.
BEYOND = 0.35
THIN: Style = {"color": VERMILION, "linewidth": 0.7, "alpha": 0.35}

# Left, bottom, width and height as shares of a figure.
Place = tuple[float, float, float, float]
Network = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Panel:
    """Replicates of one setting.

    Attributes:
        name: what is written above the panel, up to two lines.
        networks: each is drawn thinly; ``shown`` is the index of the one that is drawn boldly, or whose regions are.
        kinks: where to mark kinks of the shown one.
    """

    name: str
    dataset: Dataset
    networks: Sequence[Network]
    shown: int
    kinks: Sequence[float] = ()


def small_multiples(places: Sequence[Panel | None], columns: int = 4) -> bytes:
    """Draw panels row by row and return a PNG; a place with None stays empty.

    The panels' data sets have the same number of inputs, one or two.
    """
    columns = min(columns, len(places))
    rows = ceil(len(places) / columns)
    panels = [panel for panel in places if panel]
    alike = share_a_scale([panel.dataset for panel in panels])
    handles, labels = legend_entries(panels)
    # a narrow figure has its legend in several lines
    in_line = min(len(labels), int((MARGIN[0] + columns * PANEL[0]) / ENTRY))
    lines = ceil(len(labels) / in_line)
    figure, rectangles = panel_grid(rows, columns, GAP[0] if alike else GAP[0] + TICKS, LINE * (lines - 1))
    for i, panel in enumerate(places):
        if not panel:
            continue
        axes = figure.add_axes(rectangles[i])
        (curve_panel if panel.dataset.inputs == 1 else region_panel)(axes, panel)
        axes.set_title(panel.name, fontsize=FONT - 1, pad=4, parse_math=False)
        if i % columns and places[i - 1]:
            axes.set_ylabel("")
            axes.tick_params(labelleft=not alike)
        if i + columns < len(places) and places[i + columns]:
            axes.set_xlabel("")
            axes.tick_params(labelbottom=False)
    style: Style = {"fontsize": FONT - 1, "frameon": False, "handletextpad": 0.5, "columnspacing": 1.4}
    figure.legend(handles, labels, loc="upper center", bbox_to_anchor=(0.5, 1.0), ncols=in_line, **style)
    return png(figure)


def share_a_scale(datasets: Sequence[Dataset]) -> bool:
    """Whether the y of these data sets is so much alike that one scale is enough, as it is for all planes."""
    if datasets[0].inputs > 1:
        return True
    spans = [span(np.concatenate([samples_of(dataset, name)[1] for name in dataset.splits]), 0) for dataset in datasets]
    (low, high), tolerance = spans[0], 0.1 * (spans[0][1] - spans[0][0])
    return all(abs(a - low) < tolerance and abs(b - high) < tolerance for a, b in spans)


def panel_grid(rows: int, columns: int, gap: float, more: float = 0) -> tuple["Figure", list[Place]]:
    """A figure and the places of its panels, from the upper left one, as shares of it; ``more`` inches above."""
    left, right, bottom, top = MARGIN
    # two lines of a title, above each row
    top += 0.22 + more
    width = left + right + columns * PANEL[0] + (columns - 1) * gap
    height = bottom + top + rows * PANEL[1] + (rows - 1) * GAP[1]
    places = [
        (
            (left + column * (PANEL[0] + gap)) / width,
            (bottom + (rows - 1 - row) * (PANEL[1] + GAP[1])) / height,
            PANEL[0] / width,
            PANEL[1] / height,
        )
        for row in range(rows)
        for column in range(columns)
    ]
    return blank((width, height)), places


def png(figure: "Figure") -> bytes:
    """A figure as a PNG, of few colours where it would be LARGE; the same bytes for the same figure."""
    from PIL import Image

    figure.canvas.draw()
    image = Image.fromarray(pixels(figure))
    buffer = io.BytesIO()
    image.save(buffer, "png", optimize=True)
    if buffer.tell() <= LARGE:
        return buffer.getvalue()
    image = image.quantize(colors=256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    image.save(buffer, "png", optimize=True)
    return buffer.getvalue()


def curve_panel(axes: "Axes", panel: Panel) -> None:
    """Data, truth and the curves of all networks, limits those of data and truth."""
    dataset = panel.dataset
    x_train, y_train = samples_of(dataset, "train")
    samples = [samples_of(dataset, name) for name in dataset.splits]
    left, right = span(np.concatenate([x for x, _ in samples]), 0.03)
    x = np.linspace(left, right, 601)
    truth = truth_at(dataset, x[:, None])
    axes.axvspan(*(dataset.training_range or (x_train.min(), x_train.max())), color=SKY, alpha=0.16, linewidth=0)
    many = len(x_train) > FEW
    dots: Style = {"linewidths": 0} | ({"s": 4, "alpha": 0.4} if many else {"s": 22, "zorder": 4})
    axes.scatter(x_train, y_train, color=BLUE, **dots)
    if "outer" in dataset.splits:
        axes.scatter(*samples_of(dataset, "outer"), color=ORANGE, marker="s", **dots)
    if len(dataset.splits["val"].x) <= FEW:
        hollow: Style = {"s": 20, "color": "none", "edgecolors": GREY, "linewidths": 1.1, "zorder": 4}
        axes.scatter(*samples_of(dataset, "val"), marker="D", **hollow)
    ys = [samples_y for _, samples_y in samples] + ([] if truth is None else [truth])
    low, high = span(np.concatenate(ys), 0.0)
    low, high = low - BEYOND * (high - low), high + BEYOND * (high - low)
    height = high - low
    curves = [
        np.clip(predictor(network)(x[:, None])[:, 0], low - 9 * height, high + 9 * height) for network in panel.networks
    ]
    for i, y in enumerate(curves):
        if i != panel.shown:
            axes.plot(x, y, **THIN)
    axes.plot(x, curves[panel.shown], color=VERMILION, linewidth=2)
    if truth is not None:
        axes.plot(x, truth, "--", color="black", linewidth=1.1)
    if panel.kinks:
        at = np.asarray(panel.kinks)
        y = predictor(panel.networks[panel.shown])(at[:, None])[:, 0]
        axes.plot(at, y, "o", color="white", markeredgecolor=VERMILION, markersize=5, markeredgewidth=1.3, zorder=5)
    dress(axes, "x", "y", (left, right, low, high))


def region_panel(axes: "Axes", panel: Panel) -> None:
    """The regions of the shown network, the training points, and the boundaries of all networks."""
    from matplotlib.colors import to_rgb

    dataset = panel.dataset
    axes.set_facecolor(NOTHING)
    x_ND, label_N = samples_of(dataset, "train")
    extent = (*span(x_ND[:, 0], 0.1), *span(x_ND[:, 1], 0.1))
    rows = round(CELLS * PANEL[1] / PANEL[0])
    grid_ND = grid(middles(*extent[:2], CELLS), middles(*extent[2:], rows))
    colour_C3 = np.array([to_rgb(CLASS_COLOURS[c % len(CLASS_COLOURS)]) for c in range(dataset.classes)])
    place: Style = {"origin": "lower", "extent": extent}
    logits = [class_logits(predictor(network)(grid_ND)) for network in panel.networks]
    axes.imshow(
        shades(logits[panel.shown], colour_C3).reshape(rows, CELLS, 4), aspect="auto", interpolation="nearest", **place
    )
    for c in range(dataset.classes):
        style: Style = {"marker": CLASS_MARKERS[c % len(CLASS_MARKERS)], "color": CLASS_COLOURS[c % len(CLASS_COLOURS)]}
        mine = label_N == c
        axes.scatter(x_ND[mine, 0], x_ND[mine, 1], s=9, edgecolors="white", linewidths=0.3, **style)
    for i, logit_NC in enumerate(logits):
        for margin in _margins(logit_NC):
            if margin.min() < 0 < margin.max():
                line: Style = {"linewidths": 1.8} if i == panel.shown else {"linewidths": 0.6, "alpha": 0.35}
                axes.contour(margin.reshape(rows, CELLS), [0.0], colors="black", **line, **place)
    dress(axes, "x1", "x2", extent)


def _margins(logit_NC: Array) -> list[Array]:
    classes = range(logit_NC.shape[1] if logit_NC.shape[1] > 2 else 1)
    return [np.nan_to_num(logit_NC[:, c] - np.delete(logit_NC, c, axis=1).max(axis=1)) for c in classes]


def legend_entries(panels: Sequence[Panel]) -> tuple[list[Any], list[str]]:
    """What a reader of these panels has to know."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    dataset = panels[0].dataset
    many = any(len(panel.networks) > 1 for panel in panels)
    if dataset.inputs == 1:
        entries: dict[str, Any] = {"training range": Patch(color=SKY, alpha=0.3), "train": _dot(BLUE, "o")}
        if "outer" in dataset.splits:
            entries["outer"] = _dot(ORANGE, "s")
        if len(dataset.splits["val"].x) <= FEW:
            entries["val"] = _dot("none", "D", markeredgecolor=GREY, markeredgewidth=1.1)
        if dataset.truth is not None:
            entries["truth"] = Line2D([], [], color="black", linestyle="--", linewidth=1.1)
        entries["median seed" if many else "prediction"] = Line2D([], [], color=VERMILION, linewidth=2)
        if many:
            entries["other seeds"] = Line2D([], [], **THIN)
        if any(panel.kinks for panel in panels):
            entries["kink"] = _dot("white", "o", markeredgecolor=VERMILION, markeredgewidth=1.3)
    else:
        entries = {f"class {c}": _dot(CLASS_COLOURS[c], CLASS_MARKERS[c]) for c in range(dataset.classes)}
        entries["boundary, median seed" if many else "boundary"] = Line2D([], [], color="black", linewidth=1.8)
        if many:
            entries["other seeds"] = Line2D([], [], color="black", linewidth=0.6, alpha=0.5)
    return list(entries.values()), list(entries)


def _dot(colour: str, marker: str, **style: Any) -> Any:
    from matplotlib.lines import Line2D

    look: Style = {"marker": marker, "markersize": 5, "color": colour, "markeredgewidth": 0} | style
    return Line2D([], [], linestyle="none", **look)
