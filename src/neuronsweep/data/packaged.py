"""scikit-learn's packaged tables, which need no network: iris, wine, breast_cancer, diabetes, digits."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from neuronsweep.data.columns import Column, File


@cache
def load(name: str) -> File:
    """The columns of a packaged table, the target last; those of diabetes in their own units."""
    from sklearn import datasets

    loader: Callable[..., Any] = getattr(datasets, f"load_{name}")
    bunch = loader(scaled=False) if name == "diabetes" else loader()
    names = [str(one).replace(" (cm)", "") for one in bunch.feature_names]
    columns = [Column(one, bunch.data[:, i].astype(np.float64)) for i, one in enumerate(names)]
    if name == "diabetes":
        columns.append(Column("progression", bunch.target.astype(np.float64)))
    else:
        columns.append(Column("class", None, tuple(map(str, bunch.target_names)), bunch.target.astype(np.int32)))
    return File(name, {column.name: column for column in columns}, "")
