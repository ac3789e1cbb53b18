"""Which rows of a table train, validate and test: drawn by scikit-learn from a seed. Imports no torch."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Splitting:
    """How rows are split: ``test`` and ``val`` are shares of the rows, a ``fold`` of ``folds`` is in val's place."""

    test: float
    val: float
    folds: int
    fold: int | None
    seed: int


def split(
    how: Splitting, n: int, classes: NDArray[Any] | None, groups: NDArray[Any] | None, time: NDArray[Any] | None
) -> dict[str, Rows]:
    """Row numbers of ``train``, ``val`` and, where a share of the rows is for it, ``test``; ascending.

    First the test rows are taken away, which therefore do not depend on the fold.

    Args:
        classes: (N,) class numbers, of which every split has its share; None for regression.
        groups: (N,) of which none is in two splits.
        time: (N,) by which a later split holds later rows; folds then are those of an expanding window.
    """
    by = By(classes, groups, time is not None)
    left, found = np.arange(n) if time is None else np.argsort(time, kind="stable"), {}
    if how.test:
        left, found["test"] = _share(how.test, left, by, how.seed)
    if how.fold is None:
        found["train"], found["val"] = _share(how.val, left, by, how.seed)
    else:
        found["train"], found["val"] = _fold(how, how.fold, left, by)
    return {name: np.sort(found[name]) for name in ("train", "val", "test") if name in found}


class By(NamedTuple):
    """What rows are split by: their classes, groups, or order."""

    classes: NDArray[Any] | None
    groups: NDArray[Any] | None
    is_time: bool

    def of(self, rows: Rows) -> tuple[NDArray[Any] | None, NDArray[Any] | None]:
        """Classes and groups of some rows."""
        return None if self.classes is None else self.classes[rows], None if self.groups is None else self.groups[rows]


def _share(share: float, rows: Rows, by: By, seed: int) -> tuple[Rows, Rows]:
    from sklearn.model_selection import GroupShuffleSplit, StratifiedGroupKFold, train_test_split

    if by.is_time:
        first = len(rows) - max(1, round(share * len(rows)))
        return rows[:first], rows[first:]
    classes, groups = by.of(rows)
    if groups is None:
        many, few = train_test_split(rows, test_size=share, random_state=seed, stratify=classes)
        return many, few
    splitter = (
        GroupShuffleSplit(1, test_size=share, random_state=seed)
        if classes is None
        else StratifiedGroupKFold(max(2, round(1 / share)), shuffle=True, random_state=seed)
    )
    many, few = next(splitter.split(rows, classes, groups))
    return rows[many], rows[few]


def _fold(how: Splitting, fold: int, rows: Rows, by: By) -> tuple[Rows, Rows]:
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold, TimeSeriesSplit

    classes, groups = by.of(rows)
    drawn: dict[str, Any] = {"shuffle": True, "random_state": how.seed}
    if by.is_time:
        splitter: Any = TimeSeriesSplit(how.folds)
    elif groups is not None:
        splitter = (GroupKFold if classes is None else StratifiedGroupKFold)(how.folds, **drawn)
    else:
        splitter = (KFold if classes is None else StratifiedKFold)(how.folds, **drawn)
    many, few = list(splitter.split(rows, classes, groups))[fold]
    return rows[many], rows[few]
