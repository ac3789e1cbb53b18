"""Signs of life of the processes that hold trials, by which others notice when they are gone."""

import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from neuronsweep.runs.process_identity import identity, runs_here

# Seconds between two signs of life, and without one until a process on another machine is taken for dead.
BEAT, GRACE = 10.0, 60.0
KEY = "alive:"


# What others have written, by what it tells of, and when this process has first seen it, by its own clock.
_seen: dict[str, tuple[Any, float]] = {}


def seconds_unchanged(what: str, sign: Any) -> float:
    """For how long this process has seen the same sign of something, by its own clock and no other machine's."""
    now = time.monotonic()
    if what not in _seen or _seen[what][0] != sign:
        _seen[what] = sign, now
    return now - _seen[what][1]


def is_alive(process: str, study_attrs: Mapping[str, Any]) -> bool:
    """Whether a process still runs: on this machine for certain, elsewhere by its signs of life.

    One of another machine is dead when no new sign has come while this process has looked for GRACE seconds; what its
    clock says does not matter.
    """
    if (here := runs_here(process)) is not None:
        return here
    sign = study_attrs.get(KEY + process)
    return sign is not None and seconds_unchanged(process, sign) < GRACE


# A process that is forked while a sign of life is being written would inherit the storage's locks, and wait for ever.
_beating = threading.Lock()
os.register_at_fork(before=_beating.acquire, after_in_parent=_beating.release, after_in_child=_beating.release)


class Heart:
    """Writes a sign of life to a study every BEAT seconds, in a thread while the block runs; calls ``besides`` too."""

    def __init__(self, study: Any, besides: Callable[[], object] = lambda: None):
        self.study, self.besides = study, besides
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> "Heart":
        self.study.set_user_attr(KEY + identity(), time.time())
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join()

    def _beat(self) -> None:
        while not self.stop.wait(BEAT):
            with _beating:
                self.besides()
                try:
                    self.study.set_user_attr(KEY + identity(), time.time())
                except Exception:  # a database that is away for a moment: the next beat tells
                    continue
