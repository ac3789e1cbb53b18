"""Trials with a run for every fold: their numbers, their mean, what a pruner reads, and what is refused."""

import csv
import statistics

import pytest
import yaml
from hydra.core.plugins import Plugins
from optuna.trial import TrialState

from neuronsweep.errors import UserError
from neuronsweep.launch.train_members import _report
from neuronsweep.report.data.search import search_of
from neuronsweep.report.data.sweep import read as read_sweep
from neuronsweep.report.data.trials import complete_trials
from neuronsweep.report.text.answer import sentences
from neuronsweep.search.outcomes import of_trial
from neuronsweep.search.replicates import Replicates, read


@pytest.fixture(scope="module")
def loader():
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra._internal.config_search_path_impl import ConfigSearchPathImpl

    Plugins.instance()
    return ConfigLoaderImpl(ConfigSearchPathImpl())


def test_a_trial_has_a_run_for_every_value(loader):
    found = read(loader, "data.fold=range(3)", ["data=iris", "model.hidden"])
    assert found.words == ("data.fold=0", "data.fold=1", "data.fold=2")
    assert list(found.runs(2)) == [6, 7, 8]
    assert found.jobs({1: ["a=1"], 4: ["a=2"]}) == {
        **{3 + i: ["a=1", f"data.fold={i}"] for i in range(3)},
        **{12 + i: ["a=2", f"data.fold={i}"] for i in range(3)},
    }
    assert read(loader, "seed=7,9", []).words == ("seed=7", "seed=9")
    one = read(loader, None, [])
    assert (one, one.count, list(one.runs(5)), one.jobs({5: ["a=1"]})) == (Replicates(), 1, [5], {5: ["a=1"]})


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("model.hidden=2,8", []),
        ("data.fold=3", []),
        ("data.fold=interval(0,1)", []),
        ("data.fold=shuffle(range(3))", []),
        ("data.fold=range(0)", []),
        ("data.fold", []),
        ("data.fold=range(", []),
        ("data.fold=range(3)", ["data.fold=1"]),
        ("seed=0,1", ["seed"]),
    ],
)
def test_what_is_no_list_of_replicates_is_refused(loader, text, taken):
    with pytest.raises(UserError, match=r"^hydra\.sweeper\.replicates=") as error:
        read(loader, text, taken)
    assert "\n" not in str(error.value)


class Pruner:
    """Keeps what it is told, and stops trial 1."""

    metric, replicates = "val/loss", 2

    def __init__(self):
        self.told = []

    def report(self, number, epoch, value):
        self.told.append((number, epoch, value))
        return number == 1

    def publish(self):
        raise AssertionError("nobody else trains")


def test_a_pruner_reads_the_mean_of_a_trials_runs():
    pruner = Pruner()
    assert _report(pruner, [(5, 2, 1.0), (5, 1, 4.0), (5, 0, 2.0), (10, 3, 7.0)]) == {1}
    assert pruner.told == [(0, 5, 3.0), (1, 5, 1.0), (1, 10, 7.0)]


def test_a_trial_is_complete_when_all_of_its_runs_are():
    rows = [
        {"run": i, "state": state, "data.fold": str(i % 2), "model.hidden": "8", "val/loss": float(i)}
        for i, state in enumerate(["COMPLETE", "COMPLETE", "COMPLETE", "PRUNED"])
    ]
    (found,) = complete_trials(rows, 2)
    assert found == {"trial": 0, "run": 0, "state": "COMPLETE", "model.hidden": "8", "val/loss": 0.5}
    assert complete_trials(rows, 1) == rows[:3]


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    from tests.commands import NO_REPORT, run

    directory = tmp_path_factory.mktemp("folds") / "sweep"
    words: tuple[str, ...] = (
        "sweep=optuna",
        "data=iris",
        "data.folds=3",
        'hydra.sweeper.replicates="data.fold=range(3)"',
    )
    words = (*words, "hydra.sweeper.n_trials=8", "hydra.sweeper.batch=2", "hydra.sweeper.pruner=percentile")
    words = (*words, "hydra.sweeper.pruner_options={percentile: 10.0, n_startup_trials: 2}", "epochs=40")
    space = ("model.hidden=choice(1,4,8)", "optimizer.lr=tag(log,interval(1e-4,1e-1))", "log_points=4", "logger=none")
    done = run("train.py", "-m", *words, *space, NO_REPORT, f"hydra.sweep.dir={directory}", cwd=directory.parent)
    assert done.returncode == 0, done.stderr
    return directory


def test_a_trial_comes_to_the_mean_of_its_folds(searched):
    found = yaml.safe_load((searched / "optimization_results.yaml").read_text())
    assert found["n_trials"] == 8
    assert found["states"].keys() == {"COMPLETE", "PRUNED"}
    rows = list(csv.DictReader((searched / "results.csv").read_text().splitlines()))
    assert len(rows) == 24
    assert [row["data.fold"] for row in rows] == ["0", "1", "2"] * 8
    for entry in found["ranking"]:
        own = rows[3 * entry["trial"] : 3 * entry["trial"] + 3]
        assert {row["state"] for row in own} == {"COMPLETE"}
        assert len({(row["model.hidden"], row["optimizer.lr"]) for row in own}) == 1
        mean = statistics.fmean(float(row["val/loss"]) for row in own)
        assert entry["values"]["val/loss"] == pytest.approx(mean, rel=1e-12)
    # those of a pruned trial end together
    for trial in range(8):
        assert len({row["state"] for row in rows[3 * trial : 3 * trial + 3]}) == 1
    assert found["command"].startswith("python train.py -m ")
    assert found["command"].endswith("'data.fold=range(3)'")
    assert found["directory"] == f"{3 * found['best_trial']:04d}"


def test_a_report_ranks_trials_by_their_means(searched):
    found = yaml.safe_load((searched / "optimization_results.yaml").read_text())
    sweep = read_sweep(searched)
    search = search_of(sweep)
    assert search is not None
    assert (search.total, search.replicates, search.best[0]["trial"]) == (8, 3, found["best_trial"])
    assert search.best[0]["val/loss"] == pytest.approx(found["best_value"])
    assert sweep.configurations[0].mean == pytest.approx(found["best_value"])
    assert sweep.configurations[0].splits == 3
    told = " ".join(sentences(sweep, search))
    assert f"trial #{found['best_trial']} model.hidden=" in told
    assert "8 trials of 3 runs: " in told
    goals = search.goals
    runs = [searched / f"{3 * found['best_trial'] + i:04d}" for i in range(3)]
    mean, failed = of_trial(runs, goals), of_trial([*runs, searched / "9999"], goals)
    assert mean is not None
    assert failed is not None
    assert mean.values == [pytest.approx(found["best_value"])]
    assert failed.state == TrialState.FAIL
