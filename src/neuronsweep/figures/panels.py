"""A panel of what networks have learnt: data, truth and the fits of replicates, and the legend of such panels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
    GREY,
    NOTHING,
    ORANGE,
    SKY,
    VERMILION,
    Array,
    Style,
    class_logits,
    dress,
    grid,
    middles,
    predictor,
    samples_of,
    truth_at,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Inches of a panel.
PANEL = (2.5, 1.95)
POINTS = 601  # of a curve
CELLS = 120  # of decision regions, from left to right
THIN: Style = {"color": VERMILION, "linewidth": 0.7, "alpha": 0.35}
Network = Callable[[Tensor], Tensor]
# Left, right, bottom and top of what a panel shows.
Extent = tuple[float, float, float, float]


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


def curve_panel(axes: "Axes", panel: Panel, extent: Extent) -> None:
    """Data, truth and the curves of all networks."""
    dataset = panel.dataset
    x_train, y_train = samples_of(dataset, "train")
    left, right, low, high = extent
    x = np.linspace(left, right, POINTS)
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
    dress(axes, "x", "y", extent)


def region_panel(axes: "Axes", panel: Panel, extent: Extent) -> None:
    """The regions of the shown network, the training points, and the boundaries of all networks."""
    from matplotlib.colors import to_rgb

    dataset = panel.dataset
    axes.set_facecolor(NOTHING)
    x_ND, label_N = samples_of(dataset, "train")
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

    datasets = [panel.dataset for panel in panels]
    many = any(len(panel.networks) > 1 for panel in panels)
    if datasets[0].inputs == 1:
        entries: dict[str, Any] = {"training range": Patch(color=SKY, alpha=0.3), "train": _dot(BLUE, "o")}
        if any("outer" in dataset.splits for dataset in datasets):
            entries["outer"] = _dot(ORANGE, "s")
        if any(len(dataset.splits["val"].x) <= FEW for dataset in datasets):
            entries["val"] = _dot("none", "D", markeredgecolor=GREY, markeredgewidth=1.1)
        if any(dataset.truth is not None for dataset in datasets):
            entries["truth"] = Line2D([], [], color="black", linestyle="--", linewidth=1.1)
        entries["median seed" if many else "prediction"] = Line2D([], [], color=VERMILION, linewidth=2)
        if many:
            entries["other seeds"] = Line2D([], [], **THIN)
        if any(panel.kinks for panel in panels):
            entries["kink"] = _dot("white", "o", markeredgecolor=VERMILION, markeredgewidth=1.3)
    else:
        classes, palette = max(dataset.classes for dataset in datasets), len(CLASS_COLOURS)
        entries = {f"class {c}": _dot(CLASS_COLOURS[c % palette], CLASS_MARKERS[c % palette]) for c in range(classes)}
        entries["boundary, median seed" if many else "boundary"] = Line2D([], [], color="black", linewidth=1.8)
        if many:
            entries["other seeds"] = Line2D([], [], color="black", linewidth=0.6, alpha=0.5)
    return list(entries.values()), list(entries)


def _dot(colour: str, marker: str, **style: Any) -> Any:
    from matplotlib.lines import Line2D

    look: Style = {"marker": marker, "markersize": 5, "color": colour, "markeredgewidth": 0} | style
    return Line2D([], [], linestyle="none", **look)
