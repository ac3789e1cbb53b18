"""Draws fits with one input: data, truth and prediction as curves."""

from typing import TYPE_CHECKING

import numpy as np

from neuronsweep.data.dataset import Dataset
from neuronsweep.figures.style import (
    BEYOND,
    BLUE,
    BOTTOM,
    FEW,
    FEW_STYLE,
    GREY,
    LEFT,
    LEGEND_LINE,
    MANY_STYLE,
    ORANGE,
    RIGHT,
    SKY,
    TOP,
    VERMILION,
    Drawn,
    Predict,
    Style,
    Update,
    dress,
    keep_inside,
    legend_above,
    not_finite,
    notice,
    samples_of,
    span,
    truth_at,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def curve(figure: "Figure", dataset: Dataset) -> Update:
    """Draw what curves of one data set share, and return what draws a fit into it."""
    axes = figure.add_axes((LEFT, BOTTOM, RIGHT - LEFT, TOP - LEGEND_LINE - BOTTOM))
    x_train, y_train = samples_of(dataset, "train")
    samples = [samples_of(dataset, name) for name in dataset.splits]
    left, right = span(np.concatenate([x for x, _ in samples]), 0.03)
    x = np.linspace(left, right, 801)
    truth = truth_at(dataset, x[:, None])

    training_range = dataset.training_range or (x_train.min(), x_train.max())
    axes.axvspan(*training_range, color=SKY, alpha=0.16, linewidth=0, label="training range")
    style = FEW_STYLE if len(x_train) <= FEW else MANY_STYLE
    axes.scatter(x_train, y_train, color=BLUE, label="train", **style)
    if "outer" in dataset.splits:
        axes.scatter(*samples_of(dataset, "outer"), color=ORANGE, marker="s", label="outer", **style)
    if len(dataset.splits["val"].x) <= FEW:
        hollow: Style = {"s": 26, "color": "none", "edgecolors": GREY, "linewidths": 1.2}
        axes.scatter(*samples_of(dataset, "val"), marker="D", label="val", **hollow)
    live: Style = {"animated": True}
    curves = axes.plot(x, np.full_like(x, np.nan), color=VERMILION, linewidth=2.2, label="prediction", **live)
    if truth is not None:
        curves += axes.plot(x, truth, "--", color="black", linewidth=1.4, label="truth", **live)
    # limits of the data alone, so that the pictures of a sweep can be compared; beyond, one sees where a fit goes
    low, high = span(np.concatenate([y for _, y in samples] + ([] if truth is None else [truth])), 0.05)
    height = high - low
    low, high = low - BEYOND * height, high + BEYOND * height
    dress(axes, "x", "y", (left, right, low, high))
    keep_inside(axes)
    note = notice(axes)
    legend_above(figure, axes, 1 if style is FEW_STYLE else 2)

    def update(predict: Predict) -> list[Drawn]:
        y = predict(x[:, None])[:, 0]
        # the rasteriser fails on huge numbers, and so far away no eye can tell
        shown = np.where(np.isfinite(y), np.clip(y, low - 1e3 * height, high + 1e3 * height), np.nan)
        curves[0].set_ydata(shown)
        outside = (shown > high).all() or (shown < low).all()
        note.set_text("the prediction is outside the picture" if outside else not_finite(y))
        return [*curves, note] if note.get_text() else [*curves]

    return update
