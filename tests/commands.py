"""Runs scripts as a user does, without the seconds in which Python imports torch, Lightning and other libraries.

Every command is a new process with its own words, directory, environment and output; it is forked from a server that
has imported the libraries, and nothing of neuronsweep. Only tests whose subject is the start of Python start it.
"""

import atexit
import multiprocessing
import os
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Of a sweep that is no test of the report, which takes longer to make than the sweep.
NO_REPORT = "~hydra.callbacks.report"

LIBRARIES = (
    "hydra.main",
    "lightning.pytorch.loggers",
    "lightning.pytorch.callbacks",
    "matplotlib.figure",
    "optuna.importance",
    "plotly.graph_objects",
    "torch.utils.tensorboard",
    "torchmetrics",
)

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(list(LIBRARIES))


# What a test that fails leaves running is ended by conftest.py.
RUNNING: list["Script"] = []


class Script:
    """``python SCRIPT WORDS...`` of the repository while it runs, in a process group of its own.

    Args:
        script: its path in the repository, or an absolute one.
        environment: variables beside this process's.
        before: called in the new process first; a function of a module, or a partial of one.
    """

    def __init__(
        self,
        script: str,
        *words: str,
        cwd: Path,
        environment: Mapping[str, str] | None = None,
        before: Callable[[], object] | None = None,
    ):
        self.words = [script, *words]
        kept = Path(tempfile.mkdtemp())
        weakref.finalize(self, shutil.rmtree, kept, ignore_errors=True)
        self.out, self.err = kept / "out", kept / "err"
        whole = {**os.environ, "COLUMNS": "200", **(environment or {})}
        arguments = str(ROOT / script), words, str(cwd), whole, (str(self.out), str(self.err)), before
        self.process = FORKS.Process(target=_become, args=arguments)
        self.process.start()
        RUNNING.append(self)
        assert self.process.pid
        self.pid: int = self.process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""
        return self.process.exitcode

    def send_signal(self, number: int) -> None:
        """Send a signal to the process, not to its group; none where it has ended."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill the process and leave what it has started."""
        self.send_signal(signal.SIGKILL)

    def end(self) -> None:
        """Kill what still runs of it and its group, and wait for it."""
        if self.returncode is None:
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except ProcessLookupError:  # it has not come to have a group of its own
                self.kill()
            self.process.join()

    def printed(self) -> tuple[str, str]:
        """What it has written to stdout and to stderr."""
        out, err = (path.read_text() if path.exists() else "" for path in (self.out, self.err))
        return out, err

    def communicate(self, timeout: float = 120) -> tuple[str, str]:
        """Wait for its end and return what it has written; one that takes longer is killed."""
        self.process.join(timeout)
        if self.returncode is None:
            self.end()
            raise subprocess.TimeoutExpired(self.words, timeout, *self.printed())
        return self.printed()


def run(
    script: str,
    *words: str,
    cwd: Path,
    timeout: float = 120,
    environment: Mapping[str, str] | None = None,
    before: Callable[[], object] | None = None,
) -> subprocess.CompletedProcess:
    """Run ``python SCRIPT WORDS...`` of the repository in a directory and return the finished process.

    Arguments are those of Script.
    """
    process = Script(script, *words, cwd=cwd, environment=environment, before=before)
    printed = process.communicate(timeout)
    return subprocess.CompletedProcess([script, *words], process.process.exitcode or 0, *printed)


def wait_until(true: Callable[[], object], process: Script | None = None, seconds: float = 90) -> None:
    """Wait until something is true, while a process runs."""
    end = time.monotonic() + seconds
    while not true():
        assert process is None or process.returncode is None, process.printed()
        assert time.monotonic() < end
        time.sleep(0.01)


def run_fresh(script: str, *words: str, cwd: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess:
    """The same by Python itself, for what depends on what has been imported."""
    command = [sys.executable, str(ROOT / script), *words]
    return subprocess.run(command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True)


def _become(
    script: str,
    words: tuple[str, ...],
    cwd: str,
    environment: Mapping[str, str],
    printed: tuple[str, str],
    before: Callable[[], object] | None,
) -> None:
    """What Python does between its start and a script's first line, and after its last."""
    os.setsid()  # whoever kills a group does not mean the tests
    for descriptor, path in enumerate(printed, 1):
        file = os.open(path, os.O_WRONLY | os.O_CREAT)
        os.dup2(file, descriptor)
        os.close(file)
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.argv = [script, *words]
    sys.path[:0] = [os.path.dirname(script), *environment.get("PYTHONPATH", "").split(os.pathsep)]
    status = 0
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        if before:
            before()
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        status = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(status)
