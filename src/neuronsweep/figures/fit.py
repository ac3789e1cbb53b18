"""Draws the picture of one fit. Matplotlib is imported with the first picture, because that takes long."""

import io
import textwrap
from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
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
    DPI,
    FONT,
    Array,
    Drawn,
    Update,
    blank,
    canvas,
    predictor,
)
from neuronsweep.figures.targets import Frame, against_targets

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
    """Draws fits of one data set; what their pictures have in common is drawn once, which takes most of the time."""

    def __init__(self, dataset: Dataset):
        self.dataset = dataset
        kind = (dataset.task, dataset.inputs)
        several = not dataset.classes and dataset.outputs > 1  # no one curve or surface
        self.whole = None if several else WHOLE.get(kind)
        prepare = None if several else LIVE.get(kind)
        if prepare:
            self.sheet = Sheet(lambda figure: prepare(figure, dataset))
            self.update: Update = self.sheet.update
            self.sheet.settle(self.update(lambda x_ND: across(x_ND, max(dataset.outputs, 1))))
        elif not self.whole:
            self.sheet = sheet_of_targets(Frame.of(dataset))
            self.update = lambda predict: against_targets(self.sheet.update, predict, dataset)

    def png(self, network: Callable[[Tensor], Tensor], title: str) -> bytes:
        """The picture of one fit; see ``fit_png``."""
        line = textwrap.shorten(title, 80, placeholder=" …") or " "
        if not self.whole:
            return self.sheet.png(self.update(predictor(network)), line)
        figure = blank()
        self.whole(figure, predictor(network), self.dataset)
        figure.canvas.draw()
        shown = np.asarray(canvas(figure).buffer_rgba())
        write_title(shown, line)
        palette = Palette(shown)
        return palette.png(palette(shown))


class Sheet:
    """A figure on which only some artists change, and its palette, so that only what changes is given a colour.

    Args:
        prepare: draws on an empty figure what does not change, and returns what changes the others.
    """

    def __init__(self, prepare: Callable[["Figure"], Any]):
        self.figure = blank()
        self.update = prepare(self.figure)
        self.figure.canvas.draw()
        self.background = canvas(self.figure).copy_from_bbox(self.figure.bbox)

    def settle(self, artists: Sequence[Drawn]) -> None:
        """Find the palette, in an example that has all colours."""
        empty = self._pixels().copy()
        self._draw(artists)
        self.palette = Palette(np.concatenate([empty, self._pixels()]))
        self.empty, self.indices = empty.view(np.uint32)[..., 0], self.palette(empty)

    def png(self, artists: Sequence[Drawn], line: str) -> bytes:
        """A picture with these artists and a title."""
        self._draw(artists)
        shown = self._pixels()
        write_title(shown, line)
        changed = shown.view(np.uint32)[..., 0] != self.empty
        indices = self.indices.copy()
        indices[changed] = self.palette(shown[changed])
        return self.palette.png(indices)

    def _pixels(self) -> NDArray[np.uint8]:
        """What the canvas shows (height, width, 4), in place."""
        return np.asarray(canvas(self.figure).buffer_rgba())

    def _draw(self, artists: Sequence[Drawn]) -> None:
        canvas(self.figure).restore_region(self.background)
        renderer = canvas(self.figure).get_renderer()
        for artist in artists:
            artist.draw(renderer)


@lru_cache(maxsize=8)
def sheet_of_targets(frame: Frame) -> Sheet:
    """The sheet of all data sets that have this frame, as the folds of a table have."""
    sheet = Sheet(frame.prepare)
    sheet.settle(sheet.update(*frame.example()))
    return sheet


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


# Pictures of which only the returned artists change from fit to fit, and pictures drawn completely.
LIVE: dict[tuple[str, int], Callable[["Figure", Dataset], Update]] = {
    ("regression", 1): curve,
    ("classification", 2): regions,
}
WHOLE = {("regression", 2): heat_maps}
