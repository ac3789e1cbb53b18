"""A request to stop ends the command, wherever it arrives and whatever a library makes of it."""

import csv
import os
import signal
import subprocess
import sys
import time
from functools import partial
from importlib import import_module
from pathlib import Path

import pytest

from neuronsweep import stopping
from neuronsweep.runs import contents
from neuronsweep.runs.run import Run
from tests.commands import NO_REPORT, ROOT, run

SWEEP = ("-m", "hydra/launcher=basic", "seed=0,1", "epochs=4", "log_points=2", "data=line", "logger=none", NO_REPORT)
# Where a signal arrives, and in which call: the first ones are those of the checks before a sweep begins.
PLACES = {
    "config": ("hydra._internal.config_loader_impl", "ConfigLoaderImpl.load_sweep_config", 2),
    "job": ("hydra.core.utils", "_save_config", 1),
    "data": ("neuronsweep.training.run", "build_dataset", 1),
    "module": ("neuronsweep.training.run", "build_module", 1),
    "logger": ("neuronsweep.training.run", "build_logger", 1),
    "trainer": ("neuronsweep.training.run", "build_trainer", 1),
    "callback of the Trainer": ("neuronsweep.training.callbacks", "Checkpoint.on_train_epoch_end", 1),
    "callback of Hydra": ("neuronsweep.hydra_callbacks", "Results.write_now_and_then", 1),
}


def interrupt(module: str, name: str, call: int, number: int, lost: bool) -> None:
    """Have a signal arrive in a call of a function, where KeyboardInterrupt gets lost, or becomes another error."""
    holder = import_module(module)
    *of, name = name.split(".")
    for part in of:
        holder = getattr(holder, part)
    function = getattr(holder, name)
    calls = 0

    def interrupted(*args, **keys):
        nonlocal calls
        calls += 1
        if calls == call:
            try:
                os.kill(os.getpid(), number)
                time.sleep(0)  # Python looks for signals
            except KeyboardInterrupt:
                if not lost:
                    raise RuntimeError("what a library makes of it") from None
        return function(*args, **keys)

    setattr(holder, name, interrupted)


@pytest.mark.parametrize(("number", "lost"), [(signal.SIGTERM, False), (signal.SIGINT, True)])
@pytest.mark.parametrize("place", PLACES)
def test_a_sweep_stops_wherever_the_signal_arrives(tmp_path, place, number, lost):
    before = partial(interrupt, *PLACES[place], number, lost)
    done = run("train.py", *SWEEP, "hydra.sweep.dir=sweep", cwd=tmp_path, before=before)
    assert done.returncode == 128 + number, done.stderr
    assert "runs complete; continue with: python scripts/resume.py sweep" in done.stdout, done.stderr
    assert "FAILED" not in done.stdout + done.stderr
    rows = list(csv.DictReader((tmp_path / "sweep" / contents.RESULTS).read_text().splitlines()))
    assert [row["state"] for row in rows] in (["RUNNING"], ["COMPLETE"], [])
    assert not Run(tmp_path / "sweep" / "0001").has_begun


@pytest.mark.parametrize("place", ["module", "callback of the Trainer"])
def test_a_run_stops_and_a_search_too(tmp_path, place):
    before = partial(interrupt, *PLACES[place], signal.SIGTERM, False)
    words = (*SWEEP[3:-1], "hydra.run.dir=run")
    done = run("train.py", *words, cwd=tmp_path, before=before)
    assert done.returncode == 143, done.stderr
    assert "Traceback" not in done.stderr
    begun = Run(tmp_path / "run").has_begun
    assert ("continue with: python scripts/resume.py run" in done.stdout) == begun == (place != "module")
    search = ("-m", "sweep=optuna", "hydra.sweeper.n_trials=3", *SWEEP[1:2], *SWEEP[3:], "hydra.sweep.dir=search")
    done = run("train.py", *search, "model.hidden=choice(2,3)", cwd=tmp_path, before=before)
    assert done.returncode == 143, done.stderr
    assert "continue with: python scripts/resume.py search" in done.stdout
    assert "FAILED" not in done.stdout + done.stderr


def test_a_time_limit_is_a_time_limit_whatever_a_library_makes_of_it():
    from neuronsweep.errors import TookTooLong
    from neuronsweep.training.run import time_limit

    def library() -> None:
        try:
            time.sleep(60)
        except TookTooLong:
            raise RuntimeError("what a library makes of it") from None

    with pytest.raises(TookTooLong, match=r"time_limit=0\.01 seconds"), time_limit(0.01):
        library()


@pytest.mark.parametrize("module", ["hydra", "omegaconf", "neuronsweep.cli", "neuronsweep.config.check"])
def test_ctrl_c_ends_a_command_that_is_still_being_imported(tmp_path, module):
    """It comes where Python has to ignore a KeyboardInterrupt: in the callback of a weak reference."""
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.abc, os, signal, sys, time, weakref\n"
        "class Thing: pass\n"
        "def die(reference):\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(0)\n"
        "class Finder(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        f"        if name == {module!r}:\n"
        "            sys.meta_path.remove(self)\n"
        "            thing = Thing()\n"
        "            kept = weakref.ref(thing, die)\n"
        "            del thing\n"
        "sys.meta_path.insert(0, Finder())\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    words = [sys.executable, str(ROOT / "train.py"), "epochs=3", "hydra.run.dir=run"]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")
    assert not (tmp_path / "run").exists()


def test_what_is_asked_for_is_looked_for_in_the_main_thread_alone(monkeypatch):
    from concurrent.futures import ThreadPoolExecutor

    monkeypatch.setattr(stopping, "_asked", None)
    with stopping.heeded():
        pass
    monkeypatch.setattr(stopping, "_asked", int(signal.SIGTERM))
    with ThreadPoolExecutor(1) as pool:
        pool.submit(stopping.look).result()
    with pytest.raises(KeyboardInterrupt), stopping.heeded():
        raise ValueError("whatever")
    assert stopping.status() == 143


def test_a_command_that_a_shell_runs_in_the_background_ignores_ctrl_c(tmp_path):
    code = "import neuronsweep.starting, signal; from neuronsweep import stopping; stopping.listen(); print(1)"
    code = f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); {code}; signal.raise_signal(signal.SIGINT)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")


def piped(cwd: Path, script: str, *words: str) -> subprocess.CompletedProcess:
    """Run a command whose reader is gone before it writes a word."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, str(ROOT / script), *words]
    try:
        return subprocess.run(command, cwd=cwd, stdout=writer, stderr=subprocess.PIPE, text=True)
    finally:
        os.close(writer)


def test_a_closed_pipe_ends_quietly_and_a_sweep_says_how_it_goes_on(tmp_path):
    words = (*SWEEP[3:], "hydra.sweep.dir=sweep")
    done = piped(tmp_path, "train.py", "-m", "seed=0,1", *words)
    assert done.returncode == 141, done.stderr
    assert done.stderr == "stopped with 0 of 2 runs complete; continue with: python scripts/resume.py sweep\n"
    run("scripts/resume.py", "sweep", cwd=tmp_path).check_returncode()
    for script in (
        ("report.py", "sweep"),
        ("replay.py", "sweep/0000", "sweep/0001"),
        ("predict.py", "sweep/0000", "--x", "1"),
    ):
        done = piped(tmp_path, f"scripts/{script[0]}", *script[1:])
        assert (done.returncode, done.stderr) == (141, ""), script
    done = piped(tmp_path, "train.py", "--help")
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("place", [("neuronsweep.launch.native", "build_dataset", 1), PLACES["callback of Hydra"]])
def test_a_sweep_of_the_native_engine_stops_too(tmp_path, place, lost):
    module, name, call = place
    before = partial(interrupt, module, name, call, signal.SIGTERM, lost)
    words = (
        "-m",
        "seed=0,1",
        "epochs=4",
        "log_points=2",
        "data=line",
        "logger=none",
        NO_REPORT,
        "hydra.sweep.dir=sweep",
    )
    done = run("train.py", *words, cwd=tmp_path, before=before)
    assert done.returncode == 143, done.stderr
    assert "runs complete; continue with: python scripts/resume.py sweep" in done.stdout, done.stderr
    assert "FAILED" not in done.stdout + done.stderr
