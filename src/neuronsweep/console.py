"""What a run shows on the terminal: the network, a live bar, the metrics."""

import json
import shlex
import signal
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table
from rich.text import Text

from neuronsweep import stopping
from neuronsweep.errors import Unwritable


class Terminal(Console):
    """rich's console; when nobody reads any more what it prints, the command is asked to stop."""

    def on_broken_pipe(self) -> None:
        if not stopping.reader_is_gone():
            super().on_broken_pipe()
        stopping.ask(signal.SIGPIPE)

    def _check_buffer(self) -> None:
        try:
            super()._check_buffer()
        except OSError as error:  # a file on a full disk: no fault of the run that is told of
            raise Unwritable(f"the output cannot be written: {error.strerror}") from None


CONSOLE = Terminal()


class Bar:
    """A live bar from 0 to ``total`` with the latest values beside it; silent where the output is no terminal."""

    def __init__(self, what: str, total: int):
        cut = Column(no_wrap=True, overflow="crop")  # a narrow terminal may have no ellipsis
        columns = (
            TextColumn("{task.completed}/{task.total} " + what, table_column=cut),
            BarColumn(),
            TextColumn("{task.fields[values]}", markup=False, table_column=cut.copy()),
            TimeRemainingColumn(),
        )
        self.progress = Progress(*columns, console=CONSOLE, disable=not CONSOLE.is_terminal, transient=True)
        self.task = self.progress.add_task("", total=total, values="")
        self.progress.start()

    def advance_to(self, done: int, values: str) -> None:
        self.progress.update(self.task, completed=done, values=values)

    def close(self) -> None:
        self.progress.stop()


def parameters(network: Any) -> None:
    """Print the names and shapes of a network's parameters."""
    rows = [(name, " x ".join(map(str, p.shape)), str(p.numel())) for name, p in network.named_parameters()]
    total = sum(p.numel() for p in network.parameters())
    table("parameter", ["shape", "count"], [*rows, ("total", "", str(total))])


def metrics(values: Mapping[str, float], splits: Iterable[str], directory: Path) -> None:
    """Print a run's final metrics, one row a split, then what the fit is, and where all of it is kept."""
    rows: dict[str, dict[str, float]] = {split: {} for split in splits}
    fit: dict[str, float] = {}
    for name, value in values.items():
        split, _, metric = name.partition("/")
        if split in rows:
            rows[split][metric] = value
        else:
            fit[name] = value
    columns = list(dict.fromkeys(metric for row in rows.values() for metric in row))
    table("metrics", columns, [(split, *(number(row.get(c)) for c in columns)) for split, row in rows.items()])
    say("  ".join(f"{name} {number(value)}" for name, value in fit.items()))
    say(f"run directory: {directory_name(directory)}")


def say(text: str) -> None:
    """Print one line as it is."""
    CONSOLE.print(Text(text), soft_wrap=True)


def say_last(text: str) -> None:
    """Print how a command that was asked to stop goes on; on stderr where nobody reads its output any more."""
    if stopping.asked() == signal.SIGPIPE:
        print(text.strip(), file=sys.stderr, flush=True)
    else:
        say(text)


def table(title: str, columns: Sequence[str], rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows under a header; every text is shown as it is."""
    grid = Table(box=None, pad_edge=False, header_style="bold")
    grid.add_column(Text(title))
    for column in columns:
        grid.add_column(Text(column), justify="right", no_wrap=True)
    for row in rows:
        grid.add_row(*(Text(cell) for cell in row))
    # as wide as it is: a terminal breaks long lines, and a file keeps them
    wide = Measurement.get(CONSOLE, CONSOLE.options.update(max_width=10_000), grid).maximum
    CONSOLE.print(grid, width=wide, crop=False, no_wrap=True, overflow="ignore")


def number(value: float | None) -> str:
    """Four significant digits, or nothing."""
    return "" if value is None else f"{value:.4g}"


def resume_command(directory: Path) -> str:
    """The command line that goes on with a run or sweep."""
    return shlex.join(["python", "scripts/resume.py", directory_name(directory)])


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
