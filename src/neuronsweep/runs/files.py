"""Files written whole or not at all and read back to the same bits; what is no longer what was written is Damaged."""

import csv
import hashlib
import io
import json
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from neuronsweep.errors import Unwritable, UserError
from neuronsweep.runs.contents import TEMPORARY


class Damaged(UserError):
    """A file of a run or sweep is not what was written."""

    def __init__(self, path: Path, what: str):
        super().__init__(f"{path} is {what}")
        self.path, self.what = path, what


# Tests of kills and full disks act here, between a temporary file and its place.
before_rename: Callable[[Path], object] = lambda path: None  # noqa: E731


def write(path: Path, content: bytes | str) -> None:
    """Write a file whole or not at all: a temporary file beside it, fsync, rename. Raises Unwritable.

    Who may read it is what the umask says, as of any file.
    """
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY}")
    try:
        with temporary.open("xb") as file:
            file.write(data)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _unwritable(path, error) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    move(temporary, path)


def move(temporary: Path, path: Path) -> None:
    """Put a file that is written in its place: fsync, rename; where that fails it is gone. Raises Unwritable."""
    try:
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        before_rename(path)
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _unwritable(path, error) from error
        raise


def _unwritable(path: Path, error: OSError) -> Unwritable:
    return Unwritable(f"{path} cannot be written: {error.strerror or error}")


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write JSON with one key a line; floats read back to the same bits."""
    write(path, json.dumps(value, indent=1) + "\n")


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
    """A CSV file; a value that a row lacks is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write(path, text.getvalue())


def digests(directory: Path, names: Sequence[str]) -> dict[str, str]:
    """SHA-256 of those of the files that are there, by name."""
    return {name: digest(directory / name) for name in names if (directory / name).exists()}


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
