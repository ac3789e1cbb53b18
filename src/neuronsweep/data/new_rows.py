"""Rows that a run has not seen, prepared as its training rows were. Imports no torch."""

from collections.abc import Mapping

import numpy as np

from neuronsweep.config.allowed import nearest
from neuronsweep.data.choice import text_among_numbers
from neuronsweep.data.columns import Column, File, read
from neuronsweep.data.preparation import Category, Inputs, Preparation
from neuronsweep.errors import UserError


def read_rows(path: str, preparation: Preparation) -> File:
    """A file of new rows; its columns that are words to the run are read as such. ``path`` is that of --csv."""
    return read(path, [one.name for one in preparation.features if isinstance(one, Category)], key="--csv ")


def inputs(preparation: Preparation, columns: Mapping[str, Column], where: str) -> Inputs:
    """Inputs (N, D) of rows with these columns, in any order, others ignored.

    Raises UserError for a column that is missing or holds a word or an infinite number where numbers are.
    """
    for feature in preparation.features:
        if feature.name not in columns:
            names = ", ".join(one.name for one in preparation.features)
            near = nearest(feature.name, columns) or f"; needed are {names}"
            raise UserError(f"{where} has no column {feature.name}, which the run has learnt from{near}")
        column = columns[feature.name]
        if isinstance(feature, Category):
            continue
        if column.numbers is None:
            raise UserError(f"{where}: column {column.name} holds numbers, but {text_among_numbers(column, few=True)}")
        if (infinite := np.isinf(column.numbers)).any():
            row = int(infinite.argmax())
            raise UserError(f"{where}: column {column.name} has {column.numbers[row]} in row {row + 1}")
    return preparation.x(columns)


def row_of_numbers(preparation: Preparation, values: list[list[float]]) -> dict[str, Column]:
    """Columns of rows that are given as numbers in the order of the features."""
    return {one.name: Column(one.name, np.array(values)[:, i]) for i, one in enumerate(preparation.features)}
