"""Several sweeps as one: jobs, numbers, swept keys, and the command that trains all of it."""

from pathlib import Path
from typing import Any

import pytest

from neuronsweep.errors import UserError
from neuronsweep.runs import collect, contents, files, union
from neuronsweep.runs.results import Results
from neuronsweep.runs.run import Run

A, B = Path("a"), Path("b")
NODES: dict[str, dict] = {key: {} for key in ("data", "model", "optimizer", "scheduler", "trainer", "logger", "module")}
RECORD = {"command": "train", "environment": {}, "data_digest": "abc", "source_digest": "abc"}


def described(jobs, swept=("seed",), **more):
    told = {"objective": {"metric": "val/loss", "mode": "min"}, "source_digest": "abc", "config_words": []}
    told |= {"overrides": ["typed"], "hydra_overrides": ["hydra.sweeper.shard=1/2", "hydra/launcher=native"]}
    return {**told, "jobs": jobs, "swept": list(swept), "command": "python train.py", **more}


def seeds(*numbers, width=None):
    return [[*([f"model.hidden={width}"] if width else []), f"seed={number}"] for number in numbers]


def test_shards_of_a_sweep_are_the_sweep():
    found = union.description({A: described(seeds(0, 1), shard="1/2"), B: described(seeds(0, 1), shard="2/2")})
    assert found["jobs"] == seeds(0, 1)
    assert "shard" not in found
    assert (found["overrides"], found["hydra_overrides"]) == (["typed"], ["hydra/launcher=native"])


def test_further_values_follow_and_one_command_trains_a_grid():
    found = union.description({A: described(seeds(0, 1)), B: described(seeds(1, 2), command="other")})
    assert found["jobs"] == seeds(0, 1, 2)
    assert (found["overrides"], found["one_command"]) == (["seed=0,1,2"], True)
    assert found["command"] == "python train.py; other"
    assert union.places(seeds(1, 2), found["jobs"]) == [1, 2]


def test_of_what_is_no_grid_no_command_is_said():
    parts = {A: described(seeds(0, 1, width=2)), B: described(seeds(0, width=8))}
    found = union.description(parts)
    assert found["swept"] == ["seed", "model.hidden"]
    assert (found["overrides"], found["one_command"]) == ([], False)
    without = union.description({A: described(seeds(0)), B: described(seeds(0, width=8))})
    assert without["swept"] == ["seed", "model.hidden"]


def test_equal_jobs_are_told_apart():
    found = union.description({A: described(seeds(1)), B: described(seeds(1, 1))})
    assert found["jobs"] == seeds(1, 1)
    assert union.places(seeds(1, 1), found["jobs"]) == [0, 1]


@pytest.mark.parametrize("key", ["objective", "source_digest", "config_words"])
def test_what_differs_in_more_than_overrides_makes_no_union(key):
    with pytest.raises(UserError, match=f"b and a make no union: they differ in more than overrides: in {key}"):
        union.description({A: described(seeds(0)), B: described(seeds(1), **{key: "other"})})


def test_configs_may_differ_in_what_overrides_say():
    base: dict[str, Any] = {"seed": 0, "model": {"hidden": 2}, "optimizer": {"lr": 0.1}, "engine": {"threads": 1}}
    other = {"seed": 1, "model": {"hidden": 8}, "optimizer": {"lr": 0.1}, "engine": {"threads": 2}}
    union.check([(A, base, ["seed=0"]), (B, other, ["seed=1", "model.hidden=8"])])
    union.check([(A, base, ["seed=0"]), (B, other, ["seed=1", "model=mlp"])])
    changed = {**other, "optimizer": {"lr": 0.2}}
    with pytest.raises(UserError, match=r"differ in more than overrides: optimizer.lr is 0.2 and 0.1"):
        union.check([(A, base, ["seed=0"]), (B, changed, ["seed=1", "model.hidden=8"])])
    union.check([(A, base, ["seed=0"]), (B, changed, ["experiment=other"])])


@pytest.fixture
def trained(tmp_path):
    """Make a sweep of complete runs: trained("a", jobs) in the directory a."""

    def trained(name, jobs, **more):
        sweep = tmp_path / name
        sweep.mkdir()
        files.write_json(sweep / contents.SWEEP, described(jobs, state="COMPLETE", **more))
        for number, job in enumerate(jobs):
            run = sweep / f"{number:04d}"
            run.mkdir()
            seed = int(job[-1].partition("=")[2])
            config = {**NODES, "seed": seed}
            Run(run).begin("native", str(job), {**RECORD, "overrides": job, "config": config}, "")
            Run(run).complete([(1, {"val/loss": float(seed)})], {"val/loss": float(seed)}, b"model", None, 1.0)
        return sweep

    return trained


def told(sweep):
    return [(row["run"], row["seed"], row["val/loss"]) for row in Results(sweep).rows()]


def test_the_runs_of_all_are_copied_under_their_new_numbers(trained, tmp_path):
    sources = [trained("a", seeds(1, 0)), trained("b", seeds(0, 2, 3))]
    assert collect.collect(sources, tmp_path / "all", as_union=True) == (4, 0)
    assert told(tmp_path / "all") == [(0, "1", 1.0), (1, "0", 0.0), (2, "2", 2.0), (3, "3", 3.0)]
    assert files.read_json(tmp_path / "all" / contents.SWEEP)["state"] == "COMPLETE"
    more = [trained("c", seeds(5, 3))]
    assert collect.collect(more, tmp_path / "all", as_union=True) == (1, 4)
    assert told(tmp_path / "all")[3:] == [(3, "3", 3.0), (4, "5", 5.0)]


def test_killed_in_the_middle_it_goes_on_under_the_same_numbers(trained, tmp_path, monkeypatch):
    sources = [trained("a", seeds(1, 0)), trained("b", seeds(0, 2, 3))]
    copy, left = collect._copy, [3]

    def killed(run, to):
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        copy(run, to)

    monkeypatch.setattr(collect, "_copy", killed)
    with pytest.raises(KeyboardInterrupt):
        collect.collect(sources, tmp_path / "all", as_union=True)
    monkeypatch.undo()
    assert files.read_json(tmp_path / "all" / contents.SWEEP)["state"] == "RUNNING"
    # whichever way round
    assert collect.collect(sources[::-1], tmp_path / "all", as_union=True) == (2, 2)
    assert told(tmp_path / "all") == [(0, "1", 1.0), (1, "0", 0.0), (2, "2", 2.0), (3, "3", 3.0)]


def test_a_damaged_run_or_another_of_the_same_job_is_refused_before_anything_is_copied(trained, tmp_path):
    sources = [trained("a", seeds(1, 0)), trained("b", seeds(0, 2))]
    Run(sources[1] / "0000").update(fingerprint="another")
    with pytest.raises(UserError, match="are two runs #1, of another config"):
        collect.collect(sources, tmp_path / "all", as_union=True)
    (sources[1] / "0001" / contents.METRICS).write_text("{}")
    with pytest.raises(UserError, match="is damaged"):
        collect.collect(sources, tmp_path / "all", as_union=True)
    assert not (tmp_path / "all").exists()
