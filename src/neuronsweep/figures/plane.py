"""Draws fits with two inputs: decision regions, or heat maps of truth and prediction."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuronsweep.data.dataset import Dataset
from neuronsweep.figures.style import (
    BANDS,
    BOTTOM,
    CLASS_COLOURS,
    CLASS_MARKERS,
    DPI,
    FONT,
    GREY,
    HEAT,
    LEFT,
    LEGEND,
    LEGEND_LINE,
    NOTHING,
    SHADES,
    SIZE,
    TOP,
    Array,
    Drawn,
    Predict,
    Style,
    Update,
    class_logits,
    dress,
    grid,
    keep_inside,
    middles,
    not_finite,
    notice,
    same_scale,
    samples_of,
    span,
    truth_at,
)

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def heat_maps(figure: "Figure", predict: Predict, dataset: Dataset) -> None:
    """Draw truth and prediction beside each other as heat maps of one scale."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import BoundaryNorm
    from matplotlib.ticker import MaxNLocator

    x_ND, y_N = samples_of(dataset, "train")
    extent = (*span(x_ND[:, 0], 0), *span(x_ND[:, 1], 0))
    grid_ND = grid(np.linspace(*extent[:2], HEAT), np.linspace(*extent[2:], HEAT))
    y, truth = predict(grid_ND)[:, 0], truth_at(dataset, grid_ND)
    levels = np.asarray(MaxNLocator(BANDS).tick_values(*span(y_N if truth is None else truth, 0)))
    colours: Style = {"norm": BoundaryNorm(levels, 256, extend="both"), "cmap": "viridis"}
    height = TOP - LEGEND_LINE - BOTTOM
    left, right = (figure.add_axes((x, BOTTOM, 0.36, height), facecolor=NOTHING) for x in (LEFT, LEFT + 0.385))
    with np.errstate(over="ignore"):
        error = f" (MSE {np.mean((y - truth) ** 2):.3g})" if truth is not None and np.isfinite(y).all() else ""
    for axes, name, values in ((left, "truth", truth), (right, f"prediction{error}", y)):
        if values is None:  # what is known of the truth: the samples
            name = "train"
            axes.scatter(x_ND[:, 0], x_ND[:, 1], c=y_N, s=9, marker="s", antialiased=False, **colours)
        elif np.isfinite(values).any():
            map_HW = np.ma.masked_invalid(values.reshape(HEAT, HEAT))
            axes.contourf(map_HW, levels, extent=extent, extend="both", **colours)
            axes.plot(x_ND[:, 0], x_ND[:, 1], ",", color="white", alpha=0.6)
        axes.set_title(name, fontsize=FONT, pad=5)
        dress(axes, "x1", "x2" if axes is left else "", extent)
    keep_inside(left)
    notice(right).set(text=not_finite(y), animated=False, visible=not np.isfinite(y).all())
    right.tick_params(labelleft=False)
    bar = figure.colorbar(ScalarMappable(**colours), cax=figure.add_axes((0.87, BOTTOM, 0.022, height)), format="%.3g")
    bar.ax.tick_params(labelsize=FONT - 1)


def regions(figure: "Figure", dataset: Dataset) -> Update:
    """Draw what decision regions of one data set share, and return what draws a fit into it."""
    from matplotlib.colors import to_rgb
    from matplotlib.lines import Line2D

    width, height = 0.8 - LEFT, TOP - BOTTOM
    axes = figure.add_axes((LEFT, BOTTOM, width, height), facecolor=NOTHING)
    x_ND, label_N = samples_of(dataset, "train")
    extent = same_scale(span(x_ND[:, 0], 0.08), span(x_ND[:, 1], 0.08), SIZE[0] * width / (SIZE[1] * height))
    # a prediction at the middle of every square of 2 x 2 pixels
    columns, rows = round(SIZE[0] * DPI * width / 2), round(SIZE[1] * DPI * height / 2)
    grid_ND = grid(middles(*extent[:2], columns), middles(*extent[2:], rows))
    colour_C3 = np.array([to_rgb(CLASS_COLOURS[c % len(CLASS_COLOURS)]) for c in range(dataset.classes)])
    live: Style = {"animated": True}
    squares = Squares(axes, shade_colours(colour_C3), (rows, columns))
    points, handles = [], []
    for c in range(dataset.classes):
        style: Style = {"marker": CLASS_MARKERS[c % len(CLASS_MARKERS)], "color": CLASS_COLOURS[c % len(CLASS_COLOURS)]}
        x, y = x_ND[label_N == c, 0], x_ND[label_N == c, 1]
        points.append(axes.scatter(x, y, s=18, edgecolors="white", linewidths=0.6, **style, **live))
        handles.append(Line2D([], [], linestyle="none", markersize=6, markeredgewidth=0, label=f"class {c}", **style))
    dress(axes, "x1", "x2", extent)
    keep_inside(axes)
    boundary = Line2D([], [], color="black", linewidth=1.3, label="boundary")
    where: Style = {"loc": "upper left", "bbox_to_anchor": (0.805, TOP), **LEGEND}
    legends = [figure.legend(handles=entries, **where) for entries in (handles, [*handles, boundary])]
    for legend in legends:
        legend.set_animated(True)
    stamps = [Stamp(legend) for legend in legends]
    figure.text(0.822, BOTTOM, "the paler,\nthe less sure", fontsize=FONT - 1, color=GREY)
    note = notice(axes)
    (line,) = axes.plot([], [], color="black", linewidth=1.3, **live)
    # the image covers half of the width of these spines
    above = Overlay(figure, [*points, axes.spines["left"], axes.spines["bottom"]])
    x_W, y_H = middles(*extent[:2], columns), middles(*extent[2:], rows)

    def update(predict: Predict) -> list[Drawn]:
        out_NK = predict(grid_ND)
        logit_NC = class_logits(out_NK)
        squares.index_HW = shade_indices(logit_NC).reshape(rows, columns)
        found = [part for line in boundaries(x_W, y_H, logit_NC) for part in (line, [[np.nan, np.nan]])]
        line.set_data(*np.concatenate([*found, np.empty((0, 2))]).T)
        note.set_text(not_finite(out_NK))
        return [squares, line, above, stamps[bool(found)], *([note] if note.get_text() else [])]

    return update


class Squares:
    """An image that fills axes, a colour for every square of 2 x 2 pixels: written where a canvas keeps its pixels."""

    def __init__(self, axes: "Axes", colour_L4: Array, shape: tuple[int, int]):
        from matplotlib.colors import to_rgba

        colour_L4 = np.concatenate([[to_rgba(NOTHING)], colour_L4[1:]])
        self.axes, self.colour_L = axes, np.rint(255 * colour_L4).astype(np.uint8).view(np.uint32)[:, 0]
        self.index_HW = np.zeros(shape, np.uint16)

    def draw(self, renderer: Any) -> None:
        pixels = np.asarray(renderer.buffer_rgba()).view(np.uint32)[..., 0]
        box = self.axes.get_window_extent(renderer)
        left, bottom = round(box.x0), len(pixels) - round(box.y0)
        rows, columns = round(box.height), round(box.width)
        at_y = np.minimum(np.arange(rows) * len(self.index_HW) // rows, len(self.index_HW) - 1)
        at_x = np.arange(columns) * self.index_HW.shape[1] // columns
        colour_HW = self.colour_L[self.index_HW][at_y[::-1]][:, at_x]
        pixels[bottom - rows : bottom, left : left + columns] = colour_HW


class Overlay:
    """Artists that never change: drawn once on nothing, and laid over what is there from then on."""

    def __init__(self, figure: "Figure", artists: Sequence["Artist"]):
        self.figure, self.artists = figure, artists
        self.kept: tuple[Any, Any, Any] | None = None

    def draw(self, renderer: Any) -> None:
        pixels = np.asarray(renderer.buffer_rgba())
        if self.kept is None:
            from matplotlib.backends.backend_agg import RendererAgg

            alone = RendererAgg(renderer.width, renderer.height, renderer.dpi)
            for artist in self.artists:
                artist.draw(alone)
            drawn = np.asarray(alone.buffer_rgba())
            where = np.nonzero(drawn[..., 3])
            self.kept = where, drawn[where][:, :3].astype(np.uint16), drawn[where][:, 3:].astype(np.uint16)
        where, colour_N3, alpha_N1 = self.kept
        under_N3 = pixels[where][:, :3]
        pixels[(*where, slice(3))] = (colour_N3 * alpha_N1 + under_N3 * (255 - alpha_N1) + 127) // 255


class Stamp:
    """What never changes, but is not always there: drawn once, and copied from then on."""

    def __init__(self, artist: "Artist"):
        self.artist = artist
        self.kept: Any = None

    def draw(self, renderer: Any) -> None:
        if self.kept is None:
            self.artist.draw(renderer)
            self.kept = renderer.copy_from_bbox(self.artist.get_window_extent(renderer))
        else:
            renderer.restore_region(self.kept)


def boundaries(x_W: Array, y_H: Array, logit_NC: Array) -> list[Array]:
    """Where a class stops winning on a grid, row by row from below, as lines (N, 2)."""
    from contourpy import LineType, contour_generator

    classes = logit_NC.shape[1]
    found: list[Any] = []
    for c in range(classes if classes > 2 else 1):
        others = np.delete(logit_NC.T, c, axis=0).max(axis=0)
        margin = (logit_NC[:, c] - others).reshape(len(y_H), len(x_W))
        if not np.isfinite(margin).all():
            margin = np.ma.masked_invalid(margin)
        if margin.min() < 0 < margin.max():
            found += contour_generator(x_W, y_H, margin, line_type=LineType.Separate).lines(0.0)
    return found


def shades(logit_NC: Array, colour_C3: Array) -> Array:
    """The winning class's colour, the paler the less probable; transparent where a logit is not finite. (N, 4)."""
    return shade_colours(colour_C3)[shade_indices(logit_NC)]


def shade_colours(colour_C3: Array) -> Array:
    """The colours (L, 4) of ``shade_indices``: nothing, then every class from unsure to sure."""
    strength_L = 0.55 * np.arange(SHADES) / (SHADES - 1)
    colour_CL4 = np.ones((len(colour_C3), SHADES, 4))
    colour_CL4[..., :3] = 1 - strength_L[:, None] * (1 - colour_C3[:, None])
    return np.concatenate([np.zeros((1, 4)), colour_CL4.reshape(-1, 4)])


def shade_indices(logit_NC: Array) -> NDArray[np.uint16]:
    """Which class wins, and in which shade: 0 where a logit is not finite, else 1 + class * SHADES + shade. (N,)."""
    logit_CN = np.ascontiguousarray(logit_NC.T)  # few classes, many samples
    classes, finite_N = len(logit_CN), np.isfinite(logit_CN.sum(axis=0))
    if not finite_N.all():
        logit_CN = np.where(finite_N, logit_CN, 0.0)
    class_N, best_N = logit_CN.argmax(axis=0), logit_CN.max(axis=0)
    with np.errstate(over="ignore", under="ignore"):
        probability_N = 1 / np.exp(logit_CN - best_N).sum(axis=0)
    sure_N = (probability_N - 1 / classes) / (1 - 1 / classes)
    shade_N = np.minimum(sure_N * SHADES, SHADES - 1).astype(np.uint16)
    return np.where(finite_N, 1 + class_N * SHADES + shade_N, 0).astype(np.uint16)
