"""Which values a key of a config may have, as a test and in words."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Allowed:
    """Which values a key may have, as a test and in words."""

    test: Callable[[Any], bool]
    words: str
    choices: tuple[str, ...] = ()


def key(default: Any, allowed: Allowed) -> Any:
    """A field of a schema that is checked."""
    return field(default=default, metadata={"allowed": allowed})


def whole(low: int) -> Allowed:
    """Whole numbers from ``low`` on."""
    return Allowed(lambda value: value >= low, f"a whole number >= {low}")


def one_of(*choices: str) -> Allowed:
    """These words."""
    return Allowed(lambda value: value in choices, "one of " + ", ".join(choices), choices)


POSITIVE = Allowed(lambda value: 0 < value < math.inf, "a finite number > 0")
NOT_NEGATIVE = Allowed(lambda value: 0 <= value < math.inf, "a finite number >= 0")
FRACTION = Allowed(lambda value: 0 <= value < 1, "a number >= 0 and < 1")
FINITE = Allowed(math.isfinite, "a finite number")
SEED = Allowed(lambda value: 0 <= value < 2**32, "a whole number >= 0 and < 2**32")
BATCH_SIZE = Allowed(
    lambda value: value == "full" or (type(value) is int and value >= 1), "full or a whole number >= 1"
)
BETAS = Allowed(lambda value: len(value) == 2 and all(0 <= b < 1 for b in value), "two numbers >= 0 and < 1")
BOOL = Allowed(lambda value: True, "true or false")
