"""scripts/replay.py: the recorded numbers again, or what differs."""

import json

import pytest

from neuronsweep.runs import contents, files
from neuronsweep.runs.run import COMPLETE, FAILED, Run

QUICK = ("epochs=40", "log_points=5", "logger=none")


@pytest.fixture
def run(command, tmp_path):
    """A finished single run."""
    done = command("train.py", *QUICK, "hydra.run.dir=run")
    assert done.returncode == 0, done.stderr
    return tmp_path / "run"


def reseal(run, **metrics) -> None:
    """Change metrics as somebody would who wants nobody to see it."""
    files.write_json(run / contents.METRICS, {**files.read_json(run / contents.METRICS), **metrics})
    Run(run).end(COMPLETE, 0)


def test_runs_of_both_engines_are_equal(command, tmp_path, run):
    words = (
        "data=moons",
        "batch_size=64",
        "model.hidden=2,8,40",
        "model.act=tanh,silu",
        "optimizer=adam,lbfgs",
        "optimizer.lr=0.01",
        "epochs=10",
    )
    assert command("train.py", "-m", *QUICK, *words, "hydra.sweep.dir=sweep").returncode == 0
    done = command("scripts/replay.py", "run", "sweep", "--sample", "5")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("EQUAL  ") == 6
    assert "6 of 6 EQUAL" in done.stdout
    engines = {Run(path.parent).status()["engine"] for path in tmp_path.glob("sweep/*/status.json")}
    assert engines == {"lightning", "native"}


def test_what_differs_is_named_with_how_much_and_what_changed_around_it(command, run):
    true = Run(run).metrics()["val/loss"]
    reseal(run, **{"val/loss": true * (1 + 1e-5)})
    done = command("scripts/replay.py", "run")
    assert done.returncode == 1
    assert done.stdout.startswith("DIFFERS  run")
    assert f"metric val/loss  {true * (1 + 1e-5)!r}  {true!r}" in done.stdout.replace("   ", "  ")
    assert "1e-05" in done.stdout
    assert "code and environment are the recorded ones" in done.stdout
    within = command("scripts/replay.py", "run", "--tolerance", "1e-4")
    assert within.stdout == "EQUAL  run  within 0.0001\n"


def test_an_environment_that_changed_is_shown(command, run):
    asked = files.read_json(run / contents.RECORD)
    asked["environment"]["packages"]["torch"] = "1.0"
    files.write_json(run / contents.RECORD, asked)
    reseal(run, **{"val/loss": 1.0})
    assert "packages.torch  1.0" in command("scripts/replay.py", "run").stdout


def test_a_comment_in_the_users_own_file_makes_no_difference_and_other_numbers_name_the_file(command, tmp_path):
    mine = tmp_path / "mine.py"
    drawn = "from neuronsweep.data.curves import line as drawn\n\n\ndef line():\n    return drawn()\n"
    mine.write_text(drawn)
    path = {"PYTHONPATH": str(tmp_path)}
    done = command("train.py", *QUICK, "data=line", "data._target_=mine.line", "hydra.run.dir=run", **path)
    assert done.returncode == 0, done.stderr
    mine.write_text(drawn + "# nothing more\n")
    done = command("scripts/replay.py", "run", "--trust", **path)
    assert done.stdout == "EQUAL  run\n", done.stdout + done.stderr
    refused = command("scripts/resume.py", "run", "--trust", **path)
    assert "run cannot continue: the source of mine.line changed" in refused.stderr
    mine.write_text(drawn.replace("import line", "import quadratic"))
    done = command("scripts/replay.py", "run", "--trust", **path)
    assert done.returncode == 1
    assert "data digest" in done.stdout
    assert "source of mine.line" in done.stdout
    assert "fingerprint" not in done.stdout
    assert "the recorded ones" not in done.stdout


def test_what_cannot_be_replayed_is_one_line(command, run, tmp_path):
    def refused(message: str, *words: str) -> None:
        done = command("scripts/replay.py", *words)
        assert (done.returncode, done.stderr.count("\n"), done.stdout) == (2, 1, ""), done.stderr
        assert message in done.stderr

    refused("nowhere is not a run directory", "nowhere")
    refused("--sample=0 is not allowed", "run", "--sample", "0")
    refused("--tolerance=nan is not allowed", "run", "--tolerance", "nan")
    asked = json.loads((run / contents.RECORD).read_text())
    asked["config"]["module"]["_target_"] = "os.system"
    files.write_json(run / contents.RECORD, asked)
    refused("record.json is damaged", "run")
    Run(run).end(COMPLETE, 0)
    refused("--trust allows it", "run")
    Run(run).update(state=FAILED)
    refused("cannot be replayed: its run is FAILED", "run")


def test_a_run_of_two_processes_is_equal(command, tmp_path):
    done = command("train.py", *QUICK, "trainer=ddp_cpu", "trainer.devices=2", "hydra.run.dir=ddp")
    assert done.returncode == 0, done.stderr
    done = command("scripts/replay.py", "ddp")
    assert done.stdout == "EQUAL  ddp\n", done.stdout + done.stderr
