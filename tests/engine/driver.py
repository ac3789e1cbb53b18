"""Drives the native engine without Python: writes members for digest_driver.c, builds it, reads what it prints."""

import math
import os
import shutil
import struct
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest

from neuronsweep.engine import build
from neuronsweep.engine.train import Training
from tests.engine.drawn import exact

SOURCE = Path(__file__).with_name("digest_driver.c")
WHOLE = ("bias", "norm", "skip", "optimizer", "schedule", "metric", "maximize", "keep_best", "diagnostics", "patience")
REAL = ("min_delta", "dropout", "loss_number", "clip_norm", "clip_value", "rate")


def needed(*programs: str) -> str:
    """The first of these programs that is installed. Skips the test where none is; in CI one has to be."""
    found = next((program for program in programs if shutil.which(program)), None)
    if not found and os.environ.get("CI") != "true":
        pytest.skip(f"{' or '.join(programs)} is not installed")
    assert found, programs
    return found


def start_without_torch(training: Training) -> None:
    """Give a member exact initial weights, so that what it becomes depends on the native engine alone."""
    for name, array, at, shape in training._places:
        if name.startswith("layers"):
            size = math.prod(shape)
            training.arrays[array][at : at + size] = exact(7 * training.member.seed + at, size) / 2


def write(path: Path, trainings: Iterable[Training]) -> None:
    """Write members that have not been trained, as digest_driver.c reads them."""
    members = list(trainings)
    path.write_bytes(struct.pack("<q", len(members)) + b"".join(map(_member, members)))


def _member(training: Training) -> bytes:
    spec, held = training.spec, training._held
    parts: list[bytes] = []

    def whole(values: object) -> None:
        parts.append(np.asarray(values, "<i8").tobytes())

    def real(values: object) -> None:
        parts.append(np.asarray(values, "<f8").tobytes())

    whole(spec.layers)
    whole(held["widths"])
    whole(held["acts"])
    whole([spec.loss, spec.split_count])
    for x, y in training.member.dataset.splits.values():
        whole(len(x))
        real(x.numpy())
        real(y.numpy())
    weights = held.get("class_weights", np.empty(0))
    whole(len(weights))
    real(weights)
    whole(spec.log_count)
    whole(held["log_epochs"])
    whole(held["moments"])
    whole([spec.seed, spec.batch_size, *(getattr(spec, name) for name in WHOLE)])
    real([*(getattr(spec, name) for name in REAL), *spec.numbers, *spec.schedule_numbers])
    whole(training.parameters)
    real(training.arrays["params"][: training.parameters])
    real(training.arrays["buffers"])
    return b"".join(parts)


def compile_driver(compiler: Sequence[str], flags: Sequence[str], bits: int, program: Path) -> None:
    """Build the driver; raises AssertionError with what the compiler says."""
    own = [flag for flag in build.FLAGS if not flag.startswith("-O")]
    words = [
        *compiler,
        *own,
        *flags,
        f"-DREAL_BITS={bits}",
        f"-I{build.NATIVE}",
        str(SOURCE),
        "-o",
        str(program),
        "-lm",
    ]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stderr}"


def run(command: Sequence[str | Path], members: Path) -> list[str]:
    """A line for each member: ``done`` or ``diverged``, and its digest. AssertionError where the program fails."""
    done = subprocess.run([*map(str, command), str(members)], capture_output=True, text=True)
    assert done.returncode == 0, f"status {done.returncode}\n{done.stderr[-4000:]}"
    return done.stdout.splitlines()
