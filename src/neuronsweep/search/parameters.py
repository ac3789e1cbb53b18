"""Hydra's choice, range and interval as parameters of Optuna."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from neuronsweep.launch.jobs import quoted

# A range of more values than this is not tried exhaustively.
COUNTABLE = 10**6

Value = str | int | float | bool | None


class Suggests(Protocol):
    """The part of optuna.Trial that a space uses."""

    params: Any

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any: ...
    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int: ...
    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float: ...


@dataclass(frozen=True)
class Choice:
    """One of several values.

    Attributes:
        values, texts: what Optuna is given, and the same as one would type it after ``KEY=``.
    """

    key: str
    values: tuple[Value, ...]
    texts: tuple[str, ...]

    def suggest(self, trial: Suggests) -> None:
        trial.suggest_categorical(self.key, self.values)

    def text(self, value: Any) -> str:
        return self.texts[self.values.index(value)]

    def holds(self, value: Any) -> bool:
        return value in self.values

    def edges(self) -> tuple[Value, ...]:
        return self.values

    def all(self) -> tuple[Value, ...]:
        return self.values


@dataclass(frozen=True)
class Numbers:
    """Numbers from ``low`` to ``high``, both included; ``step`` None: all of them."""

    key: str
    low: float
    high: float
    step: float | None
    log: bool
    whole: bool

    def suggest(self, trial: Suggests) -> None:
        if self.whole:
            trial.suggest_int(self.key, int(self.low), int(self.high), step=int(self.step or 1), log=self.log)
        else:
            trial.suggest_float(self.key, self.low, self.high, step=self.step, log=self.log)

    def text(self, value: Any) -> str:
        return repr(int(value) if self.whole else float(value))

    def holds(self, value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float) or not self.low <= value <= self.high:
            return False
        steps = (value - self.low) / self.step if self.step else 0
        return math.isclose(steps, round(steps), abs_tol=1e-9) and (not self.whole or value == int(value))

    def edges(self) -> tuple[float, float]:
        return self.low, self.high

    def all(self) -> tuple[float, ...] | None:
        """Every value, or None where they cannot be counted."""
        if self.step is None:
            return None
        count = round((self.high - self.low) / self.step) + 1
        if count > COUNTABLE:
            return None
        return tuple(self.low + i * self.step for i in range(count))


Dimension = Choice | Numbers


def as_typed(value: Any) -> str:
    """A value as one would type it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, list):
        return f"[{','.join(map(as_typed, value))}]"
    text = str(value)
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_./-]*", text) and text.lower() not in (
        "null",
        "true",
        "false",
        "nan",
        "inf",
    )
    if isinstance(value, str) and not plain:
        return quoted(text)
    return text


def words(dimension: Dimension) -> str:
    """What a dimension has to choose from."""
    if isinstance(dimension, Choice):
        return ", ".join(dimension.texts)
    return f"{dimension.low}..{dimension.high}"
