"""Files of others are never removed, replaced or written to."""

import ast
import json
import shutil
from pathlib import Path

import pytest

from neuronsweep.errors import UserError
from neuronsweep.runs import contents, files, lock
from neuronsweep.runs.run import COMPLETE, FAILED, Run
from neuronsweep.runs.sweep import check_sweep_place
from tests.commands import NO_REPORT, ROOT

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
    (directory / f"{contents.EVENTS}of-another-program").write_text("events")
    (directory / f"{contents.EVENTS}1.host.1.0.v2").write_text("events")
    (directory / f"{contents.EVENTS}1.host.1.0").mkdir()


def check_foreign(directory: Path, elsewhere: Path) -> None:
    assert (directory / "notes.txt").read_text() == "notes"
    assert (directory / ".hidden.tmp").read_text() == "half a thought"
    assert (directory / "chapters" / "metrics.json").read_text() == "{}"
    assert (directory / "link").is_symlink()
    assert (directory / "thesis.txt").is_symlink()
    assert (directory / f"{contents.EVENTS}of-another-program").read_text() == "events"
    assert (directory / f"{contents.EVENTS}1.host.1.0.v2").read_text() == "events"
    assert (directory / f"{contents.EVENTS}1.host.1.0").is_dir()
    assert [(path.name, path.read_text()) for path in elsewhere.iterdir()] == [("thesis.txt", "years of work")]


def spoil(run: Path) -> None:
    with (run / contents.HISTORY).open("a") as file:
        file.write(" ")


def changed_source(run: Path) -> None:
    """Make a run look as if other source of the package had begun it."""
    files.write_json(run / contents.RECORD, {**Run(run).record(), "source_digest": "other"})
    Run(run).end(Run(run).status()["state"], 1.0, Run(run).status()["error"])
    Run(run).update(fingerprint="other")


def test_a_single_run_begins_anew_beside_what_is_not_its(command, tmp_path, elsewhere):
    assert command("train.py", *QUICK, "hydra.run.dir=run").returncode == 0
    run = tmp_path / "run"
    put_foreign(run, elsewhere)
    spoil(run)
    done = command("scripts/resume.py", "run")
    assert (done.returncode, Run(run).verified()["state"]) == (0, COMPLETE), done.stderr
    check_foreign(run, elsewhere)
    changed_source(run)
    assert command("scripts/resume.py", "run").returncode == 2
    done = command("scripts/resume.py", "run", "--accept-changes")
    assert (done.returncode, Run(run).verified()["state"]) == (0, COMPLETE), done.stderr
    check_foreign(run, elsewhere)
    # the status lost and other source: what is asked for happens
    changed_source(run)
    (run / contents.STATUS).unlink()
    done = command("scripts/resume.py", "run", "--accept-changes")
    assert (done.returncode, Run(run).verified()["state"]) == (0, COMPLETE), done.stderr
    check_foreign(run, elsewhere)
    (run / contents.STATUS).unlink()
    done = command("train.py", *QUICK, "hydra.run.dir=run")  # the same command again
    assert (done.returncode, Run(run).verified()["state"]) == (0, COMPLETE), done.stderr
    check_foreign(run, elsewhere)


def test_a_single_run_that_failed_is_tried_again_beside_what_is_not_its(command, tmp_path, elsewhere):
    assert command("train.py", *QUICK, *DIVERGES, "hydra.run.dir=run").returncode == 1
    put_foreign(tmp_path / "run", elsewhere)
    done = command("scripts/resume.py", "run", "--retry-failed")
    assert (done.returncode, Run(tmp_path / "run").verified()["state"]) == (1, FAILED), done.stderr
    check_foreign(tmp_path / "run", elsewhere)


@pytest.mark.parametrize("launcher", ["native", "basic", "process"])
def test_runs_of_a_sweep_begin_anew_beside_what_is_not_theirs(command, tmp_path, elsewhere, launcher):
    diverges = (word for word in DIVERGES if word != "optimizer.lr=1e9")
    words = (*QUICK, *diverges, "optimizer.lr=0.01,0.02,1e9", NO_REPORT, f"hydra/launcher={launcher}")
    words = ("-m", *words, "hydra.sweep.dir=sweep")
    assert command("train.py", *words).returncode == 1
    sweep = tmp_path / "sweep"
    runs = [sweep / f"{number:04d}" for number in range(3)]
    assert [Run(run).status()["state"] for run in runs] == [COMPLETE] * 2 + [FAILED]
    (elsewhere.parent / "disk").mkdir()
    runs[1].rename(elsewhere.parent / "disk" / "1")  # moved to where there is room
    runs[1].symlink_to(elsewhere.parent / "disk" / "1", target_is_directory=True)
    places = [sweep, *runs]
    for place in places:
        put_foreign(place, elsewhere)
    spoil(runs[0])
    spoil(runs[1])
    done = command("scripts/resume.py", "sweep")  # trains those that are damaged
    assert (done.returncode, Run(runs[0]).verified()["state"]) == (1, COMPLETE), done.stderr
    assert runs[1].is_symlink()
    assert Run(runs[1]).verified()["state"] == COMPLETE
    changed_source(runs[0])
    assert command("train.py", *words).returncode == 2  # the same command again
    done = command("scripts/resume.py", "sweep", "--accept-changes")
    assert (done.returncode, Run(runs[0]).verified()["state"]) == (1, COMPLETE), done.stderr
    before = Run(runs[2]).status()["started"]
    done = command("scripts/resume.py", "sweep", "--retry-failed")
    assert (done.returncode, Run(runs[2]).status()["state"]) == (1, FAILED), done.stderr
    assert Run(runs[2]).status()["started"] > before
    for place in places:
        check_foreign(place, elsewhere)


def test_damaged_runs_of_a_search_are_trained_again_beside_what_is_not_theirs(command, tmp_path, elsewhere):
    words = ("-m", "sweep=optuna", *QUICK, "hydra.sweeper.n_trials=3", "hydra.sweep.dir=sweep")
    assert command("train.py", *words).returncode == 0
    run = tmp_path / "sweep" / "0001"
    put_foreign(run, elsewhere)
    spoil(run)
    done = command("train.py", *words)
    assert (done.returncode, Run(run).verified()["state"]) == (0, COMPLETE), done.stderr
    assert "#1 is trained again" in done.stdout
    check_foreign(run, elsewhere)


def test_what_is_collected_is_what_runs_wrote(command, tmp_path, elsewhere):
    words = ("-m", *QUICK, "seed=0,1", "hydra.sweep.dir=sweep")
    assert command("train.py", *words).returncode == 0
    put_foreign(tmp_path / "sweep" / "0001", elsewhere)
    half = tmp_path / "all" / f"{contents.COPYING}.x{contents.TEMPORARY}"  # of a killed command
    shutil.copytree(tmp_path / "sweep" / "0000", half)
    shutil.copy(tmp_path / "sweep" / contents.SWEEP, tmp_path / "all")
    (half / "notes.txt").write_text("notes")
    done = command("scripts/collect.py", "all", "sweep")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in half.iterdir()] == ["notes.txt"]
    check_foreign(tmp_path / "sweep" / "0001", elsewhere)
    ours = {path.name for path in (tmp_path / "sweep" / "0000").iterdir() if not path.name.startswith(contents.EVENTS)}
    copied = {path.name for path in (tmp_path / "all" / "0001").iterdir()}
    assert copied - ours == {name for name in copied if name.startswith(contents.EVENTS)}
    assert ours <= copied
    assert not copied & {"notes.txt", "chapters", "link", "thesis.txt", f"{contents.EVENTS}1.host.1.0.v2"}


FOREIGN = [
    "notes.txt",
    contents.METRICS,
    contents.MODEL,
    f"{contents.EVENTS}1.host.1.0",
    contents.RECORD,
    contents.STATUS,
]
FOREIGN += [contents.SWEEP, contents.RESULTS, ".git/", ".hydra/", "0000/", "link"]


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("check", [lambda directory: Run(directory).check_place(), check_sweep_place])
def test_a_directory_that_holds_other_things_is_not_begun_in(tmp_path, elsewhere, name, check):
    place = tmp_path / "place"
    place.mkdir()
    if name.endswith("/"):
        (place / name / "inside").mkdir(parents=True)
    elif name == "link":
        (place / name).symlink_to(elsewhere)
    else:
        (place / name).write_text('{"mine": 1}')
    with pytest.raises(
        UserError, match=rf"place.* contains {name.strip('/')}, which no (run|sweep) of neuronsweep wrote"
    ):
        check(place)


def test_commands_ask_first(command, tmp_path):
    (tmp_path / "place").mkdir()
    (tmp_path / "place" / "notes.txt").write_text("notes")
    (tmp_path / "locked").mkdir()
    (tmp_path / "locked" / contents.LOCK).write_text("mine")
    for words in (["hydra.run.dir={}"], ["-m", "hydra.sweep.dir={}"], ["-m", "sweep=optuna", "hydra.sweep.dir={}"]):
        for place, said in (("place", "it contains notes.txt"), ("locked", "is somebody else's")):
            before = [(path, path.read_text()) for path in (tmp_path / place).iterdir()]
            done = command("train.py", *(word.format(place) for word in words), *QUICK)
            assert (done.returncode, done.stderr.count("\n"), done.stdout) == (2, 1, ""), done.stderr
            assert said in done.stderr
            assert [(path, path.read_text()) for path in (tmp_path / place).iterdir()] == before


def test_what_a_killed_command_leaves_is_begun_in(composed, tmp_path):
    from neuronsweep.config.check import plain

    hydra = tmp_path / contents.HYDRA
    hydra.mkdir()
    (hydra / "config.yaml").write_text(json.dumps(plain(composed())))
    (hydra / "overrides.yaml").write_text("[]")
    (tmp_path / contents.LOCK).write_text('{"host"')
    (tmp_path / f".{contents.RECORD}.abc{contents.TEMPORARY}").write_text("{")
    Run(tmp_path).check_place()
    (hydra / "config.yaml").write_text("db: mysql")  # of another program of Hydra's
    with pytest.raises(UserError, match=r"it contains \.hydra"):
        Run(tmp_path).check_place()


@pytest.mark.parametrize("kind", ["link", "link to nothing", "directory"])
@pytest.mark.parametrize("name", [*contents.OF_A_RUN, contents.LOCK, contents.HYDRA, f"{contents.HYDRA}/config.yaml"])
def test_what_has_a_name_of_a_run_and_another_kind_stays_and_is_told(tmp_path, elsewhere, name, kind):
    run = tmp_path / "run"
    run.mkdir()
    path = run / name
    path.parent.mkdir(exist_ok=True)
    if kind == "directory":
        if name == contents.HYDRA:
            return
        path.mkdir()
        (path / "thesis.txt").write_text("years of work")
    else:
        path.symlink_to(elsewhere / ("thesis.txt" if kind == "link" else "nothing"))
    assert not contents.remove(path)
    for begin in (Run.check_place, Run.discard, Run.begin_anew, _begin):
        with pytest.raises(UserError, match=f"{name} is a (link|directory), so no run wrote it"):
            begin(Run(run))
    assert path.is_symlink() or (path / "thesis.txt").read_text() == "years of work"
    assert (elsewhere / "thesis.txt").read_text() == "years of work"
    assert not (elsewhere / "nothing").exists()


def _begin(run: Run) -> None:
    run.begin("lightning", "abc", {}, "")


@pytest.mark.parametrize("name", [contents.METRICS, contents.MODEL, f"{contents.EVENTS}1.host.1.0"])
def test_results_that_no_run_wrote_are_not_overwritten_in_a_sweep_either(tmp_path, name):
    (tmp_path / name).write_text("mine")
    (tmp_path / "notes.txt").write_text("mine")  # in nobody's way
    with pytest.raises(UserError, match=f"contains {name}, which no run"):
        _begin(Run(tmp_path))
    assert (tmp_path / name).read_text() == "mine"


def test_a_lock_that_is_a_link_is_neither_followed_nor_removed(tmp_path, elsewhere):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / contents.LOCK).symlink_to(elsewhere / "thesis.txt")
    assert lock.owner(tmp_path / "run") is None
    with pytest.raises(UserError, match=r"\.lock"):
        lock.take(tmp_path / "run")
    assert (elsewhere / "thesis.txt").read_text() == "years of work"


# Who removes what: a temporary file of its own that never was in its place, a directory of the system's for such.
REMOVES = {
    "runs/contents.py": 2,
    "runs/files.py": 3,
    "launch/clusters.py": 1,
    # compiled libraries, which lie in a directory of their own
    "engine/build.py": 1,
    "engine/library.py": 2,
}


def test_one_function_removes():
    found: dict[str, int] = {}
    package = ROOT / "src" / "neuronsweep"
    for path in [*package.rglob("*.py"), *(ROOT / "scripts").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in ("unlink", "rmtree", "rmdir", "removedirs"):
                name = str(path.relative_to(package if path.is_relative_to(package) else ROOT))
                found[name] = found.get(name, 0) + 1
    assert {name: count for name, count in found.items() if count > REMOVES.get(name, 0)} == {}
