"""Several sweeps as one: jobs, numbers, swept keys, and the command that trains all of it."""

import pytest

from neuronsweep.errors import UserError
from neuronsweep.runs import union


def described(jobs, swept=("seed",), **more):
    told = {"objective": {"metric": "val/loss", "mode": "min"}, "source_digest": "abc", "config_words": []}
    told |= {"overrides": ["typed"], "hydra_overrides": ["hydra.sweeper.shard=1/2", "hydra/launcher=native"]}
    return {**told, "jobs": jobs, "swept": list(swept), "command": "python train.py", **more}


def seeds(*numbers, width=None):
    return [[*([f"model.hidden={width}"] if width else []), f"seed={number}"] for number in numbers]


def test_shards_of_a_sweep_are_the_sweep():
    found = union.description({"a": described(seeds(0, 1), shard="1/2"), "b": described(seeds(0, 1), shard="2/2")})
    assert found["jobs"] == seeds(0, 1)
    assert "shard" not in found
    assert (found["overrides"], found["hydra_overrides"]) == (["typed"], ["hydra/launcher=native"])


def test_further_values_follow_and_one_command_trains_a_grid():
    found = union.description({"a": described(seeds(0, 1)), "b": described(seeds(1, 2), command="other")})
    assert found["jobs"] == seeds(0, 1, 2)
    assert (found["overrides"], found["one_command"]) == (["seed=0,1,2"], True)
    assert found["command"] == "python train.py; other"
    assert union.places(seeds(1, 2), found["jobs"]) == [1, 2]


def test_of_what_is_no_grid_no_command_is_said():
    parts = {"a": described(seeds(0, 1, width=2)), "b": described(seeds(0, width=8))}
    found = union.description(parts)
    assert found["swept"] == ["seed", "model.hidden"]
    assert (found["overrides"], found["one_command"]) == ([], False)
    without = union.description({"a": described(seeds(0)), "b": described(seeds(0, width=8))})
    assert without["swept"] == ["seed", "model.hidden"]


def test_equal_jobs_are_told_apart():
    found = union.description({"a": described(seeds(1)), "b": described(seeds(1, 1))})
    assert found["jobs"] == seeds(1, 1)
    assert union.places(seeds(1, 1), found["jobs"]) == [0, 1]


@pytest.mark.parametrize("key", ["objective", "source_digest", "config_words"])
def test_what_differs_in_more_than_overrides_makes_no_union(key):
    with pytest.raises(UserError, match=f"b and a make no union: they differ in more than overrides: in {key}"):
        union.description({"a": described(seeds(0)), "b": described(seeds(1), **{key: "other"})})


def test_configs_may_differ_in_what_overrides_say():
    base = {"seed": 0, "model": {"hidden": 2}, "optimizer": {"lr": 0.1}, "engine": {"threads": 1}}
    other = {"seed": 1, "model": {"hidden": 8}, "optimizer": {"lr": 0.1}, "engine": {"threads": 2}}
    union.check([("a", base, ["seed=0"]), ("b", other, ["seed=1", "model.hidden=8"])])
    union.check([("a", base, ["seed=0"]), ("b", other, ["seed=1", "model=mlp"])])
    changed = {**other, "optimizer": {"lr": 0.2}}
    with pytest.raises(UserError, match=r"differ in more than overrides: optimizer.lr is 0.2 and 0.1"):
        union.check([("a", base, ["seed=0"]), ("b", changed, ["seed=1", "model.hidden=8"])])
    union.check([("a", base, ["seed=0"]), ("b", changed, ["experiment=other"])])
