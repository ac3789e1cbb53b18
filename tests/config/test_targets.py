"""A foreign directory makes a command build nothing but what the schemas name."""

from pathlib import Path
from typing import Any

import pytest

from neuronsweep.config import targets
from neuronsweep.config.check import plain
from neuronsweep.config.targets import Untrusted, check_config, check_flags, check_words

HERE = Path("theirs")
RUN: dict[str, Any] = {
    "data": {"_target_": "neuronsweep.data.curves.sine"},
    "model": {"hidden": 8},
    "optimizer": {"_target_": "torch.optim.Adam", "betas": [0.9, 0.999]},
    "scheduler": {"_target_": "torch.optim.lr_scheduler.StepLR"},
    "logger": {"_target_": "lightning.pytorch.loggers.TensorBoardLogger"},
    "module": {"_target_": None},
    "seed": 0,
}


@pytest.fixture(autouse=True)
def nothing_granted(monkeypatch):
    monkeypatch.setattr(targets, "GRANTED", targets.Granted())


@pytest.mark.parametrize(
    "value",
    [
        {"module": {"_target_": "os.system"}},
        {"module": {"_target_": "mine.Huber"}},
        {"logger": {"a": [{"_target_": "logging.FileHandler", "filename": "victim"}]}},
        {"data": {"_target_": "neuronsweep.runs.record.subprocess.run"}},
        # of the packages that runs are made of, and no part of a run
        {"data": {"_target_": "neuronsweep.cli.become"}},
        {"data": {"_target_": "neuronsweep.analysis.fit.np.load", "file": "victim"}},
        {"optimizer": {"_target_": "torch.optim.optimizer.torch.load"}},
        {"logger": {"_target_": "lightning.pytorch.loggers.CSVLogger", "save_dir": "/victim"}},
        # right names in a wrong place
        {"data": {"_target_": "lightning.pytorch.loggers.TensorBoardLogger", "save_dir": "/victim"}},
        {"seed": {"_target_": "torch.optim.Adam"}},
        {"data": {**RUN["data"], "noise": {"_target_": "torch.optim.Adam"}}},
        {"_target_": "neuronsweep.data.curves.sine"},
        {"data": {"_target_": ["neuronsweep.data.curves.sine"]}},
        {"logger": "${oc.create:{_target_: os.system}}"},
        {"data": {**RUN["data"], "noise": "${oc.env:HOME}"}},
    ],
)
def test_strangers_are_refused_wherever_they_stand(value):
    with pytest.raises(Untrusted, match=r"theirs .*--trust allows it"):
        check_config({**RUN, **value}, HERE)
    targets.trust()
    check_config({**RUN, **value}, HERE)


def test_what_runs_are_made_of_is_built(composed):
    check_config(RUN, HERE)
    for words in ((), ("data=moons", "optimizer=lbfgs", "scheduler=plateau", "logger=none", "trainer=ddp_cpu")):
        check_config(plain(composed(*words)), HERE)
    for module in ("RegressionModule", "ClassificationModule"):
        check_config({**RUN, "module": {"_target_": f"neuronsweep.models.modules.{module}"}}, HERE)


def test_what_a_command_has_composed_it_reads_back(composed):
    own = {**RUN, "module": {"_target_": "mine.Huber"}}
    with pytest.raises(Untrusted):
        check_config(own, HERE)
    targets.grant(composed("module._target_=mine.Huber"))
    check_config(own, HERE)
    with pytest.raises(Untrusted):
        check_config({**RUN, "module": {"_target_": "mine.Other"}}, HERE)


@pytest.mark.parametrize(
    "word",
    [
        "+hydra.callbacks.x={_target_:logging.FileHandler,filename:victim,mode:w}",
        "hydra.searchpath=[file:///tmp]",
        "module._target_=mymod.Mine",
        "module._target_=neuronsweep.models.modules.RegressionModule,os.system",
        "module._target_=choice(null,os.system)",
        "data._target_=neuronsweep.analysis.fit.np.load",
        "+data.noise._target_=neuronsweep.data.curves.sine",
        "+logger.a={_target_: os.system}",
        "seed=${oc.env:SEED}",
        # flags and other directories in the place of a word
        "--config-dir=/theirs",
        "-cd=/theirs",
        "--config-path=/theirs",
        "data=../../theirs/evil",
        "+experiment='/theirs/evil'",
        "data@module=evil",
        "hydra/launcher=../../theirs/evil",
        "hydra/callbacks=evil",
        "hydra/sweeper@hydra.launcher=evil",
        "hydra=evil",
        "hydra.sweep.subdir=../../victim",
        "hydra.sweep.dir=/victim",
        "hydra.run.dir=/victim",
        "hydra.output_subdir=/victim",
        "hydra.launcher._target_=os.system",
        "hydra.launcher.parameters.slurm_setup=[evil]",
        "hydra.launcher.address=ray://theirs",
        "hydra.sweeper._target_=os.system",
        "hydra.sweeper.space=os.system",
        "hydra.sweeper.params.module._target_=[os.system]",
        "hydra.sweeper.params.data=[../../theirs/evil]",
        "hydra.sweeper.params={data: [x]}",
        "hydra.sweeper.storage=postgresql://theirs/db",
        "hydra.sweeper.storage=/victim",
        "hydra.sweeperx.params=1",
    ],
)
def test_words_that_do_more_than_a_sweep_needs_are_refused(word):
    with pytest.raises(Untrusted, match="--trust allows it"):
        check_words(["seed=0,1", word], HERE)
    targets.grant_words([word])  # the same word in what this process has written itself
    check_words(["seed=0,1", word], HERE)


def test_words_of_sweeps_are_run():
    words = ["model.hidden=2,8", "seed=range(64)", "hydra/launcher=basic", "hydra.sweeper.n_trials=20", "+experiment=x"]
    words += ["hydra.mode=MULTIRUN", "~hydra.callbacks.report", "optimizer._target_=torch.optim.SGD", "data=moons,line"]
    words += [
        "optimizer.lr=tag(log,interval(1e-4,1e-1))",
        "data=choice(moons,circles)",
        "sweep=optuna",
        "batch_size=32",
    ]
    words += ["hydra.sweeper.objectives=[{metric: val/loss, mode: min}]", "objective.metric=val/loss"]
    words += ["hydra.sweeper.params.model.act=[relu,tanh]", "hydra.launcher.chunks=2", "optimizer.betas=[0.9,0.99]"]
    words += ['hydra.sweeper.constraints=["val/acc >= .6"]', "module._target_=null", "hydra.sweeper.enqueue=[]"]
    check_words(words, HERE)


def test_flags_choose_a_config_by_its_name_only():
    check_flags(["--config-name", "mine", "-cn=other"], HERE)
    for flags in (["--config-dir", "/theirs"], ["--config-name=../x"], ["--config-path=x"], ["-cn", "a", "-cd", "b"]):
        with pytest.raises(Untrusted, match="--trust"):
            check_flags(flags, HERE)
