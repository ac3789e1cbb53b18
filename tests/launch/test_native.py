"""Sweeps by the native launcher: the same directories and the same bits, however many threads train them."""

import csv
import dataclasses
import json
import signal

import pytest
import torch
from omegaconf import OmegaConf

from neuronsweep.config.check import plain
from neuronsweep.data.planes import moons
from neuronsweep.engine.member import member
from neuronsweep.launch.member_run import MemberRun
from neuronsweep.launch.train_members import Crew
from neuronsweep.launch.trainee import Ended
from neuronsweep.models.modules import ClassificationModule
from neuronsweep.runs import contents
from neuronsweep.runs.run import FAILED, Run
from neuronsweep.runs.sweep import run_directory
from tests.commands import NO_REPORT, Script, run, wait_until

GRID = ("model.hidden=2,8,32", "model.act=relu,tanh,silu", "model.depth=0,2", "epochs=12", "log_points=4")


@pytest.fixture
def sweep(command, tmp_path):
    """Run a sweep in a directory of this name and return (the finished process, the rows of results.csv)."""

    def sweep(name: str, *words: str, **environment: str):
        done = command("train.py", "-m", f"hydra.sweep.dir={name}", *words, **environment)
        path = tmp_path / name / contents.RESULTS
        return done, list(csv.DictReader(path.read_text().splitlines())) if path.exists() else []

    return sweep


def numbers(rows):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


@pytest.mark.parametrize("data", [("data=sine",), ("data=spirals", "batch_size=32", "optimizer=rmsprop")])
def test_threads_and_company_change_no_bit(sweep, tmp_path, data):
    together, rows = sweep("together", *GRID, *data, "engine.threads=7")
    assert together.returncode == 0, together.stderr
    assert "training 18 runs natively on 7 threads" in together.stdout
    _, alone = sweep("alone", *GRID, *data, "engine.threads=1")
    assert len(rows) == 18
    assert numbers(rows) == numbers(alone)
    for number in range(18):
        history = [
            (tmp_path / name / f"{number:04d}" / contents.HISTORY).read_bytes() for name in ("together", "alone")
        ]
        assert history[0] == history[1]


def test_a_member_has_the_directory_and_the_numbers_of_a_lightning_run(sweep, tmp_path):
    words = ("data=moons", "model.hidden=2,8", "optimizer.lr=0.05", "scheduler=cosine", "epochs=50", "batch_size=64")
    _, native = sweep("native", *words)
    _, basic = sweep("basic", *words, "hydra/launcher=basic")
    for number in range(2):
        one, other = tmp_path / "native" / f"{number:04d}", tmp_path / "basic" / f"{number:04d}"
        names = [{p.name for p in run.rglob("*") if "tfevents" not in p.name} for run in (one, other)]
        assert names[1] - names[0] == {"hydra.yaml"}  # of members once, in the sweep's directory
        for name in ("config", "overrides"):
            yaml = [OmegaConf.load(run / ".hydra" / f"{name}.yaml") for run in (one, other)]
            assert yaml[0] == yaml[1]
        nodes = [OmegaConf.load(path) for path in (one.parent / "hydra.yaml", other / ".hydra" / "hydra.yaml")]
        assert set(nodes[0].hydra) == set(nodes[1].hydra)
        columns = [(run / contents.HISTORY).read_text().splitlines()[0] for run in (one, other)]
        assert columns[0] == columns[1]
        status = [json.loads((run / contents.STATUS).read_text()) for run in (one, other)]
        assert [s["engine"] for s in status] == ["native", "lightning"]
        assert status[0]["fingerprint"] == status[1]["fingerprint"]
        ckpt = [torch.load(run / contents.MODEL, weights_only=True) for run in (one, other)]
        assert ckpt[0]["hyper_parameters"] == ckpt[1]["hyper_parameters"]
        assert (ckpt[0]["epoch"], ckpt[0]["global_step"]) == (ckpt[1]["epoch"], ckpt[1]["global_step"]) == (50, 200)
        ClassificationModule.load_from_checkpoint(one / contents.MODEL, map_location="cpu", weights_only=True)
    assert list(native[0]) == list(basic[0])
    for metric in ("train/loss", "val/loss", "val/auroc"):
        ours, theirs = ([float(row[metric]) for row in rows] for rows in (native, basic))
        assert ours == pytest.approx(theirs, rel=1e-3)


def test_what_cannot_be_a_member_is_trained_by_lightning_and_told_why(sweep):
    done, rows = sweep("sweep", "data=line", "epochs=5", "model.dropout=0,0.1", "optimizer=adam,lbfgs")
    assert done.returncode == 0, done.stderr
    reason = "are trained by Lightning: optimizer._target_=torch.optim.LBFGS is not known to the native engine"
    assert done.stdout.count(f"2 runs (1, 3) {reason}") == 1
    assert "training 2 runs natively" in done.stdout
    assert [row["state"] for row in rows] == ["COMPLETE"] * 4


def test_a_users_module_is_never_a_member(sweep, tmp_path):
    (tmp_path / "their_modules.py").write_text(
        "from neuronsweep.models.modules import RegressionModule\n"
        "class Mine(RegressionModule):\n"
        "    def loss(self, prediction, y):\n"
        "        return super().loss(prediction, y) * 3\n"
    )
    words = ("data=line", "epochs=5", "module._target_=their_modules.Mine", "seed=0,1")
    done, rows = sweep("sweep", *words, PYTHONPATH=str(tmp_path))
    assert done.stdout.count("module._target_=their_modules.Mine") >= 2
    assert [row["state"] for row in rows] == ["COMPLETE"] * 2


def test_diverging_members_fail_alone(sweep, tmp_path):
    words = ("data=quadratic", "optimizer=sgd", "model.act=identity", "epochs=30", "optimizer.lr=1e6,0.001", "seed=0,1")
    done, rows = sweep("sweep", *words)
    assert done.returncode == 1
    assert [row["state"] for row in rows] == ["FAILED", "FAILED", "COMPLETE", "COMPLETE"]
    assert "2 of 4 runs did not complete: 0, 1" in done.stderr
    assert "Traceback" not in done.stderr
    error = json.loads((tmp_path / "sweep" / "0000" / contents.STATUS).read_text())["error"]
    assert error.startswith("train/loss is")
    _, without = sweep("without", *words[:4], "optimizer.lr=0.001", "seed=0,1")
    assert [row["val/loss"] for row in rows[2:]] == [row["val/loss"] for row in without]


def test_interpolations_in_lists_are_what_they_stand_for(sweep):
    done, rows = sweep("sweep", "optimizer.betas=[${data.noise},${data.noise}],[0.1,0.1]", "epochs=3", "seed=0,1")
    assert done.returncode == 0, done.stderr
    assert [row["val/loss"] for row in rows[:2]] == [row["val/loss"] for row in rows[2:]]


def test_a_member_whose_training_cannot_begin_fails_alone(composed, tmp_path):
    """Nothing that the checks of a config let through is known to do so: the optimiser's number is put in here."""
    runs = []
    for number in range(3):
        config = plain(composed("data=moons", "epochs=3", f"seed={number}"))
        trained = member(config, moons())
        if number == 1:
            trained = dataclasses.replace(trained, optimizer={**trained.optimizer, "betas": ["x", 0.9]})
        directory = run_directory(tmp_path, number)
        runs.append(MemberRun(number, directory, [], config, raw=config, member=trained))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("neuronsweep.engine.train.unsupported", lambda member: None)
        ended = {told.number: told for told in Crew(2, 5.0).train(runs) if isinstance(told, Ended)}
    assert (ended[1].error or "").endswith("could not convert string to float: 'x'\n")
    assert Run(runs[1].directory).status()["state"] == FAILED
    for number in (0, 2):
        assert ended[number].objective == Run(runs[number].directory).metrics()["val/loss"]
        assert Run(runs[number].directory).status()["continued"] == []


def test_members_may_have_data_schedules_and_ends_of_their_own(sweep):
    words = ("data.noise=0.1,0.3", "scheduler=none,plateau,step", "epochs=10,25", "trainer.gradient_clip_val=null,0.5")
    done, rows = sweep("sweep", *words, "log_points=5", "hydra/launcher=native")
    assert done.returncode == 0, done.stderr
    assert "training 24 runs natively" in done.stdout
    _, alone = sweep("alone", *words, "log_points=5", "engine.threads=1")
    assert numbers(rows) == numbers(alone)


def start(tmp_path, *words: str) -> Script:
    return Script("train.py", "-m", "hydra.sweep.dir=sweep", NO_REPORT, *words, cwd=tmp_path)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_what_goes_on_is_left_in_each_runs_directory(tmp_path, how):
    process = start(tmp_path, "seed=0,1,2", "epochs=2000000000", "engine.threads=2", "engine.snapshot_seconds=0.1")
    left = lambda: sorted(path.parent.name for path in (tmp_path / "sweep").glob("*/resume.ckpt"))  # noqa: E731
    wait_until(lambda: left() == ["0000", "0001"])
    process.send_signal(how)
    process.communicate(timeout=10)
    assert process.returncode == (-9 if how is signal.SIGKILL else 128 + how)
    assert left() == ["0000", "0001"]
    states = [json.loads(path.read_text())["state"] for path in (tmp_path / "sweep").glob("*/status.json")]
    assert states == ["RUNNING"] * 2


def test_a_member_that_takes_longer_than_its_time_fails_alone(sweep):
    done, rows = sweep("sweep", "data=line", "epochs=2000000000,20", "time_limit=0.3")
    assert done.returncode == 1
    assert [row["state"] for row in rows] == ["FAILED", "COMPLETE"]
    assert "it took longer than time_limit=0.3 seconds" in done.stderr


def test_another_task_function_is_run_job_by_job(tmp_path):
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "app.yaml").write_text(
        "defaults:\n  - _self_\n  - override hydra/launcher: native\nx: 1\nhydra:\n  sweep:\n    dir: out\n"
    )
    (tmp_path / "app.py").write_text(
        "import hydra\n@hydra.main(version_base='1.3', config_path='conf', config_name='app')\n"
        "def app(cfg):\n    print('x is', cfg.x)\n    return cfg.x\napp()\n"
    )
    done = run(str(tmp_path / "app.py"), "-m", "x=3,4", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("x is") == 2


def test_hydras_callbacks_hear_of_every_member(sweep, tmp_path):
    (tmp_path / "listener.py").write_text(
        "from hydra.experimental.callback import Callback\n"
        "class Listener(Callback):\n"
        "    def on_job_start(self, config, **kwargs):\n"
        "        print('start', config.hydra.job.num, config.model.hidden)\n"
        "    def on_job_end(self, config, job_return, **kwargs):\n"
        "        print('end', config.hydra.job.num, job_return.status.name, job_return.return_value < 100)\n"
    )
    words = ("data=line", "epochs=3", "model.hidden=2,4", "+hydra.callbacks.listener._target_=listener.Listener")
    done, _ = sweep("sweep", *words, PYTHONPATH=str(tmp_path))
    for line in ("start 0 2", "end 0 COMPLETED True", "start 1 4", "end 1 COMPLETED True"):
        assert line in done.stdout.splitlines()


def test_a_killed_sweep_goes_on_to_the_same_bits(command, sweep, tmp_path):
    words = ("seed=0,1", "epochs=50,150000", "engine.snapshot_seconds=0.05", "log_points=3", "logger=none")
    process = start(tmp_path, *words)
    states = [tmp_path / "sweep" / f"{number:04d}" / contents.STATUS for number in range(4)]
    wait_until(lambda: sum(path.exists() and "COMPLETE" in path.read_text() for path in states) >= 2)
    process.kill()
    process.communicate(timeout=10)
    complete = {path: path.stat().st_mtime_ns for path in states if path.exists() and "COMPLETE" in path.read_text()}
    wait_until(lambda: command("scripts/resume.py", "sweep").returncode == 0)
    assert {path: path.stat().st_mtime_ns for path in complete} == complete
    rows = list(csv.DictReader((tmp_path / "sweep" / contents.RESULTS).read_text().splitlines()))
    _, whole = sweep("whole", *words)
    assert numbers(rows) == numbers(whole)
    for number in range(4):
        files = [tmp_path / name / f"{number:04d}" / contents.HISTORY for name in ("sweep", "whole")]
        assert files[0].read_bytes() == files[1].read_bytes()
    assert not list((tmp_path / "sweep").glob(".*"))


def test_an_interrupted_sweep_says_how_it_goes_on(command, tmp_path):
    process = start(tmp_path, "seed=0,1", "epochs=1000", "hydra/launcher=basic", "trainer.checkpoint_seconds=0.1")
    wait_until((tmp_path / "sweep" / "0000" / contents.CHECKPOINT).exists)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert "stopped with 0 of 2 runs complete; continue with: python scripts/resume.py sweep" in out
    done = command("scripts/resume.py", "sweep")
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader((tmp_path / "sweep" / contents.RESULTS).read_text().splitlines()))
    assert [row["state"] for row in rows] == ["COMPLETE"] * 2


def test_a_directory_of_another_sweep_is_refused_and_failed_runs_are_tried_again_when_asked(command, sweep):
    words = ("data=quadratic", "optimizer=sgd", "model.act=identity", "epochs=30", "optimizer.lr=1e6,0.001")
    sweep("sweep", *words)
    other, _ = sweep("sweep", *words[:4], "optimizer.lr=1e6,0.002")
    assert (other.returncode, other.stderr.count("\n")) == (2, 1)
    assert "it contains another sweep: optimizer.lr was 1000000.0,0.001 and is 1000000.0,0.002" in other.stderr
    again = command("scripts/resume.py", "sweep")
    assert again.returncode == 1
    assert "training" not in again.stdout
    tried = command("scripts/resume.py", "sweep", "--retry-failed")
    assert "training 1 run natively" in tried.stdout
