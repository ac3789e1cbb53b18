"""Charts of numbers: curves over the epochs or over a swept key, with the range of the seeds."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from neuronsweep.figures.style import BLUE, FONT, GREEN, ORANGE, PINK, SKY, VERMILION, Style, blank

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = [BLUE, VERMILION, GREEN, ORANGE, PINK, SKY]
MARKERS = "os^Dv*"
# Inches of one chart.
SIZE = (4.1, 3.1)


def charts(count: int, width: float = SIZE[0]) -> tuple["Figure", list["Axes"]]:
    """A figure with so many charts beside each other."""
    figure = blank((width * count, SIZE[1]), layout="constrained")
    axes = [figure.add_subplot(1, count, i + 1) for i in range(count)]
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)
        each.tick_params(labelsize=FONT - 1)
    return figure, axes


def seeds(axes: "Axes", x_N: Sequence[float], y_SN: Sequence[Sequence[float]], label: str, number: int) -> None:
    """The median over the seeds S, and behind it the range from the least to the greatest."""
    y = np.asarray(y_SN, dtype=float)
    colour = COLOURS[number % len(COLOURS)]
    axes.fill_between(x_N, y.min(0), y.max(0), color=colour, alpha=0.15, linewidth=0)
    few: Style = {"marker": MARKERS[number % len(MARKERS)], "markersize": 5} if len(x_N) <= 16 else {}
    axes.plot(x_N, np.median(y, axis=0), color=colour, linewidth=2, label=label, **few)


def label(axes: "Axes", x: str, y: str, title: str = "", legend: bool = True) -> None:
    """Words of a chart."""
    axes.set_xlabel(x, fontsize=FONT)
    axes.set_ylabel(y, fontsize=FONT)
    if title:
        axes.set_title(title, fontsize=FONT)
    if legend:
        axes.legend(fontsize=FONT - 1, frameon=False)
