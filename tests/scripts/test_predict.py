"""scripts/predict.py: predictions as CSV, and what it says of wrong input."""

import csv
import importlib
import io
import math
import pickle
import sys
import zipfile

import pytest
import torch

from neuronsweep.runs import contents, files
from neuronsweep.runs.run import COMPLETE, RUNNING, Run
from neuronsweep.training.run import train_run


@pytest.fixture
def run(composed, tmp_path):
    def run(*overrides: str):
        directory = tmp_path / "run"
        directory.mkdir()
        train_run(composed("logger=none", "epochs=3", *overrides), directory, [], show=False)
        return directory

    return run


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_numbers_on_the_command_line(command, run):
    run("model.depth=0")
    done = command("scripts/predict.py", "run", "--x", "2.5", "-1e0", "10")
    rows = table(done.stdout)
    assert [float(row["x"]) for row in rows] == [2.5, -1, 10]
    slope = (float(rows[0]["y"]) - float(rows[1]["y"])) / 3.5
    assert float(rows[2]["y"]) == pytest.approx(float(rows[0]["y"]) + 7.5 * slope, rel=1e-4)


def test_a_file_with_named_columns(command, run, tmp_path):
    run("data=spirals")
    (tmp_path / "points.csv").write_text("x2,name,x1\n0.5,a,-0.1\n0.2,b,0.9\n")
    rows = table(command("scripts/predict.py", "run", "--csv", "points.csv").stdout)
    assert [(row["x1"], row["x2"]) for row in rows] == [("-0.1", "0.5"), ("0.9", "0.2")]
    for row in rows:
        p = [float(row[f"p{k}"]) for k in range(3)]
        assert math.isclose(sum(p), 1, rel_tol=1e-5)
        assert p[int(row["class"])] == max(p)


def test_two_classes_have_two_probabilities(command, run):
    run("data=moons")
    rows = table(command("scripts/predict.py", "run", "--x", "0", "1", "1", "0").stdout)
    assert [float(row["p0"]) + float(row["p1"]) for row in rows] == pytest.approx([1, 1])


class Evil:
    def __reduce__(self):
        return (print, ("code of a stranger ran",))


def damage(run, how: str) -> None:
    model, status = run / contents.MODEL, run / contents.STATUS
    if how == "truncated":
        model.write_bytes(model.read_bytes()[:1000])
    elif how == "empty":
        model.write_bytes(b"")
    elif how == "gone":
        model.unlink()
    elif how == "malicious":
        with zipfile.ZipFile(model, "w") as file:
            file.writestr("model/data.pkl", pickle.dumps(Evil()))
            file.writestr("model/version", "3")
        Run(run).end(COMPLETE, 0)  # as a stranger would, so that nothing seems to have changed
    elif how == "no status":
        status.unlink()
    elif how == "damaged status":
        status.write_text("{")
    elif how == "unfinished":
        Run(run).update(state=RUNNING)


WRONG = {
    ("--x", "one"): "'one' is not a finite number",
    ("--x", "nan"): "'nan' is not a finite number",
    ("--x", "1", "2", "3"): "this network has 2 inputs",
    ("--csv", "nowhere.csv"): "nowhere.csv cannot be read",
    ("--csv", "columns.csv"): "no column x2: needed are x1, x2, found are x1, y",
    ("--csv", "words.csv"): "words.csv line 3: 'b' is not a finite number",
    ("--csv", "empty.csv"): "empty.csv has no samples",
    (): "one of the arguments --x --csv is required",
}


def one_line(done, words: str) -> None:
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1, done.stderr
    assert words in done.stderr


def test_wrong_input_is_one_line(command, run, tmp_path):
    run("data=moons")
    (tmp_path / "columns.csv").write_text("x1,y\n1,2\n")
    (tmp_path / "words.csv").write_text("x1,x2\n1,2\na,b\n".replace("a,b", "1,b"))
    (tmp_path / "empty.csv").write_text("x1,x2\n")
    for words, message in WRONG.items():
        one_line(command("scripts/predict.py", "run", *words), message)
    one_line(command("scripts/predict.py", "elsewhere", "--x", "1"), "elsewhere is not a run directory")


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("truncated", "model.ckpt is damaged"),
        ("empty", "model.ckpt is damaged"),
        ("gone", "model.ckpt is missing"),
        ("malicious", "model.ckpt is damaged"),
        ("no status", "is not a run directory"),
        ("damaged status", "status.json is damaged"),
        ("unfinished", "its run is RUNNING"),
    ],
)
def test_a_damaged_run_is_one_line(command, run, how, message):
    damage(run(), how)
    done = command("scripts/predict.py", "run", "--x", "1")
    one_line(done, message)
    assert "stranger" not in done.stdout


MODULES = """
import torch
from torch import nn

from neuronsweep.models.modules import RegressionModule


class Sine(RegressionModule):
    def __init__(self, *arguments, **keys):
        super().__init__(*arguments, **keys)
        self.network.act = torch.sin


class Layers(RegressionModule):
    def __init__(self, *arguments, **keys):
        super().__init__(*arguments, **keys)
        self.network = nn.Sequential(nn.Linear(1, 3), nn.ELU(), nn.Linear(3, 1))


class Forward(RegressionModule):
    def __init__(self, *arguments, **keys):
        super().__init__(*arguments, **keys)
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return self.scale * self.network(x) ** 2
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """Modules of the user's own, on the path of this process and of a command."""
    (tmp_path / "mine.py").write_text(MODULES)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("mine", None)
    yield {"PYTHONPATH": str(tmp_path)}
    sys.modules.pop("mine", None)


@pytest.mark.parametrize("name", ["Sine", "Layers", "Forward"])
@pytest.mark.parametrize("precision", ["32-true", "64-true"])
def test_a_module_of_the_users_own_predicts_itself_or_is_refused(command, run, mine, name, precision):
    directory = run(f"module._target_=mine.{name}", f"trainer.precision={precision}")
    one_line(command("scripts/predict.py", "run", "--x", "0.5", **mine), f"names module._target_=mine.{name}")
    done = command("scripts/predict.py", "run", "--x", "0.5", "--trust", **mine)
    kind = getattr(importlib.import_module("mine"), name)
    own = kind.load_from_checkpoint(directory / contents.MODEL, weights_only=True).eval()
    if precision == "64-true":
        own.double().load_state_dict(torch.load(directory / contents.MODEL, weights_only=True)["state_dict"])
    with torch.no_grad():
        expected = own(torch.tensor([[0.5]], dtype=next(own.parameters()).dtype)).item()
    assert float(table(done.stdout)[0]["y"]) == pytest.approx(expected, rel=1e-6), done.stderr


def test_a_module_that_is_no_longer_what_it_was_is_one_line(command, run, mine, tmp_path):
    run("module._target_=mine.Layers")
    (tmp_path / "mine.py").write_text(MODULES.replace("nn.Linear(1, 3)", "nn.Linear(1, 4)"))
    done = command("scripts/predict.py", "run", "--x", "0.5", "--trust", **mine)
    one_line(done, "run cannot predict: module._target_=mine.Layers does not load")
    (tmp_path / "mine.py").unlink()
    one_line(
        command("scripts/predict.py", "run", "--x", "0.5", "--trust"), "module._target_=mine.Layers is not allowed"
    )


def test_what_is_said_and_drawn_of_a_run_is_of_its_module(run, mine):
    directory = run("module._target_=mine.Forward", "data=line")
    metrics = files.read_json(directory / contents.METRICS)
    assert metrics["params"] == 25 + 1
    assert not metrics.keys() & {
        "kinks",
        "slope",
        "optimum/loss",
        "dead",
    }  # of the MLP inside, which predicts otherwise
