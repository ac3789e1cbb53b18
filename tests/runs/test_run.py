"""The files of a run: whole or not at all, states, floats that read back to the same bits."""

import csv
import errno
import json
import math
import os
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronsweep.errors import Unwritable, UserError
from neuronsweep.runs import contents, files
from neuronsweep.runs.run import Run

# As much of a record as makes it one.
NODES: dict[str, dict] = {key: {} for key in ("data", "model", "optimizer", "scheduler", "trainer", "logger", "module")}
BEGUN = {"command": "train", "overrides": [], "config": NODES, "environment": {}}
BEGUN |= {"data_digest": "abc", "source_digest": "abc"}


@pytest.fixture
def run(tmp_path):
    """The directory of a run that has begun."""
    directory = tmp_path / "run"
    directory.mkdir()
    Run(directory).begin("lightning", "abc", BEGUN, "diff")
    return directory


def complete(run):
    Run(run).complete([(1, {"train/loss": math.pi})], {"train/loss": math.pi}, b"model", b"png", 1.5)


def test_a_file_is_whole_or_not_there(tmp_path, monkeypatch):
    path = tmp_path / "file.json"
    files.write(path, "old")

    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unwritable, match="no space"):
        files.write(path, "new", durable=True)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.json"]


@given(st.floats(allow_nan=False))
def test_floats_read_back_to_the_same_bits(tmp_path_factory, value):
    directory = tmp_path_factory.mktemp("floats")
    files.write_json(directory / "metrics.json", {"value": value})
    Run(directory).write_history([(1, {"value": value})])
    row = next(csv.DictReader((directory / "history.csv").read_text().splitlines()))
    for read in (json.loads((directory / "metrics.json").read_text())["value"], float(row["value"])):
        assert struct.pack("d", read) == struct.pack("d", value)


def test_a_run_goes_from_running_to_its_end(run):
    status = Run(run).status()
    assert (status["state"], status["pid"], status["fingerprint"]) == ("RUNNING", os.getpid(), "abc")
    complete(run)
    status = Run(run).verified()
    assert (status["state"], status["seconds"]) == ("COMPLETE", 1.5)
    assert status["ended"] >= status["started"]
    assert Run(run).metrics() == {"train/loss": math.pi}
    assert Run(run).history() == [(1, {"train/loss": math.pi})]


def test_what_is_continued_keeps_its_record_its_seconds_and_its_start(run):
    Run(run).update(seconds=3.0)
    before = Run(run).status()
    Run(run).begin("lightning", "abc", {"command": "resume"}, "")
    status = Run(run).status()
    assert (status["seconds"], status["started"]) == (3.0, before["started"])
    assert [again["command"] for again in status["continued"]] == ["resume"]
    assert Run(run).record() == BEGUN


def test_what_a_killed_process_left_half_written_is_removed(run):
    (run / ".metrics.json.abc.tmp").touch()
    Run(run).begin("lightning", "abc", {}, "")
    assert not list(run.glob("*.tmp"))
    assert not list(run.glob(".*.tmp"))


def harm(path, how):
    content = path.read_bytes()
    if how == "deleted":
        path.unlink()
    elif how == "shortened":
        path.write_bytes(content[: len(content) // 2])
    else:
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])


@pytest.mark.parametrize("how", ["deleted", "shortened", "flipped"])
@pytest.mark.parametrize("name", [contents.RECORD, contents.PATCH, contents.METRICS, contents.HISTORY, contents.MODEL])
def test_a_harmed_file_of_a_run_that_has_ended_is_named(run, name, how):
    complete(run)
    harm(run / name, how)
    with pytest.raises(files.Damaged, match=name.replace(".", r"\.")):
        Run(run).metrics()
    with pytest.raises(files.Damaged):
        Run(run).ended("abc")


def test_every_flipped_bit_of_a_status_is_seen(run):
    complete(run)
    path = run / contents.STATUS
    content, whole = path.read_bytes(), Run(run).status()
    for place in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[place // 8] ^= 1 << place % 8
        path.write_bytes(flipped)
        try:
            assert Run(run).status() == whole  # a space for another white space
        except files.Damaged:
            continue


def test_a_run_is_what_its_fingerprint_says(run):
    assert Run(run).ended("abc") is None
    complete(run)
    ended = Run(run).ended("abc")
    assert ended is not None
    assert ended["state"] == "COMPLETE"
    with pytest.raises(UserError, match="another config"):
        Run(run).ended("other")


def test_a_discarded_run_has_not_begun(run):
    complete(run)
    Run(run).discard()
    assert not run.exists()


def test_a_file_may_be_read_by_whom_the_umask_says(tmp_path):
    before = os.umask(0o027)
    try:
        files.write(tmp_path / "file.json", "{}")
        os.umask(0o007)
        files.write(tmp_path / "group.json", "{}")
    finally:
        os.umask(before)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("file.json", "group.json")] == [0o640, 0o660]


def test_what_somebody_else_wrote_is_moved_whole_or_a_full_disk_is_told(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    temporary, path = tmp_path / ".resume.ckpt.tmp", tmp_path / contents.CHECKPOINT
    path.write_text("before")
    temporary.write_text("now")
    with monkeypatch.context() as patched:
        patched.setattr(files, "before_rename", full)
        with pytest.raises(Unwritable, match=r"resume\.ckpt cannot be written: No space left"):
            files.move(temporary, path)
    assert [entry.name for entry in tmp_path.iterdir()] == [contents.CHECKPOINT]
    assert path.read_text() == "before"


def test_a_disk_without_room_is_told_and_leaves_what_was_there(run, monkeypatch):
    def full(path):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "before_rename", full)
    before = (run / contents.STATUS).read_bytes()
    with pytest.raises(Unwritable, match=r"status\.json cannot be written: No space left"):
        Run(run).update(seconds=1.0)
    assert (run / contents.STATUS).read_bytes() == before


@pytest.mark.parametrize(("content", "message"), [(None, "not a run directory"), ("[]", "damaged"), ("{", "damaged")])
def test_what_is_no_status_is_told(tmp_path, content, message):
    if content is not None:
        (tmp_path / contents.STATUS).write_text(content)
    with pytest.raises(UserError, match=message):
        Run(tmp_path).status()


def test_results_without_a_status_are_not_those_of_the_run_that_begins(run):
    complete(run)
    (run / contents.CHECKPOINT).write_text("of another run")
    (run / contents.STATUS).unlink()
    Run(run).begin("lightning", "other", {"command": "train"}, "")
    left = {path.name for path in run.iterdir()}
    assert left == {contents.STATUS, contents.RECORD}


def test_a_run_that_has_ended_or_is_another_is_not_begun_over(run):
    with pytest.raises(UserError, match="contains another run"):
        Run(run).begin("lightning", "other", {}, "")
    complete(run)
    with pytest.raises(UserError, match="COMPLETE: it is not overwritten"):
        Run(run).begin("lightning", "abc", {}, "")
