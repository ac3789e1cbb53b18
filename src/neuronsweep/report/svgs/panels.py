"""A panel of a gallery: what the replicates of one configuration have learnt, as a small chart."""

import base64
import io
from collections.abc import Sequence

import numpy as np
from contourpy import LineType, contour_generator
from PIL import Image
from torch import nn

from neuronsweep.analysis.fit import kinks_among_samples
from neuronsweep.data.dataset import Dataset
from neuronsweep.figures.style import class_logits, grid, middles, predictor, samples_of, span, truth_at
from neuronsweep.models.mlp import MLP
from neuronsweep.report.charts.axes import COLOURS
from neuronsweep.report.svgs.gallery import SIZE, Gallery
from neuronsweep.report.svgs.plot import (
    Array,
    Plot,
    Scale,
    lines,
    mark_style,
    marks,
    sample_area,
    sample_line,
    sample_mark,
)

# Points of a bold and of a thin curve; cells of decision regions from left to right; their shades from unsure to sure.
BOLD, THIN, CELLS, SHADES = 301, 121, 100, 8
# How much of the data's height a curve's panel shows above and below; up to so many samples of val are drawn.
BEYOND, FEW = 0.35, 50
FIT, RANGE = "#d55e00", "#56b4e9"
# As in fit.png.
CLASSES = (COLOURS[1], COLOURS[0], *COLOURS[2:])
TRAIN, OUTER, VAL = "#2f8fd0", "#e69f00", "#8a8a8a"


def panel(dataset: Dataset, networks: Sequence[nn.Module], title: str, kinks: bool, of: Gallery) -> str:
    """The panel of replicates, the first of which is the one that is seen best.

    Args:
        title: up to two lines of literal text.
        kinks: whether to mark those of the first one.
        of: the gallery that the panel is for, which gets what it shares and explains.
    """
    if dataset.inputs == 1:
        return _curves(dataset, networks, title, kinks, of)
    return _regions(dataset, networks[0], title, of)


def _curves(dataset: Dataset, networks: Sequence[nn.Module], title: str, marked: bool, of: Gallery) -> str:
    """Data, truth and the curves of all networks, the first one boldly with its kinks."""
    left, right, low, high = extent_of(dataset)
    plot = Plot(SIZE, Scale(left, right), Scale(low, high), ("", ""), title)
    start, end = dataset.training_range or _ends(samples_of(dataset, "train")[0])
    a, b = plot.points([start, end], [low, low])[:, 0] / 10
    plot.add(f'<rect x="{a:.1f}" width="{b - a:.1f}" height="100%" style="fill:{RANGE};opacity:.16"/>')
    of.explain("training range", sample_area(RANGE, 0.3))
    kinds = {"outer": (OUTER, 1), "train": (TRAIN, 0)} | (
        {"val": (VAL, 3)} if len(dataset.splits["val"].x) <= FEW else {}
    )
    for name, (colour, shape) in kinds.items():
        if name in dataset.splits:
            many = len(dataset.splits[name].x) > FEW
            key = of.share(marks(plot.points(*samples_of(dataset, name)), shape))
            plot.add(
                f'<use href="#{key}"{mark_style(colour, shape, 2 if many else 5)} opacity="{0.6 if many else 1}"/>'
            )
            of.explain(name, sample_mark(colour, shape, 5))
    for network in networks[1:]:
        x = np.linspace(left, right, THIN)
        plot.line(x, predictor(network)(x[:, None])[:, 0], stroke=FIT, stroke_width=0.8, opacity=0.45)
        of.explain("other replicates", sample_line(stroke=FIT, stroke_width=0.8, opacity=0.6))
    x = np.linspace(left, right, BOLD)
    bold: dict[str, str | float] = {"stroke": FIT, "stroke_width": 2}
    plot.line(x, predictor(networks[0])(x[:, None])[:, 0], **bold)
    of.explain("median seed" if len(networks) > 1 else "prediction", sample_line(**bold))
    if (truth := truth_at(dataset, x[:, None])) is not None:
        dashed: dict[str, str | float] = {"kind": "ink", "stroke_width": 1.2, "stroke_dasharray": "4 3"}
        plot.line(x, truth, **dashed)
        of.explain("truth", sample_line(**dashed))
    if marked and isinstance(networks[0], MLP) and (found := kinks_among_samples(networks[0], dataset)):
        at = np.asarray(found)
        ring = f' class="halo" style="stroke:{FIT};fill:var(--back);stroke-width:1.3"'
        where = plot.points(at, predictor(networks[0])(at[:, None])[:, 0]) / 10
        for x_at, y_at in where[np.isfinite(where).all(axis=1)].tolist():
            plot.add(f'<circle cx="{x_at:.1f}" cy="{y_at:.1f}" r="2.6"{ring}/>')
        of.explain("kink", f'<circle cx="10" cy="6" r="2.6"{ring}/>')
    return plot.svg(title.replace("\n", ", "))


def extent_of(dataset: Dataset) -> tuple[float, float, float, float]:
    """What a panel shows of a data set: its samples, those of a curve with the truth between them and a margin."""
    if dataset.inputs > 1:
        x_ND = samples_of(dataset, "train")[0]
        return (*span(x_ND[:, 0], 0.1), *span(x_ND[:, 1], 0.1))
    samples = [samples_of(dataset, name) for name in dataset.splits]
    left, right = span(np.concatenate([x for x, _ in samples]), 0.03)
    truth = truth_at(dataset, np.linspace(left, right, BOLD)[:, None])
    low, high = span(np.concatenate([y for _, y in samples] + ([] if truth is None else [truth])), 0.0)
    return left, right, low - BEYOND * (high - low), high + BEYOND * (high - low)


def _regions(dataset: Dataset, network: nn.Module, title: str, of: Gallery) -> str:
    """The regions of a network, the paler the less sure, their boundary and the training samples."""
    x_ND, label_N = samples_of(dataset, "train")
    extent = extent_of(dataset)
    plot = Plot(SIZE, Scale(*extent[:2]), Scale(*extent[2:]), ("", ""), title)
    rows = round(CELLS * plot.height / plot.width)
    x_W, y_H = middles(*extent[:2], CELLS), middles(*extent[2:], rows)
    grid_ND = grid(x_W, y_H)
    logit_NC = class_logits(predictor(network)(grid_ND))
    png = base64.b64encode(region_png(logit_NC.reshape(rows, CELLS, -1)[::-1])).decode()
    filling = 'width="100%" height="100%" preserveAspectRatio="none" style="image-rendering:pixelated"'
    plot.add(f'<image href="data:image/png;base64,{png}" {filling}/>')
    if found := [plot.points(*line.T) for line in _boundaries(x_W, y_H, logit_NC)]:
        plot.add(f'<path class="ink" d="{lines(found)}" style="stroke-width:1.7"/>')
    of.explain("boundary", sample_line(kind="ink", stroke_width=1.7))
    for c in range(dataset.classes):
        key = of.share(marks(plot.points(x_ND[label_N == c, 0], x_ND[label_N == c, 1]), c))
        colour, size = CLASSES[c % len(CLASSES)], 3.2
        plot.add(f'<use href="#{key}"{mark_style("var(--back)", c, size + 1.4)}/>')
        plot.add(f'<use href="#{key}"{mark_style(colour, c, size)}/>')
        of.explain(f"class {c}", sample_mark(colour, c, 6))
    return plot.svg(title.replace("\n", ", "))


def region_png(logit_HWC: Array) -> bytes:
    """The winning class's colour, the more transparent the less probable, as a PNG; all where a logit is not finite."""
    classes = logit_HWC.shape[2]
    finite_HW = np.asarray(np.isfinite(logit_HWC).all(axis=2))
    logit_HWC = np.where(finite_HW[..., None], logit_HWC, 0.0)
    best_HW = logit_HWC.argmax(axis=2)
    probability_HW = 1 / np.exp(logit_HWC - logit_HWC.max(axis=2, keepdims=True)).sum(axis=2)
    sure_HW = (probability_HW - 1 / classes) / (1 - 1 / classes)
    shade_HW = np.clip(sure_HW * SHADES, 0, SHADES - 1).astype(int)
    index_HW = np.where(finite_HW, 1 + best_HW * SHADES + shade_HW, 0)
    image = Image.fromarray(index_HW.astype(np.uint8))
    colours = [bytes.fromhex(CLASSES[c % len(CLASSES)][1:]) for c in range(min(classes, 255 // SHADES))]
    image.putpalette(b"\0\0\0" + b"".join(colour * SHADES for colour in colours))
    alpha = bytes([0, *(round(20 + 120 * shade / (SHADES - 1)) for _ in colours for shade in range(SHADES))])
    buffer = io.BytesIO()
    image.save(buffer, "png", transparency=alpha)
    return buffer.getvalue()


def _boundaries(x_W: Array, y_H: Array, logit_NC: Array) -> list[Array]:
    """Where a class stops winning, as lines (N, 2)."""
    found: list[Array] = []
    for c in range(logit_NC.shape[1] if logit_NC.shape[1] > 2 else 1):
        others = np.delete(logit_NC, c, axis=1).max(axis=1)
        margin = np.ma.masked_invalid((logit_NC[:, c] - others).reshape(len(y_H), len(x_W)))
        if margin.count() and margin.min() < 0 < margin.max():
            found += contour_generator(x_W, y_H, margin, line_type=LineType.Separate).lines(0.0)  # type: ignore[arg-type]
    return found


def _ends(values: Array) -> tuple[float, float]:
    return float(values.min()), float(values.max())
