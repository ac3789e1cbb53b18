"""Runs of several processes: they agree before they begin, end together, and go on together."""

import signal

import pytest

from neuronsweep.sweeps import ledger
from tests.sweeps.test_processes import processes_of, rows, wait_until_gone

DDP = ("trainer=ddp_cpu", "trainer.devices=2")
RUN = ("logger=none", "data=moons", "batch_size=50", "epochs=20", "log_points=10", "trainer.precision=64-true")
# stopped early by all processes at the same log point, whose count the checkpoint has
RUN += ("trainer.early_stopping.patience=6", "trainer.early_stopping.min_delta=100", "trainer.checkpoint_seconds=0")
# Modules one of whose processes dies in the middle, with SPARED in the environment none.
THEIRS = """
import os, signal
from neuronsweep.models.modules import ClassificationModule

class FirstDies(ClassificationModule):
    victim, calls = 0, 0

    def loss(self, prediction, y):
        self.calls += 1
        if self.global_rank == self.victim and self.calls == 40 and "SPARED" not in os.environ:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().loss(prediction, y)

class SecondDies(FirstDies):
    victim = 1
"""


def test_processes_agree_with_one_and_with_themselves_when_they_go_on_and_die_together(command, alone, tmp_path):
    (tmp_path / "theirs.py").write_text(THEIRS)
    sweep = ("hydra.sweep.dir=sweep", "module._target_=null,theirs.SecondDies")
    done = command("train.py", "-m", *RUN, *DDP, *sweep, PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert [row["state"] for row in rows(tmp_path / "sweep")] == ["COMPLETE", "FAILED"], done.stderr
    assert len(list((tmp_path / "sweep").glob("[0-9]*"))) == 2
    assert "1 of 2 runs did not complete: 1" in done.stderr
    assert processes_of("theirs.SecondDies") == []
    run = tmp_path / "sweep" / "0000"
    assert "Initializing distributed" not in (run / "output.log").read_text()
    one, two = ledger.read_history(alone(*RUN)), ledger.read_history(run)
    assert [epoch for epoch, _ in one] == [epoch for epoch, _ in two]
    assert len(one) == 7
    for (_, losses), (_, same) in zip(one, two, strict=True):
        assert losses == pytest.approx(same, rel=1e-9)

    words = (*RUN, *DDP, f"hydra.run.dir={tmp_path}/killed", "module._target_=theirs.FirstDies")
    done = command("train.py", *words, PYTHONPATH=str(tmp_path))
    assert done.returncode == -signal.SIGKILL, done.stderr
    wait_until_gone(f"{tmp_path}/killed")
    done = command("scripts/resume.py", "killed", "--trust", PYTHONPATH=str(tmp_path), SPARED="1")
    assert done.returncode == 0, done.stderr
    assert ledger.status(tmp_path / "killed")["continued"]
    for name in (ledger.METRICS, ledger.HISTORY):
        assert (tmp_path / "killed" / name).read_bytes() == (run / name).read_bytes()


def test_processes_of_different_configs_do_not_train(command, tmp_path):
    # a config that each process composes to another seed
    done = command("train.py", *RUN, *DDP, "seed=${oc.env:LOCAL_RANK,0}", "hydra.run.dir=run")
    assert done.returncode != 0
    assert done.stderr.count("do not have the same config") == 1, done.stderr
    assert ledger.status(tmp_path / "run")["state"] == "FAILED"
    assert not (tmp_path / "run" / ledger.METRICS).exists()
