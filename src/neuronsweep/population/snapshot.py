"""Snapshots of a population: a file that a killed training goes on from."""

import hashlib
import io
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
        del values["pictures"]  # which decides no number
        for name in ("network", "optimizer", "scheduler"):
            values[name] = sorted((values[name] or {}).items())
        sha.update(repr(sorted(values.items())).encode())
    return sha.hexdigest()


def write(path: Path, state: Mapping[str, Any]) -> None:
    """Write the file whole or not at all."""
    temporary = path.with_name(f".{path.name}.tmp")
    content = io.BytesIO()  # in memory first: torch's own writer hides why a file cannot be written
    torch.save(dict(state), content)
    with open(temporary, "wb") as file:
        file.write(content.getbuffer())
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
