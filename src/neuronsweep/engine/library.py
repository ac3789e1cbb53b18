"""Loads the native engine into this process: a stored build, or a new one.

A build is kept as ``member<bits>-<key>-<compiler>-<digest of its bytes>.so``, so a build of another source or for
another processor has another name, and one whose bytes are not those of its name is damaged. A build is made in the
environment, or where that cannot be written in the user's cache, or else for this process alone.

``python -m neuronsweep.engine.library`` makes what is missing and says so in one line; status 1: no engine.
"""

import atexit
import ctypes
import hashlib
import os
import shlex
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from neuronsweep.engine import build
from neuronsweep.engine.build import BuildFailed

PRECISIONS = (32, 64)
NO_COMPILER = "there is no C compiler: neither gcc nor clang nor the ziglang wheel"

_lock = threading.Lock()
_loaded: dict[int, ctypes.CDLL] = {}
_reasons: dict[int, str] = {}  # why a precision cannot be had, once it was tried


class NoLibrary(Exception):
    """The native engine cannot be had on this machine; the message is one line that says why."""


def library(bits: int) -> ctypes.CDLL:
    """The engine for real numbers of 32 or 64 bits; compiled first where no build fits. Raises NoLibrary."""
    if bits not in PRECISIONS:
        raise ValueError(f"bits={bits}: one of {PRECISIONS}")
    with _lock:
        if bits not in _loaded:
            if bits in _reasons:
                raise NoLibrary(_reasons[bits])
            try:
                _loaded[bits] = _library(bits)
            except NoLibrary as error:
                _reasons[bits] = str(error)
                raise
        return _loaded[bits]


def missing(bits: int) -> str | None:
    """Why there is no engine for real numbers of this size, or None; it is compiled where no build fits."""
    try:
        library(bits)
    except NoLibrary as error:
        return str(error)
    return None


def directories() -> list[Path]:
    """Where builds are kept, the preferred place first."""
    places = [Path(sys.prefix) / "lib" / "neuronsweep" / "engine"]
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not cache.is_absolute():
        try:
            cache = Path.home() / ".cache"
        except RuntimeError:  # this user has no home
            return places
    return [*places, cache / "neuronsweep"]


def _library(bits: int) -> ctypes.CDLL:
    commands = build.compilers()
    # any compiler's build will do, as all have the same bits; a compiler that fails is not tried again this way
    if found := _found(bits, [build.identity(command) for command in commands]):
        return found
    try:
        return _built(bits, commands)
    except NoLibrary:
        # of a compiler that is gone or was replaced
        if found := _found(bits, ["*"]):
            return found
        raise


def _builds(bits: int, compiler: str = "*") -> list[Path]:
    pattern = f"member{bits}-{build.key(bits)}-{compiler}-*.so"
    return [path for directory in directories() for path in sorted(directory.glob(pattern))]


def _found(bits: int, compilers: Sequence[str]) -> ctypes.CDLL | None:
    for path in [path for compiler in compilers for path in _builds(bits, compiler)]:
        try:
            if _digest(path) == path.stem.rpartition("-")[2]:
                return _load(path)
            path.unlink()
        except (OSError, BuildFailed):  # made for another system, or not ours to remove
            continue
    return None


def _built(bits: int, commands: Sequence[Sequence[str]]) -> ctypes.CDLL:
    reasons = []
    try:
        with tempfile.TemporaryDirectory(prefix="neuronsweep-") as scratch:
            for command in commands:
                try:
                    return _built_by(command, bits, Path(scratch))
                except BuildFailed as error:
                    reasons.append(f"{shlex.join(command)}: {error}")
    except OSError as error:
        reasons.append(f"a build cannot be written: {error.strerror or error}")
    raise NoLibrary("; ".join(reasons) or NO_COMPILER)


def _built_by(command: Sequence[str], bits: int, scratch: Path) -> ctypes.CDLL:
    stem = f"member{bits}-{build.key(bits)}-{build.identity(command)}"
    failure = None
    for processor in build.PROCESSOR:
        output = scratch / "member.so"
        try:
            build.compile_source(command, processor, bits, output)
            return _load(_kept(output, f"{stem}-{_digest(output)}.so"))
        except build.TookTooLong:
            raise
        except BuildFailed as error:
            failure = error
    assert failure
    raise failure


def _kept(built: Path, name: str) -> Path:
    """Put a build that passes its check where it is kept. Raises BuildFailed."""
    failure = None
    for directory in _writable():
        try:
            with tempfile.TemporaryDirectory(prefix=".new-", dir=directory) as own:
                new = Path(own) / name
                shutil.copyfile(built, new)
                build.check(new)  # here and not where it was made: a directory may forbid to run what is in it
                os.replace(new, directory / name)
            return directory / name
        except build.TookTooLong:
            raise
        except OSError as error:
            failure = failure or BuildFailed(f"what it made cannot be kept: {error}")
        except BuildFailed as error:
            failure = error
    assert failure
    raise failure


def _writable() -> Iterator[Path]:
    for directory in directories():
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        yield directory
    own = Path(tempfile.mkdtemp(prefix="neuronsweep-engine-"))
    atexit.register(shutil.rmtree, own, ignore_errors=True)
    yield own


def _load(path: Path) -> ctypes.CDLL:
    try:
        loaded = ctypes.CDLL(str(path))
    except OSError as error:
        raise BuildFailed(str(error)) from error
    if failed := getattr(loaded, "self_check", int)():
        raise BuildFailed(f"the self_check of {path} gives {failed}")
    return loaded


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:32]


def main() -> int:
    """Make what is missing and print one line. Returns the exit status."""
    try:
        names = [library(bits)._name for bits in PRECISIONS]
    except NoLibrary as error:
        print(f"no native engine, Lightning will train: {error}")
        return 1
    print(f"native engine: {os.path.dirname(names[0])}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
