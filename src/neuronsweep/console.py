"""What a run shows on the terminal: the network, a live bar, the metrics."""

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

CONSOLE = Console()


class Bar:
    """A live bar from 0 to ``total`` with the latest values beside it; silent where the output is no terminal."""

    def __init__(self, what: str, total: int):
        columns = (
            TextColumn("{task.completed}/{task.total} " + what),
            BarColumn(),
            TextColumn("{task.fields[values]}", markup=False),
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
    from neuronsweep.sweeps.words import needs_trust  # late: what needs no command needs no check

    trust = ["--trust"] if needs_trust(directory) else []
    return shlex.join(["python", "scripts/resume.py", directory_name(directory), *trust])


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
