"""Nothing of somebody else's is removed, replaced or written into, whatever begins anew beside it."""

import ast
import shutil
import sys
from pathlib import Path

import pytest

from neuronsweep.errors import UserError
from neuronsweep.sweeps import contents, ledger
from tests.commands import ROOT

QUICK = ("data=line", "epochs=4", "log_points=2", "logger=tensorboard")
DIVERGES = ("optimizer=sgd", "optimizer.lr=1e9", "data=quadratic")


@pytest.fixture
def elsewhere(tmp_path):
    """A directory elsewhere, to which links lead, and what is in it."""
    directory = tmp_path / "elsewhere"
    directory.mkdir()
    (directory / "thesis.txt").write_text("years of work")
    return directory


def put_foreign(directory: Path, elsewhere: Path) -> None:
    """Something of every kind that no run writes: a file, a directory, links, names that only look like a run's."""
    (directory / "notes.txt").write_text("notes")
    (directory / ".hidden.tmp").write_text("half a thought")
    (directory / "chapters").mkdir()
    (directory / "chapters" / "metrics.json").write_text("{}")
    (directory / "link").symlink_to(elsewhere, target_is_directory=True)
    (directory / "thesis.txt").symlink_to(elsewhere / "thesis.txt")
    (directory / f"{ledger.EVENTS}of-another-program").write_text("events")
    (directory / f"{ledger.EVENTS}1.host.1.0.v2").write_text("events")
    (directory / f"{ledger.EVENTS}1.host.1.0").mkdir()


def check_foreign(directory: Path, elsewhere: Path) -> None:
    assert (directory / "notes.txt").read_text() == "notes"
    assert (directory / ".hidden.tmp").read_text() == "half a thought"
    assert (directory / "chapters" / "metrics.json").read_text() == "{}"
    assert (directory / "link").is_symlink()
    assert (directory / "thesis.txt").is_symlink()
    assert (directory / f"{ledger.EVENTS}of-another-program").read_text() == "events"
    assert (directory / f"{ledger.EVENTS}1.host.1.0.v2").read_text() == "events"
    assert (directory / f"{ledger.EVENTS}1.host.1.0").is_dir()
    assert [(path.name, path.read_text()) for path in elsewhere.iterdir()] == [("thesis.txt", "years of work")]


def spoil(run: Path) -> None:
    with (run / ledger.HISTORY).open("a") as file:
        file.write(" ")


def changed_source(run: Path) -> None:
    """Make a run look as if other source of the package had begun it."""
    ledger.write_json(run / ledger.RECORD, {**ledger.read_record(run), "source_digest": "other"})
    ledger.end(run, ledger.status(run)["state"], 1.0, ledger.status(run)["error"])
    ledger.update(run, fingerprint="other")


def test_a_single_run_begins_anew_beside_what_is_not_its(command, tmp_path, elsewhere):
    assert command("train.py", *QUICK, "hydra.run.dir=run").returncode == 0
    run = tmp_path / "run"
    put_foreign(run, elsewhere)
    spoil(run)
    done = command("scripts/resume.py", "run")
    assert (done.returncode, ledger.proved(run)["state"]) == (0, ledger.COMPLETE), done.stderr
    check_foreign(run, elsewhere)
    changed_source(run)
    assert command("scripts/resume.py", "run").returncode == 2
    done = command("scripts/resume.py", "run", "--accept-changes")
    assert (done.returncode, ledger.proved(run)["state"]) == (0, ledger.COMPLETE), done.stderr
    check_foreign(run, elsewhere)
    # the status lost and other source: what is asked for happens
    changed_source(run)
    (run / ledger.STATUS).unlink()
    done = command("scripts/resume.py", "run", "--accept-changes")
    assert (done.returncode, ledger.proved(run)["state"]) == (0, ledger.COMPLETE), done.stderr
    check_foreign(run, elsewhere)
    (run / ledger.STATUS).unlink()
    done = command("train.py", *QUICK, "hydra.run.dir=run")  # the same command again
    assert (done.returncode, ledger.proved(run)["state"]) == (0, ledger.COMPLETE), done.stderr
    check_foreign(run, elsewhere)


def test_a_single_run_that_failed_is_tried_again_beside_what_is_not_its(command, tmp_path, elsewhere):
    assert command("train.py", *QUICK, *DIVERGES, "hydra.run.dir=run").returncode == 1
    put_foreign(tmp_path / "run", elsewhere)
    done = command("scripts/resume.py", "run", "--retry-failed")
    assert (done.returncode, ledger.proved(tmp_path / "run")["state"]) == (1, ledger.FAILED), done.stderr
    check_foreign(tmp_path / "run", elsewhere)


@pytest.mark.parametrize("launcher", ["vectorized", "basic", "process"])
def test_runs_of_a_sweep_begin_anew_beside_what_is_not_theirs(command, tmp_path, elsewhere, launcher):
    words = (*QUICK, *DIVERGES, "optimizer.lr=0.01,1e9", "model.hidden=2,4", f"hydra/launcher={launcher}")
    words = ("-m", *(word for word in words if word != "optimizer.lr=1e9"), "hydra.sweep.dir=sweep")
    assert command("train.py", *words).returncode == 1
    sweep = tmp_path / "sweep"
    runs = [sweep / f"{number:04d}" for number in range(4)]
    assert [ledger.status(run)["state"] for run in runs] == [ledger.COMPLETE] * 2 + [ledger.FAILED] * 2
    (elsewhere.parent / "disk").mkdir()
    runs[1].rename(elsewhere.parent / "disk" / "1")  # moved to where there is room
    runs[1].symlink_to(elsewhere.parent / "disk" / "1", target_is_directory=True)
    places = [sweep, *runs]
    for place in places:
        put_foreign(place, elsewhere)
    spoil(runs[0])
    spoil(runs[1])
    done = command("scripts/resume.py", "sweep")  # trains those that are damaged
    assert (done.returncode, ledger.proved(runs[0])["state"]) == (1, ledger.COMPLETE), done.stderr
    assert runs[1].is_symlink()
    assert ledger.proved(runs[1])["state"] == ledger.COMPLETE
    changed_source(runs[0])
    assert command("train.py", *words).returncode == 2  # the same command again
    done = command("scripts/resume.py", "sweep", "--accept-changes")
    assert (done.returncode, ledger.proved(runs[0])["state"]) == (1, ledger.COMPLETE), done.stderr
    before = ledger.status(runs[3])["started"]
    done = command("scripts/resume.py", "sweep", "--retry-failed")
    assert (done.returncode, ledger.status(runs[3])["state"]) == (1, ledger.FAILED), done.stderr
    assert ledger.status(runs[3])["started"] > before
    for place in places:
        check_foreign(place, elsewhere)


def test_damaged_runs_of_a_search_are_trained_again_beside_what_is_not_theirs(command, tmp_path, elsewhere):
    words = ("-m", "sweep=optuna", *QUICK, "hydra.sweeper.n_trials=3", "hydra.sweep.dir=sweep")
    assert command("train.py", *words).returncode == 0
    run = tmp_path / "sweep" / "0001"
    put_foreign(run, elsewhere)
    spoil(run)
    done = command("train.py", *words)
    assert (done.returncode, ledger.proved(run)["state"]) == (0, ledger.COMPLETE), done.stderr
    assert "#1 is trained again" in done.stdout
    check_foreign(run, elsewhere)


def test_what_is_collected_is_what_runs_wrote(command, tmp_path, elsewhere):
    words = ("-m", *QUICK, "seed=0,1", "hydra.sweep.dir=sweep")
    assert command("train.py", *words).returncode == 0
    put_foreign(tmp_path / "sweep" / "0001", elsewhere)
    half = tmp_path / "all" / f"{contents.COPYING}.x{ledger.TEMPORARY}"  # of a killed command
    shutil.copytree(tmp_path / "sweep" / "0000", half)
    shutil.copy(tmp_path / "sweep" / ledger.SWEEP, tmp_path / "all")
    (half / "notes.txt").write_text("notes")
    done = command("scripts/collect.py", "all", "sweep")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in half.iterdir()] == ["notes.txt"]
    check_foreign(tmp_path / "sweep" / "0001", elsewhere)
    ours = {path.name for path in (tmp_path / "sweep" / "0000").iterdir() if not path.name.startswith(ledger.EVENTS)}
    copied = {path.name for path in (tmp_path / "all" / "0001").iterdir()}
    assert copied - ours == {name for name in copied if name.startswith(ledger.EVENTS)}
    assert ours <= copied
    assert not copied & {"notes.txt", "chapters", "link", "thesis.txt", f"{ledger.EVENTS}1.host.1.0.v2"}


FOREIGN = ["notes.txt", ledger.METRICS, ledger.MODEL, f"{ledger.EVENTS}1.host.1.0", ledger.RECORD, ledger.STATUS]
FOREIGN += [ledger.SWEEP, ledger.LOCK if hasattr(ledger, "LOCK") else contents.LOCK, ".git/", ".hydra/", "link"]


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("mode", ["single", "sweep", "search"])
def test_a_directory_that_holds_other_things_is_not_begun_in(composed, tmp_path, elsewhere, name, mode):
    """What each command asks first, before it writes anything."""
    place = tmp_path / "place"
    place.mkdir()
    if name.endswith("/"):
        (place / name / "inside").mkdir(parents=True)
    elif name == "link":
        (place / name).symlink_to(elsewhere)
    else:
        (place / name).write_text('{"mine": 1}')
    before = sorted(path.name for path in place.rglob("*"))
    check = ledger.check_place if mode == "single" else ledger.check_sweep_place
    if name == contents.LOCK:  # found when it is taken
        from neuronsweep.sweeps import lock

        check = lock.take
    with pytest.raises(UserError, match=r"place.*(which no (run|sweep) of neuronsweep wrote|somebody else's|no run wrote)"):
        check(place)
    assert sorted(path.name for path in place.rglob("*")) == before
