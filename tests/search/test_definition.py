"""Searches as a user types them: equal, resumable, pruned, with several objectives, and refused in one line."""

import csv
import json
import os
import shutil

import optuna
import pytest
import yaml
from hydra import initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.types import HydraContext, RunMode
from optuna.trial import TrialState

from neuronsweep.config.check import register
from neuronsweep.errors import UserError
from neuronsweep.runs import contents
from neuronsweep.runs.run import PRUNED, Run
from neuronsweep.runs.sweep import run_directory
from neuronsweep.search import begin as begin_search
from neuronsweep.search import objectives as goals
from neuronsweep.search.definition import Search
from neuronsweep.search.storage import open_storage
from tests.commands import NO_REPORT, ROOT, Script, run, run_fresh, wait_until

QUICK = ("-m", "sweep=optuna", "data=moons", "epochs=27", "log_points=9", "logger=none", NO_REPORT)
HYPERBAND = (*QUICK, "hydra.sweeper.n_trials=20", "hydra.sweeper.batch=10", "hydra.sweeper.pruner=hyperband")


def rows(sweep):
    table = csv.DictReader((sweep / contents.RESULTS).read_text().splitlines())
    return [{key: value for key, value in row.items() if key != "seconds"} for row in table]


def trials(sweep):
    open_storage.cache_clear()
    return optuna.load_study(study_name="sweep", storage=open_storage(str(sweep / contents.JOURNAL))).trials


def told(sweep):
    """Everything of the trials that does not depend on where and when they were trained."""
    return [(t.number, t.state, t.values, t.params, t.intermediate_values) for t in trials(sweep)]


def found(sweep):
    return yaml.safe_load((sweep / contents.SEARCH).read_text())


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A search with pruning that nobody interrupts."""
    directory = tmp_path_factory.mktemp("whole")
    done = run("train.py", *HYPERBAND, "hydra.sweep.dir=sweep", cwd=directory)
    assert done.returncode == 0, done.stderr
    return directory / "sweep", done.stdout


def test_a_search_keeps_what_it_found(whole):
    sweep, out = whole
    table, known, result = rows(sweep), trials(sweep), found(sweep)
    assert list(table[0])[:6] == ["run", "state", "model.hidden", "model.depth", "model.act", "optimizer.lr"]
    assert [row["directory"] for row in table] == [f"{number:04d}" for number in range(20)]
    assert [row["state"] for row in table] == [trial.state.name for trial in known]
    states = {state: sum(row["state"] == state for row in table) for state in ("COMPLETE", "PRUNED")}
    assert result["states"] == states
    assert min(states.values()) > 0
    values = {trial.number: trial.value for trial in known if trial.state == TrialState.COMPLETE}
    best = min(values, key=values.__getitem__)
    assert (result["best_trial"], result["best_value"]) == (best, values[best])
    assert result["best_params"] == known[best].params
    assert set(result["importances"]["val/loss"]) == {"ped_anova", "fanova"}
    assert set(result["importances"]["val/loss"]["fanova"]) == set(known[best].params)
    for line in (f"best: #{best}, ", f"train it again: {result['command']}", f"{states['PRUNED']} PRUNED"):
        assert line in out
    description = json.loads((sweep / contents.SWEEP).read_text())
    assert (description["state"], description["trials"]) == ("COMPLETE", 20)


def test_a_pruned_run_has_its_history_and_no_result(whole):
    sweep, _ = whole
    pruned = next(trial for trial in trials(sweep) if trial.state == TrialState.PRUNED)
    run = run_directory(sweep, pruned.number)
    assert Run(run).verified()["state"] == PRUNED
    assert not (run / contents.METRICS).exists()
    history = Run(run).history()
    assert {epoch: row["val/loss"] for epoch, row in history} == pruned.intermediate_values
    assert pruned.value == history[-1][1]["val/loss"]
    assert history[-1][0] < 27
    assert pruned.user_attrs["fingerprint"] == Run(run).status()["fingerprint"]


def test_the_best_is_trained_again_by_the_command_that_is_told(whole, command, tmp_path):
    words = found(whole[0])["command"].split()[2:]
    done = command("train.py", *words, "hydra.run.dir=best")
    assert done.returncode == 0, done.stderr
    value = Run(tmp_path / "best").metrics()["val/loss"]
    assert value == pytest.approx(found(whole[0])["best_value"], rel=1e-3)


def test_equal_commands_find_the_same_however_they_are_trained(whole, command, tmp_path):
    done = command("train.py", *HYPERBAND, "hydra.sweep.dir=sweep", "engine.threads=3")
    assert done.returncode == 0, done.stderr
    assert rows(tmp_path / "sweep") == rows(whole[0])
    assert told(tmp_path / "sweep") == told(whole[0])


def test_a_killed_search_goes_on_to_the_same_result(whole, command, tmp_path):
    """Killed in its second batch, and once more when that is told in part."""
    sweep = tmp_path / "sweep"
    for number in (3, 12):
        process = Script("train.py", *HYPERBAND, "hydra.sweep.dir=sweep", cwd=tmp_path)
        wait_until((run_directory(sweep, number) / contents.HISTORY).exists, process)
        process.kill()
        process.communicate(timeout=20)
        assert not (sweep / contents.SEARCH).exists()
    done = command("scripts/resume.py", "sweep")
    assert done.returncode == 0, done.stderr
    assert told(sweep) == told(whole[0])
    assert rows(sweep) == rows(whole[0])
    again = command("train.py", *HYPERBAND, "hydra.sweep.dir=sweep")
    assert again.returncode == 0
    assert told(sweep) == told(whole[0])


def test_a_search_is_completed_to_a_larger_total_and_never_changed_in_kind(whole, command, tmp_path):
    sweep = tmp_path / "sweep"
    shutil.copytree(whole[0], sweep)
    files = {path: path.stat().st_mtime_ns for path in sweep.glob("*/*")}
    longer = [word.replace("n_trials=20", "n_trials=24") for word in HYPERBAND]
    done = command("train.py", *longer, "hydra.sweep.dir=sweep")
    assert done.returncode == 0, done.stderr
    assert told(sweep)[:20] == told(whole[0])
    assert [row["run"] for row in rows(sweep)] == [str(number) for number in range(24)]
    assert {path: path.stat().st_mtime_ns for path in files} == files
    for words, message in [
        ((*longer, "model.depth=range(1,9)"), "it contains another search, whose space was"),
        ((*longer, "objective.metric=train/loss"), "whose objectives was"),
        ((*longer, "batch_size=32"), 'whose batch_size was "full"'),
        ((*longer, 'hydra.sweeper.constraints=["params <= 100"]'), "whose constraints was"),
        ((*longer, "hydra.sweeper.study_name=other"), "whose study is sweep in optuna.journal"),
        (("-m", "seed=0,1"), "it contains a search"),
    ]:
        refused = command("train.py", *words, "hydra.sweep.dir=sweep")
        assert (refused.returncode, refused.stderr.count("\n")) == (2, 1), refused.stderr
        assert message in refused.stderr


def test_a_told_run_that_is_damaged_or_gone_is_trained_again_to_the_same_bits(whole, command, tmp_path):
    sweep = tmp_path / "sweep"
    shutil.copytree(whole[0], sweep)
    pruned = next(trial.number for trial in trials(sweep) if trial.state == TrialState.PRUNED)
    complete = next(trial.number for trial in trials(sweep) if trial.state == TrialState.COMPLETE)
    Run(run_directory(sweep, complete)).discard()
    history = run_directory(sweep, pruned) / contents.HISTORY
    history.write_text(history.read_text() + "1\n")
    done = command("scripts/resume.py", "sweep")
    assert done.returncode == 0, done.stderr
    assert f"#{complete} is trained again: sweep/{complete:04d} is gone" in done.stdout
    assert f"#{pruned} is trained again: sweep/{pruned:04d}/history.csv is damaged" in done.stdout
    assert rows(sweep) == rows(whole[0])
    for number in (complete, pruned):
        names = [run_directory(found, number) / contents.HISTORY for found in (sweep, whole[0])]
        assert names[0].read_bytes() == names[1].read_bytes()


def test_several_objectives_have_a_front(command, tmp_path):
    objectives = "hydra.sweeper.objectives=[{metric: val/loss, mode: min}, {metric: params, mode: min}]"
    done = command(
        "train.py",
        *(*QUICK, objectives, "hydra.sweeper.n_trials=20", "hydra.sweeper.sampler=nsgaii", "hydra.sweep.dir=sweep"),
        *("hydra.sweeper.pruner=median", "hydra.sweeper.prune_on=val/loss", "hydra.sweeper.batch=10"),
        'hydra.sweeper.constraints=["params <= 2000"]',
    )
    assert done.returncode == 0, done.stderr
    known, result = trials(tmp_path / "sweep"), found(tmp_path / "sweep")
    complete = [trial for trial in known if trial.state == TrialState.COMPLETE]
    small = [trial for trial in complete if trial.values[1] <= 2000]
    assert len(small) < len(complete) or len(complete) < 20
    expected = [
        trial.number
        for trial in small
        if not any(
            all(a <= b for a, b in zip(other.values, trial.values, strict=True)) and other.values != trial.values
            for other in small
        )
    ]
    assert sorted(entry["trial"] for entry in result["front"]) == sorted(expected)
    assert all(entry["values"]["params"] <= 2000 for entry in result["front"])
    assert set(result["importances"]) == {"val/loss", "params"}
    assert f"the front has {len(expected)} trials" in done.stdout
    pruned = [trial for trial in known if trial.state == TrialState.PRUNED]
    assert all(trial.intermediate_values for trial in pruned)


def test_runs_that_diverge_fail_and_the_best_is_finite(command, tmp_path):
    words = ("optimizer=sgd", "optimizer.lr=tag(log,interval(1e-2,1e6))", "hydra.sweeper.n_trials=16")
    done = command("train.py", *QUICK, *words, "hydra.sweep.dir=sweep")
    assert done.returncode == 1
    known, result = trials(tmp_path / "sweep"), found(tmp_path / "sweep")
    failed = [trial for trial in known if trial.state == TrialState.FAIL]
    assert len(failed) == result["states"]["FAIL"] > 0
    assert all("train/loss is" in trial.user_attrs["error"] and trial.values is None for trial in failed)
    assert 0 < result["best_value"] < 1e9
    assert f"{len(failed)} of 16 runs did not complete" in done.stderr
    refused = command("scripts/resume.py", "sweep", "--retry-failed")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "raise n_trials" in refused.stderr


def test_equal_parameters_are_trained_once(command, tmp_path):
    space = ("model.hidden=2,4", *(f"hydra.sweeper.params.{key}=null" for key in ("model.depth", "model.act")))
    options = ("hydra.sweeper.params.optimizer=null", "hydra.sweeper.sampler=random", "hydra.sweeper.n_trials=7")
    enqueued = "hydra.sweeper.enqueue=[{model.hidden: 4}]"
    done = command("train.py", *QUICK, *space, *options, enqueued, "hydra.sweeper.batch=3", "hydra.sweep.dir=sweep")
    assert done.returncode == 0, done.stderr
    known = trials(tmp_path / "sweep")
    assert known[0].params == {"model.hidden": 4}
    first: dict[int, int] = {}
    for trial in known:
        original = known[first.setdefault(trial.params["model.hidden"], trial.number)]
        assert trial.value == original.value
        assert trial.user_attrs.get("duplicate_of", trial.number) == original.number
    assert [int(row["run"]) for row in rows(tmp_path / "sweep")] == sorted(first.values())
    assert "5 repeated an earlier trial" in done.stdout


def test_workers_train_every_trial_once(command, tmp_path):
    words = ("epochs=5", "hydra.sweeper.n_trials=16", "hydra.sweeper.workers=3", "hydra.sweeper.batch=1")
    done = command("train.py", *QUICK, *words, "hydra.sweep.dir=sweep")
    assert done.returncode == 0, done.stderr
    assert "died" not in done.stdout + done.stderr
    assert [trial.state for trial in trials(tmp_path / "sweep")] == [TrialState.COMPLETE] * 16
    logs = [json.loads(line) for line in (tmp_path / "sweep" / contents.JOURNAL).read_text().splitlines()]
    owners = [log["trial_id"] for log in logs if log.get("user_attr", {}).get("owner")]
    assert sorted(owners) == list(range(16))


def test_trials_that_no_run_can_have_fail_and_the_status_says_so(command, tmp_path):
    space = ("model.norm=none,batch", "batch_size=full,1", "hydra.sweeper.sampler=random", "hydra.sweeper.n_trials=6")
    impossible = "hydra.sweeper.enqueue=[{model.norm: batch, batch_size: 1}]"
    done = command("train.py", *QUICK, *space, impossible, "hydra.sweep.dir=sweep")
    failed = [trial for trial in trials(tmp_path / "sweep") if trial.state == TrialState.FAIL]
    assert done.returncode == 1
    assert failed[0].number == 0
    assert f"{len(failed)} of 6 runs did not complete" in done.stderr
    assert all("batch" in trial.user_attrs["error"] for trial in failed)


def test_lightning_runs_are_pruned_too(command, tmp_path):
    words = ("hydra/launcher=basic", "hydra.sweeper.n_trials=8", "hydra.sweeper.pruner=hyperband")
    done = command("train.py", *QUICK, *words, "hydra.sweep.dir=sweep")
    assert done.returncode == 0, done.stderr
    sweep = tmp_path / "sweep"
    known = trials(sweep)
    pruned = [trial for trial in known if trial.state == TrialState.PRUNED]
    assert 0 < len(pruned) < 8
    for trial in pruned:
        run = run_directory(sweep, trial.number)
        assert Run(run).verified()["engine"] == "lightning"
        history = Run(run).history()
        assert trial.value == history[-1][1]["val/loss"]
        assert len(history) < 9
        assert f"#{trial.number} " in done.stdout
    assert done.stdout.count("PRUNED") == len(pruned) + 1
    again = run_directory(sweep, pruned[0].number)
    before = (again / contents.HISTORY).read_bytes()
    Run(again).discard()
    assert command("scripts/resume.py", "sweep").returncode == 0
    assert (Run(again).status()["state"], (again / contents.HISTORY).read_bytes()) == (PRUNED, before)


def test_the_mode_of_an_objective_is_that_of_its_metric(loader):
    several = "hydra.sweeper.objectives=[{metric: val/acc}, {metric: params}, {metric: optimum/ratio}]"
    pruned = ("hydra.sweeper.pruner=median", "hydra.sweeper.prune_on=train/acc")
    one = search(loader, several, *pruned)
    one.check()
    assert one.goals.objectives == (("val/acc", "max"), ("params", "min"), ("optimum/ratio", "min"))
    assert one.goals.prune_on == ("train/acc", "max")
    assert search(loader, "objective.metric=val/auroc").goals.objectives == (("val/auroc", "max"),)
    # as sweep.json of an earlier time has it
    recorded = goals.recorded({"objectives": [["val/acc", "min"], ["kinks", "max"]], "constraints": []})
    assert recorded.objectives == (("val/acc", "max"), ("kinks", "max"))


# refused in one line -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def loader():
    register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        yield GlobalHydra.instance().config_loader()


def search(loader, *words) -> Search:
    words = ("sweep=optuna", "data=moons", *words)
    config = loader.load_configuration("train", list(words), run_mode=RunMode.MULTIRUN)
    arguments = [word for word in words if not word.startswith(("hydra.", "hydra/"))]
    config.hydra.runtime.choices["hydra/launcher"] = next(
        (word.split("=")[1] for word in words if word.startswith("hydra/launcher=")), "native"
    )
    return Search(HydraContext(loader, Callbacks()), config, lambda cfg: None, arguments)


SEVERAL = "hydra.sweeper.objectives=[{metric: val/loss, mode: min}, {metric: params, mode: min}]"
REFUSED = {
    ("hydra/sweeper=optuna", "sweep=grid"): "the space of the search is empty",
    ("model.hidden=8",): "model.hidden is searched for",
    ("optimizer.lr=interval(1,0.1)",): "low must not be greater than high",
    ("optimizer.lr=tag(log,interval(0,1))",): "low > 0",
    ("optimizer.lr=interval(-1,1)",): r"optimizer.lr=-1.0 is not allowed: optimizer.lr is a finite number > 0",
    ("model.act=relu,rleu",): "did you mean relu",
    ("hydra.sweeper.n_trials=0",): r"hydra.sweeper.n_trials=0 is not allowed: .* a whole number >= 1",
    ("hydra.sweeper.sampler=tpee",): "did you mean tpe",
    ("hydra.sweeper.pruner=hyperbnd",): "did you mean hyperband",
    ("hydra.sweeper.sampler_options={startup: 3}",): "sampler=tpe has",
    ("hydra.sweeper.pruner=median", "hydra.sweeper.pruner_options={warmup: 3}"): "pruner=median has",
    ("hydra.sweeper.objectives=[{metric: val/los, mode: min}]",): "did you mean val/loss",
    ("hydra.sweeper.objectives=[{metric: val/loss, mode: least}]",): "mode=least is not allowed: it is min or max",
    ("hydra.sweeper.objectives=[{metric: val/acc, mode: min}]",): "val/acc, of which more is better: its mode is max",
    ("module._target_=mine.Huber,null",): "module._target_ is not allowed in the space of a search for val/loss",
    ("loss=mse,huber",): "loss is not allowed in the space of a search for val/loss",
    ("hydra.sweeper.objectives=[{metric: dead}]",): "mode must be given with dead",
    ("hydra.sweeper.pruner=median", "objective.metric=optimum/loss"): "where only loss and acc are",
    ("hydra.sweeper.objectives=[{metric: params}, {metric: params}]",): "twice",
    ('hydra.sweeper.constraints=["parms <= 3"]',): "did you mean params",
    ('hydra.sweeper.constraints=["params < 3"]',): "METRIC <= NUMBER",
    ("hydra.sweeper.pruner=median", SEVERAL): "prune_on must name",
    ("hydra.sweeper.pruner=median", "objective.metric=val/auroc"): "where only loss and acc are",
    ("hydra.sweeper.pruner=median", "hydra.sweeper.prune_on=vl/loss"): "did you mean val/loss",
    ("hydra.sweeper.sampler=cmaes", SEVERAL): "cmaes is not allowed with several objectives",
    ("hydra.sweeper.sampler=grid",): "choices and ranges only",
    ("hydra.sweeper.enqueue=[{model.depth: 9}]",): "1..3",
    ("hydra.sweeper.enqueue=[8]",): "a list of",
    ("hydra.sweeper.n_trials=1", "hydra.sweeper.enqueue=[{model.depth: 1}, {model.depth: 2}]"): "alone has 2",
    ("hydra.sweeper.workers=2", "hydra/launcher=basic"): "workers are processes of",
    ("hydra.sweeper.space=nowhere.at_all",): "No module",
    ("hydra.sweeper.storage=nosuchdb://me@host/db",): "cannot be reached",
    ("trainer.devices=2",): "trainer=ddp",
    ("hydra/launcher=ray", "hydra.sweeper.pruner=median"): "pruner=median is not allowed with hydra/launcher=ray",
    ("hydra.sweeper.prune_on=val/loss",): "prune_on is not allowed with hydra.sweeper.pruner=none",
    ("hydra.sweeper.objectives=[{metric: kinks}]",): "with the metric kinks",
    ("hydra.sweeper.sampler_options={n_startup_trials: x}",): "sampler_options is not allowed for sampler=tpe",
    ("hydra.sweeper.sampler_options={gamma: 3}",): "sampler_options is not allowed for sampler=tpe",
    (
        "hydra.sweeper.pruner=hyperband",
        "hydra.sweeper.pruner_options={reduction_factor: 1}",
    ): "pruner_options is not allowed",
    ("model.act=glob(*)",): "nothing to choose from",
    (
        "hydra.sweeper.space=spaces.wide",
        "model.hidden=7",
    ): "model.hidden=7 is not allowed: model.hidden is searched for",
    ("hydra.sweeper.space=spaces.wide", "model.hidden=choice(2,3)"): "suggested as 2, 3 and as 10..20",
    ("hydra.sweeper.space=spaces.ends",): "spaces.ends raised SystemExit",
    ("hydra.sweeper.space=broken.space",): "SyntaxError",
    ("hydra.sweeper.space=spaces.wide", "hydra.sweeper.enqueue=[{model.hidden: 8}]"): "model.hidden=8 is not in 10..20",
}


SPACES = """
def wide(trial):
    trial.suggest_int("model.hidden", 10, 20)

def ends(trial):
    raise SystemExit(3)
"""


@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
def test_what_cannot_be_searched_is_refused_and_nothing_is_written(
    loader, tmp_path, tmp_path_factory, monkeypatch, words
):
    monkeypatch.chdir(tmp_path)
    message = REFUSED[words]
    theirs = tmp_path_factory.mktemp("theirs")
    (theirs / "broken.py").write_text("def space(:")
    (theirs / "spaces.py").write_text(SPACES)
    monkeypatch.syspath_prepend(theirs)
    words = (*(f"hydra.sweeper.params.{key}=null" for key in ("model.hidden",) if "wide" in words[0]), *words)

    def begin():
        one = search(loader, *words)
        one.check()
        begin_search.begin(one)

    with pytest.raises(UserError, match=message):
        begin()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("model.hiden=2,4", "did you mean model.hidden?"),
        ("model.hidden=2,x", "a whole number >= 1"),
        ("hydra.sweeper.n_trial=3", "did you mean hydra.sweeper.n_trials?"),
        ("hydra.sweeper.storage=postgresql+psycopg://me:pass123word@localhost:1/db", "cannot be reached"),
    ],
)
def test_a_mistake_in_a_search_is_one_line(command, tmp_path, words, message):
    done = command("train.py", "-m", "sweep=optuna", *words.split())
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert message in done.stderr
    assert "pass123word" not in done.stdout + done.stderr
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("words", ["--help", "sweep=optuna --cfg job", "-m sweep=optuna model.hidden=8"])
def test_optuna_is_imported_by_searches_only(tmp_path, words):
    (tmp_path / "optuna.py").write_text("raise SystemExit('optuna was imported')")
    done = run_fresh("train.py", *words.split(), cwd=tmp_path, environment={"PYTHONPATH": str(tmp_path)})
    assert "optuna was imported" not in done.stdout + done.stderr
    assert done.returncode in (0, 2)
