"""The ledger: files whole or not at all, states, floats that read back to the same bits."""

import csv
import json
import math
import os
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronsweep.errors import UserError
from neuronsweep.sweeps import ledger


def test_a_file_is_whole_or_not_there(tmp_path, monkeypatch):
    path = tmp_path / "file.json"
    ledger.write(path, "old")

    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        ledger.write(path, "new")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.json"]


@given(st.floats(allow_nan=False))
def test_floats_read_back_to_the_same_bits(tmp_path_factory, value):
    directory = tmp_path_factory.mktemp("floats")
    ledger.write_json(directory / "metrics.json", {"value": value})
    ledger.write_history(directory, [(1, {"value": value})])
    row = next(csv.DictReader((directory / "history.csv").open()))
    for read in (json.loads((directory / "metrics.json").read_text())["value"], float(row["value"])):
        assert struct.pack("d", read) == struct.pack("d", value)


def test_a_run_goes_from_running_to_its_end(tmp_path):
    ledger.start(tmp_path, "lightning", "abc")
    status = ledger.status(tmp_path)
    assert (status["state"], status["pid"], status["fingerprint"]) == ("RUNNING", os.getpid(), "abc")
    assert ledger.living(tmp_path)
    ledger.complete(tmp_path, [(1, {"train/loss": math.pi})], {"train/loss": math.pi}, b"model", b"png", 1.5)
    status = ledger.status(tmp_path)
    assert (status["state"], status["seconds"]) == ("COMPLETE", 1.5)
    assert status["ended"] >= status["started"]
    assert not ledger.living(tmp_path)


def test_seconds_of_an_interrupted_try_are_kept(tmp_path):
    ledger.start(tmp_path, "lightning", "abc")
    ledger.update(tmp_path, seconds=3.0)
    started = ledger.status(tmp_path)["started"]
    ledger.start(tmp_path, "lightning", "abc")
    assert (ledger.status(tmp_path)["seconds"], ledger.status(tmp_path)["started"]) == (3.0, started)


def test_a_run_of_a_process_that_is_gone_does_not_live(tmp_path):
    ledger.start(tmp_path, "lightning", "abc")
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    ledger.update(tmp_path, pid=child)
    assert not ledger.living(tmp_path)


@pytest.mark.parametrize(("content", "message"), [(None, "not a run directory"), ("[]", "damaged"), ("{", "cannot be")])
def test_what_is_no_status_is_told(tmp_path, content, message):
    if content is not None:
        (tmp_path / ledger.STATUS).write_text(content)
    with pytest.raises(UserError, match=message):
        ledger.status(tmp_path)
