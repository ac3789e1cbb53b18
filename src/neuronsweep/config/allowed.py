"""Which values a key may have: a test for the value, and words for the error message."""

import difflib
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Allowed:
    """Which values a key may have, as a test and in words.

    Attributes:
        choices: the words among them.
        kind: type of one value of a key that takes a list of them, too, or what else the schemas' own types cannot say.
    """

    test: Callable[[Any], bool]
    words: str
    choices: tuple[str, ...] = ()
    kind: type | None = None


def key(default: Any, allowed: Allowed) -> Any:
    """A field of a schema that is checked."""
    if isinstance(default, list):
        return field(default_factory=default.copy, metadata={"allowed": allowed})
    return field(default=default, metadata={"allowed": allowed})


def whole(low: int) -> Allowed:
    """Whole numbers from ``low`` on."""
    return Allowed(lambda value: value >= low, f"a whole number >= {low}")


def one_of(*choices: str) -> Allowed:
    """These words."""
    return Allowed(lambda value: value in choices, "one of " + ", ".join(choices), choices)


def only(word: str) -> Allowed:
    """This word, which tells a file of a group from the others."""
    return Allowed(lambda value: value == word, f"{word} in the file chosen here", (word,))


def one_or_each(each: Callable[[Any], bool], kind: type, words: str, choices: tuple[str, ...] = ()) -> Allowed:
    """A value for all hidden layers, or a list with one for each hidden layer."""

    def test(value: Any) -> bool:
        listed = isinstance(value, Sequence) and not isinstance(value, str)
        return len(value) > 0 and all(map(each, value)) if listed else each(value)

    return Allowed(test, f"{words}, or a list with one for each hidden layer", choices, kind)


POSITIVE = Allowed(lambda value: 0 < value < math.inf, "a finite number > 0")
NOT_NEGATIVE = Allowed(lambda value: 0 <= value < math.inf, "a finite number >= 0")
FRACTION = Allowed(lambda value: 0 <= value < 1, "a number >= 0 and < 1")
QUANTILE = Allowed(lambda value: 0 < value < 1, "a number > 0 and < 1")
START_FACTOR = Allowed(lambda value: 0 < value <= 1, "a number > 0 and <= 1")
END_FACTOR = Allowed(lambda value: 0 <= value <= 1, "a number >= 0 and <= 1")
FINITE = Allowed(math.isfinite, "a finite number")
SEED = Allowed(lambda value: 0 <= value < 2**32, "a whole number >= 0 and < 2**32")
BATCH_SIZE = Allowed(
    lambda value: value == "full" or (type(value) is int and value >= 1), "full or a whole number >= 1"
)
PICTURES = Allowed(
    lambda value: value == "all" or (type(value) is int and value >= 0), "all or a whole number >= 0", ("all",)
)
BETAS = Allowed(lambda value: len(value) == 2 and all(0 <= b < 1 for b in value), "two numbers >= 0 and < 1")
CLASS_WEIGHTS = Allowed(
    lambda value: (
        value in (None, "balanced")
        or (not isinstance(value, str) and len(value) > 1 and all(0 < w < math.inf for w in value))
    ),
    "null, balanced, or a list of finite numbers > 0, one a class",
    ("balanced",),
    list,
)
COLUMNS = Allowed(
    lambda value: not isinstance(value, str) or bool(value), "the name of a column, or a list of such names"
)
FORMULA = Allowed(
    lambda value: value is None or not isinstance(value, dict), "a formula in quotes, or a list of formulas"
)
INTERVAL = Allowed(
    lambda value: len(value) == 2 and -math.inf < value[0] < value[1] < math.inf, "null or two numbers, the less first"
)
BOOL = Allowed(lambda value: True, "true or false")


def nearest(word: str, words: Iterable[str]) -> str:
    """``; did you mean X?`` for the word that is most like this one, or nothing."""
    match = difflib.get_close_matches(word, list(words), n=1, cutoff=0.5)
    return f"; did you mean {match[0]}?" if match else ""
