"""Formats the values of swept keys for a reader: in order, short, and not hundreds of them."""

import math
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

# More different numbers than this are a scale; fewer, and all words, have places of their own.
PLACES = 12
# Values that a sentence lists.
LISTED = 8
# Names that a sentence has.
NAMED = 4


def in_order(values: Sequence[str]) -> list[str]:
    """Different values in the order of their numbers, or in that of their first appearance where one is a word."""
    different = list(dict.fromkeys(values))
    try:
        return sorted(different, key=float)
    except ValueError:
        return different


def spread_out(values: Sequence[T], at_most: int) -> list[T]:
    """So many of the values, the first and the last among them."""
    if len(values) <= at_most:
        return list(values)
    return [values[round(i * (len(values) - 1) / (at_most - 1))] for i in range(at_most)]


def thinned(values: Sequence[T], at_most: int) -> Sequence[T]:
    """Every n-th of the values, so that there are no more than so many."""
    return values[:: max(1, -(-len(values) // at_most))]


def short(value: str) -> str:
    """Four digits of a number that has many, as one drawn by a search does; any other value as it is."""
    if len(value) <= 7 or "." not in value:
        return value
    try:
        return f"{float(value):.4g}"
    except ValueError:
        return value


def number(value: object) -> str:
    """Four significant digits; nothing for what is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        return ""
    return f"{value:.4g}"


def is_scale(values: Sequence[str]) -> bool:
    """Whether values are so many numbers that they are drawn on a scale, not each in a place of its own."""
    different = set(values)
    return len(different) > PLACES and all(is_number(value) for value in different)


def scale(values: Sequence[float]) -> str:
    """Logarithmic where the greatest of positive values is more than five times the least."""
    return "log" if values and min(values) > 0 and max(values) > 5 * min(values) else "linear"


def floor(values: Sequence[float]) -> float:
    """What is drawn of intervals of these results that reach further down: a logarithmic scale does not end at 0."""
    return min(values) / 2 if scale(values) == "log" else -math.inf


def listed(values: Sequence[str]) -> str:
    """The different values in words: "2, 8, 32" or "2 to 64"."""
    different = [short(value) for value in in_order(values)]
    if len(different) <= LISTED:
        return ", ".join(different)
    if all(is_number(value) for value in different):
        return f"{different[0]} to {different[-1]}"
    return f"{', '.join(different[: LISTED - 1])} and {len(different) - LISTED + 1} more"


def named(names: Sequence[str]) -> str:
    """Names in words: "A, B and C", of many the first."""
    if len(names) > NAMED:
        return f"{', '.join(names[:NAMED])} and {len(names) - NAMED} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True
