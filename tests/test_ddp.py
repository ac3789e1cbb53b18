"""One run of several processes: they agree before they begin, end together, and go on together."""

import os
import signal
import subprocess
import sys
import time

from neuronsweep.sweeps import ledger
from tests.commands import ROOT
from tests.sweeps.test_processes import processes_of, times, wait_for

DDP = ("trainer=ddp_cpu", "trainer.devices=2", "logger=none", "data=moons", "batch_size=50")


def test_a_killed_run_leaves_no_process_and_goes_on_to_the_same_bits(command, tmp_path):
    words = (*DDP, "epochs=600", "log_points=300", "trainer.checkpoint_seconds=0.05")
    # stopped early by all processes at the same log point, whose count the checkpoint has
    words += ("trainer.early_stopping.patience=200", "trainer.early_stopping.min_delta=100")
    process = subprocess.Popen([sys.executable, str(ROOT / "train.py"), *words, f"hydra.run.dir={tmp_path}/run"])
    run = tmp_path / "run"
    first = wait_for(lambda: (run / ledger.CHECKPOINT).exists() and times(run), process)
    wait_for(lambda: times(run) != first, process)
    assert len(processes_of(f"{tmp_path}/run")) == 2
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    end = time.monotonic() + 10
    while processes_of(f"{tmp_path}/run"):
        assert time.monotonic() < end
    done = command("scripts/resume.py", "run")
    assert done.returncode == 0, done.stderr
    assert ledger.status(run)["continued"]
    assert command("train.py", *words, "hydra.run.dir=whole").returncode == 0
    for name in (ledger.METRICS, ledger.HISTORY):
        assert (run / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert len(ledger.read_history(run)) == 201


def test_processes_of_different_configs_do_not_train(command, tmp_path):
    # a config that each process composes to another seed
    done = command("train.py", *DDP, "epochs=5", "seed=${oc.env:LOCAL_RANK,0}", "hydra.run.dir=run")
    assert done.returncode != 0
    assert done.stderr.count("do not have the same config") == 1, done.stderr
    assert ledger.status(tmp_path / "run")["state"] == "FAILED"
    assert not (tmp_path / "run" / ledger.METRICS).exists()


def test_a_run_that_diverges_on_all_processes_says_so_once(command, tmp_path):
    done = command("train.py", *DDP, "epochs=50", "optimizer=sgd", "optimizer.lr=1e30", "hydra.run.dir=run")
    assert done.returncode == 1
    assert done.stderr.count("is nan") + done.stderr.count("is inf") == 1, done.stderr
    assert "Initializing distributed" not in done.stderr + done.stdout
    assert ledger.status(tmp_path / "run")["state"] == "FAILED"
