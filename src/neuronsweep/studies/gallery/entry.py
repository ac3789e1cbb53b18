"""The Entry class of the gallery, and helpers that its entries share."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from neuronsweep.analysis.fit import kinks_among_samples
from neuronsweep.data.dataset import Dataset
from neuronsweep.figures.multiples import Panel
from neuronsweep.runs.run import COMPLETE
from neuronsweep.studies.runs import Finished

Runs = list[Finished]
Place = TypeVar("Place")


@dataclass(frozen=True)
class Entry:
    """A question and how it is answered.

    Attributes:
        name: of the picture's file.
        sweeps: the words after ``python train.py -m`` of each sweep.
        answer: from the runs of each sweep to a PNG and two sentences, every number in them computed from the runs.
    """

    name: str
    question: str
    sweeps: tuple[tuple[str, ...], ...]
    answer: Callable[[list[Runs]], tuple[bytes, str]]


def where(runs: Iterable[Finished], **values: object) -> Runs:
    """The complete runs whose command set these values; ``model_act`` stands for model.act."""
    wanted = {key.replace("_", ".", 1) if "_" in key else key: str(value) for key, value in values.items()}
    return [
        run
        for run in runs
        if run.state == COMPLETE and all(run.values.get(key) == value for key, value in wanted.items())
    ]


def median(runs: Sequence[Finished], metric: str) -> float:
    """Median of a final metric."""
    return statistics.median(run.metrics[metric] for run in runs)


def noise(dataset: Dataset) -> float:
    """Mean squared error of the truth itself on the training samples."""
    x, y = dataset.splits["train"]
    assert dataset.truth is not None
    return ((dataset.truth(x.double()) - y.double()) ** 2).mean().item()


def listed(parts: Iterable[str]) -> str:
    """A, B and C."""
    *most, last = parts
    return f"{', '.join(most)} and {last}" if most else last


def first(places: Sequence[Place], happened: Iterable[bool]) -> Place | None:
    """The first place at which something happened; None where it never did."""
    return next((place for place, here in zip(places, happened, strict=True) if here), None)


def say(value: float) -> str:
    """Three significant digits."""
    return f"{value:.3g}"


def panel(name: str, runs: Runs, metric: str = "train/loss") -> Panel:
    """Replicates in one panel, that of the median metric shown, its kinks marked where they are few."""
    order = sorted(range(len(runs)), key=lambda i: runs[i].metrics[metric])
    shown = order[(len(runs) - 1) // 2]
    run = runs[shown]
    marks = kinks_among_samples(run.network, run.dataset) if 0 < run.metrics.get("kinks", 0) <= 12 else []
    return Panel(name, run.dataset, [run.network for run in runs], shown, marks)


def history(runs: Iterable[Finished], metric: str) -> tuple[list[float], list[list[float]]]:
    """Epochs of the log points and, for each run, the metric at them."""
    runs = list(runs)
    return [row["epoch"] for row in runs[0].history], [[row[metric] for row in run.history] for run in runs]
