"""Runs of several processes: they agree before they begin, end together, and go on together."""

import json
import signal

import pytest

from neuronsweep.runs import contents, files
from neuronsweep.runs.run import COMPLETE, Run
from neuronsweep.runs.sweep import run_directory
from tests.launch.test_processes import processes_of, rows, wait_until_gone
from tests.search.test_definition import trials

DDP = ("trainer=ddp_cpu", "trainer.devices=2")
RUN: tuple[str, ...] = (
    "logger=none",
    "data=moons",
    "batch_size=50",
    "epochs=20",
    "log_points=10",
    "trainer.precision=64-true",
)
# dropout, whose masks belong to the batch and not to a process
RUN += ("model.dropout=0.1",)
# stopped early by all processes at the same log point, whose count the checkpoint has
# a weighted loss, whose ranks have different shares of the weights and of the samples
RUN += ("loss=cross_entropy", "loss.class_weights=[1,3]")
RUN += ("trainer.early_stopping.patience=6", "trainer.early_stopping.min_delta=100", "trainer.checkpoint_seconds=0")
# Modules one of whose processes dies in the middle, with SPARED in the environment none.
THEIRS = """
import json, os, pathlib, signal
from hydra.core.hydra_config import HydraConfig
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

class Noted(ClassificationModule):
    def on_fit_start(self):
        super().on_fit_start()
        run = pathlib.Path(HydraConfig.get().runtime.output_dir)
        run.joinpath(f"rank-{self.global_rank}.json").write_text(json.dumps(dict(self.hparams)))
"""


def test_processes_agree_with_one_and_with_themselves_when_they_go_on_and_die_together(command, alone, tmp_path):
    (tmp_path / "theirs.py").write_text(THEIRS)
    sweep = ("hydra.sweep.dir=sweep", "module._target_=null,theirs.SecondDies")
    one_task = {"SLURM_JOB_ID": "123456", "SLURM_NTASKS": "1", "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"}
    done = command("train.py", "-m", *RUN, *DDP, *sweep, PYTHONPATH=str(tmp_path), **one_task)
    assert done.returncode == 1
    assert [row["state"] for row in rows(tmp_path / "sweep")] == ["COMPLETE", "FAILED"], done.stderr
    assert len(list((tmp_path / "sweep").glob("[0-9]*"))) == 2
    assert "1 of 2 runs did not complete: 1" in done.stderr
    assert processes_of("theirs.SecondDies") == []
    run = tmp_path / "sweep" / "0000"
    assert "Initializing distributed" not in (run / "output.log").read_text()
    one, two = Run(alone(*RUN)).history(), Run(run).history()
    assert [epoch for epoch, _ in one] == [epoch for epoch, _ in two]
    assert len(one) == 7
    for (_, losses), (_, same) in zip(one, two, strict=True):
        assert losses == pytest.approx(same, rel=1e-9)

    words = (*RUN, *DDP, f"hydra.run.dir={tmp_path}/killed", "module._target_=theirs.FirstDies")
    done = command("train.py", *words, PYTHONPATH=str(tmp_path), SLURM_JOB_ID="123456", SLURM_NTASKS="2")  # no srun
    assert done.returncode == -signal.SIGKILL, done.stderr
    wait_until_gone(f"{tmp_path}/killed")
    done = command("scripts/resume.py", "killed", "--trust", PYTHONPATH=str(tmp_path), SPARED="1")
    assert done.returncode == 0, done.stderr
    assert Run(tmp_path / "killed").status()["continued"]
    for name in (contents.METRICS, contents.HISTORY):
        assert (tmp_path / "killed" / name).read_bytes() == (run / name).read_bytes()


def test_processes_of_different_configs_do_not_train(command, tmp_path):
    # a config that each process composes to another seed
    done = command("train.py", *RUN, *DDP, "seed=${oc.env:LOCAL_RANK,0}", "hydra.run.dir=run")
    assert done.returncode != 0
    assert done.stderr.count("do not have the same config") == 1, done.stderr
    assert Run(tmp_path / "run").status()["state"] == "FAILED"
    assert not (tmp_path / "run" / contents.METRICS).exists()


def test_a_search_asks_once_for_all_processes_of_a_trial(command, tmp_path):
    (tmp_path / "theirs.py").write_text(THEIRS)
    tried = [("Noted", 0.5), ("Noted", 1e-6), ("SecondDies", 0.5), ("Noted", 1e200), ("Noted", 0.2)]
    guesses = [f"{{optimizer.lr: {lr}, module._target_: theirs.{module}}}" for module, lr in tried]
    space = ("optimizer.lr=choice(0.5,0.2,1e-6,1e200)", "module._target_=choice(theirs.Noted,theirs.SecondDies)")
    # modules may have losses of their own, by which they are not compared
    search: tuple[str, ...] = (
        "sweep=optuna",
        "optimizer=sgd",
        "model=mlp",
        "objective.metric=val/acc",
        *space,
        "~hydra.sweeper.params.model",
    )
    search += (f"hydra.sweeper.enqueue=[{', '.join(guesses)}]", "hydra.sweeper.n_trials=5")
    search += ("hydra.sweeper.pruner=median", "+hydra.sweeper.pruner_options.n_startup_trials=1")
    done = command(
        "train.py", "-m", *RUN, *DDP, *search, "hydra.sweep.dir=sweep", timeout=300, PYTHONPATH=str(tmp_path)
    )
    assert done.returncode == 1
    found = rows(tmp_path / "sweep")
    assert [row["directory"] for row in found] == [f"{number:04d}" for number in range(5)]
    assert sorted(path.name for path in (tmp_path / "sweep").glob("[0-9]*")) == [row["directory"] for row in found]
    states = [row["state"] for row in found]
    assert states[:4] == ["COMPLETE", "PRUNED", "FAILED", "FAILED"], done.stderr
    asked = trials(tmp_path / "sweep")
    assert [trial.state.name.replace("FAIL", "FAILED") for trial in asked] == states
    for trial, (module, lr) in zip(asked, tried, strict=True):
        assert trial.params == {"optimizer.lr": lr, "module._target_": f"theirs.{module}"}
        run = run_directory(tmp_path / "sweep", trial.number)
        recorded = files.read_json(run / contents.RECORD)["config"]
        assert (recorded["optimizer"]["lr"], recorded["module"]["_target_"]) == (lr, f"theirs.{module}")
        if module == "Noted":
            first, second = ((run / f"rank-{rank}.json").read_text() for rank in range(2))
            assert first == second
            assert json.loads(first)["optimizer"]["lr"] == lr
    pruned = Run(tmp_path / "sweep" / "0001").history()
    assert asked[1].intermediate_values == {epoch: row["val/acc"] for epoch, row in pruned}
    assert len(pruned) < 10
    assert "is nan" in asked[3].user_attrs["error"] or "is inf" in asked[3].user_attrs["error"]
    assert processes_of("hydra.sweep.dir=sweep") == []


# What Slurm says to all that is started in a job, by a task of it or by its shell.
SLURM = {"SLURM_JOB_ID": "123456", "SLURM_NTASKS": "4", "SLURM_PROCID": "3", "SLURM_LOCALID": "3", "SLURM_NODEID": "1"}


def test_a_run_in_a_slurm_job_is_a_run_like_any_other(command, tmp_path):
    done = command("train.py", *RUN[:2], "epochs=2", "log_points=1", "hydra.run.dir=run", **SLURM)
    assert done.returncode == 0, done.stderr
    assert Run(tmp_path / "run").verified()["state"] == COMPLETE


def test_several_devices_in_several_tasks_are_refused(command, tmp_path):
    for words in (DDP, ("-m", "seed=0,1", *DDP)):
        done = command("train.py", *words, **SLURM, SLURM_STEP_NUM_TASKS="4")
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert "trainer.devices=2 is not allowed in 4 tasks of Slurm's" in done.stderr
        assert "srun --ntasks=1 --cpus-per-task=2" in done.stderr
    assert not list(tmp_path.iterdir())
