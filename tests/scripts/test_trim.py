"""scripts/trim.py: weights, pictures and events go, every number stays, and the weights can be got again."""

import shutil
from pathlib import Path

import pytest

from neuronsweep.runs import contents
from neuronsweep.runs.run import COMPLETE, Run
from neuronsweep.runs.trim import bulk, is_trimmed, trim
from tests.commands import run

WORDS = ("data=quadratic", "seed=range(4)", "optimizer=sgd", "optimizer.lr=0.001,1e9", "epochs=20", "log_points=4")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A sweep of eight runs, of which every second FAILED; not to be changed."""
    directory = tmp_path_factory.mktemp("whole")
    words = ("~hydra.callbacks.report", "hydra.sweep.dir=sweep")
    assert run("train.py", "-m", *WORDS, *words, cwd=directory).returncode == 1
    return directory / "sweep"


@pytest.fixture
def sweep(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "sweep")
    return tmp_path / "sweep"


def trimmed(sweep):
    return [path.name for path in sorted(sweep.glob("0*")) if is_trimmed(path)]


def test_all_but_the_best_lose_their_weights_and_keep_their_numbers(command, sweep, whole):
    losses = {number: Run(whole / f"000{number}").metrics()["val/loss"] for number in (0, 2, 4, 6)}
    best = min(losses, key=losses.__getitem__)
    done = command("scripts/trim.py", "sweep", "--keep", "best:1")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "nobody can be asked here, and nothing was removed: remove weights, pictures and events of 7" in done.stderr
    assert not trimmed(sweep)
    (sweep / "0001" / "notes.txt").write_text("mine")
    done = command("scripts/trim.py", "sweep", "--keep", "best:1", "--yes")
    assert "removed weights, pictures and events of 7 of 8 runs" in done.stdout, done.stderr
    assert len(trimmed(sweep)) == 7
    for path in sorted(whole.glob("000*")):
        kept = sorted(file.name for file in (sweep / path.name).iterdir() if file.name != "notes.txt")
        all_of_them = sorted(file.name for file in path.iterdir())
        if path.name == f"000{best}":
            assert kept == all_of_them
        else:
            assert set(all_of_them) - set(kept) == {file.name for file in bulk(path)}
            assert not bulk(sweep / path.name)
            assert Run(sweep / path.name).verified()["state"] == Run(path).verified()["state"]
    assert (sweep / "0001" / "notes.txt").read_text() == "mine"
    assert "nothing to remove" in command("scripts/trim.py", "sweep", "--keep", "best:1", "--yes").stdout
    assert "but for 1 removed before" in command("scripts/trim.py", "sweep", "--keep", "best:2", "--yes").stdout

    # nothing is trained, drawn or changed by going on, and the report shows what is left
    before = {path: path.read_bytes() for path in sweep.glob("000*/*") if path.is_file()}
    assert command("scripts/resume.py", "sweep").returncode == 1  # half of its runs FAILED
    assert {path: path.read_bytes() for path in sweep.glob("000*/*") if path.is_file()} == before
    assert (sweep / contents.RESULTS).read_bytes() == (whole / contents.RESULTS).read_bytes()
    assert command("scripts/report.py", "sweep").returncode == 0

    other = next(number for number in losses if number != best)
    done = command("scripts/predict.py", f"sweep/000{other}", "--x", "1")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert f"to get them again: python scripts/replay.py sweep/000{other}\n" in done.stderr
    done = command("scripts/replay.py", f"sweep/000{other}")
    assert done.stdout == f"EQUAL  sweep/000{other}  its weights are back\n", done.stderr
    model = (sweep / f"000{other}" / contents.MODEL).read_bytes()
    assert model == (whole / f"000{other}" / contents.MODEL).read_bytes()
    assert Run(sweep / f"000{other}").verified()["trimmed"] is None
    assert command("scripts/predict.py", f"sweep/000{other}", "--x", "1").returncode == 0


def test_of_other_weights_a_replay_says_so_and_puts_nothing_back(command, sweep):
    path = sweep / "0000"
    trim(path)
    status = Run(path).status()
    Run(path).update(trimmed={**status["trimmed"], contents.MODEL: "another"})
    done = command("scripts/replay.py", "sweep/0000")
    assert done.returncode == 1
    assert "weights (digest)" in done.stdout
    assert not (path / contents.MODEL).exists()


def test_killed_in_the_middle_it_is_trimmed_and_goes_on(sweep, monkeypatch):
    removed: list[Path] = []

    def killed(path):
        if removed:
            raise KeyboardInterrupt
        removed.append(path)
        return remove(path)

    remove = contents.remove
    monkeypatch.setattr(contents, "remove", killed)
    with pytest.raises(KeyboardInterrupt):
        trim(sweep / "0000")
    monkeypatch.undo()
    assert is_trimmed(sweep / "0000")
    assert bulk(sweep / "0000")
    assert Run(sweep / "0000").verified()["state"] == COMPLETE
    trim(sweep / "0000")
    assert not bulk(sweep / "0000")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("sweep", "--keep", "20"), "--keep=20 is not allowed: it is best:N, such as best:20"),
        (("sweep/0000", "--keep", "best:2"), "sweep/0000 is not a sweep directory: it has no sweep.json"),
    ],
)
def test_a_mistake_is_one_line(command, sweep, words, said):
    done = command("scripts/trim.py", *words, "--yes")
    assert (done.returncode, done.stderr) == (2, f"error: {said}\n")
    assert not trimmed(sweep)
