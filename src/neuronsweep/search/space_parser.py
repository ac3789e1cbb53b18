"""Reads the space of a search from config and command line, with the types of the schemas."""

import importlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, QuotedString, RangeSweep, Transformer

from neuronsweep.config.check import known_keys
from neuronsweep.errors import UserError
from neuronsweep.runs.record import flatten
from neuronsweep.search.parameters import COUNTABLE, Choice, Dimension, Numbers, Value, as_typed
from neuronsweep.search.space import Space


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
    dimensions = tuple(_dimension(override) for override in swept.values())
    found = _function(function) if function else None
    space = Space(dimensions, found, function, tuple(dimension.key for dimension in dimensions))
    if found:
        space = Space(dimensions, found, function, tuple(dict.fromkeys([*space.keys, *space.asked()])))
    if not space.keys:
        raise UserError(
            "the space of the search is empty: give it keys such as 'optimizer.lr=tag(log,interval(1e-4,1e-1))' "
            "or model.act=relu,tanh, or choose sweep=optuna"
        )
    for override in fixed:
        key = override.get_key_element().lstrip("+")
        if key in space.keys:
            where = f"; hydra.sweeper.params.{key}=null takes it out" if key in texts else ""
            raise UserError(f"{override.input_line} is not allowed: {key} is searched for{where}")
    reserved = [key for key in space.keys if key.startswith(("objective.", "hydra.", "hydra/", "sweep"))]
    if reserved:
        raise UserError(f"{reserved[0]} is not allowed in the space: it says how to search")
    return space, [override.input_line or "" for override in fixed]


def _function(name: str) -> Callable[[Any], object]:
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (Exception, SystemExit) as error:  # whatever the import of a user's module raises
        raise UserError(f"hydra.sweeper.space={name} is not allowed: {type(error).__name__}: {error}") from None
    if not callable(found):
        raise UserError(f"hydra.sweeper.space={name} is not allowed: it is no function")
    return found


def _params_text(value: Any) -> str:
    """A value of hydra.sweeper.params as on the command line; a list is a choice."""
    if not isinstance(value, list):
        return str(value)
    text = ",".join(map(as_typed, value))
    return text if len(value) > 1 else f"choice({text})"  # Hydra's choice does not take null


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
    if getattr(value, "shuffle", False):
        raise refuse(
            "a search tries values in an order of its own, and another space each time would be another search"
        )
    if not numbers:
        if log:
            raise refuse("log is for interval and range")
        values = {_encoded(one): _plain(one) for one in override.sweep_iterator(transformer=Transformer.identity)}
        if not values:
            raise refuse("there is nothing to choose from")
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
    count = math.ceil((value.stop - value.start) / value.step)
    if count < 1:
        raise refuse(f"there is no number from {value.start} to {value.stop} by {value.step}")
    # Hydra's own numbers, as exact as they are, unless there are too many to list
    last = list(value.range())[-1] if count <= COUNTABLE else value.start + (count - 1) * value.step
    low, high = sorted((value.start, last))
    return low, high, abs(value.step)


def _plain(value: Any) -> Value:
    if isinstance(value, QuotedString):
        return value.text
    return value if value is None or isinstance(value, str | int | float) else _encoded(value)


def _encoded(value: Any) -> str:
    return as_typed(value) if isinstance(value, bool) else str(Transformer.encode(value))
