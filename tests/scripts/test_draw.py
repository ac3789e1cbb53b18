"""scripts/draw.py with --output: one picture of a run, and what is said of its neurons and of wrong input."""

import pytest

from neuronsweep.training.run import train_run


@pytest.fixture
def run(composed, tmp_path):
    def run(name: str, *overrides: str):
        (tmp_path / name).mkdir()
        train_run(composed("logger=none", "epochs=2", *overrides), tmp_path / name, [], show=False)

    return run


def test_pictures_of_a_run(command, run, tmp_path):
    run("ü ö", "data=iris", "model.hidden=3")
    run("sine", "model.hidden=3")
    done = command("scripts/draw.py", "ü ö", "--output", "a fit.pdf", "--title", "$ ü")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "a fit.pdf").read_bytes().startswith(b"%PDF")
    before = sorted((tmp_path / "sine").iterdir())
    done = command("scripts/draw.py", "sine", "--neurons", "--output", "neurons.svg", "--dark", "--size", "8x6")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0].startswith("neuron  part  weight")
    assert "neurons that the fit needs, within 1% of its loss: " in done.stdout
    assert sorted((tmp_path / "sine").iterdir()) == before  # a run directory keeps what its run wrote


def test_wrong_input_is_one_line_and_writes_nothing(command, run, tmp_path):
    run("iris", "data=iris")
    run("line", "model.depth=0")
    picture = ("--output", "a.png")
    wrong = {
        ("iris", "--neurons"): "--neurons needs --output FILE",
        ("iris", "--output", "a.gif"): "--output a.gif is not allowed: it ends in one of .png, .svg, .pdf",
        ("iris", "line", *picture): "it is a picture of one run",
        ("iris", "--size", "8", *picture): "--size 8 is not allowed: it is width x height in inches",
        ("iris", "--size", "800x2", *picture): "--size 800x2 is not allowed",
        ("iris", "--dpi", "5", *picture): "--dpi 5 is not allowed",
        ("iris", "--of", "setosa", *picture): "--of is not allowed without --neurons",
        ("iris", "--neurons", "--of", "setos", *picture): "did you mean setosa?",
        ("iris", "--neurons", *picture): "--neurons is not allowed with 4 inputs",
        ("line", "--neurons", *picture): "model.depth=0",
        ("nowhere", *picture): "nowhere is not a run directory",
    }
    for words, message in wrong.items():
        done = command("scripts/draw.py", *words)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
        assert message in done.stderr
    assert not list(tmp_path.glob("a.*"))
