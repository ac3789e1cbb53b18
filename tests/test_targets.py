"""What a directory of somebody else's may make a command do unasked: nothing but the packages it is made of."""

import pytest

from neuronsweep.errors import UserError
from neuronsweep.targets import check_targets, check_words


@pytest.mark.parametrize(
    "value",
    [
        {"module": {"_target_": "os.system"}},
        {"logger": {"a": [{"_target_": "logging.FileHandler", "filename": "victim"}]}},
        {"data": {"_target_": "neuronsweep.record.subprocess.run"}},
        {"data": {"_target_": "neuronsweepish.data"}},
        {"logger": "${oc.create:{_target_: os.system}}"},
    ],
)
def test_strangers_are_refused_wherever_they_stand(value):
    with pytest.raises(UserError, match="--trust runs it all the same"):
        check_targets({"seed": 0, **value})


def test_what_runs_are_made_of_is_built():
    check_targets(
        {
            "data": {"_target_": "neuronsweep.data.curves.sine"},
            "optimizer": {"_target_": "torch.optim.Adam", "betas": [0.9, 0.999]},
            "scheduler": {"_target_": "torch.optim.lr_scheduler.StepLR"},
            "logger": {"_target_": "lightning.pytorch.loggers.TensorBoardLogger"},
            "module": {"_target_": None},
        }
    )


@pytest.mark.parametrize(
    "word",
    [
        "+hydra.callbacks.x={_target_:logging.FileHandler,filename:victim,mode:w}",
        "hydra.searchpath=[file:///tmp]",
        "module._target_=mymod.Mine",
        "module._target_=neuronsweep.models.modules.RegressionModule,os.system",
        "+logger.a={_target_: os.system}",
        "seed=${oc.env:SEED}",
    ],
)
def test_overrides_that_do_more_than_a_sweep_needs_are_refused(word):
    with pytest.raises(UserError, match="--trust runs it all the same"):
        check_words(["seed=0,1", word])


def test_overrides_of_sweeps_are_run():
    words = ["model.hidden=2,8", "seed=range(64)", "hydra/launcher=basic", "hydra.sweeper.n_trials=20"]
    check_words([*words, "hydra.mode=MULTIRUN", "~hydra.callbacks.report", "optimizer._target_=torch.optim.SGD"])
