"""A sweep for its numbers alone."""

import pytest

from neuronsweep.errors import UserError
from neuronsweep.runs.run import COMPLETE, FAILED
from neuronsweep.studies import sweep_command
from neuronsweep.studies.runs import read
from tests.commands import ROOT

QUICK = ("data=line", "epochs=3", "log_points=2", "optimizer=sgd")


def test_numbers_are_all_that_is_made(tmp_path, capfd):
    sweep_command.run(ROOT, tmp_path / "sweep", [*QUICK, "optimizer.lr=0.01,0.02"])
    assert [run.state for run in read(tmp_path / "sweep")] == [COMPLETE] * 2
    assert not list((tmp_path / "sweep").glob("*/events.*"))
    assert "rank" not in capfd.readouterr().out


def test_runs_may_fail_where_that_is_allowed(tmp_path, capfd):
    words = [*QUICK, "optimizer.lr=0.01,1e30"]
    sweep_command.run(ROOT, tmp_path / "allowed", words, may_fail=True)
    assert [run.state for run in read(tmp_path / "allowed")] == [COMPLETE, FAILED]
    assert capfd.readouterr().err == ""
    with pytest.raises(UserError, match="did not end"):
        sweep_command.run(ROOT, tmp_path / "refused", words)


def test_a_mistake_is_told(tmp_path):
    with pytest.raises(UserError, match="epoch is not a key of the config"):
        sweep_command.run(ROOT, tmp_path / "sweep", ["epoch=3"], may_fail=True)
