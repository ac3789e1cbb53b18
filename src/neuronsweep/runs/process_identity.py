"""Identifies a process beyond its number, and says whether it still runs."""

import os
import socket
from pathlib import Path


def identity() -> str:
    """This process, as nobody else is called: machine, process id and when it started."""
    return f"{_machine()}:{os.getpid()}:{_started(os.getpid())}"


def runs_here(process: str) -> bool | None:
    """Whether a process still runs, or None where it is one of another machine."""
    machine, pid, started = process.rsplit(":", 2)
    return _started(int(pid)) == started if machine == _machine() else None


def _machine() -> str:
    """Host, its boot and space of process ids: hosts may have one name, and so may containers of one host."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        boot = space = ""
    return f"{socket.gethostname()}/{boot}/{space}"


def _started(pid: int) -> str | None:
    """When a process started, in clock ticks, or None where there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]
