"""A table as a data set: which of its columns are learnt from, which rows train, validate and test.

``describe`` says what a table is, or what is wrong with it, without importing torch; ``table`` makes the tensors.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuronsweep.config.schemas.data import Description, Table
from neuronsweep.data.choice import Choice, choose
from neuronsweep.data.columns import File, read
from neuronsweep.data.folds import Rows, Splitting, split
from neuronsweep.data.packaged import load
from neuronsweep.data.preparation import Preparation, fit
from neuronsweep.errors import UserError

if TYPE_CHECKING:
    from neuronsweep.data.dataset import Dataset, Split


@dataclass(frozen=True)
class Plan:
    """What is learnt from which rows of which file.

    Attributes:
        rows: numbers of the file's rows in ``train``, ``val`` and, where there is one, ``test``.
    """

    file: File
    choice: Choice
    rows: Mapping[str, Rows]


def describe(config: Mapping[str, Any]) -> Description:
    """What a table's ``data`` is. Raises UserError for a file or columns that cannot be learnt from."""
    choice = plan_of(config).choice
    return Description(choice.task, len(choice.classes), ("train", "val"), choice.notes)


def table(**keys: Any) -> "Dataset":
    """The data set of a file; the arguments are the fields of ``schemas.data.Table``."""
    return _of("table", keys)


def iris(**keys: Any) -> "Dataset":
    """scikit-learn's iris, as the other packaged tables without a file, target or columns to choose."""
    return _of("iris", keys)


def wine(**keys: Any) -> "Dataset":
    """scikit-learn's wine."""
    return _of("wine", keys)


def breast_cancer(**keys: Any) -> "Dataset":
    """scikit-learn's breast_cancer."""
    return _of("breast_cancer", keys)


def diabetes(**keys: Any) -> "Dataset":
    """scikit-learn's diabetes, its features in their own units."""
    return _of("diabetes", keys)


def digits(**keys: Any) -> "Dataset":
    """scikit-learn's digits."""
    return _of("digits", keys)


def plan_of(config: Mapping[str, Any]) -> Plan:
    """The plan of a config's ``data`` whose ``_target_`` is one of the functions above."""
    keys = {key: _plain(value) for key, value in config.items()}
    return _plan(json.dumps(keys, sort_keys=True), _file(keys).digest)


def rows(config: Mapping[str, Any]) -> Mapping[str, Rows]:
    """Which rows of the file, counted from 0, are in ``train``, ``val`` and, where there is one, ``test``."""
    return plan_of(config).rows


def test_split(config: Mapping[str, Any]) -> "Split":
    """The rows that no training run sees, prepared as its training rows were.

    Raises UserError where ``data.test`` is 0.
    """
    plan = plan_of(config)
    if "test" not in plan.rows:
        raise UserError("data.test=0 leaves no rows for a test")
    return _tensors(plan, _preparation(plan), "test")


def _of(name: str, keys: Mapping[str, Any]) -> "Dataset":
    config = {"_target_": f"{__name__}.{name}", **{key: _plain(value) for key, value in keys.items()}}
    return _dataset(json.dumps(config, sort_keys=True), _file(config).digest)


@lru_cache(maxsize=1)  # whoever checks a run and then trains it asks twice
def _dataset(config: str, digest: str) -> "Dataset":
    from neuronsweep.data.dataset import Dataset  # late: checks need no torch

    plan = _plan(config, digest)
    preparation = _preparation(plan)
    splits = {name: _tensors(plan, preparation, name) for name in ("train", "val")}
    return Dataset(splits, classes=len(plan.choice.classes), table=preparation)


@lru_cache(maxsize=32)
def _plan(config: str, digest: str) -> Plan:
    keys = json.loads(config)
    file = _file(keys)
    columns = {} if _name(keys) == "table" else {"target": next(reversed(file.columns))}
    asked = Table(**{**columns, **keys})
    choice = choose(file, asked)
    if columns:  # what is odd about a packaged table is known
        choice = replace(choice, notes=())
    how = Splitting(asked.test, asked.val, asked.folds, asked.fold, asked.seed)
    return Plan(file, choice, _split(choice, how))


def _file(config: Mapping[str, Any]) -> File:
    name = _name(config)
    if name != "table":
        return load(name)
    if not config.get("file"):
        raise UserError("data.file is not named: it is a CSV, TSV or Parquet file, as in data.file=houses.csv")
    words = [*config.get("categories", ()), *([str(config.get("target"))] * (config.get("task") == "classes"))]
    return read(str(config["file"]), words)


def _name(config: Mapping[str, Any]) -> str:
    return str(config["_target_"]).rpartition(".")[2]


def _plain(value: Any) -> Any:
    """A value without OmegaConf's list; names of columns that look like numbers are words again."""
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    if is_list:
        return [str(one) for one in value]
    return value


def _split(choice: Choice, how: Splitting) -> dict[str, Rows]:
    used = choice.rows
    labels = None
    if choice.classes:
        words = choice.columns[choice.targets[0]].as_words()
        labels = words.values[used]
    _check_sizes(choice, how, labels)
    by = (None if one is None else one[used] for one in (choice.groups, choice.time))
    try:
        found = split(how, len(used), labels, *by)
    except ValueError as error:  # scikit-learn's, of sizes that leave a split empty
        raise UserError(f"the rows cannot be split as data.test, data.val and data.folds say: {error}") from None
    for name, rows in found.items():
        if labels is not None and len(np.unique(labels[rows])) < len(choice.classes) and name == "train":
            lacks = choice.classes[min(set(range(len(choice.classes))) - set(labels[rows].tolist()))]
            raise UserError(
                f"data.target={choice.targets[0]}: no training row is of class {lacks}, all are in val or test"
            )
    return {name: used[rows] for name, rows in found.items()}


def _check_sizes(choice: Choice, how: Splitting, labels: NDArray[Any] | None) -> None:
    if how.fold is not None and how.fold >= how.folds:
        raise UserError(
            f"data.fold={how.fold} is not allowed: of data.folds={how.folds} it is one of 0 to {how.folds - 1}"
        )
    needed = how.folds if how.fold is not None else 2
    name = f"data.folds={how.folds}" if how.fold is not None else "data.val"
    if len(choice.rows) < needed + bool(how.test):
        count = len(choice.rows)
        raise UserError(f"{name} is not allowed: the table has {count} row{'s' * (count != 1)} that can be used")
    if choice.groups is not None:
        groups = len(np.unique(choice.groups[choice.rows]))
        if groups < needed + bool(how.test):
            raise UserError(f"{name} is not allowed: data.groups has {groups} group{'s' * (groups != 1)}")
        return
    if labels is not None and choice.time is None:
        counts = np.bincount(labels, minlength=len(choice.classes)).tolist()
        least = counts.index(min(counts))
        if counts[least] < needed + bool(how.test):
            raise UserError(
                f"{name} is not allowed: class {choice.classes[least]} of data.target={choice.targets[0]} has "
                f"{counts[least]} row{'s' * (counts[least] != 1)}, and every split needs one"
            )


def _preparation(plan: Plan) -> Preparation:
    """Fitted to the training rows, and to no other."""
    choice, train = plan.choice, plan.rows["train"]
    columns = {name: choice.columns[name].take(train) for name in (*choice.features, *choice.targets)}
    for name in choice.features:
        if columns[name].blank.all():
            raise UserError(
                f"data.features: column {name} is blank in every training row; data.drop=[{name}] leaves it out"
            )
    preparation = fit(columns, choice.features, choice.targets, choice.classes)
    source = {"file": plan.file.name, "sha256": plan.file.digest, "rows": {k: len(v) for k, v in plan.rows.items()}}
    return replace(preparation, source=source)


def _tensors(plan: Plan, preparation: Preparation, name: str) -> "Split":
    import torch

    from neuronsweep.data.dataset import Split

    choice = plan.choice
    columns = {one: choice.columns[one].take(plan.rows[name]) for one in (*choice.features, *choice.targets)}
    return Split(torch.from_numpy(preparation.x(columns)), torch.from_numpy(preparation.y(columns)))
