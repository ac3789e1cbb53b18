"""A study outlives its processes: exact totals, trials given back, samplers that do not repeat themselves."""

import multiprocessing
import os
import resource
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import optuna
import pytest
from optuna.trial import TrialState

from neuronsweep.cli import STORAGE_PASSWORD, _hide_password
from neuronsweep.errors import Unwritable, UserError, mask
from neuronsweep.search import heartbeat, samplers, study
from neuronsweep.search.ask_tell import Asker
from neuronsweep.search.objectives import Goals
from neuronsweep.search.parameters import Choice, Numbers
from neuronsweep.search.space import Space
from neuronsweep.search.storage import _with_password, open_storage
from neuronsweep.search.study import MOST_TRIES, OWNER, Outcome

GOALS = Goals((("val/loss", "min"),))
SPACE = Space(
    (
        Numbers("model.hidden", 2, 9, 1, False, True),
        Numbers("optimizer.lr", 1e-3, 1.0, None, True, False),
        Choice("model.act", ("relu", "tanh"), ("relu", "tanh")),
    ),
    None,
    None,
    ("model.hidden", "optimizer.lr", "model.act"),
)
FINITE = Space(SPACE.dimensions[::2], None, None, ("model.hidden", "model.act"))
SEARCH = {"space": SPACE.describe(), "objectives": [["val/loss", "min"]], "config": []}


@pytest.fixture
def begun(tmp_path):
    """begun(total): the study in tmp_path/journal, as a new process finds it."""

    def begun(total=10, guesses=(), directions=("minimize",), name="journal"):
        open_storage.cache_clear()
        storage = open_storage(str(tmp_path / name))
        study.create(storage, "sweep", SEARCH, False, directions)
        return study.fill(storage, "sweep", total, guesses)

    return begun


def value(params):
    return params["model.hidden"] * 0.1 + abs(params["optimizer.lr"] - 0.05)


def train(found, batch, sampler="tpe", seed=0, most=1000):
    """Train trials of a study in batches until there are no more; returns all parameters."""
    sampling = samplers.sampling(sampler, {}, seed, SPACE, GOALS)
    for _ in range(most):
        numbers = found.claim(batch)
        if not numbers:
            break
        params = {number: found.suggest(number, sampling(number), SPACE.suggest) for number in numbers}
        for number in numbers:
            found.tell(number, Outcome(TrialState.COMPLETE, [value(params[number])]))
    return [trial.params for trial in found.trials() if trial.params]


def test_a_study_has_its_total_and_no_more(begun):
    found = begun(10)
    assert [trial.number for trial in found.trials(TrialState.WAITING)] == list(range(10))
    train(found, 4)
    assert (found.unfinished(), len(begun(10).trials())) == (0, 10)
    larger = begun(13)
    assert larger.unfinished() == 3
    train(larger, 4)
    assert [trial.number for trial in larger.trials(TrialState.COMPLETE)] == list(range(13))
    assert begun(5).claim(4) == []


def test_batches_end_at_their_multiples(begun):
    found = begun(10)
    assert found.claim(4) == [0, 1, 2, 3]
    for number in (1, 2):
        found.release(number)
    assert found.claim(4) == [1, 2]
    assert found.claim(4) == [4, 5, 6, 7]
    assert found.claim(4) == [8, 9]


@pytest.mark.parametrize("sampler", ["tpe", "random", "cmaes", "nsgaii", "qmc"])
def test_equal_searches_ask_for_equal_parameters_and_an_interrupted_one_for_no_other(begun, sampler):
    whole = train(begun(12, name="whole"), 4, sampler)
    assert len({tuple(params.values()) for params in whole}) == 12
    stopped = begun(12)
    train(stopped, 4, sampler, most=1)
    numbers = stopped.claim(4)
    sampling = samplers.sampling(sampler, {}, 0, SPACE, GOALS)
    asked = [stopped.suggest(number, sampling(number), SPACE.suggest) for number in numbers[:2]]
    for number in numbers:  # the process dies with four trials claimed and two of them asked
        stopped.release(number)
    again = begun(12)
    assert train(again, 4, sampler) == whole
    assert asked == whole[4:6]
    assert train(begun(12, name="other"), 4, sampler, seed=1) != whole or sampler == "qmc"


def test_gp_asks_for_equal_parameters(begun):
    runs = [train(begun(12, name=name), 6, "gp") for name in ("one", "other")]
    assert runs[0] == runs[1]


@pytest.mark.parametrize("sampler", ["grid", "brute"])
def test_exhaustive_samplers_try_everything_once(begun, sampler):
    size = FINITE.size(1000)
    found = begun(size)
    sampling = samplers.sampling(sampler, {}, 0, FINITE, GOALS)
    seen = []
    while numbers := found.claim(5):
        for number in numbers:
            seen.append(tuple(found.suggest(number, sampling(number), FINITE.suggest).values()))
        for number in numbers:
            found.tell(number, Outcome(TrialState.COMPLETE, [1.0]))
    assert len(set(seen)) == len(seen) == size == 16


def test_first_guesses_come_first(begun):
    guess = {"model.hidden": 5, "optimizer.lr": 0.5, "model.act": "tanh"}
    found = begun(4, [guess])
    assert train(found, 2)[0] == guess
    assert begun(6, [guess]).unfinished() == 2


def test_trials_of_dead_processes_are_given_back_with_their_parameters(begun):
    found = begun(4)
    sampling = samplers.sampling("tpe", {}, 0, SPACE, GOALS)
    (number,) = found.claim(1)
    params = found.suggest(number, sampling(number), SPACE.suggest)
    assert found.reclaim() == 0  # its owner lives
    dead = subprocess.run(
        [sys.executable, "-c", "from neuronsweep.runs import process_identity; print(process_identity.identity())"],
        capture_output=True,
        text=True,
    ).stdout.strip()
    found.storage.set_trial_user_attr(found._trial_id(number), OWNER, dead)
    assert found.reclaim() == 1
    assert found.claim(1) == [number]
    assert found.suggest(number, sampling(number), SPACE.suggest) == params


def test_a_trial_whose_processes_die_ends(begun):
    found = begun(1)
    for _ in range(MOST_TRIES):
        assert found.claim(1) == [0]
        found.release(0, blame=True)
    (trial,) = found.trials()
    assert trial.state == TrialState.FAIL
    assert "died" in trial.user_attrs["error"]
    found.release(0, blame=True)
    found.tell(0, Outcome(TrialState.COMPLETE, [1.0]))
    assert found.trials()[0].state == TrialState.FAIL


def test_who_is_alive(monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(heartbeat, "time", SimpleNamespace(monotonic=lambda: clock[0], time=time.time))
    monkeypatch.setattr(heartbeat, "_seen", {})
    me = heartbeat.identity()
    machine, pid, started = me.rsplit(":", 2)
    assert heartbeat.is_alive(me, {})
    assert not heartbeat.is_alive(f"{machine}:{pid}:{int(started) - 1}", {})  # a number that was given again
    elsewhere = "other/pid:1:1"
    assert not heartbeat.is_alive(elsewhere, {})
    for wrong in (-3600, 0, 3600):  # whatever the clock of the other machine says, its signs of life come or do not
        assert heartbeat.is_alive(elsewhere, {heartbeat.KEY + elsewhere: time.time() + wrong})
    clock[0] += heartbeat.GRACE - 1
    assert heartbeat.is_alive(elsewhere, {heartbeat.KEY + elsewhere: "next"})
    clock[0] += heartbeat.GRACE - 1
    assert heartbeat.is_alive(elsewhere, {heartbeat.KEY + elsewhere: "next"})
    clock[0] += 1
    assert not heartbeat.is_alive(elsewhere, {heartbeat.KEY + elsewhere: "next"})


def test_a_process_is_not_forked_while_a_sign_of_life_is_written():
    writing, forked = threading.Event(), threading.Event()
    in_the_midst = []

    class Slow:
        def set_user_attr(self, key, value):
            if threading.current_thread() is not threading.main_thread():
                writing.set()
                in_the_midst.append(forked.wait(0.5))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heartbeat, "BEAT", 0.01)
        with heartbeat.Heart(Slow()):
            assert writing.wait(10)
            if (pid := os.fork()) == 0:
                os._exit(not heartbeat._beating.acquire(timeout=5))
            forked.set()
            assert os.waitpid(pid, 0)[1] == 0
            assert not in_the_midst[0]


def test_another_search_under_the_same_name_is_refused(begun, tmp_path):
    storage = begun(3).storage
    assert study.check_search(storage, "sweep", SEARCH, False)
    assert not study.check_search(storage, "other", SEARCH, False)
    for key, other in [("space", FINITE.describe()), ("objectives", [["val/loss", "max"]]), ("config", ["epochs=9"])]:
        with pytest.raises(UserError, match=f"whose {key} was"):
            study.check_search(storage, "sweep", {**SEARCH, key: other}, False)
    optuna.create_study(storage=storage, study_name="theirs").add_trial(optuna.create_trial(value=1.0))
    with pytest.raises(UserError, match="another program's"):
        study.check_search(storage, "theirs", SEARCH, False)


def test_several_that_begin_a_study_at_once_make_its_trials_once(tmp_path):
    def begin(_):
        storage = open_storage.__wrapped__(str(tmp_path / "journal"))
        study.check_search(storage, "sweep", SEARCH, False)
        study.create(storage, "sweep", SEARCH, False, ("minimize",))
        return study.fill(storage, "sweep", 40, [{"model.hidden": 3}])

    with ThreadPoolExecutor(4) as pool:
        studies = list(pool.map(begin, range(4)))
    assert [len(found.optuna.trials) for found in studies] == [40] * 4


def test_a_study_whose_maker_was_killed_is_filled_by_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr(study, "FILLING", 0.2)
    storage = open_storage.__wrapped__(str(tmp_path / "journal"))
    optuna.create_study(storage=storage, study_name="sweep").set_user_attr(study.SEARCH, SEARCH)
    study.create(storage, "sweep", SEARCH, False, ("minimize",))
    assert len(study.fill(storage, "sweep", 10, ()).trials()) == 10


def test_a_process_killed_with_the_journal_locked_stops_nobody(begun, tmp_path):
    found = begun(3)
    code = (
        "import fcntl, os, signal\n"
        f"file = open({str(tmp_path / 'journal')!r}, 'ab'); fcntl.flock(file, fcntl.LOCK_EX)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    assert found.claim(1) == [0]
    assert sorted(os.listdir(tmp_path)) == ["journal"]


def test_passwords_leave_the_command_line_and_no_message_has_them(monkeypatch):
    monkeypatch.delenv(STORAGE_PASSWORD, raising=False)
    secret = "s3cr/t:w@rd"
    words = ["-m", f"hydra.sweeper.storage=postgresql+psycopg://me:{quote(secret, safe='')}@localhost:1/db"]
    _hide_password(words)
    assert words[1] == "hydra.sweeper.storage=postgresql+psycopg://me@localhost:1/db"
    assert os.environ[STORAGE_PASSWORD] == secret
    assert mask("at postgresql://me:abc@host/db") == "at postgresql://me:***@host/db"
    assert mask("at postgresql://me:a@bc@host/db") == "at postgresql://me:***@host/db"
    assert _with_password("postgresql://me@host/db") == f"postgresql://me:{quote(secret, safe='')}@host/db"
    words = ["hydra.sweeper.storage='postgresql://host/db?user=me&password=abc&port=1'"]
    _hide_password(words)
    assert words == ["hydra.sweeper.storage='postgresql://host/db?user=me&port=1'"]
    assert _with_password("postgresql://host/db?user=me") == "postgresql://host/db?user=me&password=abc"
    assert mask("postgresql://host/db?password=abc&user=me") == "postgresql://host/db?password=***&user=me"
    monkeypatch.delenv(STORAGE_PASSWORD)


def test_a_journal_that_was_cut_or_cannot_grow_goes_on(begun, tmp_path):
    begun(3)
    journal = tmp_path / "journal"
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-20])  # its process was killed in the middle of a line
    assert len(begun(3).trials(TrialState.WAITING)) == 3
    found = begun(3)
    before, limits = journal.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 30, limits[1]))
    try:
        with pytest.raises(Unwritable, match="journal cannot be written: File too large"):
            found.claim(3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert journal.read_bytes() == before
    assert len(train(begun(3), 3)) == 3


def test_what_is_told_of_a_trial_that_others_have_ended_or_got_back_is_in_vain(begun, tmp_path):
    first = begun(3)
    assert first.claim(3) == [0, 1, 2]
    other = study.Study(open_storage.__wrapped__(str(tmp_path / "journal")), "sweep", 3)
    for number in range(3):
        other.release(number)
    assert other.claim(2) == [0, 1]
    for number in range(2):
        other.tell(number, Outcome(TrialState.COMPLETE, [1.0], attrs={"directory": "a", "fingerprint": "b"}))
    for number in range(3):
        first.tell(number, Outcome(TrialState.COMPLETE, [2.0], attrs={"directory": "c", "fingerprint": "d"}))
    states = [TrialState.COMPLETE, TrialState.COMPLETE, TrialState.WAITING]
    assert [trial.state for trial in first.trials()] == [trial.state for trial in other.trials()] == states
    assert [trial.user_attrs["directory"] for trial in first.trials(TrialState.COMPLETE)] == ["a", "a"]


def test_a_process_forked_while_the_journal_is_written_does_not_lock_it(begun):
    found = begun(3)
    lock = found.storage.journal._lock
    lock.acquire()
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    child.start()
    lock.release()
    try:
        assert found.claim(1) == [0]
    finally:
        child.kill()
        child.join()


def test_who_is_stopped_gives_its_trials_back_and_blames_none(begun):
    class Stopped:
        def train(self, jobs):
            raise KeyboardInterrupt

        def outcome(self, number):
            raise AssertionError("none has ended")

        def show_progress(self):
            raise AssertionError("none has ended")

    sampling = samplers.sampling("tpe", {}, 0, SPACE, GOALS)
    search: Any = SimpleNamespace(
        batch=2, sampling=sampling, space=SPACE, overrides=SPACE.overrides, check_overrides=lambda overrides: None
    )
    for _ in range(MOST_TRIES + 1):
        found = begun(4)
        with pytest.raises(KeyboardInterrupt):
            Asker(found, search, Stopped()).run()
    waiting = found.trials(TrialState.WAITING)
    assert [(trial.number, bool(trial.params)) for trial in waiting] == [(0, True), (1, True), (2, False), (3, False)]


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("/nowhere/journal", "No such file"),
        ("nosuchdb://host/db", "nosuchdb"),
        ("sqlite:////nowhere/study.db", "unable to open"),
    ],
)
def test_a_storage_that_cannot_be_reached_is_named(where, message):
    with pytest.raises(UserError, match=message) as error:
        open_storage(where)
    assert f"hydra.sweeper.storage={where}" in str(error.value)


def test_unknown_and_impossible_options_are_refused():
    wrong: list[tuple[str, dict[str, Any], str]] = [
        ("tpe", {"n_startup_trial": 3}, "did you mean n_startup_trials"),
        ("nsgaii", {"population_size": 1}, "population_size"),
        ("grid", {}, "choices and ranges only"),
        ("brute", {}, "choices and ranges only"),
    ]
    for name, options, message in wrong:
        with pytest.raises(UserError, match=message):
            samplers.sampling(name, options, 0, SPACE, GOALS)
    with pytest.raises(UserError, match="several objectives"):
        samplers.sampling("cmaes", {}, 0, SPACE, Goals((("val/loss", "min"), ("params", "min"))))
    wrong = [
        ("hyperband", {"reduction_facto": 3}, "did you mean reduction_factor"),
        ("percentile", {"percentile": 101.0}, "between 0 and 100"),
        ("patient", {"wrapped": "patient"}, "names another pruner"),
    ]
    for name, options, message in wrong:
        with pytest.raises(UserError, match=message):
            samplers.pruner(name, options, 100)
