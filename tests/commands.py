"""Scripts run as a user runs them, without the seconds in which Python imports torch, Lightning and the rest.

Every command is a new process with its own words, directory, environment and output; it is forked from a server that
has imported the libraries, and nothing of neuronsweep. Tests that kill commands start Python itself instead.
"""

import atexit
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
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


def run(
    script: str,
    *words: str,
    cwd: Path,
    timeout: float = 120,
    environment: Mapping[str, str] | None = None,
    before: Callable[[], object] | None = None,
) -> subprocess.CompletedProcess:
    """Run ``python SCRIPT WORDS...`` of the repository in a directory and return the finished process.

    ``before`` is called in the new process first; a function of a module, or a partial of one.
    """
    whole = {**os.environ, "COLUMNS": "200", **(environment or {})}
    with tempfile.TemporaryDirectory() as kept:
        out, err = Path(kept, "out"), Path(kept, "err")
        arguments = str(ROOT / script), words, str(cwd), whole, str(out), str(err), before
        process = FORKS.Process(target=_become, args=arguments)
        process.start()
        process.join(timeout)
        told = [path.read_text() if path.exists() else "" for path in (out, err)]
        if process.is_alive():
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired([script, *words], timeout, *told)
        return subprocess.CompletedProcess([script, *words], process.exitcode, *told)


def run_fresh(script: str, *words: str, cwd: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess:
    """The same by Python itself, for what depends on what has been imported."""
    command = [sys.executable, str(ROOT / script), *words]
    return subprocess.run(command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True)


def _become(
    script: str,
    words: tuple[str, ...],
    cwd: str,
    environment: Mapping[str, str],
    out: str,
    err: str,
    before: Callable[[], object] | None,
) -> None:
    """What Python does between its start and a script's first line, and after its last."""
    for descriptor, path in ((1, out), (2, err)):
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
