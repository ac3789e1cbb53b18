"""Numbers of a sweep's jobs: those that are there stay, further ones follow, whatever is left of sweep.json."""

import json

import pytest

from neuronsweep.errors import UserError
from neuronsweep.launch.numbering import check_shard, numbered
from neuronsweep.runs import contents
from neuronsweep.runs.run import Run
from neuronsweep.runs.sweep import numbers

NODES: dict[str, dict] = {key: {} for key in ("data", "model", "optimizer", "scheduler", "trainer", "logger", "module")}
RECORD = {"command": "train", "config": NODES, "environment": {}, "data_digest": "abc", "source_digest": "abc"}


def grid(widths, seeds):
    return [[f"model.hidden={width}", f"seed={seed}"] for width in widths for seed in range(seeds)]


def describe(directory, jobs, **more):
    (directory / contents.SWEEP).write_text(json.dumps({"jobs": jobs, **more}))


def begin(directory, number, job):
    run = directory / f"{number:04d}"
    run.mkdir()
    Run(run).begin("native", "abc", {**RECORD, "overrides": job}, "")


def test_a_new_directory_has_the_order_of_the_command(tmp_path):
    assert numbered(tmp_path, grid([2, 8], 2), None) == grid([2, 8], 2)


def test_what_is_there_keeps_its_numbers_and_one_line_says_so(tmp_path, capsys):
    describe(tmp_path, grid([2, 8], 2))
    found = numbered(tmp_path, grid([2, 8, 32], 3), None)
    assert found[:4] == grid([2, 8], 2)
    assert found[4:] == [job for job in grid([2, 8, 32], 3) if job not in grid([2, 8], 2)]
    said = capsys.readouterr().out
    assert said.startswith("extends the sweep of 4 runs in ")
    assert said.endswith(" to 9: what is there is kept, under its numbers\n")
    describe(tmp_path, found)
    assert numbered(tmp_path, grid([2, 8, 32], 3), None) == found
    assert numbered(tmp_path, sorted(map(list, found), reverse=True), None) == found  # such as shuffled values
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("jobs", [grid([2], 2), grid([2, 32], 8), [["seed=0"], ["seed=1"]]])
def test_without_what_is_there_it_is_another_sweep(tmp_path, jobs):
    describe(tmp_path, grid([2, 8], 2))
    with pytest.raises(UserError, match=r"it contains another sweep: .*; a command with more values extends a sweep"):
        numbered(tmp_path, jobs, None)


def test_jobs_that_are_equal_are_told_apart(tmp_path):
    describe(tmp_path, [["seed=1"], ["seed=1"]])
    assert numbered(tmp_path, [["seed=0"], ["seed=1"], ["seed=1"]], None) == [["seed=1"], ["seed=1"], ["seed=0"]]
    with pytest.raises(UserError, match="another sweep"):
        numbered(tmp_path, [["seed=0"], ["seed=1"]], None)


@pytest.mark.parametrize("left", [None, "", "{", "{}"])
def test_where_sweep_json_is_lost_the_runs_know_their_numbers(tmp_path, left):
    extended = numbered(tmp_path, grid([2, 8], 2), None)
    describe(tmp_path, extended)
    extended = numbered(tmp_path, grid([2, 8], 3), None)
    for number in (1, 3, 4):
        begin(tmp_path, number, extended[number])
    (tmp_path / "0005").mkdir()  # nothing in it says what it was
    (tmp_path / contents.SWEEP).unlink()
    if left is not None:
        (tmp_path / contents.SWEEP).write_text(left)
    found = numbered(tmp_path, grid([2, 8], 3), None)
    assert [found[number] for number in (1, 3, 4)] == [extended[number] for number in (1, 3, 4)]
    assert sorted(map(list, found)) == sorted(map(list, extended))


def test_secrets_are_compared_as_they_are_kept(tmp_path):
    describe(tmp_path, [["logger.token=***", "seed=0"]])
    jobs = [["logger.token=abc", f"seed={seed}"] for seed in range(2)]
    assert numbered(tmp_path, jobs, None) == jobs


def test_a_shard_is_every_nth_run_and_has_its_own_directory(tmp_path):
    parts = [numbers({"jobs": grid([2, 8], 5), "shard": f"{i}/4"}) for i in range(1, 5)]
    assert list(parts[1]) == [1, 5, 9]
    assert sorted(number for part in parts for number in part) == list(range(10))
    describe(tmp_path, grid([2, 8], 2), shard="1/4")
    assert numbered(tmp_path, grid([2, 8], 2), "1/4") == grid([2, 8], 2)
    for shard, held in ((None, "not set"), ("2/4", "2/4")):
        with pytest.raises(UserError, match=f"it contains shard 1/4 of a sweep, and hydra.sweeper.shard is {held}"):
            numbered(tmp_path, grid([2, 8], 2), shard)


@pytest.mark.parametrize("shard", ["0/4", "5/4", "1", "a/4", "1/0", "1/4/2", "-1/4"])
def test_what_is_no_shard_is_refused(shard):
    with pytest.raises(UserError, match=f"hydra.sweeper.shard={shard} is not allowed: hydra.sweeper.shard is I/N"):
        check_shard(shard, [])


def test_shards_of_shuffled_values_would_overlap():
    check_shard("2/4", ["seed=range(4)"])
    with pytest.raises(UserError, match="every shard would have another order"):
        check_shard("2/4", ["seed=shuffle(range(4))"])
