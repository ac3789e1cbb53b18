"""results.parquet: the rows of results.csv with types; none that is older than results.csv is left."""

import importlib.util

import pytest

from neuronsweep.runs import contents
from neuronsweep.runs.parquet import typed, write_parquet

COLUMNS = ["run", "state", "seed", "model.act", "optimizer.lr", "val/loss", "params", "seconds", "directory"]
ROWS = [
    {"run": 0, "state": "COMPLETE", "seed": "0", "model.act": "relu", "optimizer.lr": "1e-3", "val/loss": 0.1}
    | {"params": 25, "seconds": 1.5, "directory": "0000"},
    {
        "run": 1,
        "state": "DAMAGED",
        "seed": "1",
        "model.act": "",
        "optimizer.lr": "1",
        "seconds": "",
        "directory": "0001",
    },
]
SWEPT = ["seed", "model.act", "optimizer.lr"]


def test_types_are_kept(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    write_parquet(tmp_path, COLUMNS, ROWS, SWEPT)
    table = parquet.read_table(tmp_path / contents.PARQUET)
    kinds = dict(zip(table.column_names, map(str, table.schema.types), strict=True))
    assert kinds == {
        "run": "int64",
        "state": "string",
        "seed": "int64",
        "model.act": "string",
        "optimizer.lr": "double",
        "val/loss": "double",
        "params": "int64",
        "seconds": "double",
        "directory": "string",
    }
    assert table.to_pylist() == [
        {**ROWS[0], "seed": 0, "optimizer.lr": 0.001},
        {
            **ROWS[1],
            "seed": 1,
            "model.act": None,
            "optimizer.lr": 1.0,
            "val/loss": None,
            "params": None,
            "seconds": None,
        },
    ]


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["8", None], [8, None]),
        (["8", "1e3"], [8.0, 1000.0]),
        (["true", "false"], [True, False]),
        (["8", "[8,8]"], ["8", "[8,8]"]),
        (["full", "32"], ["full", "32"]),
        ([str(2**63), "1"], [2.0**63, 1.0]),
        ([], []),
    ],
)
def test_swept_values_are_what_all_of_them_are(texts, values):
    assert typed(texts) == values


def test_without_pyarrow_an_older_one_goes(tmp_path, monkeypatch):
    (tmp_path / contents.PARQUET).write_bytes(b"older")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    write_parquet(tmp_path, COLUMNS, ROWS, SWEPT)
    assert not (tmp_path / contents.PARQUET).exists()
