"""The space of a search: Hydra's choice, range and interval as Optuna's dimensions, typed by the config's schemas."""

import importlib
import itertools
import math
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, get_args

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, QuotedString, RangeSweep, Transformer

from neuronsweep.config import known_keys
from neuronsweep.errors import UserError
from neuronsweep.record import flatten

# A conditional space is looked at along so many of its paths before the first trial.
PATHS = 1000

Value = str | int | float | bool | None


class Suggests(Protocol):
    """The part of optuna.Trial that a space asks."""

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
        return tuple(self.low + i * self.step for i in range(count))


Dimension = Choice | Numbers


@dataclass(frozen=True)
class Space:
    """What a search may try.

    Attributes:
        dimensions: asked of every trial.
        function: asks a trial for more, as it likes; ``name`` is where it was found.
        keys: of the dimensions, then those that the function asked for on any path that was looked at.
    """

    dimensions: tuple[Dimension, ...]
    function: Callable[[Any], object] | None
    name: str | None
    keys: tuple[str, ...]

    def suggest(self, trial: Suggests) -> dict[str, Any]:
        """Ask a trial for all its parameters."""
        for dimension in self.dimensions:
            dimension.suggest(trial)
        if self.function:
            self.function(trial)
        return dict(trial.params)

    def overrides(self, params: Mapping[str, Any]) -> list[str]:
        """Parameters as one would type them, always in the same order."""
        known = {dimension.key: dimension for dimension in self.dimensions}
        order = [*self.keys, *sorted(params.keys() - set(self.keys))]
        return [f"{key}={(known[key].text if key in known else _text)(params[key])}" for key in order if key in params]

    def probes(self) -> list[list[str]]:
        """Jobs that together have every choice and both ends of every range."""
        seen: set[str] = set()
        probes = []
        for path in self._paths("edges", PATHS):
            job = self.overrides({dimension.key: value for dimension, value in path})
            if not seen.issuperset(job):
                seen.update(job)
                probes.append(job)
        return probes

    def size(self, most: int) -> int | None:
        """How many different trials there are, at most ``most``; None where they cannot be counted."""
        if not self.function:
            sizes = [dimension.all() for dimension in self.dimensions]
            counts = [len(values) for values in sizes if values is not None]
            return min(most, math.prod(counts)) if len(counts) == len(sizes) else None
        paths = list(itertools.islice(self._paths("all", most), most))
        countable = all(dimension.all() is not None for path in paths for dimension, _ in path)
        return len(paths) if countable else None

    def check_guess(self, guess: Mapping[str, Any]) -> None:
        """Raise UserError for a first guess that is not in the space."""
        known = {dimension.key: dimension for dimension in self.dimensions}
        for key, value in guess.items():
            if key not in self.keys:
                raise UserError(f"hydra.sweeper.enqueue is not allowed: {key} is not in the space {_listed(self.keys)}")
            if key in known and not known[key].holds(value):
                raise UserError(f"hydra.sweeper.enqueue is not allowed: {key}={value} is not in {_words(known[key])}")

    def describe(self) -> list[dict[str, Any]]:
        """The space as plain values, equal for equal spaces."""
        described = [{**asdict(dimension)} for dimension in self.dimensions]
        for one in described:
            one.pop("values", None)
        named = [{"function": self.name}] if self.name else []
        return [{k: list(v) if isinstance(v, tuple) else v for k, v in one.items()} for one in [*described, *named]]

    def _paths(self, which: str, most: int) -> Iterator[list[tuple[Dimension, Any]]]:
        """Sequences of answers to what a trial asks, those near the first answers first."""
        waiting: deque[list[int]] = deque([[]])
        for _ in range(most):
            if not waiting:
                return
            answers = waiting.popleft()
            path = _Path(answers, which)
            for dimension in self.dimensions:
                dimension.suggest(path)
            if self.function:
                self.function(path)
            yield path.taken
            if not self.function and which == "edges":
                # without conditions the other values of each dimension are enough, beside the first of the rest
                if not answers:
                    counts = enumerate(path.counts)
                    waiting.extend([0] * at + [i] for at, count in counts for i in range(1, count))
                continue
            for at in range(len(answers), len(path.counts)):
                waiting.extend([*answers, *[0] * (at - len(answers)), i] for i in range(1, path.counts[at]))


class _Path:
    """Stands for a trial while a space is looked at: answers what it is told to, then always the first value."""

    number = 0

    def __init__(self, answers: Sequence[int], which: str):
        self.answers, self.which = answers, which
        self.params: dict[str, Any] = {}
        self.taken: list[tuple[Dimension, Any]] = []
        self.counts: list[int] = []

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._answer(Choice(name, tuple(choices), tuple(map(_text, choices))))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        return self._answer(Numbers(name, low, high, step, log, whole=True))

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        return self._answer(Numbers(name, low, high, step, log, whole=False))

    def _answer(self, dimension: Dimension) -> Any:
        if dimension.key in self.params:
            return self.params[dimension.key]
        values = (dimension.all() if self.which == "all" else None) or dimension.edges()
        values = tuple(dict.fromkeys(values))
        at = len(self.taken)
        value = values[self.answers[at] if at < len(self.answers) else 0]
        self.params[dimension.key] = value
        self.taken.append((dimension, value))
        self.counts.append(len(values))
        return value


def read(
    loader: ConfigLoader, params: Mapping[str, Any], function: str | None, arguments: Sequence[str]
) -> tuple[Space, list[str]]:
    """The space of a search and the fixed overrides, from hydra.sweeper.params and the words of the command line.

    Raises UserError for a space that is empty or cannot be, and for a key of it that is fixed too.
    """
    texts = {key: _params_text(value) for key, value in flatten(params).items() if value is not None}
    parser = OverridesParser.create(config_loader=loader)
    declared = parser.parse_overrides([f"{key}={text}" for key, text in texts.items()])
    typed = parser.parse_overrides(list(arguments))
    swept = {override.get_key_element(): override for override in declared}
    swept |= {override.get_key_element(): override for override in typed if override.is_sweep_override()}
    fixed = [override for override in typed if not override.is_sweep_override()]
    for override in fixed:
        key = override.get_key_element().lstrip("+")
        if key in swept:
            where = f"; hydra.sweeper.params.{key}=null takes it out" if key in texts else ""
            raise UserError(f"{override.input_line} is not allowed: {key} is searched for{where}")
    dimensions = tuple(_dimension(override) for override in swept.values())
    found = _function(function) if function else None
    space = Space(dimensions, found, function, tuple(dimension.key for dimension in dimensions))
    if found:
        asked = [dimension.key for path in _walk(space) for dimension, _ in path]
        space = Space(dimensions, found, function, tuple(dict.fromkeys([*space.keys, *asked])))
    if not space.keys:
        raise UserError(
            "the space of the search is empty: give it keys such as 'optimizer.lr=tag(log,interval(1e-4,1e-1))' "
            "or model.act=relu,tanh, or choose sweep=optuna"
        )
    reserved = [key for key in space.keys if key.startswith(("objective.", "hydra.", "hydra/", "sweep"))]
    if reserved:
        raise UserError(f"{reserved[0]} is not allowed in the space: it says how to search")
    return space, [override.input_line or "" for override in fixed]


def _walk(space: Space) -> list[list[tuple[Dimension, Any]]]:
    try:
        return list(space._paths("edges", PATHS))
    except Exception as error:
        raise UserError(f"hydra.sweeper.space={space.name} is not allowed: it raised {error!r}") from None


def _function(name: str) -> Callable[[Any], object]:
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f"hydra.sweeper.space={name} is not allowed: {error}") from None
    if not callable(found):
        raise UserError(f"hydra.sweeper.space={name} is not allowed: it is no function")
    return found


def _params_text(value: Any) -> str:
    """A value of hydra.sweeper.params as on the command line; a list is a choice."""
    return f"choice({','.join(map(_text, value))})" if isinstance(value, list) else str(value)


def _dimension(override: Override) -> Dimension:
    key, line = override.get_key_element(), override.input_line or ""
    value = override.value()
    known = {name: (kind, allowed) for name, kind, allowed in known_keys()}
    kind, allowed = known.get(key, (Any, None))
    kinds = get_args(kind) or (kind,)

    def refuse(why: str) -> UserError:
        return UserError(f"{line} is not allowed: {why}")

    tags: set[str] = getattr(value, "tags", set())
    if tags - {"log"}:
        raise refuse(f"{', '.join(sorted(tags - {'log'}))} is no tag of a space; log is")
    log = "log" in tags
    numbers = isinstance(value, IntervalSweep | RangeSweep)
    if not override.is_sweep_override():
        raise refuse(f"{key} in hydra.sweeper.params is choice(...), range(...), interval(...) or a list")
    if not numbers:
        if log:
            raise refuse("log is for interval and range")
        values = {_encoded(one): _plain(one) for one in override.sweep_iterator(transformer=Transformer.identity)}
        return Choice(key, tuple(values.values()), tuple(values))
    if kind is not Any and not {int, float} & set(kinds):
        raise refuse(f"{key} is {allowed.words if allowed else kind.__name__}")
    low, high, step = _bounds(value, refuse)
    whole = int in kinds or (kind is Any and all(isinstance(v, int) for v in (low, high, step or 1)))
    if whole and any(v != int(v) for v in (low, high, step or 1)):
        raise refuse(f"{key} is {allowed.words if allowed else 'a whole number'}")
    if log and not low > 0:
        raise refuse(f"low is {low}, and a logarithmic range needs low > 0")
    if log and step not in (None, 1):
        raise refuse("a logarithmic range has no step")
    if whole:
        return Numbers(key, int(low), int(high), int(step or 1), log, whole)
    return Numbers(key, float(low), float(high), None if step is None or log else float(step), log, whole)


def _bounds(value: Any, refuse: Callable[[str], UserError]) -> tuple[float, float, float | None]:
    """Lowest and highest value and the step, None for an interval."""
    if isinstance(value, IntervalSweep):
        low, high = value.start, value.end
        assert low is not None
        assert high is not None
        if not (math.isfinite(low) and math.isfinite(high)):
            raise refuse("low and high are finite numbers")
        if low > high:
            raise refuse(f"low is {low} and high is {high}: low must not be greater than high")
        return low, high, None
    if not value.step:
        raise refuse("the step is 0")
    values = sorted(value.range())
    if not values:
        raise refuse(f"there is no number from {value.start} to {value.stop} by {value.step}")
    return values[0], values[-1], abs(value.step)


def _plain(value: Any) -> Value:
    if isinstance(value, QuotedString):
        return value.text
    return value if value is None or isinstance(value, str | int | float) else _encoded(value)


def _encoded(value: Any) -> str:
    return _text(value) if isinstance(value, bool) else str(Transformer.encode(value))


def _text(value: Any) -> str:
    """A value as one would type it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return repr(value)
    text = str(value)
    if isinstance(value, str) and not re.fullmatch(r"[A-Za-z_][\w./-]*", text):
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return text


def _words(dimension: Dimension) -> str:
    if isinstance(dimension, Choice):
        return _listed(dimension.texts)
    return f"{dimension.low}..{dimension.high}"


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words)
