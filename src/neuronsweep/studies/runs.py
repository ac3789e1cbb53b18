"""Reads the runs of a finished sweep: settings, metrics, histories, networks."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from neuronsweep.data.build import build_dataset
from neuronsweep.data.dataset import Dataset
from neuronsweep.models.mlp import MLP
from neuronsweep.predictor import load_recorded
from neuronsweep.runs import contents, files
from neuronsweep.runs.run import COMPLETE, Run
from neuronsweep.runs.sweep import read_description, run_directory


@dataclass(frozen=True)
class Finished:
    """One run of a sweep that has ended.

    Attributes:
        values: what the command line set, by key, as it was written.
        metrics: final metrics by name; empty unless ``state`` is COMPLETE.
    """

    number: int
    state: str
    values: Mapping[str, str]
    metrics: Mapping[str, float]
    directory: Path

    @cached_property
    def config(self) -> dict[str, Any]:
        """The resolved config."""
        return Run(self.directory).record()["config"]

    @cached_property
    def network(self) -> MLP:
        """The trained network."""
        found = load_recorded(self.directory).module
        assert isinstance(found, MLP)  # no experiment has a module of its own
        return found

    @cached_property
    def dataset(self) -> Dataset:
        """The data it was trained on, built again."""
        return build_dataset(self.config["data"])

    @cached_property
    def history(self) -> list[dict[str, float]]:
        """One row a log point, its epoch among the names."""
        return [{"epoch": epoch, **row} for epoch, row in Run(self.directory).history()]


def read(sweep: Path) -> list[Finished]:
    """The runs of a sweep in their order, from its run directories."""
    runs = []
    for number, overrides in enumerate(read_description(sweep)["jobs"]):
        directory = run_directory(sweep, number)
        state = Run(directory).status()["state"]
        values = dict(override.lstrip("+").split("=", 1) for override in overrides)
        metrics = files.read_json(directory / contents.METRICS) if state == COMPLETE else {}
        runs.append(Finished(number, state, values, metrics, directory))
    return runs
