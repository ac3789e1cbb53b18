"""What every command shares: how it parses options and how it ends, with one line on stderr for a user's mistake."""

import argparse
import atexit
import difflib
import gc
import io
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields
from typing import Any, NoReturn, TextIO, TypeVar
from urllib.parse import unquote

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    MissingMandatoryValue,
    OmegaConfBaseException,
    ValidationError,
)

from neuronsweep import stopping
from neuronsweep.config import command_line
from neuronsweep.config.check import known_keys
from neuronsweep.config.schemas import SCHEMAS
from neuronsweep.config.schemas.search import SearchOptions
from neuronsweep.errors import Diverged, TookTooLong, Unwritable, UserError, stop, unwritable

# A storage's password, where its URL has none. One that is typed goes there before anything is written.
STORAGE_PASSWORD = "NEURONSWEEP_STORAGE_PASSWORD"

# Tells a command that another one starts that HYDRA_FULL_ERROR was not the user's.
SET_HERE = "NEURONSWEEP_SHORT_ERRORS"

TRACEBACK_WANTED = os.environ.get("HYDRA_FULL_ERROR") == "1" and SET_HERE not in os.environ

Task = TypeVar("Task", bound=Callable[..., Any])


def trains_runs(task: Task) -> Task:
    """Mark a task function as one that trains the run its config describes, so a launcher may train many at once."""
    task.trains_runs = True  # type: ignore[attr-defined]
    return task


@contextmanager
def command() -> Iterator[None]:
    """Run a command and end the process: exit status 2 with one line for an error of the user's, 1 for a failed run.

    One that was stopped ends with 130 (Ctrl-C), 143 (SIGTERM) or 141 (its output was closed). With
    HYDRA_FULL_ERROR=1 in the environment every error shows its traceback.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises, where it would print six lines and exit
    if not TRACEBACK_WANTED:
        os.environ[SET_HERE] = "1"
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115  it is closed
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal without some letter fails nobody's run
        sys.stdout.reconfigure(errors="backslashreplace")
    stopping.listen()
    _hide_password(sys.argv)
    status = 0
    try:
        with _one_line(), stopping.heeded():
            yield
            _flush(sys.stdout)
    except KeyboardInterrupt as stopped:
        stopping.listen_no_more()
        if not stopped.args and stopping.asked() != signal.SIGPIPE:  # it was not printed yet how to continue
            print("\nstopped", file=sys.stderr)
        status = stopping.status()
    except SystemExit as end:
        status = _status(end)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        status = 1
    _leave(status)


def _status(end: SystemExit) -> int:
    """The exit status that Python makes of a SystemExit; a message is printed."""
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    print(end.code, file=sys.stderr)
    return 1


def _leave(status: int) -> NoReturn:
    """End the process as Python does, but without tearing down what is imported: of torch that takes a second."""
    stopping.listen_no_more()
    try:
        threading._shutdown()  # type: ignore[attr-defined]  # waits for the threads that are no daemons
        atexit._run_exitfuncs()
        for file in gc.get_objects():  # files that a user's logger has left open
            if type(file) in (io.TextIOWrapper, io.BufferedWriter):
                with suppress(OSError, ValueError):
                    _flush(file)
        _flush(sys.stderr)
        _flush(sys.stdout)
    except BrokenPipeError:
        status = status or 128 + signal.SIGPIPE
    except OSError as error:  # a full disk under the output
        with suppress(OSError):
            print(f"error: the output cannot be written: {error.strerror}", file=sys.stderr, flush=True)
        status = status or 1
    os._exit(status)


def _flush(file: TextIO | io.TextIOWrapper | io.BufferedWriter | None) -> None:
    if file and not file.closed:
        file.flush()


@contextmanager
def _one_line() -> Iterator[None]:
    """Make one line on stderr and an exit status of an error that the user can correct."""
    try:
        yield
    except Unwritable as error:
        stop(str(error), status=1)
    except (UserError, Diverged, TookTooLong, HydraException, OmegaConfBaseException) as error:
        if TRACEBACK_WANTED:
            raise
        if isinstance(error, Diverged | TookTooLong):
            stop(f"the run failed: {error}", status=1)
        stop(str(error) if isinstance(error, UserError) else explain(error))
    except ValueError as error:
        if TRACEBACK_WANTED or "Config group override" not in str(error):
            raise
        pairs = {word: word.lstrip("+").partition("=") for word in sys.argv[1:]}
        named = re.compile(r"[A-Za-z_]\w*")
        words = [
            word
            for word, (key, _, value) in pairs.items()
            if key in ("", *SCHEMAS) and not all(named.fullmatch(one) and one != "null" for one in value.split(","))
        ]
        stop(f"{' '.join(words)} is not allowed: a group is chosen by a name, GROUP=NAME")
    except TypeError:  # Hydra looks into what it takes for a mapping
        words = [word for word in sys.argv[1:] if re.match(r"\+*hydra\.\w+=[^{]", word)]
        if TRACEBACK_WANTED or not words:
            raise
        stop(f"{words[0]} is not allowed: a group of Hydra's is chosen by a name, hydra/GROUP=NAME")
    except OSError as error:
        if TRACEBACK_WANTED:
            raise
        stop(str(unwritable(error)), status=1)


def become(words: Sequence[str]) -> NoReturn:
    """Continue as another Python command, in the environment that this one was started in."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *words])


def _hide_password(words: list[str]) -> None:
    """Take the password out of the storage's URL: Hydra and the record write down every word of the command line."""
    for i, word in enumerate(words):
        if not word.startswith("hydra.sweeper.storage="):
            continue
        if found := re.match(r"(.*?://[^:/@]*):(.*)(@.*)", word):
            words[i] = found.group(1) + found.group(3)
        elif found := re.match(r"(.*[?&])password=([^&'\"]*)&?(.*)", word):
            words[i] = found.group(1).rstrip("?&" if not found.group(3).strip("'\"") else "") + found.group(3)
        if found:
            os.environ[STORAGE_PASSWORD] = unquote(found.group(2))


class Parser(argparse.ArgumentParser):
    """argparse with errors of one line, and with numbers such as -1e3 that are not taken for options."""

    def error(self, message: str) -> NoReturn:
        stop(f"{message}; see --help")

    def parse_args(self, args=None, namespace=None):
        words = sys.argv[1:] if args is None else args
        return super().parse_args([f" {word}" if _is_number(word) else word for word in words], namespace)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return word.startswith("-")


def explain(error: Exception) -> str:
    """Hydra's or OmegaConf's error in one line that names the key, the value, what is allowed and the nearest key."""
    removed = [word for word in sys.argv[1:] if word.startswith("~") and not word.startswith("~hydra")]
    if removed and isinstance(error, ConfigKeyError | MissingMandatoryValue):
        return f"{removed[0]} is not allowed: the config needs all of its keys"
    cause: BaseException = error
    while isinstance(cause.__cause__, HydraException | OmegaConfBaseException):
        cause = cause.__cause__
    if isinstance(cause, MissingConfigException) and cause.missing_cfg_file and cause.options is not None:
        choices = [option for option in cause.options if not option.startswith("schema_")]
        return command_line.file_of_group(cause.missing_cfg_file, choices)
    if isinstance(cause, MissingConfigException) and str(cause).startswith("Cannot find primary config"):
        return f"--config-name={cause.missing_cfg_file} is not allowed: neither conf nor a --config-dir has such a file"
    if isinstance(cause, OverrideParseException):
        return command_line.unreadable(str(cause.override))
    if said := command_line.uncomposed(error):
        return said
    if isinstance(cause, ConfigAttributeError | ConfigKeyError) and cause.full_key:
        return unknown_key(cause.full_key)
    if isinstance(cause, ValidationError) and cause.full_key:
        given = re.search(r"override (.*)", str(error))
        named = cause.full_key.partition("[")[0]  # of an item of a list, the list
        words = [allowed.words for key, _, allowed in known_keys() if key == named and allowed]
        must = f": {named} is {words[0]}" if words else f": {_first_line(cause)}"
        return f"{given.group(1) if given else cause.full_key} is not allowed{must}"
    return " ".join(str(error).split())


def unknown_key(key: str) -> str:
    """What to say of a key that the config does not have."""
    if key.split(".")[0] == "population":
        return f"{key} is not a key of the config: the native engine has engine.threads, engine.snapshot_seconds"
    parent, _, name = key.rpartition(".")
    known = {known for known, _, _ in known_keys()} | set(SCHEMAS)
    known |= {f"hydra.sweeper.{item.name}" for item in fields(SearchOptions)} | {"hydra.sweeper.shard"}
    siblings = sorted(other.rpartition(".")[2] for other in known if other.rpartition(".")[0] == parent)
    near = [f"{parent}.{match}" if parent else match for match in difflib.get_close_matches(name, siblings, n=1)]
    near += sorted(other for other in known if other.rpartition(".")[2] == name and other != key)
    near += difflib.get_close_matches(key, known, n=1)
    if key in known:
        return f"{key} is not a key of the {parent} chosen here; python train.py --cfg job shows those that are"
    return f"{key} is not a key of the config" + (f"; did you mean {near[0]}?" if near else f"; {_hint(parent)}")


def _hint(parent: str) -> str:
    return "python train.py --cfg job shows all keys" + (f" of {parent}" if parent in SCHEMAS else "")


def _first_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if not line.startswith(("Error parsing", "See "))]
    return lines[0] if lines else str(error)
