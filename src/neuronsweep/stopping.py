"""Remembers a request to stop (Ctrl-C, SIGTERM, a closed pipe) until the command has ended.

KeyboardInterrupt alone does not stop a command for certain: it is raised wherever the program happens to be, and the
library that is at work there may turn it into an error of its own, or ignore it. So whoever ends a job, a callback or
a call of a library looks here, and an error after a request to stop is taken for that stop.
"""

import contextlib
import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn, TextIO

_asked: int | None = None


def listen() -> None:
    """Remember SIGINT and SIGTERM of this process from now on, and raise KeyboardInterrupt for each."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as a shell has it for what it runs in the background
            signal.signal(number, _hear)


def listen_no_more() -> None:
    """Let the next signal end this process at once: all that is left to it is to end."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def leave_to_parent() -> None:
    """Let a forked process ignore Ctrl-C, which reaches all processes of a terminal: its parent ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def ask(number: int) -> NoReturn:
    """Ask this process to stop, for the reason that a signal's number stands for. Raises KeyboardInterrupt."""
    global _asked
    _asked = number
    raise KeyboardInterrupt


def asked() -> int | None:
    """The number of the signal that requested a stop, or None."""
    return _asked


def status() -> int:
    """Exit status of a command that was stopped: 130 after Ctrl-C, 143 after SIGTERM, 141 after a closed pipe."""
    return 128 + (_asked or signal.SIGINT)


def look() -> None:
    """Raise KeyboardInterrupt where a stop was requested; only in the main thread, which can end what it does."""
    if _asked is not None and threading.current_thread() is threading.main_thread():
        raise KeyboardInterrupt


@contextlib.contextmanager
def heeded() -> Iterator[None]:
    """Raise KeyboardInterrupt at the end of a block in which a stop was requested, whatever the block made of it."""
    try:
        yield
    except BrokenPipeError:
        if _asked is None and reader_is_gone():
            ask(signal.SIGPIPE)
        look()
        raise
    except (Exception, SystemExit):  # Lightning makes a SystemExit of Ctrl-C
        look()
        raise
    look()


def reader_is_gone() -> bool:
    """Whether stdout or stderr is a pipe whose reader has gone, so that what is written there is lost."""
    gone = [stream.fileno() for stream in (sys.stdout, sys.stderr) if _reader_is_gone(stream)]
    if gone:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for descriptor in gone:
            os.dup2(nowhere, descriptor)
        os.close(nowhere)
    return bool(gone)


def _reader_is_gone(stream: TextIO | None) -> bool:
    try:
        poll = select.poll()
        poll.register(stream.fileno(), 0)  # type: ignore[union-attr]
    except (AttributeError, OSError, ValueError):  # there is none, or it is no file, or it is closed
        return False
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _hear(number: int, frame: FrameType | None) -> None:
    ask(number)
