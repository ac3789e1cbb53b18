"""Killed at random moments and in the middle of writes, a sweep ends as if nothing had happened; also `make soak`."""

import random

import pytest

from tests.commands import NO_REPORT
from tests.kill_loop import GROWN, Counts, grown_kill_loop, kill_loop

NATIVE = (
    "data=moons",
    "batch_size=50",
    "model.hidden=2,8",
    "model.act=relu,tanh",
    "seed=range(3)",
    "epochs=30000",
    "log_points=20",
    "engine.snapshot_seconds=0.1",
)
BASIC = (
    "hydra/launcher=basic",
    "model.hidden=2,8",
    "seed=range(3)",
    "epochs=100",
    "trainer.checkpoint_seconds=0.05",
)


@pytest.mark.parametrize(("words", "kills"), [(NATIVE, 4), (BASIC, 2)])
def test_a_killed_sweep_loses_and_repeats_nothing(tmp_path, words, kills):
    counts = Counts()
    kill_loop("short", (*words, NO_REPORT), kills, tmp_path, random.Random(1), counts)
    assert (counts.kills, counts.runs_lost, counts.runs_repeated) == (kills, 0, 0)
    assert (counts.differences, counts.leftovers) == (0, 0)
    assert counts.runs_trained >= 6


def test_a_killed_sweep_in_shards_is_extended_merged_and_trimmed_all_the_same(tmp_path):
    counts = Counts()
    grown_kill_loop((*GROWN, NO_REPORT, "logger=none", "epochs=2000"), 6, tmp_path, random.Random(1), counts)
    assert (counts.kills, counts.runs_lost, counts.runs_repeated) == (6, 0, 0)
    assert (counts.differences, counts.leftovers, counts.runs_trained) == (0, 0, 18)
