"""Fixtures of several tests: composed configs, and commands run as a user runs them."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hypothesis import settings
from omegaconf import DictConfig

from neuronsweep.config.check import check, register
from tests import shapes
from tests.commands import NO_REPORT, ROOT, RUNNING, run

# Where ranks meet, tests check them.
sys.meta_path.insert(0, shapes.Finder("analysis", "data", "figures", "models"))

# One commit gives one verdict.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
# What runs in the background of a shell ignores Ctrl-C, and so would every command of these tests.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def one_thread():
    """The number of threads changes the bits; tests that do without torch do not pay for its import."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture(autouse=True)
def no_command_left():
    """End what a test that fails leaves running."""
    yield
    while RUNNING:
        RUNNING.pop().end()


@pytest.fixture
def composed():
    """The checked config of a command: composed("data=moons", "epochs=3")."""

    def composed(*overrides: str) -> DictConfig:
        register()
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            cfg = compose("train", list(overrides))
        check(cfg)
        return cfg

    return composed


@pytest.fixture
def alone(composed, tmp_path):
    """Train one run in this process, to compare others with, and return its directory: alone("data=moons")."""

    def alone(*overrides: str) -> Path:
        from neuronsweep.training.run import train_run

        directory = tmp_path / "alone"
        directory.mkdir()
        train_run(composed(*overrides), directory, list(overrides), show=False)
        return directory

    return alone


@pytest.fixture
def command(tmp_path):
    """Run ``python SCRIPT WORDS...`` in an empty directory and return the finished process.

    A sweep makes its report, which takes longer than the sweep, only where ``report`` says so.
    """

    def command(
        script: str, *words: str, timeout: float = 120, report: bool = False, **environment: str
    ) -> subprocess.CompletedProcess:
        if script == "train.py" and "-m" in words and NO_REPORT not in words and not report:
            words = (*words, NO_REPORT)
        return run(script, *words, cwd=tmp_path, timeout=timeout, environment=environment)

    return command
