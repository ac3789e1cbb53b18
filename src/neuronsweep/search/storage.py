"""Opens the storage of a study: a journal file, or a database."""

import contextlib
import fcntl
import json
import logging
import os
import re
import threading
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import BaseJournalFileLock, get_lock_file

from neuronsweep.cli import STORAGE_PASSWORD
from neuronsweep.errors import Unwritable, UserError, mask

# Seconds within which a server must answer.
TIMEOUT = 5

optuna.logging.set_verbosity(optuna.logging.ERROR)
logging.getLogger("alembic").setLevel(logging.ERROR)
warnings.filterwarnings("ignore", module=r"optuna\..*")
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


class FileLock(BaseJournalFileLock):
    """The kernel's lock on the journal itself: it is gone the moment its process is, and leaves no file behind."""

    def __init__(self, path: Path):
        self.path = path
        self.file: Any = None

    def acquire(self) -> bool:
        file = open(self.path, "ab")  # noqa: SIM115
        fcntl.flock(file, fcntl.LOCK_EX)
        self.file = file
        return True

    def release(self) -> None:
        file, self.file = self.file, None
        # a process that was forked meanwhile has the file open too, and closing it here would not unlock it
        fcntl.flock(file, fcntl.LOCK_UN)
        file.close()


class Journal(JournalFileBackend):
    """A journal that stays readable: half a line, of a process that was killed, is cut before the next is written."""

    def __init__(self, path: str):
        super().__init__(path, lock_obj=FileLock(Path(path)))
        self._mine = threading.local()  # lines that a thread holds; others continue writing theirs

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Write what is appended in the block at its end: a line at a time is safe on disk after milliseconds."""
        if getattr(self._mine, "held", None) is not None:  # inside another such block
            yield
            return
        held = self._mine.held = []
        try:
            yield
        finally:
            self._mine.held = None
            if held:
                self.append_logs(held)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        if getattr(self._mine, "held", None) is not None:
            self._mine.held += logs
            return
        content = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode()
        with get_lock_file(self._lock), open(self._file_path, "r+b", buffering=0) as file:
            end = _end_of_lines(file)
            file.truncate(end)
            file.seek(end)
            try:
                while content:
                    content = content[file.write(content) :]
                os.fsync(file.fileno())
            except OSError as error:
                file.truncate(end)
                raise Unwritable(f"{self._file_path} cannot be written: {error.strerror or error}") from error


class JournalFile(JournalStorage):
    """Optuna's storage in a journal file; ``journal`` is the file's end of it."""

    def __init__(self, path: str):
        self.journal = Journal(path)
        super().__init__(self.journal)


@contextlib.contextmanager
def together(storage: BaseStorage) -> Iterator[None]:
    """Write what is reported to a storage in the block at its end, where that is faster.

    Reports about a trial that another process has finished are ignored.
    """
    if not isinstance(storage, JournalFile):
        yield
        return
    with storage.journal.together():
        yield
    while True:  # Optuna warns about each such line when it reads it
        with contextlib.suppress(UpdateFinishedTrialError):
            storage.get_all_studies()
            return


def _end_of_lines(file: Any) -> int:
    """Where the last complete line of a file ends."""
    end = file.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - 4096)
        file.seek(start)
        at = file.read(end - start).rfind(b"\n")
        if at >= 0:
            return start + at + 1
        end = start
    return 0


@cache
def open_storage(where: str) -> BaseStorage:
    """The storage at an Optuna URL or, without ``://``, in a journal file; one object a process.

    A forked process must not use its parent's, which has the parent's name and connections: it clears this cache.

    The password of a URL without one is taken from the environment (STORAGE_PASSWORD).
    Raises UserError, without the password, for a storage that cannot be reached.
    """
    try:
        if "://" not in where:
            return JournalFile(where)
        from neuronsweep.search.sql_storage import Database  # late: needs SQLAlchemy, which journals do not

        keys: dict[str, Any] = {"pool_pre_ping": True}
        if where.startswith(("postgresql", "mysql")):
            # one connection a process is kept: a server has 100 at most unless somebody says otherwise
            keys |= {"connect_args": {"connect_timeout": TIMEOUT}, "pool_size": 1}
        return Database(_with_password(where), f"hydra.sweeper.storage={mask(where)}", engine_kwargs=keys)
    except ImportError as error:
        needs = ": pip install 'neuronsweep[postgres]'" if where.startswith("postgresql") else ""
        raise UserError(f"hydra.sweeper.storage={mask(where)} needs a package: {error.name}{needs}") from None
    except Exception as error:
        raise UserError(f"hydra.sweeper.storage={mask(where)} cannot be reached: {_reason(error)}") from None


def _with_password(url: str) -> str:
    password = os.environ.get(STORAGE_PASSWORD)
    if not password:
        return url
    secret = quote(password, safe="")
    if re.match(r"[^:]+://[^:/@?]+@", url):
        return url.replace("@", f":{secret}@", 1)
    return url + ("&" if "?" in url else "?") + f"password={secret}"


def _reason(error: Exception) -> str:
    lines = [line for line in str(getattr(error, "orig", None) or error).strip().splitlines() if line.strip()]
    text = mask(" ".join(lines[:2])) or type(error).__name__
    password = os.environ.get(STORAGE_PASSWORD)
    return text.replace(password, "***") if password else text
