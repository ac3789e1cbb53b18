"""The picture of one fit. Matplotlib is imported when the first picture is drawn, because that takes a while."""

import io
import textwrap
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from neuronsweep.config.schemas.model import activations, widths
from neuronsweep.data.dataset import Dataset
from neuronsweep.figures.curve import curve
from neuronsweep.figures.plane import heat_maps, regions
from neuronsweep.figures.style import (
    BLUE,
    BOTTOM,
    FEW,
    FEW_STYLE,
    FONT,
    LEFT,
    MANY_STYLE,
    RIGHT,
    SKY,
    TOP,
    Predict,
    Update,
    blank,
    canvas,
    class_logits,
    dress,
    keep_inside,
    not_finite,
    notice,
    pixels,
    predictor,
    samples_of,
    span,
    title_text,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Brighter colours than this are white: that of a palette is not quite.
WHITE = 251


def title(config: Mapping[str, Any], metric: str, value: float) -> str:
    """What a picture shows, from a run's config with nested keys: data, network, seed and one metric."""
    model = config["model"]
    data = config["data"]["_target_"].rpartition(".")[2]
    each = widths(model["hidden"], model["depth"])
    acts = activations(model["act"], len(each))
    if len(set(acts)) > 1:
        hidden = " - ".join(f"{width} {act}" for width, act in zip(each, acts, strict=True))
    else:
        hidden = " - ".join(map(str, each)) + f" {acts[0]}" if each else "linear"
    out = "" if model["out_act"] == "identity" else f", output {model['out_act']}"
    return f"{data}: {hidden}{out}, seed {config['seed']}, {metric} {value:.4g}"


def title_then(config: Mapping[str, Any], row: Mapping[str, float]) -> str:
    """What a picture at a log point shows: the objective where it is computed there, else the val loss."""
    metric = config["objective"]["metric"]
    metric = metric if metric in row else "val/loss"
    return title(config, metric, row[metric])


def fit_png(network: Callable[[Tensor], Tensor], dataset: Dataset, title: str) -> bytes:
    """Draw what a network has learnt, as a PNG of 640 x 420 pixels; the same arguments give the same bytes.

    One input: data, truth and prediction as curves, the training range shaded. Two inputs: decision regions with the
    training points, or heat maps of truth and prediction. Else: val's predictions against its targets.
    ``network`` maps x (N, D) to predictions or logits (N, 1), or to logits (N, classes). A Module is evaluated in its
    own dtype, on its own device, in evaluation mode, and left as it was. ``title`` is literal text. Predictions that
    are not finite are left out, and the picture says so.
    """
    return Painter(dataset).png(network, title)


class Painter:
    """Draws fits of one data set; what their pictures have in common is drawn once, which takes most of the time."""

    def __init__(self, dataset: Dataset):
        self.dataset = dataset
        self.prepare = LIVE.get((dataset.task, dataset.inputs))
        if self.prepare:
            self.figure = blank()
            self.update = self.prepare(self.figure, dataset)
            self.title = title_text(self.figure)
            self.figure.canvas.draw()
            self.background = canvas(self.figure).copy_from_bbox(self.figure.bbox)

    def png(self, network: Callable[[Tensor], Tensor], title: str) -> bytes:
        """The picture of one fit; see ``fit_png``."""
        from PIL import Image

        predict = predictor(network)
        line = textwrap.shorten(title, 80, placeholder=" …") or " "
        if self.prepare:
            canvas(self.figure).restore_region(self.background)
            self.title.set_text(line)
            renderer = canvas(self.figure).get_renderer()
            for artist in (*self.update(predict), self.title):
                artist.draw(renderer)
            figure = self.figure
        else:
            figure = blank()
            WHOLE.get((self.dataset.task, self.dataset.inputs), against_targets)(figure, predict, self.dataset)
            title_text(figure).set(text=line, animated=False)
            figure.canvas.draw()
        buffer = io.BytesIO()
        # of few colours, a file is less than half as large and written in half the time
        image = Image.fromarray(pixels(figure)).quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        image.putpalette([255 if value > WHITE else value for value in image.getpalette() or []])
        image.save(buffer, "png", compress_level=4)
        return buffer.getvalue()


def against_targets(figure: "Figure", predict: Predict, dataset: Dataset) -> None:
    """Draw val's predictions against its targets."""
    axes = figure.add_axes((LEFT, BOTTOM, RIGHT - LEFT, TOP - BOTTOM))
    x, y_N = dataset.splits["val"].x, samples_of(dataset, "val")[1]
    out_NK = predict(x.double().numpy())
    limits = span(y_N, 0.1)
    predicted_N = class_logits(out_NK).argmax(axis=1) if dataset.classes else np.clip(out_NK[:, 0], *limits)
    pairs, counts = np.unique(np.stack([y_N, predicted_N], axis=1), axis=0, return_counts=True)
    axes.plot(limits, limits, "--", color="black", linewidth=1.4, zorder=0)
    if dataset.classes:  # many samples in few places: areas and numbers
        axes.scatter(pairs[:, 0], pairs[:, 1], s=1500 * counts / counts.max(), color=SKY)
        for pair, count in zip(pairs, counts, strict=True):
            axes.text(pair[0], pair[1], str(count), ha="center", va="center", fontsize=FONT)
        axes.set(xticks=range(dataset.classes), yticks=range(dataset.classes))
    else:
        axes.scatter(pairs[:, 0], pairs[:, 1], color=BLUE, **(FEW_STYLE if len(y_N) <= FEW else MANY_STYLE))
    what = "class" if dataset.classes else "y"
    dress(axes, f"{what} (val)", f"predicted {what}", limits + limits)
    keep_inside(axes)
    notice(axes).set(text=not_finite(out_NK), animated=False, visible=not np.isfinite(out_NK).all())


# Pictures of which only the returned artists change from fit to fit, and pictures drawn as a whole.
LIVE: dict[tuple[str, int], Callable[["Figure", Dataset], Update]] = {
    ("regression", 1): curve,
    ("classification", 2): regions,
}
WHOLE = {("regression", 2): heat_maps}
