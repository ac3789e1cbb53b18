"""results.parquet: results.csv with types, for pandas, DuckDB and whatever reads columns."""

import importlib.util
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from neuronsweep.runs import contents, files


def write_parquet(sweep: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]], swept: Sequence[str]) -> None:
    """Write results.parquet where pyarrow is there; where it is not, one that is older than results.csv goes.

    Metrics are numbers, states and directories text; a swept key is what all of its values are: whole numbers,
    numbers, true and false, else text. What a row lacks is null.
    """
    path = sweep / contents.PARQUET
    if importlib.util.find_spec("pyarrow") is None:
        contents.remove(path)
        return
    import pyarrow
    from pyarrow import parquet

    def column(name: str) -> Any:
        values = [None if row.get(name, "") == "" else row[name] for row in rows]
        if name in swept:
            return pyarrow.array(typed(values))
        kind = {"state": pyarrow.string(), "directory": pyarrow.string(), "run": pyarrow.int64()}
        return pyarrow.array(values, kind.get(name) or _number(pyarrow, values))

    content = io.BytesIO()
    parquet.write_table(pyarrow.table({name: column(name) for name in columns}), content)
    files.write(path, content.getvalue())


def _whole(text: str) -> int:
    found = int(text)
    if not -(2**63) <= found < 2**63:
        raise ValueError
    return found


# The types that the text of overrides may stand for, the narrowest first; what is none of them is text.
READERS: tuple[Callable[[str], Any], ...] = (_whole, float, {"true": True, "false": False}.__getitem__)


def typed(values: Sequence[str | None]) -> list[Any]:
    """The texts of overrides as what all of them are; None stays None."""
    for read in READERS:
        try:
            return [None if value is None else read(value) for value in values]
        except (ValueError, KeyError):
            continue
    return list(values)


def _number(pyarrow: Any, values: Sequence[Any]) -> Any:
    whole = {isinstance(value, int) for value in values if value is not None}
    return pyarrow.int64() if whole == {True} else pyarrow.float64()
