"""Reports of tables: what is reached without a network, the test rows, and what is learnt of many inputs."""

import json
import math
import shutil
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from neuronsweep.analysis.bootstrap import drawn, interval
from neuronsweep.data import table
from neuronsweep.data.build import build_dataset
from neuronsweep.report.build import build
from neuronsweep.report.charts.learnt import learnt_charts, matrix_of
from neuronsweep.report.data.configurations import Configuration, replicate_of
from neuronsweep.report.data.findings import findings
from neuronsweep.report.data.learnt import learnt
from neuronsweep.report.data.replicates import fitted
from neuronsweep.report.data.statistics import means
from neuronsweep.report.data.sweep import read
from neuronsweep.report.data.winner import winners
from neuronsweep.report.data.yardstick import _known, yardsticks
from neuronsweep.report.text.findings import sentences
from neuronsweep.runs import files
from neuronsweep.runs.contents import TEST, YARDSTICK
from neuronsweep.runs.run import Run

NAME = "data"


@pytest.fixture
def copied(houses, tmp_path):
    """The sweep in a directory of its own, without anything computed of it."""
    copy = shutil.copytree(houses, tmp_path / "houses")
    for name in (TEST, YARDSTICK):
        (copy / name).unlink(missing_ok=True)
    return copy


def test_folds_and_seeds_are_replicates(houses):
    sweep = read(houses)
    assert (sweep.keys, sweep.replicates, sweep.is_split) == (["model.hidden"], "folds and seeds", True)
    for configuration in sweep.configurations:
        assert (len(configuration.rows), configuration.splits, configuration.summary.n) == (6, 3, 3)
        assert configuration.overlap == pytest.approx(1 / 2)
        assert configuration.mean == pytest.approx(np.mean(means(configuration.by_replicate)))
        assert configuration.spread is not None
        assert configuration.spread.splits >= 0
        assert "6 runs, 3 folds by 2 seeds" in configuration.told
    text = build(houses).with_suffix(".md").read_text()
    assert "On the table houses.csv, model.hidden=8 is best of 2" in text
    assert "Nadeau and Bengio" in text
    assert "| sd of folds | sd of seeds |" in text


def test_lines_are_fitted_to_the_same_rows(copied):
    sweep = read(copied)
    found = {one.name: one for one in yardsticks(sweep)[NAME]}
    assert list(found) == ["mean of the target", "linear regression", "gradient boosting"]
    losses = []
    rows = {replicate_of(row).split: row for row in sweep.configurations[0].rows}
    for _, row in sorted(rows.items()):
        dataset = build_dataset(Run(sweep.path(row)).record()["config"]["data"])
        (x, y), (x_val, y_val) = ((s.x.double().numpy(), s.y.double().numpy()) for s in dataset.splits.values())
        assert dataset.table is not None
        error = dataset.table.scale[0] * (LinearRegression().fit(x, y).predict(x_val) - y_val)
        losses.append((error**2).mean())
    assert found["linear regression"].summary.mean == pytest.approx(np.mean(losses))
    assert found["mean of the target"].comparison.worse
    assert found["linear regression"].comparison.effect.n == 3
    told = " ".join(sentences(findings(sweep, None), "val/loss"))
    assert "Without a network, val/loss on the same rows: mean of the target" in told
    # kept, and read again even where the file is gone
    kept = files.read_json(copied / YARDSTICK)["values"]
    files.write_json(copied / YARDSTICK, {"values": dict.fromkeys(kept, 7.0)})
    assert [one.summary.mean for one in yardsticks(sweep)[NAME]] == [7.0] * 3
    for damaged in ("{", json.dumps({"values": 3}), json.dumps({"values": dict.fromkeys(kept, "<b>")})):
        (copied / YARDSTICK).write_text(damaged)
        assert _known(sweep) == {}


def test_the_winner_alone_is_tested_once(copied, monkeypatch):
    looked = []
    split = table.test_split

    def noted(config):
        looked.append(config["fold"])
        return split(config)

    monkeypatch.setattr(table, "test_split", noted)
    sweep = read(copied)
    tested = winners(sweep, None)[NAME]
    assert sorted(looked) == [0, 0, 1, 1, 2, 2]
    assert (tested.name, tested.rows, tested.networks, tested.earlier) == ("model.hidden=8", 30, 6, [])
    loss, rmse, r2 = tested.scores
    assert (loss.metric, rmse.metric, r2.metric) == ("test/loss", "test/rmse", "test/r2")
    assert loss.interval[0] < loss.mean < loss.interval[1]
    assert loss.together < loss.mean  # of squared errors the mean prediction's is never more
    assert rmse.together == pytest.approx(math.sqrt(loss.together))
    own = []
    for one in fitted(sweep, sweep.configurations[0], 6):
        rows = split(one.config["data"])
        assert one.dataset.table is not None
        error = one.dataset.table.scale[0] * (one.outputs(rows) - rows.y.double())
        own.append(float((error**2).mean()))
    assert loss.mean == pytest.approx(np.mean(own))
    looked.clear()
    assert winners(read(copied), None)[NAME] == tested
    assert looked == []


def test_a_winner_that_changes_after_the_test_is_said(copied):
    before = winners(read(copied), None)[NAME]
    kept = files.read_json(copied / TEST)
    kept[NAME] |= {"runs": ["others"], "name": "<b>another</b>"}
    files.write_json(copied / TEST, kept)
    now = winners(read(copied), None)[NAME]
    assert (now.earlier, now.scores) == (["<b>another</b>"], before.scores)
    page = build(copied).read_text()
    assert "had been looked at before, for &lt;b&gt;another&lt;/b&gt;" in page
    (copied / TEST).write_text(json.dumps({NAME: {"runs": 3, "scores": [{}]}, "other": 1}))
    assert winners(read(copied), None)[NAME] == before


def test_nothing_is_tested_before_all_runs_have_ended(copied):
    shutil.rmtree(copied / "0003")
    assert winners(read(copied), None) == {}
    assert not (copied / TEST).exists()


def test_without_its_file_a_sweep_has_a_report(copied, monkeypatch):
    build(copied)
    monkeypatch.setattr(table, "_file", lambda config: (_ for _ in ()).throw(table.UserError("gone")))
    found = findings(read(copied), None)
    assert list(found.yardsticks) == list(found.winners) == [NAME]
    assert not found.learnt
    assert "Without a network" in build(copied).read_text()


def test_what_matters_is_what_the_target_follows(houses):
    one = learnt(read(houses))[NAME]
    names = [importance.name for importance in one.importances]
    assert names == ["colour", "size", "noise <i>"]
    assert one.importances[1].mean > 5 * abs(one.importances[2].mean)
    assert len(one.importances[0].by_replicate) == one.replicates == 6
    dependences = {dependence.name: dependence for dependence in one.dependences}
    assert dependences["colour"].levels == ("blue", "red")
    blue, red = dependences["colour"].curves[:, :, 0].mean(0)
    assert 25 < blue - red < 55
    size = dependences["size"]
    assert 0 <= size.grid[0] < size.grid[-1] <= 5
    assert 1 < size.grid[int(size.curves.mean(0)[:, 0].argmax())] < 3
    # every row that is no test row is predicted once, by networks that were not trained on it
    assert one.actual.shape == one.predicted.shape == (120, 1)
    assert np.corrcoef(one.actual[:, 0], one.predicted[:, 0])[0, 1] > 0.8
    titles = [chart["title"] for chart in learnt_charts(one)]
    assert titles[:3] == ["Predicted against true: price", "Residuals: price", "Permutation importance"]
    assert "Partial dependence on noise <i>" in titles
    json.dumps(learnt_charts(one), allow_nan=False)
    page = build(houses).read_text()
    assert "noise <i>" not in page


def test_classes_have_a_matrix_and_a_calibration_curve(swept):
    words: tuple[str, ...] = (
        "data=iris",
        "data.folds=3",
        "data.fold=range(3)",
        "objective.metric=val/acc",
        "loss=cross_entropy",
    )
    words = (*words, "loss.class_weights=balanced", "optimizer.lr=0.03", "epochs=60", "log_points=2")
    sweep = read(swept("iris", *words))
    found = findings(sweep, None)
    assert found.winners == {}
    guess, line = found.yardsticks[NAME]
    assert (guess.name, line.name) == ("most frequent class", "logistic regression")
    assert guess.summary.mean == pytest.approx(1 / 3, abs=0.02)
    accuracies = []
    for row in sweep.configurations[0].rows:
        data = build_dataset(Run(sweep.path(row)).record()["config"]["data"]).splits
        model = LogisticRegression(max_iter=1000).fit(data["train"].x.double().numpy(), data["train"].y.numpy())
        accuracies.append(model.score(data["val"].x.double().numpy(), data["val"].y.numpy()))
    assert line.summary.mean == pytest.approx(np.mean(accuracies))
    one = found.learnt[NAME]
    counts, rates = matrix_of(one)
    assert np.sum(counts) == 150
    assert np.sum(rates, axis=1) == pytest.approx(1, abs=1e-3)
    assert np.trace(counts) / 150 == pytest.approx(sweep.configurations[0].mean)
    assert one.importances[0].mean > 0  # an accuracy gets worse as it gets less
    charts = learnt_charts(one)
    assert [chart["title"] for chart in charts[:2]] == ["Confusion matrix", "Calibration"]
    assert charts[0]["data"][0]["x"] == ["setosa", "versicolor", "virginica"]
    text = build(sweep.directory).with_suffix(".md").read_text()
    assert "| versicolor |" in text
    assert "over folds, corrected for the training rows" in text


def test_other_data_with_few_inputs_have_nothing_of_it(sine):
    assert findings(read(sine), None) == type(findings(read(sine), None))()


def test_the_bootstrap_is_the_usual_one():
    """Metrics that follow from means of rows, as drawn anew: by the normal interval of a mean."""
    import torch

    rng = np.random.default_rng(1)
    y = torch.from_numpy(rng.normal(size=(400, 1)))
    out = y + torch.from_numpy(rng.normal(size=(400, 1)))
    for metric, tolerance in (("mse", 0.02), ("mae", 0.02)):
        each = (out - y).abs().numpy()[:, 0] ** (2 if metric == "mse" else 1)
        half = 1.96 * each.std(ddof=1) / 20
        low, high = interval(drawn(metric, [(out, y, None)])[:, 0])
        assert (low, high) == pytest.approx((each.mean() - half, each.mean() + half), abs=tolerance)
    (r2,) = drawn("r2", [(out, y, None)]).T
    slow = []
    for _ in range(300):
        rows = rng.integers(400, size=400)
        error, own = (out - y).numpy()[rows, 0], y.numpy()[rows, 0]
        slow.append(1 - (error**2).sum() / ((own - own.mean()) ** 2).sum())
    assert np.quantile(r2, (0.1, 0.9)) == pytest.approx(np.quantile(slow, (0.1, 0.9)), abs=0.06)
    classes, logits = torch.arange(400) % 2, torch.from_numpy(rng.normal(size=(400, 1)))
    for metric in ("acc", "loss", "f1", "auroc"):
        low, high = interval(drawn(metric, [(logits, classes, {"name": "auto"})])[:, 0])
        assert low < high


def test_a_configuration_of_one_split_has_seeds_alone():
    rows: list[Mapping[str, Any]] = [{"data.fold": "0", "seed": str(seed), "val/loss": 1.0 + seed} for seed in range(3)]
    found = Configuration({}, rows, "val/loss", overlap=0.25)
    assert (found.splits, found.summary.n, found.spread, found.counted) == (1, 3, None, "3 seeds")
