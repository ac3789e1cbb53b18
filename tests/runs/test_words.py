"""Every launcher trains a job with the config that was composed, in every directory, also after a resume."""

import json
import os
import shlex
from pathlib import Path

import pytest

from neuronsweep.runs import contents
from neuronsweep.runs.words import absolute, anywhere, train_command
from tests.commands import ROOT

SHORT = ("epochs=4", "log_points=2")
CSV = "_target_: lightning.pytorch.loggers.CSVLogger\nsave_dir: {}\n"


@pytest.fixture
def mine(tmp_path) -> Path:
    """A directory of configs of somebody's own, in a path with a blank and a letter that is not ASCII."""
    files = {
        "mine.yaml": "defaults:\n  - train\n  - _self_\nseed: 7\n",
        "data/near.yaml": "defaults:\n  - schema_sine\nlow: -1\nhigh: 1\n",
        "experiment/alone.yaml": "# @package _global_\ndefaults:\n  - override /hydra/launcher: basic\n",
        "logger/inside.yaml": CSV.format("${hydra:runtime.output_dir}"),
        "logger/outside.yaml": CSV.format("logs"),
        "sweep/clip.yaml": "# @package _global_\ndefaults:\n  - override /hydra/sweeper: optuna\n"
        "hydra:\n  sweeper:\n    params:\n      trainer.gradient_clip_val: [null, 1.0]\n",
    }
    for name, text in files.items():
        path = tmp_path / "own é" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "own é"


def recorded(run: Path) -> dict:
    return json.loads((run / contents.RECORD).read_text())["config"]


@pytest.mark.parametrize("launcher", ["native", "process", "submitit_local"])
def test_every_launcher_trains_what_was_composed(command, tmp_path, mine, launcher):
    words = ("--config-dir", "own é", "--config-name=mine", "-m", "data=near", "model.hidden=2,3", *SHORT)
    done = command("train.py", *words, f"hydra/launcher={launcher}", "hydra.sweep.dir=s")
    assert done.returncode == 0, done.stderr
    for run in ("0000", "0001"):
        config = recorded(tmp_path / "s" / run)
        assert (config["seed"], config["data"]["low"]) == (7, -1)
    flags = json.loads((tmp_path / "s" / contents.SWEEP).read_text())["config_words"]
    assert flags == ["--config-name", "mine", "--config-dir", str(mine)]


def test_a_config_path_is_kept_by_processes(command, tmp_path):
    conf = tmp_path / "conf"
    conf.mkdir()
    for path in (ROOT / "conf").rglob("*.yaml"):
        copy = conf / path.relative_to(ROOT / "conf")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(path.read_text())
    (conf / "data" / "sine.yaml").write_text("defaults:\n  - schema_sine\n  - _self_\nn: 500\n")
    words = ("-cp", str(conf), "-m", "seed=0,1", *SHORT, "hydra/launcher=process", "hydra.sweep.dir=s")
    done = command("train.py", *words)
    assert done.returncode == 0, done.stderr
    assert [recorded(tmp_path / "s" / run)["data"]["n"] for run in ("0000", "0001")] == [500, 500]


@pytest.mark.parametrize("words", [("seed=1,2", "data.seed=${seed}"), ("seed=shuffle(range(6))",)])
def test_a_resumed_sweep_has_the_recorded_jobs(command, tmp_path, words):
    command("train.py", "-m", *words, *SHORT, "hydra.sweep.dir=s")
    before = json.loads((tmp_path / "s" / contents.SWEEP).read_text())
    assert all(word in before["overrides"] for word in words)
    results = (tmp_path / "s" / contents.RESULTS).read_text()
    done = command("scripts/resume.py", "s")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "s" / contents.SWEEP).read_text())["jobs"] == before["jobs"]
    assert (tmp_path / "s" / contents.RESULTS).read_text() == results
    config = recorded(tmp_path / "s" / "0001")
    assert words[0].startswith("seed=shuffle") or config["data"]["seed"] == config["seed"] == 2


def test_a_value_of_the_environment_may_not_change_within_a_sweep(command, tmp_path):
    words = ("-m", "seed=0,1", "optimizer.lr=${oc.env:RATE}", *SHORT, "hydra.sweep.dir=s")
    assert command("train.py", *words, RATE="0.1").returncode == 0
    assert command("train.py", *words, RATE="0.1").returncode == 0
    done = command("train.py", *words, RATE="0.2")
    assert done.returncode == 2
    assert "optimizer.lr was 0.1 and is 0.2" in done.stderr
    assert "--trust" in command("scripts/resume.py", "s", RATE="0.1").stderr


def test_a_search_goes_on_as_itself_only_from_any_directory(command, tmp_path):
    space = ("hydra/sweeper=optuna", "model.hidden=2,3,4", "hydra.sweeper.n_trials=3", *SHORT)
    words = ("-m", *space, "hydra.sweep.dir=s", "hydra.sweeper.storage=sqlite:///x.db")
    done = command("train.py", *words, "batch_size=${model.hidden}")
    assert done.returncode == 0, done.stderr
    for run in (tmp_path / "s").glob("0*"):
        assert recorded(run)["batch_size"] == recorded(run)["model"]["hidden"]
    for changed, was in (
        (("batch_size=8",), 'whose batch_size was "${model.hidden} = 8"'),
        (("batch_size=${model.hidden}", "hydra.sweeper.sampler=random"), 'whose sampler was "tpe"'),
    ):
        done = command("train.py", *words, *changed)
        assert done.returncode == 2
        assert was in done.stderr
    (tmp_path / "elsewhere").mkdir()
    before = "import os, runpy, sys; os.chdir('elsewhere'); sys.argv = ['resume.py', '../s', '--trust']"
    resume = f"{before}; sys.path[0] = {str(ROOT)!r}"
    script = tmp_path / "from_elsewhere.py"
    script.write_text(f"{resume}; runpy.run_path({str(ROOT / 'scripts' / 'resume.py')!r}, run_name='__main__')\n")
    done = command(str(script))
    assert done.returncode == 0, done.stderr
    assert not list((tmp_path / "elsewhere").iterdir())


def test_an_experiment_chooses_the_launcher_of_a_sweep_but_not_of_one_run(command, tmp_path, mine):
    words = ("--config-dir", "own é", "-m", "seed=0,1", *SHORT)
    assert command("train.py", *words, "experiment=alone", "hydra.sweep.dir=s").returncode == 0
    assert json.loads((tmp_path / "s" / contents.SWEEP).read_text())["launcher"] == "basic"
    done = command("train.py", *words, "experiment=alone,null", "hydra.sweep.dir=t")
    assert done.returncode == 2
    assert "hydra/launcher=basic is not allowed for some runs of a sweep" in done.stderr
    assert not (tmp_path / "t").exists()


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("hydra/sweeper=basic", "hydra/sweeper is grid or optuna"),
        ("hydra.sweep.subdir=h${model.hidden}", "hydra.sweep.subdir=h${model.hidden} is not allowed"),
        ("hydra.sweep.subdir=${hydra.job.num}", "hydra.sweep.subdir=${hydra.job.num} is not allowed"),
        ("hydra.sweep.dir=a/${model.hidden}", "hydra.sweep.dir=a/2 is not allowed: all runs of a sweep are in"),
        ("hydra.job.chdir=true", "hydra.job.chdir=true is not allowed"),
    ],
)
@pytest.mark.parametrize("launcher", ["native", "basic"])
def test_what_hydra_would_do_with_directories_is_refused_before_anything_is_written(
    command, tmp_path, word, message, launcher
):
    done = command("train.py", "-m", "model.hidden=2,3", f"hydra/launcher={launcher}", word)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("logger", ["inside", "outside"])
def test_a_logger_of_ones_own_says_which_run_it_logs(command, tmp_path, mine, logger):
    done = command(
        "train.py", "--config-dir", "own é", "-m", f"logger={logger}", "seed=0,1", *SHORT, "hydra.sweep.dir=s"
    )
    assert done.returncode == 0, done.stderr
    for number in ("0000", "0001"):
        where = Path("s", number) if logger == "inside" else Path("logs")
        name = "-".join([*tmp_path.parts[-1:], "s", number]).replace("[", "-").replace("]", "-")
        found = list((tmp_path / where).rglob("metrics.csv"))
        assert any(path.parent.name.endswith(f"s-{number}") for path in found), name


def test_a_list_with_null_is_searched(command, tmp_path, mine):
    words = ("--config-dir", "own é", "-m", "sweep=clip", "hydra.sweeper.n_trials=4", *SHORT, "hydra.sweep.dir=s")
    done = command("train.py", *words, "hydra.sweeper.sampler=random")
    assert done.returncode == 0, done.stderr
    assert {recorded(run)["trainer"]["gradient_clip_val"] for run in (tmp_path / "s").glob("0*")} == {None, 1.0}
    again = next(line for line in done.stdout.splitlines() if line.startswith("train it again: "))
    assert shlex.split(again)[3:8] == ["python", "train.py", "--config-dir", str(mine), "epochs=4"]


def test_words_mean_the_same_in_another_directory():
    here = os.getcwd()
    assert absolute("sqlite:///x.db") == f"sqlite:///{here}/x.db"
    assert absolute("a journal") == f"{here}/a journal"
    for storage in (None, "sqlite:////x.db", "sqlite:///:memory:", "postgresql+psycopg://user@host/name", "/a/b"):
        assert absolute(storage) == storage
    assert anywhere("hydra.searchpath=[file://a,file:///b]") == f"hydra.searchpath=[file://{here}/a,file:///b]"
    assert anywhere("hydra.sweeper.storage=${oc.env:URL}") == "hydra.sweeper.storage=${oc.env:URL}"
    assert train_command(["seed=1"], {"config_words": ["--config-dir", "a b"]}) == (
        "python train.py --config-dir 'a b' seed=1"
    )
