"""Draws small multiples: one panel for each setting, with all of its replicates."""

import io
from collections.abc import Sequence
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np

from neuronsweep.data.dataset import Dataset
from neuronsweep.figures.panels import PANEL, POINTS, Extent, Panel, curve_panel, legend_entries, region_panel
from neuronsweep.figures.style import (
    DPI,
    FONT,
    Style,
    blank,
    canvas,
    pixels,
    samples_of,
    span,
    truth_at,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches of the margins around all panels and of the gaps between.
MARGIN, GAP = (0.66, 0.12, 0.42, 0.46), (0.16, 0.56)
LINE = 0.2  # inches of a line of the legend, and of an x axis's labels
EDGE = 0.06  # inches that stay free beside the labels of a y axis
ALIKE = 0.1  # how far the ends of scales that are drawn as one may be apart, as a share of their length
LARGE = 100_000  # bytes of a PNG
# How much of the data's height a curve's panel shows above and below.
BEYOND = 0.35
LEGEND_STYLE: Style = {"fontsize": FONT - 1, "frameon": False, "handletextpad": 0.5, "columnspacing": 1.4}

# Left, bottom, width and height as shares of a figure.
Place = tuple[float, float, float, float]


def small_multiples(places: Sequence[Panel | None], columns: int = 4) -> bytes:
    """Draw panels row by row and return a PNG; a place with None stays empty.

    The panels' data sets have the same number of inputs, one or two. Where the panels of a column show nearly the same
    x, they share the labels of the lowest one; so do those of a row the y.
    """
    columns = min(columns, len(places))
    rows = ceil(len(places) / columns)
    panels = {i: panel for i, panel in enumerate(places) if panel}
    handles, labels = legend_entries(list(panels.values()))
    extents = {i: extent_of(panel.dataset) for i, panel in panels.items()}
    own_x = _share(extents, [range(column, len(places), columns) for column in range(columns)], 0)
    own_y = _share(extents, [range(row * columns, (row + 1) * columns) for row in range(rows)], 2)
    figure, drawn = blank((columns * PANEL[0] / 0.8, rows * PANEL[1] / 0.8)), {}
    for i, panel in panels.items():
        drawn[i] = axes = figure.add_axes((0.1, 0.1, 0.8 / columns, 0.8 / rows), label=str(i))
        (curve_panel if panel.dataset.inputs == 1 else region_panel)(axes, panel, extents[i])
        axes.set_title(panel.name, fontsize=FONT - 1, pad=4, parse_math=False)
        if i % columns and i - 1 in panels:
            axes.set_ylabel("")
            axes.tick_params(labelleft=i in own_y)
        if i + columns in panels:
            axes.set_xlabel("")
            axes.tick_params(labelbottom=i in own_x)
    # how much room the y axes need depends on their numbers
    wide = {i: _left_of(axes) + EDGE for i, axes in drawn.items()}
    left = max([MARGIN[0], *(inches for i, inches in wide.items() if i % columns == 0)])
    gap = max([GAP[0], *(inches for i, inches in wide.items() if i % columns and i - 1 in panels)])
    in_line = _entries_in_line(handles, labels, _width(columns, left, gap))
    more = LINE * (ceil(len(labels) / in_line) - 1)
    size, rectangles = panel_grid(rows, columns, left, (gap, GAP[1] + (LINE if own_x else 0)), more)
    figure.set_size_inches(*size)
    for i, axes in drawn.items():
        axes.set_position(rectangles[i])
    figure.legend(handles, labels, loc="upper center", bbox_to_anchor=(0.5, 1.0), ncols=in_line, **LEGEND_STYLE)
    return png(figure)


def extent_of(dataset: Dataset) -> Extent:
    """What a panel shows of a data set: its samples, those of a curve with the truth between them and a margin."""
    if dataset.inputs > 1:
        x_ND = samples_of(dataset, "train")[0]
        return (*span(x_ND[:, 0], 0.1), *span(x_ND[:, 1], 0.1))
    samples = [samples_of(dataset, name) for name in dataset.splits]
    left, right = span(np.concatenate([x for x, _ in samples]), 0.03)
    truth = truth_at(dataset, np.linspace(left, right, POINTS)[:, None])
    low, high = span(np.concatenate([y for _, y in samples] + ([] if truth is None else [truth])), 0.0)
    return left, right, low - BEYOND * (high - low), high + BEYOND * (high - low)


def _share(extents: dict[int, Extent], groups: Sequence[Sequence[int]], axis: int) -> set[int]:
    """Give one scale to all panels of a group where theirs are alike; the panels that keep scales of their own.

    ``axis`` is where an extent has the lower end: 0 for x, 2 for y.
    """
    own: set[int] = set()
    for group in groups:
        members = [i for i in group if i in extents]
        ends = [extents[i][axis : axis + 2] for i in members]
        if not alike(ends):
            own |= set(members)
            continue
        for i in members:
            extent = list(extents[i])
            extent[axis : axis + 2] = min(low for low, _ in ends), max(high for _, high in ends)
            left, right, low, high = extent
            extents[i] = left, right, low, high
    return own


def alike(ends: Sequence[Sequence[float]]) -> bool:
    """Whether scales from low to high are so much alike that one is enough."""
    if not ends:
        return True
    low, high = ends[0]
    return all(max(abs(a - low), abs(b - high)) < ALIKE * (high - low) for a, b in ends)


def _left_of(axes: "Axes") -> float:
    """Inches that the labels of a y axis reach to the left of it."""
    renderer = canvas(blank()).get_renderer()
    box = axes.yaxis.get_tightbbox(renderer)
    return (axes.get_window_extent(renderer).x0 - box.x0) / DPI if box else 0.0


def _entries_in_line(handles: Sequence[Any], labels: Sequence[str], width: float) -> int:
    """How many entries of a legend a line of so many inches has."""
    for count in range(len(labels), 1, -1):
        figure = blank((width, 1.0))
        legend = figure.legend(handles, labels, loc="upper center", ncols=count, **LEGEND_STYLE)
        if legend.get_window_extent(canvas(figure).get_renderer()).width <= width * DPI:
            return count
    return 1


def _width(columns: int, left: float, gap: float) -> float:
    return left + MARGIN[1] + columns * PANEL[0] + (columns - 1) * gap


def panel_grid(
    rows: int, columns: int, left: float, gap: tuple[float, float], more: float = 0
) -> tuple[tuple[float, float], list[Place]]:
    """The size of a figure in inches and the places of its panels, from the upper left one, as shares of it.

    ``left`` inches are free beside the panels, ``gap`` between them, ``more`` above.
    """
    _, _, bottom, top = MARGIN
    # two lines of a title, above each row
    top += 0.22 + more
    width = _width(columns, left, gap[0])
    height = bottom + top + rows * PANEL[1] + (rows - 1) * gap[1]
    places = [
        (
            (left + column * (PANEL[0] + gap[0])) / width,
            (bottom + (rows - 1 - row) * (PANEL[1] + gap[1])) / height,
            PANEL[0] / width,
            PANEL[1] / height,
        )
        for row in range(rows)
        for column in range(columns)
    ]
    return (width, height), places


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
