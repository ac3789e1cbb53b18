"""Writes files completely or not at all, and reads them back to the same bits, or raises Damaged."""

import csv
import hashlib
import io
import json
import marshal
import os
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import yaml

from neuronsweep.errors import Unwritable, UserError
from neuronsweep.runs.contents import TEMPORARY


class Damaged(UserError):
    """A file of a run or sweep is not what was written."""

    def __init__(self, path: Path, what: str):
        super().__init__(f"{path} is {what}")
        self.path, self.what = path, what


# Tests of kills and full disks act here, between a temporary file and its place.
before_rename: Callable[[Path], object] = lambda path: None  # noqa: E731


def write(path: Path, content: bytes | str, durable: bool = False) -> None:
    """Write a file whole or not at all, whatever ends this process: a temporary file beside it, and rename.

    After a power failure it may be cut, empty or gone: of a run its digest tells, and the run is trained again. To wait
    for the disk takes longer than to train a small network, so only what is ``durable`` is waited for.
    Who may read it is what the umask says, as of any file. Raises Unwritable.
    """
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY}")
    try:
        with open(temporary, "xb", buffering=0) as file:
            file.write(data)
            if durable:
                os.fsync(file.fileno())
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _unwritable(path, error) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    move(temporary, path)


def write_shared(path: Path, content: str, shared: Path) -> None:
    """Write a file that others of a sweep have, too: as a link to one that is written once, where that can be done."""
    try:
        os.link(_shared(shared, content), path)
    except OSError:
        write(path, content)


@cache
def _shared(path: Path, content: str) -> Path:
    write(path, content)
    return path


def move(temporary: Path, path: Path) -> None:
    """Put a file that is written in its place; where that fails it is gone. Raises Unwritable."""
    try:
        before_rename(path)
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _unwritable(path, error) from error
        raise


def _unwritable(path: Path, error: OSError) -> Unwritable:
    return Unwritable(f"{path} cannot be written: {error.strerror or error}")


def write_json(path: Path, value: Mapping[str, Any], durable: bool = False) -> None:
    """Write JSON; see ``write`` and ``as_json``."""
    write(path, as_json(value), durable)


def as_json(value: Mapping[str, Any]) -> str:
    """JSON with one key a line; floats read back to the same bits."""
    # with an indent json would write every value in Python, which takes ten times as long
    lines = (f" {json.dumps(key)}: {json.dumps(one)}" for key, one in value.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file of a run. Raises Damaged when it cannot be read, UserError when it is missing."""
    try:
        value = json.loads(path.read_text())
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except (OSError, ValueError) as error:
        raise Damaged(path, f"damaged: {error}") from None
    if not isinstance(value, dict):
        raise Damaged(path, "damaged: it does not hold a JSON object")
    return value


def write_csv(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a CSV file; see ``as_csv``."""
    write(path, as_csv(columns, rows))


def as_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Text of a CSV file; a value that a row lacks is empty, and there are no others than of the columns."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([row.get(column, "") for column in columns] for row in rows)
    return text.getvalue()


def as_yaml(value: Mapping[str, Any]) -> str:
    """YAML of plain values; what is under a key is written once for all files that have the same there."""
    return "".join(_under_a_key(key, marshal.dumps(one)) for key, one in value.items())


@lru_cache(4096)
def _under_a_key(key: str, value: bytes) -> str:
    return yaml.dump({key: marshal.loads(value)}, Dumper=yaml.CSafeDumper, sort_keys=False)


def digests(directory: Path, names: Sequence[str]) -> dict[str, str]:
    """SHA-256 of those of the files that are there, by name."""
    return {name: digest(directory / name) for name in names if (directory / name).exists()}


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
