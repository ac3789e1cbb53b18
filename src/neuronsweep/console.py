"""Everything that is printed on the terminal: lines, tables, and a live progress bar.

A file or a pipe gets lines as long as they are. A terminal gets what fits into its width: nothing is cut, but columns
and values are left out, the least important first.
"""

import json
import math
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from neuronsweep import stopping
from neuronsweep.errors import Unwritable


class Terminal(Console):
    """rich's console, which stops the command when its output is closed by the reader."""

    def on_broken_pipe(self) -> None:
        if not stopping.reader_is_gone():
            super().on_broken_pipe()
        stopping.ask(signal.SIGPIPE)

    def _check_buffer(self) -> None:
        try:
            super()._check_buffer()
        except OSError as error:  # a file on a full disk, which is not a failure of the run
            raise Unwritable(f"the output cannot be written: {error.strerror}") from None


CONSOLE = Terminal()
# Between columns, and between values of a line.
GAP = "  "
# Of a live bar: the shortest bar, the time that remains, and the gaps around both.
BESIDE_VALUES = 4 + 7 + 3
# A terminal that is narrower shows no time that remains: one value needs the room.
NARROW = 60
SECONDS_BETWEEN_LOOKS = 0.05
# Where the output is no terminal, how far a command is stands in a line that is not older than this.
SECONDS_BETWEEN_LINES = 30.0
_last_line: float | None = None


def width() -> float:
    """Columns of the terminal; inf where the output is none, whatever COLUMNS or FORCE_COLOR say."""
    return shutil.get_terminal_size().columns if CONSOLE.file.isatty() else math.inf


def now_and_then(line: Callable[[], str]) -> None:
    """Say how far a command is where no live bar does, every half minute, the first time half a minute after it began.

    Args:
        line: makes what is said, when it is.
    """
    global _last_line
    now = time.monotonic()
    if _last_line is None or CONSOLE.is_terminal:
        _last_line = now
    elif now - _last_line >= SECONDS_BETWEEN_LINES:
        _last_line = now
        say(line())


class Bar:
    """A live bar from 0 to ``total`` with the latest values beside it; no terminal gets a line every half minute.

    Args:
        lines: whether it does; else the bar is a part of something that has a line of its own.
    """

    def __init__(self, what: str, total: int, lines: bool = True):
        self.what, self.total, self.began = what, total, time.monotonic()
        self.shown = self.began
        self.first: int | None = None
        self.lines = lines
        self.count = cell_len(f"{total}/{total} {what}")
        cut = Column(no_wrap=True, overflow="crop")  # a narrow terminal may have no ellipsis
        columns = (
            TextColumn("{task.completed}/{task.total} " + what, table_column=cut),
            BarColumn(),
            TextColumn("{task.fields[values]}", markup=False, table_column=cut.copy()),
            *([TimeRemainingColumn()] if width() >= NARROW else []),
        )
        self.progress = Progress(*columns, console=CONSOLE, disable=not CONSOLE.is_terminal, transient=True)
        self.task = self.progress.add_task("", total=total, values="")
        self.progress.start()

    def advance_to(self, done: int, values: str) -> None:
        """Move the bar and show values, the most important first, with two blanks between them: as many as fit.

        As often as an eye can see: thousands of runs end in a second, and each look at a terminal takes its time.
        """
        now = time.monotonic()
        if self.first is not None and now - self.shown < SECONDS_BETWEEN_LOOKS and done < self.total:
            return
        self.shown = now
        lines = _lines(values.split(GAP), width() - self.count - BESIDE_VALUES)
        self.progress.update(self.task, completed=done, values=lines[0])
        if self.first is None:  # what an earlier try of a run has done says nothing of the speed of this one
            self.first = done
        if self.lines:
            now_and_then(lambda: self._line(done, values))

    def _line(self, done: int, values: str) -> str:
        done_here = done - (self.first or 0)
        left = (time.monotonic() - self.began) * (self.total - done) / done_here if done_here > 0 else None
        told = [f"{done}/{self.total} {self.what}", values, f"{duration(left)} left" if left is not None else ""]
        return GAP.join(filter(None, told))

    def close(self) -> None:
        self.progress.stop()


def parameters(network: Any) -> None:
    """Print the names and shapes of a network's parameters."""
    rows = [(name, " x ".join(map(str, p.shape)), str(p.numel())) for name, p in network.named_parameters()]
    total = sum(p.numel() for p in network.parameters())
    table("parameter", ["shape", "count"], [*rows, ("total", "", str(total))])


def metrics(values: Mapping[str, float], splits: Iterable[str], directory: Path, objective: str) -> None:
    """Print a run's final metrics with a row for each split, then metrics of the fit, and the run directory."""
    rows: dict[str, dict[str, float]] = {split: {} for split in splits}
    fit: dict[str, float] = {}
    for name, value in values.items():
        split, _, metric = name.partition("/")
        if split in rows:
            rows[split][metric] = value
        else:
            fit[name] = value
    columns = list(dict.fromkeys(metric for row in rows.values() for metric in row))
    cells = [(split, *(number(row.get(c)) for c in columns)) for split, row in rows.items()]
    table("metrics", columns, cells, needed=[objective.partition("/")[2]])
    for line in _lines([f"{name} {number(value)}" for name, value in fit.items()], width()):
        say(line)
    say(f"run directory: {directory_name(directory)}")


def say(text: str) -> None:
    """Print one line as it is."""
    CONSOLE.print(Text(text), soft_wrap=True)


def say_last(text: str) -> None:
    """Print how to continue a command that was stopped; on stderr when its output has been closed."""
    if stopping.asked() == signal.SIGPIPE:
        print(text.strip(), file=sys.stderr, flush=True)
    else:
        say(text)


def table(title: str, columns: Sequence[str], rows: Sequence[tuple[str, ...]], needed: Sequence[str] = ()) -> None:
    """Print rows under a header, numbers to the right; every text is shown as it is.

    In a terminal that is too narrow for all columns the first one and those that are ``needed`` come first, then the
    others from left to right as long as they fit; which ones are left out is said.
    """
    header = (title, *columns)
    widths = [max(map(cell_len, column)) for column in zip(header, *rows, strict=True)]
    order = sorted(range(len(header)), key=lambda i: i > 0 and header[i] not in needed)
    shown, least, taken = set[int](), 1 + sum(name in needed for name in columns), -len(GAP)
    for i in order:
        taken += len(GAP) + widths[i]
        if len(shown) >= least and taken > width():
            break
        shown.add(i)
    for style, cells in [("bold", header), *(("", row) for row in rows)]:
        padded = [_padded(cells[i], widths[i], right=i > 0) for i in sorted(shown)]
        CONSOLE.print(Text(GAP.join(padded).rstrip(), style), soft_wrap=True)
    if left_out := [name for i, name in enumerate(header) if i not in shown]:
        say(f"columns for which this terminal is too narrow: {', '.join(left_out)}")


def _padded(text: str, width: int, right: bool) -> str:
    blanks = " " * (width - cell_len(text))
    return blanks + text if right else text + blanks


def _lines(values: Sequence[str], width: float) -> list[str]:
    """Values side by side in lines of a width, none of them broken."""
    lines: list[str] = []
    for value in values:
        if lines and cell_len(lines[-1] + GAP + value) <= width:
            lines[-1] += GAP + value
        else:
            lines.append(value)
    return lines


def number(value: float | None) -> str:
    """Four significant digits, or nothing."""
    return "" if value is None else f"{value:.4g}"


def numbers(runs: Sequence[int], shown: int = 20) -> str:
    """The numbers of runs, such as ``0, 3``; of many the first ones."""
    return ", ".join(map(str, runs[:shown])) + (", ..." if len(runs) > shown else "")


def duration(seconds: float) -> str:
    """``47 s``, ``3 min 20 s``, ``2 h 5 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def printable(text: str) -> str:
    """A text as a terminal may show it: what a directory holds is not always ours."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def brief(value: Any) -> str:
    """A plain value in one line that is not too long to read."""
    text = json.dumps(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def directory_name(directory: Path) -> str:
    """A directory as one would type it from here."""
    try:
        return str(directory.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(directory)
