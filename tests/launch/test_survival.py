"""Interrupted, damaged and foreign sweep directories: what the command does and prints."""

import contextlib
import json
import random
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from neuronsweep.launch.resume import prepare
from neuronsweep.runs import contents, files
from neuronsweep.runs.run import COMPLETE, FAILED, RUNNING, Run
from tests.commands import NO_REPORT, Script, run, wait_until
from tests.kill_loop import results

WORDS = ("model.hidden=2,4", "model.act=relu,tanh", "epochs=20", "log_points=4", "logger=none")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A sweep of four runs that has ended; not to be changed."""
    directory = tmp_path_factory.mktemp("finished") / "sweep"
    words = (*WORDS, NO_REPORT, f"hydra.sweep.dir={directory}")
    run("train.py", "-m", *words, cwd=directory.parent).check_returncode()
    return directory


@pytest.fixture
def sweep(finished, tmp_path):
    """A copy of it, as on another machine."""
    return shutil.copytree(finished, tmp_path / "sweep")


def start(cwd: Path, *words: str) -> Script:
    return Script("train.py", *words, cwd=cwd)


def tree(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()}


def again(command, *words: str):
    """The sweep's own command once more in its directory."""
    return command("train.py", "-m", *(words or WORDS), "hydra.sweep.dir=sweep")


def test_a_sweep_that_is_complete_is_read(command, sweep, finished):
    done = command("scripts/resume.py", "sweep")
    assert done.returncode == 0, done.stderr
    assert "training" not in done.stdout
    assert results(sweep) == results(finished)


@pytest.mark.parametrize("how", ["edited", "shortened", "flipped", "deleted"])
def test_a_harmed_file_is_named_and_its_run_trained_again(command, sweep, finished, how):
    names = (contents.METRICS, contents.HISTORY, contents.MODEL, contents.RECORD)
    for number, name in enumerate(names):
        path = sweep / f"{number:04d}" / name
        content = path.read_bytes()
        if how == "edited":
            path.write_bytes(content.replace(b"1", b"2", 1))
        elif how == "shortened":
            path.write_bytes(content[:-20])
        elif how == "flipped":
            path.write_bytes(content[:50] + bytes([content[50] ^ 4]) + content[51:])
        else:
            path.unlink()
    done = command("scripts/resume.py", "sweep")
    assert done.returncode == 0, done.stderr
    what = "missing" if how == "deleted" else "damaged: it is not what was written"
    for number, name in enumerate(names):
        assert f"#{number} is trained again: sweep/{number:04d}/{name} is {what}" in done.stdout
    assert "training 4 runs" in done.stdout
    assert results(sweep) == results(finished)


def test_a_harmed_status_sweep_json_and_picture_are_made_again(command, sweep, finished):
    (sweep / "0000" / contents.STATUS).write_text("{")
    (sweep / "0001" / contents.STATUS).unlink()
    (sweep / "0002" / contents.FIGURE).unlink()
    (sweep / contents.RESULTS).unlink()
    (sweep / contents.SWEEP).write_text("{}")
    done = again(command)
    assert done.returncode == 0, done.stderr
    assert "sweep.json is damaged and is written again" in done.stdout
    assert "#0 is trained again: sweep/0000/status.json is damaged" in done.stdout
    assert "training 2 runs" in done.stdout
    assert results(sweep) == results(finished)
    assert (sweep / "0002" / contents.FIGURE).exists()


def lose_power(sweep: Path, rng: random.Random) -> None:
    """Cut, empty or lose files of every run, as a power failure may those that nobody waited for."""
    for number in range(4):
        found = [path for path in (sweep / f"{number:04d}").rglob("*") if path.is_file()]
        for path in rng.sample(found, rng.randint(1, len(found))):
            how = rng.choice(["cut", "empty", "gone"])
            if how == "gone":
                path.unlink()
            else:
                path.write_bytes(path.read_bytes()[: len(path.read_bytes()) // 2] if how == "cut" else b"")


def test_what_a_power_failure_leaves_of_runs_is_trained_again(command, sweep, finished, tmp_path):
    configs = [(number, Run(finished / f"{number:04d}").record()["config"]) for number in range(4)]
    for seed in range(20):
        harmed = shutil.copytree(finished, tmp_path / str(seed))
        lose_power(harmed, random.Random(seed))
        prepare(harmed, configs, retry_failed=False, accept=False)
        for number in range(4):
            run, whole = (Run(one / f"{number:04d}") for one in (harmed, finished))
            run.check_place(of_sweep=True)
            assert not run.has_begun or run.verified() == whole.verified()
    lose_power(sweep, random.Random(7))
    done = command("scripts/resume.py", "sweep")
    assert done.returncode == 0, done.stderr
    assert results(sweep) == results(finished)


def test_a_harmed_run_is_no_result_of_a_running_sweep(sweep):
    from neuronsweep.runs.results import Results

    (sweep / "0001" / contents.METRICS).unlink()
    rows = Results(sweep).rows()
    assert [row["state"] for row in rows] == ["COMPLETE", "DAMAGED", "COMPLETE", "COMPLETE"]
    assert "val/loss" not in rows[1]


def test_other_values_are_refused_with_their_key(command, sweep):
    before = tree(sweep)
    done = again(command, "model.hidden=2,4", "model.act=relu,gelu", *WORDS[2:])
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "it contains another sweep: model.act was relu,tanh and is relu,gelu" in done.stderr
    assert tree(sweep) == before


def test_changed_source_is_refused_unless_accepted(command, sweep, finished):
    for number in range(2):  # as if these two had been trained by other source, and one by another default
        run = sweep / f"{number:04d}"
        asked = files.read_json(run / contents.RECORD)
        asked["source_digest"] = "other"
        asked["config"]["optimizer"]["lr"] = 0.5 if number == 0 else asked["config"]["optimizer"]["lr"]
        files.write_json(run / contents.RECORD, asked)
        Run(run).end(COMPLETE, 0)
        Run(run).update(fingerprint="other")
    done = command("scripts/resume.py", "sweep")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    told = (
        "2 of its runs are no longer those of this command, #0: optimizer.lr was 0.5 and is 0.01; the package's source"
    )
    assert told in done.stderr
    assert "--accept-changes" in done.stderr
    done = command("scripts/resume.py", "sweep", "--accept-changes")
    assert done.returncode == 0, done.stderr
    assert "training 2 runs" in done.stdout
    assert results(sweep) == results(finished)


def test_a_renamed_directory_goes_on(command, sweep, finished, tmp_path):
    Run(sweep / "0003").discard()
    name = "it's a new, name"
    sweep.rename(tmp_path / name)
    done = command("scripts/resume.py", name)
    assert done.returncode == 0, done.stderr
    assert "training 1 run" in done.stdout
    assert results(tmp_path / name) == results(finished)


def test_a_clock_set_back_changes_nothing(command, sweep, finished):
    Run(sweep / "0000").update(state=RUNNING, started="2999-01-01T00:00:00.000+00:00", ended=None)
    done = command("scripts/resume.py", "sweep")
    assert done.returncode == 0, done.stderr
    assert results(sweep) == results(finished)


def test_two_processes_do_not_share_a_directory(command, tmp_path):
    words = (
        "-m",
        "seed=0,1",
        "epochs=2000000000",
        "engine.snapshot_seconds=0.2",
        "engine.threads=2",
        "hydra.sweep.dir=sweep",
    )
    first = start(tmp_path, *words)
    try:
        wait_until(lambda: len(list(tmp_path.glob(f"sweep/*/{contents.CHECKPOINT}"))) == 2)
        # by their names: a running sweep replaces its files while they are read
        files = lambda: {path for path in (tmp_path / "sweep").rglob("*") if not path.name.startswith(".")}  # noqa: E731
        before = files()
        for second in (command("train.py", *words), command("scripts/resume.py", "sweep")):
            assert (second.returncode, second.stderr.count("\n")) == (2, 1)
            assert f"sweep is being trained by process {first.pid} on" in second.stderr
            assert "train.py -m seed=0,1" in second.stderr
        assert files() == before
    finally:
        first.kill()
        first.communicate()
    third = start(tmp_path, *words)
    wait_until(lambda: len(json.loads((tmp_path / "sweep/0000" / contents.STATUS).read_text())["continued"]) == 1)
    third.send_signal(signal.SIGTERM)
    out, _ = third.communicate(timeout=30)
    assert third.returncode == 143
    assert "continue with: python scripts/resume.py sweep" in out


@pytest.mark.parametrize("launcher", ["native", "basic"])
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_sweep_ends_soon_and_says_how_it_goes_on(tmp_path, launcher, how):
    process = start(
        tmp_path, "-m", f"hydra/launcher={launcher}", "seed=0,1", "epochs=2000000000", "hydra.sweep.dir=sweep"
    )
    wait_until((tmp_path / "sweep/0000" / contents.STATUS).exists)
    process.send_signal(how)
    out, error = process.communicate(timeout=20)  # 5 seconds are promised on a machine with nothing else to do
    assert process.returncode == 128 + how, error
    assert "stopped with 0 of 2 runs complete; continue with: python scripts/resume.py sweep" in out
    assert [row["state"] for row in results(tmp_path / "sweep")][:1] == ["RUNNING"]


def test_the_first_failure_ends_a_sweep_that_fails_fast(command, tmp_path):
    words = (
        "-m",
        "hydra/launcher=basic",
        "data=quadratic",
        "optimizer=sgd",
        "optimizer.lr=1e9,0.001,0.002",
        *WORDS[2:],
    )
    done = command("train.py", *words, "fail_fast=true", "hydra.sweep.dir=sweep")
    assert done.returncode == 1
    assert "stopped at the first failure" in done.stderr
    assert "continue with: python scripts/resume.py sweep --retry-failed" in done.stderr
    assert [row["state"] for row in results(tmp_path / "sweep")] == ["FAILED"]
    native = [*words, "fail_fast=true", "hydra.sweep.dir=other", "hydra/launcher=native", "epochs=2000000000"]
    done = command("train.py", *native, "engine.threads=3")
    assert done.returncode == 1
    assert "stopped at the first failure" in done.stderr
    # the others, which had just begun, say so when they save what they go on from
    assert results(tmp_path / "other")[0]["state"] == "FAILED"
    states = [Run(tmp_path / "other" / f"{number:04d}").status()["state"] for number in range(3)]
    assert states == [FAILED, RUNNING, RUNNING]


def test_a_run_that_hangs_fails_at_its_time_limit(command, tmp_path):
    words = ("epochs=2000000000,20", "log_points=2", "time_limit=3", "logger=none", "hydra.sweep.dir=sweep")
    done = command("train.py", "-m", *words)
    assert done.returncode == 1
    assert "training 2 runs natively" in done.stdout
    assert "FAILED: it took longer than time_limit=3 seconds" in done.stderr
    assert "Traceback" not in done.stderr
    assert [row["state"] for row in results(tmp_path / "sweep")] == ["FAILED", "COMPLETE"]


@contextlib.contextmanager
def small_disk(directory: Path, size: str):
    """A file system with little room; skips where none can be mounted."""
    directory.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(directory)], capture_output=True)
    if done.returncode:
        pytest.skip(f"no small file system can be mounted here: {done.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


@pytest.mark.parametrize("launcher", ["native", "basic"])
def test_a_full_disk_fails_nobody_and_the_sweep_goes_on_when_there_is_room(command, finished, tmp_path, launcher):
    words = (*WORDS, f"hydra/launcher={launcher}", "hydra.sweep.dir=small/sweep")
    with small_disk(tmp_path / "small", "400k"):
        ballast = tmp_path / "small" / "ballast"
        ballast.write_bytes(bytes(330_000))
        done = command("train.py", "-m", *words)
        assert done.returncode == 1
        last = done.stderr.splitlines()[-1]
        assert (
            "No space left on device; when there is room, continue with: python scripts/resume.py small/sweep" in last
        )
        assert "Traceback" not in done.stderr
        for path in (tmp_path / "small/sweep").glob(f"*/{contents.STATUS}"):
            assert Run(path.parent).verified()["state"] in (RUNNING, COMPLETE)
        ballast.unlink()
        subprocess.run(["mount", "-o", "remount,size=4m", str(tmp_path / "small")], check=True)
        done = command("scripts/resume.py", "small/sweep")
        assert done.returncode == 0, done.stderr
        if launcher == "native":
            assert results(tmp_path / "small/sweep") == results(finished)
        assert not [path for path in (tmp_path / "small").rglob(".*") if path.name != ".hydra"]


def test_a_directory_that_cannot_be_written_is_one_line(command, tmp_path):
    done = command("train.py", "-m", "seed=0,1", "hydra.sweep.dir=/proc/sweep")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "cannot use /proc/sweep as output directory" in done.stderr


def test_a_single_run_goes_on_by_its_own_command_and_no_other(command, tmp_path):
    words = ("epochs=60000", "trainer.checkpoint_seconds=0.1", "log_points=600", "hydra.run.dir=run")
    process = start(tmp_path, *words)
    wait_until((tmp_path / "run" / contents.CHECKPOINT).exists)
    second = command("train.py", *words)
    assert (second.returncode, second.stderr.count("\n")) == (2, 1)
    assert f"run is being trained by process {process.pid}" in second.stderr
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=30)
    assert "continue with: python scripts/resume.py run" in out
    other = command("train.py", *words, "model.act=tanh")
    assert (other.returncode, other.stderr.count("\n")) == (2, 1)
    assert "it contains another run: model.act was relu and is tanh" in other.stderr
    third = start(tmp_path, *words)
    wait_until(lambda: len(json.loads((tmp_path / "run" / contents.STATUS).read_text())["continued"]) == 1)
    third.kill()
    third.communicate()
    assert files.read_json(tmp_path / "run" / contents.RECORD)["command"].endswith("hydra.run.dir=run")


def test_a_single_run_that_is_harmed_failed_or_changed(command, tmp_path):
    words = ("epochs=20", "logger=none", "hydra.run.dir=run")
    run = tmp_path / "run"
    assert command("train.py", *words).returncode == 0
    metrics = (run / contents.METRICS).read_bytes()
    (run / contents.METRICS).write_bytes(metrics.replace(b"1", b"2", 1))
    assert "metrics.json is damaged" in command("train.py", *words).stderr
    done = command("scripts/resume.py", "run")
    assert done.returncode == 0, done.stderr
    assert "metrics.json is damaged: it is not what was written: the run is trained again" in done.stdout
    assert (run / contents.METRICS).read_bytes() == metrics
    Run(run).end(FAILED, 1, "train/loss is nan")
    refused = command("scripts/resume.py", "run")
    assert "run is FAILED: train/loss is nan; to try again: --retry-failed" in refused.stderr
    assert command("scripts/resume.py", "run", "--retry-failed").returncode == 0
    assert (run / contents.METRICS).read_bytes() == metrics
    asked = files.read_json(run / contents.RECORD)
    files.write_json(run / contents.RECORD, {**asked, "source_digest": "other"})
    Run(run).end(COMPLETE, 1)
    refused = command("scripts/resume.py", "run")
    assert "run cannot continue: the package's source changed; to train it again: --accept-changes" in refused.stderr
    assert command("scripts/resume.py", "run", "--accept-changes").returncode == 0
    assert (run / contents.METRICS).read_bytes() == metrics
    assert Run(run).status()["state"] == COMPLETE


def test_runs_and_sweeps_do_not_share_a_directory(command, sweep):
    inside = command("scripts/resume.py", "sweep/0000")
    assert (inside.returncode, inside.stderr.count("\n")) == (2, 1)
    assert "is a run of a sweep, which is continued by python scripts/resume.py sweep" in inside.stderr
    over = command("train.py", "hydra.run.dir=sweep")
    assert "it contains a sweep" in over.stderr
    within = command("train.py", "-m", "seed=0,1", "hydra.sweep.dir=sweep/0000")
    assert (within.returncode, within.stderr.count("\n")) == (2, 1)
    assert "it contains a single run" in within.stderr


def test_a_sweep_killed_twice_keeps_what_was_complete_and_how_far_the_others_were(tmp_path):
    words: tuple[str, ...] = (
        "-m",
        "seed=0,1",
        "epochs=50,2000000000",
        "log_points=50",
        "logger=none",
        "engine.threads=2",
    )
    words = (*words, "engine.snapshot_seconds=0.2", "hydra.sweep.dir=sweep", NO_REPORT)
    runs = [tmp_path / "sweep" / f"{number:04d}" for number in range(4)]

    def going_on(seconds: float) -> list[Path]:
        """Runs that have been trained for longer, and have saved it."""
        left = [run for run in runs if (run / contents.CHECKPOINT).exists()]
        return [run for run in left if Run(run).status()["seconds"] > seconds]

    first = start(tmp_path, *words)
    wait_until(lambda: len(going_on(0)) == 2)
    first.kill()
    first.communicate()
    complete = {run: Run(run).status() for run in runs if run not in going_on(0)}
    assert [status["state"] for status in complete.values()] == [COMPLETE] * 2
    before = max(Run(run).status()["seconds"] for run in going_on(0))
    second = start(tmp_path, *words)
    wait_until(lambda: len(going_on(before)) == 2)
    second.kill()
    second.communicate()
    for status in (Run(directory).status() for directory in going_on(before)):
        assert (status["state"], len(status["continued"])) == (RUNNING, 1)
    assert {directory: Run(directory).status() for directory in complete} == complete


def test_what_is_no_directory_of_ours_is_one_line(command, tmp_path, sweep):
    (sweep / contents.SWEEP).write_text("{}")
    damaged = command("scripts/resume.py", "sweep")
    assert (damaged.returncode, damaged.stderr.count("\n")) == (2, 1)
    assert "sweep.json is damaged: it has no swept; run its command again with hydra.sweep.dir=sweep" in damaged.stderr
    (tmp_path / "single").mkdir()
    (tmp_path / "single" / ".lock").mkdir()
    locked = command("train.py", "hydra.run.dir=single")
    assert (locked.returncode, locked.stderr.count("\n")) == (2, 1)
    assert "single/.lock is a directory, so no run wrote it and none replaces it: move it away" in locked.stderr
