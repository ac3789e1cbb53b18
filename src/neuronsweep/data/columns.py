"""The columns of a file: CSV, TSV or Parquet, plain or gzipped, as arrays. Imports no torch.

Memory: 8 bytes a number, 4 bytes a word; a file is read in blocks of rows.
"""

import csv
import gzip
import hashlib
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from neuronsweep.config.allowed import nearest
from neuronsweep.errors import UserError

Numbers = NDArray[np.float64]
Codes = NDArray[np.int32]

# What stands for a value that is missing, in any case: what pandas reads as such.
BLANKS = frozenset(
    ["", "#n/a", "#n/a n/a", "#na", "-1.#ind", "-1.#qnan", "-nan", "1.#ind", "1.#qnan", "<na>", "n/a", "na"]
)
BLANKS |= {"null", "nan", "none"}
DATE = re.compile(
    r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([T ]\d{1,2}:\d{2}.*)?|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}( \d{1,2}:\d{2}.*)?"
)
DELIMITERS = ",;\t|"
BLOCK = 20_000  # rows
# Longest field of a CSV file: a quote that is not closed reads on to the end of the file.
FIELD = 1_000_000


@dataclass(frozen=True)
class Column:
    """One column: numbers (N,) with NaN for blanks, or else levels and codes (N,) into them with -1 for blanks."""

    name: str
    numbers: Numbers | None = None
    levels: tuple[str, ...] = ()
    codes: Codes | None = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def values(self) -> NDArray[Any]:
        """Its numbers or codes (N,)."""
        found = self.numbers if self.codes is None else self.codes
        assert found is not None
        return found

    @property
    def blank(self) -> NDArray[np.bool_]:
        """Which values are missing (N,)."""
        return np.asarray(self.values < 0 if self.numbers is None else np.isnan(self.numbers))

    @property
    def is_date(self) -> bool:
        """Whether all of its levels look like dates."""
        return self.numbers is None and bool(self.levels) and all(map(DATE.fullmatch, self.levels))

    def as_words(self) -> "Column":
        """The same with every value as a word; whole numbers without a point."""
        if self.numbers is None:
            return self
        distinct, codes = np.unique(self.numbers[~self.blank], return_inverse=True)
        every = np.full(len(self), -1, np.int32)
        every[~self.blank] = codes
        return Column(self.name, None, tuple(map(_word, distinct.tolist())), every)

    def take(self, rows: NDArray[Any]) -> "Column":
        """The column of these rows only."""
        values = self.values[rows]
        return Column(self.name, values) if self.codes is None else Column(self.name, None, self.levels, values)


@dataclass(frozen=True)
class File:
    """The columns of a file by name, in their order; its own name, and the SHA-256 of its content."""

    name: str
    columns: dict[str, Column]
    digest: str

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))


def read(path: str, words: Iterable[str] = (), key: str = "data.file=") -> File:
    """The columns of a file, which is read once as long as it does not change.

    A column holds numbers where all of its values are numbers or blank, and it is not one of ``words``. ``key`` is what
    errors put before the path. Raises UserError for a file that is missing, unreadable, empty or no table.
    """
    file, named = Path(path), f"{key}{path}"
    if not file.exists():
        raise UserError(f"{named} is not allowed: there is no such file{_near(file)}")
    if not file.is_file():
        raise UserError(f"{named} is not allowed: it is no regular file")
    try:
        state = file.stat()
        return _read(str(file.absolute()), named, frozenset(words), state.st_size, state.st_mtime_ns)
    except (OSError, UnicodeDecodeError, csv.Error, EOFError) as error:
        told = "it is not text in UTF-8" if isinstance(error, UnicodeDecodeError) else getattr(error, "strerror", None)
        raise UserError(f"{named} cannot be read: {told or error}") from None


def _near(file: Path) -> str:
    try:
        return nearest(file.name, [one.name for one in file.parent.iterdir() if one.is_file()])
    except OSError:
        return ""


@lru_cache(maxsize=4)
def _read(path: str, named: str, words: frozenset[str], size: int, changed: int) -> File:
    file = Path(path)
    if size == 0:
        raise UserError(f"{named} is not allowed: it is empty")
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    suffixes = [suffix.lower() for suffix in file.suffixes]
    columns = _parquet(path, named) if suffixes[-1:] in ([".parquet"], [".pq"]) else _csv(file, named, words)
    if not columns or not len(columns[0]):
        raise UserError(f"{named} is not allowed: it has no rows")
    return File(file.name, {column.name: column for column in columns}, digest)


# CSV -----------------------------------------------------------------------------------------------------------------


class _Restart(Exception):
    """A column that began with numbers has words further down: the file is read again."""


def _csv(file: Path, named: str, words: frozenset[str]) -> list[Column]:
    suffixes = [suffix.lower() for suffix in file.suffixes]
    delimiter = "\t" if {".tsv", ".tab"} & set(suffixes[-2:]) else ""
    places: set[int] = set()  # of the columns that hold words
    while True:
        opened: TextIO = (gzip.open if suffixes[-1:] == [".gz"] else open)(file, "rt", encoding="utf-8-sig", newline="")
        try:
            with opened as text:
                return _columns(_rows(text, named, delimiter), named, words, places)
        except _Restart:
            continue


def _rows(text: TextIO, named: str, delimiter: str) -> Iterator[list[str]]:
    """The header, then rows of as many fields."""
    first = text.readline()
    delimiter = delimiter or max(DELIMITERS, key=first.count)
    csv.field_size_limit(FIELD)
    reader = csv.reader(itertools.chain([first], text), delimiter=delimiter, skipinitialspace=True)
    header = next(reader, None)
    if header is None or not any(map(str.strip, header)):
        raise UserError(f"{named} is not allowed: its first line has no names of columns")
    names = [name.strip() or f"column {i + 1}" for i, name in enumerate(header)]
    if twice := next((name for i, name in enumerate(names) if name in names[:i]), None):
        raise UserError(f"{named} is not allowed: two of its columns are called {twice}")
    yield names
    for row in reader:
        if len(row) != len(names):
            if not row or (len(row) == 1 and not row[0].strip()):
                continue
            raise UserError(
                f"{named} is not allowed: line {reader.line_num} has {len(row)} fields, "
                f"and the first line has {len(names)}"
            )
        yield row


def _columns(rows: Iterator[list[str]], named: str, words: frozenset[str], places: set[int]) -> list[Column]:
    names = next(rows)
    places |= {i for i, name in enumerate(names) if name in words}
    numbers: list[list[Numbers]] = [[] for _ in names]
    codes: list[list[Codes]] = [[] for _ in names]
    found: list[dict[str, int]] = [{} for _ in names]
    first = True
    while block := list(itertools.islice(rows, BLOCK)):
        restart = False
        for i, values in enumerate(zip(*block, strict=True)):
            if i not in places:
                try:
                    numbers[i].append(_numbers(values))
                    continue
                except ValueError:
                    places.add(i)
                    restart = not first
            codes[i].append(_codes(values, found[i]))
        if restart:
            raise _Restart
        first = False
    if first:
        raise UserError(f"{named} is not allowed: it has no rows")
    return [
        _of_words(name, found[i], np.concatenate(codes[i])) if i in places else Column(name, np.concatenate(numbers[i]))
        for i, name in enumerate(names)
    ]


def _numbers(values: Sequence[str]) -> Numbers:
    """Raises ValueError where one is neither a number nor blank."""
    if "_" in "".join(values):  # Python reads 1_000 as a number
        raise ValueError
    try:
        return np.fromiter(map(float, values), np.float64, len(values))
    except ValueError:
        return np.fromiter((np.nan if is_blank(one) else float(one) for one in values), np.float64, len(values))


def _codes(values: Sequence[str], known: dict[str, int]) -> Codes:
    return np.fromiter(
        (-1 if is_blank(one) else known.setdefault(one.strip(), len(known)) for one in values), np.int32, len(values)
    )


def _of_words(name: str, found: dict[str, int], codes: Codes) -> Column:
    """A column with its levels in the order of numbers, or else of the alphabet, whatever order the rows have."""
    levels = sorted(sorted(found), key=float) if all(map(is_number, found)) else sorted(found)
    place = np.empty(len(levels) + 1, np.int32)
    place[-1] = -1
    for i, level in enumerate(levels):
        place[found[level]] = i
    return Column(name, None, tuple(levels), place[codes])


def is_blank(word: str) -> bool:
    """Whether a word stands for a missing value."""
    return word.strip().lower() in BLANKS


def is_number(word: str) -> bool:
    """Whether a word is a number, infinite or not."""
    try:
        return _numbers([word]).size == 1
    except ValueError:
        return False


def _word(number: float) -> str:
    return str(int(number)) if number.is_integer() else repr(number)


# Parquet -------------------------------------------------------------------------------------------------------------


def _parquet(path: str, named: str) -> list[Column]:
    try:
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq
    except ImportError:
        raise UserError(
            f"{named} needs pyarrow, which reads Parquet: pip install 'neuronsweep[table]'; CSV needs nothing"
        ) from None
    try:
        table = pq.read_table(path)
    except pa.ArrowInvalid as error:
        raise UserError(f"{named} cannot be read: {str(error).splitlines()[0]}") from None
    columns = []
    for name in table.column_names:
        values = table[name].combine_chunks()
        kind = values.type
        if (
            pa.types.is_integer(kind)
            or pa.types.is_floating(kind)
            or pa.types.is_decimal(kind)
            or pa.types.is_null(kind)
        ):
            columns.append(Column(name, values.cast(pa.float64()).to_numpy(zero_copy_only=False).astype(np.float64)))
            continue
        if pa.types.is_nested(kind) or pa.types.is_binary(kind):
            raise UserError(f"{named} is not allowed: its column {name} holds {kind}, no numbers or words")
        words = pc.dictionary_encode(values.cast(pa.string()))
        found = [str(word).strip() for word in words.dictionary.to_pylist()]
        codes = words.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
        known: dict[str, int] = {}
        place = np.array([-1 if is_blank(word) else known.setdefault(word, len(known)) for word in found] + [-1])
        columns.append(_of_words(name, known, place[codes].astype(np.int32)))
    return columns
