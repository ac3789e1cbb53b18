"""A study that several processes share in PostgreSQL: none of its trials is lost or trained twice."""

import os
import signal
import time
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from benchmarks import postgres_workers
from neuronsweep.errors import Unwritable
from neuronsweep.runs import contents
from neuronsweep.runs.run import Run
from neuronsweep.runs.sweep import run_directory
from neuronsweep.search import study
from neuronsweep.search.storage import open_storage
from tests.commands import NO_REPORT, Script, wait_until
from tests.kill_loop import results

pytestmark = pytest.mark.skipif(
    not postgres_workers.PROGRAMS, reason="PostgreSQL is not installed: apt-get install postgresql"
)

WORDS = ("-m", "sweep=optuna", "data=moons", "epochs=3000", "log_points=3", "logger=none", NO_REPORT)


@pytest.fixture(scope="module")
def running():
    """A server of its own, which ends with the tests."""
    with postgres_workers.server() as found:
        yield found


@pytest.fixture
def server(running):
    return running.url


def finished(server: str, study: str) -> list[optuna.trial.FrozenTrial]:
    open_storage.cache_clear()
    trials = optuna.load_study(study_name=study, storage=open_storage(server)).trials
    assert not [trial for trial in trials if not trial.state.is_finished()]
    return trials


def start(cwd: Path, *words: str) -> Script:
    return Script("train.py", *WORDS, *words, cwd=cwd)


def workers_of(process: Script) -> list[int]:
    """Processes that a command has forked, whichever of its threads did."""
    lists = Path(f"/proc/{process.pid}/task").glob("*/children")
    return sorted(int(child) for path in lists for child in path.read_text().split())


def test_a_killed_worker_and_a_server_that_starts_anew_cost_no_trial(running, tmp_path):
    search = ("hydra.sweeper.n_trials=24", "hydra.sweeper.workers=4", "hydra.sweeper.study_name=workers")
    process = start(tmp_path, *search, f"hydra.sweeper.storage={running.url}", "hydra.sweep.dir=sweep")
    wait_until(lambda: len(list((tmp_path / "sweep").glob(f"*/{contents.METRICS}"))) >= 3, process)
    os.kill(workers_of(process)[0], signal.SIGKILL)
    running.stop()
    time.sleep(1)  # for everybody to see it
    running.start()
    out, error = process.communicate()
    assert process.returncode == 0, error
    assert "1 workers died, and their trials are given to others" in out, out
    trials = finished(running.url, "workers")
    assert [trial.number for trial in trials if trial.state == TrialState.COMPLETE] == list(range(24))
    assert [row["state"] for row in results(tmp_path / "sweep")] == ["COMPLETE"] * 24
    for number, trial in enumerate(trials):
        run = run_directory(tmp_path / "sweep", number)
        assert Run(run).metrics()["val/loss"] == trial.value


def test_a_server_that_stays_away_is_named_in_one_line(running, monkeypatch):
    open_storage.cache_clear()
    study.create(open_storage(running.url), "away", {}, False, ("minimize",))
    found = study.fill(open_storage(running.url), "away", 3, [])
    monkeypatch.setattr("neuronsweep.search.sql_storage.PATIENCE", 0.1)
    running.stop()
    try:
        for _ in range(2):  # not waited for a second time
            with pytest.raises(
                Unwritable, match=r"hydra.sweeper.storage=postgresql.* has not answered for 0.1 seconds"
            ):
                found.claim(2)
    finally:
        running.start()
    assert found.claim(2) == [0, 1]


def test_twenty_workers_lose_and_double_no_trial(server):
    found = postgres_workers.simulate(server, "many", workers=20, trials=60, batch=2)
    assert sorted(found.trained.elements()) == list(range(60))
    assert found.told == [TrialState.COMPLETE] * 60


def test_two_commands_join_one_study(server, tmp_path):
    search = ("hydra.sweeper.n_trials=16", "hydra.sweeper.study_name=joined", f"hydra.sweeper.storage={server}")
    commands = [
        start(tmp_path, *search, "hydra.sweeper.batch=2", "epochs=500", f"hydra.sweep.dir={name}") for name in "ab"
    ]
    for process in commands:
        _, error = process.communicate()
        assert process.returncode == 0, error
    trials = finished(server, "joined")
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 16
    runs = sorted(path.parent.name for path in tmp_path.glob(f"?/*/{contents.METRICS}"))
    assert runs == [f"{number:04d}" for number in range(16)]
