"""Small tables that tests write, and what commands answer to wrong ones."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuronsweep.errors import UserError

ISLANDS = ("isle", "north", "south")
SPECIES = ("adelie", "chinstrap", "gentoo")
HEADER = ("id", "bill", "depth", "flipper", "mass", "height", "island", "species")


def write(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Write a CSV file and return its path as a command would name it."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return str(path)


def birds(n: int = 120, seed: int = 0) -> list[list[Any]]:
    """Rows of an id, five numbers and a word, with blanks and a rare word, and one of three classes."""
    rng = np.random.default_rng(seed)
    rows: list[list[Any]] = []
    for i in range(n):
        k = i % 3
        numbers = [f"{value:.4f}" for value in (*rng.normal(k, 0.7, 4), 100 * k + 50 * rng.normal())]
        island = "atoll" if i in (4, 50) else ISLANDS[rng.integers(3)]
        row = [1000 + 7 * i, *numbers, island, SPECIES[k]]
        for place in (1, 3, 6):
            if rng.random() < 0.08:
                row[place] = ""
        rows.append(row)
    return rows


def refusal(composed: Any, *words: str) -> str:
    """The one line with which a command is refused before anything is trained."""
    with pytest.raises(UserError) as caught:
        composed(*words)
    message = str(caught.value)
    assert "\n" not in message
    return message
