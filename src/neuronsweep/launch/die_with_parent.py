"""Starts a command that the kernel kills when its parent dies (Linux)."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that started it ends, however it ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    die_with_parent()
    if os.getppid() == int(sys.argv[1]):  # otherwise it died before the kernel had the request
        os.execv(sys.argv[2], sys.argv[2:])
