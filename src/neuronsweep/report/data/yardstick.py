"""What a sweep's networks are measured by: guesses and lines that are fitted to the same rows by scikit-learn.

They are fitted when a report is first made and kept in the sweep directory, so that the next one says the same.
"""

import contextlib
import hashlib
import json
import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from neuronsweep.errors import UserError
from neuronsweep.report.data.configurations import Configuration, replicate_of
from neuronsweep.report.data.replicates import scored
from neuronsweep.report.data.statistics import Comparison, Replicate, Summary, compare, means, summary
from neuronsweep.report.data.sweep import SweepReport
from neuronsweep.runs import files
from neuronsweep.runs.contents import YARDSTICK
from neuronsweep.runs.run import Run

if TYPE_CHECKING:
    from torch import Tensor

    from neuronsweep.data.dataset import Dataset

GUESS, LINE, BOOSTING = "guess", "line", "boosting"
NAMES = {
    "regression": {GUESS: "mean of the target", LINE: "linear regression", BOOSTING: "gradient boosting"},
    "classification": {GUESS: "most frequent class", LINE: "logistic regression", BOOSTING: "gradient boosting"},
}
# Probabilities are kept so far from 0 and 1: the loss of a guess shall be finite.
LEAST = 1e-12
# With fewer rows than this, threads wait for each other longer than they work.
FEW = 20000


@dataclass(frozen=True)
class Yardstick:
    """One of them on the splits of the best configuration.

    Attributes:
        comparison: against the best configuration, whose seeds are averaged on each split.
    """

    name: str
    summary: Summary
    comparison: Comparison


def yardsticks(sweep: SweepReport) -> dict[str, list[Yardstick]]:
    """Those of every data set that is a table, by its name. None of a metric that scores no predictions."""
    path = sweep.directory / YARDSTICK
    known = _known(sweep)
    before = dict(known)
    found = {}
    for data, those in sweep.by_data.items():
        with contextlib.suppress(UserError):  # the file that they would be fitted to is gone
            if rows := list(_of(sweep, those[0], known)):
                found[data] = rows
    if known != before:
        files.write_json(path, {"values": known})
    return found


def _known(sweep: SweepReport) -> dict[str, float]:
    """What earlier reports have fitted."""
    with contextlib.suppress(UserError):
        values = files.read_json(sweep.directory / YARDSTICK).get("values")
        if isinstance(values, dict):
            return {key: value for key, value in values.items() if isinstance(value, float)}
    return {}


def _of(sweep: SweepReport, best: Configuration, known: dict[str, float]) -> Iterator[Yardstick]:
    where = scored(sweep.metric)
    rows = {replicate_of(row).split: row for row in best.rows}
    records = {split: Run(sweep.path(row)).record() for split, row in rows.items()}
    first = next(iter(records.values()))
    if where is None or "table" not in first:
        return
    results = {split: _mean(best, split) for split in records}
    methods = [GUESS, LINE] + [BOOSTING] * (first["config"]["data"].get("yardstick") == BOOSTING)
    task = "classification" if first["table"]["classes"] else "regression"
    for method in methods:
        values = {Replicate(split, ""): _value(record, where, method, known) for split, record in records.items()}
        found = summary(means(values), overlap=best.overlap if len(values) > 1 else 0.0)
        of_best = {Replicate(split, ""): result for split, result in results.items()}
        (comparison,) = compare(of_best, [values], sweep.mode, overlap=best.overlap)
        yield Yardstick(NAMES[task][method], found, comparison)


def _mean(best: Configuration, split: str) -> float:
    own = [result for one, result in best.by_replicate.items() if one.split == split]
    return math.fsum(own) / len(own)


def _value(record: Mapping[str, Any], where: tuple[str, str], method: str, known: dict[str, float]) -> float:
    """A metric of what is fitted to the data of a run, from ``known`` or added to it."""
    loss = json.dumps(record["config"]["loss"], sort_keys=True)
    key = " ".join([record["data_digest"], "/".join(where), hashlib.sha256(loss.encode()).hexdigest()[:12], method])
    if key not in known:
        from neuronsweep.analysis.scores import value
        from neuronsweep.data.build import build_dataset
        from neuronsweep.models.losses import of_dataset

        dataset = build_dataset(record["config"]["data"])
        x, y = dataset.splits[where[0]]
        out = _fitted(method, dataset, x)
        found = value(
            where[1], out, y if dataset.classes else y.double(), of_dataset(record["config"]["loss"], dataset)
        )
        known[key] = dataset.own_units({where[1]: found}, record["config"]["loss"]["name"])[where[1]]
    return known[key]


def _fitted(method: str, dataset: "Dataset", x: "Tensor") -> "Tensor":
    """Predictions (N, K), or logits as a network has them, of a model fitted to the training rows."""
    import numpy as np
    import torch
    from threadpoolctl import threadpool_limits

    train, y = (tensor.numpy() for tensor in dataset.splits["train"])
    model = _model(method, dataset.classes, dataset.outputs)
    with warnings.catch_warnings(), threadpool_limits(1 if len(train) < FEW else None):
        warnings.simplefilter("ignore")  # one that has not converged is what it is
        model.fit(train.astype(np.float64), y.astype(np.int64 if dataset.classes else np.float64))
        inputs = x.numpy().astype(np.float64)
        if not dataset.classes:
            return torch.from_numpy(np.reshape(model.predict(inputs), (len(x), -1)))
        logs = np.log(np.clip(model.predict_proba(inputs), LEAST, 1 - LEAST))
    return torch.from_numpy(logs[:, 1:] - logs[:, :1] if dataset.classes == 2 else logs)


def _model(method: str, classes: int, outputs: int) -> Any:
    from sklearn.dummy import DummyClassifier, DummyRegressor
    from sklearn.linear_model import LinearRegression, LogisticRegression

    if method == GUESS:
        return DummyClassifier(strategy="prior") if classes else DummyRegressor()
    if method == LINE:
        return LogisticRegression(max_iter=1000) if classes else LinearRegression()
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.multioutput import MultiOutputRegressor

    if classes:
        return HistGradientBoostingClassifier(random_state=0)
    one = HistGradientBoostingRegressor(random_state=0)
    return MultiOutputRegressor(one) if outputs > 1 else one
