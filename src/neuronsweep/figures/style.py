"""What all pictures share: sizes, colours, axes, and samples and predictions as arrays."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from neuronsweep.data.dataset import Dataset

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.text import Text

Array = NDArray[np.float64]
Predict = Callable[[Array], Array]


class Drawn(Protocol):
    """What can be drawn: an artist of matplotlib's, or a copy of what one drew."""

    def draw(self, renderer: Any) -> None: ...


# Changes what is live in a picture to another fit's, and returns it in the order in which it is drawn.
Update = Callable[[Predict], Sequence[Drawn]]
Style = dict[str, Any]

# Inches at dots per inch: 640 x 420 pixels. Places in the picture are shares of these.
SIZE, DPI = (6.4, 4.2), 100
LEFT, RIGHT, BOTTOM, TOP, LEGEND_LINE = 0.1125, 0.975, 0.115, 0.925, 0.075
FONT, SMALLEST = 10, 5  # points
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


def blank(size: tuple[float, float] = SIZE, **keys: Any) -> "Figure":
    """An empty figure of so many inches that nobody else draws on."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=DPI, facecolor="white", **keys)
    FigureCanvasAgg(figure)
    return figure


def canvas(figure: "Figure") -> "FigureCanvasAgg":
    """The canvas of a figure that was made by ``blank``."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    assert isinstance(figure.canvas, FigureCanvasAgg)
    return figure.canvas


def pixels(figure: "Figure") -> NDArray[np.uint8]:
    """What is drawn on a figure (height, width, 3): without the alpha channel a PNG is a quarter smaller."""
    return np.asarray(canvas(figure).buffer_rgba())[:, :, :3]


def predictor(network: Callable[[Tensor], Tensor]) -> Predict:
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


def samples_of(dataset: Dataset, name: str) -> tuple[Array, Array]:
    """x (N, D), or (N,) where D is 1, and y (N,)."""
    x, y = dataset.splits[name]
    return (x[:, 0] if x.shape[1] == 1 else x).double().numpy(), y.reshape(-1).double().numpy()


def truth_at(dataset: Dataset, x_ND: Array) -> Array | None:
    """The truth (N,) at x (N, D), or None where the data set has none."""
    return None if dataset.truth is None else dataset.truth(torch.from_numpy(x_ND)).double().numpy().reshape(-1)


def class_logits(out_NK: Array) -> Array:
    """One logit a class, (N, C), also where the network gives one for two classes; nan where it is not finite."""
    logit_NC = np.where(np.isfinite(out_NK), out_NK, np.nan)
    return np.hstack([np.zeros_like(logit_NC), logit_NC]) if out_NK.shape[1] == 1 else logit_NC


def span(values: Array, margin: float) -> tuple[float, float]:
    """Least and greatest value, a share of their distance further apart; never equal."""
    low, high = float(values.min()), float(values.max())
    more = (high - low) * margin if high > low else max(abs(low), 1.0)
    return low - more, high + more


def same_scale(x: tuple[float, float], y: tuple[float, float], shape: float) -> tuple[float, float, float, float]:
    """Left, right, bottom, top: x and y widened so that a unit is as long on both in axes of this width to height."""
    width = max(x[1] - x[0], (y[1] - y[0]) * shape)
    height = width / shape
    left, low = (x[0] + x[1] - width) / 2, (y[0] + y[1] - height) / 2
    return left, left + width, low, low + height


def middles(low: float, high: float, cells: int) -> Array:
    """The middles of equal cells between two numbers."""
    return low + (np.arange(cells) + 0.5) * (high - low) / cells


def grid(x_W: Array, y_H: Array) -> Array:
    """The points (H * W, 2) of a grid, row by row from below."""
    return np.stack(np.meshgrid(x_W, y_H), axis=-1).reshape(-1, 2)


def title_text(figure: "Figure") -> "Text":
    """A place for the title, which is drawn again for every fit."""
    return figure.text(0.5, 0.985, "", fontsize=FONT, ha="center", va="top", parse_math=False, animated=True)


def legend_above(figure: "Figure", axes: "Axes", markerscale: float = 1) -> None:
    """A legend in one line above the axes."""
    handles, labels = axes.get_legend_handles_labels()
    style: Style = LEGEND | {"ncols": len(labels), "markerscale": markerscale}
    figure.legend(handles, labels, loc="upper center", bbox_to_anchor=(0.5, TOP), **style)


def not_finite(values: Array) -> str:
    """What a notice says of predictions that are not finite, or nothing."""
    finite = np.isfinite(values)
    return "" if finite.all() else f"{'some' if finite.any() else 'the'} predictions are not finite"


def notice(axes: "Axes") -> "Text":
    """A box at the top of the axes for what the picture cannot show."""
    box = {"facecolor": "white", "edgecolor": VERMILION, "boxstyle": "round"}
    style: Style = {"ha": "center", "va": "top", "fontsize": FONT, "bbox": box, "zorder": 9, "animated": True}
    return axes.text(0.5, 0.93, "", transform=axes.transAxes, **style)


def dress(axes: "Axes", x: str, y: str, extent: tuple[float, float, float, float]) -> None:
    """Labels, limits (left, right, bottom, top) and size of text."""
    axes.set(xlim=extent[:2], ylim=extent[2:])
    axes.set_xlabel(x, fontsize=FONT, labelpad=2)
    axes.set_ylabel(y, fontsize=FONT, labelpad=2)
    axes.tick_params(labelsize=FONT - 1)
    axes.spines[["top", "right"]].set_visible(False)


def keep_inside(axes: "Axes") -> None:
    """Shrink the numbers of a y axis until its label is inside the picture; for axes that are where they stay."""
    renderer = canvas(axes.get_figure(root=True)).get_renderer()  # type: ignore[arg-type]
    for size in range(FONT - 1, SMALLEST - 1, -1):
        axes.tick_params(axis="y", labelsize=size)
        box = axes.yaxis.get_tightbbox(renderer)
        if box is None or box.x0 >= 0:
            return
