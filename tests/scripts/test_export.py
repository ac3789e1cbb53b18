"""scripts/export.py: what it prints and writes, and what it says of wrong input."""

import numpy as np
import pytest

from neuronsweep.training.run import train_run


@pytest.fixture
def run(composed, tmp_path):
    def run(*overrides: str, name: str = "run"):
        directory = tmp_path / name
        directory.mkdir()
        train_run(composed("logger=none", "epochs=3", *overrides), directory, [], show=False)
        return directory

    return run


def test_a_table_is_exported_in_its_own_units(command, run, tmp_path):
    rows = [(i % 40, "ab"[i % 2], 3.0 * (i % 40) + 100 * (i % 2)) for i in range(80)]
    (tmp_path / "a table.csv").write_text("size,kind,price\n" + "".join(f"{a},{b},{c}\n" for a, b, c in rows))
    run("data=table", f'data.file="{tmp_path}/a table.csv"', "data.target=price", "model.hidden=3")
    (tmp_path / "new.csv").write_text("kind,size\nb,17\na,3\n")
    predicted = command("scripts/predict.py", "run", "--csv", "new.csv")
    done = command("scripts/export.py", "run", "--to", "numpy", "--output", "mine.py")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    module: dict = {}
    exec((tmp_path / "mine.py").read_text(), module)
    found = module["predict"](np.array([[17.0, 0, 1], [3.0, 1, 0]]))[:, 0]
    expected = [float(line.split(",")[-1]) for line in predicted.stdout.splitlines()[1:]]
    assert found == pytest.approx(expected, rel=1e-5)
    text = command("scripts/export.py", "run", "--to", "formula").stdout
    assert '# x1: "size" (a blank is ' in text
    assert '# x3: "kind=b"' in text


def test_wrong_input_is_one_line_and_writes_nothing(command, run, tmp_path):
    run("model.act=gelu")
    (tmp_path / "directory").mkdir()
    wrong = {
        ("run", "--to", "onnx"): "--to onnx needs --output FILE",
        ("run", "--to", "word"): "invalid choice: 'word'",
        ("run", "--to", "desmos", "--output", "a.txt"): "Desmos has no error function",
        ("run", "--to", "c", "--output", "directory"): "directory is a directory",
        ("nowhere", "--to", "c"): "nowhere is not a run directory",
    }
    for words, message in wrong.items():
        done = command("scripts/export.py", *words)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
        assert message in done.stderr
    assert not (tmp_path / "a.txt").exists()
