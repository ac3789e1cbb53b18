"""What all interactive charts share: colours, axes, and the place of titles and text."""

import math
from collections.abc import Sequence, Sized
from typing import Any

from neuronsweep.report.data.formatting import in_order, is_scale, scale

# data and layout are plotly.js's; title and text stand above and below; runs is there where every point's customdata
# is the number of its run, and a click finds it in the table.
Chart = dict[str, Any]

# After Okabe and Ito, Color Universal Design (2008): without yellow and black, which one of two backgrounds hides, and
# with a lighter blue for the dark one.
COLOURS = ("#2f8fd0", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#999999")
# Dark to light: as Viridis, without its ends, which one of two backgrounds hides.
DARK_TO_LIGHT = ("#46528b", "#365d8d", "#2b758e", "#228c8d", "#1fa287", "#37b878", "#67cc5c", "#a2da37")
SCALE = [[i / (len(DARK_TO_LIGHT) - 1), colour] for i, colour in enumerate(DARK_TO_LIGHT)]
DASHES = ("solid", "dash", "dot", "dashdot")
# Points that a chart shows of larger sweeps.
POINTS = 2000


def value_axis(title: str, values: Sequence[float]) -> Chart:
    """An axis for results; a logarithmic one of a few powers of ten has a label at each."""
    axis: Chart = {"title": {"text": title}, "type": scale(values)}
    if axis["type"] == "linear":
        return axis
    if max(values) > 1e6 * min(values):
        return axis | {"exponentformat": "power"}
    if max(values) > 100 * min(values):
        return axis | {"dtick": 1, "exponentformat": "power"}
    # plotly.js would write 2 and 5 without their power
    low, high = min(values) / 2, max(values) * 2
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [digit * 10.0**power for power in powers for digit in (1, 2, 5) if low < digit * 10.0**power < high]
    return axis | {"tickvals": ticks, "ticktext": [f"{tick:.3g}" for tick in ticks]}


def line_mode(points: Sized) -> str:
    """How plotly.js draws a curve: one point alone is no line, and would not be seen."""
    return "lines" if len(points) > 1 else "lines+markers"


def on_scale(values: Sequence[float]) -> tuple[list[float], Chart]:
    """Values for a colour or an axis that plotly.js has no logarithm of, and its labels."""
    if scale(values) == "linear":
        return list(values), {}
    low, high = min(values), max(values)
    ticks = [low * (high / low) ** (i / 5) for i in range(6)]
    labels = {"tickvals": [math.log10(tick) for tick in ticks], "ticktext": [f"{tick:.2g}" for tick in ticks]}
    return [math.log10(value) for value in values], labels


def key_axis(key: str, values: Sequence[str]) -> Chart:
    """An axis for a swept key: a place for each of its values, or a scale for very many numbers."""
    if is_scale(values):
        return {"title": {"text": key}, "type": scale([float(value) for value in values])}
    # in the order of the values, not in that in which plotly.js sees them
    order = {"categoryorder": "array", "categoryarray": in_order(values)}
    return {"title": {"text": key}, "type": "category", **order}
