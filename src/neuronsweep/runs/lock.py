"""The lock on a run or sweep directory, which ends with the processes of its owner."""

import atexit
import contextlib
import fcntl
import json
import os
import socket
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from neuronsweep import stopping
from neuronsweep.errors import UserError
from neuronsweep.runs import contents
from neuronsweep.runs.contents import LOCK
from neuronsweep.runs.process_identity import identity, runs_here
from neuronsweep.runs.record import command

# How what an owner writes of itself begins.
BEGIN = b'{"host"'
# An owner on another machine, whose lock this one may not see, is believed to live for so long after its last beat.
SECONDS_BELIEVED = 60.0
SECONDS_BETWEEN_BEATS = 5.0
# How long the workers of an owner that was killed may take to notice that.
SECONDS_OF_ORPHANS = 15.0

_held: dict[Path, int] = {}
_taker = 0  # the process that holds them, whose workers inherit the handles
_beat = 0.0
# What else is done at a heartbeat.
besides: list[Callable[[], object]] = []


class Owned(UserError):
    """Somebody else owns the directory; the message names the owner."""


def further_process() -> bool:
    """Whether this is a further process of a DDP run, whose first process owns the directory for all."""
    return int(os.environ.get("LOCAL_RANK", "0")) > 0


def take(directory: Path) -> None:
    """Own a directory until this process and the workers forked from it have ended; to take it twice is no error.

    Raises Owned where another process has it, or an owner on another machine gave a sign of life in the last minute.
    """
    global _taker
    key = directory.resolve()
    if key in _held:
        return
    handle = _open(directory)
    try:
        owner = _owner(handle)
        begin = os.pread(handle, len(BEGIN), 0)
        if not BEGIN.startswith(begin):  # half of what an owner wrote begins as all of it
            raise UserError(f"{directory / LOCK} is somebody else's, and no lock of neuronsweep: move it away")
        if owner and _lives_elsewhere(owner, handle, directory):
            raise Owned(_told(directory, owner) + f"; if that is no more, in {SECONDS_BELIEVED:.0f} s this is free")
    except BaseException:
        os.close(handle)
        raise
    if not _held:
        _taker = os.getpid()
        atexit.register(_release)
    _held[key] = handle
    _write(handle)


def beat() -> None:
    """Renew the heartbeat of what this process owns; costs nothing when called too often.

    Whoever waits or trains for long calls it, so requests to stop are noticed here, too.
    """
    global _beat
    stopping.look()
    if time.monotonic() - _beat < SECONDS_BETWEEN_BEATS or os.getpid() != _taker:  # a forked worker owns nothing
        return
    _beat = time.monotonic()
    for handle in _held.values():
        _write(handle)
    for call in besides:
        call()


def owner(directory: Path) -> str | None:
    """Who owns a directory now, in words, or None; nothing is changed."""
    try:
        handle = os.open(directory / LOCK, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:  # there is none, or a link, which is no lock of ours
        return None
    try:
        found = _owner(handle)
        if directory.resolve() in _held:
            return _named(found)
        if _lock(handle, fcntl.LOCK_SH):
            return _named(found) if found and _lives_elsewhere(found, handle, directory) else None
        return _named(found)
    finally:
        os.close(handle)


def _open(directory: Path) -> int:
    """The lock file, locked; the workers of an owner that was killed are waited for."""
    patience = time.monotonic() + SECONDS_OF_ORPHANS
    while True:
        try:
            handle = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        except OSError as error:
            raise UserError(f"cannot use {directory} as output directory: {LOCK}: {error.strerror}") from None
        if _lock(handle, fcntl.LOCK_EX):
            if _is_at(handle, directory / LOCK):
                return handle
        else:
            # the kernel says that it is held; whether by the owner or by what is left of it, the owner's name tells
            found = _owner(handle)
            if found is None or runs_here(found["process"]) is not False or time.monotonic() > patience:
                os.close(handle)
                raise Owned(_told(directory, found))
            time.sleep(0.1)
        os.close(handle)


def _is_at(handle: int, path: Path) -> bool:
    """Whether an open file is still the one at this path: an owner that ends removes it."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _lock(handle: int, how: int) -> bool:
    try:
        fcntl.flock(handle, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: the heartbeat has to do
        return True
    return True


def _owner(handle: int) -> dict | None:
    """What the owner wrote of itself, None where there is nothing or half of it."""
    try:
        found = json.loads(os.pread(handle, 65536, 0))
        return found if {"host", "pid", "process", "command", "heartbeat"} <= set(found) else None
    except (ValueError, TypeError):
        return None


def _write(handle: int) -> None:
    mine = {"host": socket.gethostname(), "pid": os.getpid(), "process": identity(), "command": command()}
    content = json.dumps({**mine, "file": os.fstat(handle).st_ino, "heartbeat": time.time()}).encode()
    with contextlib.suppress(OSError):  # a full disk: the lock holds all the same
        os.pwrite(handle, content, 0)
        os.ftruncate(handle, len(content))


def _release() -> None:
    if os.getpid() != _taker:  # a forked worker ends, and leaves what its parent owns
        return
    for directory in _held:
        with contextlib.suppress(OSError):
            contents.remove(directory / LOCK)


def _lives_elsewhere(found: dict, handle: int, directory: Path) -> bool:
    """Whether an owner on another machine has given a sign of life; in a copy of its directory it is not."""
    copied = found.get("file", os.fstat(handle).st_ino) != os.fstat(handle).st_ino
    return not copied and found["host"] != socket.gethostname() and _age(handle, directory) < SECONDS_BELIEVED


def _age(handle: int, directory: Path) -> float:
    """Seconds since the last heartbeat, by the clock of the file system, which all machines share that see it."""
    try:
        with tempfile.TemporaryFile(dir=directory) as file:
            file.write(b"now")
            file.flush()
            now = os.fstat(file.fileno()).st_mtime
    except OSError:  # a directory that can only be read
        now = time.time()
    return abs(now - os.fstat(handle).st_mtime)  # a clock that was set back makes it no younger


def _named(found: dict | None) -> str:
    if found is None:
        return "another process"
    since = datetime.fromtimestamp(found["heartbeat"], UTC).isoformat(timespec="seconds")
    return f"process {found['pid']} on {found['host']} ({found['command']}; heartbeat {since})"


def _told(directory: Path, found: dict | None) -> str:
    return f"{directory} is being trained by {_named(found)}"
