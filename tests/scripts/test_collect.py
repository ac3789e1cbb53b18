"""scripts/collect.py: the parts of a sweep that several machines trained become one, or nothing is changed."""

import shutil
import subprocess
import sys

import pytest

from neuronsweep.runs import contents, files
from neuronsweep.runs.run import COMPLETE, FAILED, Run
from tests.conftest import ROOT

WORDS = ("-m", "data=line", "seed=range(4)", "epochs=5", "log_points=2", "logger=none")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A sweep of four runs; not to be changed."""
    directory = tmp_path_factory.mktemp("whole")
    words = [sys.executable, str(ROOT / "train.py"), *WORDS, "~hydra.callbacks.report", "hydra.sweep.dir=whole"]
    subprocess.run(words, check=True, capture_output=True, cwd=directory)
    return directory / "whole"


@pytest.fixture
def parts(whole, tmp_path):
    """A copy of the sweep, and two directories with the runs 0, 1, 2 and 2, 3 of it."""
    shutil.copytree(whole, tmp_path / "whole")
    for name, missing in {"a": ["0003"], "b": ["0000", "0001"]}.items():
        shutil.copytree(tmp_path / "whole", tmp_path / name)
        for run in missing:
            shutil.rmtree(tmp_path / name / run)
    return tmp_path


def test_parts_become_the_whole_and_twice_changes_nothing(command, parts):
    done = command("scripts/collect.py", "one", "a", "b")
    assert (done.returncode, done.stdout) == (0, "4 runs copied, 0 were there; 4 of 4 runs in one\n"), done.stderr
    assert (parts / "one" / contents.RESULTS).read_bytes() == (parts / "whole" / contents.RESULTS).read_bytes()
    assert files.read_json(parts / "one" / contents.SWEEP)["state"] == COMPLETE
    done = command("scripts/collect.py", "one", "a")
    assert done.stdout == "0 runs copied, 4 were there; 4 of 4 runs in one\n"
    resumed = command("scripts/resume.py", "one")
    assert resumed.returncode == 0, resumed.stderr


def test_what_does_not_fit_is_one_line_and_nothing_is_copied(command, parts):
    def refused(*words: str) -> str:
        done = command("scripts/collect.py", "one", *words)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert not (parts / "one").exists()
        return done.stderr

    assert "a/0000 is not a sweep directory" in refused("a", "a/0000")
    assert command("train.py", *WORDS, "optimizer.lr=0.1", "hydra.sweep.dir=other").returncode == 0
    assert "are not of one sweep: their jobs differ" in refused("a", "other")
    metrics = parts / "b" / "0002" / contents.METRICS
    kept = metrics.read_text()
    metrics.write_text(kept.replace("1", "2"))
    assert "is damaged" in refused("a", "b")
    Run(parts / "b" / "0002").end(COMPLETE, 1.0)
    assert "are two runs #2 whose" in refused("a", "b")
    metrics.write_text(kept)
    Run(parts / "b" / "0002").end(COMPLETE, 1.0)
    Run(parts / "b" / "0002").update(fingerprint="another")
    assert "their fingerprints differ" in refused("a", "b")


def test_a_complete_run_goes_before_a_failed_one_but_overwrites_none(command, parts):
    failed = parts / "a" / "0002"
    Run(failed).end(FAILED, 1.0, "the machine was lost")
    assert command("scripts/collect.py", "first", "a").returncode == 0
    done = command("scripts/collect.py", "first", "b")
    assert done.returncode == 2
    assert "first/0002 is not overwritten: its run is FAILED" in done.stderr
    assert not (parts / "first" / "0003").exists()
    assert command("scripts/collect.py", "both", "a", "b").returncode == 0
    assert Run(parts / "both" / "0002").status()["state"] == COMPLETE
