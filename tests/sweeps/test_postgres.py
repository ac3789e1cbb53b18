"""A study that several processes share in PostgreSQL: none of its trials is lost or trained twice."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from neuronsweep.sweeps import ledger
from neuronsweep.sweeps.storage import open_storage
from tests.commands import ROOT
from tests.kill_loop import results

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
pytestmark = pytest.mark.skipif(not BINARIES, reason="PostgreSQL is not installed: apt-get install postgresql")

WORDS = ("-m", "sweep=optuna", "data=moons", "epochs=3000", "log_points=3", "logger=none", "~hydra.callbacks.report")


@pytest.fixture(scope="module")
def server():
    """The URL of a server of its own, which ends with the tests; as root it runs as the user postgres."""
    directory = Path(tempfile.mkdtemp(prefix="postgres-"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    other = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    if other:
        user = pwd.getpwnam("postgres")
        os.chown(directory, user.pw_uid, user.pw_gid)

    def run(program: str, *words: str) -> None:
        command = [*other, str(BINARIES[-1] / program), "-D", str(directory / "data"), *words]
        subprocess.run(command, check=True, cwd=directory, stdout=subprocess.DEVNULL)

    run("initdb", "--auth=trust", "--username=postgres", "--no-sync")
    options = f"-p {port} -k {directory} -c listen_addresses=127.0.0.1 -c fsync=off"
    run("pg_ctl", "--wait", "--log", str(directory / "log"), "-o", options, "start")
    yield f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres"
    run("pg_ctl", "--wait", "--mode=immediate", "stop")
    shutil.rmtree(directory)


def finished(server: str, study: str) -> list[optuna.trial.FrozenTrial]:
    open_storage.cache_clear()
    trials = optuna.load_study(study_name=study, storage=open_storage(server)).trials
    assert not [trial for trial in trials if not trial.state.is_finished()]
    return trials


def start(cwd: Path, *words: str) -> subprocess.Popen:
    command = [sys.executable, str(ROOT / "train.py"), *WORDS, *words]
    return subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_for_runs(sweep: Path, count: int, process: subprocess.Popen) -> None:
    end = time.monotonic() + 90
    while len(list(sweep.glob(f"*/{ledger.METRICS}"))) < count:
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < end
        time.sleep(0.02)


def workers_of(process: subprocess.Popen) -> list[int]:
    """Processes that a command has forked, whichever of its threads did."""
    lists = Path(f"/proc/{process.pid}/task").glob("*/children")
    return sorted(int(child) for path in lists for child in path.read_text().split())


def test_a_killed_workers_trial_is_asked_again(server, tmp_path):
    search = ("hydra.sweeper.n_trials=24", "hydra.sweeper.workers=4", "hydra.sweeper.study_name=workers")
    process = start(tmp_path, *search, f"hydra.sweeper.storage={server}", "hydra.sweep.dir=sweep")
    wait_for_runs(tmp_path / "sweep", 3, process)
    os.kill(workers_of(process)[0], signal.SIGKILL)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0, out
    assert "workers died, their trials are asked again" in out
    trials = finished(server, "workers")
    assert [trial.number for trial in trials if trial.state == TrialState.COMPLETE] == list(range(24))
    assert [row["state"] for row in results(tmp_path / "sweep")] == ["COMPLETE"] * 24
    for number, trial in enumerate(trials):
        run = ledger.run_directory(tmp_path / "sweep", number)
        assert ledger.metrics(run)["val/loss"] == trial.value


def test_two_commands_join_one_study(server, tmp_path):
    search = ("hydra.sweeper.n_trials=16", "hydra.sweeper.study_name=joined", f"hydra.sweeper.storage={server}")
    commands = [start(tmp_path, *search, "hydra.sweeper.batch=2", f"hydra.sweep.dir={name}") for name in "ab"]
    for process in commands:
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 0, out
    trials = finished(server, "joined")
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 16
    runs = sorted(path.parent.name for path in tmp_path.glob(f"?/*/{ledger.METRICS}"))
    assert runs == [f"{number:04d}" for number in range(16)]
