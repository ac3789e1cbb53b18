"""Snapshots of a population: a file that a killed training goes on from."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from neuronsweep.population.member import Member


def identity(members: Sequence[Member]) -> str:
    """A hash of everything that decides what the members' numbers are."""
    sha = hashlib.sha256()
    for member in members:
        values = {**vars(member), "dataset": member.dataset.digest}
        for name in ("network", "optimizer", "scheduler"):
            values[name] = sorted((values[name] or {}).items())
        sha.update(repr(sorted(values.items())).encode())
    return sha.hexdigest()


def write(path: Path, state: Mapping[str, Any]) -> None:
    """Write the file whole or not at all."""
    temporary = path.with_name(path.name + ".tmp")
    with open(temporary, "wb") as file:
        torch.save(dict(state), file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
