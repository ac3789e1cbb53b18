"""The runs of a sweep, read back as they were."""

import pytest
import torch

from neuronsweep.data import curves
from neuronsweep.data.batches import log_epochs
from neuronsweep.runs.run import COMPLETE, FAILED
from neuronsweep.studies.runs import read


def test_runs_are_read_back(command, tmp_path):
    words = ("optimizer=sgd", "optimizer.lr=0.01,1e30", "model.hidden=2,4", "epochs=6", "log_points=3", "logger=none")
    done = command("train.py", "-m", "data=line", *words, "hydra.sweep.dir=sweep")
    assert done.returncode == 1, done.stderr
    runs = read(tmp_path / "sweep")
    assert [run.number for run in runs] == [0, 1, 2, 3]
    assert [run.state for run in runs] == [COMPLETE] * 2 + [FAILED] * 2
    assert [run.values["model.hidden"] for run in runs] == ["2", "4", "2", "4"]
    assert runs[2].metrics == {}
    run = runs[1]
    assert run.values["data"] == "line"
    assert run.config["model"]["hidden"] == 4
    assert run.dataset.digest == curves.line().digest
    assert [row["epoch"] for row in run.history] == log_epochs(6, 3)
    assert run.history[-1]["train/loss"] == run.metrics["train/loss"]
    x, y = run.dataset.splits["train"]
    with torch.no_grad():
        assert ((run.network(x) - y) ** 2).mean().item() == pytest.approx(run.metrics["train/loss"], rel=1e-6)
