"""Optuna's database storage, which waits for a server that is restarted."""

import functools
import threading
import time
from collections.abc import Callable
from typing import Any

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, PendingRollbackError

from neuronsweep.errors import Unwritable

# Seconds for which a server that was there before is waited for, and between two attempts.
PATIENCE, PAUSE = 60.0, 0.5

# What Optuna's caches call besides what every storage has.
BESIDES = {"_create_new_trial", "_get_trials", "_set_trial_param", "_get_best_trial_id"}


class Database(RDBStorage):
    """Optuna's own, each of whose operations is tried again for PATIENCE seconds while the server is away.

    Raises Unwritable after that. An operation whose answer was lost is done twice, which all of them bear: values are
    set to the same again, a trial that was claimed without an answer has no owner and is given back, one that has been
    told is not told again.

    Args:
        url: an Optuna URL.
        shown: what to call it in an error.
        keys: of RDBStorage.
    """

    def __init__(self, url: str, shown: str, **keys: Any):
        self._shown, self._asking, self._lost = shown, threading.local(), False
        super().__init__(url, **keys)


def _patient(operation: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(operation)
    def tried(self: Database, *args: Any, **keys: Any) -> Any:
        if getattr(self._asking, "now", False):  # part of another operation, which is tried again from its start
            return operation(self, *args, **keys)
        end = time.monotonic() + (0 if self._lost else PATIENCE)  # what is still asked of a lost one is not waited for
        self._asking.now = True
        try:
            while True:
                try:
                    answer = operation(self, *args, **keys)
                    self._lost = False
                    return answer
                except (StorageInternalError, DBAPIError, PendingRollbackError) as error:
                    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
                    if not _is_away(cause):
                        raise
                    if time.monotonic() > end:
                        self._lost = True
                        raise Unwritable(f"{self._shown} has not answered for {PATIENCE:g} seconds") from error
                time.sleep(PAUSE)
        finally:
            self._asking.now = False

    return tried


def _is_away(error: BaseException | None) -> bool:
    """Whether an error says that the server went away, and not that the request was wrong.

    Some drivers raise errors of other kinds when a connection breaks in the middle of an answer: SQLAlchemy marks them.
    """
    if isinstance(error, DBAPIError):
        return isinstance(error, OperationalError | InterfaceError) or error.connection_invalidated
    return isinstance(error, PendingRollbackError)


for name in sorted({name for name in BaseStorage.__abstractmethods__ if hasattr(RDBStorage, name)} | BESIDES):
    setattr(Database, name, _patient(getattr(RDBStorage, name)))
