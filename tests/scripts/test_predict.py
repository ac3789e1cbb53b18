"""scripts/predict.py: predictions as CSV, and what it says of wrong input."""

import csv
import io
import math
import pickle
import zipfile

import pytest

from neuronsweep.sweeps import ledger
from neuronsweep.training import train_run


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
    model, status = run / ledger.MODEL, run / ledger.STATUS
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
        ledger.end(run, ledger.COMPLETE, 0)  # as a stranger would, so that nothing seems to have changed
    elif how == "no status":
        status.unlink()
    elif how == "damaged status":
        status.write_text("{")
    elif how == "unfinished":
        ledger.update(run, state=ledger.RUNNING)


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
