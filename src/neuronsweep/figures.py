"""The picture of one fit. Matplotlib is imported when the first picture is drawn, because that takes a while."""

import io
import textwrap
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from neuronsweep.data.dataset import Dataset

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

Array = NDArray[np.float64]
Predict = Callable[[Array], Array]
Update = Callable[[Predict], "list[Artist]"]
Style = dict[str, Any]

# Inches at dots per inch: 640 x 420 pixels. Places in the picture are shares of these.
SIZE, DPI = (6.4, 4.2), 100
LEFT, RIGHT, BOTTOM, TOP, LEGEND_LINE = 0.1, 0.975, 0.115, 0.925, 0.075
FONT = 10  # points
LEGEND: Style = {"fontsize": 9, "frameon": False, "handletextpad": 0.4, "columnspacing": 1.2, "borderaxespad": 0}

# Okabe and Ito, Color Universal Design (2008): colours that colour-blind readers can tell apart.
BLUE, ORANGE, GREEN, PINK = "#0072b2", "#e69f00", "#009e73", "#cc79a7"
VERMILION, SKY, YELLOW, GREY = "#d55e00", "#56b4e9", "#f0e442", "#777777"
NOTHING = "#cccccc"  # where there is no prediction
CLASS_COLOURS = [ORANGE, BLUE, GREEN, PINK, VERMILION, SKY, YELLOW]
CLASS_MARKERS = "os^Dv*P"

# Up to this many samples every point is a large one; a larger val is left out, for it looks like train.
FEW = 50
FEW_STYLE: Style = {"s": 34, "linewidths": 0, "zorder": 3}
MANY_STYLE: Style = {"s": 9, "linewidths": 0, "alpha": 0.55}
# How much a curve's picture shows above and below the data, as a share of their height.
BEYOND = 0.25
# Shades of a class colour from unsure to sure; points of a heat map to a side, and about how many colours it has.
SHADES, HEAT, BANDS = 6, 80, 16


def title(config: Mapping[str, Any], metric: str, value: float) -> str:
    """What a picture shows, from a run's config with nested keys: data, network, seed and one metric."""
    model = config["model"]
    data = config["data"]["_target_"].rpartition(".")[2]
    hidden = " - ".join([str(model["hidden"])] * model["depth"]) + f" {model['act']}" if model["depth"] else "linear"
    out = "" if model["out_act"] == "identity" else f", output {model['out_act']}"
    return f"{data}: {hidden}{out}, seed {config['seed']}, {metric} {value:.4g}"


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
            self.figure = _blank()
            self.update = self.prepare(self.figure, dataset)
            self.title = _title(self.figure)
            self.figure.canvas.draw()
            self.background = self.figure.canvas.copy_from_bbox(self.figure.bbox)  # type: ignore[attr-defined]

    def png(self, network: Callable[[Tensor], Tensor], title: str) -> bytes:
        """The picture of one fit; see ``fit_png``."""
        from PIL import Image

        predict = _predictor(network)
        line = textwrap.shorten(title, 80, placeholder=" …") or " "
        if self.prepare:
            self.figure.canvas.restore_region(self.background)  # type: ignore[attr-defined]
            self.title.set_text(line)
            for artist in (*self.update(predict), self.title):
                self.figure.draw_artist(artist)
            figure = self.figure
        else:
            figure = _blank()
            WHOLE.get((self.dataset.task, self.dataset.inputs), _against_targets)(figure, predict, self.dataset)
            _title(figure).set(text=line, animated=False)
            figure.canvas.draw()
        buffer = io.BytesIO()
        # not canvas.print_png: without the alpha channel the file is a quarter smaller
        pixels = np.asarray(figure.canvas.buffer_rgba())[:, :, :3]  # type: ignore[attr-defined]
        Image.fromarray(pixels).save(buffer, "png", compress_level=4)
        return buffer.getvalue()


def _blank() -> "Figure":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE, dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _predictor(network: Callable[[Tensor], Tensor]) -> Predict:
    """The network as a function of arrays, x (N, D) to (N, outputs)."""
    modules = list(network.modules()) if isinstance(network, nn.Module) else []
    parameters = [parameter for module in modules for parameter in module.parameters()]
    like = parameters[0] if parameters else torch.zeros(())

    @torch.no_grad()
    def predict(x_ND: Array) -> Array:
        modes = [module.training for module in modules]
        for module in modules:
            module.training = False
        try:
            out = network(torch.from_numpy(x_ND).to(like.device, like.dtype))
        finally:
            for module, mode in zip(modules, modes, strict=True):
                module.training = mode
        return out.detach().cpu().double().numpy().reshape(len(x_ND), -1)

    return predict


def _curve(figure: "Figure", dataset: Dataset) -> Update:
    axes = figure.add_axes((LEFT, BOTTOM, RIGHT - LEFT, TOP - LEGEND_LINE - BOTTOM))
    x_train, y_train = _samples(dataset, "train")
    samples = [_samples(dataset, name) for name in dataset.splits]
    left, right = _span(np.concatenate([x for x, _ in samples]), 0.03)
    x = np.linspace(left, right, 801)
    truth = _truth(dataset, x[:, None])

    training_range = dataset.training_range or (x_train.min(), x_train.max())
    axes.axvspan(*training_range, color=SKY, alpha=0.16, linewidth=0, label="training range")
    style = FEW_STYLE if len(x_train) <= FEW else MANY_STYLE
    axes.scatter(x_train, y_train, color=BLUE, label="train", **style)
    if "outer" in dataset.splits:
        axes.scatter(*_samples(dataset, "outer"), color=ORANGE, marker="s", label="outer", **style)
    if len(dataset.splits["val"].x) <= FEW:
        hollow: Style = {"s": 26, "color": "none", "edgecolors": GREY, "linewidths": 1.2}
        axes.scatter(*_samples(dataset, "val"), marker="D", label="val", **hollow)
    live: Style = {"animated": True}
    curves = axes.plot(x, np.full_like(x, np.nan), color=VERMILION, linewidth=2.2, label="prediction", **live)
    if truth is not None:
        curves += axes.plot(x, truth, "--", color="black", linewidth=1.4, label="truth", **live)
    # limits of the data alone, so that the pictures of a sweep can be compared; beyond, one sees where a fit goes
    low, high = _span(np.concatenate([y for _, y in samples] + ([] if truth is None else [truth])), 0.05)
    height = high - low
    low, high = low - BEYOND * height, high + BEYOND * height
    _dress(axes, "x", "y", (left, right, low, high))
    note = _note(axes)
    _legend_above(figure, axes, 1 if style is FEW_STYLE else 2)

    def update(predict: Predict) -> list["Artist"]:
        y = predict(x[:, None])[:, 0]
        # the rasteriser fails on huge numbers, and so far away no eye can tell
        shown = np.where(np.isfinite(y), np.clip(y, low - 1e3 * height, high + 1e3 * height), np.nan)
        curves[0].set_ydata(shown)
        outside = (shown > high).all() or (shown < low).all()
        note.set_text("the prediction is outside the picture" if outside else _not_finite(y))
        return [*curves, note] if note.get_text() else [*curves]

    return update


def _heat_maps(figure: "Figure", predict: Predict, dataset: Dataset) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import BoundaryNorm
    from matplotlib.ticker import MaxNLocator

    x_ND, y_N = _samples(dataset, "train")
    extent = (*_span(x_ND[:, 0], 0), *_span(x_ND[:, 1], 0))
    grid_ND = _grid(np.linspace(*extent[:2], HEAT), np.linspace(*extent[2:], HEAT))
    y, truth = predict(grid_ND)[:, 0], _truth(dataset, grid_ND)
    levels = np.asarray(MaxNLocator(BANDS).tick_values(*_span(y_N if truth is None else truth, 0)))
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
        _dress(axes, "x1", "x2" if axes is left else "", extent)
    _note(right).set(text=_not_finite(y), animated=False, visible=not np.isfinite(y).all())
    right.tick_params(labelleft=False)
    bar = figure.colorbar(ScalarMappable(**colours), cax=figure.add_axes((0.87, BOTTOM, 0.022, height)), format="%.3g")
    bar.ax.tick_params(labelsize=FONT - 1)


def _regions(figure: "Figure", dataset: Dataset) -> Update:
    from matplotlib.colors import to_rgb
    from matplotlib.lines import Line2D

    width, height = 0.8 - LEFT, TOP - BOTTOM
    axes = figure.add_axes((LEFT, BOTTOM, width, height), facecolor=NOTHING)
    x_ND, label_N = _samples(dataset, "train")
    extent = _same_scale(_span(x_ND[:, 0], 0.08), _span(x_ND[:, 1], 0.08), SIZE[0] * width / (SIZE[1] * height))
    # a prediction at the middle of every square of 2 x 2 pixels
    columns, rows = round(SIZE[0] * DPI * width / 2), round(SIZE[1] * DPI * height / 2)
    grid_ND = _grid(_middles(*extent[:2], columns), _middles(*extent[2:], rows))
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
    _dress(axes, "x1", "x2", extent)
    boundary = Line2D([], [], color="black", linewidth=1.3, label="boundary")
    where: Style = {"loc": "upper left", "bbox_to_anchor": (0.805, TOP), **LEGEND}
    legends = [figure.legend(handles=entries, **where) for entries in (handles, [*handles, boundary])]
    for legend in legends:
        legend.set_animated(True)
    figure.text(0.822, BOTTOM, "the paler,\nthe less sure", fontsize=FONT - 1, color=GREY)
    note = _note(axes)
    contours: list[Any] = []

    def update(predict: Predict) -> list["Artist"]:
        while contours:
            contours.pop().remove()
        out_NK = predict(grid_ND)
        logit_NC = _class_logits(out_NK)
        image.set_data(_shades(logit_NC, colour_C3).reshape(rows, columns, 4))
        for c in range(dataset.classes if dataset.classes > 2 else 1):
            others = np.delete(logit_NC, c, axis=1).max(axis=1)
            margin = np.ma.masked_invalid((logit_NC[:, c] - others).reshape(rows, columns))
            if margin.min() < 0 < margin.max():
                contours.append(axes.contour(margin, [0.0], colors="black", linewidths=1.3, **place))
        note.set_text(_not_finite(out_NK))
        frame = [axes.spines["left"], axes.spines["bottom"]]  # the image covers half of their width
        return [image, *contours, *points, *frame, legends[bool(contours)], *([note] if note.get_text() else [])]

    return update


def _class_logits(out_NK: Array) -> Array:
    """One logit a class, (N, C), also where the network gives one for two classes; nan where it is not finite."""
    logit_NC = np.where(np.isfinite(out_NK), out_NK, np.nan)
    return np.hstack([np.zeros_like(logit_NC), logit_NC]) if out_NK.shape[1] == 1 else logit_NC


def _shades(logit_NC: Array, colour_C3: Array) -> Array:
    """The winning class's colour, the paler the less probable; transparent where a logit is not finite. (N, 4)."""
    classes = logit_NC.shape[1]
    finite_N = np.asarray(~np.isnan(logit_NC).any(axis=1))
    logit_NC = np.where(finite_N[:, None], logit_NC, 0.0)
    best_N = logit_NC.max(axis=1)
    probability_N = 1 / np.exp(logit_NC - best_N[:, None]).sum(axis=1)
    sure_N = (probability_N - 1 / classes) / (1 - 1 / classes)
    strength_N1 = 0.55 * np.minimum(np.floor(sure_N * SHADES) / (SHADES - 1), 1)[:, None]
    colour_N3 = 1 - strength_N1 * (1 - colour_C3[logit_NC.argmax(axis=1)])
    return np.concatenate([colour_N3, finite_N[:, None].astype(float)], axis=1)


def _against_targets(figure: "Figure", predict: Predict, dataset: Dataset) -> None:
    axes = figure.add_axes((LEFT, BOTTOM, RIGHT - LEFT, TOP - BOTTOM))
    x, y_N = dataset.splits["val"].x, _samples(dataset, "val")[1]
    out_NK = predict(x.double().numpy())
    limits = _span(y_N, 0.1)
    predicted_N = _class_logits(out_NK).argmax(axis=1) if dataset.classes else np.clip(out_NK[:, 0], *limits)
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
    _dress(axes, f"{what} (val)", f"predicted {what}", limits + limits)
    _note(axes).set(text=_not_finite(out_NK), animated=False, visible=not np.isfinite(out_NK).all())


def _samples(dataset: Dataset, name: str) -> tuple[Array, Array]:
    """x (N, D), or (N,) where D is 1, and y (N,)."""
    x, y = dataset.splits[name]
    return (x[:, 0] if x.shape[1] == 1 else x).double().numpy(), y.reshape(-1).double().numpy()


def _truth(dataset: Dataset, x_ND: Array) -> Array | None:
    return None if dataset.truth is None else dataset.truth(torch.from_numpy(x_ND)).double().numpy().reshape(-1)


def _span(values: Array, margin: float) -> tuple[float, float]:
    """Least and greatest value, a share of their distance further apart; never equal."""
    low, high = float(values.min()), float(values.max())
    more = (high - low) * margin if high > low else max(abs(low), 1.0)
    return low - more, high + more


def _same_scale(x: tuple[float, float], y: tuple[float, float], shape: float) -> tuple[float, float, float, float]:
    """Left, right, bottom, top: x and y widened so that a unit is as long on both in axes of this width to height."""
    width = max(x[1] - x[0], (y[1] - y[0]) * shape)
    height = width / shape
    left, low = (x[0] + x[1] - width) / 2, (y[0] + y[1] - height) / 2
    return left, left + width, low, low + height


def _middles(low: float, high: float, cells: int) -> Array:
    return low + (np.arange(cells) + 0.5) * (high - low) / cells


def _grid(x_W: Array, y_H: Array) -> Array:
    """The points (H * W, 2) of a grid, row by row from below."""
    return np.stack(np.meshgrid(x_W, y_H), axis=-1).reshape(-1, 2)


def _title(figure: "Figure") -> "Text":
    return figure.text(0.5, 0.985, "", fontsize=FONT, ha="center", va="top", parse_math=False, animated=True)


def _legend_above(figure: "Figure", axes: "Axes", markerscale: float = 1) -> None:
    handles, labels = axes.get_legend_handles_labels()
    style: Style = LEGEND | {"ncols": len(labels), "markerscale": markerscale}
    figure.legend(handles, labels, loc="upper center", bbox_to_anchor=(0.5, TOP), **style)


def _not_finite(values: Array) -> str:
    finite = np.isfinite(values)
    return "" if finite.all() else f"{'some' if finite.any() else 'the'} predictions are not finite"


def _note(axes: "Axes") -> "Text":
    box = {"facecolor": "white", "edgecolor": VERMILION, "boxstyle": "round"}
    style: Style = {"ha": "center", "va": "top", "fontsize": FONT, "bbox": box, "zorder": 9, "animated": True}
    return axes.text(0.5, 0.93, "", transform=axes.transAxes, **style)


def _dress(axes: "Axes", x: str, y: str, extent: tuple[float, float, float, float]) -> None:
    axes.set(xlim=extent[:2], ylim=extent[2:])
    axes.set_xlabel(x, fontsize=FONT, labelpad=2)
    axes.set_ylabel(y, fontsize=FONT, labelpad=2)
    axes.tick_params(labelsize=FONT - 1)
    axes.spines[["top", "right"]].set_visible(False)


# Pictures of which only the returned artists change from fit to fit, and pictures drawn as a whole.
LIVE: dict[tuple[str, int], Callable[["Figure", Dataset], Update]] = {
    ("regression", 1): _curve,
    ("classification", 2): _regions,
}
WHOLE = {("regression", 2): _heat_maps}
