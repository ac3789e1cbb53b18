"""scripts/resume.py: a run killed in the middle goes on to the bits of an uninterrupted one."""

import json
import os
import signal

import pytest

from neuronsweep.runs import contents
from tests.commands import Script, run, wait_until

LONG = ("epochs=300", "batch_size=100", "logger=tensorboard", "trainer.checkpoint_seconds=0.05")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The directory of the same run, not interrupted."""
    directory = tmp_path_factory.mktemp("whole")
    run("train.py", *LONG, "hydra.run.dir=run", cwd=directory).check_returncode()
    return directory / "run"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_goes_on(command, tmp_path, whole, how):
    process = Script("train.py", *LONG, "hydra.run.dir=run", cwd=tmp_path)
    directory = tmp_path / "run"
    wait_until((directory / contents.CHECKPOINT).exists, process)
    os.kill(process.pid, signal.SIGSTOP)  # so that it has not ended before the others have looked
    refused = command("scripts/resume.py", "run")
    assert refused.returncode == 2
    assert f"is being trained by process {process.pid}" in refused.stderr
    os.kill(process.pid, how)
    os.kill(process.pid, signal.SIGCONT)
    out, _ = process.communicate(timeout=30)
    if how is not signal.SIGKILL:
        assert process.returncode == 128 + how
        assert "continue with: python scripts/resume.py run" in out
    assert json.loads((directory / contents.STATUS).read_text())["state"] == "RUNNING"
    done = command("scripts/resume.py", "run")
    assert done.returncode == 0, done.stderr
    for name in (contents.METRICS, contents.HISTORY):
        assert (directory / name).read_bytes() == (whole / name).read_bytes()
    assert "nothing to do" in command("scripts/resume.py", "run").stdout
    assert not [path for path in directory.iterdir() if path.name.startswith(".") and path.name != ".hydra"]


def test_what_cannot_go_on_is_one_line(command, tmp_path):
    (tmp_path / "empty").mkdir()
    done = command("scripts/resume.py", "empty")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "is not a run directory" in done.stderr
    failing = ("data=quadratic", "optimizer=sgd", "optimizer.lr=1e9", "hydra.run.dir=failed")
    done = command("train.py", *failing)
    assert done.returncode == 1
    assert done.stderr.startswith("error: the run failed: train/loss is")
    done = command("scripts/resume.py", "failed")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "failed is FAILED: train/loss is" in done.stderr
