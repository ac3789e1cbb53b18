"""A small chart as SVG text: axes with round numbers, lines, bands and marks; colours follow the page it stands on."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
# Pixels of a text's height, and of a letter's width on average.
FONT, LETTER = 11, 6.2
# What the page and a file of its own both say of the elements here.
STYLE = """
svg.small text { font: 11px system-ui, sans-serif; fill: var(--text); }
svg.small text.pale { fill: var(--pale); }
svg.small path, svg.small line, svg.small use { fill: none; stroke-linejoin: round; }
svg.small .axis { stroke: var(--pale); stroke-width: 1; }
svg.small .ink { stroke: var(--text); }
svg.small .halo { stroke: var(--back); }
"""
COLOURS_OF_A_FILE = """
svg { --back: #fff; --text: #1c1f23; --pale: #5c6670; }
@media (prefers-color-scheme: dark) { svg { --back: #14171a; --text: #e8eaed; --pale: #a4adb6; } }
"""
# A mark around the place where a path is: of no length with round or square ends, or an outline.
MARKS = ("h0", "h0", "m0-2l1.9 3.3h-3.8z", "m0-2.4l2.1 2.4l-2.1 2.4l-2.1-2.4z", "m0 2l1.9-3.3h-3.8z")
CAPS = ("round", "square", "round", "round", "round")


@dataclass(frozen=True)
class Scale:
    """An axis of values; ``ticks`` are places with names, such as words have, else round numbers."""

    low: float
    high: float
    log: bool = False
    ticks: Sequence[tuple[float, str]] | None = None

    def share(self, values: ArrayLike) -> Array:
        """Where values are between the ends, 0 to 1; a logarithm of nothing is far below."""
        found = np.asarray(values, dtype=float)
        if not self.log:
            return (found - self.low) / (self.high - self.low)
        low, high = math.log10(self.low), math.log10(self.high)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.maximum((np.log10(found) - low) / (high - low), -10.0)

    def named(self, about: int) -> list[tuple[float, str]]:
        """About so many places with their names."""
        if self.ticks is not None:
            return [tick for tick in self.ticks if self.low <= tick[0] <= self.high]
        return [(value, f"{value:.6g}".replace("e-0", "e-").replace("e+0", "e")) for value in self._round(about)]

    def _round(self, about: int) -> list[float]:
        if self.log:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            powers = powers[:: max(1, len(powers) // about)]
            digits = (1,) if len(powers) > 3 else (1, 2, 5)
            values = [digit * 10.0**power for power in powers for digit in digits]
            return [value for value in values if self.low <= value <= self.high]
        size = (self.high - self.low) / about
        power = 10.0 ** math.floor(math.log10(size))
        step = next(digit * power for digit in (1, 2, 5, 10) if digit * power >= size)
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        return [float(f"{i * step:.10g}") for i in range(first, last + 1)]


class Plot:
    """Axes of so many pixels, and what is drawn on them, in order.

    Args:
        labels: of the x and the y axis; literal text.
        title: up to two lines above.
    """

    def __init__(self, size: tuple[int, int], x: Scale, y: Scale, labels: tuple[str, str], title: str = ""):
        self.x, self.y, self.labels, self.title, self.size = x, y, labels, title.splitlines(), size
        self.y_ticks = y.named(max(2, size[1] // 45))
        wide = max((len(name) for _, name in self.y_ticks), default=0)
        self.left = round(8 + LETTER * wide + (14 if labels[1] else 0))
        self.top, self.bottom = 8 + 13 * len(self.title), 20 + (13 if labels[0] else 0)
        self.width, self.height = size[0] - self.left - 10, size[1] - self.top - self.bottom
        self.drawn: list[str] = []

    def points(self, x: ArrayLike, y: ArrayLike) -> Array:
        """Pixels (N, 2) from the upper left corner of the axes, in tenths; far outside they stay within reach."""
        share = np.stack([self.x.share(x), 1 - self.y.share(y)], axis=-1)
        return np.rint(np.clip(share, -10, 11) * (self.width * 10, self.height * 10))

    def line(self, x: ArrayLike, y: ArrayLike, **style: str | float) -> None:
        """Join points, but for those that are not finite."""
        self.add(f'<path d="{lines([self.points(x, y)])}"{_style(style)}/>')

    def band(self, x: ArrayLike, low: ArrayLike, high: ArrayLike, colour: str) -> None:
        """Shade what lies between two lines."""
        around = np.concatenate([self.points(x, low), self.points(x, high)[::-1]])
        if np.isfinite(around).all():
            self.add(f'<path d="{lines([around])}z" style="fill:{colour};opacity:.18"/>')

    def marks(self, x: ArrayLike, y: ArrayLike, colour: str, shape: int = 0, size: float = 6) -> None:
        """A mark at every point that is finite."""
        self.add(f'<path d="{marks(self.points(x, y), shape)}"{mark_style(colour, shape, size)}/>')

    def add(self, element: str) -> None:
        """Add an element in pixels from the upper left corner of the axes; what reaches beyond them is cut off."""
        self.drawn.append(element)

    def svg(self, description: str = "") -> str:
        """The chart as an element."""
        width, height = self.size
        parts = [f'<svg class="small" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(description)}">']
        for i, text in enumerate(self.title):
            middle = self.left + self.width / 2
            parts.append(words(text, middle, 12 + 13 * i, "middle", room=width - 4))
        right, below = self.left + self.width, self.top + self.height
        parts.append(f'<svg x="{self.left}" y="{self.top}" width="{self.width}" height="{self.height}">')
        parts += [*self.drawn, "</svg>", f'<path class="axis" d="M{self.left} {self.top}V{below}H{right}']
        x_ticks = self.x.named(max(4, self.width // 60))
        x_at = [self.left + self.width * share for share in self.x.share([value for value, _ in x_ticks])]
        y_at = [below - self.height * share for share in self.y.share([value for value, _ in self.y_ticks])]
        parts += [f"M{at:.1f} {below}v3" for at in x_at] + [f"M{self.left} {at:.1f}h-3" for at in y_at] + ['"/>']
        room = self.width / max(1, len(x_ticks))
        for at, (_, name) in zip(x_at, x_ticks, strict=True):
            parts.append(words(name, at, below + 14, "middle", "pale", room + LETTER))
        for at, (_, name) in zip(y_at, self.y_ticks, strict=True):
            parts.append(words(name, self.left - 5, at + 4, "end", "pale"))
        parts.append(words(self.labels[0], self.left + self.width / 2, height - 4, "middle"))
        if self.labels[1]:
            turned = f'<g transform="translate(10 {self.top + self.height / 2:.1f}) rotate(-90)">'
            parts.append(turned + words(self.labels[1], 0, 0, "middle", room=self.height + 20) + "</g>")
        return "".join([*parts, "</svg>"])


@dataclass(frozen=True)
class Entry:
    """A line of a legend: its name, and an element of 20 x 12 pixels."""

    name: str
    sample: str


def sample_line(**style: str | float) -> str:
    return f'<path d="M1 6h18"{_style(style)}/>'


def sample_mark(colour: str, shape: int = 0, size: float = 6) -> str:
    return f'<path d="M10 6{MARKS[shape % len(MARKS)]}"{mark_style(colour, shape, size)}/>'


def sample_area(colour: str, opacity: float) -> str:
    return f'<rect x="2" y="1" width="16" height="10" style="fill:{colour};opacity:{opacity}"/>'


def legend(entries: Iterable[Entry], width: float, y: float) -> tuple[str, float]:
    """Entries in lines of so many pixels, and where the last line ends; the letters are measured by the eye."""
    x, parts = 8.0, []
    for entry in entries:
        wide = 26 + LETTER * len(entry.name) + 14
        if x + wide > width and x > 8:
            x, y = 8.0, y + 16
        parts.append(f'<g transform="translate({x:.1f} {y:.1f})">{entry.sample}{words(entry.name, 25, 10)}</g>')
        x += wide
    return "".join(parts), y + 20


def file(size: tuple[float, float], *parts: str) -> str:
    """A file of its own: light or dark as its reader wants it."""
    width, height = (round(length) for length in size)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" class="small" width="{width}" height="{height}"'
    back = '<rect width="100%" height="100%" style="fill:var(--back)"/>'
    style = f"<style>{COLOURS_OF_A_FILE}{STYLE}</style>"
    return f'{head} viewBox="0 0 {width} {height}">{style}{back}{"".join(parts)}</svg>\n'


def words(text: str, x: float, y: float, anchor: str = "start", kind: str = "", room: float = math.inf) -> str:
    """Literal text, cut where there is no room for it."""
    letters = max(4, int(room / LETTER)) if math.isfinite(room) else len(text)
    shown = text if len(text) <= letters else f"{text[: letters - 1]}…"
    kind = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{kind}>{escape(shown)}</text>'


def lines(those: Iterable[Array]) -> str:
    """A path along tenths of pixels (N, 2); what is not finite is a gap."""
    parts = []
    for points in those:
        for start, stop in _stretches(np.isfinite(points).min(axis=1, initial=True)):
            x, y = points[start].tolist()
            moved = np.diff(points[start:stop], axis=0)
            steps = moved[(moved != 0).any(axis=1)].tolist() or [(0.0, 0.0)]
            parts.append(f"M{_tenth(x)} {_tenth(y)}l" + "".join(f"{_tenth(a)} {_tenth(b)} " for a, b in steps).rstrip())
    return "".join(parts).replace(" -", "-")


def marks(points: Array, shape: int = 0) -> str:
    """A path with a mark at every one of tenths of pixels (N, 2)."""
    mark = MARKS[shape % len(MARKS)]
    found = points[np.isfinite(points).all(axis=1)].tolist()
    return "".join(f"M{_tenth(x)} {_tenth(y)}{mark}" for x, y in found)


def mark_style(colour: str, shape: int = 0, size: float = 6) -> str:
    cap = CAPS[shape % len(CAPS)]
    width, fill = (size if cap == "square" or MARKS[shape % len(MARKS)] == "h0" else size / 3), colour
    width = width * 0.85 if cap == "square" else width
    return f' style="stroke:{colour};fill:{fill};stroke-width:{width:.1f};stroke-linecap:{cap}"'


def _style(style: dict[str, str | float]) -> str:
    """Properties as an attribute; ``kind`` is a class."""
    kind = f' class="{style["kind"]}"' if "kind" in style else ""
    said = ";".join(f"{name.replace('_', '-')}:{value}" for name, value in style.items() if name != "kind")
    return f'{kind} style="{said}"'


def _tenth(value: float) -> str:
    """Tenths as a short number."""
    text = f"{value / 10:.1f}".removesuffix(".0")
    text = text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text
    return "0" if text == "-0" else text


def _stretches(finite: NDArray[Any]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], finite, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
