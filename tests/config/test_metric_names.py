"""Which way a metric is better, and that everything which ranks, stops, keeps or searches follows it."""

import math

import pytest

from neuronsweep.config import metric_names
from neuronsweep.config.check import check, plain
from neuronsweep.config.metric_names import at_log_points, at_the_end, is_logged, mode_of
from neuronsweep.errors import UserError
from neuronsweep.runs import contents, files
from neuronsweep.runs.run import Run


def test_a_metric_says_itself_which_way_is_better():
    for task, names in metric_names.METRICS.items():
        for name in names:
            assert mode_of(f"val/{name}") == ("min" if name in ("loss", "mae", "rmse", "ece") else "max")
        assert set(at_log_points(["val"], task)) == set(filter(is_logged, at_the_end(["val"], task, "auto")))
    assert [mode_of(name) for name in ("params", "truth/inside", "optimum/loss", "optimum/ratio")] == ["min"] * 4
    assert [mode_of(name) for name in ("dead", "kinks", "slope", "val/mape", "mine")] == [None] * 5


@pytest.mark.parametrize(
    ("metric", "mode"), [("val/loss", "min"), ("val/acc", "max"), ("train/auroc", "max"), ("params", "min")]
)
def test_the_objectives_mode_follows_its_metric(composed, metric, mode):
    cfg = composed("data=moons", f"objective.metric={metric}")
    assert cfg.objective.mode == plain(cfg)["objective"]["mode"] == mode
    assert composed("data=moons", f"objective.metric={metric}", f"objective.mode={mode}") == cfg
    other = "min" if mode == "max" else "max"
    with pytest.raises(
        UserError, match=rf"^objective.mode={other} is not allowed with {metric}, .* its mode is {mode}"
    ):
        composed("data=moons", f"objective.metric={metric}", f"objective.mode={other}")


def test_plateau_follows_and_no_other_mode_of_it_is_allowed(composed):
    words = ("data=moons", "objective.metric=val/acc", "scheduler=plateau")
    assert composed(*words).scheduler.mode == "max"
    with pytest.raises(UserError, match=r"^scheduler.mode=min is not allowed with objective.metric=val/acc"):
        composed(*words, "scheduler.mode=min")
    theirs = composed("data=moons", "objective.metric=val/acc").copy()
    theirs.scheduler = {"_target_": "torch.optim.lr_scheduler.ReduceLROnPlateau"}  # whose default is min
    with pytest.raises(UserError, match=r"^scheduler.mode=min is not allowed"):
        check(theirs)


def test_the_mode_of_a_metric_that_nobody_knows_is_named(composed):
    for words, metric in [(("module._target_=mine.Mine",), "val/mape"), ((), "kinks")]:
        with pytest.raises(UserError, match=f"^objective.mode must be given with {metric}"):
            composed(*words, f"objective.metric={metric}")
        assert composed(*words, f"objective.metric={metric}", "objective.mode=max").objective.mode == "max"
    with pytest.raises(UserError, match=r"^objective.mode=mx is not allowed: it is min or max; did you mean max\?"):
        composed("objective.mode=mx")


def test_the_best_weights_are_those_of_the_greatest_accuracy(alone):
    words = ("data=moons", "epochs=20", "log_points=5", "logger=none", "trainer.keep=best")
    run = alone(*words, "objective.metric=val/acc")
    history = [row["val/acc"] for _, row in Run(run).history()]
    assert Run(run).metrics()["val/acc"] == max(history) > min(history)


def test_the_highest_accuracy_is_ranked_first_and_named_best(command, tmp_path):
    words = ("data=moons", "objective.metric=val/acc", "model.hidden=2,8,32", "epochs=20", "log_points=5")
    done = command("train.py", "-m", *words, "logger=none", "hydra.sweep.dir=sweep", report=True)
    assert done.returncode == 0, done.stderr
    table = done.stdout[done.stdout.index("rank ") :].splitlines()[1:4]
    ranked = [float(line.split()[-1]) for line in table]
    assert ranked == sorted(ranked, reverse=True)
    assert ranked[0] > ranked[-1]
    best = table[0].split()[1]
    answer = (tmp_path / "sweep" / "report.md").read_text()
    assert f"model.hidden={best}" in answer.split("|")[0]
    sweep = tmp_path / "sweep" / contents.SWEEP
    description = files.read_json(sweep)
    assert description["objective"] == {"metric": "val/acc", "mode": "max"}
    # a directory of a time when the mode was another one
    files.write_json(sweep, {**description, "objective": {"metric": "val/acc", "mode": "min"}})
    done = command("scripts/report.py", "sweep")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "sweep" / "report.md").read_text() == answer


def test_a_network_has_no_metric_that_is_not_listed(composed):
    from hydra.utils import instantiate

    from neuronsweep.analysis.fit import analyse
    from neuronsweep.models.mlp import MLP

    for words in (("data=moons",), ("data=sine", "model.hidden=2"), ("model.depth=0",), ("data=line", "model.depth=0")):
        cfg = composed(*words)
        dataset = instantiate(cfg.data)
        found = analyse(MLP(dataset.inputs, dataset.outputs, **cfg.model), dataset)
        assert found.keys() <= set(metric_names.FOUND[dataset.task])
        assert all(map(math.isfinite, found.values()))
