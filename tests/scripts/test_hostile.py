"""No script builds, runs or contacts what only a foreign directory names."""

import shutil

import pytest

from neuronsweep.runs import contents, files
from neuronsweep.runs.run import COMPLETE, Run
from tests.commands import run as run_command

QUICK = ("data=line", "epochs=3", "log_points=2", "logger=none")

# Anything that is imported from here leaves a mark where the command runs.
EVIL = """
import pathlib
pathlib.Path("ran").touch()
def call(*arguments, **keys):
    pass
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run and a sweep of two; not to be changed."""
    directory = tmp_path_factory.mktemp("trained")
    for words in (("hydra.run.dir=run",), ("-m", "seed=0,1", "hydra.sweep.dir=sweep", "~hydra.callbacks.report")):
        done = run_command("train.py", *words, *QUICK, cwd=directory)
        assert done.returncode == 0, done.stderr
    return directory


@pytest.fixture
def theirs(trained, tmp_path):
    for name in ("run", "sweep"):
        shutil.copytree(trained / name, tmp_path / name)
    (tmp_path / "evil.py").write_text(EVIL)
    return tmp_path


def record(run, **nodes) -> None:
    """Change the config of a record as somebody would who wants nobody to see it."""
    found = files.read_json(run / contents.RECORD)
    for key, node in nodes.items():
        found["config"][key] = {**found["config"][key], **node}
    files.write_json(run / contents.RECORD, found)
    Run(run).end(COMPLETE, 1.0)


SCRIPTS = {
    "report": ["sweep"],
    "collect": ["all", "sweep"],
    "replay": ["run"],
    "replay a sweep": ["sweep"],
    "predict": ["run", "--x", "1"],
    "export": ["run", "--to", "formula"],
    "resume": ["run"],
}


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("target", ["evil.call", "neuronsweep.cli.become", "neuronsweep.analysis.fit.np.load"])
def test_a_record_that_names_anything_else_is_refused(command, theirs, script, target):
    for run in ("run", "sweep/0000", "sweep/0001"):
        record(theirs / run, data={"_target_": target, "file": "victim"})
    done = command(f"scripts/{script.split()[0]}.py", *SCRIPTS[script], PYTHONPATH=str(theirs))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stdout + done.stderr
    assert f"names data._target_={target}" in done.stderr
    assert "--trust allows it" in done.stderr
    assert not (theirs / "ran").exists()
    assert not (theirs / "all").exists()
    assert not (theirs / "run" / ".lock").exists()


@pytest.mark.parametrize("script", ["report", "collect", "replay a sweep", "resume a sweep"])
@pytest.mark.parametrize(
    ("key", "word"),
    [
        ("overrides", "module._target_=evil.call"),
        ("overrides", "--config-dir=theirs"),
        ("hydra_overrides", "+hydra.callbacks.x={_target_: evil.call}"),
        ("hydra_overrides", "hydra.sweeper.storage=postgresql+psycopg://127.0.0.1:1/theirs"),
        ("config_words", "--config-dir=theirs"),
    ],
)
def test_words_of_a_sweep_that_do_more_are_refused(command, theirs, script, key, word):
    sweep = theirs / "sweep" / contents.SWEEP
    found = files.read_json(sweep)
    files.write_json(sweep, {**found, key: [*found[key], word]})
    words = {**SCRIPTS, "resume a sweep": ["sweep"]}[script]
    environment = {"PYTHONPATH": str(theirs), "NEURONSWEEP_STORAGE_PASSWORD": "secret"}
    done = command(f"scripts/{script.split()[0]}.py", *words, **environment)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stdout + done.stderr
    assert word in done.stderr
    assert "--trust allows it" in done.stderr
    assert not (theirs / "ran").exists()


def test_a_sweep_that_goes_on_does_not_build_what_a_run_there_names(command, theirs):
    """Fingerprint and seal are right, as somebody can make them: the record alone is another."""
    record(theirs / "sweep" / "0001", data={"_target_": "evil.call"})
    words = ("-m", "seed=0,1", "hydra.sweep.dir=sweep", *QUICK)
    done = command("train.py", *words, report=True, PYTHONPATH=str(theirs))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stdout + done.stderr
    assert "names data._target_=evil.call" in done.stderr
    record(theirs / "sweep" / "0001", data={"_target_": "neuronsweep.data.curves.quadratic"})
    done = command("train.py", *words, report=True)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stdout + done.stderr
    assert "data._target_ was neuronsweep.data.curves.quadratic" in done.stderr


def test_no_record_and_no_description_is_one_line(command, theirs):
    """Of another program, or half of one."""
    files.write_json(theirs / "run" / contents.RECORD, {"config": {"data": 1}})
    Run(theirs / "run").end(COMPLETE, 1.0)
    for words in (["predict", "run", "--x", "1"], ["replay", "run"], ["resume", "run"]):
        done = command(f"scripts/{words[0]}.py", *words[1:])
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert "record.json is damaged" in done.stderr
    found = files.read_json(theirs / "sweep" / contents.SWEEP)
    files.write_json(theirs / "sweep" / contents.SWEEP, {**found, "overrides": [1]})
    for words in (["report", "sweep"], ["collect", "all", "sweep"], ["replay", "sweep"], ["resume", "sweep"]):
        done = command(f"scripts/{words[0]}.py", *words[1:])
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert "its overrides are not a list of words" in done.stderr
