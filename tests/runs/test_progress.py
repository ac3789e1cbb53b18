"""How far runs and sweeps are, read from their directories: in training, stopped, killed, ended, damaged."""

import json
import math
import os
import socket
import time

import pytest

from neuronsweep import console
from neuronsweep.errors import UserError
from neuronsweep.runs import contents, files, lock
from neuronsweep.runs.run import FAILED, Run
from neuronsweep.runs.watcher import Watcher
from neuronsweep.search.heartbeat import identity

NODES: dict[str, dict] = {key: {} for key in ("data", "model", "optimizer", "scheduler", "trainer", "logger", "module")}
CONFIG = {**NODES, "epochs": 200, "objective": {"metric": "val/acc", "mode": "max"}}
RECORD = {"command": "train", "config": CONFIG, "environment": {}, "data_digest": "abc", "source_digest": "abc"}


def begin(run, *overrides):
    run.mkdir()
    Run(run).begin("native", "abc", {**RECORD, "overrides": list(overrides)}, "")


def describe(sweep, **changes):
    sweep.mkdir(exist_ok=True)
    told = {"state": "RUNNING", "swept": ["seed"], "objective": CONFIG["objective"], "overrides": [], "command": "c"}
    files.write_json(sweep / contents.SWEEP, {**told, **changes})


@pytest.fixture
def sweep(tmp_path):
    """Six runs: two complete, one failed, one damaged, one after half of its epochs, one not begun."""
    sweep = tmp_path / "sweep"
    describe(sweep, jobs=[["data=moons", f"seed={seed}"] for seed in range(6)])
    for seed in range(5):
        begin(sweep / f"000{seed}", "data=moons", f"seed={seed}")
    for seed, accuracy in ((0, 0.75), (1, 0.875)):
        Run(sweep / f"000{seed}").complete([(100, {}), (200, {})], {"val/acc": accuracy}, b"", None, 1.0)
    Run(sweep / "0002").write_history([(20, {"val/acc": 0.5})])
    Run(sweep / "0002").end(FAILED, 1.0, "Traceback:\n  val/loss is \x1b[2Jnan")
    Run(sweep / "0003").write_history([(60, {"val/acc": 0.5}), (100, {"val/acc": 0.625})])
    Run(sweep / "0003").update(seconds=3.0)
    (sweep / "0004" / contents.STATUS).write_text("{}")
    return sweep


def own(directory, **changes):
    """As if a process had the lock that wrote its name so."""
    mine = {"host": socket.gethostname(), "pid": os.getpid(), "process": identity(), "command": "python train.py"}
    (directory / lock.LOCK).write_text(json.dumps({**mine, "heartbeat": time.time(), **changes}))


def test_a_sweep_in_training_says_what_is_known_of_it(sweep, monkeypatch):
    monkeypatch.setattr(lock, "owner", lambda directory: "process 7 on host")
    watcher = Watcher(sweep)
    lines = watcher.look().lines()
    assert lines[0].endswith("sweep: in training")
    assert lines[1:3] == [
        "trained by process 7 on host",
        "4 of 6 runs ended: 2 COMPLETE, 1 DAMAGED, 1 FAILED, 1 in training, 1 to come",
    ]
    assert lines[3] == "epochs done: 520"
    assert lines[4].endswith(" left")
    assert lines[5:] == [
        "best val/acc so far: 0.875, #1 seed=1",
        "in training: #3 seed=3  epoch 100 of 200 (50%)  val/acc 0.625",
        "failed: #2 seed=2: val/loss is \\x1b[2Jnan",
        f"failed: #4 seed=4: {sweep / '0004' / contents.STATUS} is damaged: it is not what was written",
    ]
    assert watcher.look().line().startswith("4/6 runs  2 failed  best val/acc 0.875 (#1 seed=1)  ")
    Run(sweep / "0003").complete([(200, {})], {"val/acc": 1.0}, b"", None, 1.0)
    found = watcher.look()
    assert (found.ended, found.best, found.training) == (5, (1.0, "#3 seed=3"), [])


def test_who_was_killed_and_who_was_stopped_and_who_lives_elsewhere(sweep):
    assert "was stopped, nobody trains it; continue with: python scripts/resume.py" in Watcher(sweep).look().lines()[0]
    own(sweep)
    found = Watcher(sweep).look()
    assert "was killed, nobody trains it; continue with" in found.lines()[0]
    assert "1 interrupted" in found.lines()[1]
    assert (found.seconds_left, found.per_second) == (None, None)
    own(sweep, host="another", heartbeat=0.0, file=(sweep / lock.LOCK).stat().st_ino)
    assert "on another (python train.py;" in Watcher(sweep).look().lines()[1]
    os.utime(sweep / lock.LOCK, (0, 0))  # heard of long ago
    assert "was killed" in Watcher(sweep).look().lines()[0]


def test_what_has_ended_says_how(sweep):
    describe(sweep, jobs=[["seed=0"], ["seed=1"]], state="COMPLETE")
    lines = Watcher(sweep).look().lines()
    assert lines[0].endswith("sweep: COMPLETE")
    assert lines[1] == "2 of 2 runs ended: 2 COMPLETE"


def test_speed_is_that_of_this_try_not_of_the_one_before_the_pause(sweep):
    def rate(begun):
        describe(sweep, jobs=[["seed=0"], ["seed=1"]], state="COMPLETE", begun=begun)
        return Watcher(sweep).look().per_second

    assert rate("2100-01-01T00:00:00+00:00") is None
    assert rate("2000-01-01T00:00:00+00:00") < 1e-8


def test_trials_of_a_search_that_need_no_run_are_counted(sweep, monkeypatch):
    monkeypatch.setattr(lock, "owner", lambda directory: "process 7 on host")
    describe(sweep, trials=9, search={})
    (sweep / "0003").rename(sweep / "0006")
    lines = Watcher(sweep).look().lines()
    assert lines[0].startswith("search ")
    counts = "2 COMPLETE, 1 DAMAGED, 1 FAILED, 1 in training, 2 without a run of their own, 2 to come"
    assert lines[2] == f"6 of 9 trials ended: {counts}"


def test_a_single_run(tmp_path, monkeypatch):
    begin(tmp_path / "run")
    monkeypatch.setattr(lock, "owner", lambda directory: "process 7 on host")
    assert Watcher(tmp_path / "run").look().line() == "epoch 0 of 200 (0%)"
    Run(tmp_path / "run").write_history([(50, {"val/acc": 0.5})])
    Run(tmp_path / "run").update(seconds=30.0)
    assert Watcher(tmp_path / "run").look().line() == "epoch 50 of 200 (25%)  val/acc 0.5  1 min 30 s left"
    Run(tmp_path / "run").complete([(200, {})], {"val/acc": 1.0}, b"", None, 1.0)
    monkeypatch.undo()
    assert Watcher(tmp_path / "run").look().lines()[0].endswith("run: COMPLETE")


def test_neither_run_nor_sweep(tmp_path):
    with pytest.raises(UserError, match="is neither a run nor a sweep directory"):
        Watcher(tmp_path).look()


def test_a_line_every_half_minute_where_no_bar_is(monkeypatch, capsys):
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(console, "_last_line", None)
    monkeypatch.setattr(console.CONSOLE, "_file", None)
    bar = console.Bar("epochs", 2000)
    for now, done in ((0.0, 0), (10.0, 100), (31.0, 400), (40.0, 500), (62.0, 1000)):
        clock[0] = now
        bar.advance_to(done, "val/loss 0.5")
    bar.close()
    assert capsys.readouterr().out.splitlines() == [
        "400/2000 epochs  val/loss 0.5  2 min 4 s left",
        "1000/2000 epochs  val/loss 0.5  1 min 2 s left",
    ]
    assert console.duration(7500) == "2 h 5 min"
    assert math.isinf(console.width())
