"""Runs a sweep of train.py for its numbers alone, without TensorBoard events and report."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from neuronsweep.errors import UserError
from neuronsweep.launch.jobs import quoted

# The callback that a sweep cannot do without.
BOOKKEEPER = "bookkeeper"


def run(root: Path, directory: Path, words: Sequence[str], may_fail: bool = False) -> None:
    """Train a sweep in a directory, from the repository at ``root``.

    Where runs ``may_fail`` the sweep may end with a status of 1, and nothing is said of those that did. Raises
    UserError when the sweep did not end as it should.
    """
    callbacks = yaml.safe_load((root / "conf" / "train.yaml").read_text())["hydra"]["callbacks"]
    without = [f"~hydra.callbacks.{name}" for name in callbacks if name != BOOKKEEPER]
    done = subprocess.run(
        [
            sys.executable,
            root / "train.py",
            "-m",
            *words,
            "logger=none",
            *without,
            f"hydra.sweep.dir={quoted(str(directory))}",
        ],
        stderr=subprocess.PIPE if may_fail else None,
        text=True,
    )
    if done.returncode not in ((0, 1) if may_fail else (0,)):
        raise UserError(f"the sweep in {directory} did not end: {(done.stderr or '').strip() or 'see above'}")
