"""Which columns of a file are learnt from and what they are: checked, chosen, and what is odd about them said."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuronsweep.config.allowed import nearest
from neuronsweep.config.schemas.data import Table
from neuronsweep.data.columns import Column, File, is_number
from neuronsweep.data.folds import Rows
from neuronsweep.errors import UserError

# Columns with such names number the rows where their values are consecutive.
NUMBERING = ("id", "index", "row", "column 1", "unnamed: 0")


@dataclass(frozen=True)
class Choice:
    """What of a file is learnt.

    Attributes:
        columns: those that are used, by name; words where data.categories says so.
        classes: names of the target's levels; empty for regression.
        rows: those that can be used, ascending: with a target, and with ``data.missing=drop`` without blanks.
        groups, time: (N,) of all rows, what keeps rows together and what orders them.
        notes: what a user should know of the table, a line each.
    """

    task: str
    columns: Mapping[str, Column]
    features: tuple[str, ...]
    targets: tuple[str, ...]
    classes: tuple[str, ...]
    rows: Rows
    groups: NDArray[Any] | None
    time: NDArray[Any] | None
    notes: tuple[str, ...]


def choose(file: File, keys: Table) -> Choice:
    """What of a file the keys ask for. Raises UserError, which names key, column, row and value."""
    targets = _targets(file, keys)
    categories, drop = _named(file, "categories", keys.categories), _named(file, "drop", keys.drop)
    groups, time = (_column(file, key, name) for key, name in (("groups", keys.groups), ("time", keys.time)))
    if groups and time:
        raise UserError(
            f"data.groups={keys.groups} is not allowed with data.time={keys.time}: rows are split by one of them"
        )
    features = _named(file, "features", keys.features)
    for name in targets:
        if name in features:
            raise UserError(f"data.features is not allowed to have {name}: it is the target")
    others = {*targets, *drop, *(one.name for one in (groups, time) if one)}
    numbering = (
        [] if features else [name for name, one in file.columns.items() if name not in others and _numbers_rows(one)]
    )
    features = features or tuple(name for name in file.columns if name not in {*others, *numbering})
    if not features:
        raise UserError(f"data.features is not allowed: {file.name} has no column to learn from")
    columns = {name: file.columns[name] for name in (*features, *targets)}
    columns |= {name: columns[name].as_words() for name in categories if name in columns}
    for name in features:
        _check_feature(columns[name])
    task, classes = _task(columns, targets, keys.task)
    for name in columns:
        _check_finite(columns[name])
    rows = _rows(columns, features, targets, keys.missing)
    if classes and len(used := np.unique(columns[targets[0]].as_words().values[rows])) < 2:
        raise UserError(f"data.target={targets[0]} is not allowed: all of its rows are of class {classes[used[0]]}")
    labels, order = _labels(groups, rows), _order(time, rows)
    found = Choice(task, columns, features, targets, classes, rows, labels, order, notes=())
    return replace(found, notes=tuple(_notes(file, found, numbering, keys.missing)))


def _targets(file: File, keys: Table) -> tuple[str, ...]:
    if not keys.target:
        raise UserError(f"data.target is not named: it is a column of {file.name}, which has {_listed(file.columns)}")
    return _named(file, "target", keys.target if isinstance(keys.target, list) else [keys.target])


def _named(file: File, key: str, names: Sequence[str] | None) -> tuple[str, ...]:
    """Columns that a key names, each once."""
    found = tuple(map(str, names or ()))
    for name in found:
        _column(file, key, name)
    if twice := next((name for i, name in enumerate(found) if name in found[:i]), None):
        raise UserError(f"data.{key} is not allowed to have {twice} twice")
    return found


def _column(file: File, key: str, name: str | None) -> Column | None:
    if name is None:
        return None
    if name not in file.columns:
        near = nearest(name, file.columns) or f", it has {_listed(file.columns)}"
        raise UserError(f"data.{key}={name} is not allowed: {file.name} has no such column{near}")
    return file.columns[name]


def _listed(names: Mapping[str, Any]) -> str:
    shown = list(names)[:20]
    return ", ".join(shown) + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def _numbers_rows(column: Column) -> bool:
    """Whether a column says no more than which row it is: every row has another word, or it counts and says so."""
    count = len(column)
    if column.numbers is None:
        return count > 1 and len(column.levels) == count and not column.is_date
    name = column.name.lower()
    if not (name in NUMBERING or name.endswith("_id")) or column.blank.any() or not np.isfinite(column.numbers).all():
        return False
    return len(np.unique(column.numbers)) == count and bool((column.numbers == column.numbers.round()).all())


def _check_feature(column: Column) -> None:
    if column.blank.all():
        raise UserError(f"column {column.name} is blank in every row; data.drop=[{column.name}] leaves it out")
    if column.is_date:
        raise UserError(
            f"column {column.name} holds dates, which are no feature; data.drop=[{column.name}] leaves it out, and "
            f"data.time={column.name} splits by it"
        )
    if column.numbers is None and (wrong := text_among_numbers(column)):
        raise UserError(
            f"column {column.name} holds numbers, but {wrong}; data.categories=[{column.name}] takes all of its values "
            "as words"
        )


def text_among_numbers(column: Column, few: bool = False) -> str | None:
    """The first value that is no number, with its row, in a column of which more than half are, or if ``few`` any."""
    counts = np.bincount(column.values[~column.blank], minlength=len(column.levels))
    is_text = np.array([not is_number(level) for level in column.levels])
    # where a column was made of numbers on purpose, none is text
    if not is_text.any() or (not few and counts[~is_text].sum() <= counts[is_text].sum()):
        return None
    return _first_row(column, is_text)


def _first_row(column: Column, wrong_of_level: NDArray[np.bool_]) -> str:
    row = int(np.append(wrong_of_level, False)[column.values].argmax())
    return f"row {row + 1} has {column.levels[column.values[row]]!r}"


def _task(columns: Mapping[str, Column], targets: Sequence[str], task: str) -> tuple[str, tuple[str, ...]]:
    """The task of the targets and the names of their classes."""
    for name in targets:
        column = columns[name]
        if column.blank.all():
            raise UserError(f"data.target={name} is not allowed: it is blank in every row")
        if column.is_date:
            raise UserError(f"data.target={name} is not allowed: it holds dates")
        wrong = None if column.numbers is not None else text_among_numbers(column)
        if wrong and task == "auto":
            raise UserError(f"data.target={name} holds numbers, but {wrong}; data.task=classes takes all as words")
        if column.numbers is None and (task == "regression" or (len(targets) > 1 and task == "auto")):
            wrong = wrong or _first_row(column, np.array([not is_number(level) for level in column.levels]))
            told = "data.task=regression" if task == "regression" else "several targets"
            raise UserError(f"data.target={name} is not allowed with {told}: {wrong}, which is no number")
    classes = task == "classes" or (task == "auto" and columns[targets[0]].numbers is None)
    if not classes:
        return "regression", ()
    if len(targets) > 1:
        raise UserError(
            f"data.target=[{','.join(targets)}] is not allowed with data.task=classes: classes have one target"
        )
    return "classification", columns[targets[0]].as_words().levels


def _check_finite(column: Column) -> None:
    if column.numbers is not None and (infinite := np.isinf(column.numbers)).any():
        row = int(infinite.argmax())
        raise UserError(f"column {column.name} has {column.numbers[row]} in row {row + 1}: values are finite")


def _rows(columns: Mapping[str, Column], features: Sequence[str], targets: Sequence[str], missing: str) -> Rows:
    blank = {name: column.blank for name, column in columns.items()}
    if missing == "refuse" and (name := next((name for name, one in blank.items() if one.any()), None)):
        row = int(blank[name].argmax()) + 1
        raise UserError(f"data.missing=refuse: column {name} is blank in row {row}")
    leave_out = targets if missing == "impute" else [*features, *targets]
    rows = np.flatnonzero(~np.any([blank[name] for name in leave_out], axis=0))
    if not len(rows):
        raise UserError(f"data.missing={missing} is not allowed: every row has a blank")
    return rows


def _labels(column: Column | None, rows: Rows) -> NDArray[Any] | None:
    if column is None:
        return None
    _no_blanks("groups", column, rows)
    return column.as_words().values


def _order(column: Column | None, rows: Rows) -> NDArray[Any] | None:
    if column is None:
        return None
    _no_blanks("time", column, rows)
    if column.numbers is not None:
        return column.numbers
    moments = []
    for level in column.levels:
        try:
            moment = datetime.fromisoformat(level)
            moments.append(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp())
        except ValueError:
            raise UserError(
                f"data.time={column.name} is not allowed: {level!r} is neither a number nor a date such as 2026-11-25"
            ) from None
    return np.array([*moments, np.nan])[column.values]


def _no_blanks(key: str, column: Column, rows: Rows) -> None:
    if (blank := column.blank[rows]).any():
        raise UserError(f"data.{key}={column.name} is not allowed: it is blank in row {rows[blank.argmax()] + 1}")


# What is said --------------------------------------------------------------------------------------------------------


def _notes(file: File, choice: Choice, numbering: Sequence[str], missing: str) -> Iterator[str]:
    columns, features, targets, rows = choice.columns, choice.features, choice.targets, choice.rows
    words = sum(columns[name].numbers is None for name in features)
    kinds = [f"{count} of {what}" for count, what in ((len(features) - words, "numbers"), (words, "words")) if count]
    yield (
        f"{file.name}: {len(file)} rows, {len(features)} features ({', '.join(kinds)}), "
        f"target {', '.join(targets)} ({choice.task})"
    )
    blanks = {name: int(columns[name].blank.sum()) for name in features if columns[name].blank.any()}
    if blanks:
        how = (
            "numbers become the median, words a level of their own"
            if missing == "impute"
            else "their rows are left out"
        )
        yield f"{sum(blanks.values())} values are missing in {_some(blanks)}: {how}"
    without = len(file) - len(rows)
    if missing == "impute" and without:
        yield f"{without} rows without a target are left out"
    if numbering:
        yield f"{_some(numbering)} only numbers or names the rows, and is left out; data.features may name it"
    constant = [name for name in features if _is_constant(columns[name], rows)]
    if constant:
        yield f"{_some(constant)} has one value in all rows, from which nothing is learnt"
    if len(targets) == 1 and choice.task == "regression" and _is_constant(columns[targets[0]], rows):
        yield f"the target {targets[0]} has one value in all rows"
    if copies := _copies([columns[name] for name in (*features, *targets)], rows):
        yield f"{copies} rows are copies of others: scores on a copy of a row that trains are flattered"


def _some(names: Any) -> str:
    shown = list(names)[:8]
    return ", ".join(shown) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _is_constant(column: Column, rows: Rows) -> bool:
    values = column.values[rows]
    return bool((values == values[0]).all())


def _copies(columns: Sequence[Column], rows: Rows) -> int:
    """How many rows are equal to an earlier one: by a hash of 64 bits."""
    total = np.zeros(len(rows), np.uint64)
    for column in columns:
        values = column.values[rows].astype(np.float64) + 0.0
        total = (total ^ values.view(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        total ^= total >> np.uint64(29)
    return len(rows) - len(np.unique(total))
