"""The record and the fingerprint."""

import hashlib
import subprocess

from neuronsweep.config.check import plain
from neuronsweep.config.secret_values import without_secrets
from neuronsweep.runs import record

CONFIG = {"seed": 0, "threads": 1, "model": {"hidden": 8}, "trainer": {"accelerator": "cpu", "checkpoint_seconds": 5}}


def test_fingerprint_is_that_of_config_source_and_data(monkeypatch):
    plain = record.fingerprint(CONFIG, "data")
    assert plain == record.fingerprint(dict(reversed(CONFIG.items())), "data")
    assert plain != record.fingerprint({**CONFIG, "seed": 1}, "data")
    assert plain != record.fingerprint(CONFIG, "other data")
    assert plain == record.fingerprint({**CONFIG, "logger": {"_target_": "x"}}, "data")
    monkeypatch.setattr(record, "source_digest", lambda: "other source")
    assert plain != record.fingerprint(CONFIG, "data")


def test_record_names_command_code_and_environment():
    content = record.record(["seed=0"], CONFIG, "digest")
    assert content["config"] == CONFIG
    assert content["environment"]["packages"]["hydra-core"]
    assert {"command", "git_sha", "git_dirty", "source_digest", "constraints_digest", "data_digest"} <= content.keys()
    assert content["environment"]["threads"] == 1


def test_flatten():
    assert record.flatten({"a": {"b": {"c": 1}}, "d": [2]}) == {"a.b.c": 1, "d": [2]}


def test_what_looks_like_a_secret_is_left_out():
    words = ["hydra.sweeper.storage=postgresql+psycopg://me:let-me-in@host/db", "logger.api_key=abc", "seed=1"]
    told = without_secrets({"overrides": words, "token": "abc", "model": {"hidden": 8, "Password": "x"}})
    assert told["overrides"] == [
        "hydra.sweeper.storage=postgresql+psycopg://me:***@host/db",
        "logger.api_key=***",
        "seed=1",
    ]
    assert (told["token"], told["model"]) == ("***", {"hidden": 8, "Password": "***"})
    mapping = without_secrets("+logger={_target_: mine.Logger, api_key: abc, n: 3}")
    assert mapping == "+logger={_target_: mine.Logger, api_key: ***, n: 3}"


def test_a_part_of_a_name_makes_no_secret():
    words = [
        "data.n_tokens=8",
        "+data.tokens=3",
        "data.passwords_file=a.csv",
        "data.secretary=true",
        "data.token_size=2",
    ]
    assert without_secrets(words) == words
    data = {"n_tokens": 8, "token_size": 2, "monkey": 1, "key": "a", "token": None}
    assert without_secrets({"data": data}) == {"data": data}


def test_a_loggers_values_from_the_environment_are_left_out_and_numbers_are_not(composed, monkeypatch):
    monkeypatch.setenv("MY_ENTRY", "open sesame")
    monkeypatch.setenv("MY_RATE", "0.125")
    cfg = composed("optimizer.lr=${oc.env:MY_RATE}").copy()
    cfg.logger = {"_target_": "mine.Logger", "entry": "${oc.env:MY_ENTRY}", "name": "sine"}
    told = record.record([], plain(cfg), "digest")["config"]
    assert without_secrets({"mine.api_key": "abc", "mine.n_tokens": 3}) == {"mine.api_key": "***", "mine.n_tokens": 3}
    assert told["logger"] == {"_target_": "mine.Logger", "entry": "***", "name": "sine"}
    assert told["optimizer"]["lr"] == 0.125


def test_differences_name_keys_source_and_data(composed, monkeypatch):
    config = plain(composed("data=moons"))
    asked = record.record([], config, "digest")
    assert record.differences(asked, config, "digest") == []
    other = plain(composed("data=moons", "model.act=tanh", "logger=none"))
    assert record.differences(asked, other, "digest") == ["model.act was relu and is tanh"]
    assert record.differences(asked, config, "other") == ["the data changed"]
    assert record.differences(asked, plain(composed("data=moons", "data.seed=1")), "other") == [
        "data.seed was 42 and is 1"
    ]
    monkeypatch.setattr(record, "source_digest", lambda: "other")
    assert record.differences(asked, config, "digest") == ["the package's source changed"]


def test_a_record_has_the_seeds_and_what_git_does_not_know(composed, tmp_path, monkeypatch):
    asked = record.record([], plain(composed("data=moons", "seed=3")), "digest")
    assert asked["seeds"] == {"seed": 3, "data.seed": 42, "data.val_seed": 7}
    source = tmp_path / "src" / "neuronsweep"
    source.mkdir(parents=True)
    (source / "new.py").write_text("x = 1\n")
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    monkeypatch.setattr(record, "SOURCE", source)
    assert record.untracked.__wrapped__() == {"src/neuronsweep/new.py": hashlib.sha256(b"x = 1\n").hexdigest()}
