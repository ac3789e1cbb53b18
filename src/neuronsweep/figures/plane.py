"""Draws fits with two inputs: decision regions, or heat maps of truth and prediction."""

from typing import TYPE_CHECKING, Any

import numpy as np

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
    place: Style = {"origin": "lower", "extent": extent}
    live: Style = {"animated": True}
    empty = np.zeros((rows, columns, 4))
    image = axes.imshow(empty, aspect="auto", interpolation="nearest", **place, **live)
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
    contours: list[Any] = []

    def update(predict: Predict) -> list[Drawn]:
        while contours:
            contours.pop().remove()
        out_NK = predict(grid_ND)
        logit_NC = class_logits(out_NK)
        image.set_data(shades(logit_NC, colour_C3).reshape(rows, columns, 4).astype(np.float32))
        for c in range(dataset.classes if dataset.classes > 2 else 1):
            others = np.delete(logit_NC, c, axis=1).max(axis=1)
            margin = np.ma.masked_invalid((logit_NC[:, c] - others).reshape(rows, columns))
            if margin.min() < 0 < margin.max():
                contours.append(axes.contour(margin, [0.0], colors="black", linewidths=1.3, **place))
        note.set_text(not_finite(out_NK))
        frame = [axes.spines["left"], axes.spines["bottom"]]  # the image covers half of their width
        return [image, *contours, *points, *frame, stamps[bool(contours)], *([note] if note.get_text() else [])]

    return update


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


def shades(logit_NC: Array, colour_C3: Array) -> Array:
    """The winning class's colour, the paler the less probable; transparent where a logit is not finite. (N, 4)."""
    classes = logit_NC.shape[1]
    finite_N = np.asarray(~np.isnan(logit_NC).any(axis=1))
    logit_NC = np.where(finite_N[:, None], logit_NC, 0.0)
    best_N = logit_NC.max(axis=1)
    probability_N = 1 / np.exp(logit_NC - best_N[:, None]).sum(axis=1)
    sure_N = (probability_N - 1 / classes) / (1 - 1 / classes)
    shade_N = np.minimum(sure_N * SHADES, SHADES - 1).astype(int)
    strength_L = 0.55 * np.arange(SHADES) / (SHADES - 1)
    colour_LC4 = np.ones((SHADES, classes, 4))
    colour_LC4[..., :3] = 1 - strength_L[:, None, None] * (1 - colour_C3)
    colour_N4 = colour_LC4[shade_N, logit_NC.argmax(axis=1)]
    colour_N4[~finite_N, 3] = 0
    return colour_N4
