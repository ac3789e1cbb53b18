"""Compiles the native engine: which compilers are tried, with which flags, and how a build is identified."""

import hashlib
import importlib.util
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

NATIVE = Path(__file__).parent / "native"
SOURCE = "member.c"  # the one translation unit: it includes the others

# Nothing here may change a bit: no contraction, no -ffast-math. (-Wno-psabi: vectors are never passed between files.)
FLAGS = ("-std=gnu11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fvisibility=hidden", "-Wno-psabi")
SHARED = ("-shared", "-fPIC")
# "the processor here" in the words of one compiler or another; with none of them the code is slower, its bits the same
PROCESSOR: tuple[tuple[str, ...], ...] = (("-march=native",), ("-mcpu=native",), ())

TIMEOUT = 120.0  # seconds after which a compiler is taken to hang

# lines of /proc/cpuinfo that decide which instructions there are: x86, Arm, RISC-V, POWER, s390
CPUINFO = re.compile(
    r"(flags|features|isa|cpu|cpu (?:implementer|architecture|variant|part))\s*:\s*(.*)", re.IGNORECASE
)


class BuildFailed(Exception):
    """A compiler made nothing that can be used; the message is one line that says why."""


class TookTooLong(BuildFailed):
    """A compiler, or what it made, hangs."""


def compilers() -> list[list[str]]:
    """The commands of the C compilers here, the preferred one first: $CC, gcc, clang, cc, the ziglang wheel's."""
    try:
        chosen = shlex.split(os.environ.get("CC", ""))
    except ValueError:  # an open quote
        chosen = []
    found = [command for command in (chosen, ["gcc"], ["clang"], ["cc"]) if command and shutil.which(command[0])]
    if importlib.util.find_spec("ziglang"):
        found.append([sys.executable, "-m", "ziglang", "cc"])
    return [command for i, command in enumerate(found) if command not in found[:i]]


def identity(command: Sequence[str]) -> str:
    """What tells a compiler from another version of it, without running it."""
    files = [shutil.which(command[0])]
    if "ziglang" in command and (wheel := importlib.util.find_spec("ziglang")):
        files.append(wheel.origin)
    parts = list(command)
    for path in map(os.path.realpath, filter(None, files)):
        stat = os.stat(path)
        parts += [path, str(stat.st_size), str(stat.st_mtime_ns)]
    return _digest(*parts)


def key(bits: int) -> str:
    """What a build must fit: the source, the flags and this machine's processor."""
    source = [part for path in sorted(NATIVE.glob("*.[ch]")) for part in (path.name, path.read_bytes())]
    return _digest(str(bits), *FLAGS, *SHARED, features(), *source)


@cache
def features() -> str:
    """The instructions that this machine's processor knows; where the system does not say, the machine itself."""
    machine = f"{sys.platform} {platform.machine()}"
    try:
        lines = set(Path("/proc/cpuinfo").read_text(errors="replace").splitlines())
    except OSError:
        lines = set()
    known = {
        f"{match[1].strip().lower()}: {' '.join(sorted(match[2].split()))}"
        for line in lines
        if (match := CPUINFO.fullmatch(line))
    }
    return "\n".join([machine, *(sorted(known) or [platform.processor(), platform.node()])])


def compile_source(command: Sequence[str], processor: Sequence[str], bits: int, output: Path) -> None:
    """Compile the engine for real numbers of so many bits. Raises BuildFailed with the compiler's first error."""
    files = [str(NATIVE / SOURCE), "-o", str(output), "-lm"]
    output.unlink(missing_ok=True)
    # zig keeps what it compiles of its own libraries, about 50 MB
    caches = {name: str(output.parent / "zig") for name in ("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR")}
    status, text = finish([*command, *FLAGS, *processor, *SHARED, f"-DREAL_BITS={bits}", *files], **caches)
    if status or not output.is_file():
        lines = [line.strip() for line in text.splitlines() if line.strip()] or [f"made nothing (status {status})"]
        raise BuildFailed(next((line for line in lines if "error" in line.lower()), lines[0]))


# In a process of its own, because an instruction that the processor does not have ends the process.
CHECK = """
import ctypes, sys
check = getattr(ctypes.CDLL(sys.argv[1]), "self_check", int)
if failed := check():
    sys.exit(f"its self_check gives {failed}")
"""


def check(path: Path) -> None:
    """Load a new library and run its self_check in another process. Raises BuildFailed."""
    status, text = finish([sys.executable, "-I", "-S", "-c", CHECK, str(path)])
    if status < 0:
        raise BuildFailed(f"what it made ends with {signal.Signals(-status).name}")
    if status:
        raise BuildFailed((text.splitlines() or [f"what it made ends with status {status}"])[-1])


def finish(command: Sequence[str], **environment: str) -> tuple[int, str]:
    """Run a command to its end and return its exit status and output. Raises BuildFailed."""
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "LC_ALL": "C", **environment},
                start_new_session=True,  # so that a compiler's own children can be ended with it
            )
        except OSError as error:
            raise BuildFailed(f"cannot be run: {error.strerror or error}") from error
        try:
            status = process.wait(TIMEOUT)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if isinstance(error, subprocess.TimeoutExpired):
                raise TookTooLong(f"took longer than {TIMEOUT:g} s") from error
            raise
        output.seek(0)
        return status, output.read().decode(errors="replace")


def _digest(*parts: str | bytes) -> str:
    sha = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else part.encode(errors="surrogateescape")
        sha.update(f"{len(data)}:".encode() + data)
    return sha.hexdigest()[:16]
