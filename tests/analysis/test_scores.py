"""Metrics at the end of a run against scikit-learn's and torchmetrics' own."""

import math
import shutil

import numpy as np
import pytest
import torch
import torchmetrics.functional.classification as theirs
from sklearn.metrics import balanced_accuracy_score, f1_score

from neuronsweep.analysis.scores import (
    BINS,
    calibration,
    confusion,
    of_classes,
    outputs,
    probabilities,
    scores,
    value,
)
from neuronsweep.config.metric_names import final_metrics
from neuronsweep.data.build import build_dataset
from neuronsweep.data.curves import line
from neuronsweep.data.planes import moons, spirals
from neuronsweep.models.checkpoint import load_network
from neuronsweep.models.mlp import MLP
from neuronsweep.runs import contents
from neuronsweep.runs.run import Run


def drawn(classes, n=200, seed=0):
    """Probabilities and classes, of which the last one is rare."""
    rng = np.random.default_rng(seed)
    y = np.minimum(rng.geometric(0.5, n) - 1, classes - 1)
    logits = rng.normal(size=(n, classes)) + 1.5 * np.eye(classes)[y]
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True), y


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_they_are_scikit_learns_and_torchmetrics(classes):
    p, y = drawn(classes)
    found = of_classes(p, y)
    assert found["balanced_acc"] == pytest.approx(balanced_accuracy_score(y, p.argmax(1)))
    assert found["f1"] == pytest.approx(f1_score(y, p.argmax(1), average="macro"))
    ece = theirs.multiclass_calibration_error(torch.tensor(p), torch.tensor(y), classes, n_bins=BINS)
    assert found["ece"] == pytest.approx(ece.item(), abs=1e-6)
    assert confusion(p, y).sum(1).tolist() == np.bincount(y, minlength=classes).tolist()


def test_classes_that_do_not_occur_are_no_failure():
    p, y = drawn(3)
    few = y == 0
    found = of_classes(p[few], y[few])
    assert found["balanced_acc"] == (p[few].argmax(1) == 0).mean()
    assert found["f1"] == pytest.approx(f1_score(y[few], p[few].argmax(1), average="macro"))


def test_a_certain_right_answer_is_calibrated():
    y = np.array([0, 1, 1])
    sizes, claimed, share = calibration(np.eye(2)[y], y)
    assert (sizes.tolist(), claimed.tolist(), share.tolist()) == ([3], [1], [1])
    assert of_classes(np.eye(2)[y], y) == {"balanced_acc": 1, "f1": 1, "ece": 0}


@pytest.mark.parametrize("dataset", [moons(n=20, n_val=20), spirals(n=30, n_val=30)])
def test_one_logit_or_one_a_class(dataset):
    network = MLP(dataset.inputs, dataset.outputs).double()
    p = probabilities(network, dataset.splits["val"].x)
    assert p.sum(1) == pytest.approx(1)
    logits = network(dataset.splits["val"].x.double()).detach()
    if dataset.outputs == 1:
        assert p[:, 1] == pytest.approx(torch.sigmoid(logits[:, 0]).numpy())
    found = scores(network, dataset, {}, "auto")
    assert found.keys() == {f"{split}/{name}" for split in ("train", "val") for name in ("balanced_acc", "f1", "ece")}


def test_those_of_a_regression_follow_from_others():
    network = MLP(1, 1)
    metrics = {f"{split}/{name}": value for split in ("train", "val", "outer") for name, value in (("loss", 4.0),)}
    found = scores(network, line(), metrics, "auto")
    assert found == {"train/rmse": 2, "val/rmse": 2, "outer/rmse": 2}
    found = scores(network, line(), {**metrics, "val/mse": 9.0}, "quantile")
    assert found == {**{f"{split}/pinball": 4 for split in ("train", "val", "outer")}, "val/rmse": 3}
    assert scores(network, line(), {"train/loss": math.nan}, "") == {}


def test_one_metric_of_predictions_is_that_of_a_run(alone):
    """Of every metric of a split at the end of a run, computed by another function."""
    for words in (("data=moons", "data.n=40", "data.n_val=30"), ("data=spirals", "data.n=31"), ("data=sine",)):
        loss = ("loss=quantile", "loss.q=.3") if words == ("data=sine",) else ()
        run = alone(*words, *loss, "epochs=5", "log_points=1", "logger=none", "trainer.precision=64-true")
        config = Run(run).record()["config"]
        dataset, network = build_dataset(config["data"]), load_network(run / contents.MODEL)
        x, y = dataset.splits["val"]
        out = outputs(network, x)
        for name in final_metrics(dataset.task, config["loss"]["name"]):
            found = value(name, out, y if dataset.classes else y.double(), config["loss"])
            assert found == pytest.approx(Run(run).metrics()[f"val/{name}"], rel=1e-5), name
        shutil.rmtree(run)
