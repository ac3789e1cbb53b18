"""What the best configuration has learnt of data with many inputs: its predictions for rows it was not trained on."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuronsweep.errors import UserError
from neuronsweep.report.data.configurations import Configuration
from neuronsweep.report.data.formatting import thinned
from neuronsweep.report.data.replicates import Fitted, fitted, scored
from neuronsweep.report.data.statistics import Replicate
from neuronsweep.report.data.sweep import SweepReport
from neuronsweep.runs.run import Run

if TYPE_CHECKING:
    from torch import Tensor

    from neuronsweep.analysis.importance import Input

Values = NDArray[np.float64]
# Replicates that are looked at, rows of each that a prediction is followed over, features that it is followed for.
REPLICATES, ROWS, FOLLOWED = 20, 500, 6


@dataclass(frozen=True)
class Importance:
    """By how much a metric gets worse without a feature, by replicate."""

    name: str
    by_replicate: list[float]

    @property
    def mean(self) -> float:
        return float(np.mean(self.by_replicate))

    @property
    def spread(self) -> float:
        """Standard deviation over the replicates."""
        return float(np.std(self.by_replicate, ddof=1)) if len(self.by_replicate) > 1 else 0.0


@dataclass(frozen=True)
class Dependence:
    """How predictions follow one feature.

    Attributes:
        levels: names of those of words, of which the grid has the places.
        curves: (replicates, grid, outputs) predictions in the target's units, or probabilities of classes.
    """

    name: str
    grid: list[float]
    levels: tuple[str, ...]
    curves: Values


@dataclass(frozen=True)
class Learnt:
    """What is known of the best configuration of one data set.

    Attributes:
        metric: without its split; what importances are of.
        targets, classes: names; the latter are empty for regression.
        actual: of every val row, (N, K) in the target's units, or (N,) class numbers.
        predicted: the mean over seeds of each split's networks, (N, K), or the probability of every class (N, C).
    """

    configuration: Configuration
    metric: str
    replicates: int
    targets: tuple[str, ...]
    classes: tuple[str, ...]
    actual: NDArray[Any]
    predicted: Values
    importances: list[Importance]
    dependences: list[Dependence]


def learnt(sweep: SweepReport) -> dict[str, Learnt]:
    """Of every data set whose fits cannot be drawn, by its name."""
    found = {}
    for data, those in sweep.by_data.items():
        with contextlib.suppress(UserError):  # the file of the data is gone
            if one := _learnt(sweep, those[0]):
                found[data] = one
    return found


def _learnt(sweep: SweepReport, best: Configuration) -> Learnt | None:
    if not _has_many_inputs(sweep, best):
        return None
    from neuronsweep.analysis.importance import grid_of, inputs_of

    replicates = list(fitted(sweep, best, REPLICATES))
    if not replicates:
        return None
    first = replicates[0].dataset
    asked = scored(sweep.metric)
    metric = asked[1] if asked else "loss"
    worse = -1 if asked and sweep.mode == "max" else 1
    inputs = inputs_of(first)
    changes = [_importances(one, inputs_of(one.dataset), metric) for one in replicates]
    importances = [
        Importance(one.name, [worse * by_name[one.name] for by_name in changes if one.name in by_name])
        for one in inputs
    ]
    importances.sort(key=lambda one: -one.mean)
    by_name = {one.name: one for one in inputs}
    followed = []
    for importance in importances[:FOLLOWED]:
        one = by_name[importance.name]
        grid = grid_of(one, first.splits["val"].x)
        curves = [_followed(fit, one, grid) for fit in replicates]
        followed.append(
            Dependence(one.name, grid, one.levels, np.array([curve for curve in curves if curve is not None]))
        )
    actual, predicted = _predictions(replicates)
    return Learnt(
        best, metric, len(replicates), first.target_names, first.class_names, actual, predicted, importances, followed
    )


def _has_many_inputs(sweep: SweepReport, best: Configuration) -> bool:
    """Whether the data of a configuration's runs have more inputs than a picture has axes."""
    from neuronsweep.data.build import build_dataset

    record = Run(sweep.path(best.best)).record()
    if "table" in record:
        return True
    return build_dataset(record["config"]["data"]).inputs > 2


def _importances(one: Fitted, inputs: "list[Input]", metric: str) -> Mapping[str, float]:
    from neuronsweep.analysis.importance import ROWS, permutation_importance
    from neuronsweep.data.dataset import Split

    x, y = (tensor[:ROWS] for tensor in one.dataset.splits["val"])

    def score(changed: "Tensor") -> float:
        return one.value(metric, one.outputs(Split(changed, y)), y)

    return dict(zip((i.name for i in inputs), permutation_importance(x, inputs, score), strict=True))


def _followed(fit: Fitted, one: "Input", grid: list[float]) -> Values | None:
    """The partial dependence of one replicate; None where its levels are others than the first one's."""
    from neuronsweep.analysis.importance import inputs_of, partial_dependence

    own = next((own for own in inputs_of(fit.dataset) if own.name == one.name), None)
    if own is None or own.levels != one.levels:
        return None
    x = fit.dataset.splits["val"].x
    return partial_dependence(x[:: max(1, len(x) // ROWS)], own, grid, lambda changed: _predict(fit, changed))


def _predict(fit: Fitted, x_ND: "Tensor") -> Values:
    """Predictions in the target's units, or probabilities of classes."""
    from neuronsweep.analysis.scores import of_logits, outputs

    out = outputs(fit.network, x_ND)
    found: Values = of_logits(out) if fit.dataset.classes else fit.own_units(out).numpy()
    return found


def _predictions(replicates: list[Fitted]) -> tuple[NDArray[Any], Values]:
    """Every split's val rows once, with the mean prediction of its seeds."""
    by_split: dict[str, list[Fitted]] = {}
    for one in replicates:
        by_split.setdefault(Replicate(*one.replicate).split, []).append(one)
    actual, predicted = [], []
    for those in by_split.values():
        x, y = those[0].dataset.splits["val"]
        actual.append(y.numpy() if those[0].dataset.classes else those[0].own_units(y).numpy())
        predicted.append(np.mean([_predict(one, x) for one in those], axis=0))
    return np.concatenate(actual), np.concatenate(predicted)


def sample(one: Learnt, at_most: int) -> NDArray[np.int64]:
    """Numbers of so many of the rows."""
    return np.array(thinned(range(len(one.actual)), at_most))
