"""Draws the picture of one fit. Matplotlib is imported with the first picture, because that takes long."""

import io
import textwrap
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from neuronsweep.config.schemas.model import activations, widths
from neuronsweep.data.dataset import Dataset
from neuronsweep.figures.curve import curve
from neuronsweep.figures.plane import heat_maps, regions
from neuronsweep.figures.style import (
    BOTTOM,
    CLASS_COLOURS,
    DPI,
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
    Predict,
    Update,
    blank,
    canvas,
    class_logits,
    dress,
    keep_inside,
    not_finite,
    notice,
    predictor,
    samples_of,
    span,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Brighter colours than this are white: that of a palette is not quite.
WHITE = 251
# Pixels above a title.
TITLE = 4


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
    """Draws fits of one data set; what their pictures have in common is drawn once, which takes most of the time.

    The pictures of a data set that ``prepare`` knows have one palette, so that only what changes is given a colour.
    """

    def __init__(self, dataset: Dataset):
        self.dataset = dataset
        self.kind = (dataset.task, dataset.inputs)
        if not dataset.classes and dataset.outputs > 1:  # no one curve or surface
            self.kind = ("several outputs", 0)
        self.prepare = LIVE.get(self.kind)
        if self.prepare:
            self.figure = blank()
            self.update = self.prepare(self.figure, dataset)
            self.figure.canvas.draw()
            self.background = canvas(self.figure).copy_from_bbox(self.figure.bbox)
            empty = self._pixels().copy()
            self._draw(lambda x_ND: across(x_ND, max(dataset.outputs, 1)))
            self.palette = Palette(np.concatenate([empty, self._pixels()]))
            self.empty, self.indices = empty.view(np.uint32)[..., 0], self.palette(empty)

    def png(self, network: Callable[[Tensor], Tensor], title: str) -> bytes:
        """The picture of one fit; see ``fit_png``."""
        line = textwrap.shorten(title, 80, placeholder=" …") or " "
        if self.prepare:
            self._draw(predictor(network))
            shown = self._pixels()
            write_title(shown, line)
            changed = shown.view(np.uint32)[..., 0] != self.empty
            indices = self.indices.copy()
            indices[changed] = self.palette(shown[changed])
            return self.palette.png(indices)
        figure = blank()
        draw = WHOLE.get(self.kind, against_targets)
        draw(figure, predictor(network), self.dataset)
        figure.canvas.draw()
        shown = np.asarray(canvas(figure).buffer_rgba())
        write_title(shown, line)
        palette = Palette(shown)
        return palette.png(palette(shown))

    def _pixels(self) -> NDArray[np.uint8]:
        """What the canvas shows (height, width, 4), in place."""
        return np.asarray(canvas(self.figure).buffer_rgba())

    def _draw(self, predict: Predict) -> None:
        canvas(self.figure).restore_region(self.background)
        renderer = canvas(self.figure).get_renderer()
        for artist in self.update(predict):
            artist.draw(renderer)


def across(x_ND: Array, outputs: int) -> Array:
    """A fit that passes everything a picture has colours for: steep lines, and each class from unsure to sure."""
    u_N = (x_ND[:, 0] - x_ND[:, 0].mean()) / (np.ptp(x_ND[:, 0]) or 1.0)
    if x_ND.shape[1] == 1:
        return 1e3 * u_N[:, None]
    v_N = (x_ND[:, 1] - x_ND[:, 1].mean()) / (np.ptp(x_ND[:, 1]) or 1.0)
    angle_K = 2 * np.pi * np.arange(outputs) / outputs
    return 8 * (np.cos(angle_K) * u_N[:, None] + np.sin(angle_K) * v_N[:, None])


class Palette:
    """The 256 colours of pictures, found in one of them: so a file is less than half as large."""

    def __init__(self, example: NDArray[np.uint8]):
        from PIL import Image

        image = Image.fromarray(np.ascontiguousarray(example[..., :3]))
        found = image.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).getpalette() or []
        colour_L3 = np.array(found, dtype=np.float32).reshape(-1, 3)
        colour_L3[colour_L3.min(axis=1) > WHITE] = 255
        self.bytes = colour_L3.astype(np.uint8).tobytes()
        # the nearest colour of every cell of 8 x 8 x 8: red, green and blue by their upper five bits
        side = np.arange(32, dtype=np.float32) * 8 + 3.5
        cell_N3 = np.stack(np.meshgrid(side, side, side, indexing="ij"), axis=-1).reshape(-1, 3)
        distance_NL = (colour_L3**2).sum(axis=1) - 2 * cell_N3 @ colour_L3.T
        self.nearest_N = distance_NL.argmin(axis=1).astype(np.uint8)

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The number of the nearest colour of every pixel (..., 4)."""
        upper = pixels[..., :3].astype(np.uint16) >> 3
        return self.nearest_N[upper[..., 0] << 10 | upper[..., 1] << 5 | upper[..., 2]]

    def png(self, indices: NDArray[np.uint8]) -> bytes:
        """A file of numbers of colours (height, width)."""
        from PIL import Image

        image = Image.fromarray(indices)
        image.putpalette(self.bytes)
        buffer = io.BytesIO()
        image.save(buffer, "png", compress_level=4)
        return buffer.getvalue()


def write_title(pixels: NDArray[np.uint8], line: str) -> None:
    """Write a line of literal text at the top of white pixels (height, width, 4)."""
    mask, (_, below) = title_font().getmask2(line, mode="L")
    ink_HW = np.frombuffer(bytes(mask), np.uint8).reshape(mask.size[::-1])[:, : pixels.shape[1]]
    top, left = TITLE + below, (pixels.shape[1] - ink_HW.shape[1]) // 2
    pixels[top : top + len(ink_HW), left : left + ink_HW.shape[1], :3] = 255 - ink_HW[..., None]


@cache
def title_font() -> Any:
    """The font of all other text, as matplotlib brings it."""
    import matplotlib
    from PIL import ImageFont

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(path, FONT * DPI / 72, layout_engine=ImageFont.Layout.BASIC)


def against_targets(figure: "Figure", predict: Predict, dataset: Dataset) -> None:
    """Draw val's predictions against its targets, those of several outputs in a colour each."""
    axes = figure.add_axes((LEFT, BOTTOM, RIGHT - LEFT, TOP - BOTTOM))
    x, y_N = dataset.splits["val"].x, samples_of(dataset, "val")[1]
    out_NK = predict(x.double().numpy())
    limits = span(y_N, 0.1)
    axes.plot(limits, limits, "--", color="black", linewidth=1.4, zorder=0)
    if dataset.classes:  # many samples in few places: areas and numbers
        predicted_N = class_logits(out_NK).argmax(axis=1)
        pairs, counts = np.unique(np.stack([y_N, predicted_N], axis=1), axis=0, return_counts=True)
        axes.scatter(pairs[:, 0], pairs[:, 1], s=1500 * counts / counts.max(), color=SKY)
        for pair, count in zip(pairs, counts, strict=True):
            axes.text(pair[0], pair[1], str(count), ha="center", va="center", fontsize=FONT)
        axes.set(xticks=range(dataset.classes), yticks=range(dataset.classes))
    else:
        y_NK, shown_NK = y_N.reshape(out_NK.shape), np.clip(out_NK, *limits)
        for k, name in enumerate(dataset.target_names):
            colour, style = CLASS_COLOURS[(k + 1) % len(CLASS_COLOURS)], FEW_STYLE if len(y_NK) <= FEW else MANY_STYLE
            axes.scatter(y_NK[:, k], shown_NK[:, k], color=colour, label=name.replace("$", r"\$"), **style)
        if len(dataset.target_names) > 1:
            axes.legend(loc="upper left", **LEGEND)
    what = "class" if dataset.classes else "y"
    dress(axes, f"{what} (val)", f"predicted {what}", limits + limits)
    keep_inside(axes)
    notice(axes).set(text=not_finite(out_NK), animated=False, visible=not np.isfinite(out_NK).all())


# Pictures of which only the returned artists change from fit to fit, and pictures drawn completely.
LIVE: dict[tuple[str, int], Callable[["Figure", Dataset], Update]] = {
    ("regression", 1): curve,
    ("classification", 2): regions,
}
WHOLE = {("regression", 2): heat_maps}
