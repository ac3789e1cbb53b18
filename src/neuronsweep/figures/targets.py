"""Draws fits that have no curve or map: val's predictions against its targets, or how often each class is which."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from neuronsweep.data.dataset import Dataset
from neuronsweep.figures.style import (
    BOTTOM,
    CLASS_COLOURS,
    FEW,
    FEW_STYLE,
    FONT,
    LEFT,
    LEGEND,
    MANY_STYLE,
    RIGHT,
    SKY,
    TOP,
    Array,
    Drawn,
    Predict,
    Style,
    class_logits,
    dress,
    keep_inside,
    not_finite,
    notice,
    samples_of,
    span,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

# Changes a picture to predictions (N, outputs) for targets (N,) or (N, K).
Show = Callable[[Array, Array], list[Drawn]]
# The area of the most frequent pair of classes.
LARGEST = 1500


class Frame(NamedTuple):
    """What such pictures share: data sets with the same frame, such as a table's folds, are drawn on one sheet.

    Attributes:
        classes: how many, 0 for regression.
        names: the targets of a regression.
        limits: of both axes.
        few: whether every sample is a large point.
    """

    classes: int
    names: tuple[str, ...]
    limits: tuple[float, float]
    few: bool

    @classmethod
    def of(cls, dataset: Dataset) -> "Frame":
        """The frame of a data set; its limits hold train and val, which have the same rows in every fold."""
        y = np.concatenate([samples_of(dataset, name)[1] for name in ("train", "val")])
        few = len(dataset.splits["val"].x) <= FEW
        names = () if dataset.classes else dataset.target_names
        limits = (-0.5, dataset.classes - 0.5) if dataset.classes else _rounded(*span(y, 0.1))
        return cls(dataset.classes, names, limits, few and not dataset.classes)

    def prepare(self, figure: "Figure") -> Show:
        """Draw what is shared, and return what draws a fit into it."""
        axes = figure.add_axes((LEFT, BOTTOM, RIGHT - LEFT, TOP - BOTTOM))
        axes.plot(self.limits, self.limits, "--", color="black", linewidth=1.4, zorder=0)
        show = _pairs(axes, self.classes) if self.classes else _points(axes, self)
        what = "class" if self.classes else "y"
        dress(axes, f"{what} (val)", f"predicted {what}", self.limits + self.limits)
        keep_inside(axes)
        note = notice(axes)

        def noted(out_NK: Array, y: Array) -> list[Drawn]:
            note.set_text(not_finite(out_NK))
            return [*show(out_NK, y), *([note] if note.get_text() else [])]

        return noted

    def example(self) -> tuple[Array, Array]:
        """Predictions and targets whose picture has every colour."""
        if self.classes:
            predicted, y = np.divmod(np.arange(self.classes**2), self.classes)
            return np.eye(self.classes)[predicted], y
        y_NK = np.linspace(*self.limits, 400)[:, None] + np.zeros(len(self.names))
        return y_NK * np.linspace(0.8, 1, len(self.names)), y_NK


def against_targets(show: Show, predict: Predict, dataset: Dataset) -> list[Drawn]:
    """Draw a fit of a data set on the sheet of its frame."""
    x, y = dataset.splits["val"]
    return show(predict(x.double().numpy()), y.double().numpy())


def _rounded(low: float, high: float) -> tuple[float, float]:
    """Limits a little further apart, the same for folds, each of which standardises its targets by itself."""
    step = 10.0 ** math.floor(math.log10(high - low)) / 2
    return step * math.floor(low / step), step * math.ceil(high / step)


def _pairs(axes: "Axes", classes: int) -> Show:
    """Many samples in few places: areas and numbers."""
    axes.set(xticks=range(classes), yticks=range(classes))
    areas = axes.scatter([], [], color=SKY, animated=True)
    style: Style = {"ha": "center", "va": "center", "fontsize": FONT, "animated": True}
    numbers: dict[tuple[int, int], Text] = {}

    def number(place: tuple[int, int], count: int) -> Drawn:
        if place not in numbers:
            numbers[place] = axes.text(*place, "", **style)
        numbers[place].set_text(str(count))
        return numbers[place]

    def show(out_NK: Array, y_N: Array) -> list[Drawn]:
        predicted_N = class_logits(out_NK).argmax(axis=1)
        pairs, counts = np.unique(np.stack([y_N.astype(int), predicted_N], axis=1), axis=0, return_counts=True)
        areas.set_offsets(pairs)
        areas.set_sizes(LARGEST * counts / counts.max())
        return [areas, *(number((a, b), count) for (a, b), count in zip(pairs.tolist(), counts, strict=True))]

    return show


def _points(axes: "Axes", frame: Frame) -> Show:
    """The targets of a regression in a colour each."""
    style = FEW_STYLE if frame.few else MANY_STYLE
    points = []
    for k, name in enumerate(frame.names):
        colour, label = CLASS_COLOURS[(k + 1) % len(CLASS_COLOURS)], name.replace("$", r"\$")
        points.append(axes.scatter([], [], color=colour, label=label, animated=True, **style))
    if len(points) > 1:
        axes.legend(loc="upper left", **LEGEND)

    def show(out_NK: Array, y_NK: Array) -> list[Drawn]:
        for drawn, out_N, y_N in zip(points, out_NK.T, y_NK.T, strict=True):
            is_finite = np.isfinite(out_N)
            drawn.set_offsets(np.stack([y_N, np.clip(out_N, *frame.limits)], axis=1)[is_finite])
        return [*points]

    return show
