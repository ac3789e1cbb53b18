"""Sweeps whose jobs are processes: fresh ones, watched, and read where they have ended."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from neuronsweep.sweeps import ledger
from tests.commands import ROOT

QUICK = ("data=line", "epochs=20", "log_points=4", "logger=none")
LONG = ("data=moons", "batch_size=50", "epochs=1500", "log_points=300", "logger=none")
DDP = ("trainer=ddp_cpu", "trainer.devices=2", "trainer.precision=64-true", "trainer.checkpoint_seconds=0.1")


def rows(sweep) -> list[dict[str, str]]:
    return list(csv.DictReader((sweep / ledger.RESULTS).open()))


def numbers(sweep) -> list[dict[str, str]]:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows(sweep)]


def wait_for(find, process):
    """What ``find`` finds at last, while the process runs."""
    end = time.monotonic() + 90
    while not (found := find()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


def processes_of(word: str) -> list[int]:
    """Processes with this word in their command lines."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                found += [int(name)] if word.encode() in file.read() else []
        except OSError:
            continue
    return found


def rank_1(word: str) -> int | None:
    """The second process of the DDP run with this word in its command line."""
    for pid in processes_of(word):
        with open(f"/proc/{pid}/environ", "rb") as file:
            if b"LOCAL_RANK=1" in file.read().split(b"\0"):
                return pid
    return None


def times(run) -> int:
    return (run / ledger.CHECKPOINT).stat().st_mtime_ns


def start(tmp_path, *words: str) -> subprocess.Popen:
    command = [sys.executable, str(ROOT / "train.py"), "-m", *words]
    return subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_jobs_have_the_bits_of_the_basic_launcher_whatever_the_environment_says(command, tmp_path):
    ranks = {"LOCAL_RANK": "1", "WORLD_SIZE": "2", "MASTER_PORT": "1", "PL_GLOBAL_SEED": "7", "OMP_NUM_THREADS": "5"}
    words = ("-m", "model.hidden=2,3", *QUICK)
    done = command("train.py", *words, "hydra/launcher=process", "hydra.sweep.dir=process", **ranks)
    assert done.returncode == 0, done.stderr
    assert command("train.py", *words, "hydra/launcher=basic", "hydra.sweep.dir=basic").returncode == 0
    assert numbers(tmp_path / "process") == numbers(tmp_path / "basic")
    run = tmp_path / "process" / "0000"
    assert "run directory: " in (run / "output.log").read_text()
    again = command("scripts/resume.py", "process")
    assert again.returncode == 0
    assert (run / "output.log").read_text().count("run directory: ") == 1  # read, not started


def test_a_job_that_dies_diverges_or_takes_too_long_fails_alone_and_is_tried_again_when_asked(command, tmp_path):
    (tmp_path / "theirs.py").write_text(
        "import os, pathlib, signal, time\n"
        "from neuronsweep.models.modules import RegressionModule\n"
        "class Killed(RegressionModule):\n"
        "    def loss(self, prediction, y):\n"
        "        tries = pathlib.Path(os.environ['TRIES'])\n"
        "        tries.mkdir(exist_ok=True)\n"
        "        tries.joinpath(str(os.getpid())).touch()\n"
        "        if len(list(tries.iterdir())) < 3:\n"
        "            print('these are its last words', flush=True)\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        "        return super().loss(prediction, y)\n"
        "class Slow(RegressionModule):\n"
        "    def loss(self, prediction, y):\n"
        "        time.sleep(60)\n"
    )
    words = ("module._target_=theirs.Killed,theirs.Slow,null", "optimizer=sgd", "optimizer.lr=1e30", "time_limit=9")
    launcher = ("hydra/launcher=process", "hydra.sweep.dir=sweep")
    environment = {"PYTHONPATH": str(tmp_path), "TRIES": str(tmp_path / "tries")}
    done = command("train.py", "-m", *QUICK, *words, *launcher, **environment)
    assert done.returncode == 1
    assert [row["state"] for row in rows(tmp_path / "sweep")] == ["FAILED"] * 3
    assert "these are its last words" in done.stderr
    assert "FAILED: it was killed by SIGKILL; its output is in sweep/0000/output.log" in done.stderr
    assert "FAILED: it took longer than time_limit=9 seconds" in done.stderr
    assert "FAILED: train/loss is" in done.stderr
    assert len(list((tmp_path / "tries").iterdir())) == 1
    sane = (*words[:1], "optimizer=sgd", "optimizer.lr=1e-3", "module._target_=theirs.Killed")
    retried = ("hydra/launcher=process", "hydra.sweep.dir=retried", "hydra.launcher.retries=1")
    done = command("train.py", "-m", *QUICK, *sane, *retried, **environment)
    assert (done.returncode, [row["state"] for row in rows(tmp_path / "retried")]) == (0, ["COMPLETE"]), done.stderr
    assert len(list((tmp_path / "tries").iterdir())) == 3


def test_a_sweep_that_is_ended_leaves_no_process_and_goes_on_to_the_same_bits(command, tmp_path):
    words = (*LONG, "seed=0,1", "trainer.checkpoint_seconds=0.05")
    run = tmp_path / "sweep" / "0000"
    process = start(tmp_path, *words, "hydra/launcher=process", f"hydra.sweep.dir={tmp_path}/sweep")
    for how in (signal.SIGTERM, signal.SIGKILL):
        checkpoint = wait_for(lambda: (run / ledger.CHECKPOINT).exists() and times(run), process)
        wait_for(lambda seen=checkpoint: times(run) != seen, process)
        process.send_signal(how)
        out, _ = process.communicate(timeout=30)
        assert how is signal.SIGKILL or (process.returncode == 130 and "go on with: python scripts/resume.py" in out)
        end = time.monotonic() + 10
        while processes_of(f"{tmp_path}/sweep/"):
            assert time.monotonic() < end
        assert ledger.status(run)["state"] == "RUNNING"
        resume = [sys.executable, str(ROOT / "scripts/resume.py"), "sweep"]
        process = subprocess.Popen(resume, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert len(ledger.status(run)["continued"]) == 2
    assert command("train.py", "-m", *words, "hydra/launcher=basic", "hydra.sweep.dir=whole").returncode == 0
    assert numbers(tmp_path / "sweep") == numbers(tmp_path / "whole")


def test_a_script_of_the_users_own_runs_too(command, tmp_path):
    (tmp_path / "own.py").write_text(
        "import hydra, os\n"
        "@hydra.main(version_base='1.3', config_path=None, config_name='own')\n"
        "def main(cfg):\n"
        "    print('pid', os.getpid())\n"
        "    return cfg.x * 2\n"
        "if __name__ == '__main__':\n"
        "    main()\n"
    )
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "own.yaml").write_text("x: 1\n")
    words = ("-m", "--config-dir", "configs", "x=1,2,3", "hydra/launcher=process", "hydra.sweep.dir=sweep")
    done = command(str(tmp_path / "own.py"), *words)
    assert done.returncode == 0, done.stderr
    pids = {(tmp_path / "sweep" / f"000{i}" / "output.log").read_text() for i in range(3)}
    assert len(pids) == 3
    returned = [json.loads((tmp_path / "sweep" / f"000{i}" / "returned.json").read_text()) for i in range(3)]
    assert returned == [2, 4, 6]


def test_ddp_jobs_agree_with_one_process_and_a_dead_rank_fails_its_own_job_only(command, tmp_path):
    words = (*QUICK, "seed=range(3)", "trainer.precision=64-true", "batch_size=3")
    assert command("train.py", "-m", *words, "hydra.sweep.dir=one").returncode == 0
    process = start(tmp_path, *words, *DDP, f"hydra.sweep.dir={tmp_path}/two", "hydra/launcher=process")
    victim = wait_for(lambda: rank_1(f"{tmp_path}/two/0001"), process)
    os.kill(victim, signal.SIGKILL)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 1, err
    assert [row["state"] for row in rows(tmp_path / "two")] == ["COMPLETE", "FAILED", "COMPLETE"]
    assert len(list((tmp_path / "two").glob("[0-9]*"))) == 3
    assert processes_of(f"{tmp_path}/two") == []
    assert "1 of 3 runs did not complete: 1" in err
    for one, two in zip(rows(tmp_path / "one"), rows(tmp_path / "two"), strict=True):
        if two["state"] == "COMPLETE":
            assert float(one["val/loss"]) == pytest.approx(float(two["val/loss"]), rel=1e-9)
    assert "Initializing distributed" not in (tmp_path / "two" / "0000" / "output.log").read_text()
