"""What is printed: whole numbers whatever the width, and in a narrow terminal the most important columns."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from neuronsweep import console

COLUMNS = ["model.hidden", "optimizer.lr", "val/loss", "spread"]
ROWS = [("1", "8", "0.0012345678901234567", "0.01056", "0.001234"), ("10", "größe [b]32", "0.1", "1.234e-05", "")]
CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def printed(monkeypatch):
    """The lines of a call: printed(80, console.table, ...) in a terminal of 80 columns, printed(None, ...) a file."""

    def printed(width, function, *arguments, **options) -> list[str]:
        # a file's width is its own matter, whatever the environment says
        monkeypatch.setenv("COLUMNS", str(width or 20))
        monkeypatch.setenv("FORCE_COLOR", "1")
        file = Terminal() if width else io.StringIO()
        monkeypatch.setattr(console, "CONSOLE", Console(file=file))
        function(*arguments, **options)
        return CODES.sub("", file.getvalue()).splitlines()

    return printed


def test_a_file_has_lines_as_long_as_they_are(printed):
    assert printed(None, console.table, "rank", COLUMNS, ROWS, needed=["val/loss"]) == [
        "rank  model.hidden           optimizer.lr   val/loss    spread",
        "1                8  0.0012345678901234567    0.01056  0.001234",
        "10     größe [b]32                    0.1  1.234e-05",
    ]
    wide = [f"key{i}" for i in range(200)]
    header, line = printed(None, console.table, "rank", wide, [("1", *wide)])
    assert header.split()[1:] == line.split()[1:] == wide


def test_a_narrow_terminal_has_fewer_columns_the_needed_ones_first(printed):
    def table(width):
        *lines, last = printed(width, console.table, "rank", COLUMNS, ROWS, needed=["val/loss"])
        return [line.split() for line in lines], last

    assert table(62)[1].startswith("10 ")  # exactly as wide as the table
    (header, first, _), left_out = table(61)
    assert header == ["rank", "model.hidden", "optimizer.lr", "val/loss"]
    assert first == ["1", "8", "0.0012345678901234567", "0.01056"]
    assert left_out == "columns for which this terminal is too narrow: spread"
    assert table(51)[0][0] == ["rank", "model.hidden", "val/loss"]
    for width in (15, 5):  # what is needed is shown whole, even where the terminal has to break it
        assert table(width)[0] == [["rank", "val/loss"], ["1", "0.01056"], ["10", "1.234e-05"]]
    assert max(map(len, printed(51, console.table, "rank", COLUMNS, ROWS, needed=["val/loss"])[:-1])) <= 51


def test_a_table_without_rows_has_a_header(printed):
    assert printed(80, console.table, "rank", COLUMNS, []) == ["rank  model.hidden  optimizer.lr  val/loss  spread"]


def test_metrics_keep_the_objective_and_break_no_number(printed):
    values = {"train/mae": 0.1, "train/loss": 1.5e-12, "train/r2": 0.25, "params": 25.0, "truth/inside": 0.0008808}
    arguments = (values, ["train"], Path("/nowhere"), "val/loss")
    lines = printed(25, console.metrics, *arguments)
    assert lines[:2] == ["metrics  mae     loss", "train    0.1  1.5e-12"]
    assert lines[3:] == ["params 25", "truth/inside 0.0008808", "run directory: /nowhere"]
    assert printed(None, console.metrics, *arguments)[2] == "params 25  truth/inside 0.0008808"


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_a_bar_shows_whole_values_the_first_ones(printed, width):
    def show() -> None:
        bar = console.Bar("epochs", 3000)
        bar.advance_to(1500, "val/loss 0.02345  train/loss 0.01789  outer/loss 2.345")
        bar.close()

    last = next(line for line in reversed(printed(width, show)) if "1500" in line)
    assert "1500/3000 epochs" in last
    assert "…" not in last
    assert "val/loss 0.02345 " in f"{last} "
    assert ("outer/loss 2.345" in last) == (width > 80)
