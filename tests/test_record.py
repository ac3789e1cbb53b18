"""The record and the fingerprint."""

from neuronsweep import record

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
