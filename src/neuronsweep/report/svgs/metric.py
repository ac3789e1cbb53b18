"""The objective against one swept key as a picture for report.md."""

import math
from collections.abc import Sequence

from neuronsweep.report.charts.axes import COLOURS
from neuronsweep.report.charts.metric import LINES, axes_of, best_of, lines
from neuronsweep.report.data.configurations import Configuration
from neuronsweep.report.data.formatting import floor, in_order, is_scale, scale, short, spread_out
from neuronsweep.report.data.sweep import SweepReport
from neuronsweep.report.svgs.plot import Entry, Plot, Scale, file, legend, sample_mark

SIZE = (720, 380)


def metric_svg(sweep: SweepReport) -> str | None:
    """The objective against one swept key, a line a value of another, with 95% intervals over replicates.

    Every trial of a search has a point of its own: a mean over what it did not vary with the key would say nothing.
    """
    across, down = axes_of(sweep)
    if across is None or not sweep.configurations:
        return None
    names = in_order([str(row[across]) for row in sweep.complete() if sweep.metric in row])
    named = _points(sweep)
    drawn = [c.mean for points in named.values() for _, c in points if math.isfinite(c.mean)]
    if not names or not drawn:
        return None
    if is_scale(names):
        place = {name: float(name) for name in names}
        x = scale_of(list(place.values()))
    else:
        place = {name: float(i) for i, name in enumerate(names)}
        x = Scale(-0.5, len(names) - 0.5, ticks=[(i, short(name)) for i, name in enumerate(names)])
    ends = [end for points in named.values() for _, c in points for end in (c.summary.low, c.summary.high)]
    least = floor(drawn)
    y = scale_of(drawn, [max(end, least) for end in ends if math.isfinite(end)])
    title = best_of(sweep).removeprefix(", ") if not sweep.is_search else ""
    plot = Plot(SIZE, x, y, (across, sweep.metric), title)
    entries = []
    for i, (name, points) in enumerate(named.items()):
        colour = COLOURS[i % len(COLOURS)]
        at, results = [place[tick] for tick, _ in points], [c.mean for _, c in points]
        summaries = [c.summary for _, c in points]
        if any(s.has_interval for s in summaries):
            plot.band(at, [max(s.low, least) for s in summaries], [s.high for s in summaries], colour)
        if not sweep.is_search:
            plot.line(at, results, stroke=colour, stroke_width=1.8)
        plot.marks(at, results, colour, i)
        entries.append(Entry(short(name), sample_mark(colour, i)))
    below = plot.svg(f"{sweep.metric} against {across}")
    return under_legend(entries if down else [], [below])


def under_legend(entries: Sequence[Entry], charts: Sequence[str], size: tuple[int, int] = SIZE) -> str:
    """A file of charts beside each other, a legend above them."""
    key, top = legend(entries, len(charts) * size[0], 6) if entries else ("", 4.0)
    where = f'y="{top:g}" width="{size[0]}" height="{size[1]}"'
    placed = [chart.replace("<svg ", f'<svg x="{i * size[0]}" {where} ', 1) for i, chart in enumerate(charts)]
    return file((len(charts) * size[0], top + size[1]), key, *placed)


def scale_of(values: Sequence[float], ends: Sequence[float] = ()) -> Scale:
    """A scale on which values, and the ends of their intervals, have some room around them."""
    low, high = min([*values, *ends]), max([*values, *ends])
    if scale(values) == "log" and low > 0:
        return Scale(low / (high / low) ** 0.04, high * (high / low) ** 0.04, log=True)
    more = (high - low) * 0.05 or abs(low) * 0.05 or 1.0
    return Scale(low - more, high + more)


def _points(sweep: SweepReport) -> dict[str, list[tuple[str, Configuration]]]:
    across, down = axes_of(sweep)
    assert across is not None
    if not sweep.is_search:
        return {name: list(line.items()) for name, line in lines(sweep, sweep.metric, sweep.mode).items()}
    names = spread_out(in_order([c.values[down] for c in sweep.configurations]), LINES) if down else [""]
    return {
        name: [(c.values[across], c) for c in sweep.configurations if not down or c.values[down] == name]
        for name in names
    }
